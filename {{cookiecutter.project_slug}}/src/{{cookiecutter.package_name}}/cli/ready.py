"""The verb that asks whether people can depend on it: ready."""

from __future__ import annotations

import typer

from .. import console
from .root import Json, app

STYLES = {"yes": "green", "no": "bold red", "not yet": "yellow", "not applicable": "dim"}


@app.command(rich_help_panel="The project")
def ready(json: Json = False) -> None:
    """The readiness list: each line is looked at here and now, and says how. Exit 1 when one does not hold."""
    from ..clock import now
    from ..operations.readiness import as_dict, counts, look
    from ..paths import find

    paths = find()
    with console.working("look") as report:
        lines = look(paths, now(), report)
    ready = all(line.holds for line in lines)
    if json:
        console.machine(as_dict(lines))
        raise typer.Exit(0 if ready else 1)
    said = ", ".join(f"{number} {result}" for result, number in counts(lines).items())
    console.say(
        f"{'READY' if ready else 'NOT READY'}  {len(lines)} lines: {said}", f"bold {'green' if ready else 'red'}"
    )
    width = max(len(line.result) for line in lines)
    for line in lines:
        console.say()
        console.painted([(f"{line.result:<{width}}  ", STYLES[line.result]), (line.name, "bold")])
        indent = " " * (width + 2)
        console.say(f"{indent}{line.seen}")
        console.say(f"{indent}checked: {line.how}", "dim")
        if line.next:
            console.say(f"{indent}next: {console.runnable(line.next)}", "cyan")
    raise typer.Exit(0 if ready else 1)
