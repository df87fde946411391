"""Wrong configurations: each is refused with its line and what is allowed, exit 2, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.config import load_model, load_operations
from {{cookiecutter.package_name}}.estimator import KINDS

from conftest import ROOT, Project

SMOKE = "configs/smoke.yaml"


def refused(project: Project, config: str = SMOKE) -> str:
    """Train with ``config``, which must be refused before anything is written. Returns what was said."""
    before = project.tree(".")
    ran = project.ml("train", "--config", config)
    assert ran.code == 2, (ran.out, ran.err)
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert project.tree(".") == before
    return ran.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed: 7", "seeed: 7", "line {line}: unknown key seeed, did you mean seed?"),
        ("  train_days: 7", "  train_day: 7", "line {line}: unknown key data.train_day, did you mean train_days?"),
        ("seed: 7", "seed: 7\nxyz: 1", "line {line}: unknown key xyz; allowed: name, task, target, baseline, data,"),
        ("days: 7", "days: seven", "line {line}: data.train_days: input should be a valid integer, found 'seven'"),
        ("days: 7", "days: 7.5", "line {line}: data.train_days: input should be a valid integer, found 7.5 (float)"),
        ("days: 7", "days: yes", "line {line}: data.train_days: input should be a valid integer, found True (bool)"),
        ("days: 7", "days: 0", "line {line}: data.train_days: input should be greater than or equal to 1, found 0"),
        ("weeks: 1", "weeks: 99", "line {line}: data.evaluation_weeks: input should be less than or equal to 52"),
        ("proof_rows: 50", "proof_rows: 3", "line {line}: proof_rows: input should be greater than or equal to 20"),
        ("seed: 7", "seed: -1", "line {line}: seed: input should be greater than or equal to 0, found -1"),
        ("encode: ordinal", "encode: label", "line {line}: features.encode: input should be 'ordinal' or 'onehot'"),
        ("task: regression", "task: ranking", "line {line}: task: input should be 'regression' or 'classification'"),
        ("name: smoke", "name: Smoke Test", "line {line}: name: string should match pattern"),
        ("seed: 7", "seed: 7\nseed: 8", "line {line}: seed stands here and on line {before}"),
        ("  train_days: 7", "  train_days: 7\n  train_days: 8", "line {line}: train_days stands here and on line"),
        ("columns: [weight_g,", "columns: [7,", "line {line}: features.columns.0: input should be a valid string"),
        ("seed: 7\n", "", "seed is missing"),
        ("  train_days: 7\n", "", "line {before}: data.train_days is missing"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named_with_its_line(old: str, new: str, said: str, project: Project) -> None:
    text = (project.paths.root / SMOKE).read_text(encoding="utf-8")
    line = text[: text.index(old)].count("\n") + 1 + new.count("\n")
    project.edit(SMOKE, old, new)
    message = refused(project)
    assert "smoke.yaml: " in message
    assert said.format(line=line, before=line - 1) in message


def test_every_problem_is_said_at_once(project: Project) -> None:
    project.edit(SMOKE, "seed: 7", "seeed: 7")
    project.edit(SMOKE, "train_days: 7", "train_days: 7\n  train_days: soon")
    message = refused(project)
    assert "4 problems" in message
    for said in ("unknown key seeed", "seed is missing", "data.train_days: input", "train_days stands here and on"):
        assert said in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected keys and values, found nothing"),
        (b"# only a comment\n", "expected keys and values, found nothing"),
        (b"- a\n- b\n", "expected keys and values, found list"),
        (b"name: [unclosed\n", "not valid YAML"),
        (b"name: a\n\tdata: b\n", "not valid YAML"),
        (b"name: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        (b"name: \xff\xfe\n", "cannot be read as UTF-8 text"),
        (b"{}\n", "8 problems"),
    ],
)
def test_a_file_that_is_no_configuration_says_so(content: bytes, said: str, project: Project) -> None:
    (project.paths.root / SMOKE).write_bytes(content)
    message = refused(project)
    assert said in message
    assert "smoke.yaml" in message


def test_a_file_that_is_not_there_names_those_that_are(project: Project) -> None:
    message = refused(project, "configs/v2.yaml")
    assert "no configuration at configs/v2.yaml" in message
    assert "there are: v1.yaml" in message


def test_a_folder_instead_of_a_file_is_no_traceback(project: Project) -> None:
    assert "configs: cannot be read" in refused(project, "configs")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[weight_g,", "[wieght_g,", "features.columns: there is no wieght_g, did you mean weight_g?"),
        ("[weight_g,", "[created_at, weight_g,", "features.columns: created_at is a time; derive features from it"),
        ("[weight_g,", "[parcel_id, weight_g,", "features.columns: there is no parcel_id; there are: created_at"),
        ("[weight_g,", "[delivered_hours, weight_g,", "features.columns: there is no delivered_hours"),
        ("[hour_of_day,", "[hour_of,", "features.derived: there is no hour_of, did you mean hour_of_day?"),
        ("target: delivered_hours", "target: delivered", "has no target delivered, did you mean delivered_hours?"),
        ("target: delivered_hours", "target: late", "task: late is a classification target in contract.py, the config"),
        ("baseline: promised_hours", "baseline: promise", "there is no promise, did you mean promised_hours?"),
        ("slices: [service]", "slices: [region]", "slices: there is no region; there are: created_at, depot, service"),
        ("slices: [", "gate: {metric: auc, tolerance: 1}\nslices: [", "gate.metric: there is no auc; there are: mae"),
        ("kind: hist_gradient_boosting", "kind: xgboost", "estimator.kind: 'xgboost' is not one of hist_"),
        ("{max_iter: 10,", "{depth: 3,", "estimator.params: HistGradientBoostingRegressor has no parameter depth"),
    ],
)  # fmt: skip
def test_a_config_that_does_not_fit_is_told_what_there_is(old: str, new: str, said: str, ingested: Project) -> None:
    ingested.edit(SMOKE, old, new)
    assert said in refused(ingested)


def test_a_value_that_the_estimator_refuses_is_no_traceback(ingested: Project) -> None:
    ingested.edit(SMOKE, "{max_iter: 10,", "{max_iter: ten,")
    ran = ingested.ml("train", "--config", SMOKE)
    assert ran.code == 2
    assert "hist_gradient_boosting cannot be fitted: " in ran.err
    assert "max_iter" in ran.err
    assert not ingested.paths.registry.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("port: 8000", "prot: 8000", "unknown key serving.prot, did you mean port?"),
        ("port: 8000", "port: 99999", "serving.port: input should be less than or equal to 65535, found 99999"),
        ("sample: true", "sample: maybe", "source.sample: input should be a valid boolean, found 'maybe'"),
        ("model: hours", "", "model is missing"),
    ],
)
def test_a_wrong_operations_file_stops_every_verb(old: str, new: str, said: str, project: Project) -> None:
    project.edit("operations.yaml", old, new)
    for verb in (["ingest", "--date", "2026-05-20"], ["versions"], ["serve"]):
        ran = project.ml(*verb)
        assert ran.code == 2, verb
        assert said in ran.err


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_the_configs_of_the_project_are_valid(path: Path) -> None:
    assert load_model(path).estimator.kind in KINDS


def test_the_operations_file_of_the_project_is_valid() -> None:
    operations = load_operations(ROOT / "operations.yaml")
    assert operations.registered("hours") == f"{operations.project}-hours"
