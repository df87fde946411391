"""The API put together: FastAPI for what people and orchestrators ask, and in front of it what answers predictions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from ..config import OperationsConfig
from ..log import log
from ..paths import Paths
from .answers import Refused
from .batcher import Batcher
from .front import Front
from .journal import Journal
from .keys import Keys
from .monitored import Monitored
from .openapi import describe
from .page import POLICY, base_of, locked, page
from .predict import Predictor
from .shelf import Shelf
from .traces import Traces

REPORTED = (
    "version", "registered", "git_commit", "git_dirty", "dataset_sha256", "window", "contract_version", "lock_sha256",
    "python", "cpu", "metrics", "run_id", "config_file", "seed",
)  # fmt: skip
DRAIN = 10.0
"""Seconds that the prediction log has at the end to write what it still holds."""
LAST_SPANS = 2.0
"""Seconds that a collector has at the end to take the last traces."""


def create_app(
    shelf: Shelf, paths: Paths, operations: OperationsConfig, keys: Keys | None = None, *, follow: bool = True
) -> Front:
    """The application around ``shelf``; ``operations.model`` is what a bare version number in a path means.

    ``follow=False`` leaves the champion alone, for tests that move it by hand.
    """
    config = operations.serving
    keys = keys or Keys.of(paths)
    metrics = shelf.metrics
    journal = Journal(paths, operations)
    monitored = Monitored(paths, operations)
    metrics.registry.register(monitored)
    traces = Traces.wanted(f"{operations.project}-{operations.model}")
    batcher = Batcher(config.batch_wait_ms / 1000, metrics.batch, traces)
    predictor = Predictor(shelf, operations.model, config, batcher, metrics, journal)
    for name in ("kept", "dropped", "waiting", "failed"):
        metrics.of(
            f"ml_prediction_log_{name}", f"Requests {name} by the prediction log", lambda of=name: getattr(journal, of)
        )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        journal.start()
        monitored.start()
        tasks = [asyncio.create_task(predictor.shadows())]
        tasks += [asyncio.create_task(_follow(shelf, config.follow_seconds))] if follow else []
        yield
        for task in tasks:
            task.cancel()
        batcher.close()
        monitored.close()
        await asyncio.to_thread(journal.close, DRAIN)
        if traces is not None:
            await asyncio.to_thread(traces.close, LAST_SPANS)

    app = FastAPI(
        title=operations.model, lifespan=lifespan, version="1", docs_url=None, redoc_url=None,
        openapi_url="/openapi.json" if config.docs else None,
    )  # fmt: skip
    app.openapi = lambda: describe(app, shelf.champion)  # type: ignore[method-assign]

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        refused = Refused(
            error.status_code,
            "no_such_route" if error.status_code == 404 else "http",
            error.detail,
            allow=(error.headers or {}).get("Allow", ""),
        )
        headers = {name.decode(): value.decode() for name, value in refused.headers()}
        return Response(refused.body(request.state.id), refused.status, headers)

    @app.get("/health", summary="The process is alive")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="A version is loaded and proven")
    async def ready() -> JSONResponse:
        if shelf.champion is None:
            return JSONResponse({"status": "not ready", "reason": shelf.waiting_for}, status_code=503)
        return JSONResponse({"status": "ready", "model_version": shelf.champion.name})

    @app.get("/version", summary="What is serving, since when, and where it comes from")
    async def version() -> dict[str, Any]:
        champion, traffic = shelf.champion, shelf.traffic
        return {
            "serving": {key: champion.facts[key] for key in REPORTED if key in champion.facts} if champion else None,
            "computed_by": champion.path if champion else None,
            "since": shelf.since.isoformat(timespec="seconds") if shelf.since else None,
            "canary": {"version": shelf.canary.name, "share": traffic.share} if shelf.canary else None,
            "shadow": shelf.shadow.name if shelf.shadow else None,
            "stopped": traffic.stopped,
            "loaded": shelf.loaded,
            "refused": shelf.refused,
            "short_cuts_refused": shelf.short_cuts_refused,
            "registry": shelf.registry,
        }

    @app.get("/metrics", summary="Counters in the format of Prometheus", response_class=Response)
    async def measured() -> Response:
        metrics.registry_up.set(shelf.registry == "answers")
        return Response(metrics.page(), headers={"content-type": CONTENT_TYPE_LATEST})

    if config.docs:

        @app.get("/", include_in_schema=False)
        async def people(request: Request) -> Response:
            headers = {"content-security-policy": POLICY}
            given = request.headers.get("authorization"), request.headers.get("x-api-key")
            if keys.required and keys.holder(*given) is None:
                return HTMLResponse(locked(operations.project), 401, headers)
            notes = paths.card_notes(operations.model)
            words = notes.read_text(encoding="utf-8") if notes.is_file() else ""
            base = base_of(request.url.scheme, request.headers.get("host", ""))
            return HTMLResponse(page(shelf, operations, words, base, needs_key=keys.required), headers=headers)

        @app.get("/docs", include_in_schema=False)
        async def docs() -> Response:
            return RedirectResponse("./")

    return Front(app, predictor, config, metrics, keys, traces)


async def _follow(shelf: Shelf, seconds: float) -> None:
    """Look after the versions for as long as the server lives; loading happens in a thread, requests go on."""
    while True:
        try:
            await asyncio.to_thread(shelf.follow)
        except Exception:
            log.exception("following the champion failed")
        await asyncio.sleep(seconds)
