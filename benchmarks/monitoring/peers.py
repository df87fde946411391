"""What others would say of a day: Evidently's default preset, NannyML's daily chunks, PSI, per-column
tests.

Written anew for speed, a column's statistics in one pass over two sorted arrays; `checked.py` holds them
against the packages. All leave nulls out, as the packages do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special
from scipy.spatial.distance import jensenshannon

PSI_BINS, PSI_LEAST = 10, 1e-4
STATISTICS = ("evidently", "nannyml", "psi", "p")


def present(values: np.ndarray) -> np.ndarray:
    return values[values >= 0] if values.dtype.kind == "i" else values[~np.isnan(values)]


def psi(expected: np.ndarray, seen: np.ndarray) -> float:
    expected, seen = np.maximum(expected, PSI_LEAST), np.maximum(seen, PSI_LEAST)
    return float(np.sum((seen - expected) * np.log(seen / expected)))


def outside(expected: np.ndarray, seen: np.ndarray) -> float:
    """Jensen-Shannon distance to base 2; what is in no bin of the reference gets one of its own, as NannyML
    does."""
    left = 1 - seen.sum()
    if left > 0:
        expected, seen = np.append(expected, 0), np.append(seen, left)
    return float(jensenshannon(expected, seen, base=2))


class Numeric:
    """Statistics of a numeric column, beside ``rows`` of reference and, for NannyML, all rows of
    ``history``."""

    def __init__(self, rows: np.ndarray, history: Sequence[np.ndarray]) -> None:
        self.rows = np.sort(present(rows))
        self.norm = max(float(np.std(self.rows)), 0.001)
        inner = np.unique(np.quantile(self.rows, np.linspace(0, 1, PSI_BINS + 1)[1:-1]))
        self.cuts, self.expected = inner, self.binned(self.rows, inner)
        everything = present(np.concatenate(history))
        self.edges = np.histogram_bin_edges(everything, bins="doane")
        self.chunk = np.histogram(everything, self.edges)[0] / len(everything)

    @staticmethod
    def binned(ordered: np.ndarray, cuts: np.ndarray) -> np.ndarray:
        """Shares of values up to the first cut, up to the second, and so on."""
        return np.diff(np.searchsorted(ordered, cuts, side="right"), prepend=0, append=len(ordered)) / len(
            ordered
        )

    def statistics(self, values: np.ndarray) -> tuple[float, float, float, float]:
        seen = np.sort(present(values))
        if not len(seen):
            return (np.nan,) * 4
        both = np.concatenate([self.rows, seen])
        order = np.argsort(both, kind="stable")
        ours = np.cumsum(order < len(self.rows))
        apart = np.abs(ours / len(self.rows) - (np.arange(1, len(both) + 1) - ours) / len(seen))
        steps = np.diff(both[order])
        wasserstein = float(apart[:-1] @ steps) / self.norm
        largest = float(np.max(apart[:-1], where=steps > 0, initial=0.0))
        known = np.histogram(seen, self.edges)[0] / len(seen)
        return (
            wasserstein,
            outside(self.chunk, known),
            psi(self.expected, self.binned(seen, self.cuts)),
            kolmogorov(largest, len(self.rows), len(seen)),
        )


def kolmogorov(largest: float, many: int, few: int) -> float:
    """The p value of scipy's `ks_2samp(…, method="asymp")`: the law of many rows, with the first correction
    for few.

    Within 0.2% of it where 0.05 is decided, and without the sums that take longest of all.
    """
    root = (many * few / (many + few)) ** 0.5
    return float(special.kolmogorov(root * largest + 1 / (6 * root)))


class Category:
    """The same of a category, given as numbers of its ``levels``."""

    def __init__(self, rows: np.ndarray, history: Sequence[np.ndarray], levels: int) -> None:
        self.levels = levels
        self.counts = np.bincount(present(rows), minlength=levels)
        everything = np.bincount(present(np.concatenate(history)), minlength=levels)
        self.known = everything > 0
        self.chunk = everything[self.known] / everything.sum()

    def statistics(self, values: np.ndarray) -> tuple[float, float, float, float]:
        counts = np.bincount(present(values), minlength=self.levels)
        if not counts.sum():
            return (np.nan,) * 4
        expected, seen = self.counts / self.counts.sum(), counts / counts.sum()
        return (
            float(jensenshannon(expected, seen)),
            outside(self.chunk, seen[self.known]),
            psi(expected, seen),
            chi_squared(self.counts, counts),
        )


def chi_squared(one: np.ndarray, other: np.ndarray) -> float:
    """The p value of scipy's `chi2_contingency`, with its correction for two levels."""
    table = np.stack([one, other])[:, one + other > 0].astype(float)
    freedom = table.shape[1] - 1
    if not freedom:
        return 1.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    away = np.abs(table - expected)
    if freedom == 1:
        away -= np.minimum(0.5, away)
    return float(special.chdtrc(freedom, np.sum(away**2 / expected)))


def limit(judge: Numeric | Category, history: Sequence[np.ndarray]) -> float:
    """NannyML's upper threshold of a column: mean and three standard deviations of its reference's chunks."""
    chunks = np.array([judge.statistics(values)[STATISTICS.index("nannyml")] for values in history])
    return float(np.nanmean(chunks) + 3 * np.nanstd(chunks))


def holm(p: np.ndarray, level: float = 0.05) -> np.ndarray:
    """Which columns of [days, columns] a day's Holm procedure rejects."""
    order = np.argsort(p, axis=1)
    small = np.take_along_axis(p, order, 1) <= level / np.arange(p.shape[1], 0, -1)
    rejected = np.zeros(p.shape, bool)
    np.put_along_axis(rejected, order, np.logical_and.accumulate(small, axis=1), 1)
    return rejected


EVIDENTLY, HALF, NANNYML, PSI = (
    "Evidently, any column",
    "Evidently, half of the columns",
    "NannyML, daily chunks",
    "PSI > 0.2",
)
KS, HOLM = "KS and chi², p < 0.05", "KS and chi², Holm"
RULES = (EVIDENTLY, HALF, NANNYML, PSI, KS, HOLM)


def alerts(rule: str, seen: dict[str, np.ndarray], limits: np.ndarray) -> np.ndarray:
    """Which columns of [days, columns] ``rule`` calls drifted; a verdict on the whole table stands in every
    column.

    ``limits`` are NannyML's, a number a column.
    """
    if rule == NANNYML:
        return seen["nannyml"] > limits
    if rule == PSI:
        return seen["psi"] > 0.2
    if rule == KS:
        return seen["p"] < 0.05
    if rule == HOLM:
        return holm(seen["p"])
    drifted = seen["evidently"] >= 0.1
    if rule == HALF:
        return np.broadcast_to(drifted.mean(axis=1, keepdims=True) >= 0.5, drifted.shape)
    return drifted
