"""What is outside may be slow, refuse, fail or talk nonsense, and come back: what a question costs and is told then."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stamina

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.files import write_json
from {{cookiecutter.package_name}}.log import log
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.serving import worker
from {{cookiecutter.package_name}}.serving.outside import (
    FAILURES,
    REST,
    Away,
    Outside,
    get,
)
from {{cookiecutter.package_name}}.serving.pointer import Pointer
from {{cookiecutter.package_name}}.serving.shelf import Shelf

from conftest import Project

TINY = 0.001
GOOD = json.dumps({"model_version": {"name": "x", "version": "7"}}).encode()


class Registry:
    """Something that speaks HTTP, in whatever way a test tells it to, and counts who asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.how: Callable[[BaseHTTPRequestHandler], None] = self.well
        self.over = threading.Event()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked += 1
                registry.how(self)

            def do_POST(self) -> None:  # as MLflow's own client searches
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    @staticmethod
    def saying(status: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
        def how(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        return how

    def well(self, handler: BaseHTTPRequestHandler) -> None:
        self.saying(200, GOOD)(handler)

    def silent(self, _: BaseHTTPRequestHandler) -> None:
        self.over.wait(30)

    def dripping(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte now and then, each of them in time."""
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not self.over.wait(0.01):
            handler.wfile.write(b" ")

    def hanging_up(self, handler: BaseHTTPRequestHandler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)

    def half(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(GOOD)
        self.hanging_up(handler)


@contextmanager
def answering() -> Iterator[Registry]:
    made = Registry()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.over.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with answering() as made:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", made.address)
        yield made


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO)
    return caplog


def pointer_of(project: Project, seconds: float = 5, attempts: int = 3, wait: float = TINY) -> Pointer:
    pointer = Pointer(project.paths, load_operations(project.paths.operations), timeout=seconds, attempts=attempts)
    if not pointer.uri.startswith("sqlite"):
        pointer._outside = Outside(pointer._name, seconds=seconds, attempts=attempts, wait=wait)
    return pointer


FAILING: dict[str, tuple[Callable[[Registry], Callable[[BaseHTTPRequestHandler], None]], float, str, int]] = {
    "slow": (lambda r: r.silent, 0.05, "does not answer: timed out", 2),
    "dripping": (lambda r: r.dripping, 0.1, "timed out in mid-answer", 2),
    "hangs up": (lambda r: r.hanging_up, 5, "does not answer: ", 3),
    "half an answer": (lambda r: r.half, 5, "does not answer: ", 3),
    "500": (lambda r: r.saying(500, b"<h1>oh no</h1>"), 5, "said no: 500 Internal Server Error", 3),
    "503": (lambda r: r.saying(503, b"{}"), 5, "said no: 503 Service Unavailable", 3),
    "429": (lambda r: r.saying(429, b"[]"), 5, "said no: 429 Too Many Requests", 3),
    "401": (lambda r: r.saying(401, b"null"), 5, "said no: 401 Unauthorized", 1),
    "another 404": (lambda r: r.saying(404, b"<h1>no such page</h1>"), 5, "said no: 404 Not Found", 1),
    "a login page": (lambda r: r.saying(302, b""), 5, "said no: 302 Found", 1),
    "a number that is none": (lambda r: r.saying(599, b""), 5, "said no: 599", 3),
    "HTML": (lambda r: r.saying(200, b"<h1>Welcome</h1>"), 5, "answers, but not as MLflow does", 1),
    "nothing": (lambda r: r.saying(200, b""), 5, "answers, but not as MLflow does", 1),
    "bytes": (lambda r: r.saying(200, b"\xff\xfe\x00"), 5, "answers, but not as MLflow does", 1),
    "deep": (lambda r: r.saying(200, b"[" * 100_000), 5, "answers, but not as MLflow does", 1),
    "other JSON": (lambda r: r.saying(200, b'{"model_version": {"version": "x"}}'), 5, "not as MLflow does", 1),
    "a list": (lambda r: r.saying(200, b"[1]"), 5, "answers, but not as MLflow does", 1),
    "endless": (lambda r: r.saying(200, b" " * (16 * 2**20 + 1)), 5, "answered more than 16,777,216 bytes", 1),
}
"""What it does, how long it may take, the words of the error, and how often one question asks at most."""


@pytest.mark.parametrize("what", FAILING)
def test_each_way_to_fail_is_exit_4_with_its_name_and_then_it_comes_back(
    what: str, registry: Registry, project: Project
) -> None:
    how, seconds, words, tries = FAILING[what]
    registry.how = how(registry)
    pointer = pointer_of(project, seconds)
    with pytest.raises(ProjectError) as away:
        pointer.champion("hours")
    assert away.value.exit is Exit.UNAVAILABLE
    assert away.value.message.startswith(f"the registry at {registry.address} ") and words in away.value.message
    assert away.value.hint and "Traceback" not in away.value.message
    assert registry.asked <= tries and (registry.asked == tries or seconds < 5)
    registry.how = registry.well
    fresh = pointer_of(project)
    assert fresh.champion("hours") == pointer_of(project).champion("hours") == VersionId("hours", 7)


def test_a_port_where_nobody_listens(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:secret@127.0.0.1:{port}")
    with pytest.raises(ProjectError, match="does not answer") as away:
        pointer_of(project).champion("hours")
    assert "secret" not in str(away.value), "nor is a password told"


def test_one_bad_moment_is_not_noticed(registry: Registry, project: Project, said: pytest.LogCaptureFixture) -> None:
    def once(handler: BaseHTTPRequestHandler) -> None:
        (registry.well if registry.asked > 2 else registry.saying(503, b""))(handler)

    registry.how = once
    assert pointer_of(project).champion("hours") == VersionId("hours", 7)
    assert registry.asked == 3
    assert [record.message for record in said.records if record.name == "ml"] == ["asked again"] * 2


def test_what_does_not_exist_is_an_answer(registry: Registry, project: Project) -> None:
    registry.how = registry.saying(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')
    pointer = pointer_of(project)
    for _ in range(2 * FAILURES):
        assert pointer.champion("hours") is None and pointer.facts(VersionId("hours", 1)) is None
    assert registry.asked == 4 * FAILURES, "and no failure, however often"


def test_tries_wait_longer_each_time_and_never_equally_long(registry: Registry, project: Project) -> None:
    waits: list[float] = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    registry.how = registry.saying(500, b"")
    try:
        for _ in range(10):
            with pytest.raises(ProjectError):
                pointer_of(project, wait=TINY).champion("hours")
    finally:
        stamina.instrumentation.set_on_retry_hooks([])
    first, second = waits[::2], waits[1::2]
    assert len(first) == len(second) == 10
    assert all(TINY <= wait <= 2 * TINY for wait in first) and all(2 * TINY <= wait <= 3 * TINY for wait in second)
    assert len(set(first)) > 5, "with jitter: many servers do not come back at the same moment"


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_what_keeps_failing_is_left_alone_and_asked_once_when_its_time_is_over(said: pytest.LogCaptureFixture) -> None:
    clock, asked, well = Clock(), [], False

    def ask(seconds: float) -> str:
        asked.append(seconds)
        if not well:
            raise Away("does not answer: broken")
        return "fine"

    outside = Outside("the thing", seconds=3, attempts=1, clock=clock)
    messages = []
    for _ in range(100):  # the server asks every two seconds
        with pytest.raises(ProjectError) as away:
            outside.call(ask)
        assert away.value.exit is Exit.UNAVAILABLE
        messages.append(away.value.message)
    assert asked == [3] * FAILURES, "no more, however often it is wanted"
    assert messages[0] == "the thing does not answer: broken"
    assert messages[-1].startswith(f"the thing is left alone for {REST:.0f} s") and "broken" in messages[-1]
    clock.seconds += REST - 0.1
    with pytest.raises(ProjectError, match="left alone"):
        outside.call(ask)
    clock.seconds += 0.2
    with pytest.raises(ProjectError, match="the thing does not answer: broken"):
        outside.call(ask)
    with pytest.raises(ProjectError, match="left alone"):
        outside.call(ask)
    assert len(asked) == FAILURES + 1, "one question decides"
    clock.seconds += REST + 0.1
    well = True
    assert [outside.call(ask) for _ in range(5)] == ["fine"] * 5
    assert [record.message for record in said.records] == ["left alone", "answers again"]


def test_the_wall_clock_may_be_set_while_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from {{cookiecutter.package_name}}.serving import outside as module

    clock = Clock()
    outside = Outside("the thing", seconds=1, attempts=1, failures=1, clock=clock)

    def broken(_: float) -> None:
        raise Away("does not answer")

    with pytest.raises(ProjectError):
        outside.call(broken)
    opened = outside._steady.opened_at
    real = module.now
    monkeypatch.setattr(module, "now", lambda: real() - timedelta(hours=1))
    assert opened is not None and outside._steady.opened_at is not None
    assert opened - outside._steady.opened_at > timedelta(minutes=59), "it is counted from whatever the clock says"


def test_a_mistake_of_ours_is_told_as_one_and_counts_for_nothing() -> None:
    outside = Outside("the thing", seconds=1, attempts=3, failures=1)

    def wrong(_: float) -> None:
        raise KeyError("ours")

    def no(_: float) -> None:
        raise ProjectError("a proof failed", exit=Exit.SAID_NO)

    for _ in range(3):
        with pytest.raises(KeyError):
            outside.call(wrong)
        with pytest.raises(ProjectError, match="a proof failed"):
            outside.call(no)


def test_the_server_asks_a_registry_that_is_away_no_more_than_it_must(
    registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop that follows the champion: a minute of it, and then the registry is back."""
    clock = Clock()
    shelf = Shelf(project.paths, load_operations(project.paths.operations))
    pointer = shelf._pointer
    pointer._outside = Outside(pointer._name, seconds=5, attempts=pointer._attempts, clock=clock)
    registry.how = registry.saying(500, b"")
    for _ in range(30):
        shelf.follow()
        clock.seconds += 2
    assert registry.asked <= FAILURES + 60 / REST
    assert "left alone" in shelf.registry or "said no" in shelf.registry
    registry.how = registry.saying(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')
    clock.seconds += REST
    shelf.follow()
    assert shelf.registry == "answers"


def test_a_registry_that_goes_away_between_two_questions_is_away(registry: Registry, project: Project) -> None:
    """It names no champion, and is gone before it can say whether it is the one that this project served from."""
    remembered = project.paths.serving / "hours" / "champion.json"
    write_json(remembered, {"number": 4, "run_id": "r"})

    def once(handler: BaseHTTPRequestHandler) -> None:
        no_such = registry.saying(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')
        (no_such if registry.asked == 1 else registry.saying(500, b""))(handler)

    registry.how = once
    shelf = Shelf(project.paths, load_operations(project.paths.operations))
    assert shelf.follow() is False
    assert "hours/4" in shelf.waiting_for and "said no: 500" in shelf.registry


@pytest.mark.slow
def test_a_fetch_from_a_registry_that_is_silent_ends(
    registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own client does the asking there, with limits of its own."""
    registry.how = registry.silent
    monkeypatch.setitem(worker.PATIENCE, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ProjectError, match="registry") as away:
        worker.fetch(VersionId("hours", 1), project.paths)
    assert away.value.exit is Exit.UNAVAILABLE and "timed out" in away.value.message.lower()
    assert registry.asked == 1


def test_versions_that_cannot_be_fetched_do_not_start_a_process_for_each_request(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is one that imports MLflow; a client may ask for a version as often as it likes."""
    started: list[VersionId] = []

    def away(version: VersionId, _: Any) -> None:
        started.append(version)
        raise ProjectError("the artefacts do not answer", exit=Exit.UNAVAILABLE)

    monkeypatch.setattr(worker, "fetch", away)
    shelf = Shelf(trained.paths, load_operations(trained.paths.operations))
    for _ in range(10):
        with pytest.raises(ProjectError) as error:
            shelf.get(VersionId("hours", 1))
        assert error.value.exit is Exit.UNAVAILABLE and "the artefacts do not answer" in error.value.message
    assert len(started) == 2


def test_an_address_that_is_none_is_said_plainly() -> None:
    with pytest.raises(Away, match="does not answer"):
        get("http://[::1", 1)
