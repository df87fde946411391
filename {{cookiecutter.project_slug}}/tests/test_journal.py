"""The prediction log: what was kept is there once, no request waits for it, and personal data stay out."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from entries import (
    CONTRACT_OF_HOURS,
    DAY,
    LONG,
    NOON,
    REQUEST,
    abandoned,
    entry,
    ids,
    journal_of,
    logged,
    parsed,
    place,
    spools,
)

from {{cookiecutter.package_name}}.config import PredictionLogConfig
from {{cookiecutter.package_name}}.data import requests
from {{cookiecutter.package_name}}.paths import Paths
from {{cookiecutter.package_name}}.serving.journal import MOST_ROWS, Journal
from {{cookiecutter.package_name}}.serving.packer import Packer, pack

from conftest import Project


@pytest.fixture(autouse=True)
def packed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pack in this process, and at the end only; test_journal_crash.py covers the process that does it."""

    def finish(self: Packer, until: float) -> None:
        job = json.loads(self._job)
        pack(Paths(self._root), job["data"], job["redact"])

    monkeypatch.setattr(Packer, "look", lambda self: None)
    monkeypatch.setattr(Packer, "finish", finish)


@contextmanager
def journal(project: Project, **settings: Any) -> Iterator[Journal]:
    """A journal that is started, and closed at the end with everything packed."""
    made = journal_of(project, **settings)
    made.start()
    yield made
    made.close(LONG)


def test_every_row_is_there_with_what_was_answered_and_typed_as_the_contract_says(project: Project) -> None:
    place(project)
    rows = [parsed(created_at="2026-06-01T09:30:00.25+02:00"), parsed(customer_age_days=None, parcel_id=None)]
    with journal(project) as log:
        log.add(entry("one", parsed(), seconds=0.004))
        log.add(entry("two", *rows, at=NOON + timedelta(seconds=1), role="shadow", degraded="last_good"))
    found = logged(project)
    assert found["request_id"].to_list() == ["one", "two", "two"] and found["row"].to_list() == [0, 0, 1]
    assert found["prediction"].to_list() == [39.5, 39.5, 40.5]
    assert found["latency_ms"].to_list() == [4.0, 2.5, 2.5]
    assert found["role"].to_list() == ["champion", "shadow", "shadow"]
    assert found["degraded"].to_list() == [None, "last_good", "last_good"]
    assert found["at"][0] == NOON and found["model_version"].unique().to_list() == ["hours/1"]
    assert found["created_at"][1] == datetime(2026, 6, 1, 7, 30, 0, 250_000, tzinfo=UTC)
    assert found["parcel_id"].to_list() == [REQUEST.example()["parcel_id"]] * 2 + [None]
    types = dict(zip(found.columns, found.dtypes, strict=True))
    columns = [column.name for column in CONTRACT_OF_HOURS.columns]
    assert found.columns[8:] == columns
    assert types["weight_g"] == pl.Float64 and types["fragile"] == pl.Boolean and types["depot"] == pl.String
    assert types["created_at"] == types["at"] == pl.Datetime("us", "UTC") and types["row"] == pl.UInt32
    assert types["customer_age_days"] == pl.Float64
    assert log.kept == 2 and log.dropped == log.waiting == log.failed == 0
    assert spools(project) == []


def test_rows_that_were_sent_as_columns_are_kept_as_rows(project: Project) -> None:
    place(project)
    sent = [REQUEST.example() | {"parcel_id": f"p{n}"} for n in range(3)]
    columns = {name: [row[name] for row in sent] for name in REQUEST.example()}
    with journal(project, log=PredictionLogConfig(redact=["depot"])) as log:
        log.add(entry("columns", rows=REQUEST.parse(json.dumps({"columns": columns}).encode())))
        log.add(entry("rows", rows=REQUEST.parse(json.dumps(sent).encode())))
    found = logged(project)
    assert found["parcel_id"].to_list() == ["p0", "p1", "p2"] * 2 and found["depot"].null_count() == 6
    columns, rows = (found.filter(pl.col("request_id") == name).drop("request_id") for name in ("columns", "rows"))
    assert columns.equals(rows)


def test_a_row_belongs_to_the_utc_day_of_its_request_and_to_its_model(project: Project) -> None:
    place(project)
    midnight = datetime(2026, 6, 2, tzinfo=UTC)
    with journal(project) as log:
        log.add(entry("before", at=midnight - timedelta(microseconds=1)))
        log.add(entry("after", at=midnight))
        log.add(entry("another", version="late/2"))
    assert ids(project) == ["before"]
    assert ids(project, date(2026, 6, 2)) == ["after"]
    assert logged(project, model="late")["weight_g"].to_list() == [REQUEST.example()["weight_g"]]


def test_versions_that_disagree_on_a_column_are_read_together(project: Project) -> None:
    place(project)
    with journal(project) as log:
        log.add(entry("ours"))
        log.add(entry("theirs", {"weight_g": "heavy", "role": "x", "colour": "red"}, version="hours/2"))
    found = logged(project).sort("request_id")
    assert found["weight_g"].to_list() == ["1850.0", "heavy"]
    assert found["colour"].to_list() == [None, "red"] and found["role_"].to_list() == [None, "x"]
    assert found["role"].to_list() == ["champion", "champion"]


def test_the_verb_says_what_was_asked_of_which_version(project: Project) -> None:
    place(project)
    with journal(project) as log:
        for n in range(3):
            log.add(entry(f"r{n}", parsed(), parsed(), seconds=0.001 * (n + 1)))
        log.add(entry("r0", seconds=0.01, role="shadow", version="hours/2", degraded="baseline"))
    ran = project.ml("requests", "--date", str(DAY), "--json")
    assert ran.code == 0, ran.err
    champion, shadow = ran.json["answers"]
    assert champion == {
        "model_version": "hours/1",
        "role": "champion",
        "requests": 3,
        "rows": 6,
        "degraded": 0,
        "median_ms": 2.0,
        "p99_ms": 3.0,
    }
    assert (shadow["requests"], shadow["degraded"]) == (1, 1)
    assert "4 requests to hours logged for 2026-06-01" in project.ml("requests", "--date", str(DAY)).out
    assert project.ml("requests", "--date", "2026-06-03", "--json").json["answers"] == []
    assert project.ml("requests", "--model", "../x").code == 2


def test_a_full_queue_drops_and_counts_whole_requests_and_never_waits(project: Project) -> None:
    log = journal_of(project)  # not started: nothing empties the queue
    rows = [parsed()] * 1000
    sent = MOST_ROWS // 1000 + 5
    for n in range(sent):
        log.add(entry(f"r{n}", *rows))
    assert log.waiting == MOST_ROWS // 1000 and log.dropped == 5
    log.start()
    log.close(LONG)
    assert log.kept == sent - 5 and logged(project).height == MOST_ROWS
    log.add(entry("late"))
    assert log.dropped == 6


def test_no_request_waits_for_a_disk_that_does_not_answer(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, released, real = threading.Event(), threading.Event(), os.write

    def stuck(file: int, content: Any) -> int:
        if threading.current_thread().name == "prediction log":
            writing.set()
            assert released.wait(LONG)
        return real(file, content)

    monkeypatch.setattr(os, "write", stuck)
    with journal(project) as log:
        log.add(entry("first"))
        assert writing.wait(LONG)
        for n in range(2000):
            log.add(entry(f"r{n}"))
        assert log.waiting == 2001 and log.kept == 0
        released.set()
    assert log.kept == 2001 and logged(project).height == 2001


def test_adding_costs_less_than_reading_the_request_did(project: Project) -> None:
    log, body = journal_of(project), json.dumps(REQUEST.example()).encode()
    one = entry("r", parsed())
    pairs = [
        (timeit.timeit(lambda: log.add(one), number=1000), timeit.timeit(lambda: REQUEST.parse(body), number=1000))
        for _ in range(9)
    ]
    assert min(add for add, _ in pairs) < min(parse for _, parse in pairs)
    assert log.dropped == 0


def test_what_cannot_be_written_is_dropped_alone_and_its_values_stay_out_of_the_log(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    with journal(project) as log:
        log.add(entry("good"))
        log.add(entry("odd", {"weight_g": object()}))
        log.add(entry("better"))
    assert ids(project) == ["better", "good"]
    assert (log.kept, log.dropped) == (2, 1)


def test_the_sample_follows_from_the_request_id(project: Project) -> None:
    half = PredictionLogConfig(sample=0.5)
    for _ in range(2):  # two servers, or one that was started again
        with journal(project, log=half) as log:
            for n in range(400):
                log.add(entry(f"r{n}"))
                log.add(entry(f"r{n}", role="shadow", version="hours/2"))
    found = logged(project).group_by("request_id").agg(pl.len(), pl.col("role").n_unique().alias("roles"))
    assert found["len"].unique().to_list() == [4] and found["roles"].unique().to_list() == [2]
    assert 140 < found.height < 260
    with journal(project, log=PredictionLogConfig(sample=0)) as log:
        log.add(entry("none"))
    assert log.kept == 0


def test_it_can_be_switched_off(project: Project) -> None:
    with journal(project, log=PredictionLogConfig(enabled=False)) as log:
        log.add(entry("r"))
    assert (log.kept, log.waiting) == (0, 0) and not project.paths.journal.exists()


def everything(project: Project) -> bytes:
    """Every byte below var/ and data/, Parquet files also as they read."""
    files = [path for folder in ("var", "data") for path in (project.paths.root / folder).rglob("*") if path.is_file()]
    tables = [pl.read_parquet(path).write_json().encode() for path in files if path.suffix == ".parquet"]
    return b"".join([path.read_bytes() for path in files] + tables)


def test_a_redacted_column_is_written_nowhere(project: Project) -> None:
    place(project)
    secret = parsed(parcel_id="Jane-Doe-1970")
    log = journal_of(project, log=PredictionLogConfig(redact=["parcel_id"]))
    log.start()
    log.add(entry("r", secret))
    while not log.kept:
        log._wake.set()
    spooled = b"".join(path.read_bytes() for path in project.paths.journal.glob("*.open"))
    assert b'"request_id":"r"' in spooled and b"Jane" not in spooled
    log.close(LONG)
    assert b"Jane" not in everything(project)
    found = logged(project)
    assert found["parcel_id"].to_list() == [None] and found["parcel_id"].dtype == pl.String
    assert found["depot"].to_list() == [secret["depot"]]


def test_a_spool_that_is_older_than_the_wish_to_redact_is_packed_without_the_column(project: Project) -> None:
    place(project)
    abandoned(project, entry("r", parsed(parcel_id="Jane-Doe-1970")))
    assert b"Jane" in everything(project)
    project.edit("operations.yaml", "redact: []", "redact: [parcel_id]")
    assert project.ml("requests", "--date", str(DAY)).code == 0
    assert ids(project) == ["r"] and b"Jane" not in everything(project)


def test_a_redacted_column_that_no_contract_has_is_refused_with_the_nearest_name(project: Project) -> None:
    project.edit("operations.yaml", "redact: []", "redact: [parcel_idd, depot]")
    ran = project.ml("serve", "--port", "0", "--json")
    assert ran.code == 2 and "no column parcel_idd, did you mean parcel_id?" in ran.json["error"]["message"]
    assert "promised_hours" in ran.json["error"]["hint"]


def test_the_contract_of_a_version_that_is_here_will_do(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    place(project)
    monkeypatch.setattr(subprocess, "run", None)
    journal_of(project, log=PredictionLogConfig(redact=["parcel_id", "depot"]))


def test_what_a_dead_server_left_is_packed_by_the_next_and_by_the_verb(project: Project) -> None:
    abandoned(project, entry("a"), entry("b"))
    with journal(project) as log:
        pass
    assert ids(project) == ["a", "b"] and spools(project) == []
    abandoned(project, entry("c"))
    ran = project.ml("requests", "--date", str(DAY), "--json")
    assert ran.json["packed"] == {"spools": 1, "rows": 1, "broken_lines": 0}
    assert ids(project) == ["a", "b", "c"] and spools(project) == []
    assert log.kept == 0


def test_spools_that_come_while_others_are_packed_are_packed_too(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned(project, entry("a"))
    save, late = requests.save_spool, []

    def slowly(*given: Any) -> tuple[int, int]:
        if not late:
            late.append(abandoned(project, entry("b")))
        return save(*given)

    monkeypatch.setattr(requests, "save_spool", slowly)
    assert pack(project.paths, "data", [])["spools"] == 2
    assert ids(project) == ["a", "b"] and spools(project) == []


def test_the_spool_of_a_server_that_lives_is_left_alone(project: Project) -> None:
    with journal(project) as log:
        log.add(entry("a"))
        while not log.kept:
            log._wake.set()
        assert project.ml("requests", "--json").json["packed"]["spools"] == 0
        assert ".open" in spools(project)
    assert ids(project) == ["a"]


def test_a_torn_last_line_is_left_out_and_counted(project: Project) -> None:
    path = abandoned(project, entry("whole"), entry("torn"))
    content = path.read_bytes()
    path.write_bytes(content[:-20] + b"\n{}\nnull\n" + bytes(7))
    ran = project.ml("requests", "--date", str(DAY), "--json")
    assert ran.json["packed"] == {"spools": 1, "rows": 1, "broken_lines": 4}
    assert ids(project) == ["whole"]


def test_long_spools_are_handed_over_and_objects_do_not_get_in_each_others_way(project: Project) -> None:
    with journal(project, size=1) as log:
        for n in range(3):
            log.add(entry(f"r{n}"))
            while log.kept <= n:
                log._wake.set()
    folder = project.paths.root / "data" / "requests" / "hours" / str(DAY)
    assert len(list(folder.iterdir())) == 3 and ids(project) == ["r0", "r1", "r2"]


def test_nothing_is_written_while_too_much_waits_to_be_packed(project: Project) -> None:
    waiting = abandoned(project, entry("before"))
    waiting.rename(waiting.with_suffix(".jsonl"))
    log = journal_of(project, most=1)
    log.add(entry("r"))
    log._write(last=False)
    assert (log.kept, log.waiting) == (0, 1) and log._refusal is not None and "wait to be packed" in log._refusal
    log.start()
    log.close(LONG)
    assert ids(project) == ["before"]  # closing cannot wait for room
    assert (log.kept, log.dropped) == (0, 1)
