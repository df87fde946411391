"""S3 on this machine: one server for a whole test run, and something before it that sees each request."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import obstore
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from obstore.store import S3Store
from werkzeug.serving import WSGIRequestHandler, make_server

from conftest import Project

KEYS = {"AWS_ACCESS_KEY_ID": "nobody-in-particular", "AWS_SECRET_ACCESS_KEY": "not-to-be-told"}
REFUSED = "<Error><Code>{code}</Code><Message>{code}, says the test</Message></Error>"


_numbers = itertools.count(1)


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any, **__: Any) -> None:
        """Nothing: a test's output is its own."""


@dataclass
class Server:
    """Speaks S3. ``meddle`` sees each request (method, path) and may answer it with a status and a code of S3.

    An answer that starts with ``after`` is given once the request was carried out: the reply that gets lost.
    """

    meddle: Callable[[str, str], tuple[str, str] | None] | None = None
    deaf: set[str] = field(default_factory=set)
    """Headers that are ignored, as a WSGI environment names them."""
    address: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.seen.append(request)
        for name in self.deaf:
            environ.pop(name, None)
        instead = self.meddle(*request) if self.meddle else None
        if instead is None:
            with self._turn:  # a condition and what it guards are one step, as in a real store
                return list(self._app(environ, start_response))
        status, code = instead
        if status.startswith("after "):
            with self._turn:
                list(self._app(environ, lambda *_: lambda _: None))
        start_response(status.removeprefix("after "), [("Content-Type", "application/xml")])
        return [REFUSED.format(code=code).encode()]

    def new(self, name: str = "") -> str:
        """The address of a new bucket."""
        name = name or f"bucket-{next(_numbers)}"
        assert httpx.put(f"{self.address}/{name}", trust_env=False).status_code == 200
        self.seen.clear()
        return f"s3://{name}"

    def changes(self) -> list[str]:
        """What was written or removed, in order."""
        return [path for method, path in self.seen if method in ("PUT", "POST", "DELETE")]


@contextmanager
def serving() -> Iterator[Server]:
    app = Server()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    app.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        thread.join()


def variables(server: Server) -> dict[str, str]:
    """What the environment has to say to reach the server, and nothing else."""
    return {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        **KEYS,
    }


class InBucket(Project):
    """A project whose data and ledger live in a bucket."""

    address: str
    server: Server

    @classmethod
    def at(cls, project: Project, address: str, server: Server) -> InBucket:
        """``project``, whose data and ledger are from now on (empty) at ``address``."""
        project.edit("operations.yaml", "  data: data ", f"  data: {address}/data ")
        project.edit("operations.yaml", "  ledger: var/ledger ", f"  ledger: {address}/ledger ")
        found = cls(project.paths.root)
        found.address, found.server = address, server
        return found

    def copy(self, root: Path) -> InBucket:
        """A copy to break things in, in a bucket of its own."""
        shutil.copytree(self.paths.root, root)
        copied = InBucket(root)
        copied.address, copied.server = self.server.new(), self.server
        text = (root / "operations.yaml").read_text(encoding="utf-8")
        (root / "operations.yaml").write_text(text.replace(self.address, copied.address), encoding="utf-8")
        to = opened(copied.address)
        for key, content in self._contents():
            obstore.put(to, key, content)
        return copied

    def objects(self, below: str = "data/") -> dict[str, str]:
        """sha256 of every object by its key, locks apart: equal answers hold the same bytes under the same names."""
        contents = ((key, content) for key, content in self._contents() if "/locks/" not in f"/{key}")
        return {key: hashlib.sha256(content).hexdigest() for key, content in contents if key.startswith(below)}

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        store = opened(self.address)
        for key in sorted(item["path"] for chunk in obstore.list(store) for item in chunk):
            yield key, bytes(obstore.get(store, key).bytes())


def opened(address: str) -> S3Store:
    return S3Store.from_url(address, client_options={"allow_http": True})
