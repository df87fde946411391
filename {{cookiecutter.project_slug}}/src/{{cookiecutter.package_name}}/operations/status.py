"""Did the day go fine? The ledger's answer, with the registry's word on the champion: no data are read for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from ..clock import days
from ..config import OperationsConfig
from ..errors import Exit, ProjectError
from ..paths import Paths
from ..serving.pointer import Pointer
from . import alert_state, undone
from . import day as one_day
from .alert_state import State
from .arrivals import deadline
from .codes import Tier, command, heading
from .day import Day, brief
from .ledger import Ledger

WEEKS = 14
"""Days looked back for what is still to be done."""
PATIENCE = 0.5
"""Seconds that the registry has to answer: the rest of the answer does not need it."""
LEDGER_PATIENCE = 3.0
"""Seconds that a ledger in a bucket has: without it there is no answer."""
VERDICTS = {
    "ok": "OK",
    "acknowledged": "OK",
    "unscored": "NOT SCORED",
    "running": "RUNNING",
    "waiting": "WAITING",
    "not due": "NOT RUN YET",
}


@dataclass(frozen=True)
class Action:
    """Something that somebody has to see to, where the runbook tells how, and the first command of it."""

    tier: Tier
    code: str
    day: date
    said: str
    heading: str
    command: str


@dataclass(frozen=True)
class Status:
    """``days`` are the days looked at, oldest first; ``day`` is the last of them, the one that was asked for."""

    day: Day
    days: list[Day]
    verdict: str
    said: str
    fine: bool
    promoted: dict[str, Any] | str
    """The last move of the champion; or in words why there is none to tell."""
    actions: list[Action] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """What is to be said of other days, in words."""
    told: str = ""
    """Who is told of pages, in words."""


def look(paths: Paths, operations: OperationsConfig, wanted: date, now: datetime, count: int = WEEKS) -> Status:
    """The status of ``wanted`` and of the ``count`` days that end with it, as it is ``now``.

    Raises ProjectError (exit 2) for a day in the future, and for one whose record cannot be read.
    """
    if wanted > now.date():
        raise ProjectError(
            f"{wanted} is in the future: it is {now:%Y-%m-%d %H:%M} UTC", hint="without --date it is about yesterday"
        )
    ledger = Ledger(paths, operations, LEDGER_PATIENCE)
    begin = wanted - timedelta(days=max(count, WEEKS) - 1)
    known = ledger.days()
    alerts, trouble = _alerts(ledger)
    told = [one_day.read(ledger, day, operations.daily, now, alerts.answered(day)) for day in days(begin, wanted)]
    last = told[-1]
    if last.problem:
        raise last.problem
    told = [day for day in told[:-1] if known and day.date >= known[0]] + [last]
    before = [day for day in told[:-1] if (wanted - day.date).days < WEEKS]
    due = now >= deadline(wanted, operations.daily)
    promoted, ever = _promoted(paths, operations)
    fine = last.fine and not (last.state == "running" and due and not last.complete)
    fine = fine and not trouble
    unheard = [_of_alerts(wanted, trouble)] if trouble else []
    return Status(
        day=last,
        days=told[-count:],
        verdict=VERDICTS.get(last.state, "NOT OK") if fine else "NOT OK",
        said=_said(last, operations, known)
        + (f", {last.answered} acknowledged" if last.answered else "")
        + ("; somebody was not told" if trouble else ""),
        fine=fine,
        promoted=promoted,
        actions=_actions(last, operations, promoted["version"] if isinstance(promoted, dict) else "", ever)
        + unheard
        + [_of_record(day) for day in before if day.problem],
        others=undone.days(before) + undone.challengers(told, ever),
        told=_told(alerts, operations),
    )


def _alerts(ledger: Ledger) -> tuple[State, str]:
    """What was told and answered, and why somebody may not have been told."""
    try:
        state = alert_state.read(ledger.storage)
    except ProjectError as error:
        if error.exit is not Exit.USAGE:
            raise
        return State(), error.message
    return state, state.trouble()


def _of_alerts(day: date, trouble: str) -> Action:
    return Action("page", "ALERT001", day, trouble, heading("ALERT001"), command("ALERT001"))


def _told(alerts: State, operations: OperationsConfig) -> str:
    names = operations.alerts.page
    if not names:
        return "nobody is told: alerts.page in operations.yaml is empty"
    last = next((message for message in reversed(alerts.messages) if message.kind == "page"), None)
    return f"pages go to {', '.join(names)}" + (f", the last one {last.made:%Y-%m-%d %H:%M} UTC" if last else "")


def _said(day: Day, operations: OperationsConfig, known: list[date]) -> str:
    """The day in one line."""
    last, until = day.attempt, deadline(day.date, operations.daily)
    if last is None:
        if day.state == "not due":
            return f"its run is due by {until:%Y-%m-%d %H:%M} UTC"
        begins = f"; the ledger begins {known[0]}" if known and known[0] > day.date else ""
        return f"no run until the deadline, {until:%Y-%m-%d %H:%M} UTC{begins}"
    now_in = next((step.name for step in reversed(last.steps) if step.ended is None), "")
    where = f" in {now_in}" if now_in else ""
    since = f"{last.started:%Y-%m-%d %H:%M} UTC on {last.host}"
    if day.state == "running":
        seen = "" if one_day.alive(last) else ", which this machine cannot see"
        return f"since {since}{seen}{where}"
    if day.state == "killed":
        return f"the run that began {since} was killed{where}"
    if last.outcome == "ok" or (day.state == "acknowledged" and day.scored is not None):
        count = f"{day.rows:,} rows" if day.rows is not None else "rows"
        score = last.step("score")
        how = (
            f"scored by {day.version}" if day.version else f"in, not scored{f': {brief(score.said)}' if score else ''}"
        )
        urgent = [f"{n} {tier}{'s' * (n > 1)}" for tier in ("page", "ticket") if (n := _count(day, tier))]
        return ", ".join([f"{count} {how}", *urgent])
    wrong = next((step for step in last.steps if step.outcome == last.outcome), None)
    what = f"{wrong.name}: {brief(wrong.said) or wrong.outcome}" if wrong else last.outcome
    if day.state in ("waiting", "late"):
        return f"{what}; asked {last.started:%Y-%m-%d %H:%M} UTC, the deadline is {until:%Y-%m-%d %H:%M} UTC"
    return what


def _count(day: Day, tier: Tier) -> int:
    return sum(item.tier == tier for item in day.urgent)


def _actions(day: Day, operations: OperationsConfig, champion: str, ever: set[str]) -> list[Action]:
    made = day.challenger
    urgent = [(item.tier, item.code, item.said) for item in day.asks(ever)]
    logged = day.attempt.checks if day.attempt else []
    urgent += [(check.tier, check.code, check.said) for check in logged if check.code == "SCORE001"]
    words = {
        "day": day.date,
        "version": champion or day.version or "VERSION",
        "challenger": made.facts["version"] if made else "VERSION",
        "config": operations.retraining.config,
    }
    return [Action(tier, code, day.date, text, heading(code), command(code, **words)) for tier, code, text in urgent]


def _of_record(day: Day) -> Action:
    said = day.problem.message if day.problem else ""
    return Action("ticket", "RUN004", day.date, said, heading("RUN004"), command("RUN004", day=day.date))


def _promoted(paths: Paths, operations: OperationsConfig) -> tuple[dict[str, Any] | str, set[str]]:
    """The last move of the champion, or why there is none to tell; and every version that ever was."""
    try:
        moves = Pointer(paths, operations, timeout=PATIENCE, attempts=1).moves(operations.model)
    except ProjectError as error:
        return error.message, set()
    named = [move | {"version": f"{operations.model}/{move['version']}"} for move in moves]
    return named[-1] if named else "nothing yet", {move["version"] for move in named}


def as_dict(status: Status) -> dict[str, Any]:
    """The same for machines."""
    day = status.day
    return {
        **_figures(day),
        "verdict": status.verdict,
        "said": status.said,
        "fine": status.fine,
        "promoted": status.promoted,
        "told": status.told,
        "actions": [asdict(action) for action in status.actions],
        "others": status.others,
        "days": [_figures(day) | {"fine": day.fine} for day in status.days],
        "record": day.record.model_dump(mode="json", exclude_none=True) if day.record else None,
    }


def _figures(day: Day) -> dict[str, Any]:
    return {
        "date": day.date.isoformat(),
        "state": day.state,
        "rows": day.rows,
        "normal": day.normal,
        "deviation": day.deviation,
        "scored": day.scored,
        "version": day.version,
        "trained_until": day.trained_until and day.trained_until.isoformat(),
        "age_days": day.age,
        "seconds": day.seconds,
        "attempts": len(day.attempts),
    }
