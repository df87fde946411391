"""Canary, shadow and switch: who answers, what is recorded of it, and what the log says about the two."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from scipy.stats import ks_2samp
from test_pointer import answering, pointer_of

from {{cookiecutter.package_name}} import clock
from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.contract import CONTRACT
from {{cookiecutter.package_name}}.data.matured import TRUTH, matured
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.model import artefact
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.model.record import FACTS, steered
from {{cookiecutter.package_name}}.serving.app import create_app
from {{cookiecutter.package_name}}.serving.shelf import Shelf
from {{cookiecutter.package_name}}.serving.traffic import Traffic
from {{cookiecutter.package_name}}.spec import ModelContract
from {{cookiecutter.package_name}}.training import champion, comparison, samples, traffic
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

FIRST, SECOND = VersionId("hours", 1), VersionId("hours", 2)
BEGAN = datetime(2026, 5, 20, 6, tzinfo=UTC)
"""The day whose labels are complete with those of 25 May; the projects have data until 2 June."""


@pytest.fixture(scope="module")
def _two(_trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = _trained.copy(tmp_path_factory.mktemp("two") / "project")
    made.edit("configs/hours.yaml", "seed: 7", "seed: 8")
    ran = made.ml("train", "--config", "configs/hours.yaml")
    assert ran.code == 0 and "hours/2" in ran.out, ran.err
    registry = Registry(made.paths)
    for version in (FIRST, SECOND):
        registry.fetch(version)
    champion.promote(registry, FIRST, str, now=BEGAN - timedelta(days=3), why="a test", force=True)
    return made


@pytest.fixture
def two(_two: Project, tmp_path: Path) -> Project:
    """hours/1 is the champion, hours/2 can be tried; yours to break."""
    return _two.copy(tmp_path / "project")


@pytest.fixture(autouse=True)
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the clock that the verbs read."""

    def moment(now: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: now)

    moment(BEGAN)
    return moment


def traffic_of(project: Project) -> Traffic:
    return pointer_of(project).traffic("hours")


def begin(project: Project, share: float | None, version: VersionId = SECOND, now: datetime = BEGAN) -> None:
    """What `ml canary` does, without the seconds that a replay takes."""
    traffic.begin(Registry(project.paths), version, str, share=share, now=now, why="fresher data")


# who answers


def taken(canary: VersionId, share: float, keys: range = range(50_000)) -> set[int]:
    chosen = Traffic(canary=canary, share=share)
    return {key for key in keys if chosen.takes_canary(f"parcel-{key}")}


@pytest.mark.parametrize("share", [0.1, 1, 10, 33.3, 50, 99])
def test_the_share_is_exact_over_many_keys(share: float) -> None:
    expected, keys = share / 100, 50_000
    assert abs(len(taken(SECOND, share)) / keys - expected) < 4 * (expected * (1 - expected) / keys) ** 0.5


def test_none_and_all_are_meant_literally() -> None:
    assert len(taken(SECOND, 100)) == 50_000
    assert taken(SECOND, 0) == set()
    assert not Traffic().takes_canary("parcel-1")
    assert not Traffic(shadow=SECOND, share=100).takes_canary("parcel-1")


def test_a_share_that_grows_keeps_its_keys_and_another_canary_meets_others() -> None:
    assert taken(SECOND, 5) < taken(SECOND, 10) < taken(SECOND, 50)
    both = taken(SECOND, 50) & taken(VersionId("hours", 3), 50)
    assert abs(len(both) / 50_000 - 0.25) < 0.01, "the hash of one canary says nothing of another's"


def test_equal_keys_go_the_same_way_everywhere_and_always() -> None:
    # the same values as when this was written: a restart, a replica and a later release agree
    assert "".join(str(int(Traffic(SECOND, 30).takes_canary(key))) for key in "abcdefghijklmnop") == "1100000000011111"
    for odd in ("", "ß" * 5000, "\x00", "\ud800", "🦊"):
        assert Traffic(SECOND, 50).takes_canary(odd) is Traffic(SECOND, 50).takes_canary(odd)


# the verbs and what they record


@pytest.mark.slow
def test_a_canary_begins_grows_becomes_a_shadow_and_ends(two: Project, at: Callable[[datetime], None]) -> None:
    assert traffic_of(two) == Traffic()
    ran = two.ml("canary", "2", "--reason", "fresher data")
    assert ran.code == 0, ran.err
    assert "hours/2 answers 10% of the requests" in ran.out and "reproduced" in ran.out
    assert traffic_of(two) == Traffic(canary=SECOND, share=10)
    again = two.ml("canary", "2", "--share", "10", "--json").json
    assert not again["changed"] and again["said"].endswith("already")
    at(BEGAN + timedelta(days=1))
    assert two.ml("canary", "hours/2", "--share", "12.5", "--json").json["changed"]
    assert traffic_of(two) == Traffic(canary=SECOND, share=12.5)
    assert two.ml("canary", "2", "--shadow").code == 0
    assert traffic_of(two) == Traffic(shadow=SECOND)
    assert two.ml("canary", "end", "--reason", "seen enough").code == 0
    assert traffic_of(two) == Traffic()
    said = two.ml("versions", "--json").json["traffic"]
    assert [(turn["verb"], turn["version"], turn["share"], turn["why"]) for turn in said] == [
        ("canary", "hours/2", 10, "fresher data"),
        ("canary", "hours/2", 12.5, ""),
        ("shadow", "hours/2", None, ""),
        ("end", "hours/2", None, "seen enough"),
    ]
    assert all(turn["who"] for turn in said) and said[0]["at"] == BEGAN.isoformat()
    shown = two.ml("versions").out
    assert "canary with 12.5%" in shown and "seen enough" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "words", "hint"),
    [
        (["1"], 2, "hours/1 is the champion: it answers already", "ml versions"),
        (["9"], 2, "hours has no version 9", "there are: 2, 1"),
        (["late/1"], 1, "late has no champion yet", "ml promote late/1"),
        (["two"], 2, "'two' is not a version ID", "ml versions"),
        (["2", "--share", "0"], 2, "expected a percentage above 0, up to 100", "ml canary end"),
        (["2", "--share", "100.1"], 2, "expected a percentage above 0, up to 100", "ml canary end"),
        (["2", "--share", "nan"], 2, "expected a percentage above 0, up to 100", "ml canary end"),
        (["2", "--share", "5", "--shadow"], 2, "a shadow answers nobody: it has no --share", "ml canary --help"),
        (["2", "--force"], 2, "ml canary 2 takes no --force", "ml canary --help"),
        (["end", "--share", "5"], 2, "ml canary end takes no --share", "ml canary --help"),
        (["end"], 1, "hours has neither canary nor shadow", "ml canary"),
        (["promote"], 1, "hours has neither canary nor shadow", "ml canary"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_a_hint(
    arguments: list[str], code: int, words: str, hint: str, two: Project
) -> None:
    ran = two.ml("canary", *arguments)
    assert ran.code == code, ran.err
    assert words in ran.err and f"hint: {hint}" in ran.err.replace("uv run ", "")
    assert traffic_of(two) == Traffic()
    assert two.ml("versions", "--json").json["traffic"] == []


def test_a_version_that_fails_its_proof_is_no_canary(two: Project) -> None:
    for copy in two.paths.root.rglob("proof.json"):
        copy.write_text(copy.read_text(encoding="utf-8").replace("1", "2"), encoding="utf-8")
    ran = two.ml("canary", "2")
    assert ran.code == 1 and "proof.json has sha256" in ran.err
    registry = Registry(two.paths)

    def fails(version: VersionId) -> str:
        raise ProjectError(f"version {version} refused: proof failed", exit=Exit.SAID_NO)

    with pytest.raises(ProjectError, match="proof failed"):
        traffic.begin(registry, SECOND, fails, share=10, now=BEGAN, why="")
    assert traffic_of(two) == Traffic()
    assert traffic.history(registry, "hours") == []


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"insured": {"nullable": False}}, "insured"),
        ({"insured": {"nullable": True}}, ""),
        ({"fragile": None}, "fragile"),
        ({"fragile": {"meaning": "handle with care"}}, ""),
        ({"weight_g": {"maximum": 60_000.0}}, "weight_g"),
        ({"fragile": {"kind": "integer"}, "weight_g": {"minimum": 2.0}}, "fragile, weight_g"),
    ],
)
def test_a_version_that_refuses_what_the_champion_takes_is_no_canary(
    change: dict[str, dict[str, Any] | None], refused: str, two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers cannot know whom they meet: some of them would be told that a field is lacking."""
    read = artefact.contract

    def changed(folder: Path) -> ModelContract:
        said = read(folder)
        columns = {column.name: column for column in said.columns}
        for name, update in change.items() if folder.parent.name == "2" else ():
            column = columns.get(name, columns["fragile"].model_copy(update={"name": name}))
            if update is None:
                del columns[name]
            else:
                columns[name] = column.model_copy(update=update)
        return said.model_copy(update={"columns": list(columns.values())})

    monkeypatch.setattr(artefact, "contract", changed)
    if refused:
        with pytest.raises(ProjectError, match=f"asks something else of {refused},") as error:
            begin(two, 10)
        assert error.value.exit is Exit.SAID_NO
    else:
        begin(two, 10)
    assert traffic_of(two) == (Traffic() if refused else Traffic(canary=SECOND, share=10))


def test_one_trial_at_a_time(two: Project) -> None:
    registry = Registry(two.paths)
    said = {"verb": "canary", "version": 7, "share": 10, "moves": 1, "at": BEGAN.isoformat(), "who": "ada", "why": ""}
    name = registry.operations.registered("hours")
    registry.client.set_registered_model_tag(name, "traffic.000001", json.dumps(said))
    ran = two.ml("canary", "2")
    assert ran.code == 1 and "hours/7 is being tried (canary): one at a time" in ran.err
    assert "uv run ml canary end" in ran.err
    assert two.ml("canary", "end").code == 0
    begin(two, 10)
    assert traffic_of(two).canary == SECOND


@pytest.mark.slow
def test_a_promotion_of_the_canary_goes_through_the_gate_and_ends_it(
    two: Project, at: Callable[[datetime], None]
) -> None:
    assert two.ml("canary", "2").code == 0
    refused = two.ml("canary", "promote")
    assert refused.code == 1 and "the gate has not looked at hours/2" in refused.err
    assert traffic_of(two).canary == SECOND
    at(BEGAN + timedelta(days=7))
    ran = two.ml("canary", "promote", "--force", "--reason", "a week beside it")
    assert ran.code == 0 and "champion hours/2, before hours/1" in ran.out
    assert pointer_of(two).champion("hours") == SECOND and traffic_of(two) == Traffic()
    move = two.ml("versions", "--json").json["history"][-1]
    assert (move["version"], move["why"], move["gate"]) == ("hours/2", "a week beside it", "forced past NOT RUN")
    assert two.ml("rollback").code == 0
    assert traffic_of(two) == Traffic(), "what was ended stays ended when it is no champion any more"
    assert two.ml("canary", "2", "--share", "3").code == 0, "and can be tried again"
    assert traffic_of(two) == Traffic(canary=SECOND, share=3)
    assert len(pointer_of(two).trial("hours").trial) == 1, "its first days are none of the second trial"


def test_a_rollback_to_the_canary_ends_it(two: Project) -> None:
    registry = Registry(two.paths)
    champion.promote(registry, SECOND, str, now=BEGAN, why="a test", force=True)
    begin(two, 10, FIRST)
    assert traffic_of(two).canary == FIRST
    champion.rollback(registry, "hours", None, str, now=BEGAN, why="")
    assert traffic_of(two) == Traffic()


@pytest.mark.parametrize(
    ("story", "canary", "turns"),
    [
        ("promote 1, canary 4", 4, 1),
        ("promote 1, canary 4, canary 4", 4, 2),
        ("promote 1, shadow 4, canary 4", 4, 1),
        ("promote 1, canary 4, end 4", None, 0),
        ("promote 1, canary 4, promote 4", None, 0),
        ("promote 1, canary 4, promote 5", 4, 1),
        ("promote 1, canary 4, promote 5, rollback 1", 4, 1),
        ("promote 1, canary 4, promote 5, rollback 4", None, 0),
        ("promote 1, canary 4, promote 4, rollback 1", None, 0),
        ("promote 1, canary 4, promote 4, rollback 1, canary 4", 4, 1),
        ("promote 4, promote 5, canary 4", 4, 1),
        ("promote 1, canary 4, stop 0, start 0", 4, 1),
    ],
)
def test_what_the_turns_amount_to(story: str, canary: int | None, turns: int) -> None:
    tags: dict[str, str] = {}
    moves = 0
    for step, told in enumerate(story.split(", ")):
        verb, number = told.split()
        said = {"verb": verb, "version": int(number), "share": 10.0, "why": "", "moves": moves}
        if verb in ("promote", "rollback"):
            moves += 1
        tags[f"{'champion' if verb in ('promote', 'rollback') else 'traffic'}.{step:06d}"] = json.dumps(said)
    assert Traffic.read("hours", tags).canary == (VersionId("hours", canary) if canary else None)
    assert len(steered(tags).trial) == turns


def test_a_promotion_that_is_killed_half_way_leaves_no_canary_that_meets_itself(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(two, 10)
    registry = Registry(two.paths)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry.client, "set_registered_model_alias", crash)
    with pytest.raises(KeyboardInterrupt):
        champion.promote(registry, SECOND, str, now=BEGAN, why="a test", force=True)
    assert traffic_of(two) == Traffic()


def test_a_canary_that_a_hand_made_the_champion_answers_as_champion_and_nothing_breaks(two: Project) -> None:
    begin(two, 50)
    registry, operations = Registry(two.paths), load_operations(two.paths.operations)
    shelf = Shelf(two.paths, operations)
    shelf.follow()
    assert shelf.champion is not None and shelf.canary is not None and shelf.canary.name == "hours/2"
    body = json.dumps(shelf.champion.request.example())
    name = registry.operations.registered("hours")
    with TestClient(create_app(shelf, two.paths, operations, follow=False)) as client:

        def asked() -> set[str]:
            assert "hours" in client.get("/").text and client.get("/metrics").status_code == 200
            answers = [client.post("/predict", content=body, headers={"x-routing-key": str(n)}) for n in range(20)]
            assert {answer.status_code for answer in answers} == {200}
            return {answer.json()["model_version"] for answer in answers}

        assert asked() == {"hours/1", "hours/2"}
        registry.client.set_registered_model_alias(name, "champion", "2")
        shelf.follow()
        assert shelf.champion.name == "hours/2" and shelf.canary is None and asked() == {"hours/2"}
        status = two.ml("canary", "status")
        assert status.code in (0, 1, 4) and "Traceback" not in status.err
        registry.client.set_registered_model_alias(name, "champion", "1")
        shelf.follow()
        assert asked() == {"hours/1", "hours/2"}, "and it is the canary again"


def test_the_switch_stops_and_starts_and_says_why(two: Project) -> None:
    assert two.ml("scoring").out == "hours answers\n"
    nameless = two.ml("scoring", "stop")
    assert nameless.code == 2 and "callers are told why" in nameless.err and traffic_of(two).stopped is None
    begin(two, 10)
    ran = two.ml("scoring", "stop", "--reason", "prices are wrong")
    assert ran.code == 0 and "hours is stopped" in ran.out and "uv run ml scoring start" in ran.out
    assert traffic_of(two) == Traffic(canary=SECOND, share=10, stopped="prices are wrong")
    assert "hours is stopped already" in two.ml("scoring", "stop", "--reason", "again").out
    assert "prices are wrong" in two.ml("scoring").out and two.ml("scoring", "--json").json["on"] is False
    assert "scoring is stopped: prices are wrong" in two.ml("canary", "status").out
    assert two.ml("canary", "end").code == 0
    assert traffic_of(two) == Traffic(stopped="prices are wrong"), "a trial and the switch know nothing of each other"
    assert two.ml("scoring", "start", "--reason", "mended").code == 0
    assert traffic_of(two) == Traffic()
    assert two.ml("scoring", "halt").code == 2
    verbs = [turn["verb"] for turn in two.ml("versions", "--json").json["traffic"]]
    assert verbs == ["canary", "stop", "end", "start"]


def test_the_traffic_over_http(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = '{"verb": "canary", "version": 7, "share": 5.0, "moves": 1, "at": "2026-05-20T06:00:00+00:00"}'
    stop = '{"verb": "stop", "version": null, "share": null, "moves": 1, "why": "a test"}'
    move = '{"verb": "promote", "version": 7, "previous": null}'
    for tags, said in (
        ([turn], Traffic(canary=VersionId("hours", 7), share=5)),
        ([turn, stop], Traffic(canary=VersionId("hours", 7), share=5, stopped="a test")),
        ([], Traffic()),
    ):
        listed = [{"key": f"traffic.{number:06d}", "value": value} for number, value in enumerate(tags, 1)]
        listed += [{"key": "champion.000001", "value": move}, {"key": "owner"}]
        with answering(200, {"registered_model": {"tags": listed}}) as uri:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            assert traffic_of(project) == said
    with answering(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert traffic_of(project) == Traffic()


# what the log says of the two

LEARNT = date(2026, 5, 20)


def truth_of(project: Project, day: date) -> pl.DataFrame:
    """The rows of a day as callers would send them, and what turned out to be true."""
    store, keys = Store(project.paths), CONTRACT.rows.schema.primary_key()
    known = matured(CONTRACT, day, "delivered_hours", store, also=keys)
    return store.read(CONTRACT.rows.name, day).join(known, on=keys, how="left").drop_nulls(TRUTH)


def logged(
    project: Project,
    rows: pl.DataFrame,
    predicted: np.ndarray,
    role: str,
    *,
    version: str = "",
    day: date = LEARNT,
    latency: float = 3.0,
    together: int = 1,
    degraded: str | None = None,
    prefix: str = "r",
    after: timedelta = timedelta(hours=7),
) -> None:
    """Write what a server would have logged for ``rows``, ``together`` of them in each request."""
    number = np.arange(rows.height)
    frame = rows.select(
        pl.Series("request_id", [f"{prefix}{n // together}" for n in number]),
        pl.Series("row", number % together, dtype=pl.UInt32),
        pl.lit(datetime(day.year, day.month, day.day, tzinfo=UTC) + after).cast(pl.Datetime("us", "UTC")).alias("at"),
        pl.lit(version or {"champion": "hours/1"}.get(role, "hours/2")).alias("model_version"),
        pl.lit(role).alias("role"),
        pl.lit(degraded, pl.String).alias("degraded"),
        pl.Series("latency_ms", latency * (1 + (number // together % 100) / 100)),
        pl.Series("prediction", predicted, dtype=pl.Float64),
        *[pl.col(name) for name in CONTRACT.rows.schema.column_names()],
    )
    folder = project.paths.root / "data" / "requests" / "hours" / str(day)
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / f"host-1-{len(list(folder.iterdir()))}.parquet")


def wrong_by(rows: pl.DataFrame, spread: float, seed: int) -> np.ndarray:
    return rows[TRUTH].to_numpy() + np.random.default_rng(seed).normal(0, spread, rows.height)


@pytest.fixture
def shadowed(two: Project, at: Callable[[datetime], None]) -> Project:
    """hours/2 is the shadow since the morning of LEARNT; it is 3 June now, and all labels of that day are in."""
    begin(two, None)
    at(datetime(2026, 6, 3, 6, tzinfo=UTC))
    return two


@pytest.fixture
def tried(two: Project, at: Callable[[datetime], None]) -> Project:
    """The same with hours/2 as the canary for half of the requests."""
    begin(two, 50)
    at(datetime(2026, 6, 3, 6, tzinfo=UTC))
    return two


def status(project: Project, verdict: str, code: int) -> dict[str, Any]:
    ran = project.ml("canary", "status", "--json")
    assert ran.err == "" and ran.code == code, ran.out
    assert ran.json["verdict"] == verdict, ran.json["said"]
    shown = project.ml("canary", "status")
    assert shown.code == code and shown.err == "" and verdict.replace("NOTHING", "no canary") in shown.out
    return ran.json | {"shown": shown.out}


def test_without_a_trial_there_is_nothing_to_compare(two: Project) -> None:
    said = status(two, "NOTHING", 0)
    assert said["said"] == "no canary and no shadow: every request goes to hours/1"


def test_a_trial_that_nobody_met_yet_is_no_verdict(shadowed: Project) -> None:
    said = status(shadowed, "NOT YET", 4)
    assert "0 labelled requests that both answered; 300 are the least" in said["said"]
    assert [side["requests"] for side in said["sides"]] == [0, 0]
    assert "too few" in said["shown"] and "fresher data" in said["shown"]


@pytest.mark.parametrize(
    ("spread", "verdict", "code", "following"),
    [(0.5, "PASS", 0, "uv run ml canary promote"), (3.0, "FAIL", 1, "uv run ml canary end"), (1.0, "PASS", 0, "")],
)
def test_a_shadow_is_judged_row_by_row_by_the_gates_rule(
    spread: float, verdict: str, code: int, following: str, shadowed: Project
) -> None:
    rows = truth_of(shadowed, LEARNT)
    served, shadow = wrong_by(rows, 1.0, 1), wrong_by(rows, spread, 2)
    logged(shadowed, rows, served, "champion")
    logged(shadowed, rows, shadow, "shadow", latency=4.5)
    said = status(shadowed, verdict, code)
    gate = comparison.compare("mae", rows[TRUTH].to_numpy(), shadow, served, 0.5)
    assert said["difference"]["mean"] == pytest.approx(gate.mean)
    assert [said["difference"]["low"], said["difference"]["high"]] == pytest.approx(gate.interval)
    assert said["ratio"] == {} and " times" not in said["shown"], "it waited for its turn: its times are not compared"
    assert said["sides"][1]["latency"]["p50"] == pytest.approx(1.5 * said["sides"][0]["latency"]["p50"])
    assert "row by row" in said["shift"] and following in said["shown"]
    assert f"{rows.height:,} rows have theirs" in said["labels"]


def test_rows_that_cannot_tell_say_how_many_could(shadowed: Project) -> None:
    rows = truth_of(shadowed, LEARNT).head(400)
    served, shadow = wrong_by(rows, 3.0, 5), wrong_by(rows, 3.0, 6)
    logged(shadowed, rows, served, "champion")
    logged(shadowed, rows, shadow, "shadow")
    said = status(shadowed, "INCONCLUSIVE", 4)
    gate = comparison.compare("mae", rows[TRUTH].to_numpy(), shadow, served, 0.5)
    needed = comparison.rows_needed(gate, 0.1)
    assert said["requests_needed"] == needed and f"about {needed:,} could" in said["said"]


def test_299_rows_are_no_verdict_however_clear_they_look(shadowed: Project) -> None:
    rows = truth_of(shadowed, LEARNT).head(299)
    logged(shadowed, rows, wrong_by(rows, 0.1, 1), "champion")
    logged(shadowed, rows, wrong_by(rows, 50, 2), "shadow")
    said = status(shadowed, "NOT YET", 4)
    assert "299 labelled requests that both answered; 300 are the least" in said["said"]
    assert "300 are the least" in said["shift"] and said["sides"][1]["latency"]["p99"] is None
    assert said["sides"][1]["latency"]["p95"] is not None, "of 299 requests 15 are slower"


def test_a_thousand_rows_of_one_request_are_no_thousand_rows(shadowed: Project) -> None:
    rows = truth_of(shadowed, LEARNT).head(1500)
    logged(shadowed, rows, wrong_by(rows, 1, 1), "champion", together=500)
    logged(shadowed, rows, wrong_by(rows, 0.5, 2), "shadow", together=500)
    said = status(shadowed, "NOT YET", 4)
    assert "3 labelled requests" in said["said"] and said["sides"][0]["rows"] == 1500


def test_labels_that_are_not_complete_yet_judge_nothing(shadowed: Project) -> None:
    """Those that come first are the quick ones: who predicts short times would win."""
    day = date(2026, 5, 29)
    rows = truth_of(shadowed, day)
    assert rows.height > 1000, "most of them are in already"
    logged(shadowed, rows, wrong_by(rows, 1, 1), "champion", day=day)
    logged(shadowed, rows, wrong_by(rows, 0.5, 2), "shadow", day=day)
    said = status(shadowed, "NOT YET", 4)
    assert "labels of 2026-05-29 are complete when those that come until 2026-06-03 are ingested" in said["said"]
    assert f"0 rows have theirs, {rows.height:,} wait" in said["labels"]
    assert "row by row" in said["shift"], "how predictions moved needs no labels"


@pytest.mark.parametrize(("spread", "verdict", "code"), [(0.2, "PASS", 0), (3.0, "FAIL", 1)])
def test_a_canary_is_judged_on_rows_of_its_own(spread: float, verdict: str, code: int, tried: Project) -> None:
    rows = truth_of(tried, LEARNT)
    ours, theirs = rows.gather_every(2), rows.gather_every(2, 1)
    logged(tried, theirs, wrong_by(theirs, 1.0, 1), "champion", prefix="a")
    logged(tried, ours, wrong_by(ours, spread, 2), "canary", prefix="b", latency=3.0 * spread)
    said = status(tried, verdict, code)
    assert said["ratio"]["p50"] == pytest.approx(spread, rel=0.02)
    assert ("slower than gate.latency_ratio allows" in said["shown"]) is said["slower"] is (spread > 1.2)
    losses = [np.abs(wrong_by(of, s, n) - of[TRUTH].to_numpy()) for of, s, n in ((ours, spread, 2), (theirs, 1.0, 1))]
    assert said["difference"]["mean"] == pytest.approx(losses[1].mean() - losses[0].mean())
    assert said["share"] == 50 and [side["rows"] for side in said["sides"]] == [theirs.height, ours.height]
    assert "which is noise" in said["shift"], "two halves of a day, and errors small beside what they predict"


def test_a_canary_that_predicts_otherwise_is_seen_before_its_labels_are_in(tried: Project) -> None:
    day = date(2026, 5, 30)
    rows = truth_of(tried, day)
    ours, theirs = rows.gather_every(2), rows.gather_every(2, 1)
    logged(tried, theirs, wrong_by(theirs, 1.0, 1), "champion", day=day, prefix="a")
    logged(tried, ours, wrong_by(ours, 1.0, 2) * 1.5, "canary", day=day, prefix="b")
    said = status(tried, "NOT YET", 4)
    assert "more than noise" in said["shift"] and "wait" in said["labels"]


def test_a_share_that_grew_on_a_hard_day_blames_nobody(tried: Project, at: Callable[[datetime], None]) -> None:
    """Both lose 1 on the first day and 5 on the second, when the canary got most: pooled, it would look far worse."""
    begin(tried, 90, now=datetime(2026, 5, 21, tzinfo=UTC))
    for day, loss, every in ((date(2026, 5, 20), 1.0, 10), (date(2026, 5, 21), 5.0, 2)):
        rows = truth_of(tried, day).with_row_index("n")
        chosen = (pl.col("n") % every == 0) if every == 10 else (pl.col("n") % 10 > 0)
        for role, of in (("canary", rows.filter(chosen)), ("champion", rows.filter(~chosen))):
            wrong = of[TRUTH].to_numpy() + loss + np.random.default_rng(of.height).normal(0, 0.01, of.height)
            logged(tried, of.drop("n"), wrong, role, day=day, prefix=f"{role}{day}-")
    said = status(tried, "PASS", 0)
    assert abs(said["difference"]["mean"]) < 0.01
    assert "requests at this share" in said["shift"], "days of another share are none of this one's"


def test_what_was_answered_before_by_another_or_in_need_is_not_compared(tried: Project) -> None:
    rows = truth_of(tried, LEARNT)
    ours, theirs = rows.gather_every(2), rows.gather_every(2, 1)
    logged(tried, theirs, wrong_by(theirs, 1.0, 1), "champion", prefix="a")
    logged(tried, ours, wrong_by(ours, 0.2, 2), "canary", prefix="b")
    before = status(tried, "PASS", 0)
    wrong = np.full(ours.height, 1e6)
    logged(tried, ours, wrong, "canary", prefix="c", after=timedelta(hours=5))  # before it began
    logged(tried, ours, wrong, "canary", prefix="d", version="hours/9")
    logged(tried, ours, wrong, "version", prefix="e")
    assert status(tried, "PASS", 0)["difference"] == before["difference"]
    logged(tried, ours, wrong, "canary", prefix="f", degraded="baseline")
    logged(tried, ours, wrong, "champion", prefix="g", version="hours/9", degraded="last_good")
    after = status(tried, "PASS", 0)
    assert after["difference"] == before["difference"] and after["ratio"] == before["ratio"]
    assert [side["degraded"] for side in after["sides"]] == [ours.height, ours.height]


def test_a_canary_that_no_server_lets_answer_is_noticed(tried: Project) -> None:
    rows = truth_of(tried, LEARNT)
    logged(tried, rows.head(19), wrong_by(rows.head(19), 1.0, 1), "champion")
    assert "is it refused?" not in status(tried, "NOT YET", 4)["said"], "that may be luck"
    logged(tried, rows, wrong_by(rows, 1.0, 1), "champion")
    said = status(tried, "NOT YET", 4)["said"]
    assert "hours/2 answered none of" in said and "is it refused? /version of a server says why" in said


def test_a_caller_who_gives_every_request_the_same_id_mixes_nothing(shadowed: Project) -> None:
    rows = truth_of(shadowed, LEARNT)
    for role in ("champion", "shadow"):
        logged(
            shadowed, rows.sample(fraction=1, shuffle=True, seed=len(role)), rows[TRUTH].to_numpy(), role, together=1
        )
    path = shadowed.paths.root / "data" / "requests" / "hours" / str(LEARNT)
    for file in path.iterdir():
        frame = pl.read_parquet(file).with_columns(request_id=pl.lit("me"), prediction=pl.col("distance_km"))
        frame.write_parquet(file)
    said = status(shadowed, "NOT YET", 4)
    assert "1 labelled requests" in said["said"], "and a verdict is not built on one request"
    assert f"{rows.height:,} rows have theirs" in said["labels"]


def test_a_champion_that_moved_meanwhile_starts_the_comparison_anew(tried: Project) -> None:
    rows = truth_of(tried, LEARNT)
    logged(tried, rows, wrong_by(rows, 1.0, 1), "champion")
    registry, moved = Registry(tried.paths), BEGAN + timedelta(days=1)
    champion.promote(registry, SECOND, str, now=BEGAN, why="a test", force=True)
    champion.rollback(registry, "hours", FIRST, str, now=BEGAN, why="")
    begin(tried, 50, now=BEGAN)
    assert status(tried, "NOT YET", 4)["sides"][0]["rows"] == rows.height
    name = registry.operations.registered("hours")
    move = {"at": moved.isoformat(), "verb": "rollback", "version": 1, "previous": 9, "who": "", "why": "", "gate": ""}
    registry.client.set_registered_model_tag(name, "champion.000009", json.dumps(move))
    said = status(tried, "NOT YET", 4)
    assert said["sides"][0]["rows"] == 0 and "when hours/1 became the champion" in said["shown"]


def test_rows_without_a_key_or_a_label_are_counted_and_not_judged(shadowed: Project) -> None:
    rows = truth_of(shadowed, LEARNT).head(600)
    nameless = pl.when(pl.int_range(pl.len()) < 100).then(None).otherwise("parcel_id")
    stranger = pl.when(pl.int_range(pl.len()) >= 550).then("x" + pl.col("parcel_id")).otherwise("parcel_id")
    rows = rows.with_columns(stranger.alias("parcel_id")).with_columns(nameless.alias("parcel_id"))
    for role, spread, seed in (("champion", 1.0, 1), ("shadow", 0.2, 2)):
        logged(shadowed, rows, wrong_by(rows, spread, seed), role)
        logged(shadowed, rows, wrong_by(rows, spread, seed), role, prefix="again")
    said = status(shadowed, "PASS", 0)
    assert "450 rows have theirs, 0 wait, 50 will have none" in said["labels"]
    assert "200 came without their key, or it is redacted" in said["labels"]


def test_a_log_that_is_off_compares_nothing(shadowed: Project) -> None:
    shadowed.edit("operations.yaml", "enabled: true", "enabled: false")
    assert "the prediction log is off (serving.log.enabled)" in status(shadowed, "NOT YET", 4)["said"]


def test_a_version_without_a_gate_has_figures_and_no_verdict(shadowed: Project) -> None:
    registry = Registry(shadowed.paths)
    facts = registry.facts(SECOND)
    facts["config"]["gate"] = None
    registry.remember(SECOND, FACTS, facts)
    rows = truth_of(shadowed, LEARNT)
    for role, spread, seed in (("champion", 1.0, 1), ("shadow", 3.0, 2)):
        logged(shadowed, rows, wrong_by(rows, spread, seed), role)
    said = status(shadowed, "NO RULE", 0)
    assert "has no gate section: its figures decide nothing" in said["said"]
    assert "row by row" in said["shift"] and f"{rows.height:,} rows have theirs" in said["labels"]


# the rule


def test_with_one_row_a_request_the_rows_are_what_they_are() -> None:
    values = np.random.default_rng(1).normal(size=500)
    np.testing.assert_allclose(samples.by_request(values, np.arange(500)), values, atol=1e-12)


def test_the_spread_of_a_mean_over_requests_is_that_of_requests() -> None:
    """The standard error that is said against the one that many repetitions show; rows as such say a third of it."""
    draw = np.random.default_rng(2)
    means, errors, naive = [], [], []
    for _ in range(400):
        request = np.repeat(np.arange(60), draw.integers(1, 40, 60))
        values = draw.normal(size=60)[request] + 0.2 * draw.normal(size=len(request))
        one = samples.by_request(values, request)
        means.append(one.mean())
        errors.append(one.std(ddof=1) / len(one) ** 0.5)
        naive.append(values.std(ddof=1) / len(values) ** 0.5)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.12)
    assert np.mean(naive) < 0.5 * np.std(means)
    assert means[-1] == pytest.approx(values.mean())


@pytest.mark.parametrize("metric", ["mae", "log_loss", "accuracy", "auc"])
def test_an_unpaired_interval_covers_what_it_says(metric: str) -> None:
    """Two equal models on rows of their own: the upper end of the interval lies below 0 in one of twenty cases."""
    draw, below, above, times = np.random.default_rng(3), 0, 0, 1000

    def rows(count: int) -> np.ndarray:
        if metric == "mae":
            truth = draw.exponential(10, count)
            return np.column_stack([np.arange(count), truth, truth + draw.normal(0, 1 + truth / 10)])
        chance = draw.beta(2, 4, count)
        return np.column_stack([np.arange(count), draw.random(count) < chance, chance])

    for _ in range(times):
        low, high = samples.apart(metric, rows(400), rows(1600), 0.5).interval
        below, above = below + (high < 0), above + (low > 0)
    assert 0.03 < below / times < 0.07 and 0.03 < above / times < 0.07


def test_stretches_are_compared_within_and_not_across() -> None:
    first = comparison.Difference(mean=0.2, error=0.1, sd=1.0, rows=100)
    second = comparison.Difference(mean=0.5, error=0.05, sd=1.0, rows=300)
    both = samples.combined([first, second])
    assert both.mean == pytest.approx(0.425) and both.rows == 400
    assert both.error == pytest.approx((0.025**2 + 0.0375**2) ** 0.5)
    assert samples.combined([first]).interval == pytest.approx(first.interval)


def test_the_gap_is_that_of_scipy_and_noise_is_exceeded_once_in_twenty() -> None:
    draw = np.random.default_rng(4)
    one, other = draw.normal(size=300), draw.normal(0.3, size=900)
    assert samples.gap(one, other) == pytest.approx(ks_2samp(one, other).statistic)
    assert samples.gap(np.ones(5), np.ones(7)) == 0 and samples.gap(np.zeros(5), np.ones(7)) == 1
    wide = sum(samples.gap(draw.random(300), draw.random(900)) > samples.noise(300, 900) for _ in range(1000))
    assert 30 < wide < 70
