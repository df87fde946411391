"""What the API was asked and what it answered: ``requests/<model>/<day>/``, one row for each row of a request.

Servers add objects; nobody replaces them. An object holds the rows of one spool, version and UTC day, and has its name
from them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
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
ALL = ABOUT | {name: OWN[name] for name in ("row", "prediction")}
Key = tuple[VersionId, date]
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
    frames: dict[Key, list[pl.DataFrame]] = defaultdict(list)
    kept: dict[Key, _Chunk] = defaultdict(_Chunk)
    total = broken = 0
    with spool.open("rb") as lines:
        for line in lines:
            try:
                total += _read(line, redacted, kept)
            except (ValueError, TypeError, KeyError, AttributeError, ProjectError):
                broken += 1
                continue
            for key in [key for key, chunk in kept.items() if chunk.length >= CHUNK]:
                frames[key] += kept.pop(key).frames(_types(key[0], paths))
    for key, chunk in kept.items():
        frames[key] += chunk.frames(_types(key[0], paths))
    for (version, day), parts in frames.items():
        folder = f"{REQUESTS}/{version.model}/{day}"
        storage.sweep(folder)
        with storage.draft(folder) as draft:
            save(pl.concat(parts, how="diagonal_relaxed"), draft)
            storage.put(draft, f"{folder}/{spool.stem}-v{version.number}.parquet")
    return total, broken


def _read(line: bytes, redacted: list[str], kept: dict[Key, _Chunk]) -> int:
    """Put the rows of a request where those of its version and day are. Returns how many they are."""
    said = from_json(line, cache_strings="keys")
    at = datetime.fromisoformat(said["at"]).astimezone(UTC)
    about = (said["request_id"], at, said["model_version"], said["role"], said["degraded"], said["latency_ms"])
    sent, predictions = said["rows"], said["predictions"]
    key = (parse(said["model_version"], ""), at.date())
    if isinstance(sent, dict):
        columns = {name: values for name, values in sent.items() if name not in redacted}
        if any(len(values) != len(predictions) for values in sent.values()):
            raise ValueError("a prediction a row")
        kept[key].requests.append((about, predictions, columns))
    else:
        rows = []
        for number, (row, prediction) in enumerate(zip(sent, predictions, strict=True)):
            for name in redacted:
                row.pop(name, None)
            rows.append((*about, number, prediction, row))
        kept[key].rows += rows
    kept[key].length += len(predictions)
    return len(predictions)


@dataclass
class _Chunk:
    """Requests as they stand in a spool: row by row, most of them of one, and those of many rows by columns."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    requests: list[tuple[tuple[Any, ...], list[Any], dict[str, list[Any]]]] = field(default_factory=list)
    length: int = 0

    def frames(self, types: dict[str, pl.DataType]) -> list[pl.DataFrame]:
        """What is here as it is kept; a value that a column's type cannot hold is null."""
        return ([self._of_rows(types)] if self.rows else []) + ([self._of_columns(types)] if self.requests else [])

    def _of_rows(self, types: dict[str, pl.DataType]) -> pl.DataFrame:
        *own, received = zip(*self.rows, strict=True)
        frame = pl.DataFrame(dict(zip(ALL, own, strict=True)), schema=ALL, strict=False)
        names = types or dict.fromkeys(name for row in received for name in row)
        columns = [_column(name, types.get(name), [row.get(name) for row in received]) for name in names]
        return frame.select(list(OWN)).with_columns(columns)

    def _of_columns(self, types: dict[str, pl.DataType]) -> pl.DataFrame:
        counts = [len(predictions) for _, predictions, _ in self.requests]
        predicted = _joined(predictions for _, predictions, _ in self.requests)
        once = pl.DataFrame([about for about, _, _ in self.requests], schema=ABOUT, orient="row", strict=False)
        frame = once[np.repeat(np.arange(len(counts)), counts)].with_columns(
            pl.Series("row", np.concatenate([np.arange(count, dtype=np.uint32) for count in counts])),
            pl.Series("prediction", predicted, pl.Float64, strict=False),
        )
        names = types or dict.fromkeys(name for _, _, columns in self.requests for name in columns)

        def values(name: str) -> list[Any]:
            return _joined(columns.get(name) or [None] * len(predictions) for _, predictions, columns in self.requests)

        return frame.select(list(OWN)).with_columns([_column(name, types.get(name), values(name)) for name in names])


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
