"""The gate: each check alone on figures made to fail it, then whole verdicts through `ml gate` and `ml promote`."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from {{cookiecutter.package_name}}.config import GateConfig, ModelConfig, load_model
from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.model import artefact
from {{cookiecutter.package_name}}.training import checks, contest, train
from {{cookiecutter.package_name}}.training.checks import Contender, Rows
from {{cookiecutter.package_name}}.training.comparison import Difference
from {{cookiecutter.package_name}}.training.leakage import TOGETHER, determining
from {{cookiecutter.package_name}}.training.scorer import TRUTH, Scorer
from {{cookiecutter.package_name}}.training.verdict import Check, GateReport, not_run

from conftest import Project

RULES = GateConfig(metric="mae", tolerance=0.1)
RNG = np.random.default_rng(3)


def config_of(project: Project, name: str = "hours") -> ModelConfig:
    return load_model(project.paths.root / "configs" / f"{name}.yaml")


@pytest.fixture
def config(shared_trained: Project) -> ModelConfig:
    return config_of(shared_trained)


def rows(n: int = 4000, levels: tuple[str, ...] = ("a", "b", "c", "d")) -> Rows:
    truth = RNG.normal(40, 10, n)
    group = np.array([levels[i % len(levels)] for i in range(n)], dtype=object)
    return Rows(pl.DataFrame(), "", "", "", truth, truth + RNG.normal(0, 12, n), {"depot": group})


def test_the_metric_check_says_what_it_saw() -> None:
    sure = checks.metric(RULES, Difference(-0.05, 0.01, 1.0, 10_000))
    assert sure.outcome == "ok" and "a loss of 0.1 is ruled out" in sure.said
    worse = checks.metric(RULES, Difference(-0.3, 0.02, 2.0, 10_000))
    assert worse.outcome == "failed" and "it is worse" in worse.said
    open_ = checks.metric(RULES, Difference(-0.05, 0.05, 5.0, 10_000))
    assert open_.outcome == "inconclusive" and "about 27,225 could" in open_.said, "(3.3 · 5 / 0.1)²"


def test_one_bad_slice_fails_though_the_mean_is_fine(config: ModelConfig) -> None:
    given = rows()
    champion = given.truth + RNG.normal(0, 8, len(given.truth))
    challenger = np.where(given.groups["depot"] == "c", champion + np.sign(champion - given.truth) * 2, champion)
    challenger = np.where(given.groups["depot"] == "a", given.truth + (champion - given.truth) * 0.7, challenger)
    found = checks.by_slice(config, RULES, given, challenger, champion)
    said = checks.slices(found, True, RULES)
    assert said.outcome == "failed" and "depot=c" in said.said and "depot=a" not in said.said
    assert checks.slices(checks.by_slice(config, RULES, given, champion, champion), True, RULES).outcome == "ok"


def test_a_small_slice_is_reported_and_not_judged(config: ModelConfig) -> None:
    given = rows(600, ("a", "b", "c", "d"))
    found = checks.by_slice(config, RULES, given, given.truth + 30, given.truth)
    assert {item.outcome for item in found} == {"too few rows"} and [item.rows for item in found] == [150] * 4
    assert checks.slices(found, True, RULES).outcome == "not applicable"


def test_the_floor_wants_skill_for_certain(config: ModelConfig) -> None:
    given = rows()
    good = given.truth + RNG.normal(0, 6, len(given.truth))
    assert checks.floor(config, RULES, given, good).outcome == "ok"
    assert checks.floor(config, RULES, given, given.naive).outcome == "failed", "the baseline itself has no skill"
    assert checks.floor(config, RULES.model_copy(update={"minimum_skill": 0.6}), given, good).outcome == "failed"


class Stopwatch:
    """Stands in for a process: answers with the seconds it was given."""

    def __init__(self, *seconds: float) -> None:
        self.given = list(seconds)

    def seconds(self, rows: int, calls: int) -> float:
        return self.given.pop(0) if len(self.given) > 1 else self.given[0]


@pytest.mark.parametrize(
    ("challenger", "outcome"),
    [((1.5,), "failed"), ((1.15,), "ok"), ((1.5, 1.5, 1.0, 1.5), "failed"), ((3.0, 3.0, 3.0, 1.0), "ok")],
    ids=["slower every time", "slower, within the limit", "one lucky round, in one load only", "hiccups"],
)
def test_latency_blocks_what_is_slower_in_every_round(challenger: tuple[float, ...], outcome: str) -> None:
    scorers = [Stopwatch(*challenger), Stopwatch(1.0)]
    assert checks.latency(cast("list[Scorer]", scorers), 1.2).outcome == outcome


def test_predictions_that_are_no_numbers_fail() -> None:
    assert checks.finite({"hours/1": 0}).outcome == "ok"
    said = checks.finite({"hours/1": 0, "hours/2": 3})
    assert said.outcome == "failed" and said.said.endswith("hours/2: 3")


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_feature_that_determines_the_target_is_named(task: Any) -> None:
    honest = RNG.normal(size=(4000, 3))
    value = honest[:, 0] + RNG.normal(size=4000)
    truth = (value > 0).astype(np.int64) if task == "classification" else value
    names = ["honest", "other", "noise", "leak"]
    leak = np.where(RNG.random(4000) < 0.01, np.nan, np.abs(value) * 3 if task == "regression" else value * 7)
    told = determining(np.column_stack([honest, leak]), names, truth, task)
    clean = checks.leakage({k: v for k, v in told.items() if k in ("honest", "other", "noise")}, 0.98, task)
    assert clean.outcome == "ok" and "honest" in clean.said
    if task == "classification":
        said = checks.leakage(told, 0.98, task)
        assert said.outcome == "failed" and "leak" in said.said and "honest" not in said.said
    halves = np.column_stack([honest, value - honest[:, 1]])
    told = determining(halves, names, truth.astype(float) if task == "regression" else truth, task)
    assert told["leak"] < 0.9 and told[TOGETHER] > 0.98, "two features that add up to the target"
    assert TOGETHER in checks.leakage(told, 0.98, task).said


def test_a_constant_or_empty_feature_is_no_obstacle() -> None:
    matrix = np.column_stack([np.full(1000, np.nan), np.ones(1000), RNG.normal(size=1000)])
    told = determining(matrix, ["empty", "constant", "noise"], RNG.normal(size=1000), "regression")
    assert set(told) == {"noise", TOGETHER} and all(abs(share) < 0.5 for share in told.values())


def test_a_lock_that_moves_predictions_fails_until_it_is_accepted() -> None:
    lock = "0123456789abcdef"
    assert checks.moved("", RULES, lock).outcome == "ok"
    refused = checks.moved("proof failed: 3 rows differ", RULES, lock)
    assert refused.outcome == "failed" and "set gate.accept_lock to 0123456789ab" in refused.said
    known = RULES.model_copy(update={"accept_lock": "0123456789ab"})
    assert checks.moved("proof failed", known, lock).outcome == "ok"
    assert checks.moved("proof failed", known, "f" * 16).outcome == "failed", "the next lock is another question"


def test_the_report_reads_as_markdown_that_nothing_breaks_out_of() -> None:
    said = GateReport(
        "FAIL",
        "hours/2",
        "hours/1",
        "mae",
        0.1,
        9,
        "a",
        "b",
        "",
        [Check("GATE001", "failed", "a | b\n<script>")],
        {"hours/2": {"mae": 1.0, "r2": 0.5}, "hours/1": {"mae": 2.0}},
        [],
        {},
    ).markdown()
    assert "### Gate: FAIL" in said and "| mae | 1.0000 | 2.0000 |" in said and "r2" not in said
    assert "a \\| b &lt;script>" in said
    assert "no data" in not_run("x", None, "no data").markdown()


def contender(project: Project, version: int = 1) -> Contender:
    place = project.paths.serving / "hours" / str(version)
    return Contender(f"hours/{version}", place, artefact.read(place), sys.executable)


@pytest.fixture
def placed(trained: Project) -> Project:
    """hours/1 fetched to disk."""
    assert trained.ml("verify", "1").code == 0
    return trained


def two_rows(folder: Path) -> Path:
    path = folder / "rows.parquet"
    pl.DataFrame({"weight_g": [1.0, 2.0], TRUTH: [1.0, 2.0]}).write_parquet(path)
    return path


def test_a_scorer_says_why_a_version_is_refused(placed: Project, tmp_path: Path) -> None:
    good = contender(placed)
    with (
        Scorer("hours/1", good.folder, two_rows(tmp_path)) as scorer,
        pytest.raises(ProjectError, match="no longer have") as gone,
    ):
        scorer.ready()
    assert gone.value.exit is Exit.SAID_NO and "distance_km" in gone.value.message
    with (
        Scorer("hours/1", good.folder, two_rows(tmp_path), python=shutil.which("false") or "false") as scorer,
        pytest.raises(ProjectError, match="its process ended") as died,
    ):
        scorer.ready()
    assert died.value.exit is Exit.UNAVAILABLE


def shifted(source: Path, folder: Path) -> Path:
    """A copy whose recorded predictions are not what these libraries compute: what a moved prediction looks like."""
    shutil.copytree(source, folder)
    proof = folder / artefact.FOLDER / artefact.PROOF
    said = json.loads(proof.read_text(encoding="utf-8"))
    said["rows"][0]["prediction"] += 0.5
    proof.write_text(json.dumps(said), encoding="utf-8")
    facts = json.loads((folder / artefact.FACTS).read_text(encoding="utf-8"))
    facts["files"] = artefact.digests(folder / artefact.FOLDER)
    (folder / artefact.FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_a_prediction_that_moves_under_this_lock_is_refused_with_how_far(placed: Project, tmp_path: Path) -> None:
    from {{cookiecutter.package_name}}.training.gate import _refusal

    good, rows = contender(placed).folder, two_rows(tmp_path)
    with Scorer("base", shifted(good, tmp_path / "moved"), rows) as scorer:
        said = checks.moved(_refusal(scorer), RULES, "ab" * 32)
    assert said.outcome == "failed" and "1 of" in said.said and "most by 0.5" in said.said
    with Scorer("base", good, rows) as scorer, pytest.raises(ProjectError, match="no longer have"):
        _refusal(scorer)


def retrained(project: Project, **replaced: str) -> str:
    """Another version of hours with other settings; its ID."""
    text = (project.paths.root / "configs" / "hours.yaml").read_text(encoding="utf-8")
    for old, new in replaced.items():
        key = {"iterations": "max_iter: 10", "tolerance": "tolerance: 0.1", "seed": "seed: 7"}[old]
        assert key in text
        text = text.replace(key, new)
    (project.paths.root / "configs" / "other.yaml").write_text(text, encoding="utf-8")
    ran = project.ml("train", "--config", "configs/other.yaml", "--json")
    assert ran.code == 0, ran.err
    return ran.json["version"]


def outcomes(ran: Any) -> dict[str, str]:
    return {check["code"]: check["outcome"] for check in ran.json["checks"]}


@pytest.mark.slow
def test_a_first_version_passes_the_floor_and_a_worse_one_is_refused(trained: Project) -> None:
    refused = trained.ml("promote", "1")
    assert refused.code == 1 and "the gate has not looked at hours/1" in refused.err
    assert "uv run ml gate hours/1" in refused.err
    first = trained.ml("gate", "1")
    assert first.code == 0 and first.out.startswith("FIRST  hours/1") and "uv run ml promote hours/1" in first.out
    assert trained.ml("promote", "1").code == 0
    itself = trained.ml("gate", "1")
    assert itself.code == 2 and "compared with itself it always passes" in itself.err

    worse = retrained(trained, iterations="max_iter: 2")
    report = trained.paths.root / "gate.md"
    said = trained.ml("gate", worse, "--json", "--markdown", str(report))
    assert said.code == 1 and said.json["verdict"] == "FAIL" and said.json["champion"] == "hours/1"
    assert outcomes(said)["GATE001"] == outcomes(said)["GATE003"] == "failed"
    assert said.json["rows"] >= 5000
    assert "### Gate: FAIL" in report.read_text(encoding="utf-8")
    stopped = trained.ml("promote", worse)
    assert stopped.code == 1 and f"the gate said FAIL to {worse}: metric against the champion" in stopped.err
    silent = trained.ml("promote", worse, "--force")
    assert silent.code == 2 and "keeps why" in silent.err
    assert trained.ml("versions", "--json").json["history"][-1]["version"] == "hours/1"
    assert trained.overrule(worse, "the old one leaks names").code == 0
    last = trained.ml("versions", "--json").json["history"][-1]
    assert (last["gate"], last["why"]) == ("forced past FAIL", "the old one leaks names")
    assert "forced past FAIL" in trained.ml("versions").out


@pytest.mark.slow
def test_pass_inconclusive_too_large_and_a_pass_that_is_out_of_date(trained: Project) -> None:
    assert trained.overrule("1").code == 0
    same = retrained(trained, seed="seed: 8")
    said = trained.ml("gate", same, "--json")
    assert said.code == 0 and said.json["verdict"] == "PASS", said.json["checks"]
    assert "the same predictions on every row" in said.json["checks"][7]["said"], (
        "no sampling: the seed changes nothing"
    )

    strict = retrained(trained, iterations="max_iter: 11", tolerance="tolerance: 0.00001")
    said = trained.ml("gate", strict, "--against", "1")
    if "INCONCLUSIVE" in said.out:
        assert said.code == 1 and "rows would tell: raise data.evaluation_weeks" in said.out

    larger = retrained(trained, iterations="max_iter: 40")
    said = trained.ml("gate", larger, "--json")
    assert said.code == 1 and outcomes(said)["GATE005"] == "failed" and outcomes(said)["GATE001"] == "ok"
    assert trained.overrule(larger).code == 0
    stale = trained.ml("promote", same)
    assert stale.code == 1 and f"compared {same} with hours/1, and the champion is now {larger}" in stale.err


@pytest.mark.slow
def test_a_linear_classifier_is_gated_by_its_own_metric(trained: Project) -> None:
    assert trained.overrule("late/1").code == 0
    trained.edit("configs/late.yaml", "C: 1.0", "C: 0.00001")
    trained.edit("configs/late.yaml", "metric: log_loss\n  tolerance: 0.005", "metric: auc\n  tolerance: 0.005")
    assert trained.ml("train", "--config", "configs/late.yaml").code == 0
    said = trained.ml("gate", "late/2", "--json")
    assert said.code == 1 and said.json["metric"] == "auc" and outcomes(said)["GATE001"] == "failed"


@pytest.mark.slow
def test_a_leak_is_refused_though_the_metric_shines(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    target = contest.CONTRACT.targets["delivered_hours"]
    leaking = replace(target, value=pl.col("distance_km") * 0.1 + 3)
    targets = contest.CONTRACT.targets | {"delivered_hours": leaking}
    for module in (contest, train):
        monkeypatch.setattr(module, "CONTRACT", replace(contest.CONTRACT, targets=targets))
    said = trained.ml("gate", retrained(trained, iterations="max_iter: 30"), "--json")
    assert said.code == 1 and outcomes(said)["GATE007"] == "failed"
    assert "distance_km" in said.json["checks"][6]["said"]


def test_no_data_is_not_run_and_satisfies_nobody(trained: Project) -> None:
    shutil.rmtree(trained.partitions)
    report = trained.paths.root / "gate.md"
    said = trained.ml("gate", "1", "--markdown", str(report))
    assert said.code == 4 and said.out.startswith("NOT RUN  hours/1") and "no data yet" in said.out
    assert "### Gate: NOT RUN" in report.read_text(encoding="utf-8")
    assert trained.ml("promote", "1").code == 1


def test_rows_that_a_model_was_trained_on_do_not_count(trained: Project) -> None:
    assert trained.ml("ingest", "--date", "2026-05-14").code == 0
    said = trained.ml("gate", "1", "--date", "2026-05-26")
    assert said.code == 4 and "neither model was trained on" in said.out


def test_two_targets_are_not_compared(trained: Project) -> None:
    said = trained.ml("gate", "1", "--against", "late/1")
    assert said.code == 1 and "there is nothing to compare" in said.err
    assert "delivered_hours (regression, h," in said.err and "late (classification" in said.err


def test_a_refusal_is_a_report_too(trained: Project) -> None:
    report = trained.paths.root / "gate.md"
    report.write_text("an older PASS", encoding="utf-8")
    trained.edit("configs/hours.yaml", "tolerance: 0.1", "tolerence: 0.1")
    ran = trained.ml("gate", "--base", "main", "--config", "configs/hours.yaml", "--markdown", str(report))
    assert ran.code == 2 and "did you mean tolerance?" in ran.err
    said = report.read_text(encoding="utf-8")
    assert "### Gate: NOT RUN" in said and "tolerence" in said and "older" not in said


@pytest.mark.slow
def test_a_champion_that_this_lock_moves_is_named_and_accepted_once(placed: Project, tmp_path: Path) -> None:
    moved = shifted(contender(placed).folder, placed.paths.root / "moved")
    refused = placed.ml("gate", "1", "--against", moved.name, "--json")
    assert refused.code == 1 and outcomes(refused)["GATE009"] == "failed"
    assert outcomes(refused)["GATE001"] == "not applicable" and refused.json["champion"] == "moved"
    lock = hashlib.sha256((placed.paths.root / "uv.lock").read_bytes()).hexdigest()
    accepted = retrained(placed, tolerance=f"tolerance: 0.1, accept_lock: '{lock[:12]}'")
    said = placed.ml("gate", accepted, "--against", moved.name, "--json")
    assert said.code == 0 and said.json["verdict"] == "FIRST", said.json["checks"]


@pytest.mark.parametrize(
    "arguments", [(), ("1", "--base", "main"), ("--base", "main"), ("--config", "configs/v1.yaml")]
)
def test_what_against_what_must_be_said(arguments: tuple[str, ...], project: Project) -> None:
    ran = project.ml("gate", *arguments)
    assert ran.code == 2 and "what against what?" in ran.err


def test_a_config_without_a_gate_decides_nothing(trained: Project) -> None:
    assert trained.ml("train", "--config", "configs/smoke.yaml").code == 0
    ran = trained.ml("gate", "smoke/1")
    assert ran.code == 2 and "has no gate section" in ran.err


@pytest.mark.slow
def test_folders_meet_without_a_registry(trained: Project) -> None:
    for name in ("first", "second"):
        ran = trained.ml("train", "--config", "configs/hours.yaml", "--output", name)
        assert ran.code == 0 and f"uv run ml register {name}" in ran.out
    assert len(trained.ml("versions", "--json").json["versions"]) == 1, "written, not registered"
    said = trained.ml("gate", "second", "--against", "first", "--json")
    assert said.json["challenger"] == "second" and said.json["champion"] == "first"
    assert outcomes(said)["GATE001"] == outcomes(said)["GATE009"] == "ok", said.json["checks"]
    copied = trained.ml(
        "gate", "second", "--against", shutil.copytree(trained.paths.root / "second", trained.paths.root / "copy").name
    )
    assert copied.code == 1 and "a comparison with itself" in copied.out
    new = trained.ml("register", "second")
    assert new.code == 0 and "version hours/2" in new.out
    assert "hours/2, registered before" in trained.ml("register", "second").out


def test_a_commit_that_is_not_there_is_said(trained: Project) -> None:
    ran = trained.ml("gate", "--base", "main", "--config", "configs/hours.yaml")
    assert ran.code == 2 and "no commit main here" in ran.err
