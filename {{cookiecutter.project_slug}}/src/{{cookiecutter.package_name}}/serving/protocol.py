"""HTTP as uvicorn speaks it, and no longer with those who never come to the point.

uvicorn waits for the end of a request's head for as long as it takes, and keeps all of it: a hundred clients that send
a byte a minute would hold a hundred connections for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD = 64 * 1024
"""Bytes of a request line and its headers; what browsers and proxies send stays below 16 KB."""


class Impatient(HttpToolsProtocol):
    """Ends a connection whose request has no complete head ``seconds`` after it began, or one longer than ``HEAD``."""

    seconds = 5.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._answered: Any = None
        self._head = 0
        self._in_head = True
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(self.seconds, self._end, 408)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
            if self._head > HEAD + len(data):
                self._end(431)
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort
        self._in_head = True
        if self._timer is None:
            self._head = 0
            self._timer = self.loop.call_later(self.seconds, self._end, 408)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)
        # uvicorn tells the newest request only; of several in a line the one that is being answered must know as well
        if self._answered is not None:
            self._answered.disconnected = True
            self._answered.message_event.set()
        self.pipeline.clear()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _end(self, status: int) -> None:
        self._timer = None
        words = {408: b"Request Timeout", 431: b"Request Header Fields Too Large"}[status]
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, words))
            self.transport.close()
