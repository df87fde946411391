"""The series of some monitors with what was expected of each day, and what fires."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from ..clock import days as calendar
from . import rule
from .monitor import Monitor, Observed

SHOWN = rule.HISTORY
"""Days of a finding's picture."""
REACH = SHOWN + rule.HISTORY + rule.GAP
"""Days that have to be known for each of them to have a band, and the last ones a z."""
YOUNG = rule.LEAST + rule.GAP
"""Days from which the last one can be judged."""
Values = Mapping[date, Mapping[str, Observed]]


@dataclass(frozen=True)
class Thresholds:
    """``c2`` twice, ``big`` once; higher for monitors that paged for nothing."""

    c2: float
    big: float
    raised: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, monitor: str) -> tuple[float, float]:
        return self.raised.get(monitor, (self.c2, self.big))


UNCALIBRATED = Thresholds(3.4, 4.7)
"""Of fifty monitors with a little autocorrelation: good enough for tickets."""


@dataclass(frozen=True)
class Evidence:
    """The series of some monitors from ``first`` to ``last``. ``masked``: days that are nobody's normal, and why."""

    monitors: Sequence[Monitor]
    observed: Values
    first: date
    last: date
    thresholds: Thresholds
    masked: Mapping[date, str] = field(default_factory=dict)

    @cached_property
    def days(self) -> list[date]:
        return list(calendar(self.first, self.last))

    def _matrix(self, of: str) -> np.ndarray:
        none = Observed(math.nan, math.nan)
        rows = [self.observed.get(day, {}) for day in self.days]
        matrix = [[getattr(row.get(monitor.name, none), of) for monitor in self.monitors] for row in rows]
        return np.array(matrix, dtype=float).reshape(len(rows), len(self.monitors))

    @cached_property
    def values(self) -> np.ndarray:
        values = self._matrix("value")
        return np.where(np.isfinite(values), values, np.nan)

    @cached_property
    def sampling(self) -> np.ndarray:
        return self._matrix("sd")

    @cached_property
    def usable(self) -> np.ndarray:
        open_days = np.array([day not in self.masked for day in self.days])
        return np.isfinite(self.values) & open_days[:, None]

    @cached_property
    def scores(self) -> rule.Scores:
        return rule.scores(self.values, np.nan_to_num(self.sampling), self.usable)

    @cached_property
    def z(self) -> np.ndarray:
        """NaN on masked days too: they fire nothing, and nothing is out for the second time because of them."""
        return np.where(self.usable, self.scores.z, np.nan)

    @cached_property
    def material(self) -> np.ndarray:
        columns = [
            monitor.material(self.values[:, at], self.scores.expected[:, at])
            for at, monitor in enumerate(self.monitors)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros(self.values.shape, dtype=bool)

    @cached_property
    def fired(self) -> np.ndarray:
        c2, big = self._thresholds
        return rule.fires(self.z, self.material, c2, big)

    @cached_property
    def out(self) -> np.ndarray:
        """Outside of what people are shown as expected: once is no call yet."""
        with np.errstate(invalid="ignore"):
            return self.material & (np.abs(self.z) > self._thresholds[0])

    @cached_property
    def _thresholds(self) -> tuple[np.ndarray, np.ndarray]:
        both = [self.thresholds.of(monitor.name) for monitor in self.monitors]
        return np.array([c2 for c2, _ in both]), np.array([big for _, big in both])

    @cached_property
    def judged(self) -> np.ndarray:
        """Days on which at least one monitor could be judged."""
        return np.atleast_1d(np.isfinite(self.z).any(axis=1))

    def band(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """What is expected of a monitor each day, as people read it, shape (days,)."""
        monitor = self.monitors[at]
        expected, spread = self.scores.expected[:, at], self.scores.spread[:, at]
        width = rule.as_t(float(self._thresholds[0][at]), self.scores.freedom[:, at]) * spread
        low, high = monitor.around(expected)
        low, high = np.minimum(monitor.shown(expected - width), low), np.maximum(monitor.shown(expected + width), high)
        return (np.clip(low, 0, 100), np.clip(high, 0, 100)) if monitor.scale in ("nulls", "share") else (low, high)


def evidence(
    day: date,
    monitors: Sequence[Monitor],
    observed: Values,
    thresholds: Thresholds,
    masked: Mapping[date, str] | None = None,
) -> Evidence:
    """All that is needed to judge ``day`` and to show the eight weeks up to it."""
    return Evidence(monitors, observed, day - timedelta(days=REACH - 1), day, thresholds, masked or {})
