"""Boosted trees for small requests: scikit-learn's own compiled walk, called once instead of once a tree.

One row of 100 trees costs 500 us in scikit-learn's Python loop over the trees, of which the walk takes 10. Here they
are joined into one tree, whose first levels ask for the number of the tree. It adds in scikit-learn's order and gives
the same bits; training scores in bulk through the estimator itself, so a proof holds this way against that one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

Predict = Callable[[np.ndarray], np.ndarray]
"""Matrix (n, p) to values (n,): predictions, or probabilities of yes."""

SMALL = 32
"""Rows up to which the joined tree is several times faster; at 200 the estimator's own loop is."""


def joined(estimator: Any, own: Predict) -> Predict:
    """``own``, the estimator's way to its answers, with a shorter one for small matrices where that is exact."""
    if type(estimator) not in (HistGradientBoostingRegressor, HistGradientBoostingClassifier):
        return own
    try:
        small = _joined(estimator)
    except (AttributeError, ImportError, KeyError, TypeError, ValueError):
        return own  # another scikit-learn, with other names inside
    return own if small is None else lambda matrix: small(matrix) if len(matrix) <= SMALL else own(matrix)


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
