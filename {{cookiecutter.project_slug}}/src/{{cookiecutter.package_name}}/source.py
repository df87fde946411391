"""YOURS: where a day of upstream data comes from, and how its file becomes rows.

As generated, upstream drops one Parquet file a day and table into the folder that ``operations.yaml`` names. Replace
:func:`fetch` with a download, or with a query whose result it writes to a file. The file is what is hashed, checked,
and kept when the contract refuses it.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from .config import SourceConfig
from .errors import Exit, ProjectError
from .paths import Paths


def fetch(table: str, day: date, config: SourceConfig, paths: Paths, now: datetime) -> Path:
    """The file that upstream delivered for ``day``. Raises ProjectError (exit 4) when it is not there yet."""
    path = paths.root / config.path / table / f"{day}.parquet"
    if config.sample and day < now.date() and not path.exists():
        from .sample_upstream import deliver

        deliver(table, day, path)
    if not path.is_file():
        over = datetime.combine(day + timedelta(days=1), datetime.min.time())
        raise ProjectError(
            f"{table} {day} is not there yet: looked for {paths.relative(path)}",
            hint="retry later, or ask the upstream team"
            if day < now.date()
            else f"that day ends at {over:%Y-%m-%d %H:%M} UTC",
            exit=Exit.UNAVAILABLE,
        )
    return path


def read(table: str, path: Path) -> pl.LazyFrame:
    """The rows of a delivered file, read when they are needed. A file that this cannot read is refused as broken."""
    return pl.scan_parquet(path)
