"""A day in figures: whatever its columns hold, and as quickly for millions of rows."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.monitoring import learning, summaries, summary
from {{cookiecutter.package_name}}.monitoring.reference import BLOCKS, OTHER, Reference
from {{cookiecutter.package_name}}.monitoring.summary import (
    Summary,
    levels,
    monitors,
    summarise,
)
from {{cookiecutter.package_name}}.paths import Paths
from {{cookiecutter.package_name}}.spec import Column
from {{cookiecutter.package_name}}.storage import open_storage

DAY = date(2026, 5, 20)
COLUMNS = [
    Column(name="id", kind="key", meaning="the key"),
    Column(name="weight", kind="number", meaning="weight", unit="g", nullable=True),
    Column(name="pieces", kind="integer", meaning="pieces"),
    Column(name="depot", kind="category", meaning="depot", nullable=True),
    Column(name="fragile", kind="flag", meaning="fragile"),
    Column(name="at", kind="time", meaning="when"),
]


def frame(rows: int = 2_000, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    begin = datetime(2026, 5, 20, tzinfo=UTC)
    return pl.DataFrame(
        {
            "id": [str(n) for n in range(rows)],
            "weight": pl.Series(rng.lognormal(7, 1, rows)).set(pl.Series(rng.random(rows) < 0.04), None),
            "pieces": rng.poisson(1.5, rows),
            "depot": rng.choice([f"d{n:02}" for n in range(12)], rows, p=np.arange(12, 0, -1) / 78),
            "fragile": rng.random(rows) < 0.2,
            "at": pl.Series(
                [begin + timedelta(hours=float(hour)) for hour in rng.uniform(6, 20, rows)],
                dtype=pl.Datetime("us", "UTC"),
            ),
        }
    )


@pytest.fixture(scope="module")
def reference() -> Reference:
    return learning.learn("t", COLUMNS, frame(10_000))


def value(said: Summary, name: str) -> float | None:
    return said.values[f"t.{name}"][0]


def test_what_is_watched_of_each_kind_of_column(reference: Reference) -> None:
    names = [monitor.name.removeprefix("t.") for monitor in monitors(reference)]
    assert names[:5] == ["weight.mean", "weight.spread", "weight.nulls", "pieces.mean", "pieces.spread"]
    assert names[5:15] == [*(f"depot.share=d{n:02}" for n in range(8)), f"depot.share={OTHER}", "depot.nulls"]
    assert names[15:] == ["fragile.share", *(f"at.share={block}" for block in BLOCKS)]
    assert {monitor.code for monitor in monitors(reference)} == {f"DRIFT00{n}" for n in range(1, 6)}
    assert {monitor.code for monitor in monitors(reference.model_copy(update={"predictions": True}))} == {"DRIFT006"}


def test_a_day_like_the_reference_is_where_the_reference_is(reference: Reference) -> None:
    said, normal = summarise(frame(seed=1), DAY, reference), levels(reference)
    assert set(said.values) == {monitor.name for monitor in monitors(reference)}
    for name, (seen, sd) in said.values.items():
        assert seen is not None
        assert sd is not None
        assert abs(seen - normal[name]) < 4 * sd + 0.02, name


def test_a_shift_is_seen_in_sds_of_the_reference(reference: Reference) -> None:
    moved = frame(seed=1).with_columns(pl.col("weight") * math.e**0.5)  # half an sd of its logarithm
    said = summarise(moved, DAY, reference)
    assert value(said, "weight.mean") == pytest.approx(0.5, abs=0.1)
    kilograms = summarise(frame(seed=1).with_columns(pl.col("weight") / 1000), DAY, reference)
    assert value(kilograms, "weight.mean") < -3
    assert said.observed("t.weight.mean").words.startswith("median 1,")
    assert said.observed("t.weight.mean").words.endswith(" g")
    wider = summarise(frame(seed=1).with_columns(pl.col("weight") ** 2 / 1_100), DAY, reference)
    assert value(wider, "weight.spread") == pytest.approx(math.log(2), abs=0.25)
    assert "90% within" in wider.observed("t.weight.spread").words


@pytest.mark.parametrize(
    ("column", "values", "wanted"),
    [
        ("weight", [None] * 2_000, {"weight.mean": None, "weight.spread": None, "weight.nulls": 1.0}),
        ("weight", [math.nan] * 2_000, {"weight.mean": None, "weight.nulls": 1.0}),
        ("weight", [5.0] * 2_000, {"weight.spread": math.log(0.01), "weight.nulls": 0.0}),
        ("weight", [math.inf, -math.inf] * 1_000, {"weight.nulls": 0.0}),
        ("depot", ["never seen"] * 2_000, {f"depot.share={OTHER}": math.pi / 2, "depot.share=d00": 0.0}),
        ("depot", [None] * 2_000, {f"depot.share={OTHER}": None, "depot.nulls": 1.0}),
        ("fragile", [True] * 2_000, {"fragile.share": math.pi / 2}),
    ],
    ids=["all null", "all NaN", "constant", "infinities", "a category never seen", "no category", "always set"],
)
def test_whatever_a_column_holds_there_are_figures_or_none(
    reference: Reference, column: str, values: list[Any], wanted: dict[str, float | None]
) -> None:
    rows = frame()
    said = summarise(rows.with_columns(pl.Series(column, values, dtype=rows.schema[column])), DAY, reference)
    for name, expected in wanted.items():
        assert value(said, name) == (None if expected is None else pytest.approx(expected, abs=1e-6)), name
    assert all(seen is None or math.isfinite(seen) for seen, _ in said.values.values())
    assert Summary.model_validate_json(said.model_dump_json()) == said


def test_a_day_of_one_row_and_a_day_of_none(reference: Reference) -> None:
    one = summarise(frame(1), DAY, reference)
    assert value(one, "weight.mean") is not None
    assert one.values["t.weight.mean"][1] == 1.0  # a single value says that little
    assert value(one, "weight.spread") is None
    none = summarise(frame(1).head(0), DAY, reference)
    assert {seen for seen, _ in none.values.values()} == {None}


def test_a_column_that_is_gone_or_became_something_else_has_no_figures(reference: Reference) -> None:
    rows = frame().drop("depot").with_columns(pl.col("weight").cast(pl.String), at=pl.lit("noon"))
    said = summarise(rows, DAY, reference)
    assert {name.split(".")[1] for name in said.values} == {"pieces", "fragile"}


@given(
    st.lists(
        st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324])), min_size=1, max_size=30
    ),
    st.lists(st.one_of(st.none(), st.floats()), max_size=30),
)
def test_no_column_of_numbers_breaks_it(history: list[float | None], today: list[float | None]) -> None:
    columns = [Column(name="x", kind="number", meaning="x", nullable=True)]
    known = pl.DataFrame({"x": pl.Series(history, dtype=pl.Float64)})
    learned = learning.learn("t", columns, known)
    assert Reference.model_validate_json(learned.model_dump_json()) == learned
    assert all(math.isfinite(score) for column in learned.columns for score in (*column.scores, *column.beyond))
    said = summarise(pl.DataFrame({"x": pl.Series(today, dtype=pl.Float64)}), DAY, learned)
    assert all(seen is None or math.isfinite(seen) for seen, _ in said.values.values())


def test_a_column_that_was_constant_shows_that_it_no_longer_is(reference: Reference) -> None:
    columns = [Column(name="x", kind="number", meaning="x")]
    learned = learning.learn("t", columns, pl.DataFrame({"x": [7.0] * 500}))
    same = summarise(pl.DataFrame({"x": [7.0] * 50}), DAY, learned)
    other = summarise(pl.DataFrame({"x": [8.0] * 50}), DAY, learned)
    assert (value(same, "x.mean"), value(other, "x.mean")) == (0.0, 1.0)


def test_many_rows_are_looked_at_in_part_and_counted_whole(reference: Reference, tmp_path: Path) -> None:
    path = tmp_path / "many.parquet"
    rows = frame(summary.MOST // 4, seed=2)
    pl.concat([rows] * 9).write_parquet(path)
    said = summary.of_file(path, DAY, reference, source="abc")
    assert (said.rows, said.source) == (rows.height * 9, "abc")
    whole = summarise(rows, DAY, reference)
    for name, (seen, _) in whole.values.items():
        assert said.values[name][0] == pytest.approx(seen, abs=0.03), name
    assert said.values["t.weight.mean"][1] > 1 / math.sqrt(summary.MOST)
    assert summary.of_file(path, DAY, reference, source="abc") == said


def test_summaries_are_kept_and_torn_ones_are_none(reference: Reference, tmp_path: Path) -> None:
    storage = open_storage("ledger", Paths(tmp_path))
    said = summarise(frame(100), DAY, reference)
    summaries.add({DAY: said}, "t", storage)
    assert summaries.read("t", storage) == {DAY: said.model_copy(update={"shares": {}})}
    many = {DAY + timedelta(days=n): said for n in range(summaries.KEPT + 3)}
    summaries.add(many, "t", storage)
    assert list(summaries.read("t", storage)) == list(many)[3:], "the oldest are let go"
    storage.write(summaries.key("t"), b'{"2026-')
    assert summaries.read("t", storage) == {}
