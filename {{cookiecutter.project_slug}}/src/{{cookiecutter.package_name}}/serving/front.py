"""The outermost layer of the server: who may come in, how many at once, for how long, and what is noted of it.

Plain ASGI. Predictions are answered here, in front of FastAPI's router, whose routing and response model take 100 us of
CPU a request: more than reading, computing and answering one row. Everything that a middleware would hold for them is
held here for every route alike.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
from collections.abc import Callable
from typing import Any, Protocol

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from ..clock import stopwatch
from ..config import ServingConfig
from ..log import log
from .answers import Refused, Send, respond
from .metrics import Metrics
from .traces import Traces

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
BODY = "the rest of the request"
OPEN = ("/health", "/ready")
"""Asked by balancers and orchestrators, which have no key; they say nothing that anybody could use."""
PAGES = ("/", "/docs")
"""What a browser opens, which has no key to send: the page shows a field for one, and no more before it has it."""
PREDICT = "/predict"
VERSIONS = "/versions/"
SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
POLICY = b"default-src 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of everything that brings none of its own."""

Receive = Callable[[], Any]


class Predict(Protocol):
    """What answers a prediction: version's ID as in the path, None for the champion."""

    async def __call__(self, request: Request, version: str | None) -> bytes: ...


class Holders(Protocol):
    """Who holds which key."""

    @property
    def required(self) -> bool: ...

    def holder(self, authorization: str | None, x_api_key: str | None) -> str | None: ...


class Request:
    """One request on its way: its headers by name, its body, and when it came."""

    __slots__ = ("_receive", "begun", "headers", "id", "scope", "waited_for")

    def __init__(self, scope: dict[str, Any], receive: Receive) -> None:
        self.scope, self._receive = scope, receive
        self.begun = stopwatch()
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"")
        self.id = given.decode() if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        self.waited_for = BODY

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def body(self, limit: int) -> bytes:
        """The body, given up as soon as it is, or says that it will be, longer than ``limit`` bytes."""
        announced = self.headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        chunks, size, more = [], 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise _too_large(limit)
            more = message.get("more_body", False)
        self.waited_for = "the model"
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> Refused:
    # the rest of the body is not read, so the connection cannot be used again
    return Refused(413, "too_large", f"expected at most {limit} bytes in a request", close=True)


class Front:
    """The application that the server runs, around ``app``, which answers everything but predictions."""

    def __init__(
        self,
        app: Any,
        predict: Predict,
        config: ServingConfig,
        metrics: Metrics,
        keys: Holders,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces
        self.app, self._predict, self._config, self._metrics, self._keys = app, predict, config, metrics, keys
        self._inside = 0
        self._rate = None
        if config.requests_per_minute is not None:
            self._rate = RateLimitItemPerMinute(config.requests_per_minute)
            self._limiter = MovingWindowRateLimiter(MemoryStorage())
        metrics.waiting.set_function(lambda: self._inside)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        path: str = scope["path"]
        status = 500

        async def answer(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"] = [*message["headers"], *SAFE, (b"x-request-id", request.id.encode())]
                if not any(name == b"content-security-policy" for name, _ in headers):
                    headers.append((b"content-security-policy", POLICY))
            await send(message)

        predicts = path == PREDICT or (path.startswith(VERSIONS) and path.endswith(PREDICT))
        route = (PREDICT if path == PREDICT else "/versions/{version}/predict") if predicts else _route(path)
        span = None if self._traces is None else self._traces.begin(
            scope["method"], route, request.id, request.header(b"traceparent"), request.header(b"tracestate")
        )  # fmt: skip
        self._inside += 1
        try:
            self._admit(request, path)
            if predicts:
                await self._answer(request, path, answer)
            else:
                scope["state"] = {**scope.get("state", {}), "id": request.id}
                await self.app(scope, receive, answer)
        except Refused as refused:
            if refused.status >= 500 or refused.status in (401, 408, 429):
                said = {"request_id": request.id, "status": refused.status, "code": refused.code}
                log.warning("refused", extra=said | {"reason": refused.message})
            await respond(answer, refused.status, refused.body(request.id), refused.headers())
        except ConnectionAbortedError:
            status = 499  # as nginx calls a client that has gone; nobody reads an answer
        except Exception:
            log.exception("the server failed", extra={"request_id": request.id})
            broken = Refused(500, "internal", "the server failed; its log has this request's ID")
            await respond(answer, 500, broken.body(request.id), broken.headers())
        finally:
            self._inside -= 1
            self._metrics.request(route, status, stopwatch() - request.begun)
            if self._traces is not None:
                self._traces.end(span, status)

    def _admit(self, request: Request, path: str) -> None:
        """Raises Refused for whom has no key, asks too often, or comes when the server has enough to do."""
        if path in OPEN:
            return
        who = None
        if self._keys.required:
            who = self._keys.holder(request.header(b"authorization"), request.header(b"x-api-key"))
            if who is None and path not in PAGES:
                raise Refused(401, "no_key", "expected a valid API key, as Authorization: Bearer or X-API-Key")
        if self._rate is not None:
            who = who or (request.scope.get("client") or ("unknown",))[0]
            if not self._limiter.hit(self._rate, who):
                limit = self._rate.amount
                wait = math.ceil(60 / limit)  # until the oldest of evenly spread requests leaves the window
                raise Refused(429, "too_many_requests", f"expected at most {limit} requests a minute", retry_after=wait)
        if self._inside > self._config.max_waiting:
            raise Refused(503, "overloaded", "the server has as much to do as it can", retry_after=1)

    async def _answer(self, request: Request, path: str, send: Send) -> None:
        if request.scope["method"] != "POST":
            raise Refused(405, "http", "Method Not Allowed", allow="POST")
        version = None if path == PREDICT else path[len(VERSIONS) : -len(PREDICT)]
        seconds = self._config.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                body = await self._predict(request, version)
        except TimeoutError:
            if request.waited_for == BODY:
                raise Refused(
                    408, "too_slow", f"the request was not complete after {seconds:g} s", close=True
                ) from None
            said = f"waited {seconds:g} s for {request.waited_for}"
            raise Refused(503, "timeout", said, retry_after=2) from None
        await respond(send, 200, body)


def _route(path: str) -> str:
    """Paths by which requests are counted: what anybody may invent counts as one."""
    return path if path in (*OPEN, "/", "/version", "/metrics", "/openapi.json", "/docs") else "other"
