"""Traces as a collector receives them: who belongs to whom, what they say and never say, and one that is away."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.log import log
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.serving.app import create_app
from {{cookiecutter.package_name}}.serving.batcher import Batcher
from {{cookiecutter.package_name}}.serving.shelf import Shelf
from {{cookiecutter.package_name}}.serving.traces import CURRENT, Traces, note
from {{cookiecutter.package_name}}.serving.worker import open_placed
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

PACKAGE = "{{cookiecutter.package_name}}"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """What speaks OTLP over HTTP and keeps every span. With ``held`` it takes the bytes and does not answer."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        self.status = 200
        self.held = False
        self.release = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.add(self.path)
                if collector.held:
                    collector.release.wait(60)
                else:
                    collector.bodies.append(body)
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def resources(self) -> list[Any]:
        return [one for body in self.bodies for one in ExportTraceServiceRequest.FromString(body).resource_spans]

    @property
    def spans(self) -> list[Any]:
        """As they came, the oldest first."""
        found = [span for one in self.resources for scope in one.scope_spans for span in scope.spans]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


def said(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv(ENDPOINT, made.address)
    yield made
    made.release.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def tracing() -> Traces:
    traces = Traces.wanted("parcels-hours")
    assert traces is not None
    return traces


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    """But the names of its interface, which FastAPI imports."""
    code = f"""
import sys
import {PACKAGE}.serving.app, {PACKAGE}.serving.serve
from {PACKAGE}.serving.traces import Traces, note
assert Traces.wanted("x") is None
note(version="hours/1", rows=1)
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf", "requests", "urllib3")
print([name for name in sys.modules if name.startswith(heavy)])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("[]\n", 0), ran.stderr


@pytest.mark.parametrize("name", [ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_either_variable_names_the_collector(name: str, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENDPOINT)
    monkeypatch.setenv(name, collector.address + ("/else" if "TRACES" in name else ""))
    traces = tracing()
    traces.end(traces.begin("POST", "/predict", "r1"), 200)
    traces.close(10)
    assert collector.paths == {"/else" if "TRACES" in name else "/v1/traces"}
    assert len(collector.spans) == 1


def test_a_request_continues_the_trace_of_its_caller(collector: Collector) -> None:
    traces = tracing()
    span = traces.begin("POST", "/predict", "r1", f"00-{TRACE}-{CALLER}-01", "vendor=1")
    assert CURRENT.get() is span
    note(version="hours/3", rows=2, role="champion", degraded=None)
    traces.end(span, 200)
    assert CURRENT.get() is None
    for wrong in (None, "", "00-zz-zz-01", f"00-{TRACE}-{CALLER}", "x" * 5000):
        traces.end(traces.begin("POST", "/predict", "r2", wrong), 503)
    traces.end(traces.begin("POST", "/predict", "r3", f"00-{TRACE}-{CALLER}-00"), 200)
    traces.close(10)
    first, *others = collector.spans
    assert (first.trace_id.hex(), first.parent_span_id.hex(), first.trace_state) == (TRACE, CALLER, "vendor=1")
    assert said(first) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "ml.request_id": "r1",
        "ml.version": "hours/3",
        "ml.rows": 2,
        "ml.role": "champion",
    }
    assert first.kind == first.SPAN_KIND_SERVER and first.status.code == first.status.STATUS_CODE_UNSET
    assert len(others) == 5, "what the caller does not sample is not sent"
    assert all(span.trace_id.hex() != TRACE and not span.parent_span_id for span in others)
    assert {span.status.code for span in others} == {first.status.STATUS_CODE_ERROR}
    (service,) = {
        one.value.string_value
        for resource in collector.resources
        for one in resource.resource.attributes
        if one.key == "service.name"
    }
    assert service == "parcels-hours"


class Doubling:
    name = "hours/1"

    def answer_rows(self, rows: Any) -> Any:
        class Answered:
            values = np.array([row["x"] for row in rows], dtype=float) * 2

        return Answered


@pytest.mark.parametrize("quick", [True, False], ids=["at once", "in a thread"])
def test_a_batch_is_the_child_of_one_request_and_knows_them_all(quick: bool, collector: Collector) -> None:
    traces, version = tracing(), Doubling()

    async def ask(batcher: Batcher, x: float) -> None:
        span = traces.begin("POST", "/predict", f"r{x:g}")
        values = await batcher.predict(version, [{"x": x}, {"x": x}])  # type: ignore[arg-type]
        assert values.tolist() == [2 * x, 2 * x]
        traces.end(span, 200)

    async def main() -> None:
        batcher = Batcher(0.001, traces=traces)
        if quick:
            batcher._new(version).seconds = 0.0  # type: ignore[arg-type]
        await asyncio.wait_for(asyncio.gather(*(ask(batcher, x) for x in (1, 2, 3))), 30)
        batcher.close()

    asyncio.run(main())
    traces.close(10)
    requests, (batch,), (predict,) = (
        collector.named("POST /predict"),
        collector.named("batch"),
        collector.named("predict"),
    )
    assert len(requests) == 3
    assert batch.parent_span_id == requests[0].span_id and batch.trace_id == requests[0].trace_id
    assert {link.span_id for link in batch.links} == {request.span_id for request in requests}
    assert predict.parent_span_id == batch.span_id and predict.trace_id == batch.trace_id
    assert said(batch) == said(predict) == {"ml.version": "hours/1", "ml.rows": 6, "ml.requests": 3}
    assert batch.start_time_unix_nano <= predict.start_time_unix_nano
    assert predict.end_time_unix_nano <= batch.end_time_unix_nano


def test_a_served_request_is_traced_from_its_arrival_to_the_model_and_nothing_of_its_row_is_told(
    trained: Project, collector: Collector
) -> None:
    Registry(trained.paths).fetch(VersionId("hours", 1))
    operations = load_operations(trained.paths.operations)
    shelf = Shelf(trained.paths, operations)
    shelf.champion = open_placed(VersionId("hours", 1), trained.paths)[0]
    row = shelf.champion.request.example() | {"depot": "secret-depot", "distance_km": 1234.5}
    with TestClient(create_app(shelf, trained.paths, operations, follow=False)) as client:
        given = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-request-id": "mine", "authorization": "Bearer secret-key"}
        assert client.post("/predict?token=secret-query", json=row, headers=given).status_code == 200
        assert client.post("/predict", json=row | {"fragile": "secret-value"}).status_code == 422
        assert client.get("/secret-path").status_code == 404
    # the server has ended, and so everything is there
    request, refused = collector.named("POST /predict")
    (batch,), (predict,) = collector.named("batch"), collector.named("predict")
    assert request.trace_id.hex() == batch.trace_id.hex() == predict.trace_id.hex() == TRACE
    assert (request.span_id, batch.span_id) == (batch.parent_span_id, predict.parent_span_id)
    assert said(request)["ml.request_id"] == "mine" and said(request)["ml.version"] == "hours/1"
    assert said(request)["ml.rows"] == 1 and said(request)["http.response.status_code"] == 200
    assert said(refused)["http.response.status_code"] == 422
    assert [span.name for span in collector.named("GET other")] == ["GET other"]
    sent = b"".join(collector.bodies)
    assert b"secret" not in sent and b"1234.5" not in sent


@pytest.mark.parametrize("away", ["nobody listens", "never answers", "500", "503"])
def test_a_collector_that_is_away_takes_no_time_from_anybody(
    away: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a request, or the end, to wait for the collector, they would wait for ever: it is let go only afterwards."""
    lines: list[str] = []
    noted = logging.Handler(logging.WARNING)
    noted.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    monkeypatch.setattr(log, "handlers", [noted])
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
    if away == "nobody listens":
        with socket.create_server(("127.0.0.1", 0)) as gone:
            monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{gone.getsockname()[1]}")
    elif away == "never answers":
        collector.held = True
    else:
        collector.status = int(away)
    traces = tracing()
    for number in range(1000):
        traces.end(traces.begin("POST", "/predict", f"r{number}"), 200)
    until = time.monotonic() + 60
    while away != "never answers" and not lines and time.monotonic() < until:
        time.sleep(0.01)  # for the first batch to fail, on whatever machine
    traces.close(0.05)
    assert lines.count("traces are not delivered") == (away != "never answers"), "once a minute, however many are lost"
    assert away != "never answers" or "the last traces are lost" in lines
    assert not collector.release.is_set()
    theirs = logging.getLogger("opentelemetry")
    assert not theirs.propagate and len(theirs.handlers) == 1, "what it complains of is said in those lines only"
