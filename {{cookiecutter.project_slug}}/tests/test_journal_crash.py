"""The prediction log and SIGKILL, full disks, and stores that are away: what reached the disk is there once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import polars as pl
import pytest
from entries import DAY, LONG, REQUEST, abandoned, entry, ids, journal_of, logged, place, spools
from test_api import server, wait_for
from test_disk import limited

from {{cookiecutter.package_name}}.clock import now
from {{cookiecutter.package_name}}.files import TEMPORARY
from {{cookiecutter.package_name}}.serving import packer

import kill
from conftest import Project

if TYPE_CHECKING:
    from bucket import InBucket

PACKAGE = "{{cookiecutter.package_name}}"
SERVER = """
import json, resource, sys, time
from datetime import UTC, datetime
from PACKAGE.clock import stopwatch
from PACKAGE.config import load_operations
from PACKAGE.paths import find
from PACKAGE.serving.journal import Entry, Journal
paths = find()
log = Journal(paths, load_operations(paths.operations))
at = datetime(2026, 6, 1, 12, tzinfo=UTC)
def add(n):
    log.add(Entry(f"r{n:06}", at, "hours/1", "champion", None, [{"depot": "north"}], [39.5], 0.001))
def until(reached):
    while not reached():
        time.sleep(0.01)
""".replace("PACKAGE", PACKAGE)
"""A process that logs what it never answered."""
ENDLESS = """
log.start()
n = 0
while True:
    add(n)
    n += 1
    print(n, log.kept, stopwatch(), flush=True)
    time.sleep(0.0005)
"""
FULL = """
log.start()
add(0)
until(lambda: log.kept == 1)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
for n in range(1, 50):
    add(n)
until(lambda: log._refusal)
add(50)
if sys.argv[1] == "frees":
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    until(lambda: log.kept == 51)
log.close(60)
print(json.dumps([log.kept, log.dropped, log.waiting]))
"""

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has neither SIGKILL nor file size limits")


def test_the_process_that_packs_leaves_nothing_to_be_done(project: Project) -> None:
    place(project)
    log = journal_of(project)
    log.start()
    log.add(entry("r"))
    log.close(LONG)
    assert ids(project) == ["r"] and spools(project) == [] and log.failed == 0


def test_closing_has_an_end_and_the_next_server_packs(project: Project) -> None:
    log = journal_of(project)
    log.start()
    log.add(entry("r"))
    log.close(0)
    log._thread.join()
    assert log.kept == 1 and spools(project) == [".jsonl"]
    again = journal_of(project)
    again.start()
    again.close(LONG)
    assert ids(project) == ["r"] and spools(project) == []


@posix
@pytest.mark.slow
@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
def test_what_a_server_answered_is_in_the_log_after_it_has_ended(promoted: Project, end: str) -> None:
    first = now().date()
    with server(promoted) as (address, process), httpx.Client(base_url=address) as client:
        wait_for(address, "hours/1")
        answers = [client.post("/predict", json=REQUEST.example()).json() for _ in range(40)]
        while end == "SIGKILL" and "ml_prediction_log_kept 40.0" not in client.get("/metrics").text:
            pass
        process.send_signal(getattr(signal, end))
        process.communicate(timeout=LONG)
    assert spools(promoted) == ([] if end == "SIGTERM" else [".lock", ".open"])
    assert promoted.ml("requests").code == 0
    found = pl.concat([logged(promoted, day) for day in sorted({first, now().date()})])
    assert sorted(found["request_id"]) == sorted(answer["request_id"] for answer in answers)
    assert found["prediction"].to_list() == [answers[0]["predictions"][0]["delivered_hours"]] * 40
    assert set(found["role"]) == {"champion"} and set(found["depot"]) == {REQUEST.example()["depot"]}


@posix
@pytest.mark.slow
@pytest.mark.parametrize("kept", [1, 700])
def test_a_killed_server_loses_what_was_answered_in_its_last_moments_and_nothing_else(
    project: Project, kept: int
) -> None:
    command = [sys.executable, "-c", SERVER + ENDLESS]
    server = subprocess.Popen(command, cwd=project.paths.root, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    said = []
    for line in server.stdout:
        said.append(line.split())
        if int(said[-1][1]) >= kept and len(said) > 2 * kept:
            server.send_signal(signal.SIGKILL)
            break
    said += [line.split() for line in server.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    assert server.wait() == -signal.SIGKILL
    assert spools(project) == [".lock", ".open"]
    ran = project.ml("requests", "--date", str(DAY), "--json")
    assert ran.code == 0 and ran.json["packed"]["spools"] == 1 and spools(project) == []
    found = ids(project)
    assert found == [f"r{n:06}" for n in range(len(found))]  # none between two others is missing, none is there twice
    added, on_disk, end = int(said[-1][0]), int(said[-1][1]), float(said[-1][2])
    assert on_disk <= len(found) <= added + 1
    # five times what the docs say: the machine may be busy
    assert len(found) >= sum(float(moment) < end - 1.0 for _, _, moment in said)


@pytest.mark.parametrize("in_a_bucket", [False, True])
def test_packing_that_is_killed_anywhere_is_repeated_and_leaves_no_row_twice(
    project: Project, in_a_bucket: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    prepared = request.getfixturevalue("in_bucket") if in_a_bucket else project
    place(prepared)
    abandoned(prepared, *[entry(f"r{n}", version=f"hours/{n % 2 + 1}") for n in range(4)])
    abandoned(prepared, entry("r4"))
    root = prepared.paths.root
    dies: Callable = kill.requests if in_a_bucket else lambda at=None: kill.moments(where.paths.root, at)
    where = prepared.copy(tmp_path / "undisturbed")
    with dies() as watch:
        assert where.ml("requests", "--date", str(DAY)).code == 0
    assert watch.count >= 3, "nothing was put"
    for moment in range(1, watch.count + 1):
        where = prepared.copy(tmp_path / f"killed-{moment}")
        with dies(moment), pytest.raises(kill.Killed):
            where.ml("requests", "--date", str(DAY))
        assert where.ml("requests", "--date", str(DAY)).code == 0
        assert ids(where) == [f"r{n}" for n in range(5)]
        assert set(spools(where)) <= {".lock"}  # of the kill's own making: it was about to be taken
        assert not list(where.paths.root.rglob(f"{TEMPORARY}*"))
    shutil.rmtree(root)


@posix
def test_a_disk_that_is_full_for_a_while_loses_nothing(project: Project) -> None:
    command = [sys.executable, "-c", SERVER + FULL, "frees"]
    ran = subprocess.run(command, cwd=project.paths.root, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [51, 0, 0]
    assert ids(project) == [f"r{n:06}" for n in range(51)]


@posix
@pytest.mark.slow
def test_a_disk_that_stays_full_costs_the_log_and_not_the_server(project: Project) -> None:
    command = [sys.executable, "-c", SERVER + FULL, "stays"]
    ran = subprocess.run(command, cwd=project.paths.root, capture_output=True, text=True, check=True)
    kept, dropped, _ = json.loads(ran.stdout)
    assert kept + dropped == 51 and 1 <= kept <= 20  # as many as 3,000 bytes may hold
    assert project.ml("requests").code == 0
    assert ids(project) == [f"r{n:06}" for n in range(kept)]


@posix
def test_a_store_without_space_leaves_the_spool_for_the_next_time(project: Project) -> None:
    abandoned(project, *[entry(f"r{n}") for n in range(50)])
    ran = limited(project, 500, "requests", "--date", str(DAY))
    assert ran.returncode == 4 and "the storage said no" in ran.stderr
    assert ".jsonl" in spools(project)
    assert project.ml("requests", "--date", str(DAY)).code == 0
    assert len(ids(project)) == 50 and spools(project) == []


@pytest.mark.slow
def test_a_bucket_that_says_no_is_asked_again_and_then_has_everything(
    in_bucket: InBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packer, "FIRST", 0.01)
    in_bucket.server.meddle = lambda method, path: ("403 Forbidden", "AccessDenied") if method == "PUT" else None
    log = journal_of(in_bucket, size=1)
    log.start()
    log.add(entry("first"))
    while log.failed < 2:
        log._wake.wait(0.01)
    assert spools(in_bucket).count(".jsonl") == 1
    log.add(entry("second"))
    in_bucket.server.meddle = None
    log.close(LONG)
    assert ids(in_bucket) == ["first", "second"] and spools(in_bucket) == []
    assert log.kept == 2 and log.dropped == 0
    assert all("/requests/hours/2026-06-01/" in f"/{key}" for key in in_bucket.objects())
