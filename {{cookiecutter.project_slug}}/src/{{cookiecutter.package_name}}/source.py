"""YOURS: where a day of upstream data comes from.

As generated, upstream drops one Parquet file a day and table into the folder that ``operations.yaml`` names. Replace
:func:`fetch` with a query or a download: what matters is that it returns the day's rows as upstream delivered them,
and tells *not there yet* from *there and broken*.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from .config import SourceConfig
from .errors import Exit, ProjectError
from .paths import Paths


@dataclass(frozen=True)
class Delivery:
    """One day of one table as upstream delivered it: the bytes, where they came from, and the rows in them."""

    origin: str
    content: bytes
    frame: pl.DataFrame

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class Unreadable(Exception):
    """There is a delivery, but it is no table: ``content`` goes to quarantine."""

    def __init__(self, origin: str, content: bytes, reason: str) -> None:
        super().__init__(reason)
        self.origin, self.content, self.reason = origin, content, reason


def fetch(table: str, day: date, config: SourceConfig, paths: Paths, now: datetime) -> Delivery:
    """The delivery of ``day``. Raises ProjectError (exit 4) when it is not there yet, Unreadable when it is broken."""
    path = paths.root / config.path / table / f"{day}.parquet"
    if config.sample and day < now.date() and not path.exists():
        from .sample_upstream import deliver

        deliver(table, day, path)
    origin = paths.relative(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        over = datetime.combine(day + timedelta(days=1), datetime.min.time())
        raise ProjectError(
            f"{table} {day} is not there yet: looked for {origin}",
            hint="retry later, or ask the upstream team"
            if day < now.date()
            else f"that day ends at {over:%Y-%m-%d %H:%M} UTC",
            exit=Exit.UNAVAILABLE,
        ) from None
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except Exception as error:  # polars raises half a dozen types for a broken file
        raise Unreadable(origin, content, f"not a Parquet file: {str(error).splitlines()[0]}") from None
    return Delivery(origin, content, frame)
