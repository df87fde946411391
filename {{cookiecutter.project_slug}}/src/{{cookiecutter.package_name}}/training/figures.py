"""The pictures a person looks at before promoting, as matplotlib figures that do not depend on a display."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.calibration import CalibrationDisplay
from sklearn.inspection import permutation_importance
from sklearn.metrics import PredictionErrorDisplay, RocCurveDisplay

from ..spec import TargetSpec
from .evaluate import levels

SHOWN = 3_000
"""Points in a scatter plot; more would be one blot."""
IMPORTANCE_ROWS = 2_000


def _axes(title: str, width: float = 6, height: float = 5) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _label(target: TargetSpec) -> str:
    return target.name + (f" [{target.unit}]" if target.unit else "")


def predicted_against_actual(
    target: TargetSpec, truth: np.ndarray, predicted: np.ndarray, rng: np.random.Generator
) -> Figure:
    figure, axes = _axes("Predicted against actual")
    shown = rng.permutation(len(truth))[:SHOWN]
    PredictionErrorDisplay(y_true=truth[shown], y_pred=predicted[shown]).plot(
        ax=axes, kind="actual_vs_predicted", scatter_kwargs={"s": 6, "alpha": 0.3}
    )
    axes.set_xlabel(f"predicted {_label(target)}")
    axes.set_ylabel(f"actual {_label(target)}")
    return figure


def residuals_by_slice(
    target: TargetSpec, truth: np.ndarray, predicted: np.ndarray, column: str, values: np.ndarray
) -> Figure:
    """Box plot of predicted minus actual for each level; whiskers at the 5th and 95th percentile."""
    residual = predicted - truth
    boxes = {level: residual[inside] for _, level, inside in levels({column: values})}
    figure, axes = _axes(f"Residuals by {column}", width=max(6.0, 0.8 * len(boxes)))
    axes.boxplot(list(boxes.values()), whis=(5, 95), showfliers=False, tick_labels=list(boxes))
    axes.axhline(0, color="grey", linewidth=1)
    axes.set_ylabel(f"predicted − actual {_label(target)}")
    axes.tick_params(axis="x", rotation=30)
    return figure


def roc(truth: np.ndarray, predicted: np.ndarray) -> Figure:
    figure, axes = _axes("ROC")
    RocCurveDisplay.from_predictions(truth, predicted, ax=axes, plot_chance_level=True)
    return figure


def calibration(truth: np.ndarray, predicted: np.ndarray) -> Figure:
    figure, axes = _axes("Calibration: of those given p, how many were yes")
    CalibrationDisplay.from_predictions(truth, predicted, n_bins=10, strategy="quantile", ax=axes)
    return figure


def importance(
    estimator: Any, names: list[str], matrix: np.ndarray, truth: np.ndarray, scoring: str, seed: int
) -> tuple[Figure, dict[str, float]]:
    """Permutation importance on at most 2,000 rows: how much worse the score gets when one feature is shuffled."""
    chosen = np.random.default_rng(seed).permutation(len(truth))[:IMPORTANCE_ROWS]
    result: Any = permutation_importance(
        estimator, matrix[chosen], truth[chosen], scoring=scoring, n_repeats=3, random_state=seed
    )
    order = np.argsort(result.importances_mean)
    figure, axes = _axes("Permutation importance", height=max(3.0, 0.35 * len(names)))
    axes.barh([names[i] for i in order], result.importances_mean[order], xerr=result.importances_std[order])
    axes.set_xlabel(f"drop in {scoring} when shuffled")
    return figure, {names[i]: float(result.importances_mean[i]) for i in order[::-1]}


def draw(
    target: TargetSpec, truth: np.ndarray, predicted: np.ndarray, groups: dict[str, np.ndarray], seed: int
) -> dict[str, Callable[[], Figure]]:
    """Every figure that fits the task, by file name; drawn when called."""
    if target.task == "classification":
        return {"roc.png": lambda: roc(truth, predicted), "calibration.png": lambda: calibration(truth, predicted)} | {
            f"residuals_by_{column}.png": lambda c=column, v=values: residuals_by_slice(target, truth, predicted, c, v)
            for column, values in groups.items()
        }
    rng = np.random.default_rng(seed)
    return {"predicted_against_actual.png": lambda: predicted_against_actual(target, truth, predicted, rng)} | {
        f"residuals_by_{column}.png": lambda c=column, v=values: residuals_by_slice(target, truth, predicted, c, v)
        for column, values in groups.items()
    }
