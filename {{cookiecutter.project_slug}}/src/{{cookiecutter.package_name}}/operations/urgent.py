"""What a day asks somebody to see to, and whether somebody has answered for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..monitoring.report import URGENT
from .codes import Tier
from .ledger import Attempt, Step, worst

Key = tuple[str, str]
"""What an alert of a day is known by: its code, and the monitor or the step that it is about."""
RUN = "run"
"""What is said of a day as a whole is about this."""


@dataclass(frozen=True)
class Urgent:
    """``monitor`` and ``z`` where a monitor said it."""

    tier: Tier
    code: str
    said: str
    step: str
    monitor: str | None = None
    z: float | None = None

    @property
    def key(self) -> Key:
        return self.code, self.monitor or self.step


def urgent(state: str, last: Attempt | None) -> list[Urgent]:
    """Pages and tickets of a day in this state, the most urgent first, with what nobody was there to say."""
    found = [item for step in last.steps for item in _of(step)] if last else []
    found = [item for tier in URGENT for item in found if item.tier == tier]
    late = next((step.name for step in last.steps if step.outcome == "late"), RUN) if last else RUN
    if state == "killed":
        found.insert(0, Urgent("page", "RUN001", "the run was killed", RUN))
    elif state == "not run":
        found.insert(0, Urgent("page", "RUN003", "nothing ran: is the schedule on?", RUN))
    elif state == "late" and not any(item.tier == "page" for item in found):
        said = "it was not there when it was asked for last, and the deadline is past"
        found.insert(0, Urgent("page", "FRESH002", said, late))
    return found


def _of(step: Step) -> list[Urgent]:
    return [
        Urgent(check.tier, check.code, check.said, step.name, check.about, check.z)
        for check in step.checks
        if check.tier in URGENT
    ]


def answered(state: str, last: Attempt | None, keys: Collection[Key]) -> bool:
    """Whether somebody has answered for everything that keeps a day in this state from being fine."""
    items = urgent(state, last)
    if any(item.tier == "page" and item.key not in keys for item in items):
        return False
    if last is None or state == "killed":
        return bool(items)
    left = [
        step.outcome for step in last.steps if not _excused([item for item in items if item.step == step.name], keys)
    ]
    return worst(left) == "ok"


def _excused(items: list[Urgent], keys: Collection[Key]) -> bool:
    """Whether a step's worst, its pages or else its tickets, are all answered for."""
    worst_ones = [item for item in items if item.tier == items[0].tier]
    return bool(worst_ones) and all(item.key in keys for item in worst_ones)
