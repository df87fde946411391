"""Days that never change, like the project's own: what its residuals say about noise, dependence, tails and lag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rule import HISTORY, scores

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
"""A day's deviation is a move of the day plus sampling noise of a known size; the latter is normal, and the smaller the
move's part, the less of its tail is seen where there are few days to see it in."""
NORMALLY = 4
"""Beforehand the normal is so many times as likely as each of the others, which are equally likely: with 9, pages of
simulated years double, and with 1, a shift of the mix by 10 points is seen a day later."""


@dataclass(frozen=True)
class Days:
    """What is needed to make days like the project's own: per monitor, shape (monitors,)."""

    phi: np.ndarray
    """Correlation with the day before."""
    share: np.ndarray
    """Part of the variance that is the day's, not the sampling's."""
    drift: float = 0.0


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


def autocorrelation(residual: np.ndarray) -> np.ndarray:
    """By monitor, drawn to the mean of all of them by what chance alone would scatter; 0 to 0.9."""
    now, before = residual[1:], residual[:-1]
    pairs = np.isfinite(now) & np.isfinite(before)
    product = np.where(pairs, now * before, 0.0).sum(axis=0) / np.maximum(pairs.sum(axis=0), 1)
    each = product / np.nanmean(residual**2, axis=0)
    return np.clip(_shrunk(each, 1 / np.maximum(pairs.sum(axis=0), 1)), 0.0, 0.9)


def day_share(variance: np.ndarray, sampling: np.ndarray, freedom: np.ndarray) -> np.ndarray:
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


def simulate(days: Days, tail: Tail, length: int, rng: np.random.Generator) -> np.ndarray:
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


def _heaviness(residual: np.ndarray) -> float:
    """The log of the kurtosis, mean over monitors: of nine measures tried, the one that tells t from normal best.

    The highest tenth of the monitors does not count: an incident is no tail.
    """
    squared = residual**2
    each = np.sort(np.log(np.nanmean(squared**2, axis=0) / np.nanmean(squared, axis=0) ** 2))
    return float(each[: len(each) - len(each) // 10].mean())


def likely(residual: np.ndarray, good: np.ndarray, days: Days, rng: np.random.Generator) -> dict[Tail, float]:
    """How likely each kind of tail is, from how heavy the residuals are beside simulated ones of the same few days.

    Monitors move together, so their number says little of how sure this is: each day left out in turn does.
    """
    seen = _heaviness(residual)
    blocks = [rows for rows in np.array_split(np.arange(len(residual)), 10) if np.isfinite(residual[rows]).any()]
    without = [_heaviness(np.delete(residual, rows, axis=0)) for rows in blocks]
    error = np.sqrt((len(blocks) - 1) / len(blocks) * np.sum((np.array(without) - np.mean(without)) ** 2))
    logs = {}
    for tail in TAILS:
        found = []
        for _ in range(COPIES):
            made = simulate(days, tail, len(residual), rng).astype(float)
            found.append(_heaviness(residuals(np.where(good, made, np.nan))[0]))
        sd = max(float(np.std(found, ddof=1)), 0.5 * float(error), 1e-3)
        logs[tail] = -0.5 * ((seen - np.mean(found)) / sd) ** 2 - np.log(sd)
    most = max(logs.values())
    prior = {tail: NORMALLY if tail.freedom == NORMAL else 1 for tail in TAILS}
    raw = {tail: prior[tail] * float(np.exp(log - most)) for tail, log in logs.items()}
    return {tail: weight / sum(raw.values()) for tail, weight in raw.items()}


def lag(values: np.ndarray, floor: np.ndarray, days: Days, rng: np.random.Generator) -> float:
    """How far the means of eight weeks lag behind what moves slowly, such as a season: the sd of that lag, in sds.

    In the mean of the z of four weeks chance averages out and a lag does not. What is left over what stationary days
    show, and twice their sd, is lag. 0 where no four weeks can be judged.
    """
    seen = _slow(scores(values, floor).z)
    if not np.isfinite(seen):
        return 0.0
    gaps = np.isnan(values)
    sampling = np.sqrt(1 - days.share)
    made = (simulate(days, Tail(NORMAL), len(values), rng).astype(float) for _ in range(COPIES))
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


def typical(weights: dict[Tail, float]) -> float:
    below = 0.0
    for tail, weight in sorted(weights.items(), key=lambda item: item[0].freedom):
        below += weight
        if below >= 0.5:
            return tail.freedom
    return NORMAL
