"""The verb that serves."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from .. import console
from .root import EVERY_DAY, Json, app


@app.command(rich_help_panel=EVERY_DAY)
def serve(
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="VERSION", help="Serve this one; without it, follow the champion."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address; operations.yaml says the default.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = None,
    json: Json = False,
) -> None:
    """Answer predictions over HTTP. A page to try it is at /.

    Example: ml serve --port 8000
    """
    # before NumPy and scikit-learn are imported: a server answers small requests, where more threads only spin
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    from ..config import load_operations
    from ..model.id import parse
    from ..paths import find
    from ..serving.serve import serve as serve_now

    paths = find()
    operations = load_operations(paths.operations)
    pinned = parse(version, operations.model) if version else None
    serve_now(
        paths,
        operations,
        version=pinned,
        host=operations.serving.host if host is None else host,
        port=operations.serving.port if port is None else port,
        ready=lambda address: (
            console.machine({"listening": address, "page": f"{address}/" if operations.serving.docs else None})
            if json
            else console.say(f"listening on {address}" + (f", with a page at {address}/" * operations.serving.docs))
        ),
    )
