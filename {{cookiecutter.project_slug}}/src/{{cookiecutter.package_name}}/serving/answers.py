"""What the server says: answers and refusals as bytes, in one form everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import to_json

from ..model.request import Refusal

Send = Callable[[dict[str, Any]], Any]
JSON = (b"content-type", b"application/json")
FIELDS = 20
"""Refused fields that are named; a body of a thousand wrong rows does not make an answer of a megabyte."""


class Refused(Exception):
    """An answer other than 200: status, a stable code, and a message without anybody's data."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        fields: Sequence[Refusal] = (),
        retry_after: int | None = None,
        allow: str = "",
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.fields, self.retry_after, self.allow, self.close = fields, retry_after, allow, close

    def body(self, request_id: str) -> bytes:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.fields:
            error["fields"] = [vars(refusal) for refusal in self.fields[:FIELDS]]
        return to_json({"error": error, "request_id": request_id})

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [JSON]
        if self.status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="predictions"'))
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after))
        if self.allow:
            headers.append((b"allow", self.allow.encode()))
        if self.close:
            headers.append((b"connection", b"close"))
        return headers


async def respond(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = (JSON,)) -> None:
    """One whole response."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
