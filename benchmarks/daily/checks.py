"""Reading a partition beside reading and checking it, in turn. Prints one JSON object.

`python checks.py PACKAGE FILE DAY ROUNDS` runs in the project's environment; with `-` for PACKAGE in another
that has pandera, which is compared with its own reading.
"""

import gc
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl


def ours(package: str, path: Path, day: date) -> dict[str, Callable[[], Any]]:
    table = importlib.import_module(f"{package}.contract").CONTRACT.rows
    check = importlib.import_module(f"{package}.data.validation").check
    return {
        "read": lambda: pl.read_parquet(path),
        "rows in hand": lambda: check(pl.read_parquet(path).lazy(), table, "1", day).good.collect(),
        "streamed": lambda: check(pl.scan_parquet(path), table, "1", day),
        "dataframely": lambda: table.schema.filter(pl.read_parquet(path), cast=True),
    }


def peers(path: Path) -> dict[str, Callable[[], Any]]:
    """The rules for single rows and the key, as pandera says them."""
    import pandera.polars as pa

    text = pa.Check.str_length(1, 40)
    schema = pa.DataFrameSchema(
        {
            "parcel_id": pa.Column(pl.String, text, unique=True),
            "created_at": pa.Column(pl.Datetime("us", "UTC")),
            "depot": pa.Column(pl.String, text),
            "service": pa.Column(pl.String, pa.Check.isin(["express", "standard", "economy"])),
            "weight_g": pa.Column(pl.Float64, pa.Check.in_range(1, 70_000)),
            "distance_km": pa.Column(pl.Float64, pa.Check.in_range(0.1, 3_000)),
            "customer_age_days": pa.Column(pl.Float64, pa.Check.in_range(0, 20_000), nullable=True),
            "fragile": pa.Column(pl.Boolean),
            "promised_hours": pa.Column(pl.Float64, pa.Check.in_range(1, 240)),
        },
        strict=True,
    )
    return {
        "read": lambda: pl.read_parquet(path),
        "pandera": lambda: schema.validate(pl.read_parquet(path), lazy=True),
    }


def main() -> None:
    package, path, day, rounds = (
        sys.argv[1],
        Path(sys.argv[2]),
        date.fromisoformat(sys.argv[3]),
        int(sys.argv[4]),
    )
    variants = peers(path) if package == "-" else ours(package, path, day)
    seen: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, work in variants.items():
            gc.collect()
            pl.read_parquet(path)  # whatever ran before, each one finds the heap as a reader leaves it
            before = time.process_time()
            work()
            if number:  # the first round pays for imports and a cold heap
                seen[name].append(time.process_time() - before)
    said: dict[str, Any] = {name: statistics.median(values) for name, values in seen.items()}
    names = ["pandera", "polars"] if package == "-" else ["dataframely", "polars"]
    json.dump(said | {"versions": {name: version(name) for name in names}}, sys.stdout)


if __name__ == "__main__":
    main()
