"""The verb that reads the prediction log: requests."""

from __future__ import annotations

from .. import console
from .daily import wanted_day
from .root import MODELS, Day, Json, Model, app


@app.command(rich_help_panel=MODELS)
def requests(day: Day = None, model: Model = None, json: Json = False) -> None:
    """What the API was asked on a day, by version; yesterday unless told otherwise.

    What servers that were killed left on this machine is packed first.
    Example: ml requests --date 2026-05-31
    """
    from ..clock import now
    from ..config import load_operations
    from ..data.requests import requests as logged
    from ..data.requests import summary
    from ..data.store import Store
    from ..paths import find
    from ..serving.packer import pack

    paths, wanted = find(), wanted_day(day, now().date())
    operations = load_operations(paths.operations)
    name = model or operations.model
    operations.registered(name)  # which refuses what is no name
    packed = pack(paths, operations.storage.data, operations.serving.log.redact)
    rows = logged(name, wanted, Store(paths))
    answers = [] if rows is None else summary(rows)
    if json:
        console.machine({"date": str(wanted), "model": name, "packed": packed, "answers": answers})
        return
    console.say(f"{sum(answer['requests'] for answer in answers):,} requests to {name} logged for {wanted}")
    heads = ["version", "as", "requests", "rows", "degraded", "median ms", "p99 ms"]
    shown = [
        [
            answer["model_version"],
            answer["role"],
            *(f"{answer[name]:,}" for name in ("requests", "rows", "degraded")),
            *(f"{answer[name]:.1f}" for name in ("median_ms", "p99_ms")),
        ]
        for answer in answers
    ]
    if shown:
        console.table(heads, shown, right=heads[2:])
    if packed["spools"]:
        console.say(f"{packed['rows']:,} rows of {packed['spools']} spools on this machine were packed now")
