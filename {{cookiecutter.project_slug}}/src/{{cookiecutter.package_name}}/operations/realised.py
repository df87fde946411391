"""What predictions turned out to be worth, once the labels of their day are in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from ..clock import days
from ..config import OperationsConfig, recorded
from ..contract import CONTRACT
from ..data.matured import PREDICTED, TRUTH, matured
from ..data.store import PREDICTIONS, Store
from ..model.version import ModelVersion
from ..spec import PRIMARY, Table
from ..training import evaluate
from ..training.comparison import row_scores

MATURE = 0.95
"""Share of a day's rows with a label from which the day says something about a model."""

FEWEST = 30
"""Rows of a slice on one day below which their mean loss says nothing about the day."""


@dataclass(frozen=True)
class Loss:
    """Mean of the primary metric's loss over a day's rows, its standard deviation from row to row, and their number.

    ``slice`` is ``depot=north``, or None for all rows."""

    slice: str | None
    mean: float
    sd: float
    rows: int


@dataclass(frozen=True)
class Realised:
    """A matured day: how many rows have a label, and the primary metric of what was predicted for them."""

    day: date
    rows: int
    labelled: int
    version: str | None = None
    metric: str | None = None
    value: float | None = None
    baseline: float | None = None
    skill: float | None = None
    losses: tuple[Loss, ...] = ()
    lacking: tuple[date, ...] = ()
    """Days whose labels were never ingested, of those that could hold some."""

    @property
    def mature(self) -> bool:
        return self.labelled >= MATURE * self.rows

    def as_facts(self) -> dict[str, Any]:
        share = self.labelled / self.rows if self.rows else 0.0
        facts = {"day": self.day.isoformat(), "rows": self.rows, "labelled": round(share, 4)}
        if self.metric is None:
            return facts
        figures = {"value": self.value, "baseline": self.baseline, "skill": self.skill}
        return facts | {"metric": self.metric, "model_version": self.version} | figures

    def __str__(self) -> str:
        share = f"{self.day}: {self.labelled:,} of {self.rows:,} rows have a label"
        if self.lacking:
            share += f"; labels of {', '.join(map(str, self.lacking))} were never ingested"
        if self.metric is None or self.value is None or self.baseline is None:
            return share
        return f"{share}, {self.metric} {self.value:.3g} by {self.version}, baseline {self.baseline:.3g}"


def realised(day: date, operations: OperationsConfig, store: Store, loaded: ModelVersion | None) -> Realised:
    """Labels of ``day``, and the metric of its predictions where there are any. ``loaded`` says what the target is."""
    target = loaded.contract.target.name if loaded else next(iter(CONTRACT.targets))
    name = f"{PREDICTIONS}{operations.model}"
    made = store.manifest(name, day)
    config = recorded(loaded.facts["config"], loaded.name) if loaded else None
    baseline = [] if config is None or config.baseline == "mean" else [config.baseline]
    classifies = loaded is not None and loaded.contract.target.task == "classification"
    column = f"{target}_probability" if classifies else target
    predictions = (name, column) if made and loaded else None
    slices = [name for name in (config.slices if config else []) if name in CONTRACT.rows.schema.column_names()]
    rows = matured(CONTRACT, day, target, store, also=[*baseline, *slices], predictions=predictions)
    known = rows.drop_nulls(TRUTH)
    seen = Realised(day, rows.height, known.height, lacking=lacking(day, store))
    if made is None or loaded is None or config is None or not seen.mature or known.is_empty():
        return seen
    judged = known.drop_nulls(PREDICTED)
    if judged.is_empty():
        return seen
    truth = judged[TRUTH].cast(pl.Int64 if classifies else pl.Float64).to_numpy()
    predicted = judged[PREDICTED].to_numpy()
    naive = evaluate.naive(judged, config, loaded.facts["target_mean"])
    said = evaluate.against_baseline(config.task, truth, predicted, naive, config.threshold)
    metric = PRIMARY[config.task]
    return replace(
        seen,
        version=made.model_version,
        metric=metric,
        value=said[metric],
        baseline=said[f"baseline_{metric}"],
        skill=said["skill"],
        losses=tuple(_losses(judged.select(slices), -row_scores(metric, truth, predicted, config.threshold))),
    )


def _losses(groups: pl.DataFrame, loss: np.ndarray) -> Iterator[Loss]:
    """``loss``, shape (n,), over all rows and over every slice that has enough of them."""
    yield Loss(None, float(loss.mean()), float(loss.std()), len(loss))
    rows = groups.with_columns(pl.Series("loss", loss))
    for name in groups.columns:
        found = rows.group_by(name, maintain_order=True).agg(
            pl.col("loss").mean().alias("mean"), pl.col("loss").std(ddof=0).alias("sd"), pl.len().alias("rows")
        )
        for level, mean, sd, number in found.filter(pl.col("rows") >= FEWEST).sort(name).iter_rows():
            yield Loss(f"{name}={level}", mean, sd, number)


def lacking(day: date, store: Store) -> tuple[date, ...]:
    """Days whose labels were not ingested (yet), of those that could hold some for the rows of ``day``."""
    if not isinstance(CONTRACT.labels, Table):
        return ()
    name, last = CONTRACT.labels.name, day + timedelta(days=CONTRACT.labels_complete_after)
    return tuple(arrives for arrives in days(day, last) if store.manifest(name, arrives) is None)
