"""The verb that looks at a day beside the days before it: monitor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from .daily import STYLES, wanted_day
from .root import EVERY_DAY, Day, Json, app, written

if TYPE_CHECKING:
    from ..monitoring.report import Report


@app.command(rich_help_panel=EVERY_DAY)
def monitor(
    day: Day = None,
    html: Annotated[Path | None, written("--html", "FILE", "Write it there as a page with pictures.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List every monitor, not only those that are out.")] = False,
    json: Json = False,
) -> None:
    """Hold a day against the days before it: arrival, contract, rows, drift of every column, predictions, errors.

    Looks, and leaves the ledger as it is. Exit 1 when something is to be acted on now.
    Example: ml monitor --date 2026-05-31
    Example: ml monitor --html monitor.html
    """
    from ..clock import now
    from ..config import load_operations
    from ..operations.watch import look
    from ..paths import find

    paths, asked = find(), now()
    wanted = wanted_day(day, asked.date())
    operations = load_operations(paths.operations)
    with console.working(f"monitor {wanted}"):
        said = look(wanted, paths, operations, asked)
    if html:
        from ..files import write_bytes
        from ..operations.monitor_page import page

        write_bytes(html, page(said, operations.project, asked).encode())
    if json:
        console.machine(said.model_dump(mode="json", exclude_none=True))
    else:
        _show(said, every)
        console.following(f"ml monitor --date {wanted} --html monitor.html" if not html else f"open {html}")
    raise typer.Exit(1 if said.having("page") else 0)


def _show(said: Report, every: bool) -> None:
    pages, tickets = said.having("page"), said.having("ticket")
    verdict, style = ("PAGE", "bold red") if pages else ("TICKET", "bold yellow") if tickets else ("OK", "bold green")
    console.say(f"{verdict}  {said.day}: {said}", style)
    if said.holiday:
        console.say(f"  {said.holiday}: drift is not judged")
    urgent = [*pages, *tickets]
    for found in urgent:
        since = f" (since {found.since})" if found.since and found.since != said.day else ""
        console.say(f"{found.outcome}  {found.code}  {found.said}{since}", STYLES[found.outcome])
    rest = [found for found in said.findings if found not in urgent] if every else []
    if rest:
        console.say()
        console.table(["monitor", "", "seen"], [[found.monitor, found.outcome, found.said] for found in rest])
