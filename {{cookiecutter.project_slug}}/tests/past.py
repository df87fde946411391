"""Months of ingested days in a second: rows drawn from one day of the sample, written as partitions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from {{cookiecutter.package_name}} import sample_upstream
from {{cookiecutter.package_name}}.clock import days as calendar
from {{cookiecutter.package_name}}.data.store import PREDICTIONS, Store

from conftest import Project

END = date(2026, 5, 31)
"""The last of the days that are made, unless a test says otherwise."""
Change = Callable[[date, pl.DataFrame], pl.DataFrame]


@lru_cache(maxsize=1)
def _parcels() -> pl.DataFrame:
    return sample_upstream.table("parcels", date(2026, 3, 3))


def rows_of(day: date, rows: int = 300) -> pl.DataFrame:
    """A day's parcels: the same for the same day."""
    rng = np.random.default_rng(day.toordinal())
    drawn = _parcels()[rng.integers(_parcels().height, size=rows)]
    return drawn.with_columns(
        parcel_id=pl.Series([f"{day:%Y%m%d}-{n:05d}" for n in range(rows)]),
        created_at=pl.col("created_at") + (day - date(2026, 3, 3)),
    )


def write(project: Project, day: date, rows: pl.DataFrame) -> None:
    """Make ``rows`` the partition of ``day``, contract or no contract: what is refused never gets so far."""
    about = {"rows_set_aside": {}, "contract_version": "1", "source": "a test", "source_sha256": ""}
    Store(project.paths).write("parcels", day, rows, **about)


def predict(project: Project, day: date, hours: np.ndarray, version: str = "hours/1") -> None:
    about = {"rows_set_aside": {}, "contract_version": "1", "source": "a test", "source_sha256": ""}
    made = pl.DataFrame({"parcel_id": [f"{n}" for n in range(len(hours))], "delivered_hours": hours})
    Store(project.paths).write(f"{PREDICTIONS}hours", day, made, **about, model_version=version)


def past(
    project: Project, days: int, *, last: date = END, rows: int = 300, change: Change = lambda _, made: made
) -> None:
    """``days`` days of ``rows`` rows up to ``last``; ``change`` gets each day's rows."""
    for day in calendar(last - timedelta(days=days - 1), last):
        write(project, day, change(day, rows_of(day, rows)))
