"""Does a feature know the answer? Then the model will shine in evaluation and fail on the first real day."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.tree import DecisionTreeRegressor

from ..spec import Task

ROWS = 20_000
"""At most; what determines the target does so on these too."""
TOGETHER = "a sum of features"


def determining(matrix: np.ndarray, names: list[str], truth: np.ndarray, task: Task) -> dict[str, float]:
    """How well each feature alone, and a weighted sum of all, tells the target: R², or AUC, on rows not fitted on.

    ``matrix`` is (n, p), NaN where missing; ``truth`` is (n,). A small tree finds any function of one feature; a linear
    fit finds features that only add up to the target. Returns the share for each name, :data:`TOGETHER` among them.
    """
    chosen = np.random.default_rng(0).permutation(len(truth))[:ROWS]
    fitted, held = chosen[::2], chosen[1::2]
    known = [column[~np.isnan(column)] for column in matrix.T]
    filled = np.where(np.isnan(matrix), [np.median(values) if len(values) else 0.0 for values in known], matrix)
    spread = filled[fitted].std(axis=0)
    scaled = (filled - filled[fitted].mean(axis=0)) / np.where(spread > 0, spread, 1.0)

    def told(values: np.ndarray) -> float:
        if task == "classification":
            return float(roc_auc_score(truth[held], values)) if len(np.unique(truth[held])) == 2 else float("nan")
        return float(r2_score(truth[held], values)) if np.ptp(truth[held]) > 0 else float("nan")

    tree = DecisionTreeRegressor(max_leaf_nodes=256, min_samples_leaf=10, random_state=0)
    alone = {
        name: told(tree.fit(matrix[fitted, i : i + 1], truth[fitted]).predict(matrix[held, i : i + 1]))
        for i, name in enumerate(names)
        if spread[i] > 0
    }
    linear = Ridge(alpha=1e-6).fit(scaled[fitted], truth[fitted])
    return alone | {TOGETHER: told(linear.predict(scaled[held]))}
