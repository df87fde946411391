"""Is the challenger worse than the champion on the same rows? The rule, as pure functions of per-row scores.

A fixed tolerance on two numbers cannot tell a regression from luck: a point of accuracy on 200 rows blocks 13% of good
models and misses 37% of two-point regressions. Here every row is compared with itself, the noise of the mean difference
is known, and a verdict that the rows cannot carry is refused with the number of rows that could.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.stats import norm, rankdata

from ..spec import Task

Z95 = 1.645
"""One-sided 95%: an equal model falls below it once in twenty times, and one worse by the tolerance passes as often."""
BOTH = 3.3
"""``2 · 1.645``: with this many standard errors between 0 and the tolerance, an equal model passes with 95%, and one
that is worse by the tolerance is blocked with 95%."""
ENOUGH = 300
"""Rows from which a slice is judged; a smaller one is only reported: its standard error exceeds what would matter."""
METRICS: dict[Task, tuple[str, ...]] = {"regression": ("mae", "mse"), "classification": ("log_loss", "accuracy", "auc")}


class Verdict(StrEnum):
    """What a comparison says."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Difference:
    """Challenger minus champion, higher is better, in the metric's unit.

    ``sd`` is that of one row's contribution; ``skew`` is the skewness of ``mean``, one row's over the root of rows.
    """

    mean: float
    error: float
    sd: float
    rows: int
    skew: float = 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """90% interval of ``mean``: each end is the one-sided 95% bound that the rule looks at.

        A loss that sits in few rows makes the mean skew, and a sample that happens to miss them looks both better and
        surer. Moving both ends by the first term of the Cornish-Fisher expansion mends that. Without, what loses the
        tolerance in 1% of the rows passes with 6.3 instead of 5.3% (absolute error, 5,000 rows). Johnson, "Modified t
        Tests and Confidence Intervals for Asymmetrical Populations", JASA 73 (1978).
        """
        middle = self.mean + self.skew * (1 + 2 * Z95**2) / 6 * self.error
        return middle - Z95 * self.error, middle + Z95 * self.error


def comparable(metric: str, truth: np.ndarray) -> bool:
    """Whether a difference on these rows has a standard error: from two rows, for AUC from two of each class."""
    smallest = min(np.count_nonzero(truth == 1), np.count_nonzero(truth == 0)) if metric == "auc" else len(truth)
    return bool(smallest >= 2)


def _refuse(metric: str, truth: np.ndarray, *predictions: np.ndarray) -> None:
    """Raise ValueError for what would be nonsense in silence: a NaN that counts as a no, or (n, 1) spread to (n, n)."""
    if not comparable(metric, truth):
        raise ValueError(f"{metric}: {len(truth)} rows are too few, or of one class: ask comparable() first")
    for values in (truth, *predictions):
        if values.shape != truth.shape:
            raise ValueError(f"{metric}: predictions of shape {values.shape} for truth of shape {truth.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{metric}: {np.count_nonzero(~np.isfinite(values))} values are not finite")


def row_scores(metric: str, truth: np.ndarray, predicted: np.ndarray, threshold: float) -> np.ndarray:
    """Score of every row, shape (n,), higher is better: -|e|, -e², the log-likelihood, or a hit (1 or 0)."""
    if metric == "mae":
        return -np.abs(predicted - truth)
    if metric == "mse":
        return -np.square(predicted - truth)
    if metric == "accuracy":
        return ((predicted >= threshold) == (truth == 1)).astype(np.float64)
    if metric == "log_loss":
        tiny = np.finfo(np.float64).eps  # as scikit-learn clips: a certainty that is wrong costs 36, not infinity
        likelihood = np.where(truth == 1, predicted, 1 - predicted)
        return np.log(np.clip(likelihood, tiny, 1.0))
    raise ValueError(f"{metric} is no sum over rows")


def paired(challenger: np.ndarray, champion: np.ndarray) -> Difference:
    """Mean of the row by row difference and its standard error, of scores of shape (n,), n > 1."""
    each = challenger - champion
    sd, rows = float(np.std(each, ddof=1)), len(each)
    error = sd / math.sqrt(rows)
    return Difference(float(np.mean(each)), error, sd, rows, skewness(error, each))


def skewness(error: float, *parts: np.ndarray) -> float:
    """Skewness of a sum of independent means, from their rows and the sum's standard error."""
    third = sum(float(np.mean((part - part.mean()) ** 3)) / len(part) ** 2 for part in parts)
    return third / error**3 if error else 0.0


def placements(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """AUC, and for every yes the share of noes below it, for every no the share of yeses above it; ties count half.

    By mid-ranks, in O(n log n): Sun and Xu, "Fast Implementation of DeLong's Algorithm", IEEE Signal Processing
    Letters 21 (2014).
    """
    yes, no = predicted[truth == 1], predicted[truth == 0]
    ranks = rankdata(np.concatenate([yes, no]))
    of_yes = (ranks[: len(yes)] - rankdata(yes)) / len(no)
    of_no = 1 - (ranks[len(yes) :] - rankdata(no)) / len(yes)
    return float(of_yes.mean()), of_yes, of_no


def delong(truth: np.ndarray, challenger: np.ndarray, champion: np.ndarray) -> Difference:
    """Difference of two AUCs on the same rows and its standard error, from probabilities of shape (n,).

    DeLong, DeLong and Clarke-Pearson, "Comparing the Areas under Two or More Correlated Receiver Operating
    Characteristic Curves", Biometrics 44 (1988). ``truth`` is 0 or 1 and has at least two of each.
    """
    first, first_yes, first_no = placements(truth, challenger)
    second, second_yes, second_no = placements(truth, champion)
    yes, no = first_yes - second_yes, first_no - second_no
    error, rows = math.sqrt(np.var(yes, ddof=1) / len(yes) + np.var(no, ddof=1) / len(no)), len(truth)
    return Difference(first - second, error, error * math.sqrt(rows), rows, skewness(error, yes, no))


def compare(
    metric: str, truth: np.ndarray, challenger: np.ndarray, champion: np.ndarray, threshold: float
) -> Difference:
    """Challenger minus champion in ``metric``, from predictions of shape (n,).

    Raises ValueError for values that are not finite and for rows that are not ``comparable``.
    """
    _refuse(metric, truth, challenger, champion)
    if metric == "auc":
        return delong(truth, challenger, champion)
    return paired(row_scores(metric, truth, challenger, threshold), row_scores(metric, truth, champion, threshold))


def judge(difference: Difference, tolerance: float) -> Verdict:
    """PASS when a loss beyond ``tolerance``, above 0, is ruled out, FAIL when a loss is certain, else INCONCLUSIVE."""
    low, high = difference.interval
    if low > -tolerance:
        return Verdict.PASS
    return Verdict.FAIL if high < 0 else Verdict.INCONCLUSIVE


def rows_needed(difference: Difference, tolerance: float) -> int:
    """Rows with which an equal challenger would pass with 95%: ``(3.3 · sd / tolerance)²``."""
    return math.ceil((BOTH * difference.sd / tolerance) ** 2)


def slice_is_worse(difference: Difference, slices: int, material: float) -> bool:
    """Whether a slice blocks: surely worse though ``slices`` were looked at (Bonferroni), and by more than a little."""
    z = float(norm.ppf(1 - 0.05 / slices))
    return difference.mean + z * difference.error < 0 and difference.mean < -material


def skill(
    metric: str, truth: np.ndarray, predicted: np.ndarray, naive: np.ndarray, threshold: float, floor: float
) -> tuple[float, float]:
    """How much of the naive baseline's loss is gone, and the one-sided 95% margin by which that exceeds ``floor``.

    The loss of AUC is ``1 - AUC``, of accuracy the share of misses, and the others are losses themselves. A positive
    margin says that the skill is above the floor for certain. A baseline without loss leaves no skill to have: 0.
    Raises ValueError as ``compare`` does.
    """
    _refuse(metric, truth, predicted, naive)
    if metric == "auc":
        above = delong(truth, predicted, naive)
        naive_loss = 1 - placements(truth, naive)[0]
        return above.mean / naive_loss if naive_loss else 0.0, above.mean - floor * naive_loss - Z95 * above.error
    loss: Callable[[np.ndarray], np.ndarray] = lambda values: (  # noqa: E731 - one line, used twice
        (1.0 if metric == "accuracy" else 0.0) - row_scores(metric, truth, values, threshold)
    )
    model, baseline = loss(predicted), loss(naive)
    excess = (1 - floor) * baseline - model
    margin = float(excess.mean() - Z95 * excess.std(ddof=1) / math.sqrt(len(excess)))
    return (1 - float(model.mean() / baseline.mean()) if baseline.any() else 0.0), margin
