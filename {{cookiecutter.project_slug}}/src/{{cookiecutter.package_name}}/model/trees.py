"""Boosted trees by a shorter way than the estimator's own: leaf masks for many rows, one joined tree for few.

One row of 100 trees costs 500 us in scikit-learn's Python loop over the trees, of which the compiled walk takes 10.
Joined, they are one tree, whose first levels ask for the number of the tree, and one call. Both ways add in
scikit-learn's order and give the same bits; training scores in bulk through the estimator itself, so a proof holds
them against that one.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from .masks import Predict, masked

FEW, SMALL = 3, 32
"""Rows up to which the joined tree is quicker than leaf masks, and than the estimator's own loop. One row takes 11 us
joined and 20 by masks, 32 rows 170 and 40."""


def shortened(estimator: Any, own: Predict) -> Predict:
    """``own``, the estimator's way to its answers, or shorter ones for as many rows as they are shorter for."""
    if type(estimator) not in (HistGradientBoostingRegressor, HistGradientBoostingClassifier):
        return own
    few = many = None
    with suppress(AttributeError, ImportError, KeyError, TypeError, ValueError):
        few = _joined(estimator)  # or another scikit-learn, with other names inside
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        many = masked(estimator)
    if few is None and many is None:
        return own
    small, large, most = few or many or own, many or own, SMALL if many is None else FEW
    return lambda matrix: small(matrix) if len(matrix) <= most else large(matrix)


def _joined(estimator: Any) -> Predict | None:
    """All trees of a boosting model in one; None where it encodes its columns itself before it walks the trees."""
    from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

    if estimator._preprocessor is not None:
        return None
    trees = [tree for (tree,) in estimator._predictors]
    width, count = estimator.n_features_in_, len(trees)
    nodes = _with_routing(trees, width)
    left = np.concatenate([tree.raw_left_cat_bitsets for tree in trees])
    known, positions = estimator._bin_mapper.make_known_categories_bitsets()
    positions = np.append(positions, positions.dtype.type(0))
    baseline = float(estimator._baseline_prediction.item())
    inverse_link = estimator._loss.link.inverse
    numbers = np.arange(count, dtype=np.float64)

    def predict(matrix: np.ndarray) -> np.ndarray:
        rows = len(matrix)
        asked = np.empty((rows, count, width + 1))
        asked[:, :, :width] = matrix[:, None, :]
        asked[:, :, width] = numbers
        leaves = np.empty(rows * count)
        _predict_from_raw_data(nodes, asked.reshape(-1, width + 1), left, known, positions, 1, leaves)
        terms = np.empty((rows, count + 1))
        terms[:, 0] = baseline
        terms[:, 1:] = leaves.reshape(rows, count)
        # one after the other, as boosting adds; sum() adds pairwise, which changes the last bits
        return inverse_link(np.add.accumulate(terms, axis=1)[:, -1])

    return predict


def _with_routing(trees: list[Any], column: int) -> np.ndarray:
    """The nodes of all trees behind a balanced search for the tree's number, which stands in ``column``."""
    first = len(trees) - 1
    starts = first + np.cumsum([0] + [len(tree.nodes) for tree in trees[:-1]])
    routing = np.zeros(first, dtype=trees[0].nodes.dtype)
    free = iter(range(first))

    def route(low: int, high: int) -> int:
        if high - low == 1:
            return int(starts[low])
        here, middle = next(free), (low + high) // 2
        routing["feature_idx"][here], routing["num_threshold"][here] = column, middle - 0.5
        routing["left"][here] = route(low, middle)
        routing["right"][here] = route(middle, high)
        return here

    route(0, len(trees))
    parts, bitsets = [routing], 0
    for start, tree in zip(starts, trees, strict=True):
        nodes = tree.nodes.copy()
        nodes["left"] += int(start)
        nodes["right"] += int(start)
        nodes["bitset_idx"] += bitsets
        bitsets += len(tree.raw_left_cat_bitsets)
        parts.append(nodes)
    return np.concatenate(parts)
