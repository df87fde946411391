"""The verb that brings a newer release of the template into this project."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from .. import console
from .root import Json, app


@app.command("template-update", rich_help_panel="The project")
def template_update(
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="TAG", help="That release, branch or commit; without it the newest release."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", metavar="ADDRESS", help="Where the template is, if no update noted it yet."),
    ] = None,
    json: Json = False,
) -> None:
    """Bring a newer release of the template into this project, and test it. Your own files stay; nothing is committed.

    Needs a clean tree. Stops at conflicts, and says how to go on and how to go back.
    Example: ml template-update --to v0.2.0
    """
    from ..clock import stopwatch
    from ..operations.template import update
    from ..paths import around

    @contextmanager
    def step(title: str) -> Generator[None]:
        begun = stopwatch()
        with console.working(title):
            yield
        if not json:
            console.say(f"{title:<64}{stopwatch() - begun:>6.1f} s")

    done = update(around().root, step, to=to, address=template)
    if json:
        console.machine(asdict(done))
        return
    if not done.changed:
        console.say(f"this project is at {done.new} already")
        return
    console.say(
        f"{done.old} → {done.new}: {len(done.changed)} files changed, tests pass, nothing is committed", "bold green"
    )
    console.facts([("lock", done.lock)])
    for path in done.left_alone:
        console.say(f"  left alone, for it is yours; the template changed it: {path}")
    for line in done.to_do:
        console.say(f"  {line}")
    console.following("git diff HEAD", "git add --all", f'git commit -m "Template {done.new}"', "uv sync")
