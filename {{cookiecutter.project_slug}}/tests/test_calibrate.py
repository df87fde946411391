"""`ml calibrate`: what it needs, what it decides, and what people are told."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from past import END, past, predict, rows_of, write

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.monitoring import calibration, false_pages
from {{cookiecutter.package_name}}.monitoring.calibration import Calibration
from {{cookiecutter.package_name}}.monitoring.false_pages import FalsePage, raised
from {{cookiecutter.package_name}}.monitoring.report import Finding, Report
from {{cookiecutter.package_name}}.operations.drift import drift, stand
from {{cookiecutter.package_name}}.operations.history import History
from {{cookiecutter.package_name}}.operations.ledger import Ledger

from conftest import Project

NEXT = END + timedelta(days=1)


def history(project: Project) -> History:
    operations = load_operations(project.paths.operations)
    return History(operations, Store(project.paths), Ledger(project.paths, operations).storage)


def found(project: Project, day: date = NEXT) -> Report:
    """What drift has to say, and how far the monitor is."""
    here = history(project)
    now = stand(day, here)
    findings, shapes = drift(day, here, now)
    return Report(
        day=day,
        state=now.state,
        days_to_go=now.days_to_go,
        calibrated=now.calibration.last if now.calibration else None,
        holiday=now.masked.get(day),
        findings=findings,
        shapes=shapes,
    )


def by_name(said: Report) -> dict[str, Finding]:
    return {finding.monitor: finding for finding in said.findings}


def wrong(said: Report) -> dict[str, str]:
    return {finding.monitor: finding.outcome for finding in said.findings if finding.outcome in ("page", "ticket")}


def kilograms(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("weight_g") / 1000)


@pytest.fixture(scope="session")
def _calibrated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.new(tmp_path_factory.mktemp("calibrated") / "project")
    past(project, 70)
    for back in range(70):
        day = END - timedelta(days=back)
        hours = np.random.default_rng(day.toordinal()).gamma(9, 5, 300)
        predict(project, day, hours, "hours/1")
    ran = project.ml("calibrate", "--date", str(END))
    assert ran.code == 0, ran.out + ran.err
    return project


@pytest.fixture
def calibrated(_calibrated: Project, tmp_path: Path) -> Project:
    """A project of 70 quiet days with its pager armed, yours to break."""
    return _calibrated.copy(tmp_path / "project")


def test_a_young_project_is_told_how_long_it_takes_and_nothing_is_written(project: Project) -> None:
    past(project, 20)
    before = project.tree("")
    ran = project.ml("calibrate", "--date", str(END))
    assert ran.code == 1
    assert f"learning, 15 days to go: 20 days up to {END} have data, 35 are needed" in ran.err
    assert project.tree("") == before
    assert project.ml("calibrate", "--date", str(END), "--json").json["error"]["exit"] == 1


def test_the_thirty_fifth_day_is_enough(project: Project) -> None:
    past(project, 35)
    ran = project.ml("calibrate", "--date", str(END), "--json")
    assert ran.code == 0, ran.out + ran.err
    assert (ran.json["days"], ran.json["judged"], ran.json["state"]) == (35, 1, "armed")


def test_a_quiet_history_arms_the_pager(calibrated: Project) -> None:
    ran = calibrated.ml("calibrate", "--date", str(END))
    assert ran.code == 0
    assert ran.out.startswith("ARMED\n")
    assert "no day of the history would have paged" in ran.out
    said = calibrated.ml("calibrate", "--date", str(END), "--json").json
    assert 0 <= said["low"] < said["expected"] < said["high"]
    assert said["expected"] <= 1.0
    assert said["replay"] == []
    assert (said["first"], said["last"], said["days"]) == (str(END - timedelta(days=69)), str(END), 70)


def test_what_it_says_it_has_seen_ends_with_the_last_day_that_came(calibrated: Project) -> None:
    ran = calibrated.ml("calibrate", "--date", str(END + timedelta(days=40)), "--json")
    assert ran.code == 0, ran.out
    assert ran.json["last"] == str(END)


def test_calibrating_again_changes_nothing(calibrated: Project) -> None:
    before = calibrated.tree("")
    assert calibrated.ml("calibrate", "--date", str(END)).code == 0
    assert calibrated.tree("") == before


def test_a_quiet_day_has_nothing_to_say(calibrated: Project) -> None:
    write(calibrated, NEXT, rows_of(NEXT))
    said = found(calibrated)
    assert (said.state, said.days_to_go, said.calibrated, said.holiday) == ("armed", 0, END, None)
    assert wrong(said) == {}
    assert said.shapes == []
    assert {finding.outcome for finding in said.findings} == {"ok"}


def test_grams_as_kilograms_page_on_the_day(calibrated: Project) -> None:
    write(calibrated, NEXT, kilograms(rows_of(NEXT)))
    said = found(calibrated)
    assert wrong(said)["parcels.weight_g.mean"] == "page"
    page = by_name(said)["parcels.weight_g.mean"]
    assert page.since == NEXT
    assert "median 1.78 g" in page.said
    assert page.z is not None
    assert page.z < -10
    assert [shape.column for shape in said.shapes] == ["weight_g"]
    shape = said.shapes[0]
    assert shape.today[0] == 1.0
    assert sum(shape.reference) == pytest.approx(1, abs=1e-3)
    assert len(shape.bins) == len(shape.today) == len(shape.reference)


@pytest.mark.parametrize(
    ("change", "monitor"),
    [
        (pl.col("weight_g").clip(1_400, 1_401), "parcels.weight_g.spread"),
        (pl.lit("dock 9").alias("depot"), "parcels.depot.share=(other)"),
        (pl.when(pl.int_range(pl.len()) % 2 == 0).then("customer_age_days"), "parcels.customer_age_days.nulls"),
        (pl.col("created_at") - pl.duration(hours=5), "parcels.created_at.share=06-12"),
        (~pl.col("fragile"), "parcels.fragile.share"),
        (pl.lit("express").alias("service"), "parcels.service.share=express"),
    ],
    ids=["spread", "a category never seen", "nulls", "local time", "a flag inverted", "mix"],
)
def test_what_else_moves_pages_too(calibrated: Project, change: pl.Expr, monitor: str) -> None:
    write(calibrated, NEXT, rows_of(NEXT).with_columns(change))
    assert wrong(found(calibrated))[monitor] == "page"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (rows_of(NEXT, 1), {f"parcels.{name}" for name in ("weight_g", "distance_km", "promised_hours")}),
        (rows_of(NEXT).with_columns(customer_age_days=pl.lit(None, dtype=pl.Float64)), {"parcels.customer_age_days"}),
        (rows_of(NEXT).with_columns(weight_g=pl.lit(float("inf"))), set()),
        (rows_of(NEXT).drop("depot"), {"parcels.depot"}),
    ],
    ids=["one row", "all null", "infinities", "a column is gone"],
)
def test_a_bad_day_neither_crashes_nor_passes_in_silence(
    calibrated: Project, rows: pl.DataFrame, expected: set[str]
) -> None:
    write(calibrated, NEXT, rows)
    said = found(calibrated)
    mute = {finding.monitor for finding in said.findings if finding.code == "MON001"}
    assert expected <= mute
    assert wrong(said)


def test_a_partition_that_is_not_whole_is_no_figure(calibrated: Project) -> None:
    write(calibrated, NEXT, rows_of(NEXT))
    (file,) = (calibrated.partitions / "parcels").glob(f"{NEXT}-*.parquet")
    file.write_bytes(file.read_bytes()[:1000])
    assert set(wrong(found(calibrated)).values()) == {"ticket"}


def test_a_day_that_comes_twice_is_judged_as_it_came_last(calibrated: Project) -> None:
    write(calibrated, NEXT, kilograms(rows_of(NEXT)))
    assert "parcels.weight_g.mean" in wrong(found(calibrated))
    write(calibrated, NEXT, rows_of(NEXT))
    assert wrong(found(calibrated)) == {}


def test_a_history_with_gaps_is_enough(project: Project) -> None:
    past(project, 80, change=lambda day, made: made)
    for back in (*range(20, 27), 40, 50):
        (project.partitions / "parcels" / f"{END - timedelta(days=back)}.json").unlink()
    ran = project.ml("calibrate", "--date", str(END), "--json")
    assert ran.code == 0, ran.err
    assert ran.json["days"] == 71
    write(project, NEXT, kilograms(rows_of(NEXT)))
    assert wrong(found(project))["parcels.weight_g.mean"] == "page"


def test_predictions_are_watched_version_by_version(calibrated: Project) -> None:
    write(calibrated, NEXT, rows_of(NEXT))
    predict(calibrated, NEXT, np.random.default_rng(1).gamma(9, 5, 300) + 20)
    said = by_name(found(calibrated))["hours.prediction.mean"]
    assert (said.code, said.outcome, said.model_version, said.table) == ("DRIFT006", "page", "hours/1", "hours")
    assert " h)" in said.said
    predict(calibrated, NEXT, np.random.default_rng(1).gamma(9, 5, 300) + 20, "hours/2")
    said = by_name(found(calibrated))["hours.prediction.mean"]
    assert (said.outcome, said.model_version) == ("learning", "hours/2")


def test_before_calibration_what_fires_is_a_ticket(project: Project) -> None:
    past(project, 40)
    write(project, NEXT, kilograms(rows_of(NEXT)))
    said = found(project)
    assert (said.state, said.calibrated) == ("uncalibrated", None)
    assert wrong(said)["parcels.weight_g.mean"] == "ticket"


def test_a_young_project_says_how_many_days_to_go(project: Project) -> None:
    past(project, 9)
    write(project, NEXT, rows_of(NEXT))
    said = found(project)
    assert (said.state, said.days_to_go) == ("learning", 25)
    assert {finding.outcome for finding in said.findings} == {"learning"}
    assert found(project, NEXT + timedelta(days=5)).findings == []


def incident(day: date, made: pl.DataFrame) -> pl.DataFrame:
    return kilograms(made) if day in (END - timedelta(days=10), END - timedelta(days=20)) else made


@pytest.fixture(scope="session")
def _eventful(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.new(tmp_path_factory.mktemp("eventful") / "project")
    past(project, 70, change=incident)
    return project


@pytest.fixture
def eventful(_eventful: Project, tmp_path: Path) -> Project:
    """70 days, and on two of them the weights are in kilograms."""
    return _eventful.copy(tmp_path / "project")


def test_above_the_budget_the_pager_is_not_armed_and_the_days_are_named(eventful: Project) -> None:
    ran = eventful.ml("calibrate", "--date", str(END))
    assert ran.code == 1
    assert ran.out.startswith("NOT ARMED: over budget\n")
    for back in (10, 20):
        assert str(END - timedelta(days=back)) in ran.out
    assert "weight_g mean" in ran.out
    assert f"ml calibrate --false {END - timedelta(days=20)}" in ran.out
    write(eventful, NEXT, kilograms(rows_of(NEXT)))
    said = found(eventful)
    assert said.state == "over budget"
    assert "page" not in wrong(said).values()
    assert eventful.ml("calibrate", "--date", str(END), "--budget", "30").code == 0


def test_days_on_which_something_was_wrong_are_left_out(eventful: Project) -> None:
    days = ", ".join(str(END - timedelta(days=back)) for back in (10, 20))
    eventful.edit("operations.yaml", "holidays: {}", f"holidays:\n    also: [{days}]")
    ran = eventful.ml("calibrate", "--date", str(END), "--json")
    assert ran.code == 0, ran.out
    assert ran.json["days"] == 68
    write(eventful, NEXT, kilograms(rows_of(NEXT)))
    assert wrong(found(eventful))["parcels.weight_g.mean"] == "page"


def test_days_called_false_raise_the_thresholds_of_what_fired(eventful: Project) -> None:
    days = [str(END - timedelta(days=back)) for back in (10, 20)]
    ran = eventful.ml("calibrate", "--date", str(END), "--false", days[0], "--false", days[1], "--json")
    assert ran.code == 0, ran.out
    assert ran.json["replay"] == []
    record = json.loads((eventful.paths.root / "var" / "ledger" / "alerts" / "false.json").read_text())
    assert {entry["day"] for entry in record} == set(days)
    assert "parcels.weight_g.mean" in {entry["monitor"] for entry in record}
    ran = eventful.ml("calibrate", "--date", str(END), "--false", str(END))
    assert ran.code == 1
    assert "nothing would have paged on that day" in ran.err


def test_a_page_called_false_counts_at_once(calibrated: Project) -> None:
    write(calibrated, NEXT, kilograms(rows_of(NEXT)))
    pages = [finding for finding in found(calibrated).findings if finding.outcome == "page"]
    told = [FalsePage(monitor=page.monitor, day=NEXT, z=page.z) for page in pages]
    storage = history(calibrated).storage
    false_pages.record(told, storage)
    assert wrong(found(calibrated)) == {}
    false_pages.record(told, storage)
    assert false_pages.read(storage) == told


def test_thresholds_are_raised_in_proportion_and_for_a_year() -> None:
    day = date(2026, 6, 1)
    far, near = FalsePage(monitor="a", day=day, z=-10.0), FalsePage(monitor="b", day=day, z=4.0)
    unknown = FalsePage(monitor="c", day=day)
    said = raised([far, near, unknown], 3.0, 5.0, day)
    assert said["a"] == pytest.approx((6.6, 11.0))
    assert said["b"] == pytest.approx((4.4, 4.4 / 3 * 5))
    assert set(said) == {"a", "b"}
    assert raised([far], 3.0, 5.0, day + timedelta(days=366)) == {}


def test_a_record_that_cannot_be_read_counts_as_none(calibrated: Project) -> None:
    storage = history(calibrated).storage
    storage.write(false_pages.KEY, b"[{")
    storage.write(calibration.KEY, b"{}")
    assert false_pages.read(storage) == []
    write(calibrated, NEXT, rows_of(NEXT))
    assert found(calibrated).state == "uncalibrated"


def test_public_holidays_are_left_out(calibrated: Project) -> None:
    calibrated.edit("operations.yaml", "holidays: {}", "holidays: {country: DE, subdivision: BY}")
    corpus_christi = date(2026, 6, 4)
    write(calibrated, corpus_christi, kilograms(rows_of(corpus_christi)))
    said = found(calibrated, corpus_christi)
    assert said.holiday == "Corpus Christi"
    assert {finding.outcome for finding in said.findings if finding.code == "DRIFT001"} == {"not applicable"}
    assert wrong(said) == {}


@pytest.mark.parametrize(
    ("holidays", "said"),
    [
        ("{country: XX}", "no country XX"),
        ("{country: DE, subdivision: XY}", "DE has no subdivision XY"),
        ("{subdivision: BY}", "subdivision BY of which country?"),
        ("{country: Germany}", "country"),
        ("{also: [yesterday]}", "also"),
    ],
)
def test_a_calendar_that_is_none_is_refused(project: Project, holidays: str, said: str) -> None:
    project.edit("operations.yaml", "holidays: {}", f"holidays: {holidays}")
    ran = project.ml("calibrate", "--date", str(END))
    assert ran.code == 2
    assert said in ran.err


def test_columns_that_are_left_out_are_not_watched(calibrated: Project) -> None:
    calibrated.edit("operations.yaml", "leave_out: []", "leave_out: [weight_g]")
    write(calibrated, NEXT, kilograms(rows_of(NEXT)))
    said = found(calibrated)
    assert wrong(said) == {}
    assert not [name for name in by_name(said) if "weight_g" in name]
    calibrated.edit("operations.yaml", "weight_g", "wieght")
    ran = calibrated.ml("calibrate", "--date", str(END))
    assert ran.code == 2
    assert "leave_out names no column of parcels: wieght" in ran.err


def test_a_column_that_the_calibration_has_never_seen_is_a_ticket(calibrated: Project) -> None:
    storage = history(calibrated).storage
    known = calibration.read(storage)
    assert isinstance(known, Calibration)
    fewer = [column for column in known.reference.columns if column.name != "fragile"]
    reference = known.reference.model_copy(update={"columns": fewer})
    calibration.write(known.model_copy(update={"reference": reference}), storage)
    write(calibrated, NEXT, rows_of(NEXT))
    (ticket,) = [finding for finding in found(calibrated).findings if finding.outcome == "ticket"]
    assert (ticket.code, ticket.column) == ("MON001", "fragile")
