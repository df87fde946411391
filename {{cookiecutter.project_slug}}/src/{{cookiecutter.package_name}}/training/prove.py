"""Composing the proof: which rows go with a version, what they must answer, and which rows must be refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from ..model.batch import from_frame
from ..model.proof import Proof
from ..model.version import ModelVersion
from ..spec import Column

UNSEEN = "never-seen-in-training"
MOMENTS = [
    datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC),
    datetime(1999, 12, 31, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
]
"""A leap day's last microsecond, the day before a century's last year, the second after 32-bit time ends."""


def compose(version: ModelVersion, evaluation: pl.DataFrame, truth_sd: float, rows: int, seed: int) -> Proof:
    """``rows`` real rows and, for every column, its awkward values; answered in bulk, the way training computes.

    ``truth_sd`` is the standard deviation of the training target, the scale of the tolerance.
    """
    columns = version.contract.columns
    frame = evaluation.select([column.name for column in columns])
    real = frame.sample(min(rows, frame.height), seed=seed, with_replacement=False)
    awkward = [_with(real.head(1), column.name, value) for column in columns for value in _awkward(column, frame)]
    frame = pl.concat([real, *awkward])
    matrix = version.matrix(from_frame(version.contract.features, frame))
    return Proof(
        scale=truth_sd,
        feature_names=[str(name) for name in version.pipeline[:-1].get_feature_names_out()],
        requests=[_as_json(row) for row in frame.to_dicts()],
        features=matrix,
        predictions=version.plain_score(matrix),
        refusals=_refusals(columns, _as_json(real.row(0, named=True))),
    )


def _with(row: pl.DataFrame, name: str, value: Any) -> pl.DataFrame:
    return row.with_columns(pl.Series(name, [value], dtype=row.schema[name]))


def _awkward(column: Column, frame: pl.DataFrame) -> list[Any]:
    """Valid values that data rarely show: null, unseen levels, both ends of the range, odd moments."""
    values: list[Any] = [None] if column.nullable else []
    if column.kind == "category" and column.allowed is None:
        odd = [text.encode()[: column.max_length].decode(errors="ignore") for text in (UNSEEN, "Größe 'ß' 包裹")]
        values += odd if column.pattern is None else []
    elif column.kind == "category":
        values += list(column.allowed or [])
    elif column.kind == "flag":
        values += [True, False]
    elif column.kind == "time":
        values += MOMENTS
    elif column.kind in ("number", "integer"):
        seen = frame[column.name].drop_nulls()
        low, high = (seen.to_list() and (min(seen), max(seen))) or (0.0, 1.0)
        ends = [low if column.minimum is None else column.minimum, high if column.maximum is None else column.maximum]
        values += [int(end) for end in ends] if column.kind == "integer" else [float(end) for end in ends]
    return values


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a client would send it."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _refusals(columns: list[Column], valid: dict[str, Any]) -> list[dict[str, Any]]:
    """For every promise of the contract, one row that breaks it, with the word it must be refused with."""
    cases: list[tuple[str, Any, str]] = []
    for column in columns:
        name, kind = column.name, column.kind
        wrong_type = {"number": "12.5", "integer": "12", "flag": 1, "category": 12, "key": 12, "time": "next tuesday"}[
            kind
        ]
        cases.append((name, wrong_type, "not_allowed" if column.allowed is not None else "type"))
        if not column.nullable and kind != "key":
            cases.append((name, None, "not_allowed" if column.allowed is not None else "type"))
        if kind == "number":
            cases.append((name, math.nan, "range"))
        if kind == "time":
            cases.append((name, "2026-06-01T09:30:00", "type"))
        step = 1 if kind == "integer" else 0.001
        for bound, beyond in ((column.minimum, -step), (column.maximum, step), (column.above, 0), (column.below, 0)):
            if bound is not None:
                cases.append((name, (int if kind == "integer" else float)(bound + beyond), "range"))
        if column.max_length is not None:
            cases.append((name, "x" * (column.max_length + 1), "range"))
        if column.allowed is not None:
            cases.append((name, UNSEEN, "not_allowed"))
    refusals = [{"request": valid | {name: value}, "field": name, "reason": reason} for name, value, reason in cases]
    for column in columns:
        if not column.nullable and column.kind != "key":
            rest = {name: value for name, value in valid.items() if name != column.name}
            refusals.append({"request": rest, "field": column.name, "reason": "missing"})
    refusals.append({"request": valid | {"no_such_field": 1}, "field": "no_such_field", "reason": "unknown"})
    return refusals


def spread(truth: np.ndarray) -> float:
    """Standard deviation of the training target, never zero."""
    return float(np.std(truth)) or 1.0
