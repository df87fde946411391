"""Deliveries of any size, drawn from the sample's, written row group by row group in a process of their own.

`python days.py PACKAGE FILE TABLE DAY ROWS [of=DAY] [shuffled] [precise]`: keys are those of DAY's parcels,
or of the parcels of another day whose labels they are. Rows stand in order of time and key unless they are
shuffled. The sample rounds its measurements, as scales do; precise ones carry every bit.
"""

import importlib
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

ROWS_AT_ONCE = 100_000
TIMES = {"parcels": "created_at", "deliveries": "delivered_at"}
SPREAD = {"weight_g": 0, "distance_km": 1}
"""Measurements that vary from copy to copy of a row, and their decimals."""


def drawn(sample: Any, table: str, day: date, of: date, rows: int, *options: str) -> Iterator[pl.DataFrame]:
    rng = np.random.default_rng([day.toordinal(), rows, len(table)])
    base, time = sample.table(table, day), TIMES[table]
    midnight = int(np.datetime64(day, "us").astype(np.int64))
    times = rng.choice(base[time].to_physical().to_numpy(), rows) + rng.integers(-900, 900, rows) * 1_000_000
    times = np.clip(times, midnight, midnight + 86_399_000_000)
    numbers = rng.permutation(rows)
    order = np.lexsort((numbers, times))
    if table == "parcels":
        times, numbers = times[order], np.arange(rows)
    else:
        times, numbers = times[order], numbers[order]
    if "shuffled" in options:
        order = rng.permutation(rows)
        times, numbers = times[order], numbers[order]
    for at in range(0, rows, ROWS_AT_ONCE):
        here = slice(at, min(at + ROWS_AT_ONCE, rows))
        count = here.stop - here.start
        frame = base[rng.integers(0, len(base), count)].with_columns(
            pl.Series(time, times[here]).cast(pl.Datetime("us", "UTC")),
            parcel_id=f"{of:%Y%m%d}-" + pl.Series(numbers[here]).cast(pl.String).str.zfill(7),
        )
        for name, decimals in SPREAD.items():
            if name in frame.columns:
                spread = pl.col(name) * pl.Series(rng.uniform(0.8, 1.0, count))
                frame = frame.with_columns(spread.round(decimals).clip(lower_bound=1))
        if "precise" in options:
            frame = frame.with_columns(
                pl.col(name) * pl.Series(rng.uniform(0.9, 1.0, count))
                for name in frame.columns
                if frame.schema[name] == pl.Float64
            )
        yield frame


def main() -> None:
    package, path, table, day, rows, *options = sys.argv[1:]
    sample = importlib.import_module(f"{package}.sample_upstream")
    of = next((option.removeprefix("of=") for option in options if option.startswith("of=")), day)
    to = Path(path)
    to.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    days = date.fromisoformat(day), date.fromisoformat(of)
    for frame in drawn(sample, table, *days, int(rows), *options):
        batch = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(to, batch.schema, compression="zstd")
        writer.write_table(batch)
    assert writer is not None
    writer.close()


if __name__ == "__main__":
    main()
