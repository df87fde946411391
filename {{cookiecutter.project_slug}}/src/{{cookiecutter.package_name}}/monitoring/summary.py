"""A day of a table in a few dozen figures: all that is kept of it to compare it with other days."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from .monitor import Monitor, Observed, Scale, arcsine, sd_of_root
from .reference import BLOCKS, OTHER, ColumnReference, Reference

MOST = 200_000
"""Rows looked at. Of more, so many at equal distances: a mean is then known to 0.002σ, far below what matters."""


class Quantiles(BaseModel):
    """5%, 50% and 95% of a number's values, in its own unit; None where there are none."""

    q05: float | None
    q50: float | None
    q95: float | None
    unit: str | None = None


class Summary(BaseModel):
    """``values`` by monitor: the value and its sampling sd, null where it cannot be said."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    day: date
    reference: str
    """Digest of the reference that it was measured with."""
    source: str = ""
    """What it was made from: the partition's sha256."""
    rows: int
    model_version: str | None = None
    values: dict[str, tuple[float | None, float | None]]
    quantiles: dict[str, Quantiles] = {}
    shares: dict[str, list[float]] = {}
    """By column, of the bins or levels of its reference: for pictures."""

    def observed(self, name: str) -> Observed:
        value, sd = self.values.get(name, (None, None))
        return Observed(math.nan if value is None else value, math.nan if sd is None else sd, self._words(name))

    def _words(self, name: str) -> str:
        """The raw figures behind a mean or a spread of normal scores."""
        _, column, measure = (*name.split(".", 2), "", "")[:3]
        found = self.quantiles.get(column)
        if found is None or found.q50 is None:
            return ""
        unit = f" {found.unit}" if found.unit else ""
        if measure == "mean":
            return f"median {_figure(found.q50)}{unit}"
        if measure == "spread" and found.q05 is not None and found.q95 is not None:
            return f"90% within {_figure(found.q05)} to {_figure(found.q95)}{unit}"
        return ""


def monitors(reference: Reference) -> list[Monitor]:
    """Everything that is watched of a table, in the order of its columns."""
    made: list[Monitor] = []
    for column in reference.columns:
        if column.kind == "number":
            made += [
                _monitor(reference, column, "DRIFT001", "mean", "sigma", "mean"),
                _monitor(reference, column, "DRIFT002", "spread", "spread", "spread"),
            ]
        elif column.kind == "flag":
            made.append(_monitor(reference, column, "DRIFT005", "share of true", "share", "share"))
        else:
            for part in _parts(column):
                measure = f"share of {part.removeprefix('share=')}"
                made.append(_monitor(reference, column, "DRIFT004", measure, "share", part))
        if column.nullable:
            made.append(_monitor(reference, column, "DRIFT003", "nulls", "nulls", "nulls"))
    return made


def _monitor(
    reference: Reference, column: ColumnReference, code: str, measure: str, scale: Scale, suffix: str
) -> Monitor:
    return Monitor(
        name=f"{reference.table}.{column.name}.{suffix}",
        code="DRIFT006" if reference.predictions else code,
        table=reference.table,
        column=column.name,
        measure=measure,
        scale=scale,
        unit=column.unit,
        slow=True,
    )


def levels(reference: Reference) -> dict[str, float]:
    """The reference's own value of each monitor, on its scale."""
    found: dict[str, float] = {}
    for column in reference.columns:
        name = f"{reference.table}.{column.name}"
        if column.kind == "number":
            found |= {f"{name}.mean": 0.0, f"{name}.spread": 0.0}
        else:
            shares = zip(_parts(column), column.shares, strict=True)
            found |= {f"{name}.{part}": arcsine(share) for part, share in shares}
        found[f"{name}.nulls"] = math.sqrt(column.nulls)
    return found


def of_file(
    path: Path, day: date, reference: Reference, named: Mapping[str, str] | None = None, **about: Any
) -> Summary:
    """Summarise a partition, of whatever size. ``named``: the file's name of a column that the reference renames."""
    rows = pl.scan_parquet(path)
    there = rows.collect_schema().names()
    height = rows.select(pl.len()).collect().item()
    names = {column.name: (named or {}).get(column.name, column.name) for column in reference.columns}
    wanted = rows.select(pl.col(here).alias(name) for name, here in names.items() if here in there)
    few = wanted.gather_every(-(-height // MOST) or 1).collect(engine="streaming")
    return summarise(few, day, reference, height, **about)


def summarise(rows: pl.DataFrame, day: date, reference: Reference, height: int | None = None, **about: Any) -> Summary:
    """The figures of a day. Raises for nothing that a column may hold: what cannot be said is null.

    ``height`` is the day's number of rows, where ``rows`` are some of them.
    """
    values: dict[str, tuple[float | None, float | None]] = {}
    quantiles: dict[str, Quantiles] = {}
    shares: dict[str, list[float]] = {}
    for column in reference.columns:
        known = _known(rows, column)
        if known is None:
            continue
        n, name = len(known), f"{reference.table}.{column.name}"
        if column.kind == "number":
            floats = known.to_numpy()
            values[f"{name}.mean"], values[f"{name}.spread"] = _of_scores(normal_scores(floats, column), column)
            quantiles[column.name] = _quantiles(known, column.unit)
            bins = np.searchsorted(column.edges, floats, side="right")
            shares[column.name] = (np.bincount(bins, minlength=len(column.edges) + 1) / max(n, 1)).tolist()
        else:
            shares[column.name] = _shares(known, column)
            for suffix, p in zip(_parts(column), shares[column.name], strict=True):
                values[f"{name}.{suffix}"] = (arcsine(p), sd_of_root(p, n)) if n else (None, None)
        if column.nullable and rows.height:
            share = 1 - n / rows.height
            values[f"{name}.nulls"] = (math.sqrt(share), sd_of_root(share, rows.height))
    return Summary(
        day=day,
        reference=reference.digest,
        rows=rows.height if height is None else height,
        values=values,
        quantiles=quantiles,
        shares=shares,
        **about,
    )


def _known(rows: pl.DataFrame, column: ColumnReference) -> pl.Series | None:
    """What a column holds without nulls and NaN; None where it is gone or has become something else."""
    given = rows[column.name] if column.name in rows.columns else None
    if given is None or (column.kind == "time") != isinstance(given.dtype, pl.Datetime):
        return None
    if column.kind == "number":
        if not (given.dtype.is_numeric() or given.dtype == pl.Null):
            return None
        given = given.cast(pl.Float64).fill_nan(None)
    return given.drop_nulls()


def _parts(column: ColumnReference) -> list[str]:
    """The monitors of a column that are shares, in the order of the reference's."""
    if column.kind == "flag":
        return ["share"]
    return [f"share={level}" for level in (column.levels if column.kind == "time" else [*column.levels, OTHER])]


def normal_scores(values: np.ndarray, column: ColumnReference) -> np.ndarray:
    """Each value as the normal deviate of its rank in the reference, cut off beyond the reference's ends."""
    if not column.points:
        return np.full(values.shape, np.nan)
    low, high = column.beyond
    return np.interp(values, column.points, column.scores, left=low, right=high)


def _of_scores(scores: np.ndarray, column: ColumnReference) -> tuple[tuple[float | None, float | None], ...]:
    n = len(scores)
    if not n or not np.isfinite(scores).all():
        return (None, None), (None, None)
    mean = (float(scores.mean()), 1 / math.sqrt(n))
    if n == 1:
        return mean, (None, None)
    sd = float(scores.std(ddof=1))
    # a column that became constant has no log; a hundredth of the reference's spread stands for it
    return mean, (math.log(max(sd, 0.01)), math.sqrt((column.kurtosis - 1) / (4 * n)))


def _shares(known: pl.Series, column: ColumnReference) -> list[float]:
    n = max(len(known), 1)
    if column.kind == "flag":
        return [float(known.cast(pl.Float64, strict=False).sum()) / n]
    if column.kind == "time":
        blocks = known.dt.hour().cast(pl.Int64) // 6
        return [int((blocks == block).sum()) / n for block in range(len(BLOCKS))]
    texts = known.cast(pl.String)
    counts = [int((texts == level).sum()) for level in column.levels]
    return [count / n for count in (*counts, len(known) - sum(counts))]


def _quantiles(known: pl.Series, unit: str | None) -> Quantiles:
    found = [known.quantile(q) for q in (0.05, 0.5, 0.95)]
    q05, q50, q95 = (None if q is None or not math.isfinite(q) else float(q) for q in found)
    return Quantiles(q05=q05, q50=q50, q95=q95, unit=unit)


def _figure(value: float) -> str:
    """Three figures, and whole numbers from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
