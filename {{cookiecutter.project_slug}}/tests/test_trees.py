"""Small requests take a shorter way through boosted trees, to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor

from {{cookiecutter.package_name}}.model import trees

NUMBERS, LEVELS = 4, (6, 3)
MASK = [False] * NUMBERS + [True] * len(LEVELS)


def matrix(rows: int, seed: int, missing: float = 0.1) -> np.ndarray:
    """Numbers, then category codes, with some of everything missing."""
    rng = np.random.default_rng(seed)
    made = np.column_stack([rng.normal(size=(rows, NUMBERS)), *(rng.integers(0, n, rows) for n in LEVELS)])
    made[rng.random(made.shape) < missing] = np.nan
    return made


TRAINING = matrix(600, seed=0)
VALUES = np.nan_to_num(TRAINING) @ [1.0, -2.0, 0.5, 0.0, 0.7, -1.1] + np.sin(3 * np.nan_to_num(TRAINING[:, 0]))
BOOSTED: dict[str, Any] = {
    "plain": HistGradientBoostingRegressor(max_iter=30),
    "one tree": HistGradientBoostingRegressor(max_iter=1),
    "stumps of nothing": HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=1000),
    "a link": HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
    "early stopping": HistGradientBoostingRegressor(max_iter=50, early_stopping=True),
    "classifier": HistGradientBoostingClassifier(max_iter=30),
}


@pytest.mark.parametrize("name", BOOSTED)
def test_boosted_trees_give_the_same_bits(name: str) -> None:
    estimator = BOOSTED[name]
    yes = isinstance(estimator, HistGradientBoostingClassifier)
    estimator.fit(TRAINING, VALUES > 0 if yes else np.abs(VALUES))
    asked = np.vstack([matrix(90, seed=1), matrix(30, seed=2, missing=0.9), np.full((1, 6), np.nan)])
    asked[:5, :NUMBERS] *= 1e300
    wanted = estimator.predict_proba(asked)[:, 1] if yes else estimator.predict(asked)
    assert trees._joined(estimator) is not None
    own = (lambda matrix: estimator.predict_proba(matrix)[:, 1]) if yes else estimator.predict
    predict = trees.joined(estimator, own)
    for size in (1, 7, trees.SMALL, len(asked)):
        found = np.concatenate([predict(asked[i : i + size]) for i in range(0, len(asked), size)])
        assert np.array_equal(found.view(np.int64), wanted.view(np.int64)), size


def test_columns_that_the_estimator_encodes_are_left_to_it() -> None:
    estimator = HistGradientBoostingRegressor(max_iter=5, categorical_features=MASK).fit(TRAINING, VALUES)
    assert trees._joined(estimator) is None
    assert np.array_equal(trees.joined(estimator, estimator.predict)(TRAINING[:3]), estimator.predict(TRAINING[:3]))


def test_another_scikit_learn_inside_is_left_to_the_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = HistGradientBoostingRegressor(max_iter=5).fit(TRAINING, VALUES)
    monkeypatch.delattr(estimator, "_bin_mapper")
    assert trees.joined(estimator, estimator.predict) == estimator.predict


def test_any_other_estimator_answers_itself() -> None:
    forest = RandomForestRegressor(n_estimators=3).fit(TRAINING, VALUES)
    assert trees.joined(forest, forest.predict) == forest.predict
