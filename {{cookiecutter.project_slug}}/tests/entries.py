"""Requests to log, the journal that logs them, and what is there afterwards."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from {{cookiecutter.package_name}}.config import PredictionLogConfig, load_operations
from {{cookiecutter.package_name}}.contract import CONTRACT
from {{cookiecutter.package_name}}.data.describe import model_contract
from {{cookiecutter.package_name}}.data.requests import requests
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.model import artefact
from {{cookiecutter.package_name}}.model.request import RequestModel
from {{cookiecutter.package_name}}.serving.journal import Entry, Journal

from conftest import Project

DAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
CONTRACT_OF_HOURS = model_contract(CONTRACT, "delivered_hours", 0.5)
REQUEST = RequestModel(CONTRACT_OF_HOURS)
LONG = 60.0
"""Seconds that closing may take here; it takes one or two."""


def place(project: Project, version: str = "hours/1") -> None:
    """The contract of a version, where the server has it."""
    path = project.paths.serving / version / artefact.FOLDER / artefact.CONTRACT
    path.parent.mkdir(parents=True)
    path.write_text(CONTRACT_OF_HOURS.model_dump_json(), encoding="utf-8")


def parsed(**change: Any) -> dict[str, Any]:
    """A row as a request's parser hands it on."""
    return REQUEST.parse(json.dumps(REQUEST.example() | change).encode())[0]


def entry(name: str, *rows: dict[str, Any], **about: Any) -> Entry:
    """A request as the champion answered it at noon; ``about`` says what was otherwise."""
    said: dict[str, Any] = {"at": NOON, "version": "hours/1", "role": "champion", "degraded": None, "seconds": 0.0025}
    said = said | {"rows": list(rows or [parsed()])} | about
    return Entry(request_id=name, values=[39.5 + n for n in range(len(said["rows"]))], **said)


def journal_of(project: Project, *, log: PredictionLogConfig | None = None, **limits: Any) -> Journal:
    operations = load_operations(project.paths.operations)
    if log is not None:
        serving = operations.serving.model_copy(update={"log": log})
        operations = operations.model_copy(update={"serving": serving})
    return Journal(project.paths, operations, **limits)


def logged(project: Project, day: date = DAY, model: str = "hours") -> pl.DataFrame:
    found = requests(model, day, Store(project.paths))
    assert found is not None
    return found


def ids(project: Project, day: date = DAY) -> list[str]:
    return sorted(logged(project, day)["request_id"])


def spools(project: Project) -> list[str]:
    return sorted(path.suffix for path in project.paths.journal.glob("*"))


def abandoned(project: Project, *entries: Entry) -> Path:
    """A spool that a process left which does not live any more; returns where it is."""
    log = journal_of(project)
    log._spool.append(b"".join(line for one in entries if (line := log._line(one))))
    log._spool._lock.release(force=True)
    return log._spool._path
