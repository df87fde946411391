"""The only place that reads the wall clock: everything below the command line gets its date as a parameter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def stopwatch() -> float:
    """Seconds from a fixed, arbitrary point: for durations only."""
    return time.perf_counter()


def days(first: date, last: date) -> Iterator[date]:
    """Every day from ``first`` to ``last``, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)
