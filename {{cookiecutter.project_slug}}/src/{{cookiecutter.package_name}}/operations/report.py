"""A status in words: the aligned lines below the verdict."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .codes import MONITORED
from .day import INGEST, Day, brief, duration
from .ledger import Attempt, Step
from .status import Status

STATES = {
    "learning": "learning, {days_to_go} days to go; until then the contract's bounds only",
    "uncalibrated": "not calibrated: tickets only",
    "over budget": "over budget: tickets only",
}
NEWEST = 3
"""Attempts that are listed; the ledger has them all."""
MISSING = {"no": "missing", "late": "not there yet", "refused": "refused", "running": "on its way"}
"""What became of a delivery without rows."""


def lines(status: Status) -> list[tuple[str, str]]:
    """Pairs of a name and what there is to say, in the order in which a day runs."""
    day = status.day
    if day.attempt is None:
        return [("alerts", _alerts(status)), ("promoted", promoted(status.promoted))]
    found = [
        ("arrived", _arrived(day)),
        ("contract", _contract(day)),
        ("rows", rows(day)),
        ("labels", _labels(day)),
        ("scored", _scored(day)),
        ("model", model(day)),
        ("drift", _drift(day)),
        ("retrain", _step(day, "retrain")),
        ("alerts", _alerts(status)),
        ("promoted", promoted(status.promoted)),
        ("attempts", _attempts(day)),
    ]
    return [(name, said) for name, said in found if said]


def _ingests(day: Day) -> list[Step]:
    return [step for step in day.attempt.steps if step.name.startswith(INGEST)] if day.attempt else []


def _arrived(day: Day) -> str:
    said = []
    for step in _ingests(day):
        table = step.name.removeprefix(INGEST)
        count = step.rows_in if step.rows_in is not None else step.rows_out
        said.append(
            f"{table} {count:,} rows" if count is not None else f"{table} {MISSING.get(step.outcome, 'broke off')}"
        )
    return ", ".join(said) or "nothing yet"


def _contract(day: Day) -> str:
    steps = _ingests(day)
    wrong = [
        f"{step.name.removeprefix(INGEST)} refused: {brief(step.said)}" for step in steps if step.outcome == "refused"
    ]
    aside = [check.said for step in steps for check in step.checks if check.code == "DATA002"]
    if wrong:
        return "; ".join(wrong)
    checked = [step for step in steps if step.rows_out is not None]
    if not checked:
        return "nothing to check yet"
    left = "" if len(checked) == len(steps) else f" for {len(checked)} of {len(steps)} tables"
    return f"kept{left}" + (f"; {'; '.join(aside)}" if aside else "")


def rows(day: Day) -> str:
    """Rows against the weekday's normal."""
    if day.rows is None:
        return "none"
    if day.normal is None or day.deviation is None:
        return f"{day.rows:,}; what is normal for a {day.date:%A} is being learned{day.still(day.taken)}"
    low, high, expected = (round(day.normal[name]) for name in ("low", "high", "expected"))
    band = f"a {day.date:%A}'s normal of {expected:,} ({low:,} to {high:,})"
    return f"{day.rows:,}, {day.deviation:+.1%} against {band}{day.still(day.taken)}"


def _labels(day: Day) -> str:
    step = day.step("labels", lambda step: step.facts)
    if step is None:
        return _step(day, "labels")
    facts = step.facts
    said = [str(facts["day"])] if "day" in facts else []
    if "labelled" in facts:
        said.append(f"{facts['labelled']:.1%} of its rows have one")
    if "metric" in facts and "value" in facts:
        beside = f" (baseline {facts['baseline']:.4g}" if "baseline" in facts else ""
        beside += f", {facts['skill']:.0%} better)" if beside and "skill" in facts else ")" if beside else ""
        said.append(f"{facts['metric']} {facts['value']:.4g}{beside}")
    return ", ".join(said)


def _scored(day: Day) -> str:
    if day.scored is None:
        return "no" if day.state == "killed" else _step(day, "score") or "no"
    return f"{day.scored:,} rows{day.still(day.score)}"


def model(day: Day) -> str:
    """The version that scored the day, and its age."""
    if day.version is None:
        return "none"
    if day.age is None:
        return day.version
    return f"{day.version}, {day.age} day{'s' * (day.age != 1)} old: trained on labels until {day.trained_until}"


def _drift(day: Day) -> str:
    step = day.step("monitor")
    found = [check for check in (step.checks if step else []) if check.code.startswith(MONITORED)]
    facts = step.facts if step else {}
    if "state" not in facts:
        return "not watched"
    how = STATES.get(facts["state"], "").format(**facts)
    said = "; ".join(f"{check.code} {check.said}" for check in found) or f"none in {facts['watched']} monitors"
    return f"{said}{f' ({how})' if how else ''}" if facts["state"] != "learning" else how


def _step(day: Day, name: str) -> str:
    step = day.attempt.step(name) if day.attempt else None
    return f"{step.outcome}: {brief(step.said)}" if step and step.said else step.outcome if step else ""


def _alerts(status: Status) -> str:
    counts = {tier: sum(action.tier == tier for action in status.actions) for tier in ("page", "ticket")}
    said = [f"{n} {tier}{'s' * (n > 1)}" for tier, n in counts.items() if n]
    said += [f"{status.day.answered} acknowledged"] if status.day.answered else []
    return f"{', '.join(said) or 'none'}; {status.told}"


def promoted(move: dict[str, Any] | str) -> str:
    """The last move of the champion."""
    if isinstance(move, str):
        return move
    at = datetime.fromisoformat(move["at"])
    why = f": {move['why']}" if move["why"] else ""
    return f"{move['version']}, {move['verb']} {at:%Y-%m-%d %H:%M} UTC by {move['who']}{why}"


def _attempts(day: Day) -> str:
    shown = [_attempt(attempt, day.state) for attempt in day.attempts[-NEWEST:]]
    return "; ".join([f"{len(day.attempts)} in all, the last ones"] * (len(day.attempts) > NEWEST) + shown)


def _attempt(attempt: Attempt, state: str) -> str:
    outcome = state if attempt.outcome == "running" else attempt.outcome
    took = f" in {duration((attempt.ended - attempt.started).total_seconds())}" if attempt.ended else ""
    commit = f", commit {attempt.git_commit[:10]}{'+' if attempt.git_dirty else ''}"
    return f"{attempt.attempt} {outcome}{took}, {attempt.started:%Y-%m-%d %H:%M} UTC on {attempt.host}{commit}"
