"""The newest report on /metrics: read beside the requests, kept while the storage is away, and never too much of it."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import reports
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from test_page import app_of

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.monitoring.report import Finding, Report, write
from {{cookiecutter.package_name}}.serving import monitored
from {{cookiecutter.package_name}}.serving.monitored import MOST, Monitored, families
from {{cookiecutter.package_name}}.storage import Storage, open_storage
from {{cookiecutter.package_name}}.storage.folder import Folder

from conftest import Project

if TYPE_CHECKING:
    from bucket import InBucket, Server

WEIGHT = ("ml_monitor_observed", "parcels.weight_g.mean")
HOSTILE = 'depot="a\\b"\n# TYPE ml_evil counter\nml_evil 1 ☃'


def ledger(project: Project) -> Storage:
    return open_storage(load_operations(project.paths.operations).storage.ledger, project.paths)


def watcher(project: Project) -> Monitored:
    return Monitored(project.paths, load_operations(project.paths.operations))


def told(seen: Monitored) -> dict[tuple[str, str], float]:
    """Samples as Prometheus reads them: name and monitor, and the value."""
    registry = CollectorRegistry()
    registry.register(seen)
    return parsed(generate_latest(registry).decode())


def parsed(text: str) -> dict[tuple[str, str], float]:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, sample.labels.get("monitor", "")): sample.value for sample in samples}


def finding(**more: object) -> Finding:
    plain = {"monitor": "parcels.x.mean", "code": "DRIFT001", "outcome": "ok", "table": "parcels", "measure": "mean"}
    return Finding.model_validate(plain | {"said": ""} | more)


def test_the_newest_report_is_told(project: Project) -> None:
    seen = watcher(project)
    assert told(seen) == {("ml_monitor_up", ""): 0}, "nobody has looked yet"
    seen.look()
    assert told(seen) == {("ml_monitor_up", ""): 1}, "there is none yet"
    for back in (1, 0, 5):
        write(reports.report(day=reports.DAY - timedelta(days=back), moved=back == 0), ledger(project))
    ledger(project).write("monitor/reports/of-the-week.json", b"{}")
    seen.look()
    found = told(seen)
    assert found[WEIGHT] == -2.71
    assert found["ml_monitor_low", WEIGHT[1]] < 0 < found["ml_monitor_high", WEIGHT[1]]
    outcomes = {monitor: value for (name, monitor), value in found.items() if name == "ml_monitor_outcome"}
    assert outcomes[WEIGHT[1]] == 2 and outcomes["parcels.depot.share=north"] == 1 and outcomes["parcels.rows"] == 0
    assert outcomes["parcels.customer_age_days.mean"] == -1, "not judged"
    assert ("ml_monitor_observed", "parcels.customer_age_days.mean") not in found
    begun = datetime(2026, 6, 2, tzinfo=UTC).timestamp()
    assert found["ml_monitor_day_timestamp_seconds", ""] == begun
    assert (found["ml_monitor_pages", ""], found["ml_monitor_tickets", ""], found["ml_monitor_armed", ""]) == (2, 4, 1)
    write(reports.report(state="over budget"), ledger(project))
    seen.look()
    assert told(seen)["ml_monitor_armed", ""] == 0, "the day was run again"


def test_a_report_that_cannot_be_read_does_not_hide_the_one_before(project: Project) -> None:
    write(reports.report(), ledger(project))
    ledger(project).write("monitor/reports/2026-06-03.json", b'{"day": "2026-06-0')
    seen = watcher(project)
    seen.look()
    assert told(seen)[WEIGHT] == -2.71
    for day in (4, 5, 6):
        ledger(project).write(f"monitor/reports/2026-06-{day:02}.json", b"")
    seen.look()
    assert told(seen)[WEIGHT] == -2.71, "what was read last stays"


def test_a_disk_that_fails_takes_nothing_away(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write(reports.report(), ledger(project))
    seen = watcher(project)
    seen.look()
    now = monitored.stopwatch()

    def broken(*_: object) -> list[str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Folder, "names", broken)
    for _ in range(5):
        seen.look()
    assert told(seen)[WEIGHT] == -2.71 and told(seen)["ml_monitor_up", ""] == 1
    monkeypatch.setattr(monitored, "stopwatch", lambda: now + 4 * monitored.EVERY)
    assert told(seen)[WEIGHT] == -2.71 and told(seen)["ml_monitor_up", ""] == 0


@pytest.mark.slow
def test_a_bucket_that_is_away_takes_nothing_away(
    in_bucket: InBucket, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitored, "PATIENCE", 0.5)
    write(reports.report(), ledger(in_bucket))
    seen = watcher(in_bucket)
    seen.look()
    assert told(seen)[WEIGHT] == -2.71
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    away = watcher(in_bucket)
    for _ in range(4):
        away.look()
    assert told(away) == {("ml_monitor_up", ""): 0}


def test_no_request_waits_for_a_storage_that_hangs(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    over, asked = threading.Event(), threading.Event()

    def hanging(*_: object) -> list[str]:
        asked.set()
        over.wait(60)
        return []

    monkeypatch.setattr(Folder, "names", hanging)
    with TestClient(app_of(trained)) as client:
        assert asked.wait(30)
        assert parsed(client.get("/metrics").text)["ml_monitor_up", ""] == 0
        assert client.get("/health").status_code == 200
    assert not over.is_set(), "the server ended, and waited for nobody"
    over.set()


def test_labels_are_bounded_and_cannot_be_broken_out_of(project: Project) -> None:
    many = [finding(monitor=f"parcels.c{n}.mean", observed=n) for n in range(MOST)]
    last = finding(monitor="parcels.last.mean", outcome="page", observed=1.0)
    long = [finding(monitor="x" * 500, observed=n, outcome=outcome) for n, outcome in ((1.0, "ok"), (2.0, "ticket"))]
    hostile = finding(monitor=HOSTILE, outcome="ticket", observed=3.0)
    write(reports.report(findings=[*many, *long, hostile, last]), ledger(project))
    seen = watcher(project)
    seen.look()
    found = told(seen)
    observed = {monitor: value for (name, monitor), value in found.items() if name == "ml_monitor_observed"}
    assert len(observed) == MOST and max(map(len, observed)) <= 120
    assert observed["parcels.last.mean"] == 1 and observed[HOSTILE] == 3, "what is urgent is told first"
    assert [value for name, value in observed.items() if name.startswith("xxx")] == [2], "one name, one series"
    assert found["ml_monitor_left_out", ""] == 3
    assert not [name for name, _ in found if name == "ml_evil"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_what_is_no_number_is_not_told(value: float | None) -> None:
    made = families(Report(day=date(2026, 6, 2), state="armed", findings=[finding(observed=value, low=0.0, high=1.0)]))
    counts = {family.name: len(family.samples) for family in made}
    assert (counts["ml_monitor_observed"], counts["ml_monitor_low"], counts["ml_monitor_outcome"]) == (0, 1, 1)
