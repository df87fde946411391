"""Running the server: one process, one port, stopped by Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
from collections.abc import Callable

import uvicorn

from ..config import OperationsConfig
from ..errors import ProjectError
from ..log import configure
from ..model import artefact
from ..model.id import VersionId
from ..paths import Paths
from .app import create_app
from .keys import Keys, read
from .pointer import Pointer
from .protocol import Impatient
from .shelf import Shelf


def _address(host: str, port: int) -> str:
    """Host and port as in a URL, where an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(host: str, port: int, keys: Keys | None = None) -> socket.socket:
    """A listening socket. Raises ProjectError for one that is taken, wrong, or open to all without a key."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise ProjectError(f"serving.host: {host!r} is not an IP address", hint="use 127.0.0.1") from None
    if not loopback and not (keys is not None and read(keys.path)):
        raise ProjectError(
            f"refusing to listen on {host}: this server asks nobody for a key, for there is none",
            hint="ml keys add NAME makes one; or listen on 127.0.0.1, behind a proxy that asks",
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ProjectError(
            f"cannot listen on {_address(host, port)}: {error.strerror}", hint="ml serve --port 0 takes any free one"
        ) from None


def _known(version: VersionId, paths: Paths, operations: OperationsConfig) -> bool:
    """Whether the registry knows a version; where there is none, as in an image, whether it lies on disk."""
    pointer = Pointer(paths, operations)
    placed = (paths.serving / version.folder / artefact.FACTS).is_file()
    try:
        return pointer.facts(version) is not None or (placed and not pointer.exists)
    except ProjectError:
        if not placed:
            raise
        return True


def serve(
    paths: Paths,
    operations: OperationsConfig,
    *,
    version: VersionId | None,
    host: str,
    port: int,
    ready: Callable[[str], None],
) -> None:
    """Serve until stopped. ``version`` pins one; without it the champion is followed."""
    configure(machine=True, level=logging.INFO)
    if version is not None and not _known(version, paths, operations):
        raise ProjectError(f"there is no version {version}", hint="ml versions")
    keys = Keys.of(paths)
    shelf = Shelf(paths, operations, pinned=version)
    app = create_app(shelf, paths, operations, keys)
    listener = bind(host, port, keys)
    Impatient.seconds = operations.serving.timeout_seconds
    config = uvicorn.Config(
        app, http=Impatient, ws="none", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=10,
    )  # fmt: skip
    ready(f"http://{_address(host, listener.getsockname()[1])}")
    # uvicorn drains on Ctrl-C and then raises it again, for a caller that has more to stop than it
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
