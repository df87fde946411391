"""The registry asked without MLflow: the same champion and the same history, and nothing heavy imported for it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.serving.pointer import Pointer
from {{cookiecutter.package_name}}.training import champion
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

PACKAGE = "{{cookiecutter.package_name}}"
HEAVY = ("numpy", "scipy", "sklearn", "polars", "mlflow", "pandas", "httpx")
DAY = datetime(2026, 6, 3, 6, tzinfo=UTC)


def pointer_of(project: Project, **given: Any) -> Pointer:
    return Pointer(project.paths, load_operations(project.paths.operations), **given)


def test_the_history_over_sqlite_is_what_mlflow_says(trained: Project) -> None:
    registry, first = Registry(trained.paths), VersionId("hours", 1)
    assert pointer_of(trained).moves("hours") == []
    champion.promote(registry, first, str, now=DAY, why="first", force=True)
    registry.client.delete_registered_model_alias(registry.operations.registered("hours"), "champion")
    champion.rollback(registry, "hours", first, str, now=DAY.replace(day=4), why="größer")
    moves = pointer_of(trained).moves("hours")
    assert [(move["verb"], move["version"], move["why"]) for move in moves] == [
        ("promote", 1, "first"),
        ("rollback", 1, "größer"),
    ]
    assert [(datetime.fromisoformat(move["at"]), move["who"], move["gate"]) for move in moves] == [
        (move.at, move.who, move.gate) for move in champion.history(registry, "hours")
    ]
    assert pointer_of(trained).champion("hours") == first
    assert pointer_of(trained).moves("late") == pointer_of(trained).moves("never-trained") == []


def test_a_project_without_a_registry_has_no_history(project: Project) -> None:
    assert pointer_of(project).moves("hours") == []
    assert not project.paths.registry.exists()


@contextmanager
def answering(status: int, body: dict[str, Any]) -> Iterator[str]:
    """A server with one answer, in the words of MLflow's REST API; test_api.py asks the real one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "versions"),
    [
        (200, {"registered_model": {"name": "x"}}, []),
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}, []),
        (
            200,
            {
                "registered_model": {
                    "tags": [
                        {"key": "champion.000010", "value": '{"version": 3}'},
                        {"key": "owner", "value": "ada"},
                        {"key": "empty"},
                        {"key": "champion.000002", "value": '{"version": 7}'},
                    ]
                }
            },
            [7, 3],
        ),
    ],
    ids=["no tags", "no such model", "among others"],
)
def test_the_history_over_http(
    status: int, body: dict[str, Any], versions: list[int], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status, body) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert [move["version"] for move in pointer_of(project).moves("hours")] == versions


def test_a_registry_that_takes_longer_than_it_may_is_away(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ProjectError, match="does not answer: timed out") as away:
            pointer_of(project, timeout=0.05).moves("hours")
    assert away.value.exit is Exit.UNAVAILABLE


def test_asking_a_database_imports_nothing_heavy(trained: Project) -> None:
    code = f"""
import sys
from {PACKAGE}.config import load_operations
from {PACKAGE}.model.artefact import is_placed, read
from {PACKAGE}.model.id import VersionId
from {PACKAGE}.paths import find
from {PACKAGE}.serving.pointer import Pointer
paths = find()
pointer = Pointer(paths, load_operations(paths.operations))
assert pointer.champion("hours") is None and pointer.moves("hours") == []
assert pointer.facts(VersionId("hours", 1))["model"] == "hours"
print("IMPORTED", *sorted(set(name.partition(".")[0] for name in sys.modules) & set({HEAVY!r})))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=trained.paths.root, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "IMPORTED\n"
