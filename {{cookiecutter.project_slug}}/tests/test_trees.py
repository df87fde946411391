"""Requests take shorter ways through boosted trees, to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor

from {{cookiecutter.package_name}}.model import masks, trees
from {{cookiecutter.package_name}}.model.grid import CELLS, Grid

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
    assert trees._joined(estimator) is not None and masks.masked(estimator) is not None
    own = (lambda matrix: estimator.predict_proba(matrix)[:, 1]) if yes else estimator.predict
    predict = trees.shortened(estimator, own)
    for size in (1, trees.FEW, trees.FEW + 1, 7, len(asked)):
        found = np.concatenate([predict(asked[i : i + size]) for i in range(0, len(asked), size)])
        assert same(found, wanted), size


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    return np.array_equal(found.view(np.int64), wanted.view(np.int64))


@pytest.mark.slow
# each example is a model that is fitted: the first that fails is told as it is
@settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    seed=st.integers(0, 2**32 - 1),
    trees_=st.sampled_from([1, 2, 40, 130]),
    leaves=st.sampled_from([2, 3, 31, 32, 33, 64]),
    levels=st.sampled_from([2, 5, 1000]),
    missing=st.sampled_from([0.0, 0.3]),
    rows=st.sampled_from([0, 1, 2, 5, 196, 197, 198, 641, 1000]),
)
def test_leaf_masks_are_the_walk_through_any_trees(
    seed: int, trees_: int, leaves: int, levels: int, missing: float, rows: int
) -> None:
    """Values fall on thresholds, beyond them, and are missing in training, in the request, in both or in neither."""
    rng = np.random.default_rng(seed)

    def drawn(count: int) -> np.ndarray:
        values = np.round(rng.normal(size=(count, 5)) * levels) / levels
        values[rng.random(values.shape) < missing] = np.nan
        return values

    training = drawn(400)
    estimator = HistGradientBoostingRegressor(
        max_iter=trees_, max_leaf_nodes=leaves, min_samples_leaf=1, early_stopping=False, random_state=0
    ).fit(training, np.nan_to_num(training) @ rng.normal(size=5) + rng.random(400))
    asked = drawn(rows)
    cuts = np.concatenate([tree.nodes["num_threshold"] for (tree,) in estimator._predictors])
    odd = [*rng.choice(cuts, 8), *np.nextafter(cuts[:4], np.inf), np.inf, -np.inf, np.nan, 0.0, -0.0, 1e308, 5e-324]
    some = rng.random(asked.shape) < 0.2
    asked[some] = rng.choice(odd, int(some.sum()))
    many = masks.masked(estimator)
    assert many is not None
    assert same(many(asked), estimator.predict(asked) if rows else np.empty(0))
    assert same(many(np.asfortranarray(asked)), many(asked))


ANY = st.floats(allow_infinity=False, allow_nan=False) | st.integers(-3, 3).map(float)
COLUMN = st.tuples(
    st.lists(ANY, max_size=40),
    st.sampled_from([1.0, 1e-3, 1 / (3 * CELLS), 1e-300, 1e300]),
    st.sampled_from([0.0, 1e9]),
)


@settings(deadline=None)
@given(columns=st.lists(COLUMN, max_size=4), asked=st.lists(ANY, max_size=40), seed=st.integers(0, 2**32 - 1))
def test_a_grid_finds_the_places_that_searchsorted_finds(
    columns: list[tuple[list[float], float, float]], asked: list[float], seed: int
) -> None:
    """Thresholds close together, far apart, and so many in a cell that it takes several steps."""
    cuts = {}
    for number, (values, scale, shift) in enumerate(columns):
        with np.errstate(over="ignore"):
            moved = np.array(values, dtype=np.float64) * scale + shift
        cuts[2 * number + 1] = np.unique(np.append(moved[np.isfinite(moved)], np.inf))
    odd = [np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324]
    near = [other for of in cuts.values() for cut in of for other in (cut, np.nextafter(cut, -np.inf))]
    some = np.random.default_rng(seed).choice([*asked, *odd, *near], (50, 2 * len(columns) + 1))
    grid = Grid(cuts)
    places = grid.places(some)
    assert places.shape == (len(cuts), 50)
    for found, (number, of) in zip(places, cuts.items(), strict=True):
        assert (found - grid.starts[number]).tolist() == of.searchsorted(some[:, number]).tolist()


@pytest.mark.parametrize(
    ("many", "leaves", "bytes_"), [(True, 64, masks.MOST_BYTES), (False, 65, masks.MOST_BYTES), (False, 64, 10_000)]
)
def test_trees_of_more_leaves_than_bits_or_with_large_tables_are_walked(
    many: bool, leaves: int, bytes_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masks, "MOST_BYTES", bytes_)
    estimator = HistGradientBoostingRegressor(max_iter=10, max_leaf_nodes=leaves, min_samples_leaf=1)
    estimator.fit(TRAINING, VALUES)
    assert (masks.masked(estimator) is not None) is many
    calls: list[int] = []

    def own(matrix: np.ndarray) -> np.ndarray:
        calls.append(len(matrix))
        return estimator.predict(matrix)

    predict = trees.shortened(estimator, own)
    for size in (1, trees.SMALL, trees.SMALL + 1, 500):
        assert same(predict(TRAINING[:size]), estimator.predict(TRAINING[:size]))
    assert calls == ([] if many else [trees.SMALL + 1, 500])


def test_columns_that_the_estimator_encodes_are_left_to_it() -> None:
    estimator = HistGradientBoostingRegressor(max_iter=5, categorical_features=MASK).fit(TRAINING, VALUES)
    assert trees._joined(estimator) is None and masks.masked(estimator) is None
    assert trees.shortened(estimator, estimator.predict) == estimator.predict


def test_splits_by_category_have_no_masks() -> None:
    estimator = HistGradientBoostingRegressor(max_iter=5).fit(TRAINING, VALUES)
    for (tree,) in estimator._predictors:
        tree.nodes["is_categorical"][0] = 1
    assert masks.masked(estimator) is None


def test_more_than_two_classes_are_left_to_the_estimator() -> None:
    estimator = HistGradientBoostingClassifier(max_iter=5).fit(TRAINING, np.digitize(VALUES, [-1.0, 1.0]))
    assert trees.shortened(estimator, estimator.predict_proba) == estimator.predict_proba


@pytest.mark.parametrize("name", ["_predictors", "_preprocessor", "_baseline_prediction", "_loss"])
def test_another_scikit_learn_inside_is_left_to_the_estimator(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = HistGradientBoostingRegressor(max_iter=5).fit(TRAINING, VALUES)
    monkeypatch.delattr(estimator, name)
    assert trees.shortened(estimator, estimator.predict) == estimator.predict


def test_what_only_one_of_the_ways_needs_does_not_cost_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = HistGradientBoostingRegressor(max_iter=5).fit(TRAINING, VALUES)
    wanted = estimator.predict(TRAINING)
    monkeypatch.delattr(estimator, "_bin_mapper")  # the walk's, for categories; the estimator's own needs it too
    predict = trees.shortened(estimator, estimator.predict)
    assert same(predict(TRAINING), wanted)


def test_any_other_estimator_answers_itself() -> None:
    forest = RandomForestRegressor(n_estimators=3).fit(TRAINING, VALUES)
    assert trees.shortened(forest, forest.predict) == forest.predict
