"""Did the day go fine? The ledger's answer, with the registry's word on the champion: no data are read for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from ..clock import days
from ..config import OperationsConfig
from ..errors import ProjectError
from ..paths import Paths
from ..serving.pointer import Pointer
from . import day as one_day
from .arrivals import deadline
from .codes import NEXT, Tier, heading
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
    "unscored": "NOT SCORED",
    "running": "RUNNING",
    "waiting": "WAITING",
    "not due": "NOT RUN YET",
}
UNDONE = {
    "refused": "was refused by the contract",
    "late": "was not there by its deadline",
    "no": "got a no from a check",
    "failed": "failed",
    "killed": "was killed",
}
"""How a day that is still to be done is called among the others."""


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
    told = [one_day.read(ledger, day, operations.daily, now) for day in days(begin, wanted)]
    last = told[-1]
    if last.problem:
        raise last.problem
    told = [day for day in told[:-1] if known and day.date >= known[0]] + [last]
    before = [day for day in told[:-1] if (wanted - day.date).days < WEEKS]
    due = now >= deadline(wanted, operations.daily)
    promoted, ever = _promoted(paths, operations)
    fine = last.fine and not (last.state == "running" and due and not last.complete)
    return Status(
        day=last,
        days=told[-count:],
        verdict=VERDICTS.get(last.state, "NOT OK") if fine else "NOT OK",
        said=_said(last, operations, known),
        fine=fine,
        promoted=promoted,
        actions=_actions(last, operations, promoted["version"] if isinstance(promoted, dict) else "", ever)
        + [_of_record(day) for day in before if day.problem],
        others=_others(before) + _challengers(told, ever),
    )


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
    if day.state in ("ok", "unscored", "paged"):
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
    return sum(check.tier == tier for check in day.attempt.checks) if day.attempt else 0


def _actions(day: Day, operations: OperationsConfig, champion: str, ever: set[str]) -> list[Action]:
    made = day.step("retrain", lambda step: "version" in step.facts)
    settled = made is not None and made.facts["version"] in ever
    said = [(check.tier, check.code, check.said) for check in day.attempt.checks] if day.attempt else []
    urgent = [item for item in said if item[0] in ("page", "ticket") or item[1] == "SCORE001"]
    urgent = [item for item in urgent if not (settled and item[1] == "TRAIN003")]
    if day.state == "killed":
        urgent.insert(0, ("page", "RUN001", "the run was killed"))
    elif day.state == "not run":
        urgent.insert(0, ("page", "RUN003", "nothing ran: is the schedule on?"))
    elif day.state == "late" and not any(tier == "page" for tier, _, _ in urgent):
        urgent.insert(0, ("page", "FRESH002", "it was not there when it was asked for last, and the deadline is past"))
    words = {
        "day": day.date,
        "version": champion or day.version or "VERSION",
        "challenger": made.facts["version"] if made else "VERSION",
        "config": operations.retraining.config,
    }
    return [
        Action(tier, code, day.date, text, heading(code), NEXT[code].format(**words)) for tier, code, text in urgent
    ]


def _of_record(day: Day) -> Action:
    said = day.problem.message if day.problem else ""
    command = NEXT["RUN004"].format(day=day.date)
    return Action("ticket", "RUN004", day.date, said, heading("RUN004"), command)


def _others(before: list[Day]) -> list[str]:
    """Days before the one that was asked for that are still open, with what to type."""
    said = []
    gaps = [day.date for day in before if day.state == "not run"]
    if gaps:
        were = "1 day was" if len(gaps) == 1 else f"{len(gaps)} days were"
        listed = ", ".join(str(day) for day in gaps)
        said.append(f"{were} never run: {listed}: ml backfill --from {gaps[0]} --to {gaps[-1]}")
    waiting = [day.date for day in before if day.state == "unscored"]
    if waiting:
        many = "1 day waits" if len(waiting) == 1 else f"{len(waiting)} days wait"
        said.append(f"{many} for a champion: when there is one, ml backfill --from {waiting[0]} --to {waiting[-1]}")
    for day in before:
        if day.attempt and day.state == "running":
            said.append(
                f"{day.date} is being run, since {day.attempt.started:%Y-%m-%d %H:%M} UTC on {day.attempt.host}"
            )
        elif day.state in UNDONE and not day.complete:
            said.append(f"{day.date} {UNDONE[day.state]}: ml run --date {day.date}")
    return said


def _challengers(told: list[Day], ever: set[str]) -> list[str]:
    """The newest version that an earlier day trained, where it still waits for a person."""
    for day in reversed(told):
        made = day.step("retrain", lambda step: "version" in step.facts)
        if made is not None:
            waits = any(check.code == "TRAIN003" for check in made.checks) and made.facts["version"] not in ever
            if not waits or day is told[-1]:  # the day's own is among its actions
                return []
            version = made.facts["version"]
            return [
                f"{day.date} trained {version}, and the gate passed it; it waits for a person: ml promote {version}"
            ]
    return []


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
