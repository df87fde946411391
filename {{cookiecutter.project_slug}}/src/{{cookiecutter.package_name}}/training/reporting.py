"""A trained folder judged again on a frozen dataset: metrics, slices and small tables to plot, the same each time.

What git can hold and compare between commits: numbers and binned curves, never rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from .. import files
from ..config import ModelConfig, recorded
from ..contract import CONTRACT
from ..data import dataset
from ..errors import Exit, ProjectError
from ..model import artefact
from ..model.batch import from_frame
from ..paths import Paths
from . import evaluate
from .evaluate import naive, truth_of

METRICS, SLICES, CALIBRATION, RESIDUALS, ROC = (
    "metrics.json",
    "slices.csv",
    "calibration.csv",
    "residuals.csv",
    "roc.csv",
)
BINS, BARS, POINTS = 10, 40, 100
"""Rows of the calibration, of the residuals, and of the ROC curve at most."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Judged:
    """What a version says of a dataset's evaluation rows. ``metrics`` has each interval as ``_low`` and ``_high``."""

    config: ModelConfig
    rows: int
    first: str
    last: str
    metrics: dict[str, float]
    slices: Rows
    tables: dict[str, Rows]


def judge(folder: Path, frozen: Path, paths: Paths) -> Judged:
    """Score the evaluation rows of ``frozen`` with the version in ``folder``, loaded as a server would.

    Raises ProjectError when the version is not whole, when the dataset is not for its config or contract, or when it
    was trained on rows that it would be judged by.
    """
    facts = artefact.read(folder)
    config = recorded(facts["config"], str(folder))
    given = dataset.read(frozen, config.data, paths)
    _refuse_others(facts, given, folder, frozen)
    version = artefact.load(folder / artefact.FOLDER, facts)
    rows = given.split("evaluation")
    predicted = version.plain_score(version.matrix(from_frame(version.contract.features, rows)))
    truth = truth_of(rows, CONTRACT.targets[config.target].value, config)
    baseline = naive(rows, config, facts["target_mean"])
    groups = {name: rows[name].to_numpy() for name in config.slices}
    metrics = evaluate.against_baseline(config.task, truth, predicted, baseline, config.threshold)
    for name, (low, high) in evaluate.intervals(config.task, truth, predicted, config.threshold).items():
        metrics |= {f"{name}_low": low, f"{name}_high": high}
    slices = evaluate.by_slice(config.task, truth, predicted, groups, config.threshold)
    tables = {CALIBRATION: calibration(truth, predicted)}
    tables |= {RESIDUALS: residuals(truth, predicted)} if config.task == "regression" else {ROC: roc(truth, predicted)}
    return Judged(config, len(truth), *given.origin["evaluation"], metrics=metrics, slices=slices, tables=tables)


def write(judged: Judged, folder: Path) -> None:
    """Put metrics, slices and tables into ``folder``; what another task left there goes, other files stay."""
    # a metric that is no number has no place in JSON
    files.write_json(folder / METRICS, {key: value for key, value in judged.metrics.items() if value == value})
    named = [{"slice": f"{row['column']} {row['level']}", **row} for row in judged.slices]
    tables = {SLICES: named} | judged.tables
    for name in (SLICES, CALIBRATION, RESIDUALS, ROC):
        if name in tables:
            files.write_bytes(folder / name, _csv(tables[name]))
        else:
            (folder / name).unlink(missing_ok=True)


def calibration(truth: np.ndarray, predicted: np.ndarray) -> Rows:
    """Mean prediction and mean truth in tenths of the rows, from the lowest prediction to the highest."""
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    return [
        {"rows": len(part), "predicted": float(predicted[part].mean()), "actual": float(truth[part].mean())}
        for part in parts
    ]


def residuals(truth: np.ndarray, predicted: np.ndarray) -> Rows:
    """How many rows have which predicted minus actual; the last percent at either end counts in the outermost bars."""
    error = predicted - truth
    low, high = np.quantile(error, [0.01, 0.99])
    counts, edges = np.histogram(np.clip(error, low, high), bins=BARS, range=(low, high))
    return [
        {"residual": float(edges[i] + edges[i + 1]) / 2, "rows": int(count)} for i, count in enumerate(counts.tolist())
    ]


def roc(truth: np.ndarray, predicted: np.ndarray) -> Rows:
    """Share of yes found against share of no mistaken, thinned to equal steps along the curve."""
    wrong, right, _ = roc_curve(truth, predicted)
    kept = np.unique(np.linspace(0, len(wrong) - 1, POINTS).round().astype(int))
    return [{"false_positive_rate": float(wrong[i]), "true_positive_rate": float(right[i])} for i in kept]


def _refuse_others(facts: dict[str, Any], given: dataset.Dataset, folder: Path, frozen: Path) -> None:
    origin = given.origin
    contracts = {facts["contract_version"], origin["contract_version"], CONTRACT.version}
    if len(contracts) > 1:
        raise ProjectError(
            f"{folder} was trained under contract {facts['contract_version']}, {frozen} was frozen under "
            f"{origin['contract_version']}, contract.py is at {CONTRACT.version}",
            hint="freeze and train again: dvc repro",
            exit=Exit.REFUSED,
        )
    trained_until, judged_from = facts["window"]["train"][1], origin["evaluation"][0]
    if date.fromisoformat(judged_from) <= date.fromisoformat(trained_until):
        raise ProjectError(
            f"{folder} was trained on days until {trained_until}, and {frozen} would judge it from {judged_from} on",
            hint="judge it by the dataset it was trained on, or by a newer one",
        )


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Six digits: enough to plot, and the last bits of another CPU are no change. What is undefined is empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue().encode()
