"""When a day's data are due, and how many rows a weekday normally has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from ..config import DailyConfig
from ..data.store import Store

WEEKS = 8
"""Same weekdays that a day is compared with: long enough for a median, short enough to follow a trend."""
FEWEST = 4
"""Below that there is no normal yet."""
SHARE, SPREADS = 0.2, 5.0
"""A day is partial when it lacks a fifth of the normal, and five robust standard deviations of it: a median deviation
of eight counts is a bad estimate, and a fifth is far outside of what most tables do (docs/daily-run.md has figures)."""


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


def normal(table: str, day: date, store: Store) -> Normal | None:
    """Row counts of the same weekday in the eight weeks before ``day``; None while there are fewer than four."""
    found = [store.manifest(table, day - timedelta(weeks=back)) for back in range(1, WEEKS + 1)]
    return of_counts([manifest.rows for manifest in found if manifest is not None])


def of_counts(counts: list[int]) -> Normal | None:
    if len(counts) < FEWEST:
        return None
    expected = median(counts)
    spread = 1.4826 * median(abs(count - expected) for count in counts)
    band = max(SHARE * expected, SPREADS * spread)
    return Normal(expected, expected - band, expected + band, len(counts))
