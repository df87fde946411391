"""What days are measured with: learned from the project's own history, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ValidationError

from ..contract import CONTRACT
from ..data.store import PREDICTIONS, Manifest
from ..monitoring import learning, rule
from ..monitoring.reference import Reference
from ..monitoring.report import LOCK
from ..spec import Column
from .history import PREDICTION, History, watched_prediction

KEPT = "monitor/reference.json"
LEARNED_FROM = 120
"""Days of history, at most, that a reference is learned from."""


class References(BaseModel):
    """Of the rows, and of the predictions once there are some."""

    rows: Reference
    predictions: Reference | None = None

    @property
    def all(self) -> list[Reference]:
        return [self.rows] if self.predictions is None else [self.rows, self.predictions]


def learn(history: History, days: Sequence[date]) -> References | None:
    """References from rows spread over ``days``; None where none of them can be read."""
    rows = _spread(history, CONTRACT.rows.name, days[-LEARNED_FROM:])
    if rows is None:
        return None
    learned = learning.learn(CONTRACT.rows.name, history.watched, rows)
    return References(rows=learned, predictions=_learn_predictions(history, days))


def in_force(history: History, calibrated: References | None, days: Sequence[date]) -> References | None:
    """The calibration's references; before there is one, those that were first learned here, from ``days``.

    They are kept, for with others every summary would have to be made again. Columns that are no longer watched are
    left out. None where there is nothing to learn from.
    """
    kept, watched = _kept(history), {column.name for column in history.watched}
    known = calibrated or kept
    if known is None or (calibrated is None and not watched <= {column.name for column in known.rows.columns}):
        known = learn(history, days)
        if known is not None:
            _keep(history, known)
    elif known.predictions is None:
        predictions = kept.predictions if kept is not None else None
        if predictions is None and (predictions := _learn_predictions(history, days)) is not None:
            _keep(history, References(rows=known.rows, predictions=predictions))
        known = References(rows=known.rows, predictions=predictions)
    if known is None:
        return None
    columns = [column for column in known.rows.columns if column.name in watched]
    return known.model_copy(update={"rows": known.rows.model_copy(update={"columns": columns})})


def _keep(history: History, references: References) -> None:
    with history.storage.alone_at(KEPT, LOCK):
        history.storage.write(KEPT, (references.model_dump_json() + "\n").encode())


def _kept(history: History) -> References | None:
    content = history.storage.read(KEPT)
    try:
        return None if content is None else References.model_validate_json(content)
    except ValidationError:
        return None


def _learn_predictions(history: History, days: Sequence[date]) -> Reference | None:
    table = f"{PREDICTIONS}{history.operations.model}"
    predicted = sorted(set(history.store.days(table)) & set(days))
    rows = _spread(history, table, predicted[-LEARNED_FROM:]) if len(predicted) >= rule.LEAST else None
    if rows is None:
        return None
    watched = watched_prediction(rows.columns)
    target = CONTRACT.targets.get(watched)
    column = Column(name=PREDICTION, kind="number", meaning="what was predicted", unit=target.unit if target else None)
    return learning.learn(
        history.operations.model, [column], rows.select(pl.col(watched).alias(PREDICTION)), predictions=True
    )


def _spread(history: History, table: str, days: Sequence[date]) -> pl.DataFrame | None:
    each = -(-learning.ROWS // max(len(days), 1))

    def look(manifest: Manifest, path: Path) -> pl.DataFrame:
        return learning.spread(pl.scan_parquet(path), manifest.rows, each)

    parts = [rows for day in days if (rows := history.partition(table, day, look)) is not None]
    return pl.concat(parts, how="diagonal_relaxed") if parts else None
