"""The API: predict, health, ready, version. Every answer says which version gave it and for which request."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..config import ServingConfig
from ..errors import Exit, ProjectError
from ..log import log
from ..model.id import parse
from ..model.request import RequestRefused
from ..model.version import ModelVersion
from .openapi import describe
from .shelf import Shelf

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
REPORTED = (
    "version", "registered", "git_commit", "git_dirty", "dataset_sha256", "window", "contract_version", "lock_sha256",
    "python", "cpu", "metrics", "run_id", "config_file", "seed",
)  # fmt: skip


class Refused(Exception):
    """An answer other than 200: status, a stable code, and a message without anybody's data."""

    def __init__(self, status: int, code: str, message: str, *, fields: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields


def create_app(shelf: Shelf, model: str, config: ServingConfig, *, follow: bool = True) -> FastAPI:
    """The application around ``shelf``; ``model`` is what a bare version number in a path means.

    ``follow=False`` leaves the champion alone, for tests that move it by hand.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        task = asyncio.create_task(_follow(shelf, config.follow_seconds)) if follow else None
        yield
        if task is not None:
            task.cancel()

    app = FastAPI(title=model, lifespan=lifespan, version="1", docs_url="/docs", redoc_url=None)
    app.openapi = lambda: describe(app, shelf.champion)  # type: ignore[method-assign]

    @app.middleware("http")
    async def identify(request: Request, proceed: Any) -> Response:
        given = request.headers.get("x-request-id", "")
        request.state.id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        response = await proceed(request)
        response.headers["x-request-id"] = request.state.id
        return response

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        said: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.fields is not None:
            said["fields"] = error.fields
        return JSONResponse({"error": said, "request_id": request.state.id}, status_code=error.status)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        said = {"code": "no_such_route" if error.status_code == 404 else "http", "message": error.detail}
        return JSONResponse({"error": said, "request_id": request.state.id}, status_code=error.status_code)

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
        champion = shelf.champion
        return {
            "serving": {key: champion.facts[key] for key in REPORTED if key in champion.facts} if champion else None,
            "since": shelf.since.isoformat(timespec="seconds") if shelf.since else None,
            "loaded": shelf.loaded,
            "refused": shelf.refused,
            "registry": shelf.registry,
        }

    @app.post("/predict", summary="Predict one row, or an array of rows, with the champion")
    async def predict(request: Request) -> JSONResponse:
        if shelf.champion is None:
            raise Refused(503, "not_ready", shelf.waiting_for)
        return await _answer(request, shelf.champion)

    @app.post("/versions/{version:path}/predict", summary="Predict with one version, by its ID")
    async def predict_with(request: Request, version: str) -> JSONResponse:
        try:
            chosen = await asyncio.to_thread(lambda: shelf.get(parse(version, model)))
        except ProjectError as error:
            status = {Exit.USAGE: 404, Exit.SAID_NO: 409}.get(error.exit, 503)
            code = {404: "no_such_version", 409: "version_refused"}.get(status, "unavailable")
            raise Refused(status, code, error.message) from None
        return await _answer(request, chosen)

    async def _answer(request: Request, version: ModelVersion) -> JSONResponse:
        body = await _body(request, config.max_body_kb * 1024)
        try:
            rows = version.request.parse(body)
        except RequestRefused as error:
            fields = [vars(refusal) for refusal in error.refusals[:20]]
            raise Refused(422, "contract", f"the request breaks the contract: {error}", fields=fields) from None
        if len(rows) > config.max_rows:
            raise Refused(413, "too_many_rows", f"expected at most {config.max_rows} rows, found {len(rows)}")
        said = {"model_version": version.name, "request_id": request.state.id}
        try:
            values = version.answer_rows(rows).values
        except Exception:
            log.exception("the model failed", extra=said)
            values = np.array([np.nan])
        if not np.isfinite(values).all():
            log.error("no prediction", extra=said)
            raise Refused(503, "no_prediction", "the model gave no finite prediction for this request")
        return JSONResponse({"predictions": [version.present(value) for value in values.tolist()], **said})

    return app


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, given up as soon as it is longer than ``limit`` bytes."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Refused(413, "too_large", f"expected at most {limit} bytes in a request")
        chunks.append(chunk)
    return b"".join(chunks)


async def _follow(shelf: Shelf, seconds: float) -> None:
    """Look after the champion for as long as the server lives; loading happens in a thread, requests go on."""
    while True:
        try:
            await asyncio.to_thread(shelf.follow)
        except Exception:
            log.exception("following the champion failed")
        await asyncio.sleep(seconds)
