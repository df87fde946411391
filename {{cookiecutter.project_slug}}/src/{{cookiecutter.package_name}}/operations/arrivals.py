"""When a day's data are due, and how many rows a weekday normally has."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from typing import TYPE_CHECKING

from ..config import DailyConfig

if TYPE_CHECKING:  # `ml status` asks for the deadline, and cannot wait for polars
    from ..data.store import Store

WEEKS = 8
"""Long enough for a median of each weekday, short enough to follow a trend."""
FEWEST = 4
"""Of one weekday; with fewer there is no normal yet."""
SHARE, SPREADS = 0.2, 5.0
"""A day is partial when it lacks a fifth of the normal, and five robust standard deviations of what days do here."""
SPREAD = 1.4826 * 1.1
"""Median distance to standard deviation: 1.4826 for normal counts, a tenth more for eight counts around their median.

With all this, 60 simulated years of independent normal counts were called partial 0 times where a day's standard
deviation is 2 or 5%, and less than 0.1 times a year at 10 to 20%; with heavy tails (t, 4 degrees) 1 to 1.5 times."""


def over(day: date) -> datetime:
    """The moment from which ``day`` can be delivered: its end, UTC."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def deadline(day: date, config: DailyConfig) -> datetime:
    """The moment from which a day that is not there is missing."""
    hours, minutes = map(int, config.deadline.split(":"))
    return over(day) + timedelta(hours=hours, minutes=minutes)


def retries(config: DailyConfig) -> Iterator[timedelta]:
    """How long to wait before asking again: doubling, an hour at most."""
    minutes = config.retry_minutes
    while True:
        yield timedelta(minutes=min(minutes, max(60.0, config.retry_minutes)))
        minutes *= 2


@dataclass(frozen=True)
class Normal:
    """What a weekday's row counts were: their median, and the band around it; below ``low`` a day is partial."""

    expected: float
    low: float
    high: float
    days: int

    def as_facts(self) -> dict[str, float]:
        return asdict(self)


def normal(table: str, day: date, store: Store, without: Container[date] = ()) -> Normal | None:
    """The normal of ``day``'s weekday from the eight weeks before; None while it has fewer than four days there.

    Days of ``without`` are nobody's normal.
    """
    backs = [back for back in range(1, 7 * WEEKS + 1) if day - timedelta(days=back) not in without]
    found = {back: store.manifest(table, day - timedelta(days=back)) for back in backs}
    return of_counts({back: manifest.rows for back, manifest in found.items() if manifest is not None})


def of_counts(counts: Mapping[int, int]) -> Normal | None:
    """The same from row counts by the number of days back."""
    weekdays = [[rows for back, rows in counts.items() if back % 7 == weekday] for weekday in range(7)]
    weekdays = [rows for rows in weekdays if len(rows) >= FEWEST]
    same = [rows for back, rows in counts.items() if back % 7 == 0]
    if len(same) < FEWEST or not (expected := median(same)):
        return None
    distances = [abs(count / middle - 1) for rows in weekdays if (middle := median(rows)) for count in rows]
    band = expected * max(SHARE, SPREADS * SPREAD * median(distances))
    return Normal(expected, max(expected - band, 0.0), expected + band, len(same))
