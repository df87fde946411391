"""Traces of requests, as OpenTelemetry's spans: request → batch → predict.

Only where a collector is named. Without one neither OpenTelemetry's SDK nor its exporter is imported (0.3 to 0.7 s),
and a request pays 0.15 us; with one, about 90 us of CPU. Spans say which version answered how many rows, and never what
was in them. They leave in a thread, from a queue that drops what it cannot hold: a collector that is slow or away costs
spans and no time.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from ..clock import stopwatch
from ..log import log

COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
QUIET = 60.0
"""Seconds between two lines in the log on a collector that takes no spans."""

CURRENT: ContextVar[Any] = ContextVar("span", default=None)
"""The span of the request that this task answers; None where nobody traces."""


def note(**attributes: Any) -> None:
    """Say more of the request that is being answered, where somebody traces: ``version``, ``rows``, ``degraded``."""
    span = CURRENT.get()
    if span is not None:
        span.set_attributes({f"ml.{name}": value for name, value in attributes.items() if value is not None})


class _Told(logging.Handler):
    """What OpenTelemetry has to complain of, as one line a minute in the server's own log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        if stopwatch() >= self._next:
            self._next = stopwatch() + QUIET
            log.warning("traces are not delivered", extra={"reason": record.getMessage()[:300]})


class Traces:
    """The spans of one server. Where they go, and how many of them, say OpenTelemetry's own variables."""

    def __init__(self, service: str) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        logger = logging.getLogger("opentelemetry")
        logger.handlers[:], logger.propagate = [_Told()], False
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        self._provider = TracerProvider(
            resource=Resource.create({} if named else {"service.name": service}), shutdown_on_exit=False
        )
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("ml")
        self._trace = trace
        self._carried = TraceContextTextMapPropagator()
        self._failed = trace.Status(trace.StatusCode.ERROR)

    @classmethod
    def wanted(cls, service: str) -> Traces | None:
        """None where no collector is named; ``service`` is what the spans are of, unless OTEL_SERVICE_NAME says so."""
        return cls(service) if any(os.environ.get(name) for name in COLLECTORS) else None

    def begin(
        self, method: str, route: str, request_id: str, traceparent: str | None = None, tracestate: str | None = None
    ) -> Any:
        """A request has come. Its span continues the caller's trace where there is one, and is :data:`CURRENT`."""
        carried = {"traceparent": traceparent or "", "tracestate": tracestate or ""}
        span = self._tracer.start_span(
            f"{method} {route}",
            context=self._carried.extract(carried) if traceparent else None,
            kind=self._trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route, "ml.request_id": request_id},
        )
        CURRENT.set(span)
        return span

    def end(self, span: Any, status: int) -> None:
        """The request has been answered."""
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(self._failed)
        span.end()
        CURRENT.set(None)

    def batch(self, requests: Sequence[Any], version: str, rows: int) -> Batch:
        """The model begins on the rows of several requests at once: the first one's child, with a link to each."""
        spans = [span for span in requests if span is not None]
        attributes = {"ml.version": version, "ml.rows": rows, "ml.requests": len(requests)}
        within = self._trace.set_span_in_context(spans[0]) if spans else None
        links = [self._trace.Link(span.get_span_context()) for span in spans]
        span = self._tracer.start_span("batch", context=within, links=links, attributes=attributes)
        below = self._trace.set_span_in_context(span)
        return Batch(span, lambda: self._tracer.start_span("predict", context=below, attributes=attributes))

    def close(self, seconds: float) -> None:
        """Send what is left, for ``seconds`` at most; what no collector has taken by then is lost."""
        sending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        sending.start()
        sending.join(seconds)
        if sending.is_alive():
            log.warning("the last traces are lost", extra={"reason": f"no collector took them in {seconds:g} s"})
            self._exporter.shutdown()


class Batch:
    """A batch that is being predicted; ``predicting`` may be called in another thread."""

    def __init__(self, span: Any, predict: Callable[[], Any]) -> None:
        self._span, self._predict = span, predict

    def predicting(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What ``work(*arguments)`` returns, with a span around it."""
        span = self._predict()
        try:
            return work(*arguments)
        finally:
            span.end()

    def end(self) -> None:
        self._span.end()
