"""A server under load while everything around it moves, breaks, or goes away."""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from servers import crowd, point, server, wait_for

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.files import sha256
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.serving import worker
from {{cookiecutter.package_name}}.training import champion
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

pytestmark = pytest.mark.slow


@pytest.fixture
def two(trained: Project) -> Project:
    """A project with two versions, the first of them champion, both on disk."""
    assert trained.ml("train", "--config", "configs/hours.yaml").code == 0
    for number in (2, 1):
        point(trained, f"hours/{number}")
    return trained


def example(project: Project) -> dict[str, Any]:
    return worker.open_placed(VersionId("hours", 1), project.paths)[0].request.example()


def until(true: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)


def test_a_hundred_promotions_under_load_cost_no_request_and_the_last_one_serves(two: Project) -> None:
    with server(two) as (address, process):
        wait_for(address, "hours/1")
        with crowd(address, example(two)) as seen:
            for number in range(100):
                point(two, f"hours/{2 - number % 2}")
            wait_for(address, "hours/1")
            point(two, "hours/2")
            wait_for(address, "hours/2")
        assert {status for status, _ in seen} == {200} and len(seen) > 100
        assert {version for _, version in seen} == {"hours/1", "hours/2"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)


def test_a_promotion_and_a_rollback_are_followed_within_five_seconds_under_load(two: Project) -> None:
    """By the log of the server. A machine on which loading a version takes long has so much longer."""
    registry, version = Registry(two.paths), VersionId("hours", 2)
    for number in (1, 2):
        worker.prove(VersionId("hours", number), two.paths)  # as `ml promote` does before the alias moves
    moved: list[float] = []
    with server(two) as (address, process):
        wait_for(address, "hours/1")
        with crowd(address, example(two)) as seen:
            begun = time.monotonic()
            worker.open_placed(version, two.paths)
            loading = time.monotonic() - begun
            moved.append(time.time())
            point(two, "hours/2")
            wait_for(address, "hours/2")
            moved.append(time.time())
            champion.rollback(registry, "hours", None, str, now=datetime.now(UTC), why="a test")
            wait_for(address, "hours/1")
            asked = len(seen)
            until(lambda: len(seen) > asked + 20)
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.communicate(timeout=60)[1].splitlines()]
    served = [line for line in lines if line["event"] == "serving"]
    assert [line["model_version"] for line in served] == ["hours/1", "hours/2", "hours/1"]
    follow = load_operations(two.paths.operations).serving.follow_seconds
    for before, line in zip(moved, served[1:], strict=True):
        took = datetime.fromisoformat(line["time"]).timestamp() - before  # the log's seconds are whole ones
        assert took <= max(5.0, follow + 3 * loading), (took, loading)
    assert {status for status, _ in seen} == {200}, "and no request failed"
    assert {said for _, said in seen} == {"hours/1", "hours/2"}


def test_the_registry_goes_and_comes_back_and_nobody_notices(two: Project) -> None:
    database = two.paths.registry / "mlflow.db"
    away = database.with_name("away")
    with server(two) as (address, _):
        wait_for(address, "hours/1")
        with crowd(address, example(two)) as seen:
            database.rename(away)
            database.write_bytes(b"no database at all")
            until(lambda: "does not answer" in httpx.get(f"{address}/version").json()["registry"])
            asked = len(seen)
            until(lambda: len(seen) > asked + 20)
            database.unlink()
            away.rename(database)
            point(two, "hours/2")
            wait_for(address, "hours/2")
        assert {status for status, _ in seen} == {200}


def test_a_damaged_version_is_refused_and_the_old_one_stays(two: Project) -> None:
    row = example(two)
    two.edit("configs/hours.yaml", "seed: 7", "seed: 8")  # else its files would be those of the versions before
    assert two.ml("train", "--config", "configs/hours.yaml").code == 0
    registered = Registry(two.paths).facts(VersionId("hours", 3))["files"]["model.pkl"]
    with server(two) as (address, _):
        wait_for(address, "hours/1")
        for path in two.paths.registry.rglob("model.pkl"):
            if sha256(path) == registered:
                path.write_bytes(path.read_bytes()[:-1] + b"!")
        with crowd(address, row) as seen:
            # the alias alone: a promotion would have found it out
            point(two, "hours/3", fetch=False)
            until(lambda: "hours/3" in httpx.get(f"{address}/version").json()["refused"], 120)
        assert {status for status, _ in seen} == {200}
        said = httpx.get(f"{address}/version").json()
        assert "sha256" in said["refused"]["hours/3"] and said["serving"]["version"] == "hours/1"
        assert "ml_versions_refused_total 1.0" in httpx.get(f"{address}/metrics").text
        assert httpx.post(f"{address}/versions/3/predict", json=row).status_code == 409


def test_what_is_being_answered_at_the_end_is_answered(two: Project) -> None:
    begun = datetime.now(UTC)
    with server(two) as (address, process):
        wait_for(address, "hours/1")
        with crowd(address, example(two)) as seen:
            until(lambda: len(seen) > 50)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        assert {status for status, _ in seen} <= {0, 200}
        assert not [why for status, why in seen if status == 0 and "Timeout" in why]
        # afterwards connections are refused, and an idle one may go while its next request is on the way; of those that
        # were let in, each of which the log has, none went without its answer
        answered = sum(status == 200 for status, _ in seen)
        days = {begun.date(), datetime.now(UTC).date()}
        kept = [two.ml("requests", "--date", str(day), "--json").json["answers"] for day in sorted(days)]
        assert sum(one["requests"] for answers in kept for one in answers) == answered
