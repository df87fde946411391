"""The verb on API keys."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from .. import console
from ..errors import ProjectError
from .root import Json, app


@app.command(rich_help_panel="Serving")
def keys(
    action: Annotated[Literal["add", "list", "remove"], typer.Argument(help="What to do.")] = "list",
    name: Annotated[str | None, typer.Argument(help="Who holds the key, as in logs and metrics.")] = None,
    json: Json = False,
) -> None:
    """Make, list and remove the keys that the server asks for. Running servers follow within seconds.

    With no key at all a server listens on this machine only.
    Example: ml keys add checkout
    """
    from ..clock import now
    from ..paths import find, keys_file
    from ..serving import keys as kept

    paths = find()
    where = paths.relative(keys_file(paths))
    if action != "list" and name is None:
        raise ProjectError(f"ml keys {action}: expected a name", hint=f"ml keys {action} checkout")
    if action == "add":
        key = kept.add(paths, name or "", now())
        if json:
            console.machine({"name": name, "key": key, "file": where})
        else:
            console.say(f"the key of {name}, which nobody can show again:")
            console.say(key, "bold green")
            console.facts([("send it as", "Authorization: Bearer KEY, or X-API-Key: KEY"), ("its hash is in", where)])
    elif action == "remove":
        kept.remove(paths, name or "")
        if json:
            console.machine({"removed": name, "file": where})
        else:
            console.say(f"the key of {name} is gone from {where}")
    else:
        found = kept.read(keys_file(paths))
        if json:
            console.machine([key.model_dump(mode="json", exclude={"sha256"}) for key in found])
        elif found:
            console.table(["key of", "since (UTC)"], [[key.name, f"{key.created:%Y-%m-%d %H:%M}"] for key in found])
        else:
            console.say(f"no keys in {where}: the server listens on this machine only, and asks nobody for one")
            console.following("ml keys add checkout")
