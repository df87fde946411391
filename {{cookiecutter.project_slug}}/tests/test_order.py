"""Equal rows give equal bytes: whatever the order of the delivery, the number of threads, or how it was sorted."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.contract import CONTRACT
from {{cookiecutter.package_name}}.data import order
from {{cookiecutter.package_name}}.data.streams import ROW_GROUP, save
from {{cookiecutter.package_name}}.sample_upstream import table as delivered
from {{cookiecutter.package_name}}.spec import Table

from conftest import DAY


class Keyed(dy.Schema):
    value = dy.Float64(nullable=True)
    name = dy.String(primary_key=True)
    part = dy.Int64(primary_key=True)


class Keyless(dy.Schema):
    flag = dy.Bool(nullable=True)
    name = dy.String(nullable=True)
    value = dy.Float64(nullable=True)
    part = dy.Int64(nullable=True)


TABLES = {
    "key": (Table("t", Keyed), ["name", "part"]),
    "time and key": (Table("t", Keyed, time="value"), ["value", "name", "part"]),
    "no key": (Table("t", Keyless), ["flag", "name", "value", "part"]),
    "time and no key": (Table("t", Keyless, time="part"), ["part", "flag", "name", "value"]),
}
VALUES = {
    "value": st.sampled_from([None, 0.0, -1.5, 2.0, 1e9]),
    "name": st.sampled_from(["", "a", "b", "ab", "B", "a name of more than twelve bytes"]),
    "part": st.integers(-3, 3),
    "flag": st.sampled_from([None, True, False]),
}
TYPES = {"value": pl.Float64, "name": pl.String, "part": pl.Int64, "flag": pl.Boolean}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("stretch", [1_000, 4])
@given(data=st.data())
def test_rows_are_ordered_by_time_and_key_and_without_key_by_everything(
    data: st.DataObject, stretch: int, table: str
) -> None:
    about, by = TABLES[table]
    columns = about.schema.column_names()
    drawn = data.draw(st.lists(st.fixed_dictionaries({name: VALUES[name] for name in columns}), max_size=40))
    frame = pl.DataFrame(drawn, schema={name: TYPES[name] for name in columns}).unique(
        about.schema.primary_key() or None
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "AT_ONCE", stretch)
        patch.setattr(order, "SPARSE", 2)
        found = order.ordered(frame.lazy(), about).collect(engine="streaming")
    assert found.rows() == frame.sort(by).rows()


def test_rows_in_order_are_not_sorted_and_others_are() -> None:
    frame = delivered("parcels", DAY).sort("created_at", "parcel_id").lazy()
    assert "SORT" not in order.ordered(frame, CONTRACT.rows).explain()
    assert "SORT" in order.ordered(frame.reverse(), CONTRACT.rows).explain()


def saved(frame: pl.DataFrame, path: Path, threads: int) -> str:
    """The sha256 of what another process with so many threads makes of a delivery."""
    frame.write_parquet(path)
    code = f"""
import sys
from pathlib import Path
import polars as pl
from {order.__name__} import ordered
from {save.__module__} import save
from {CONTRACT.__class__.__module__.replace("spec", "contract")} import CONTRACT
assert pl.thread_pool_size() == {threads}
save(ordered(pl.scan_parquet(sys.argv[1]), CONTRACT.rows), Path(sys.argv[2]))
"""
    made = path.with_suffix(".saved")
    environment: Any = os.environ | {"POLARS_MAX_THREADS": f"{threads}"}
    subprocess.run([sys.executable, "-c", code, str(path), str(made)], env=environment, check=True)
    return hashlib.sha256(made.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def big() -> pl.DataFrame:
    """More than two row groups, in order."""
    day = delivered("parcels", DAY)
    copies = pl.DataFrame({"copy": [f"-{n}" for n in range(2 * ROW_GROUP // len(day) + 2)]})
    frame = day.join(copies, how="cross").with_columns(pl.col("parcel_id") + pl.col("copy")).drop("copy")
    return frame.with_columns(pl.col("weight_g") + pl.int_range(pl.len()) % 1_000).sort("created_at", "parcel_id")


@pytest.mark.slow
def test_the_bytes_depend_on_the_rows_alone(big: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled = big.sample(fraction=1, shuffle=True, seed=2)
    made = {
        (name, threads): saved(frame, tmp_path / f"{name}-{threads}", threads)
        for name, frame in (("in order", big), ("shuffled", shuffled))
        for threads in (1, 4)
    }
    assert len(set(made.values())) == 1, made
    groups = pq.ParquetFile(tmp_path / "in order-1.saved").metadata
    assert [groups.row_group(n).num_rows for n in range(2)] == [ROW_GROUP, ROW_GROUP]
    monkeypatch.setattr(order, "AT_ONCE", 50_000)
    for engine, rows in (("stretches", order.ordered(shuffled.lazy(), CONTRACT.rows)), ("memory", big)):
        save(rows, tmp_path / engine)
        assert hashlib.sha256((tmp_path / engine).read_bytes()).hexdigest() in made.values(), engine
