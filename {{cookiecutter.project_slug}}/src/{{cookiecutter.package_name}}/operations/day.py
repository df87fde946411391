"""One day as the ledger tells it: the state it is in at a given time, and the figures that people ask for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from ..config import DailyConfig
from ..errors import Exit, ProjectError
from .arrivals import deadline
from .ledger import Attempt, Ledger, Record, Step
from .urgent import RUN, Key, Urgent, answered, urgent

State = Literal[
    "ok",
    "unscored",
    "acknowledged",
    "paged",
    "refused",
    "late",
    "no",
    "failed",
    "killed",
    "not run",
    "unreadable",
    "running",
    "waiting",
    "not due",
]
"""``unscored``: the run went well, and there is no champion yet. ``paged``: it went well, and a check asks somebody in.
``acknowledged``: somebody has answered for whatever else it would be, by `ml alerts ack`.
``late``: something was not there by the deadline, a delivery or the registry; ``waiting``: the same before it. ``not
due``: no run yet, and it is before the deadline."""
FINE = ("ok", "unscored", "acknowledged", "running", "waiting", "not due")
INGEST = "ingest "
"""How the steps begin that take in a table; the first one takes in the rows, which are scored."""
CLOCKS_DIFFER = timedelta(minutes=1)


@dataclass(frozen=True)
class Day:
    """``record`` is None where the day was never run, or where ``problem`` says why its record cannot be read."""

    date: date
    state: State
    record: Record | None = None
    problem: ProjectError | None = None
    urgent: tuple[Urgent, ...] = ()
    """Pages and tickets that nobody has answered for."""
    answered: int = 0
    """How many somebody has."""

    @property
    def fine(self) -> bool:
        return self.state in FINE

    @property
    def attempts(self) -> list[Attempt]:
        return self.record.attempts if self.record else []

    @property
    def attempt(self) -> Attempt | None:
        return self.record.last if self.record else None

    @property
    def complete(self) -> bool:
        """Whether some attempt left nothing to do, whatever became of those after it."""
        return any(attempt.complete for attempt in self.attempts)

    def step(self, name: str, has: Callable[[Step], Any] = lambda step: True) -> Step | None:
        """The newest step of that name (or that begins with it) for which ``has`` says yes."""
        found = (step for attempt in reversed(self.attempts) for step in attempt.steps if step.name.startswith(name))
        return next((step for step in found if has(step)), None)

    @property
    def rows(self) -> int | None:
        """Rows in force of the table that is scored."""
        return self.taken.rows_out if self.taken else None

    @property
    def taken(self) -> Step | None:
        """The newest step that put them in force."""
        for attempt in reversed(self.attempts):
            first = next((step for step in attempt.steps if step.name.startswith(INGEST)), None)
            if first and first.rows_out is not None:
                return first
        return None

    @property
    def normal(self) -> dict[str, Any] | None:
        """``expected``, ``low``, ``high`` rows of this weekday, from so many ``days``. None while that is learned."""
        step = self.step("monitor", lambda step: step.facts.get("normal"))
        return step.facts["normal"] if step else None

    @property
    def deviation(self) -> float | None:
        """The share of rows above (or below) what this weekday normally has."""
        if self.rows is None or not self.normal or not self.normal["expected"]:
            return None
        return self.rows / self.normal["expected"] - 1

    @property
    def score(self) -> Step | None:
        return self.step("score", lambda step: step.rows_out is not None)

    @property
    def scored(self) -> int | None:
        return self.score.rows_out if self.score else None

    @property
    def version(self) -> str | None:
        """The version that scored the day."""
        return self.score.facts.get("version") if self.score else None

    @property
    def trained_until(self) -> date | None:
        said = self.score.facts.get("trained_until") if self.score else None
        return date.fromisoformat(said) if said else None

    @property
    def age(self) -> int | None:
        """Days between the last labels that the version knew and this day."""
        return (self.date - self.trained_until).days if self.trained_until else None

    def still(self, step: Step | None) -> str:
        """What to add to a figure that the last attempt did not renew."""
        last = self.attempt
        renewed = step is None or last is None or any(step is one for one in last.steps)
        return "" if renewed else "; in force since an earlier attempt"

    @property
    def challenger(self) -> Step | None:
        """The newest retraining that registered a version, which is among its facts."""
        return self.step("retrain", lambda step: "version" in step.facts)

    def asks(self, promoted: Collection[str]) -> list[Urgent]:
        """What is urgent. Of versions that were ``promoted`` none waits for a person any more."""
        made = self.challenger
        settled = made is not None and made.facts["version"] in promoted
        return [item for item in self.urgent if not (settled and item.code == "TRAIN003")]

    @property
    def seconds(self) -> float | None:
        """How long the last attempt took."""
        last = self.attempt
        return (last.ended - last.started).total_seconds() if last and last.ended else None


def brief(text: str) -> str:
    """A message in one line: its first, with the next where that only leads up to it."""
    lines = [line.strip() for line in text.splitlines()] or [""]
    said = " ".join(lines[: 2 if lines[0].endswith(":") else 1])
    more = len(lines) - (2 if lines[0].endswith(":") else 1)
    return f"{said} (and {more} more)" if more > 0 else said


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def read(ledger: Ledger, day: date, daily: DailyConfig, now: datetime, acknowledged: Collection[Key] = ()) -> Day:
    """The day as it is ``now``, without what was ``acknowledged`` of it.

    A record that cannot be read is a state, too; a ledger that is away raises (exit 4).
    """
    try:
        record = ledger.read(day)
    except ProjectError as error:
        if error.exit is not Exit.USAGE:
            raise
        said = Urgent("ticket", "RUN004", error.message, RUN)
        return Day(day, "unreadable", problem=error, urgent=(said,))
    state, last = _state(record, now >= deadline(day, daily)), record.last if record else None
    said = urgent(state, last)
    left = tuple(item for item in said if item.key not in acknowledged)
    if len(left) < len(said) and state not in FINE and answered(state, last, acknowledged):
        state = "acknowledged"
    return Day(day, state, record, urgent=left, answered=len(said) - len(left))


def _state(record: Record | None, past_deadline: bool) -> State:
    last = record.last if record else None
    if last is None:
        return "not run" if past_deadline else "not due"
    if last.outcome == "running":
        return "killed" if alive(last) is False else "running"
    if last.outcome == "late":
        return "late" if past_deadline else "waiting"
    if last.outcome == "ok":
        if any(check.tier == "page" for check in last.checks):
            return "paged"
        return "ok" if last.complete else "unscored"
    if last.outcome == "no" and any(check.code == "FRESH002" for check in last.checks):
        return "late"
    return last.outcome if last.outcome in ("refused", "no", "failed") else "killed"


def alive(attempt: Attempt) -> bool | None:
    """Whether the process of a running attempt still runs; None where that cannot be seen from here."""
    if attempt.host != socket.gethostname() or os.name == "nt":  # there, signal 0 would end it
        return None
    try:
        os.kill(attempt.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    begun = _begun(attempt.pid)
    return begun is None or begun <= attempt.started + CLOCKS_DIFFER


def _begun(pid: int) -> datetime | None:
    """When a process began, where the system says: after a restart the number belongs to another one."""
    with suppress(OSError, ValueError, StopIteration):
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        seconds = int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
        return datetime.fromtimestamp(seconds, UTC)
    return None
