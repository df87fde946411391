"""From the bytes of a request to the bytes of its answer, by the version whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pydantic_core import to_json

from ..clock import now, stopwatch
from ..config import ServingConfig
from ..errors import Exit, ProjectError
from ..log import log
from ..model.columnar import ColumnRows
from ..model.id import parse
from ..model.request import RequestRefused
from ..model.version import ModelVersion
from .answers import Refused
from .batcher import Batcher
from .exchange import MODEL, Request
from .journal import Entry
from .metrics import Metrics
from .shelf import Shelf
from .traces import note

ROUTING_KEY = b"x-routing-key"
"""A header: requests with equal values are answered by the same of champion and canary. Without it, the row's key."""
Rows = Sequence[dict[str, Any]]


class Log(Protocol):
    """Where answers are kept."""

    def add(self, entry: Entry) -> None: ...


@dataclass(frozen=True)
class Answer:
    """Who answered what: ``degraded`` says which stand-in it was, None for the version whose turn it was."""

    version: ModelVersion
    role: str
    rows: Rows
    values: np.ndarray
    degraded: str | None = None

    def body(self, request_id: str) -> bytes:
        said: dict[str, Any] = {"predictions": self._predictions(), "model_version": self.version.name}
        if self.degraded is not None:
            said["degraded"] = self.degraded
        return to_json(said | {"request_id": request_id})

    def _predictions(self) -> Any:
        values = self.values.tolist()
        target = self.version.contract.target
        if not (isinstance(self.rows, ColumnRows) and self.rows.sent_as_columns):
            return self.version.present(values)
        if target.task == "regression":
            return {target.name: values}
        return {target.name: [value >= target.threshold for value in values], f"{target.name}_probability": values}


class Predictor:
    """Answers predictions for :class:`Front`. Belongs to one event loop."""

    def __init__(
        self, shelf: Shelf, model: str, config: ServingConfig, batcher: Batcher, metrics: Metrics, journal: Log
    ) -> None:
        self._shelf, self._model, self._config = shelf, model, config
        self._batcher, self._metrics, self._journal = batcher, metrics, journal
        self._shadowed: asyncio.Queue[tuple[Request, ModelVersion, bytes]] = asyncio.Queue(maxsize=64)

    async def __call__(self, request: Request, version: str | None) -> bytes:
        """The answer to ``request`` by the champion or its canary, or by ``version``. Raises Refused."""
        self._batcher.arriving += 1
        try:
            body = await request.body(self._config.max_body_kb * 1024)
        finally:
            self._batcher.arriving -= 1
        answer = await (self._champion(request, body) if version is None else self._by_id(request, body, version))
        self._metrics.predictions(answer.version, answer.values)
        self._note(request, answer)
        shadow = self._shelf.shadow
        if shadow is not None and version is None:
            try:
                self._shadowed.put_nowait((request, shadow, body))
            except asyncio.QueueFull:
                self._metrics.shadow_dropped.inc()
        return answer.body(request.id)

    async def shadows(self) -> None:
        """Let the shadow answer what was answered already, one after another, for as long as the server lives."""
        while True:
            request, shadow, body = await self._shadowed.get()
            begun = stopwatch()
            try:
                rows = shadow.request.parse(body)
                values = await self._batcher.predict(shadow, rows, hurry=False)
                self._note(request, Answer(shadow, "shadow", rows, values), begun)
            except Exception as error:
                self._metrics.failed.labels(shadow.name).inc()
                log.warning("the shadow failed", extra={"request_id": request.id, "reason": type(error).__name__})

    async def _champion(self, request: Request, body: bytes) -> Answer:
        champion, canary, traffic = self._shelf.champion, self._shelf.canary, self._shelf.traffic
        if champion is None:
            raise Refused(503, "not_ready", self._shelf.waiting_for, retry_after=2)
        rows = self._rows(champion, body)
        if traffic.stopped is not None:
            return self._stopped(champion, rows, traffic.stopped)
        if canary is not None and traffic.takes_canary(_routing_key(request, champion, rows)):
            try:
                theirs = rows if canary.contract == champion.contract else canary.request.parse(body)
                return Answer(canary, "canary", theirs, await self._values(request, canary, theirs))
            except (RequestRefused, NoPrediction):
                pass  # what the canary cannot answer is answered as if there were none
        try:
            return Answer(champion, "champion", rows, await self._values(request, champion, rows))
        except NoPrediction:
            return await self._instead(request, champion, rows, body)

    async def _by_id(self, request: Request, body: bytes, version: str) -> Answer:
        try:
            chosen = self._shelf.at_hand(version_id := parse(version, self._model))
            if chosen is None:  # its process takes longer than most requests may; it goes on loading for the next one
                request.waited_for = f"{version_id}, which is being loaded"
                chosen = await asyncio.to_thread(self._shelf.get, version_id)
                request.waited_for = MODEL
        except ProjectError as error:
            status = {Exit.USAGE: 404, Exit.SAID_NO: 409}.get(error.exit, 503)
            code = {404: "no_such_version", 409: "version_refused"}.get(status, "unavailable")
            raise Refused(status, code, error.message, retry_after=2 if status == 503 else None) from None
        rows = self._rows(chosen, body)
        if (why := self._shelf.traffic.stopped) is not None:
            raise Refused(503, "stopped", f"scoring is stopped: {why}", retry_after=30)
        try:
            return Answer(chosen, "version", rows, await self._values(request, chosen, rows))
        except NoPrediction:
            raise _no_prediction() from None

    def _rows(self, version: ModelVersion, body: bytes) -> Rows:
        try:
            rows = version.request.parse(body)
        except RequestRefused as error:
            raise Refused(422, "contract", f"the request breaks the contract: {error}", fields=error.refusals) from None
        if len(rows) > self._config.max_rows:
            raise Refused(413, "too_many_rows", f"expected at most {self._config.max_rows} rows, found {len(rows)}")
        return rows

    async def _values(self, request: Request, version: ModelVersion, rows: Rows) -> np.ndarray:
        """Raises NoPrediction, counted and logged, when the model fails or one of its answers is no number."""
        said = {"model_version": version.name, "request_id": request.id}
        try:
            values = await self._batcher.predict(version, rows)
        except Exception:
            log.exception("the model failed", extra=said)
        else:
            if np.isfinite(values).all():
                return values
            log.error("no prediction", extra=said)
        self._metrics.failed.labels(version.name).inc()
        raise NoPrediction

    async def _instead(self, request: Request, champion: ModelVersion, rows: Rows, body: bytes) -> Answer:
        """What `serving.on_failure` says where the champion gave no prediction."""
        how, before = self._config.on_failure, self._shelf.previous
        if how == "last_good" and before is not None:
            try:
                rows = before.request.parse(body)
                answer = Answer(before, "champion", rows, await self._values(request, before, rows), how)
            except (RequestRefused, NoPrediction):
                raise _no_prediction() from None
            self._metrics.degraded.labels(how).inc()
            return answer
        if how == "baseline":
            return self._baseline(champion, rows)
        raise _no_prediction()

    def _stopped(self, champion: ModelVersion, rows: Rows, why: str) -> Answer:
        if self._config.on_failure == "baseline":
            return self._baseline(champion, rows)
        raise Refused(503, "stopped", f"scoring is stopped: {why}", retry_after=30)

    def _baseline(self, champion: ModelVersion, rows: Rows) -> Answer:
        values = champion.baseline(rows)
        if not np.isfinite(values).all():  # its column may be left out
            raise _no_prediction()
        self._metrics.degraded.labels("baseline").inc()
        return Answer(champion, "champion", rows, values, "baseline")

    def _note(self, request: Request, answer: Answer, begun: float | None = None) -> None:
        """``begun``: by the stopwatch; the request's first byte, unless that was long before anybody turned to it."""
        seconds = stopwatch() - (request.begun if begun is None else begun)
        if answer.role != "shadow":
            note(version=answer.version.name, rows=len(answer.rows), role=answer.role, degraded=answer.degraded)
        self._journal.add(
            Entry(
                request_id=request.id,
                at=now(),
                version=answer.version.name,
                role=answer.role,
                degraded=answer.degraded,
                rows=answer.rows,
                values=answer.values.tolist(),
                seconds=seconds,
            )
        )


class NoPrediction(Exception):
    """The model failed, or gave something that is no number."""


def _no_prediction() -> Refused:
    return Refused(503, "no_prediction", "the model gave no finite prediction for this request", retry_after=1)


def _routing_key(request: Request, version: ModelVersion, rows: Rows) -> str:
    if (given := request.header(ROUTING_KEY)) is not None:
        return given
    key = [rows[0][column.name] for column in version.contract.columns if column.kind == "key"]
    return "\0".join(map(str, key)) if key and None not in key else request.id
