"""Boosted trees for many rows: no walk through them, but a table of the leaves that each value leaves over.

A walk is a branch that a CPU guesses wrong every other time. Here (Lucchese et al., QuickScorer, SIGIR 2015) the leaves
of a tree are bits, from left to right; a node that sends a row to the right strikes out the leaves on its left, and the
leaf that the walk would end at is the first that nobody strikes out. What all nodes of a feature strike out depends
only on the feature's place among their thresholds: a row of a table. So 1,000 rows of 100 trees are a few dozen
operations of numpy, 0.5 ms instead of 4, with the terms added in scikit-learn's order: to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from .grid import Grid

Predict = Callable[[np.ndarray], np.ndarray]
"""Matrix (n, p) to values (n,): predictions, or probabilities of yes."""

MOST_LEAVES, MOST_BYTES = 64, 32 * 2**20
"""Leaves of a tree, the bits of the widest integer; bytes of all tables (0.4 MB for 100 trees of 31 leaves)."""
AT_ONCE = 25_600
"""Trees times rows of a chunk: what it needs, 25 bytes each, stays in a CPU's second cache."""


def masked(estimator: Any) -> Predict | None:
    """Predictions by leaf masks; None for trees with more leaves, categorical splits, or tables that grow too large.

    ``estimator`` is a boosting model of scikit-learn. Raises AttributeError, KeyError, TypeError or ValueError where
    it looks different inside.
    """
    if estimator._preprocessor is not None:
        return None
    trees = [tree.nodes for (tree,) in estimator._predictors]
    leaves = [_leaves(nodes) for nodes in trees]
    most = max(len(order) for order, _ in leaves)
    if most > MOST_LEAVES or any(nodes["is_categorical"].any() for nodes in trees):
        return None
    word = np.dtype(np.uint32 if most <= 32 else np.uint64)
    thresholds = _thresholds(trees, estimator.n_features_in_)
    grid = Grid(thresholds)
    if grid.size * len(trees) * word.itemsize > MOST_BYTES:
        return None
    table = _table(trees, leaves, thresholds, grid, word)
    values = np.zeros((len(trees), most))
    for number, (order, _) in enumerate(leaves):
        values[number, : len(order)] = trees[number]["value"][order]
    values = values.ravel()
    starts = np.arange(len(trees), dtype=np.intp)[:, None] * most - 1  # a bit's number is counted from 1
    baseline = float(estimator._baseline_prediction.item())
    inverse_link = estimator._loss.link.inverse
    chunk = max(AT_ONCE // len(trees), 16)

    def predict(matrix: np.ndarray) -> np.ndarray:
        rows = len(matrix)
        places = grid.places(matrix)
        parts = max(-(-rows // chunk), 1)
        ends = [rows * part // parts for part in range(parts + 1)]  # of about the same size, none of one row alone
        most_rows = -(-rows // parts)
        left = np.empty((most_rows, len(trees)), dtype=word)
        mask = np.empty_like(left)
        first = np.empty(left.shape, dtype=np.uint8)
        found = np.empty((len(trees), most_rows), dtype=np.intp)
        terms = np.empty((len(trees) + 1, most_rows))
        raw = np.empty(rows)
        for at, to in pairwise(ends):
            size = to - at
            some, other = left[:size], mask[:size]
            some.fill(word.type(2**most - 1))
            for place in places:
                table.take(place[at:to], axis=0, out=other, mode="clip")
                np.bitwise_and(some, other, out=some)
            np.bitwise_xor(some, np.subtract(some, 1, out=other), out=other)
            bits = np.bitwise_count(other, out=first[:size])
            leaf = np.add(bits.T, starts, out=found[:, :size])
            sums = terms[:, :size]
            sums[0] = baseline
            values.take(leaf, out=sums[1:], mode="clip")
            # over the first axis numpy adds one after the other, as boosting does; a single column it adds pairwise
            raw[at:to] = sums.sum(axis=0) if size > 1 else np.add.accumulate(sums)[-1]
        return inverse_link(raw)

    return predict


Leaves = tuple[list[int], dict[int, int]]
"""A tree's leaves from left to right, and for every inner node the bits of the leaves on its left."""


def _leaves(nodes: np.ndarray) -> Leaves:
    is_leaf, left, right = (nodes[name].tolist() for name in ("is_leaf", "left", "right"))
    order: list[int] = []
    lefts: dict[int, int] = {}

    def walk(node: int) -> None:
        if is_leaf[node]:
            order.append(node)
            return
        before = len(order)
        walk(left[node])
        lefts[node] = (1 << len(order)) - (1 << before)
        walk(right[node])

    walk(0)
    return order, lefts


def _thresholds(trees: list[np.ndarray], features: int) -> dict[int, np.ndarray]:
    """What each feature is compared with, ascending, and infinity: only a missing value stands behind that."""
    inner = np.concatenate([nodes[nodes["is_leaf"] == 0] for nodes in trees])
    cuts = {feature: inner["num_threshold"][inner["feature_idx"] == feature] for feature in range(features)}
    return {feature: np.unique(np.append(of, np.inf)) for feature, of in cuts.items() if len(of)}


def _table(
    trees: list[np.ndarray], leaves: list[Leaves], thresholds: dict[int, np.ndarray], grid: Grid, word: np.dtype[Any]
) -> np.ndarray:
    """For each place in ``grid`` and each tree, (places, trees): the leaves that are left over."""
    full = (1 << 8 * word.itemsize) - 1
    table = np.full((grid.size, len(trees)), full, word)
    for number, (nodes, (_, lefts)) in enumerate(zip(trees, leaves, strict=True)):
        asked, cuts, lenient = (nodes[of].tolist() for of in ("feature_idx", "num_threshold", "missing_go_to_left"))
        for node, bits in lefts.items():
            start, among, kept = grid.starts[asked[node]], thresholds[asked[node]], word.type(full ^ bits)
            missing = start + len(among)
            table[start + among.searchsorted(cuts[node]) + 1 : missing, number] &= kept
            if not lenient[node]:
                table[missing, number] &= kept
    return table
