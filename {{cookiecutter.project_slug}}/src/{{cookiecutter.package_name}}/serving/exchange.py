"""One request and what goes out in answer to it, as ASGI hands them over."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from ..clock import stopwatch
from .answers import Refused, Send

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
BODY, MODEL, ANSWER = "the rest of the request", "the model", "somebody to take the answer"
GONE = 499
"""As nginx calls a client that has gone; nobody reads this status but who counts."""
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


class Request:
    """One request on its way: its headers by name, its body, and when it came.

    ``waited_for`` is what it waits for now, in words; ``unread``, whether a body was announced that nobody read.
    """

    __slots__ = ("_receive", "begun", "headers", "id", "scope", "unread", "waited_for")

    def __init__(self, scope: dict[str, Any], receive: Receive) -> None:
        self.scope, self._receive = scope, receive
        self.begun = stopwatch()
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"")
        self.id = given.decode() if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        self.waited_for = BODY
        self.unread = self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def gone(self) -> None:
        """Return once the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

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
        self.waited_for, self.unread = MODEL, False
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Answer:
    """What goes out in answer to ``request``: noted, with the headers that every answer has.

    Raises ConnectionAbortedError when the client has gone. A connection is closed behind an answer to a request whose
    body nobody read: it could go on coming for ever.
    """

    def __init__(self, request: Request, send: Send) -> None:
        self.request, self._send = request, send
        self.status, self.begun = 500, False

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.begun = message["status"], True
            headers = message["headers"] = [*message["headers"], *SAFE, (b"x-request-id", self.request.id.encode())]
            if not any(name == b"content-security-policy" for name, _ in headers):
                headers.append((b"content-security-policy", POLICY))
            if self.request.unread and (b"connection", b"close") not in headers:
                headers.append((b"connection", b"close"))
        try:
            await self._send(message)
        except (RuntimeError, OSError):
            raise ConnectionAbortedError from None


def _too_large(limit: int) -> Refused:
    # the rest of the body is not read, so the connection cannot be used again
    return Refused(413, "too_large", f"expected at most {limit} bytes in a request", close=True)
