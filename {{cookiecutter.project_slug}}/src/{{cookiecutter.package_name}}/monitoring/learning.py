"""A reference from a sample of the history's rows: what is normal in each column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.special import ndtri

from ..spec import Column
from .reference import BLOCKS, ColumnReference, Reference

ROWS = 10_000
"""Enough for every percentile: the mean of a day's scores is off by at most 0.01, the same on every day."""
POINTS = 257
TOP = 8
"""Levels of a category that are watched one by one."""
BINS = 10


def learn(table: str, columns: Sequence[Column], rows: pl.DataFrame, *, predictions: bool = False) -> Reference:
    """The reference from ``rows``, which have the columns. Keys are left out: they are new every day."""
    learned = [_column(column, rows[column.name]) for column in columns if column.kind != "key"]
    return Reference(table=table, columns=learned, rows=rows.height, predictions=predictions)


def spread(rows: pl.LazyFrame, height: int, wanted: int) -> pl.DataFrame:
    """About ``wanted`` of the rows, at equal distances: the same ones every time."""
    return rows.gather_every(max(1, height // max(wanted, 1))).collect(engine="streaming")


def _column(column: Column, values: pl.Series) -> ColumnReference:
    if column.kind in ("number", "integer"):
        return _number(column, values)
    known = values.drop_nulls()
    nulls = 1 - len(known) / len(values) if len(values) else 0.0
    said = {"name": column.name, "unit": column.unit, "nullable": column.nullable, "nulls": nulls}
    if column.kind == "flag":
        return ColumnReference(kind="flag", shares=[_share(known.cast(pl.Boolean))], **said)
    if column.kind == "time":
        blocks = known.dt.hour().cast(pl.Int64) // 6
        shares = [_share(blocks == block) for block in range(len(BLOCKS))]
        return ColumnReference(kind="time", levels=BLOCKS, shares=shares, **said)
    counts = known.cast(pl.String).value_counts(sort=True, name="n")
    # of equally frequent ones the first by name: the same in every process
    top = counts.sort("n", known.name, descending=[True, False]).head(TOP)
    levels = top[known.name].to_list()
    shares = [float(n) / max(len(known), 1) for n in top["n"]]
    return ColumnReference(kind="category", levels=levels, shares=[*shares, max(1 - sum(shares), 0.0)], **said)


def _share(told: pl.Series) -> float:
    return int(told.sum()) / max(len(told), 1)


def _number(column: Column, values: pl.Series) -> ColumnReference:
    floats = values.cast(pl.Float64).to_numpy()
    known = np.sort(floats[np.isfinite(floats)])
    said = {"name": column.name, "unit": column.unit, "nullable": column.nullable}
    nulls = float(np.isnan(floats).mean()) if len(floats) else 0.0
    if not len(known):
        return ColumnReference(kind="number", nulls=nulls, **said)
    points, first, counts = np.unique(known, return_index=True, return_counts=True)
    score = ndtri((first + counts / 2) / len(known))  # the middle of the ranks that share a value
    sd = float(np.sqrt(np.average(score**2, weights=counts)))
    score = score / sd if sd > 1e-9 else score
    kurtosis = float(np.average(score**4, weights=counts)) if sd > 1e-9 else 3.0
    if len(points) > POINTS:
        kept = np.unique(np.searchsorted(np.cumsum(counts), np.linspace(0, len(known) - 1, POINTS), side="right"))
        points, score = points[kept], score[kept]
    further = 0.5 if len(points) > 1 else 1.0
    edges = _edges(known)
    bins = np.searchsorted(edges, known, side="right")
    return ColumnReference(
        kind="number",
        nulls=nulls,
        points=points.tolist(),
        scores=score.tolist(),
        beyond=(float(score[0]) - further, float(score[-1]) + further),
        kurtosis=max(kurtosis, 1.5),
        edges=edges,
        shares=(np.bincount(bins, minlength=len(edges) + 1) / len(known)).tolist(),
        **said,
    )


def _edges(known: np.ndarray) -> list[float]:
    """Deciles, rounded to two figures where that keeps them apart: they are to be read."""
    deciles = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    rounded = np.unique([float(f"{edge:.2g}") for edge in deciles])
    return (rounded if len(rounded) == len(deciles) else deciles).tolist()
