"""The gate's difference for two models that met rows of their own, or rows that came together in one request."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .comparison import Difference, placements, row_scores, skewness


def unpaired(challenger: np.ndarray, champion: np.ndarray) -> Difference:
    """Difference of the means of two samples, values of shape (n,) and (m,), both above 1.

    ``rows`` and ``sd`` are said in the challenger's rows: :func:`rows_needed` then counts those, at the same share.
    """
    error = math.sqrt(np.var(challenger, ddof=1) / len(challenger) + np.var(champion, ddof=1) / len(champion))
    mean = float(np.mean(challenger) - np.mean(champion))
    skew = skewness(error, challenger, -champion)
    return Difference(mean, error, error * math.sqrt(len(challenger)), len(challenger), skew)


def apart(metric: str, challenger: np.ndarray, champion: np.ndarray, threshold: float) -> Difference:
    """``compare`` where each met rows of its own: request number, truth and prediction of each, (n, 3) and (m, 3)."""
    if metric == "auc":
        return _aucs(challenger, champion)
    scores = [
        by_request(row_scores(metric, rows[:, 1], rows[:, 2], threshold), rows[:, 0]) for rows in (challenger, champion)
    ]
    return unpaired(*scores)


def _aucs(challenger: np.ndarray, champion: np.ndarray) -> Difference:
    """Difference of two independent AUCs: the variances of DeLong's two parts of each add up."""
    (first, *ours), (second, *theirs) = (placements(rows[:, 1], rows[:, 2]) for rows in (challenger, champion))
    parts = [*ours, *(-part for part in theirs)]
    error, rows = math.sqrt(sum(np.var(part, ddof=1) / len(part) for part in parts)), len(challenger)
    return Difference(first - second, error, error * math.sqrt(rows), rows, skewness(error, *parts))


def by_request(values: np.ndarray, request: np.ndarray) -> np.ndarray:
    """One value a request, of values (n,) and their request (n,): the same mean, and the spread that the mean has.

    Rows of one request are alike, and a thousand of them no thousand rows. The mean over rows is a ratio of two sums
    over requests; these are its linearised parts: ``mean + (sum - rows · mean) · requests / all rows``. Where every
    request has one row they are the values themselves.
    """
    _, number = np.unique(request, return_inverse=True)
    rows, total = np.bincount(number), np.bincount(number, weights=values)
    mean = float(np.mean(values))
    return mean + (total - rows * mean) * len(rows) / len(values)


def combined(parts: Sequence[Difference]) -> Difference:
    """Differences of several stretches of time as one, each counting by the challenger's rows in it.

    A share that grew on a Monday gives the canary more Mondays than the champion has: the two are compared within each
    stretch of one share, and never across.
    """
    rows = sum(part.rows for part in parts)
    weights = [part.rows / rows for part in parts]
    mean = sum(weight * part.mean for weight, part in zip(weights, parts, strict=True))
    error = math.sqrt(sum((weight * part.error) ** 2 for weight, part in zip(weights, parts, strict=True)))
    third = sum(part.skew * (weight * part.error) ** 3 for weight, part in zip(weights, parts, strict=True))
    return Difference(mean, error, error * math.sqrt(rows), rows, third / error**3 if error else 0.0)


def gap(first: np.ndarray, second: np.ndarray) -> float:
    """The widest gap between the distributions of two samples, 0 to 1: Kolmogorov and Smirnov's statistic."""
    first, second = np.sort(first), np.sort(second)
    everywhere = np.concatenate([first, second])
    shares = (np.searchsorted(sample, everywhere, side="right") / len(sample) for sample in (first, second))
    return float(np.max(np.abs(np.subtract(*shares))))


def noise(first: int, second: int) -> float:
    """What ``gap`` exceeds once in twenty times where two samples, of so many values, come from one population."""
    return 1.358 * math.sqrt(1 / first + 1 / second)
