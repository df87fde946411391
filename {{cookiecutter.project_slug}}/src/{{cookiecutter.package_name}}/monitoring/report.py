"""What the monitor found on a day: one JSON document that the run, the page, the server and people read.

Nothing heavy is imported here: the server tells these figures too, and has no polars.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..storage import Storage

FOLDER = "monitor/reports"
LOCK = "monitor"
"""Guards what is kept below ``monitor/`` but the reports: those are the daily run's, which has a lock of its day."""
Outcome = Literal["ok", "ticket", "page", "not applicable", "learning"]
"""``not applicable``: cannot be judged on this day (a holiday, a column without values); ``said`` tells why."""
URGENT: tuple[Outcome, ...] = ("page", "ticket")
State = Literal["learning", "uncalibrated", "over budget", "armed"]
"""``uncalibrated``: enough history, and nobody has called `ml calibrate`. ``over budget``: calibrated, and the replay
would have paged more often than allowed. In every state but ``armed`` drift makes tickets, not pages."""


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=(), ser_json_inf_nan="null")


class Series(_Written):
    """The days up to the one reported, oldest first, and the band in which each was expected; null where unknown."""

    days: list[date]
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]


class Finding(_Written):
    """One monitor's word: ``observed`` beside the range ``low`` to ``high``, all in ``unit``."""

    monitor: str
    """Stable name: ``parcels.weight_g.mean``, ``parcels.depot.share=north``, ``hours.prediction.mean``,
    ``hours.mae``, ``hours.mae[depot=north]``, ``parcels.rows``."""
    code: str
    outcome: Outcome
    table: str
    column: str | None = None
    measure: str
    """For people: mean, spread, nulls, share of north, rows, mae."""
    slice: str | None = None
    model_version: str | None = None
    observed: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    z: float | None = None
    said: str
    """One line: what was seen and what was expected, in words and units of people."""
    since: date | None = None
    """The first day of the run of days on which this monitor was out of its range; None when it is not."""
    series: Series | None = None


class Shape(_Written):
    """The distribution of a column on the day beside the reference, as shares of ``bins``; those are for people."""

    column: str
    unit: str | None = None
    bins: list[str]
    today: list[float]
    reference: list[float]


class Report(_Written):
    """Everything the monitor had to say on a day."""

    day: date
    state: State
    days_to_go: int = 0
    """Days of history still lacking, while ``learning``."""
    calibrated: date | None = None
    """The last day that the calibration in force had seen."""
    model_version: str | None = None
    holiday: str | None = None
    normal: dict[str, float] | None = None
    """``expected``, ``low`` and ``high`` rows of this weekday, from so many ``days``; None while that is learned."""
    findings: list[Finding]
    shapes: list[Shape] = []
    """Of the columns that moved most, the one that moved most first."""

    @property
    def watched(self) -> int:
        """Monitors that could be judged."""
        return sum(found.outcome in ("ok", "ticket", "page") for found in self.findings)

    def having(self, outcome: Outcome) -> list[Finding]:
        return [found for found in self.findings if found.outcome == outcome]

    def __str__(self) -> str:
        """How it stands, in a few words."""
        urgent = [f"{len(found)} {name}{'s' * (len(found) > 1)}" for name in URGENT if (found := self.having(name))]
        words = [f"{self.watched} monitors, {' and '.join(urgent) or 'none out of its range'}"]
        if self.state == "learning":
            words.append(f"drift: learning, {self.days_to_go} days to go")
        return "; ".join(words)


def write(report: Report, storage: Storage) -> None:
    content = report.model_dump_json(indent=1, exclude_none=True) + "\n"
    storage.write(f"{FOLDER}/{report.day}.json", content.encode())


def read(day: date, storage: Storage) -> Report | None:
    """The report of a day; None where there is none, or none that can be read: it can always be made again."""
    content = storage.read(f"{FOLDER}/{day}.json")
    if content is None:
        return None
    try:
        return Report.model_validate_json(content)
    except ValidationError:
        return None
