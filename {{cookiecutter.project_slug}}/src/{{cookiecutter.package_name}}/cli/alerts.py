"""The verb on alerts: what was told, whether it arrives, and what somebody answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .. import console
from ..errors import ProjectError
from .root import EVERY_DAY, Json, Why, app

if TYPE_CHECKING:
    from ..operations.alert_state import Alert, State

SHOWN = 20


@app.command(rich_help_panel=EVERY_DAY)
def alerts(
    action: Annotated[Literal["list", "test", "ack"], typer.Argument(help="What to do.")] = "list",
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Alerts that are seen to.")] = None,
    false: Annotated[
        bool, typer.Option("--false", help="Nothing was wrong: the monitor that paged needs more from now on.")
    ] = False,
    why: Why = "",
    json: Json = False,
) -> None:
    """List alerts, send a test, or say that somebody has seen to some: then their day is fine.

    Exit 1 when somebody was not told. What waits to be sent goes with the next run, or with a test.
    Example: ml alerts test
    Example: ml alerts ack 17 --reason "a public holiday"
    """
    from ..config import load_operations
    from ..operations.ledger import Ledger
    from ..paths import find

    paths = find()
    operations = load_operations(paths.operations)
    if action != "ack" and (numbers or false or why):
        raise ProjectError(f"ml alerts {action}: takes no numbers, --false or --reason", hint="ml alerts ack 17")
    if action == "test":
        from ..clock import now
        from ..operations.alerts import rehearse

        with console.working("send a test alert"):
            done = rehearse(paths, operations, now)
        step = done.steps[-1]
        if json:
            console.machine({"arrived": step.outcome == "ok", "channels": step.facts.get("channels", {})})
        else:
            fine = step.outcome == "ok"
            console.say("SENT" if fine else "NOT SENT", f"bold {'green' if fine else 'red'}")
            console.facts(list(step.facts.get("channels", {}).items()))
        raise typer.Exit(done.exit or 0)
    ledger = Ledger(paths, operations)
    if action == "ack":
        from ..clock import now
        from ..operations.alerts import answer

        if not numbers:
            raise ProjectError("ml alerts ack: expected the number of an alert", hint="ml alerts lists them")
        told = answer(numbers, ledger, now(), why=why, false=false)
        if json:
            console.machine([alert.model_dump(mode="json", exclude_none=True) for alert in told])
        else:
            _acknowledged(told, false)
        return
    from ..operations.alert_state import read

    state = read(ledger.storage)
    if json:
        console.machine(state.model_dump(mode="json") | {"trouble": state.trouble()})
    else:
        _list(state, operations.alerts.page)
    raise typer.Exit(1 if state.trouble() else 0)


def _acknowledged(told: list[Alert], false: bool) -> None:
    for alert in told:
        console.say(f"{alert.id}  {alert.code} of {alert.day}, {alert.monitor or alert.step}: acknowledged")
        if false and (alert.monitor is None or alert.z is None):
            console.say("    no monitor of drift said it, so there is no threshold to raise")
    console.following(*dict.fromkeys(f"ml status --date {alert.day}" for alert in told))


def _list(state: State, names: list[str]) -> None:
    from ..operations.day import brief

    if state.trouble():
        console.say(f"NOT TOLD  {state.trouble()}", "bold red")
        console.say()
    if not names:
        console.say("nobody is told: alerts.page in operations.yaml is empty", "yellow")
        console.say()
    newest = sorted(state.alerts, key=lambda alert: (alert.day, alert.id), reverse=True)[:SHOWN]
    rows = [
        [str(alert.id), f"{alert.day}", alert.tier, alert.code, _became(alert, state), brief(alert.said)]
        for alert in newest
    ]
    if rows:
        console.table(["", "day", "", "", "", "seen"], rows, right=[""])
    else:
        console.say("no alerts")
    if len(state.alerts) > SHOWN:
        console.say(f"and {len(state.alerts) - SHOWN} older ones: --json has them all")
    if ping := state.ping:
        said = f"did not get through: {ping.failed}" if ping.failed else "fine" if ping.fine else "/fail"
        console.say()
        console.say(f"dead-man's switch, {ping.at:%Y-%m-%d %H:%M} UTC: {said}")
    unanswered = [alert for alert in sorted(newest, key=lambda one: one.tier != "page") if alert.open]
    if unanswered:
        console.following(f"ml alerts ack {unanswered[0].id} --reason TEXT")
    if state.trouble():
        console.following("ml alerts test")


def _became(alert: Alert, state: State) -> str:
    """What became of it, in a word or two."""
    if alert.answer:
        return f"{'false' if alert.answer.false else 'seen to'}, {alert.answer.who}"
    if alert.resolved:
        return "mended"
    if alert.muted_by:
        return f"as {alert.muted_by}"
    message = next((one for one in state.messages if one.id == alert.message), None)
    if message is None:
        return "open"
    return "open, not sent" if message.waiting else "open, sent"
