"""Metrics of a model and of the naive baseline on the same rows, overall and by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
from sklearn import metrics

from ..config import ModelConfig
from ..errors import Exit, ProjectError
from ..spec import PRIMARY, Task
from .comparison import Z95, row_scores


def truth_of(frame: pl.DataFrame, value: pl.Expr, config: ModelConfig) -> np.ndarray:
    """The target of labelled rows, shape (n,): float64, or 0 and 1 for classification. Raises ProjectError."""
    truth = frame.select(value.alias("target"))["target"]
    if config.task == "classification":
        classes = truth.n_unique()
        if classes != 2:
            raise ProjectError(
                f"target {config.target}: expected yes and no, found {classes} values", exit=Exit.REFUSED
            )
        return truth.cast(pl.Int64).to_numpy()
    return truth.cast(pl.Float64).to_numpy()


def naive(frame: pl.DataFrame, config: ModelConfig, mean: float) -> np.ndarray:
    """What the baseline answers, float64 (n,)."""
    if config.baseline == "mean":
        return np.full(frame.height, mean)
    return frame[config.baseline].to_numpy().astype(np.float64)


def measure(task: Task, truth: np.ndarray, predicted: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Metrics of predictions of shape (n,): values for regression, probabilities of yes for classification."""
    if task == "regression":
        error = predicted - truth
        varies = len(np.unique(truth)) > 1  # a slice may hold one row, for which R² is not defined
        return {
            "mae": float(metrics.mean_absolute_error(truth, predicted)),
            "rmse": float(metrics.root_mean_squared_error(truth, predicted)),
            "median_abs_error": float(np.median(np.abs(error))),
            "p90_abs_error": float(np.quantile(np.abs(error), 0.9)),
            "bias": float(error.mean()),
        } | ({"r2": float(metrics.r2_score(truth, predicted))} if varies else {})
    both = len(np.unique(truth)) == 2  # a slice may hold one class only, for which AUC is not defined
    return {
        "log_loss": float(metrics.log_loss(truth, predicted, labels=[0, 1])),
        "brier": float(metrics.brier_score_loss(truth, predicted)),
        "accuracy": float(metrics.accuracy_score(truth, predicted >= threshold)),
        "prevalence": float(truth.mean()),
        "bias": float(predicted.mean() - truth.mean()),
    } | ({"auc": float(metrics.roc_auc_score(truth, predicted))} if both else {})


def against_baseline(
    task: Task, truth: np.ndarray, predicted: np.ndarray, naive: np.ndarray, threshold: float
) -> dict[str, float]:
    """``measure`` of the model, the baseline's primary metric, and ``skill = 1 - model / baseline``."""
    model = measure(task, truth, predicted, threshold)
    primary = PRIMARY[task]
    baseline = measure(task, truth, naive, threshold)[primary]
    return model | {
        f"baseline_{primary}": baseline,
        "skill": 1 - model[primary] / baseline if baseline else float("nan"),
    }


def intervals(task: Task, truth: np.ndarray, predicted: np.ndarray, threshold: float) -> dict[str, tuple[float, float]]:
    """90% interval of each metric that is a mean over rows: what the evaluation rows leave open, each taken as one."""
    wanted = ("mae",) if task == "regression" else ("log_loss", "accuracy")
    said = {}
    for metric in wanted:
        scores = row_scores(metric, truth, predicted, threshold)
        loss = scores if metric == "accuracy" else -scores
        error = Z95 * float(loss.std(ddof=1)) / len(loss) ** 0.5 if len(loss) > 1 else float("nan")
        said[metric] = (float(loss.mean()) - error, float(loss.mean()) + error)
    return said


def levels(groups: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Column, level and mask (n,) of every level of every grouping column; the levels of a column in order."""
    for column, values in groups.items():
        names = np.array([str(value) for value in values])
        for level in np.unique(names):
            yield column, str(level), names == level


def by_slice(
    task: Task, truth: np.ndarray, predicted: np.ndarray, groups: dict[str, np.ndarray], threshold: float
) -> list[dict[str, str | float]]:
    """``measure`` for every level of every grouping column, largest slice first."""
    rows: list[dict[str, str | float]] = []
    for column, level, inside in levels(groups):
        measured = measure(task, truth[inside], predicted[inside], threshold)
        rows.append({"column": column, "level": level, "rows": int(inside.sum()), **measured})
    return sorted(rows, key=lambda row: (str(row["column"]), -float(row["rows"])))
