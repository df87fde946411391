"""The verb that arms the pager: calibrate."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..errors import Exit
from .root import EVERY_DAY, Day, Json, app

if TYPE_CHECKING:
    from ..monitoring.calibration import Calibration


@app.command(rich_help_panel=EVERY_DAY)
def calibrate(
    day: Day = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", min=0.01, max=52, metavar="PAGES", help="False pages a year, for this once."),
    ] = None,
    false: Annotated[
        list[datetime] | None,
        typer.Option("--false", formats=["%Y-%m-%d"], metavar="DAY", help="This day would have paged for nothing."),
    ] = None,
    json: Json = False,
) -> None:
    """Replay the project's own history through the monitor, and arm the pager if that keeps its budget.

    Lists the days that would have paged, and why. Exit 1: not armed, or too little history; drift then makes tickets.
    Example: ml calibrate
    Example: ml calibrate --false 2026-05-14
    """
    from ..clock import now
    from ..operations.calibrate import calibrate as calibrate_now
    from ..paths import find
    from .daily import wanted_day

    last = wanted_day(day, now().date())
    with console.working("calibrate") as report:
        said = calibrate_now(last, find(), budget=budget, false=[one.date() for one in false or []], report=report)
    if json:
        console.machine(said.model_dump(mode="json", exclude={"reference", "predictions"}))
    else:
        _show(said)
    raise typer.Exit(int(Exit.OK if said.state == "armed" else Exit.SAID_NO))


def _show(said: Calibration) -> None:
    armed = said.state == "armed"
    console.say("ARMED" if armed else "NOT ARMED: over budget", "bold green" if armed else "bold red")
    tail = "normal" if said.tail is None else f"like t with {said.tail:g} degrees of freedom"
    drift = f", a lag of {said.drift:.2f} sd" if said.drift else ""
    console.facts(
        [
            ("history", f"{said.days} days from {said.first} to {said.last}, {said.judged} of them judged"),
            ("pages a year", f"{said.expected:.1f} to be expected ({said.low:.1f} to {said.high:.1f})"),
            ("budget", f"{said.budget:g}"),
            ("thresholds", f"{said.c2:.2f} sd twice in three days, or {said.big:.2f} once"),
            ("days like these", f"{said.monitors} monitors, autocorrelation {said.autocorrelation:.2f}, {tail}{drift}"),
        ]
    )
    if said.replay:
        console.say()
        rows = [[str(one.day), one.code, f"{one.z:+.1f}", one.said] for one in said.replay]
        console.table(["would have paged", "", "sd", "seen"], rows, right=["sd"])
    else:
        console.say("no day of the history would have paged")
    if armed:
        console.following("ml monitor")
        return
    console.say()
    console.say("of each of these days: was something wrong? list it in operations.yaml, monitoring.holidays.also")
    days = list(dict.fromkeys(one.day for one in said.replay))
    console.following(*(f"ml calibrate --false {day}, if nothing was" for day in days[:3]))
