"""Column batches: how rows of JSON and data frames become what the transform reads. Both give equal bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ..spec import Column
from .columnar import ColumnRows

if TYPE_CHECKING:
    import polars as pl

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def epoch_seconds(moment: datetime | None) -> float:
    """Seconds since 1970-01-01 UTC as float64; NaN for None. The whole microseconds are divided once, as in a frame."""
    return np.nan if moment is None else ((moment - EPOCH) // MICROSECOND) / 1e6


def from_rows(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Rows of validated values, one mapping a row, as a column batch of shape (len(rows),) arrays."""
    batch: dict[str, np.ndarray] = {}
    for column in columns:
        name = column.name
        if isinstance(rows, ColumnRows):
            if name in rows.arrays:
                batch[name] = rows.arrays[name].copy()  # who computes features owns what it is given
                continue
            values = rows.columns[name]
        else:
            values = [row[name] for row in rows]
        if column.kind == "category":
            array = np.empty(len(values), dtype=object)
            array[:] = values
            batch[column.name] = array
        elif column.kind == "time":
            batch[column.name] = np.array([epoch_seconds(value) for value in values], dtype=np.float64)
        else:
            batch[column.name] = np.array(values, dtype=np.float64)
    return batch


def from_frame(columns: Sequence[Column], frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """The same from a polars frame that passed the contract."""
    batch: dict[str, np.ndarray] = {}
    for column in columns:
        series = frame[column.name]
        if column.kind == "category":
            array = np.empty(len(series), dtype=object)
            array[:] = series.to_list()
            batch[column.name] = array
        elif column.kind == "time":
            # microseconds since the epoch stay below 2**53 until the year 2255: exact in float64
            batch[column.name] = series.to_physical().to_numpy().astype(np.float64) / 1e6
        else:
            batch[column.name] = series.to_numpy().astype(np.float64)
    return batch
