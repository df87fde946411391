"""What `ml calibrate` decided: the reference, the thresholds, and whether the pager is armed. Nothing heavy in here."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..storage import Storage
from .reference import Reference
from .report import LOCK

KEY = "monitor/calibration.json"


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid")


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
    with storage.alone_at(KEY, LOCK):
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
