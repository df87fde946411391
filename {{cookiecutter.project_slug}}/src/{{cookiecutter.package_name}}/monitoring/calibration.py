"""What `ml calibrate` decided: the reference, the thresholds, and whether the pager is armed. Nothing heavy in here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ..storage import Storage
from .reference import Reference

KEY = "monitor/calibration.json"
FALSE = "alerts/false.json"
"""Pages that somebody called false; `ml alerts ack ID --false` writes them there too."""
MARGIN = 1.1
"""A monitor that paged for nothing at 6 sds pages again from 6.6."""
REMEMBERED = timedelta(days=365)


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FalsePage(_Written):
    """A page that was for nothing: its monitor, its day, and how far out that was."""

    monitor: str
    day: date
    z: float | None = None


class Replayed(_Written):
    """A monitor that would have paged on a day of the history."""

    day: date
    monitor: str
    code: str
    z: float
    said: str


class Calibration(_Written):
    first: date
    last: date
    """The days that it has seen."""
    days: int
    """Of them with data, and no holiday."""
    judged: int
    """Days of the replay that had a history of their own."""
    budget: float
    """False pages a year that are allowed."""
    expected: float
    low: float
    high: float
    """Pages a year to be expected, and the 90% interval of that."""
    state: Literal["armed", "over budget"]
    c2: float
    big: float
    monitors: int
    autocorrelation: float
    tail: float | None
    """Degrees of freedom of the days' t distribution; None for a normal one."""
    drift: float
    replay: list[Replayed]
    reference: Reference
    predictions: Reference | None = None


def write(calibration: Calibration, storage: Storage) -> None:
    storage.write(KEY, (calibration.model_dump_json(indent=1) + "\n").encode())


def read(storage: Storage) -> Calibration | None:
    """The calibration in force; None where there is none, or none that this code can read: `ml calibrate` makes one."""
    content = storage.read(KEY)
    if content is None:
        return None
    try:
        return Calibration.model_validate_json(content)
    except ValidationError:
        return None


def false_pages(storage: Storage) -> list[FalsePage]:
    """Every page that was called false. A record that cannot be read counts as none: rather a page too many."""
    content = storage.read(FALSE)
    if content is None:
        return []
    try:
        return TypeAdapter(list[FalsePage]).validate_json(content)
    except ValidationError:
        return []


def add_false(pages: list[FalsePage], storage: Storage) -> None:
    """Call pages false, once each."""
    with storage.locked("false-pages"):
        known = false_pages(storage)
        known += [page for page in pages if (page.monitor, page.day) not in {(old.monitor, old.day) for old in known}]
        storage.write(FALSE, TypeAdapter(list[FalsePage]).dump_json(known, indent=1) + b"\n")


def raised(pages: list[FalsePage], c2: float, big: float, day: date) -> Mapping[str, tuple[float, float]]:
    """Thresholds of monitors that paged for nothing in the year before ``day``: what paged then is within them.

    Both are raised in proportion, from ``big`` for a deviation that was beyond it and from ``c2`` otherwise.
    """
    factors: dict[str, float] = {}
    for page in pages:
        if page.z is None or not day - REMEMBERED <= page.day <= day:
            continue
        size = abs(page.z)
        factor = MARGIN * size / (big if size > big else c2)
        factors[page.monitor] = max(factors.get(page.monitor, 1.0), factor)
    return {monitor: (c2 * factor, big * factor) for monitor, factor in factors.items()}
