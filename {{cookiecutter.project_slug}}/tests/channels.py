"""Where alerts arrive: an HTTP server and a mail server on this machine, which behave as they are told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


class Hook:
    """An HTTP server that keeps what it is sent, and answers ``status``: 0 is never, and -1 never to the end."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.pings: list[str] = []
        self.requests = 0
        self.status = 200
        self.once: list[int] = []
        """Statuses of the next answers, before it goes on with ``status``."""
        self.arrived, self.closing = threading.Event(), threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(lambda: hook.posted.append(json.loads(body)))

            def do_GET(self) -> None:
                self.answer(lambda: hook.pings.append(self.path))

            def answer(self, keep: Any) -> None:
                hook.requests += 1
                dripped = False
                status = hook.once.pop(0) if hook.once else hook.status
                hook.arrived.set()
                if status <= 0:
                    while not hook.closing.wait(0.1):
                        with suppress(OSError):
                            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: " if status and not dripped else b"x" * -status)
                            dripped = True
                    return
                if status < 300:
                    keep()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.address = f"json://127.0.0.1:{self.port}/hooks/s3cret-t0ken"
        self.url = f"http://127.0.0.1:{self.port}/ping"


@contextmanager
def hook() -> Iterator[Hook]:
    listening = Hook()
    thread = threading.Thread(target=listening.server.serve_forever)
    thread.start()
    try:
        yield listening
    finally:
        listening.closing.set()
        listening.server.shutdown()
        listening.server.server_close()
        thread.join()


class Letters:
    """A mail server's handler that keeps what it is sent, or says no with ``answer``."""

    def __init__(self) -> None:
        self.kept: list[Message] = []
        self.to: list[list[str]] = []
        self.answer = "250 OK"
        self.address = ""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - its name there
        if self.answer.startswith("250"):
            self.kept.append(message_from_bytes(envelope.content))
            self.to.append(envelope.rcpt_tos)
        return self.answer


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def letters() -> Iterator[Letters]:
    kept, port = Letters(), free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    kept.address = f"mailto://127.0.0.1:{port}?from=ml@example.com&to=eta@example.com"
    try:
        yield kept
    finally:
        controller.stop()
