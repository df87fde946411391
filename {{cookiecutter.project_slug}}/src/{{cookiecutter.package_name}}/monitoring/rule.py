"""The rule by which a day is told from the days before it: numpy on days × monitors, and nothing of what they mean.

The day is the observation, not the row: harmless differences between days are what the history shows, and do not become
"significant" because a day has many rows. docs/monitoring.md has the rule in words and what it was measured to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np

HISTORY = 56
"""Days looked back on: eight of every weekday."""
GAP = 7
"""The history ends so many days before the day judged: a step is seen for a week before it is part of the normal."""
LEAST = 28
"""Days with a value that the history must have; with fewer a monitor is learning."""
COOLDOWN = 7
"""Days from one page to the next at the earliest."""
SPIKE = 6.0
"""Out so far, a day is broken rather than rare: normal days are so in one of 500 million cases."""
PASSES = 3
"""Broken days hide each other: so often the others are looked at anew."""


@dataclass(frozen=True)
class Scores:
    """What was expected of each day and monitor, shape (days, monitors); NaN where the history is too short."""

    z: np.ndarray
    """Deviation in sds, as of a normal distribution whatever the degrees of freedom of its history."""
    expected: np.ndarray
    """The weekday's mean in the history, in the values' unit."""
    spread: np.ndarray
    """The sd of today's value around ``expected``, in the values' unit: of the day and of the mean."""
    seen: np.ndarray
    """Days of history that had a value."""
    freedom: np.ndarray
    """Degrees of freedom of the spread: days seen less one for each weekday seen."""

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        return self.z, self.expected, self.spread, self.seen, self.freedom


def scores(
    values: np.ndarray,
    floor_sd: np.ndarray | float = 0.0,
    usable: np.ndarray | None = None,
    *,
    history: int = HISTORY,
    gap: int = GAP,
    least: int = LEAST,
) -> Scores:
    """Judge every day by the ``history`` days that end ``gap`` days before it.

    ``values``, ``floor_sd`` and ``usable`` have the shape (days, monitors). Rows are consecutive calendar days: a day
    that is missing is a row of NaN. ``floor_sd`` is the sampling sd of each value, as its number of rows gives it. A
    day that is not ``usable`` (a holiday, too few rows) is in no history; it still has a z, for whoever wants to look.
    Nor are :func:`spikes`, or one broken day would blind a monitor for eight weeks.

    The spread is the sd of the residuals from the weekdays' means, corrected for a day that has fewer or more rows than
    the history's had, and never below the day's own sampling sd.
    """
    if history % 7 or gap % 7:
        raise ValueError(f"history {history} and gap {gap} have to be whole weeks")
    good = np.isfinite(values) if usable is None else np.isfinite(values) & usable
    floor = np.broadcast_to(np.asarray(floor_sd, dtype=float), values.shape)
    found = _scores(values, floor, good, history, gap, least)
    for _ in range(PASSES):
        broken = spikes(np.where(good, found.z, np.nan))
        which = np.flatnonzero(broken.any(axis=0))
        if not len(which):
            break
        again = _scores(values[:, which], floor[:, which], (good & ~broken)[:, which], history, gap, least)
        for mine, renewed in zip(found.parts, again.parts, strict=True):
            mine[:, which] = renewed
    return found


def spikes(z: np.ndarray) -> np.ndarray:
    """Days that were far out and over soon, shape (days, monitors): no part of what is normal.

    Over soon: within six days the monitor was back, and on none of the four same weekdays before was it out as well. A
    step that stays, and a season that begins, do become normal.
    """
    out = np.abs(z) > SPIKE
    inside = np.abs(z) < SPIKE / 2
    back = _total(_back(inside[::-1].astype(float), days) for days in range(1, GAP))[::-1] > 0
    before = _total(_back(out.astype(float), days) for days in range(7, 29, 7)) > 0
    return out & back & ~before


def _scores(values: np.ndarray, floor: np.ndarray, good: np.ndarray, history: int, gap: int, least: int) -> Scores:
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.where(good, values, 0.0).sum(axis=0) / good.sum(axis=0)
        x = np.where(good, values - centre, 0.0)
        sampling = np.where(good & np.isfinite(floor), floor**2, 0.0)

        # of the same weekday: today's row and the weeks before it
        weeks = range(0, history, 7)
        count = _total(_back(good.astype(float), days) for days in weeks)
        mean = _total(_back(x, days) for days in weeks) / count
        squares = _total(_back(good.astype(float), days) * (_back(x, days) - mean) ** 2 for days in weeks)
        noise = _total(_back(sampling, days) for days in weeks)

        # of all weekdays in the history
        ends = range(gap, gap + 7)
        seen = _total(_back(count, days) for days in ends)
        freedom = _total(_back(np.maximum(count - 1, 0), days) for days in ends)
        variance = _total(_back(np.nan_to_num(squares), days) for days in ends) / freedom
        usual = _total(_back(noise, days) for days in ends) / seen

        own = np.where(np.isfinite(floor), floor**2, 0.0)
        variance = np.maximum(np.maximum(variance + own - usual, own), 0.0)
        of_weekday = _back(count, gap)
        expected = _back(mean, gap) + centre
        spread = np.sqrt(variance * (1 + 1 / of_weekday))
        judged = (seen >= least) & (of_weekday >= 1) & (freedom >= 1)
        expected, spread = np.where(judged, expected, np.nan), np.where(judged, spread, np.nan)
        deviation = values - expected
        # a constant history: what equals it is as expected, anything else is not
        t = np.where(spread > 0, deviation / spread, np.where(deviation == 0, 0.0, np.copysign(np.inf, deviation)))
        t = np.where(np.isfinite(deviation), t, np.nan)
        return Scores(as_normal(t, freedom), expected, spread, seen, freedom)


def as_normal(t: np.ndarray, freedom: np.ndarray | float) -> np.ndarray:
    """Student's t with so many degrees of freedom as the normal deviate of the same probability.

    Wallace (1959): off by at most 0.03 in the range of interest from 15 degrees on. Without it a history of 28 days
    would page nine times as often as one of 56. Beyond every measure (a constant history) the deviate is 99.
    """
    freedom = np.maximum(freedom, 1)
    squared = np.minimum(np.abs(t), 1e6) ** 2
    size = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(squared / freedom))
    return np.copysign(np.where(np.isinf(t), 99.0, size), t)


def as_t(normal: float, freedom: np.ndarray) -> np.ndarray:
    """The other way round: how many estimated sds a normal deviate is, with so many degrees of freedom."""
    freedom = np.maximum(freedom, 1)
    size = normal * (8 * freedom + 3) / (8 * freedom + 1)
    return np.sqrt(freedom * np.expm1(np.minimum(size**2 / freedom, 50)))


def fires(z: np.ndarray, material: np.ndarray, c2: np.ndarray | float, big: np.ndarray | float) -> np.ndarray:
    """Whether a monitor is out of its range on a day: materially, and too far or far enough for a second time.

    Shapes are (days, monitors); ``c2`` and ``big`` may differ by monitor. Second time: on the same side on one of the
    two calendar days before.
    """
    return (np.asarray(material) & ((np.abs(z) > big) | (twice(z) > c2))) & np.isfinite(z)


def twice(z: np.ndarray) -> np.ndarray:
    """How far a day and one of the two before it are out on the same side, at least: the smaller of the two; or 0."""
    up, down = np.maximum(np.nan_to_num(z), 0.0), np.maximum(-np.nan_to_num(z), 0.0)
    return np.maximum.reduce([np.minimum(side, np.maximum(_back(side, 1), _back(side, 2))) for side in (up, down)])


def pages(fired: np.ndarray, cooldown: int = COOLDOWN) -> np.ndarray:
    """The days on which somebody is called: the first fire of any monitor, then none for ``cooldown`` days.

    ``fired`` is (days,) or (days, monitors); the answer is (days,).
    """
    days = np.atleast_1d(fired.any(axis=1) if fired.ndim == 2 else fired)
    called = np.zeros(len(days), dtype=bool)
    free = 0
    for day in np.flatnonzero(days):
        if day >= free:
            called[day] = True
            free = day + cooldown
    return called


def _total(parts: Iterable[np.ndarray]) -> np.ndarray:
    return reduce(np.add, parts)


def _back(rows: np.ndarray, days: int) -> np.ndarray:
    """Each row's value so many days before; 0 before the first."""
    if not days:
        return rows
    moved = np.zeros_like(rows)
    moved[days:] = rows[:-days]
    return moved
