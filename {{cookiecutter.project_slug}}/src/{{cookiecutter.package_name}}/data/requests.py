"""What the API was asked and what it answered: ``requests/<model>/<day>/``, one row for each row of a request.

Servers add objects; nobody replaces them. An object holds the rows of one spool, version and UTC day, and has its name
from them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic_core import from_json

from ..errors import ProjectError
from ..model import artefact
from ..model.id import VersionId, parse
from ..paths import Paths
from ..spec import Kind
from ..storage import Storage
from .store import Store
from .streams import save

REQUESTS = "requests"
CHUNK = 20_000
"""Rows of a version and day that are collected before they become a frame: Python's objects take five times as much."""
OWN: dict[str, Any] = {
    "request_id": pl.String(),
    "row": pl.UInt32(),
    "at": pl.Datetime("us", "UTC"),
    "model_version": pl.String(),
    "role": pl.String(),
    "degraded": pl.String(),
    "latency_ms": pl.Float64(),
    "prediction": pl.Float64(),
}
"""The log's own columns. A column of the contract with such a name gets an underscore at its end."""
ABOUT = {name: kind for name, kind in OWN.items() if name not in ("row", "prediction")}
"""Those that all rows of a request share."""
TYPES: dict[Kind, pl.DataType] = {
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "flag": pl.Boolean(),
    "category": pl.String(),
    "key": pl.String(),
    "time": pl.Datetime("us", "UTC"),
}
"""How a column of the contract is kept."""


def requests(model: str, day: date, store: Store) -> pl.DataFrame | None:
    """Every row that ``model`` was asked for on a UTC day, by time, request and row; None when nothing was logged.

    Columns are those of ``OWN``, then the contract's as received; null what was redacted, or unknown to the version.
    ``prediction`` is a value, or the probability of yes. The last ten minutes may still be on the servers' disks.
    """
    folder = f"{REQUESTS}/{model}/{day}"
    frames = []
    for name in store.storage.names(folder):
        if name.endswith(".parquet"):
            with store.storage.file(f"{folder}/{name}") as path:
                frames.append(pl.read_parquet(path))
    if not frames:
        return None
    # versions need not agree on what a column is: numbers become the wider ones, and text takes all
    return pl.concat(frames, how="diagonal_relaxed").sort("at", "request_id", "role", "row", maintain_order=True)


def summary(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Of each version and role: requests, their rows, how many were degraded, and their latency in milliseconds."""
    first = pl.col("row") == 0
    latency = pl.col("latency_ms").filter(first)
    return (
        rows.group_by("model_version", "role")
        .agg(
            requests=first.sum(),
            rows=pl.len(),
            degraded=(first & pl.col("degraded").is_not_null()).sum(),
            median_ms=latency.median(),
            p99_ms=latency.quantile(0.99, "higher"),
        )
        .sort("model_version", "role")
        .to_dicts()
    )


def save_spool(spool: Path, storage: Storage, paths: Paths, redacted: list[str]) -> tuple[int, int]:
    """Write the requests of a spool as objects. Returns the number of rows, and of lines that were no request.

    Values of the columns ``redacted`` are left out even where the spool has them: it may be older than the wish.
    """
    frames: dict[tuple[VersionId, date], list[pl.DataFrame]] = defaultdict(list)
    lines_of: dict[tuple[VersionId, date], list[_Line]] = defaultdict(list)
    rows: dict[tuple[VersionId, date], int] = defaultdict(int)
    total = broken = 0
    with spool.open("rb") as lines:
        for line in lines:
            try:
                key, found = _read(line, redacted)
            except (ValueError, TypeError, KeyError, AttributeError, ProjectError):
                broken += 1
                continue
            total += found.rows
            rows[key] += found.rows
            lines_of[key].append(found)
            if rows[key] >= CHUNK:
                frames[key].append(_frame(lines_of.pop(key), key[0], paths))
                rows[key] = 0
    for key, found in lines_of.items():
        frames[key].append(_frame(found, key[0], paths))
    for (version, day), parts in frames.items():
        folder = f"{REQUESTS}/{version.model}/{day}"
        storage.sweep(folder)
        with storage.draft(folder) as draft:
            save(pl.concat(parts, how="diagonal_relaxed"), draft)
            storage.put(draft, f"{folder}/{spool.stem}-v{version.number}.parquet")
    return total, broken


@dataclass(frozen=True, slots=True)
class _Line:
    """A request: what ``ABOUT`` says of it, its predictions, and its columns as received."""

    about: tuple[Any, ...]
    predictions: list[Any]
    columns: dict[str, list[Any]]

    @property
    def rows(self) -> int:
        return len(self.predictions)


def _read(line: bytes, redacted: list[str]) -> tuple[tuple[VersionId, date], _Line]:
    """Version and day of a request, and the request."""
    said = from_json(line, cache_strings="keys")
    at = datetime.fromisoformat(said["at"]).astimezone(UTC)
    about = tuple(at if name == "at" else said[name] for name in ABOUT)
    sent, predictions = said["rows"], said["predictions"]
    if not isinstance(sent, dict):  # as rows
        names = dict.fromkeys(name for row in sent for name in row)
        sent = {name: [row.get(name) for row in sent] for name in names}
    columns = {name: values for name, values in sent.items() if name not in redacted}
    if not isinstance(predictions, list) or any(len(values) != len(predictions) for values in sent.values()):
        raise ValueError("as many predictions as rows")
    return (parse(said["model_version"], ""), at.date()), _Line(about, predictions, columns)


def _frame(lines: list[_Line], version: VersionId, paths: Paths) -> pl.DataFrame:
    """Rows as they are kept; a value that a column's type cannot hold is null."""
    counts = [line.rows for line in lines]
    once = pl.DataFrame([line.about for line in lines], schema=ABOUT, orient="row", strict=False)
    frame = once[np.repeat(np.arange(len(lines)), counts)].with_columns(
        pl.Series("row", np.concatenate([np.arange(count, dtype=np.uint32) for count in counts])),
        pl.Series("prediction", _joined(line.predictions for line in lines), pl.Float64, strict=False),
    )
    frame = frame.select(list(OWN))
    types = _types(version, paths)
    names = types or dict.fromkeys(name for line in lines for name in line.columns)

    def values(name: str) -> list[Any]:
        return _joined(line.columns.get(name) or [None] * line.rows for line in lines)

    return frame.with_columns([_column(name, types.get(name), values(name)) for name in names])


def _joined(parts: Iterable[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(parts))


def _types(version: VersionId, paths: Paths) -> dict[str, pl.DataType]:
    """Of the columns of a version's contract; nothing for one that does not lie here any more."""
    try:
        declared = artefact.contract(paths.serving / version.folder / artefact.FOLDER)
    except (OSError, ValueError):
        return {}
    return {column.name: TYPES[column.kind] for column in declared.columns}


def _column(name: str, kind: pl.DataType | None, values: list[Any]) -> pl.Series:
    name = f"{name}_" if name in OWN else name
    if isinstance(kind, pl.Datetime):
        text = pl.Series(name, values, dtype=pl.String, strict=False)
        return text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    return pl.Series(name, values, dtype=kind, strict=False)
