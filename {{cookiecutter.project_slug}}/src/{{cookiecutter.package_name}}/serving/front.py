"""The outermost layer of the server: who may come in, how many at once, for how long, and what is noted of it.

Plain ASGI. Predictions are answered here, in front of FastAPI's router, whose routing and response model take 100 us of
CPU a request: more than reading, computing and answering one row. Everything that a middleware would hold for them is
held here for every route alike.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Any, Protocol

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from ..clock import stopwatch
from ..config import ServingConfig
from ..log import log
from .answers import Refused, Send, respond
from .exchange import ANSWER, BODY, GONE, Answer, Receive, Request
from .metrics import Metrics
from .traces import Traces

OPEN = ("/health", "/ready")
"""Asked by balancers and orchestrators, which have no key; they say nothing that anybody could use."""
PAGES = ("/", "/docs")
"""What a browser opens, which has no key to send: the page shows a field for one, and no more before it has it."""
PREDICT = "/predict"
VERSIONS = "/versions/"


class Predict(Protocol):
    """What answers a prediction: version's ID as in the path, None for the champion."""

    async def __call__(self, request: Request, version: str | None) -> bytes: ...


class Holders(Protocol):
    """Who holds which key."""

    @property
    def required(self) -> bool: ...

    def holder(self, authorization: str | None, x_api_key: str | None) -> str | None: ...


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
        predicts = path == PREDICT or (path.startswith(VERSIONS) and path.endswith(PREDICT))
        route = (PREDICT if path == PREDICT else "/versions/{version}/predict") if predicts else _route(path)
        span = None if self._traces is None else self._traces.begin(
            scope["method"], route, request.id, request.header(b"traceparent"), request.header(b"tracestate")
        )  # fmt: skip
        answer = Answer(request, send)
        self._inside += 1
        try:
            try:
                async with asyncio.timeout(self._config.timeout_seconds):
                    self._admit(request, path)
                    if predicts:
                        await self._predicted(request, path, answer)
                    else:
                        request.waited_for = ANSWER
                        scope["state"] = {**scope.get("state", {}), "id": request.id}
                        await self.app(scope, receive, answer)
            except TimeoutError:
                raise self._late(request) from None
        except Refused as refused:
            if refused.status >= 500 or refused.status in (401, 408, 429):
                said = {"request_id": request.id, "status": refused.status, "code": refused.code}
                log.warning("refused", extra=said | {"reason": refused.message})
            await self._instead(answer, refused)
        except ConnectionAbortedError:
            await self._hang_up(answer)
        except Exception:
            log.exception("the server failed", extra={"request_id": request.id})
            await self._instead(
                answer, Refused(500, "internal", "the server failed; its log has this request's ID", close=True)
            )
        finally:
            self._inside -= 1
            self._metrics.request(route, answer.status, stopwatch() - request.begun)
            if self._traces is not None:
                self._traces.end(span, answer.status)

    async def _instead(self, answer: Answer, refused: Refused) -> None:
        """Answer with a refusal, if nothing was answered yet and somebody takes it."""
        if answer.begun:
            await self._hang_up(answer)
            return
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                await respond(answer, refused.status, refused.body(answer.request.id), refused.headers())
        except (TimeoutError, ConnectionAbortedError):
            await self._hang_up(answer)

    async def _hang_up(self, answer: Answer) -> None:
        answer.status = GONE
        if (abort := answer.request.scope.get("state", {}).get("abort")) is not None:
            abort()
            # it is lost in one of the loop's next turns; who returns before that is blamed for leaving it unanswered
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await answer.request.gone()

    def _late(self, request: Request) -> Exception:
        """What becomes of a request whose time is over."""
        seconds = self._config.timeout_seconds
        if request.waited_for == BODY:
            return Refused(408, "too_slow", f"the request was not complete after {seconds:g} s", close=True)
        if request.waited_for == ANSWER:
            return ConnectionAbortedError()
        return Refused(503, "timeout", f"waited {seconds:g} s for {request.waited_for}", retry_after=2)

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

    async def _predicted(self, request: Request, path: str, send: Send) -> None:
        if request.scope["method"] != "POST":
            raise Refused(405, "http", "Method Not Allowed", allow="POST")
        version = None if path == PREDICT else path[len(VERSIONS) : -len(PREDICT)]
        body = await self._predict(request, version)
        request.waited_for = ANSWER
        await respond(send, 200, body)


def _route(path: str) -> str:
    """Paths by which requests are counted: what anybody may invent counts as one."""
    return path if path in (*OPEN, "/", "/version", "/metrics", "/openapi.json", "/docs") else "other"
