"""`ml monitor` and the monitor's step of a run: what is looked at, what pages, and that it never breaks a run."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from {{cookiecutter.package_name}} import clock, sample_upstream
from {{cookiecutter.package_name}}.monitoring import report
from {{cookiecutter.package_name}}.operations import watch

from conftest import Project, write_configs

FIRST, LAST = date(2026, 3, 23), date(2026, 5, 31)
"""Ten weeks, to a Sunday."""
D = LAST + timedelta(days=1)


@pytest.fixture(scope="session")
def _ten_weeks(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Ten weeks of rows, scored by a champion for the last five, and calibrated. Copied, never written to."""
    project = Project.new(tmp_path_factory.mktemp("ten weeks") / "project")
    write_configs(project)
    assert project.ml("ingest", "--from", str(FIRST), "--to", "2026-04-26").code == 0
    assert project.ml("train", "--config", "configs/hours.yaml", "--date", "2026-04-26").code == 0
    assert project.overrule("1").code == 0
    assert project.ml("backfill", "--from", "2026-04-20", "--to", str(LAST), "--jobs", "1").code == 0
    assert project.ml("calibrate", "--date", str(LAST)).code == 0
    project.edit("operations.yaml", "sample: true", "sample: false")
    return project


@pytest.fixture
def calibrated(_ten_weeks: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Upstream is somebody else from now on; it is six in the morning after D."""
    moment = datetime(D.year, D.month, D.day, 6, tzinfo=UTC) + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: moment)
    return _ten_weeks.copy(tmp_path / "project")


def deliver(project: Project, *changes: pl.Expr, day: date = D) -> None:
    project.drop("parcels", day, sample_upstream.table("parcels", day).with_columns(*changes))
    project.drop("deliveries", day, sample_upstream.table("deliveries", day))


def last_attempt(project: Project, day: date = D) -> dict[str, Any]:
    path = project.paths.root / "var" / "ledger" / "daily" / f"{day}.json"
    return json.loads(path.read_text("utf-8"))["attempts"][-1]


def monitor_step(project: Project, day: date = D) -> dict[str, Any]:
    return next(step for step in last_attempt(project, day)["steps"] if step["name"] == "monitor")


@pytest.mark.slow
def test_a_quiet_day_is_quiet(calibrated: Project) -> None:
    deliver(calibrated)
    ran = calibrated.ml("run", "--date", str(D))
    assert ran.code == 0, ran.out + ran.err
    step = monitor_step(calibrated)
    assert step["facts"]["state"] == "armed" and step["facts"]["watched"] > 30
    assert [check["code"] for check in step["checks"]] == []
    said = calibrated.ml("monitor", "--date", str(D))
    assert said.code == 0 and said.out.startswith(f"OK  {D}: ")
    status = calibrated.ml("status", "--date", str(D))
    assert "drift     none in " in status.out


DEPOT = pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("harbour")).otherwise("depot").alias("depot")
MOVED = {
    "half a sd more distance": ("parcels.distance_km.mean", "DRIFT001", pl.col("distance_km") * 1.6),
    "a tenth of the weights a twentieth of what they are": (
        "parcels.weight_g.mean",
        "DRIFT001",
        pl.when(pl.int_range(pl.len()) % 10 == 0)
        .then((pl.col("weight_g") / 20).clip(lower_bound=40))
        .otherwise("weight_g")
        .alias("weight_g"),
    ),
    "walk-ins twice as often": (
        "parcels.customer_age_days.nulls",
        "DRIFT003",
        pl.when(pl.int_range(pl.len()) % 10 > 0).then("customer_age_days").alias("customer_age_days"),
    ),
    "a tenth more from one depot": ("parcels.depot.share=harbour", "DRIFT004", DEPOT),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", MOVED)
def test_what_moved_pages_on_its_first_day_and_says_what(case: str, calibrated: Project) -> None:
    monitor, code, change = MOVED[case]
    deliver(calibrated, change)
    assert calibrated.ml("run", "--date", str(D)).code == 1
    found = {check["about"]: check for check in monitor_step(calibrated)["checks"] if check["tier"] == "page"}
    assert found[monitor]["code"] == code and abs(found[monitor]["z"]) > 3
    said = calibrated.ml("monitor", "--date", str(D))
    assert said.code == 1 and said.out.startswith("PAGE") and found[monitor]["said"] in said.out
    status = calibrated.ml("status", "--date", str(D))
    assert status.code == 1 and f"docs/runbook.md#{code.lower()}" in status.out


@pytest.mark.slow
def test_predictions_that_are_further_off_page_for_performance(calibrated: Project) -> None:
    """Of the day whose labels are complete now; five days later than the predictions were made."""
    due = D - timedelta(days=5)
    calibrated.edit("operations.yaml", "sample: false", "sample: true")
    worse = (pl.col("delivered_hours") + 25).clip(upper_bound=119)
    for day in (due + timedelta(days=n) for n in range(6)):
        calibrated.drop("deliveries", day, sample_upstream.table("deliveries", day).with_columns(delivered_hours=worse))
        calibrated.ml("ingest", "--date", str(day))
    assert calibrated.ml("run", "--date", str(D)).code == 1
    checks = monitor_step(calibrated)["checks"]
    assert {"PERF001", "PERF002"} <= {check["code"] for check in checks if check["tier"] == "page"}
    assert any(check["about"] == "hours.mae[service=express]" for check in checks)


@pytest.mark.slow
def test_a_holiday_is_not_judged(calibrated: Project) -> None:
    calibrated.edit("operations.yaml", "  holidays: {}", f"  holidays:\n    also: [{D}]")
    calibrated.drop("deliveries", D, sample_upstream.table("deliveries", D))
    calibrated.drop("parcels", D, sample_upstream.table("parcels", D).head(700))
    assert calibrated.ml("run", "--date", str(D)).code == 0
    step = monitor_step(calibrated)
    assert step["checks"] == [] and "left out by operations.yaml" in step["said"]


def test_a_young_project_says_how_many_days_to_go(promoted: Project) -> None:
    day = date(2026, 6, 3)
    assert promoted.ml("run", "--date", str(day)).code == 0
    step = monitor_step(promoted, day)
    assert step["facts"]["state"] == "learning" and step["facts"]["days_to_go"] == 15 and step["checks"] == []
    assert "learning, 15 days to go" in promoted.ml("status", "--date", str(day)).out
    assert "learning, 15 days to go" in promoted.ml("monitor", "--date", str(day)).out


def test_a_mistake_in_the_monitor_pages_and_ends_nothing(promoted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(watch, "drift", broken)
    assert promoted.ml("run", "--date", "2026-06-03").code == 1
    attempt = last_attempt(promoted, date(2026, 6, 3))
    assert [step["outcome"] for step in attempt["steps"] if step["name"] in ("score", "retrain")] == ["ok", "not due"]
    (check,) = monitor_step(promoted, date(2026, 6, 3))["checks"]
    assert (check["code"], check["tier"]) == ("MON003", "page") and "ZeroDivisionError: a bug" in check["said"]


def test_a_day_that_is_not_there_is_said_and_breaks_nothing(promoted: Project) -> None:
    promoted.edit("operations.yaml", "sample: true", "sample: false")
    said = promoted.ml("monitor", "--date", "2026-06-20", "--json")
    assert said.code == 1
    found = {finding["monitor"]: finding for finding in said.json["findings"]}
    assert found["parcels.arrival"]["code"] == "FRESH002" and found["parcels.arrival"]["outcome"] == "page"
    assert found["deliveries.arrival"]["outcome"] == "ticket"


def test_looking_leaves_ledger_and_reports_as_they_are(promoted: Project) -> None:
    before = promoted.tree("var/ledger/daily")
    promoted.ml("monitor", "--date", "2026-06-02")
    assert promoted.tree("var/ledger/daily") == before
    assert not (promoted.paths.root / "var" / "ledger" / report.FOLDER).exists()


@pytest.mark.slow
def test_enough_history_and_no_calibration_is_a_ticket(_ten_weeks: Project, tmp_path: Path) -> None:
    project = _ten_weeks.copy(tmp_path / "project")
    (project.paths.root / "var" / "ledger" / "monitor" / "calibration.json").unlink()
    said = project.ml("monitor", "--date", str(LAST), "--json")
    assert said.code == 0 and said.json["state"] == "uncalibrated"
    assert "MON002" in {finding["code"] for finding in said.json["findings"] if finding["outcome"] == "ticket"}


@pytest.mark.slow
def test_the_page_is_written_where_it_was_asked_for(calibrated: Project, tmp_path: Path) -> None:
    deliver(calibrated, MOVED["a tenth more from one depot"][2])
    calibrated.ml("ingest", "--date", str(D))
    assert calibrated.ml("monitor", "--date", str(D), "--html", str(tmp_path / "page.html")).code == 1
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.count("<svg") > 30 and "harbour" in text and "http://" not in text.replace("http://www.w3.org", "")


@pytest.mark.slow
def test_a_new_version_is_judged_from_its_first_day(calibrated: Project) -> None:
    """By what it would have said of the weeks before; a version that answers otherwise is drift of no column."""
    assert calibrated.ml("train", "--config", "configs/hours.yaml", "--date", "2026-05-20").code == 0
    assert calibrated.overrule("2").code == 0
    deliver(calibrated)
    assert calibrated.ml("run", "--date", str(D)).code == 0
    said = calibrated.ml("monitor", "--date", str(D), "--json")
    found = {finding["monitor"]: finding for finding in said.json["findings"]}["hours.prediction.mean"]
    assert (found["outcome"], found["model_version"]) == ("ok", "hours/2")
    assert sum(value is not None for value in found["series"]["values"]) == 56
    before = calibrated.ml("monitor", "--date", str(LAST), "--json").json["findings"]
    kept = {finding["monitor"]: finding for finding in before}["hours.prediction.mean"]
    assert kept["model_version"] == "hours/1", "what was predicted on a day stays what is judged of it"
