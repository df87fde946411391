"""How far out is out: the two thresholds of the rule, found by simulating this project's own kind of days.

The same procedure (history of 56 days, weekday means, estimated spread) is let loose on days that never change: with the
project's number of monitors, its autocorrelation from day to day, its share of sampling noise, and tails as heavy as its
own residuals make likely. The thresholds are those that such days cross as often as the budget of false pages allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .rule import COOLDOWN, GAP, HISTORY, scores, twice

SIMULATED = 4_000_000
"""Days simulated, of all monitors together: at 52 monitors a hundred pages an arm, and 10% of error in their number."""
AT_ONCE = 1_500
"""Monitors simulated at once: what fits a processor's cache."""
YEAR = 365
COPIES = 24
"""Copies of the project's own days that are simulated for each kind of tail."""
NORMAL = float("inf")


@dataclass(frozen=True)
class Tail:
    """Student's t with ``freedom`` degrees for what moves days, or for the whole deviation, sampling noise included."""

    freedom: float
    whole: bool = False


TAILS = (
    *(Tail(freedom) for freedom in (2.5, 3.0, 4.0, 6.0, 10.0)),
    *(Tail(freedom, whole=True) for freedom in (5.0, 8.0, 12.0, 20.0)),
    Tail(NORMAL),
)
"""Equally likely beforehand. A day's deviation is a move of the day plus sampling noise of a known size; the latter is
normal, and the smaller the move's part, the less of its tail is seen where there are few days to see it in."""


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
    """Degrees of freedom of t; infinite for a normal distribution: the median of what the residuals make likely."""
    drift: float
    """How far off the history's means are beyond what chance explains, in sds: 0 unless the normal itself moves."""


@dataclass(frozen=True)
class _Days:
    """What is needed to make days like the project's own: per monitor, shape (monitors,)."""

    phi: np.ndarray
    """Correlation with the day before."""
    share: np.ndarray
    """Part of the variance that is the day's, not the sampling's."""
    drift: float = 0.0


def derive(
    values: np.ndarray,
    floor_sd: np.ndarray | float = 0.0,
    usable: np.ndarray | None = None,
    *,
    budget: float = 1.0,
    seed: int = 0,
    simulated: int = SIMULATED,
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
    days = _Days(_shrunk_autocorrelation(residual), _shrunk_share(variance, sampling, freedom))
    weights = _likely(residual, good, days, rng)
    judged = np.where(good, values[:, counted], np.nan), np.where(good, floor[:, counted], np.nan)
    days = replace(days, drift=_drift(*judged, days, rng))
    lone, double = _extremes(days, weights, simulated, rng)
    years = lone.streams / days.phi.size
    each = budget / 2
    for _ in range(3):  # often both fire for the same days, which are one page
        big, c2 = lone.threshold(each * years), double.threshold(each * years)
        pages = _together(lone.above(big), double.above(c2)) / years
        each *= min(budget / max(pages, each), 2.0)
    big, c2 = lone.threshold(each * years), double.threshold(each * years)
    return Constants(
        c2=c2,
        big=big,
        pages=_together(lone.above(big), double.above(c2)) / years,
        monitors=int(days.phi.size),
        days=int(good.any(axis=1).sum()),
        autocorrelation=float(days.phi.mean()),
        tail=_median(weights),
        drift=days.drift,
    )


def residuals(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deviations from the weekday's mean, and their degrees of freedom by monitor.

    Means are of stretches of about 56 days, as in the rule, so that a season does not pass for a tail.
    """
    stretches = max(1, round(len(values) / HISTORY))
    residual, freedom = np.full(values.shape, np.nan), np.zeros(values.shape[1])
    for stretch in np.array_split(np.arange(len(values)), stretches):
        for weekday in range(7):
            rows = stretch[weekday::7]
            there = np.isfinite(values[rows])
            count = there.sum(axis=0)
            mean = np.where(there, values[rows], 0.0).sum(axis=0) / np.maximum(count, 1)
            residual[rows] = np.where(count > 1, values[rows] - mean, np.nan)
            freedom += np.maximum(count - 1, 0)
    return residual, freedom


def _shrunk_autocorrelation(residual: np.ndarray) -> np.ndarray:
    """By monitor, drawn to the mean of all of them by what chance alone would scatter; 0 to 0.9."""
    now, before = residual[1:], residual[:-1]
    pairs = np.isfinite(now) & np.isfinite(before)
    product = np.where(pairs, now * before, 0.0).sum(axis=0) / np.maximum(pairs.sum(axis=0), 1)
    each = product / np.nanmean(residual**2, axis=0)
    return np.clip(_shrunk(each, 1 / np.maximum(pairs.sum(axis=0), 1)), 0.0, 0.9)


def _shrunk_share(variance: np.ndarray, sampling: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """The day's part of each variance: what the sampling noise does not explain."""
    known = sampling > 0
    share = np.ones(variance.shape)
    if known.any():
        ratio = _shrunk(np.log(variance[known] / sampling[known]), 2 / freedom[known])
        share[known] = 1 - np.exp(-np.maximum(ratio, 0.0))
    return share


def _shrunk(each: np.ndarray, chance: np.ndarray) -> np.ndarray:
    middle = each.mean()
    real = max(float(np.mean((each - middle) ** 2 - chance)), 0.0)
    return middle + (each - middle) * real / (real + chance)


def _simulated(days: _Days, tail: Tail, length: int, rng: np.random.Generator) -> np.ndarray:
    """Days of variance 1 that never change, shape (length, monitors)."""

    def noise(freedom: float) -> np.ndarray:
        shape = (length, days.phi.size)
        if freedom == NORMAL:
            return rng.standard_normal(shape, dtype=np.float32)
        return (rng.standard_t(freedom, shape) * np.sqrt((freedom - 2) / freedom)).astype(np.float32)

    share = np.ones_like(days.share) if tail.whole else days.share
    phi = np.clip(days.phi / np.maximum(share, 0.05), 0.0, 0.95).astype(np.float32)
    moved = noise(tail.freedom)
    step = np.sqrt(1 - phi**2)
    for day in range(1, length):
        moved[day] = phi * moved[day - 1] + step * moved[day]
    if tail.whole:
        return moved
    return np.sqrt(share, dtype=np.float32) * moved + np.sqrt(1 - share, dtype=np.float32) * noise(NORMAL)


def _heaviness(residual: np.ndarray) -> np.ndarray:
    """By monitor, the log of the kurtosis: of six measures tried, the one that tells t from normal best in 90 days."""
    squared = residual**2
    return np.log(np.nanmean(squared**2, axis=0) / np.nanmean(squared, axis=0) ** 2)


def _likely(residual: np.ndarray, good: np.ndarray, days: _Days, rng: np.random.Generator) -> dict[Tail, float]:
    """How likely each kind of tail is, from how heavy the residuals are beside simulated ones of the same few days.

    Monitors move together, so their number says little of how sure this is: each day left out in turn does.
    """
    seen = float(_heaviness(residual).mean())
    blocks = [rows for rows in np.array_split(np.arange(len(residual)), 10) if np.isfinite(residual[rows]).any()]
    without = [float(_heaviness(np.delete(residual, rows, axis=0)).mean()) for rows in blocks]
    error = np.sqrt((len(blocks) - 1) / len(blocks) * np.sum((np.array(without) - np.mean(without)) ** 2))
    logs = {}
    for tail in TAILS:
        found = []
        for _ in range(COPIES):
            made = _simulated(days, tail, len(residual), rng).astype(float)
            found.append(float(_heaviness(residuals(np.where(good, made, np.nan))[0]).mean()))
        sd = max(float(np.std(found, ddof=1)), 0.5 * float(error), 1e-3)
        logs[tail] = -0.5 * ((seen - np.mean(found)) / sd) ** 2 - np.log(sd)
    most = max(logs.values())
    raw = {tail: float(np.exp(log - most)) for tail, log in logs.items()}
    return {tail: weight / sum(raw.values()) for tail, weight in raw.items()}


def _drift(values: np.ndarray, floor: np.ndarray, days: _Days, rng: np.random.Generator) -> float:
    """How far the means of eight weeks lag behind what moves slowly, such as a season: the sd of that lag, in sds.

    In the mean of the z of four weeks chance averages out and a lag does not. What is left over what stationary days
    show, and twice their sd, is lag. 0 where no four weeks can be judged.
    """
    seen = _slow(scores(values, floor).z)
    if not np.isfinite(seen):
        return 0.0
    gaps = np.isnan(values)
    sampling = np.sqrt(1 - days.share)
    made = (_simulated(days, Tail(NORMAL), len(values), rng).astype(float) for _ in range(COPIES))
    found = [_slow(scores(np.where(gaps, np.nan, some), sampling).z) for some in made]
    return float(np.sqrt(max(seen - np.mean(found) - 2 * np.std(found, ddof=1), 0.0)))


def _slow(z: np.ndarray) -> float:
    """Variance of the z's means of four weeks, without the noise: of every other day, times of the days between."""
    judged = np.isfinite(z).any(axis=1)
    z = np.clip(z[judged.argmax() :], -4, 4)
    weeks = z[len(z) % 28 :].reshape(-1, 28, z.shape[1])
    if not judged.any() or not len(weeks):
        return float("nan")
    count = np.isfinite(weeks).sum(axis=1) >= 14
    product = _mean(weeks[:, ::2]) * _mean(weeks[:, 1::2])
    return float(product[count].mean()) if count.any() else float("nan")


def _mean(values: np.ndarray) -> np.ndarray:
    there = np.isfinite(values)
    return np.where(there, values, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)


def _median(weights: dict[Tail, float]) -> float:
    below = 0.0
    for tail, weight in sorted(weights.items(), key=lambda item: item[0].freedom):
        below += weight
        if below >= 0.5:
            return tail.freedom
    return NORMAL


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
    days: _Days, weights: dict[Tail, float], simulated: int, rng: np.random.Generator
) -> tuple[_Extremes, _Extremes]:
    """The rule on simulated years, the tails in the proportion in which they are likely: of one day, and of two."""
    warm = HISTORY + GAP - 1
    streams = max(simulated // YEAR, 10 * days.phi.size)
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    made = 0
    for tail, weight in weights.items():
        left = round(streams * weight)
        while left:
            some = min(left, AT_ONCE)
            which = rng.integers(days.phi.size, size=some)
            of_some = _Days(days.phi[which], days.share[which])
            z = scores(_simulated(of_some, tail, warm + YEAR, rng), np.sqrt(1 - of_some.share)).z[warm:]
            z = z + days.drift * rng.standard_normal(some)
            for arm, far in zip(found, (np.abs(z), twice(z)), strict=True):
                stream, day = np.nonzero(far.T > 2.0)
                arm.append(np.stack([stream + made, day, far[day, stream]]))
            made, left = made + some, left - some
    lone, double = (np.concatenate(arm, axis=1) for arm in found)
    return _Extremes(made, *lone), _Extremes(made, *double)
