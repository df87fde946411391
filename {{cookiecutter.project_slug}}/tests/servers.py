"""A server as a process of its own, who moves its champion, and a crowd that asks it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from {{cookiecutter.package_name}}.model.id import parse
from {{cookiecutter.package_name}}.training import champion
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

PACKAGE = "{{cookiecutter.package_name}}"


def point(project: Project, version: str, *, fetch: bool = True) -> None:
    """Move the champion without replaying the proof: these tests watch what the server does with it.

    Without ``fetch`` nobody has looked at its files either.
    """
    registry = Registry(project.paths)
    champion.promote(
        registry,
        parse(version, "hours"),
        lambda id: str(registry.fetch(id)) if fetch else "",
        now=datetime.now(UTC),
        why="a test",
        force=True,
    )


@contextmanager
def server(project: Project, *arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`ml serve` as a process of its own on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"{PACKAGE}.cli", "serve", "--port", "0", *arguments],
        cwd=project.paths.root,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().partition("listening on ")[2].partition(",")[0], process
    finally:
        process.kill()
        process.communicate()


def wait_for(address: str, version: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if httpx.get(f"{address}/ready").json().get("model_version") == version:
            return
        time.sleep(0.1)
    raise AssertionError(f"{version} never served")


@contextmanager
def crowd(address: str, row: dict[str, Any], clients: int = 4) -> Iterator[list[tuple[int, str]]]:
    """Clients that ask one thing after another; status and version of every answer, or 0 and why there was none."""
    seen: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                try:
                    answer = client.post(f"{address}/predict", json=row)
                    seen.append((answer.status_code, answer.json().get("model_version", answer.text)))
                except httpx.HTTPError as error:
                    seen.append((0, repr(error)))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()
