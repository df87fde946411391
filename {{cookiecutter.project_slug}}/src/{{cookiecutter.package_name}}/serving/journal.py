"""The prediction log: what was asked, what was answered, by which version. No request ever waits for it.

A request that was answered goes into a queue in memory. A thread writes the queue to a spool on this machine's disk
every ``FLUSH`` seconds, and a process of its own turns spools into Parquet objects of the data storage. What a SIGKILL
takes is the queue: the requests of the last ``FLUSH`` seconds, and while the disk refuses, up to ``MOST_ROWS`` rows
twice. A power cut also takes what the kernel had not written yet, on Linux usually the last 30 s.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from time import sleep
from typing import Any

from pydantic_core import to_json

from ..clock import stopwatch
from ..config import OperationsConfig
from ..log import log
from ..model.columnar import ColumnRows
from ..paths import Paths
from .packer import Packer
from .redaction import must_know
from .spool import Spool, left_behind

FLUSH = 0.2
"""Seconds between two writes."""
MOST_ROWS = 20_000
"""Rows in the queue, about 25 MB, from which on a request is dropped. The rows of one request are kept all, or none."""
SIZE, AGE, MOST = 64 * 2**20, 600.0, 2**30
"""Bytes and seconds after which a spool is packed, and bytes of spools from which on nothing is written."""
AT_ONCE = 64
"""Requests that are made lines before the event loop may go on: 0.2 ms."""
RETRY = 1.0
"""Seconds until a disk that refused is tried again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that was answered, or a shadow's answer to it.

    ``at`` is UTC; ``role`` one of champion, canary, shadow, version; ``degraded`` what stood in for the champion, or
    None. ``rows`` are as received, after parsing; ``values`` are the predictions, one a row: a value, or the
    probability of yes. ``seconds`` run from the request's first byte to the answer; a shadow's while it computed.
    """

    request_id: str
    at: datetime
    version: str
    role: str
    degraded: str | None
    rows: Sequence[dict[str, Any]]
    values: Sequence[float]
    seconds: float


class Journal:
    """``kept``: requests that reached the disk. ``dropped``: lost, as the disk was full or the queue too long.

    ``size``, ``age``, ``most``: as in :class:`Spool`. Raises ProjectError (exit 2) when a column that is to be redacted
    is in no contract.
    """

    def __init__(
        self, paths: Paths, operations: OperationsConfig, *, size: int = SIZE, age: float = AGE, most: int = MOST
    ) -> None:
        config = operations.serving.log
        self.enabled = config.enabled
        self._sample = config.sample
        self._redacted = frozenset(config.redact)
        self._folder = paths.journal
        self._spool = Spool(paths.journal, size, age, most)
        self._packer = Packer(paths, operations)
        self._turn = threading.Lock()
        self._queue: list[Entry] = []
        self._rows = 0
        self._lines: list[bytes] = []
        """Requests that the disk has not taken yet."""
        self._refusal: str | None = None
        self._not_before = self._until = 0.0
        self._wake, self._closing = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="prediction log", daemon=True)
        self.kept = self.dropped = 0
        if self.enabled and self._redacted:
            must_know(sorted(self._redacted), paths)

    @property
    def waiting(self) -> int:
        """Requests in memory."""
        return len(self._queue) + len(self._lines)

    @property
    def failed(self) -> int:
        """Packings that did not end well; each is tried again."""
        return self._packer.failed

    def start(self) -> None:
        """Begin to write. What a killed server left here is packed first."""
        if self.enabled:
            if left_behind(self._folder):
                self._packer.ask()
            self._thread.start()

    def add(self, entry: Entry) -> None:
        """Keep a request, unless its ID is not in the sample. Takes microseconds, and never raises."""
        if not self.enabled or not self._is_sampled(entry.request_id):
            return
        with self._turn:  # the thread holds it to exchange two names
            before = self._rows
            if before >= MOST_ROWS or self._closing:
                self.dropped += 1
                return
            self._queue.append(entry)
            self._rows += len(entry.rows)
        if before < MOST_ROWS // 2 <= self._rows:
            self._wake.set()

    def close(self, seconds: float) -> None:
        """Write the queue and pack it, in at most ``seconds``. What is not packed by then is at the next start."""
        self._until = stopwatch() + seconds
        with self._turn:
            self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _is_sampled(self, request_id: str) -> bool:
        """The same for every answer to a request, on every server."""
        if self._sample == 1:
            return True
        digest = blake2b(request_id.encode(errors="replace"), digest_size=8).digest()
        return int.from_bytes(digest) < self._sample * 2**64

    def _work(self) -> None:
        closing = False
        while not closing:
            self._wake.wait(FLUSH)
            self._wake.clear()
            closing = self._closing
            try:
                self._write(last=closing)
                self._packer.look()
            except Exception:  # whatever it is, the server answers on
                log.exception("the prediction log failed")
        self._packer.finish(self._until)

    def _write(self, *, last: bool) -> None:
        """Move the queue to the disk, and the spool on when it is due."""
        if not last and stopwatch() < self._not_before:
            return
        if not self._lines:
            with self._turn:
                entries, self._queue, self._rows = self._queue, [], 0
            for number, entry in enumerate(entries, 1):
                if line := self._line(entry):
                    self._lines.append(line)
                if number % AT_ONCE == 0:
                    sleep(0)  # the event loop's turn
        try:
            if self._lines:
                self._spool.append(b"".join(self._lines))
                self.kept += len(self._lines)
                self._lines = []
            if last:
                self._spool.close()
                self._packer.ask()
            elif self._spool.is_due:
                self._spool.roll()
                self._packer.ask()
        except OSError as error:
            self._refused(str(error), last=last)
        else:
            if self._refusal is not None:
                log.info("the prediction log is written again", extra={"dropped": self.dropped})
            self._refusal = None

    def _refused(self, reason: str, *, last: bool) -> None:
        """Try again in a moment, with what was to be written; meanwhile the queue fills, and then requests are lost."""
        if reason != self._refusal:
            log.error("the prediction log cannot be written", extra={"reason": reason, "dropped": self.dropped})
        self._refusal = reason
        self._not_before = stopwatch() + RETRY
        with suppress(OSError):
            self._spool.roll()  # packed elsewhere, it makes room
        self._packer.ask()
        if last and (lost := self.waiting):
            self.dropped += lost
            log.error("the prediction log lost its last requests", extra={"requests": lost, "reason": reason})

    def _line(self, entry: Entry) -> bytes | None:
        rows: Any = entry.rows
        if isinstance(rows, ColumnRows):
            rows = {name: values for name, values in rows.columns.items() if name not in self._redacted}
        elif self._redacted:
            rows = [{name: value for name, value in row.items() if name not in self._redacted} for row in rows]
        try:
            said = {
                "request_id": entry.request_id,
                "at": entry.at,
                "model_version": entry.version,
                "role": entry.role,
                "degraded": entry.degraded,
                "latency_ms": entry.seconds * 1000,
                "rows": rows,
                "predictions": list(entry.values),
            }
            return to_json(said, inf_nan_mode="null") + b"\n"
        except (TypeError, ValueError) as error:  # without the values: they may be personal
            log.error("a request cannot be logged", extra={"id": entry.request_id, "reason": type(error).__name__})
            with self._turn:
                self.dropped += 1
            return None
