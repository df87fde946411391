"""Rows that are read and written as they come, so that a day of any size needs little memory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl

ROW_GROUP = 100_000
"""Rows of a Parquet row group: fixed, so that equal rows give equal bytes; a batch of scoring reads one."""
AT_ONCE = 1_000_000
"""Rows in memory at once where that cannot be helped: to sort them, or to join them by key."""
EVERY_ROW = pl.QueryOptFlags(predicate_pushdown=False)
"""Filters see every row. Pushed down, they would skip what a file's own statistics say is not there, and those are as
much upstream's word as the rows are."""


def collected(rows: pl.LazyFrame) -> pl.DataFrame:
    """A result that is far smaller than the rows it is made from."""
    return rows.collect(engine="streaming", optimizations=EVERY_ROW)


def save(rows: pl.DataFrame | pl.LazyFrame, path: Path) -> None:
    """Write ``rows`` as Parquet. The bytes depend on the rows and their order, and on nothing else.

    Raises OSError when the disk says no, for which polars has errors of its own.
    """
    with path.open("wb") as file:
        try:
            rows.lazy().sink_parquet(
                file,
                compression="zstd",
                statistics=True,
                row_group_size=ROW_GROUP,
                engine="streaming",
                optimizations=EVERY_ROW,
            )
        except pl.exceptions.PolarsError as error:
            raise _why(file.fileno(), error, path) from error


def _why(file: int, error: pl.exceptions.PolarsError, path: Path) -> OSError:
    """What the disk says when it is asked again: of a full one polars may tell no more than "transport error"."""
    try:
        for _ in range(2):  # the first may fit in part
            os.write(file, bytes(1 << 16))
    except OSError as said:
        return OSError(said.errno, said.strerror, str(path))
    return OSError(errno.EIO, str(error).splitlines()[0], str(path))
