"""Metrics against numbers worked out by hand, the baseline's among them."""

from __future__ import annotations

import numpy as np
import pytest

from {{cookiecutter.package_name}}.training import evaluate

TRUTH = np.array([10.0, 20.0, 30.0, 40.0])
PREDICTED = np.array([12.0, 20.0, 27.0, 41.0])


def test_regression_by_hand() -> None:
    said = evaluate.measure("regression", TRUTH, PREDICTED)
    assert said["mae"] == pytest.approx((2 + 0 + 3 + 1) / 4)
    assert said["rmse"] == pytest.approx(np.sqrt((4 + 0 + 9 + 1) / 4))
    assert said["r2"] == pytest.approx(1 - 14 / 500)
    assert said["bias"] == pytest.approx((2 + 0 - 3 + 1) / 4)
    assert said["median_abs_error"] == pytest.approx(1.5)


def test_classification_by_hand() -> None:
    truth, predicted = np.array([1, 0, 1, 0]), np.array([0.9, 0.2, 0.4, 0.6])
    said = evaluate.measure("classification", truth, predicted)
    assert said["log_loss"] == pytest.approx(-np.mean(np.log([0.9, 0.8, 0.4, 0.4])))
    assert said["brier"] == pytest.approx(np.mean([0.01, 0.04, 0.36, 0.36]))
    assert (
        said["accuracy"] == 0.5
        and evaluate.measure("classification", truth, predicted, threshold=0.3)["accuracy"] == 0.75
    )
    assert said["auc"] == 0.75, "three of the four pairs are in order"
    assert said["bias"] == pytest.approx(0.525 - 0.5)


def test_skill_is_the_share_of_the_baselines_error_that_is_gone() -> None:
    naive = np.array([14.0, 20.0, 24.0, 38.0])
    said = evaluate.against_baseline("regression", TRUTH, PREDICTED, naive, 0.5)
    assert said["baseline_mae"] == pytest.approx(3.0)
    assert said["skill"] == pytest.approx(1 - 1.5 / 3.0)
    assert evaluate.against_baseline("regression", TRUTH, naive, naive, 0.5)["skill"] == 0
    assert evaluate.against_baseline("regression", TRUTH, naive + 10, naive, 0.5)["skill"] < 0


@pytest.mark.filterwarnings("error")
def test_slices_hold_every_row_once_and_nulls_are_a_slice() -> None:
    depots = np.array(["north", "north", None, "south"], dtype=object)
    said = evaluate.by_slice("regression", TRUTH, PREDICTED, {"depot": depots}, 0.5)
    assert [(row["level"], row["rows"], row["mae"]) for row in said] == [
        ("north", 2, 1.0),
        ("None", 1, 3.0),
        ("south", 1, 1.0),
    ]


@pytest.mark.filterwarnings("error")
def test_a_slice_with_one_class_has_no_auc_and_no_failure() -> None:
    truth, predicted = np.array([1, 1, 0, 1]), np.array([0.9, 0.8, 0.3, 0.6])
    levels = np.array(["a", "a", "b", "b"], dtype=object)
    first, second = evaluate.by_slice("classification", truth, predicted, {"level": levels}, 0.5)
    assert "auc" not in first and second["auc"] == 1.0
