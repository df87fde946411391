"""Verbs that look: status."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from .daily import wanted_day
from .root import EVERY_DAY, Day, Json, app, written

if TYPE_CHECKING:
    from ..operations.status import Status

FOUR_WEEKS = 28
"""Days on a page unless told otherwise: a weekly season shows in them."""


@app.command(rich_help_panel=EVERY_DAY)
def status(
    day: Day = None,
    count: Annotated[
        int | None, typer.Option("--days", min=1, max=366, metavar="N", help="A strip of so many days.")
    ] = None,
    html: Annotated[Path | None, written("--html", "FILE", "Write it there as a page with plots.")] = None,
    json: Json = False,
) -> None:
    """Did the day go fine? The verdict comes first; yesterday unless told otherwise. Exit 0 when it did, 1 if not.

    Example: ml status --date 2026-05-31
    Example: ml status --days 14 --html status.html
    """
    from ..clock import now
    from ..config import load_operations
    from ..operations import report
    from ..operations.status import WEEKS, as_dict, look
    from ..paths import find

    paths = find()
    asked = now()
    wanted = wanted_day(day, asked.date())
    operations = load_operations(paths.operations)
    seen = look(paths, operations, wanted, asked, count or (FOUR_WEEKS if html else WEEKS))
    if html:
        from ..files import write_bytes
        from ..operations.page import page

        write_bytes(html, page(seen, operations.project, asked).encode())
    if json:
        console.machine(as_dict(seen))
    else:
        colour = "green" if seen.verdict == "OK" else "yellow" if seen.fine else "red"
        console.say(f"{seen.verdict}  {wanted}: {seen.said}", f"bold {colour}")
        console.say()
        if count:
            _strip(seen)
        else:
            console.facts(report.lines(seen))
        _next(seen)
    raise typer.Exit(0 if seen.fine else 1)


def _strip(seen: Status) -> None:
    from ..operations import strip

    for line in strip.strip(seen.days):
        console.painted(line)
    console.say()
    console.say(f"  {strip.legend(seen.days)}", "dim")
    console.say()
    console.table(strip.HEADS, strip.table(seen.days), right=strip.RIGHT)


def _next(seen: Status) -> None:
    """What somebody has to see to, and where the runbook tells how."""
    for action in seen.actions:
        console.say()
        about = "" if action.day == seen.day.date else f"{action.day}: "
        console.say(
            f"{action.tier}  {action.code}  {about}{action.said}", "bold red" if action.tier == "page" else "bold"
        )
        console.say(f"  {action.heading}")
        console.following(action.command)
    if seen.others:
        console.say()
        console.say("still open")
        for words in seen.others:
            console.say(f"  {console.runnable(words)}")
