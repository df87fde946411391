"""`ml run`: what a day's run produces, from what, with which model; and that running it again changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from {{cookiecutter.package_name}} import clock, files, sample_upstream
from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.errors import ProjectError
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.model.version import ESTIMATOR, TREES, ModelVersion
from {{cookiecutter.package_name}}.operations import daily
from {{cookiecutter.package_name}}.operations import score as scoring
from {{cookiecutter.package_name}}.serving import worker

from conftest import LAST, Project, Ran

D = LAST + timedelta(days=1)
"""The first day that the project with a champion has not seen."""
RUN = ("run", "--date", str(D))
MORNING = datetime(D.year, D.month, D.day, 6, tzinfo=UTC) + timedelta(days=1)
"""When the schedule runs it; the deadline is three hours later."""


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the clock."""
    return lambda moment: monkeypatch.setattr(clock, "now", lambda: moment)


def record(project: Project, day: date = D) -> dict[str, Any]:
    return json.loads((project.paths.root / "var" / "ledger" / "daily" / f"{day}.json").read_text("utf-8"))


def step(attempt: dict[str, Any], name: str) -> dict[str, Any]:
    return next(step for step in attempt["steps"] if step["name"] == name)


def codes(attempt: dict[str, Any]) -> dict[str, str]:
    """Tier of every check that was noted, by code."""
    return {check["code"]: check["tier"] for step in attempt["steps"] for check in step["checks"]}


def predictions(project: Project, day: date = D) -> pl.DataFrame:
    return Store(project.paths).read("predictions/hours", day)


def without_upstream(project: Project, *deliveries: str, day: date = D) -> None:
    """Upstream is somebody else now, and has delivered these tables of the day."""
    project.edit("operations.yaml", "sample: true", "sample: false")
    for table in deliveries:
        project.drop(table, day, sample_upstream.table(table, day))


def test_the_ledger_says_what_a_run_produced_from_what_and_with_which_model(promoted: Project) -> None:
    ran = promoted.ml(*RUN, "--json")
    assert ran.code == 0, ran.err + ran.out
    (attempt,) = record(promoted)["attempts"]
    assert ran.json == {"date": str(D), **attempt}
    assert [step["name"] for step in attempt["steps"]] == [
        *("ingest parcels", "ingest deliveries", "score", "labels", "monitor", "retrain")
    ]
    store, lock = Store(promoted.paths), promoted.paths.lock_file
    for name, table in (
        ("ingest parcels", "parcels"),
        ("ingest deliveries", "deliveries"),
        ("score", "predictions/hours"),
    ):
        manifest = store.manifest(table, D)
        assert manifest is not None
        (partition,) = step(attempt, name)["partitions"]
        assert partition == {
            "table": table, "partition": str(D), "sha256": manifest.sha256, "rows": manifest.rows, "changed": True,
        }  # fmt: skip
        assert step(attempt, name)["rows_out"] == manifest.rows
    assert attempt["model_version"] == step(attempt, "score")["facts"]["version"] == "hours/1"
    assert attempt["outcome"] == "ok" and attempt["exit"] == 0 and attempt["git_commit"] == "none"
    assert attempt["lock_sha256"] == files.sha256(lock)
    assert all(step["started"] <= step["ended"] for step in attempt["steps"])


def test_predictions_are_what_the_api_would_have_answered(promoted: Project) -> None:
    assert promoted.ml(*RUN).code == 0
    made, rows = predictions(promoted), Store(promoted.paths).read("parcels", D)
    assert made["parcel_id"].to_list() == rows["parcel_id"].to_list()
    loaded, _ = worker.open_placed(VersionId("hours", 1), promoted.paths)
    requests = [
        {
            name: f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in rows.head(50).to_dicts()
    ]
    answered = loaded.answer(json.dumps(requests).encode()).values
    assert np.array_equal(made["delivered_hours"].head(50).to_numpy(), answered)


@pytest.mark.parametrize("case", ["no verdict", "it fails", "another machine's"])
def test_many_rows_go_by_the_short_cut_where_a_verdict_allows_it_and_are_predicted_alike(
    case: str, promoted: Project
) -> None:
    operations, version = load_operations(promoted.paths.operations), VersionId("hours", 1)
    assert promoted.ml(*RUN).code == 0
    by_estimator = promoted.tree("data/predictions")
    assert worker.prove(version, promoted.paths)[1] is None
    assert scoring.opened(version, promoted.paths, operations).path == TREES
    assert scoring.opened(version, promoted.paths, operations, rows=scoring.SMALL - 1).path == ESTIMATOR
    assert promoted.ml("score", "--date", str(D)).code == 0
    assert promoted.tree("data/predictions") == by_estimator
    verdict = promoted.paths.serving / version.folder / worker.PROVEN
    said = json.loads(verdict.read_text(encoding="utf-8"))
    if case == "no verdict":
        verdict.unlink()
    else:
        changed = {"verdict": [said["verdict"][0], "row 7"]} if case == "it fails" else {"under": {"machine": "other"}}
        verdict.write_text(json.dumps(said | changed), encoding="utf-8")
    assert scoring.opened(version, promoted.paths, operations).path == ESTIMATOR


def test_the_second_task_is_scored_with_its_probability(promoted: Project) -> None:
    assert promoted.overrule("late/1").code == 0
    assert promoted.ml("ingest", "--date", str(D)).code == 0
    ran = promoted.ml("score", "--date", str(D), "--model", "late", "--json")
    assert ran.code == 0, ran.err
    made = Store(promoted.paths).read("predictions/late", D)
    assert made.columns == ["parcel_id", "late", "late_probability"]
    assert made["late"].to_list() == (made["late_probability"] >= 0.5).to_list()
    assert ran.json["model_version"] == "late/1" and ran.json["rows"] == made.height


def test_twice_gives_the_same_data_and_another_attempt(promoted: Project) -> None:
    assert promoted.ml(*RUN).code == 0
    once = promoted.tree()
    assert promoted.ml(*RUN).code == 0
    assert promoted.tree() == once
    first, second = record(promoted)["attempts"]
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert [p["changed"] for s in second["steps"] for p in s["partitions"]] == [False, False, False]


def test_another_machine_gives_the_same_data(promoted: Project, tmp_path: Path) -> None:
    other = promoted.copy(tmp_path / "other")
    assert promoted.ml(*RUN).code == other.ml(*RUN).code == 0
    assert promoted.tree() == other.tree()


def test_a_corrected_delivery_replaces_the_day_and_scores_it_again(promoted: Project) -> None:
    assert promoted.ml(*RUN).code == 0
    before = predictions(promoted)
    corrected = sample_upstream.table("parcels", D).with_columns(pl.col("distance_km") * 1.5).head(1_900)
    promoted.drop("parcels", D, corrected)
    assert promoted.ml(*RUN).code == 0
    after = predictions(promoted)
    assert after.height == 1_900 and before.height > 1_900
    assert (after["delivered_hours"] != before.head(1_900)["delivered_hours"]).any()
    first, second = record(promoted)["attempts"]
    for name in ("ingest parcels", "score"):
        (was,), (now,) = step(first, name)["partitions"], step(second, name)["partitions"]
        assert was["sha256"] != now["sha256"] and now["changed"]
    assert (
        step(first, "ingest parcels")["facts"]["source_sha256"]
        != step(second, "ingest parcels")["facts"]["source_sha256"]
    )
    files = [path.name for path in (promoted.paths.root / "data" / "predictions" / "hours").iterdir()]
    assert len(files) == 2, "one object and its manifest: replaced, never appended"


def test_another_champion_scores_the_day_again(promoted: Project) -> None:
    assert promoted.ml(*RUN).code == 0
    before = promoted.tree("data/predictions")
    promoted.edit("configs/hours.yaml", "max_iter: 10", "max_iter: 20")
    assert promoted.ml("train", "--config", "configs/hours.yaml").code == 0
    assert promoted.overrule("2").code == 0
    assert promoted.ml(*RUN).code == 0
    assert promoted.tree("data/predictions").keys() != before.keys()
    assert [attempt["model_version"] for attempt in record(promoted)["attempts"]] == ["hours/1", "hours/2"]


def test_not_there_yet_is_exit_4_and_nothing_is_scored(promoted: Project, at: Callable[[datetime], None]) -> None:
    without_upstream(promoted, "deliveries")
    at(MORNING)
    before = promoted.tree("data/predictions")
    ran = promoted.ml(*RUN)
    assert ran.code == 4
    (attempt,) = record(promoted)["attempts"]
    assert attempt["outcome"] == "late" and codes(attempt) == {"FRESH001": "log"}
    assert "due by 2026-06-04 09:00 UTC" in step(attempt, "ingest parcels")["checks"][0]["said"]
    assert step(attempt, "score")["outcome"] == "not due" and "no other day's" in step(attempt, "score")["said"]
    assert promoted.tree("data/predictions") == before
    promoted.drop("parcels", D, sample_upstream.table("parcels", D))
    assert promoted.ml(*RUN).code == 0
    assert predictions(promoted).height > 1_000


def test_missing_past_the_deadline_pages_and_is_not_worth_a_retry(
    promoted: Project, at: Callable[[datetime], None]
) -> None:
    without_upstream(promoted, "deliveries")
    at(MORNING + timedelta(hours=3, seconds=1))
    assert promoted.ml(*RUN).code == 1
    (attempt,) = record(promoted)["attempts"]
    assert codes(attempt) == {"FRESH002": "page"}


def test_labels_that_are_late_do_not_keep_the_day_from_being_scored(
    promoted: Project, at: Callable[[datetime], None]
) -> None:
    without_upstream(promoted, "parcels")
    at(MORNING)
    assert promoted.ml(*RUN).code == 4
    (attempt,) = record(promoted)["attempts"]
    assert step(attempt, "score")["outcome"] == "ok" and step(attempt, "ingest deliveries")["outcome"] == "late"
    assert predictions(promoted).height > 1_000
    at(MORNING + timedelta(hours=4))
    assert promoted.ml(*RUN).code == 1
    assert codes(record(promoted)["attempts"][1])["FRESH002"] == "ticket"


def test_waiting_asks_again_less_and_less_often_until_the_data_are_there(promoted: Project) -> None:
    without_upstream(promoted, "deliveries")
    time, slept = [MORNING], []

    def sleep(seconds: float) -> None:
        slept.append(seconds / 60)
        time[0] += timedelta(seconds=seconds)
        if len(slept) == 3:
            promoted.drop("parcels", D, sample_upstream.table("parcels", D))

    done = daily.run_until(D, promoted.paths, clock=lambda: time[0], sleep=sleep)
    assert done.exit == 0 and slept == [5, 10, 20]
    assert [attempt["exit"] for attempt in record(promoted)["attempts"]] == [4, 4, 4, 0]


def test_waiting_ends_with_the_deadline_and_a_page(promoted: Project) -> None:
    without_upstream(promoted, "deliveries")
    time, slept = [MORNING], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds / 60))
        time[0] += timedelta(seconds=seconds)

    done = daily.run_until(D, promoted.paths, clock=lambda: time[0], sleep=sleep)
    assert done.exit == 1 and slept == [5, 10, 20, 40, 60, 45]
    assert [check.code for check in done.checks] == ["FRESH002"]


def test_what_upstream_no_longer_keeps_is_taken_from_the_partition(promoted: Project) -> None:
    assert promoted.ml(*RUN).code == 0
    before = promoted.tree("data/predictions")
    without_upstream(promoted)
    for table in ("parcels", "deliveries"):
        (promoted.paths.root / "data" / "upstream" / table / f"{D}.parquet").unlink()
    assert promoted.ml(*RUN).code == 0
    assert "upstream has it no longer" in step(record(promoted)["attempts"][1], "ingest parcels")["said"]
    assert promoted.tree("data/predictions") == before


def test_a_refused_day_is_not_scored_and_what_was_there_stays(promoted: Project) -> None:
    assert promoted.ml(*RUN).code == 0
    before = promoted.tree("data/predictions") | promoted.tree("data/partitions")
    kilograms = sample_upstream.table("parcels", D).with_columns(pl.col("weight_g") / 1000)
    promoted.drop("parcels", D, kilograms)
    assert promoted.ml(*RUN).code == 3
    assert codes(record(promoted)["attempts"][1]) == {"DATA001": "page"}
    assert promoted.tree("data/predictions") | promoted.tree("data/partitions") == before


def test_yesterdays_file_again_is_called_stale_and_never_scored(promoted: Project) -> None:
    without_upstream(promoted, "deliveries")
    promoted.drop("parcels", D, sample_upstream.table("parcels", LAST))
    assert promoted.ml(*RUN).code == 3
    (attempt,) = record(promoted)["attempts"]
    assert codes(attempt) == {"FRESH004": "page"}
    assert not (promoted.paths.root / "data" / "predictions").exists()


def test_fewer_rows_than_the_weekdays_normal_are_scored_and_page(promoted: Project) -> None:
    for back in range(3, 5):  # the project holds two of the four weeks
        assert promoted.ml("ingest", "--date", str(D - timedelta(weeks=back))).code == 0
    without_upstream(promoted, "deliveries")
    promoted.drop("parcels", D, sample_upstream.table("parcels", D).head(1_200))
    assert promoted.ml(*RUN).code == 1
    (attempt,) = record(promoted)["attempts"]
    assert codes(attempt) == {"FRESH003": "page"}
    assert step(attempt, "monitor")["facts"]["normal"]["days"] == 4
    assert predictions(promoted).height == 1_200
    promoted.drop("parcels", D, sample_upstream.table("parcels", D))
    assert promoted.ml(*RUN).code == 0, "upstream completes it"


def test_without_four_weeks_there_is_no_normal_and_it_says_so(promoted: Project) -> None:
    assert promoted.ml(*RUN).code == 0
    monitor = step(record(promoted)["attempts"][0], "monitor")
    assert "normal" not in monitor["facts"] and "no normal before 4 Wednesdays" in monitor["said"]


def test_rows_set_aside_are_noted(promoted: Project) -> None:
    labels = sample_upstream.table("deliveries", D)
    slow = pl.when(pl.int_range(pl.len()) < 3).then(500.0).otherwise("delivered_hours").alias("delivered_hours")
    promoted.drop("deliveries", D, labels.with_columns(slow))
    assert promoted.ml(*RUN).code == 0
    (attempt,) = record(promoted)["attempts"]
    ingested = step(attempt, "ingest deliveries")
    assert codes(attempt) == {"DATA002": "log"} and ingested["rows_in"] == ingested["rows_out"] + 3


def test_matured_labels_say_what_the_predictions_were_worth(promoted: Project) -> None:
    due = D - timedelta(days=5)
    assert promoted.ml("run", "--date", str(due)).code == 0
    assert promoted.ml(*RUN).code == 0
    facts = step(record(promoted)["attempts"][0], "labels")["facts"]
    rows = Store(promoted.paths).read("parcels", due)
    assert facts["day"] == str(due) and facts["rows"] == rows.height and facts["labelled"] == 1
    truth = pl.concat(Store(promoted.paths).read("deliveries", due + timedelta(days=n)) for n in range(6))
    joined = predictions(promoted, due).rename({"delivered_hours": "predicted"}).join(truth, on="parcel_id")
    assert facts["value"] == pytest.approx((joined["predicted"] - joined["delivered_hours"]).abs().mean())
    assert facts["metric"] == "mae" and facts["model_version"] == "hours/1" and 0 < facts["skill"] < 1


def test_labels_that_are_due_and_did_not_come_are_a_ticket(promoted: Project) -> None:
    due = D - timedelta(days=5)
    few = sample_upstream.table("deliveries", due + timedelta(days=1)).head(500)
    promoted.drop("deliveries", due + timedelta(days=1), few)
    assert promoted.ml("ingest", "--date", str(due + timedelta(days=1))).code == 0
    assert promoted.ml(*RUN).code == 1
    (attempt,) = record(promoted)["attempts"]
    assert codes(attempt) == {"LABEL001": "ticket"}
    assert "metric" not in step(attempt, "labels")["facts"], "a day without its labels judges no model"


def test_without_a_champion_a_day_is_ingested_and_waits_for_one(trained: Project) -> None:
    ran = trained.ml(*RUN)
    assert (
        ran.code == 0
        and ran.out.startswith("NOT SCORED")
        and f"ml train --config configs/v1.yaml --date {D}" in ran.out
    )
    status = trained.ml("status", "--date", str(D))
    assert status.code == 0 and status.out.startswith("NOT SCORED") and "SCORE001" in status.out
    (attempt,) = record(trained)["attempts"]
    assert step(attempt, "score")["outcome"] == "not yet" and codes(attempt) == {"SCORE001": "log"}
    assert trained.ml("score", "--date", str(D)).code == 1


def test_a_registry_that_is_gone_is_no_project_without_a_champion(promoted: Project) -> None:
    (promoted.paths.registry / "mlflow.db").rename(promoted.paths.registry / "elsewhere.db")
    assert promoted.ml(*RUN).code == 4
    (attempt,) = record(promoted)["attempts"]
    assert codes(attempt) == {"RUN002": "page"}


def test_a_champion_that_was_tampered_with_scores_nothing(promoted: Project) -> None:
    for path in (promoted.paths.registry / "artifacts").rglob("model.pkl"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    (promoted.paths.serving / "hours" / "1" / "artefact" / "model.pkl").write_bytes(b"evil")
    assert promoted.ml(*RUN).code == 1
    (attempt,) = record(promoted)["attempts"]
    assert codes(attempt) == {"SCORE002": "page"}
    assert not (promoted.paths.root / "data" / "predictions").exists()


def test_a_prediction_that_is_no_number_keeps_the_whole_day_out(
    promoted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert promoted.ml(*RUN).code == 0
    before = promoted.tree("data/predictions")
    score = ModelVersion.score

    def breaks(self: ModelVersion, matrix: np.ndarray) -> np.ndarray:
        values = score(self, matrix)
        return np.where(np.arange(len(values)) == 1_000, np.nan, values)  # beyond the proof's rows

    monkeypatch.setattr(ModelVersion, "score", breaks)
    assert promoted.ml(*RUN).code == 1
    assert codes(record(promoted)["attempts"][1]) == {"SCORE002": "page"}
    assert promoted.tree("data/predictions") == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--date", "2999-01-01"), 2, "2199-12-31"),
        (("--date", "2150-01-01"), 2, "is in the future"),
        (("--date", "yesterday"), 2, "does not match"),
        (("--date", "2026-02-30"), 2, "does not match"),
    ],
)
def test_a_day_that_is_none_is_refused_and_nothing_touched(
    arguments: tuple[str, ...], code: int, said: str, with_day: Project
) -> None:
    before = with_day.tree(".")
    ran = with_day.ml("run", *arguments)
    assert ran.code == code and said in ran.err, ran.err
    assert with_day.tree(".") == before


def test_a_day_that_is_not_over_can_be_retried(with_day: Project, at: Callable[[datetime], None]) -> None:
    before = with_day.tree(".")
    at(datetime(2026, 6, 3, 23, 59, tzinfo=UTC))
    ran = with_day.ml("run", "--date", "2026-06-03")
    assert ran.code == 4 and "ends at 2026-06-04 00:00 UTC" in ran.err
    assert with_day.tree(".") == before


def test_by_default_it_is_yesterday(with_day: Project, at: Callable[[datetime], None]) -> None:
    at(datetime(2026, 6, 4, 0, 30, tzinfo=UTC))
    assert with_day.ml("run", "--json").json["date"] == "2026-06-03"


BROKEN = {
    "a typo": ("deadline:", "dedline:", "did you mean deadline?"),
    "no time": ('"09:00"', "soon", "daily.deadline"),
    "an hour without quotes": ('"09:00"', "10:00", "in quotes"),
    "no such policy": ("when: never", "when: sometimes", "retraining.when"),
    "no YAML": ("daily: ", "daily: [ ", "not valid YAML: line"),
    "a ledger nowhere": ("ledger: var/ledger", 'ledger: ""', "storage.ledger"),
    "a bucket with one slash": ("data: data ", "data: s3:/bucket ", "s3://"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_operations_yaml_touches_nothing(case: str, with_day: Project) -> None:
    old, new, said = BROKEN[case]
    with_day.edit("operations.yaml", old, new)
    before = with_day.tree(".")
    ran = with_day.ml(*RUN)
    assert ran.code == 2 and said in ran.err, ran.err
    assert with_day.tree(".") == before


TORN = {
    "half": lambda text: text[: len(text) // 2],
    "empty": lambda _: "",
    "not ours": lambda _: "[]",
    "another day's": lambda text: text.replace(f'"date": "{D}"', '"date": "2026-01-01"'),
    "an unknown outcome": lambda text: text.replace('"outcome": "ok"', '"outcome": "fine"'),
}


@pytest.mark.parametrize("case", TORN)
def test_a_torn_record_is_told_and_not_written_over(case: str, with_day: Project) -> None:
    assert with_day.ml(*RUN).code == 0
    path = with_day.paths.root / "var" / "ledger" / "daily" / f"{D}.json"
    path.write_text(TORN[case](path.read_text("utf-8")), "utf-8")
    before = with_day.tree(".")
    ran = with_day.ml(*RUN)
    assert ran.code == 2 and f"var/ledger/daily/{D}.json is" in ran.err and "Traceback" not in ran.err
    assert with_day.tree(".") == before


def test_a_mistake_of_the_program_is_recorded_and_shown(promoted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: Any, **__: Any) -> None:
        raise ValueError("a mistake")

    monkeypatch.setattr(daily, "realised", mistaken)
    with pytest.raises(ValueError, match="a mistake"):
        promoted.ml(*RUN)
    (attempt,) = record(promoted)["attempts"]
    assert attempt["outcome"] == "failed" and codes(attempt) == {"RUN001": "page"} and attempt["exit"] == 1
    assert step(attempt, "score")["outcome"] == "ok", "what was done before stays done"


def test_a_run_beside_another_of_the_same_day_leaves(promoted: Project) -> None:
    seen: list[Ran | ProjectError] = []

    def report(step: str) -> None:
        if step == "score" and not seen:
            seen.append(promoted.ml(*RUN))

    assert daily.run(D, promoted.paths, clock=clock.now, report=report).exit == 0
    (other,) = seen
    assert isinstance(other, Ran) and other.code == 4
    assert "another run of 2026-06-03 is going on, attempt 1 since" in other.err
    assert len(record(promoted)["attempts"]) == 1
