"""Partitions: one Parquet object a day and table, and the manifest that says which bytes are the partition.

The manifest's rename is the commit. The data file carries its own hash in its name and is written first; a crash
before the manifest leaves the old partition in force and an orphan that the next write sweeps away.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from .. import files
from ..errors import Exit, ProjectError
from ..paths import Paths


class Manifest(BaseModel):
    """What a partition is and where it came from. Holds no time of writing: the same delivery gives the same bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    partition: date
    file: str
    sha256: str
    rows: int
    rows_set_aside: dict[str, int]
    contract_version: str
    source: str
    source_sha256: str


class Store:
    """The partitions of one project."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def manifest_path(self, table: str, day: date) -> Path:
        return self._paths.partitions / table / f"{day}.json"

    def write(self, table: str, day: date, frame: pl.DataFrame, **about: Any) -> Manifest:
        """Make ``frame`` the partition of ``day`` in place of what was there. ``about``: the manifest's other facts."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd", statistics=True)
        content = buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest()
        manifest = Manifest(
            table=table, partition=day, file=f"{day}-{digest[:12]}.parquet", sha256=digest, rows=len(frame), **about
        )
        folder = self._paths.partitions / table
        with self._lock(table):
            files.sweep(folder)
            files.write_bytes(folder / manifest.file, content)
            files.write_json(self.manifest_path(table, day), manifest.model_dump(mode="json"))
            for orphan in folder.glob(f"{day}-*.parquet"):
                if orphan.name != manifest.file:
                    orphan.unlink()
        return manifest

    def manifest(self, table: str, day: date) -> Manifest | None:
        """The manifest of a partition, None where there is none. Raises ProjectError for one that cannot be read."""
        path = self.manifest_path(table, day)
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ProjectError(
                f"{self._paths.relative(path)} is not a manifest: {error.errors()[0]['msg']}",
                hint=f"ml ingest --date {day}",
                exit=Exit.REFUSED,
            ) from None

    def read(self, table: str, day: date) -> pl.DataFrame:
        """The rows of a partition, its bytes compared with the manifest first.

        Raises ProjectError (exit 4) when the day was never ingested, (exit 3) when the bytes are not the manifest's.
        """
        manifest = self.manifest(table, day)
        hint = f"ml ingest --date {day}"
        if manifest is None:
            raise ProjectError(f"no partition {table} {day}", hint=hint, exit=Exit.UNAVAILABLE)
        path = self._paths.partitions / table / manifest.file
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = None
        found = hashlib.sha256(content or b"").hexdigest()
        if content is None or found != manifest.sha256:
            if self.manifest(table, day) != manifest:  # replaced a moment ago, and the old file with it
                return self.read(table, day)
            what = f"expected sha256 {manifest.sha256[:12]}… as in the manifest, found {found[:12]}…"
            raise ProjectError(
                f"{self._paths.relative(path)}: {'the file is missing' if content is None else what}",
                hint=hint,
                exit=Exit.REFUSED,
            )
        return pl.read_parquet(io.BytesIO(content))

    def days(self, table: str) -> list[date]:
        """Days that have a partition, oldest first."""
        days = []
        for path in (self._paths.partitions / table).glob("????-??-??.json"):
            with contextlib.suppress(ValueError):  # a stray file that is no day
                days.append(date.fromisoformat(path.stem))
        return sorted(days)

    def _lock(self, table: str) -> FileLock:
        self._paths.locks.mkdir(parents=True, exist_ok=True)
        return FileLock(self._paths.locks / f"{table}.lock")
