"""How far out is out: the two thresholds of the rule, found by simulating this project's own kind of days.

The same procedure (history of 56 days, weekday means, estimated spread) is let loose on days that never change: with
the project's number of monitors, its autocorrelation from day to day, its share of sampling noise, and tails as heavy
as its own residuals make likely. The thresholds are those that such days cross as often as the budget of false pages
allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .rule import COOLDOWN, GAP, HISTORY, scores, twice
from .stationary import NORMAL, Days, Tail, autocorrelation, day_share, lag, likely, residuals, simulate, typical

SIMULATED = 4_000_000
"""Days simulated, of all monitors together: at 52 monitors a hundred pages an arm, and 10% of error in their number."""
LOWEST_C2, LOWEST_BIG = 2.9, 4.3
"""Thresholds are at least these. Where nothing moves but by chance, the simulation would do with less; but shares and
spreads of few rows are not quite as normal as it takes them to be."""
AT_ONCE = 1_500
"""Monitors simulated at once: what fits a processor's cache."""
YEAR = 365


@dataclass(frozen=True)
class Constants:
    """Thresholds in sds of a normal distribution, and what they were derived from."""

    c2: float
    """Twice within three days on the same side."""
    big: float
    """Once."""
    pages: float
    """Pages a year to be expected on days that never change, of both together."""
    monitors: int
    days: int
    autocorrelation: float
    """Mean over the monitors of the correlation of a day's deviation with the day before."""
    tail: float
    """Degrees of freedom of t: the median of what the residuals make likely. Infinite for a normal distribution, and
    where sampling noise leaves nothing that could have a tail."""
    drift: float
    """How far off the history's means are beyond what chance explains, in sds: 0 unless the normal itself moves."""


def derive(
    values: np.ndarray,
    floor_sd: np.ndarray | float = 0.0,
    usable: np.ndarray | None = None,
    *,
    budget: float = 1.0,
    seed: int = 0,
    amount: int = SIMULATED,
) -> Constants:
    """The thresholds for a history of shape (days, monitors), rows being consecutive calendar days; 28 days at least.

    ``budget`` is in pages a year, half of it for each threshold. Monitors without variance are not counted: they fire
    when they move at all. Raises ValueError when no monitor can be judged.
    """
    rng = np.random.default_rng([seed, 20260101])
    good = np.isfinite(values) if usable is None else np.isfinite(values) & usable
    floor = np.broadcast_to(np.asarray(floor_sd, dtype=float), values.shape)
    residual, freedom = residuals(np.where(good, values, np.nan))
    variance = np.nansum(residual**2, axis=0) / np.maximum(freedom, 1)
    counted = (freedom >= 14) & (variance > 1e-18)
    if not counted.any():
        raise ValueError("no monitor has 28 days with values that differ")
    residual, good, variance, freedom = residual[:, counted], good[:, counted], variance[counted], freedom[counted]
    sampling = np.where(good, floor[:, counted] ** 2, 0.0).sum(axis=0) / good.sum(axis=0)
    days = Days(autocorrelation(residual), day_share(variance, sampling, freedom))
    weights = likely(residual, good, days, rng)
    judged = np.where(good, values[:, counted], np.nan), np.where(good, floor[:, counted], np.nan)
    days = replace(days, drift=lag(*judged, days, rng))
    lone, double = _extremes(days, weights, amount, rng)
    years = lone.streams / days.phi.size
    each = budget / 2
    for _ in range(3):  # often both fire for the same days, which are one page
        big, c2 = lone.threshold(each * years), double.threshold(each * years)
        pages = _together(lone.above(big), double.above(c2)) / years
        each *= min(budget / max(pages, each), 2.0)
    big = max(lone.threshold(each * years), LOWEST_BIG)
    c2 = max(double.threshold(each * years), LOWEST_C2)
    return Constants(
        c2=c2,
        big=big,
        pages=_together(lone.above(big), double.above(c2)) / years,
        monitors=int(days.phi.size),
        days=int(good.any(axis=1).sum()),
        autocorrelation=float(days.phi.mean()),
        tail=typical(weights) if days.share.mean() > 0.1 else NORMAL,
        drift=days.drift,
    )


@dataclass(frozen=True)
class _Extremes:
    """The far deviations of many simulated years of single monitors: which one's, on what day, and how far."""

    streams: int
    stream: np.ndarray
    day: np.ndarray
    size: np.ndarray

    def above(self, threshold: float) -> np.ndarray:
        """Days on which the threshold is crossed, counted on over all streams; a stream takes two years of them."""
        far = self.size > threshold
        return self.stream[far] * 2 * YEAR + self.day[far]

    def threshold(self, allowed: float) -> float:
        """The lowest threshold with at most so many pages."""
        low, high = 2.0, 60.0
        while high - low > 0.005:
            middle = (low + high) / 2
            low, high = (middle, high) if _together(self.above(middle)) > allowed else (low, middle)
        return high


def _together(*days: np.ndarray) -> int:
    """Pages for these days: what comes within the cool-down of a page is none."""
    count, free = 0, 0
    for day in np.unique(np.concatenate(days)):
        if day >= free:
            count, free = count + 1, day + COOLDOWN
    return count


def _extremes(
    days: Days, weights: dict[Tail, float], amount: int, rng: np.random.Generator
) -> tuple[_Extremes, _Extremes]:
    """The rule on simulated years, the tails in the proportion in which they are likely: of one day, and of two."""
    warm = HISTORY + GAP - 1
    streams = max(amount // YEAR, 10 * days.phi.size)
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    made = 0
    for tail, weight in weights.items():
        left = round(streams * weight)
        while left:
            some = min(left, AT_ONCE)
            which = rng.integers(days.phi.size, size=some)
            of_some = Days(days.phi[which], days.share[which])
            z = scores(simulate(of_some, tail, warm + YEAR, rng), np.sqrt(1 - of_some.share)).z[warm:]
            z = z + days.drift * rng.standard_normal(some)
            for arm, far in zip(found, (np.abs(z), twice(z)), strict=True):
                stream, day = np.nonzero(far.T > 2.0)
                arm.append(np.stack([stream + made, day, far[day, stream]]))
            made, left = made + some, left - some
    lone, double = (np.concatenate(arm, axis=1) for arm in found)
    return _Extremes(made, *lone), _Extremes(made, *double)
