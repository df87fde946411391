"""One streaming pass finds what dataframely's own filter finds, row by row and word by word."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dataframely as dy
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.contract import CONTRACT
from {{cookiecutter.package_name}}.data import rules, validation
from {{cookiecutter.package_name}}.data.describe import describe
from {{cookiecutter.package_name}}.data.violations import ContractViolated
from {{cookiecutter.package_name}}.sample_upstream import table as delivered
from {{cookiecutter.package_name}}.spec import Table, about

import reference
from conftest import DAY

MIDNIGHT = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
TYPICAL = about("", unit="g", typical={0.05: (1, None), 0.5: (10, 60)})
OPEN = about("", known=["north", "south"], unseen_share=0.1)
MANY = [f"level {number}" for number in range(rules.FEW + 1)]


class Plain(dy.Schema):
    """Every kind of column and bound that a contract may have."""

    at = dy.Datetime(time_zone="UTC", nullable=True)
    amount = dy.Float64(nullable=True, min=0, max=100, metadata=TYPICAL)
    ratio = dy.Float64(min_exclusive=-1, max_exclusive=1)
    count = dy.Int64(min=0, max=10)
    level = dy.Enum(["low", "high"])
    many = dy.Enum(MANY, nullable=True)
    open = dy.String(nullable=True, min_length=1, max_length=5, metadata=OPEN)
    code = dy.String(regex="^[a-z]+$")
    flag = dy.Bool(nullable=True)
    free = dy.Float64(nullable=True)


class Keyed(Plain):
    """The same with a key, and a rule for single rows that reads a closed category as one."""

    id = dy.String(primary_key=True)

    @dy.rule()
    def high_counts(cls) -> pl.Expr:
        return (pl.col("level") != "high") | (pl.col("count") > 0)


class Paired(Plain):
    """The same with a key of two columns, a rule for groups of rows, and one for all rows together."""

    id = dy.String(primary_key=True)
    part = dy.Int64(primary_key=True, min=0)

    @dy.rule()
    def few_a_code(cls) -> pl.Expr:
        return pl.len().over("code") < 30

    @dy.rule()
    def counts_on_average(cls) -> pl.Expr:
        return pl.col("count").mean() > 1


SCHEMAS: list[type[dy.Schema]] = [Plain, Keyed, Paired]
RULES = sorted({rule for schema in SCHEMAS for rule in rules.row_rules(schema)})
DEFECTS: dict[str, list[Any]] = {
    "at": [None, MIDNIGHT - timedelta(microseconds=1), MIDNIGHT + timedelta(days=1), MIDNIGHT + timedelta(days=40)],
    "amount": [None, -1.0, 0.001, 1.0, 10.0, 60.0, 101.0, 5e5, float("nan"), float("inf"), -float("inf")],
    "ratio": [None, -1.0, 1.0, float("nan"), float("inf")],
    "count": [None, -1, 0, 11],
    "level": [None, "High", "other"],
    "many": [None, "level", "Level 3"],
    "open": [None, "", "far away", "canal", "south"],
    "code": [None, "", "A1", "é"],
    "flag": [None],
    "free": [None, float("nan"), float("inf")],
    "id": [None, "k0", "k1"],
    "part": [None, 0, -1],
}
ROW_DEFECTS = {name: values for name, values in DEFECTS.items() if name not in ("at", "level", "many")}
ENCODINGS = st.sampled_from([pl.String, pl.Categorical])


def rows(schema: type[dy.Schema], number: int) -> pl.DataFrame:
    """Rows that keep every rule of the schema."""
    values = {
        "at": [MIDNIGHT + timedelta(hours=n % 24) for n in range(number)],
        "amount": [20.0 + n % 7 for n in range(number)],
        "ratio": [0.5] * number,
        "count": [3] * number,
        "level": [("low", "high")[n % 2] for n in range(number)],
        "many": [MANY[n % len(MANY)] for n in range(number)],
        "open": [("north", "south")[n % 2] for n in range(number)],
        "code": ["abc"[n % 3] for n in range(number)],
        "flag": [n % 2 == 0 for n in range(number)],
        "free": [1.0] * number,
        "id": [f"k{n}" for n in range(number)],
        "part": [1] * number,
    }
    types = {"at": pl.Datetime("us", "UTC")}
    return pl.DataFrame({name: values[name] for name in schema.column_names()}, schema_overrides=types)


@st.composite
def deliveries(draw: st.DrawFn, defects: dict[str, list[Any]]) -> tuple[pl.DataFrame, Table]:
    """A good delivery in which some values became others, and a table that tolerates some of it."""
    schema = draw(st.sampled_from(SCHEMAS))
    number = draw(st.integers(1, 40))
    frame = rows(schema, number)
    possible = [(name, value) for name, values in defects.items() if name in frame.columns for value in values]
    for name, value in draw(st.lists(st.sampled_from(possible), max_size=4)):
        where = draw(st.lists(st.integers(0, number - 1), max_size=number, unique=True))
        changed = pl.Series(name, [value], dtype=frame.schema[name])[0]
        frame = frame.with_columns(
            pl.when(pl.int_range(pl.len()).is_in(where)).then(pl.lit(changed)).otherwise(name).alias(name)
        )
    frame = frame.with_columns(pl.col(name).cast(draw(ENCODINGS)) for name in ("level", "open"))
    shares = st.sampled_from([0.02, 0.1, 0.5, 1.0])
    tolerated = draw(st.dictionaries(st.sampled_from(RULES), shares, max_size=6))
    return frame, Table("things", schema, time=draw(st.sampled_from([None, "at"])), tolerated=tolerated)


def outcome(check: Any, given: Any, table: Table) -> Any:
    """What a check has to say: its refusal, or the rows it takes and those it sets aside."""
    try:
        checked = check(given, table, "1", DAY)
    except ContractViolated as refused:
        return str(refused), refused.report(), refused.stale
    good, aside = (frame.lazy().collect().to_dict(as_series=False) for frame in (checked.good, checked.aside))
    return str(good), str(aside), checked.good.lazy().collect_schema(), checked.tolerated  # as text, NaN equals NaN


def first(name: str, value: Any, n: int, of: int) -> pl.DataFrame:
    """Rows of which the first ``n`` have another value in one column."""
    return rows(Keyed, of).with_columns(
        pl.when(pl.int_range(pl.len()) < n).then(pl.lit(value)).otherwise(name).alias(name)
    )


@given(deliveries(DEFECTS))
@example((first("count", -1, 1, 10), Table("exactly the share", Keyed, tolerated={"count|min": 0.1})))
@example((first("count", -1, 2, 10), Table("more than the share", Keyed, tolerated={"count|min": 0.1})))
@example((first("amount", 60.0, 10, 10), Table("a median on its bound", Keyed)))
@example((first("amount", 10.0, 10, 10), Table("a median on its bound", Keyed)))
@example((first("amount", 0.5, 1, 20), Table("exactly five percent below", Keyed)))
@example((first("amount", 0.5, 2, 20), Table("ten percent below", Keyed)))
@example((first("open", "canal", 1, 10), Table("exactly the unseen share", Keyed)))
def test_the_streaming_check_says_what_the_slow_one_says(made: tuple[pl.DataFrame, Table]) -> None:
    frame, table = made
    assert outcome(validation.check, frame.lazy(), table) == outcome(reference.check, frame, table)


@given(deliveries(DEFECTS))
def test_a_file_is_judged_as_the_rows_in_it(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[pl.DataFrame, Table]
) -> None:
    frame, table = made
    path = tmp_path_factory.getbasetemp() / "delivery.parquet"
    frame.write_parquet(path, row_group_size=7)
    assert outcome(validation.check, pl.scan_parquet(path), table) == outcome(reference.check, frame, table)


@given(deliveries(ROW_DEFECTS))
@example((rows(Keyed, 3), Table("things", Keyed)))
def test_every_rule_is_broken_by_as_many_rows_as_dataframely_counts(made: tuple[pl.DataFrame, Table]) -> None:
    frame, table = made
    columns = {column.name: column for column in describe(table)}
    given = frame.with_columns(pl.col("level", "open").cast(pl.String))
    counted = rules.count(given.lazy(), table, columns, DAY)
    _, failure = table.schema.filter(given, cast=True)
    assert (counted.broken, list(counted.broken)) == (failure.counts(), list(failure.counts()))
    assert counted.rows == len(frame)


def test_the_kinds_of_defects_above_break_every_rule_there_is() -> None:
    broken = set()
    for schema in SCHEMAS:
        for name, values in ROW_DEFECTS.items():
            for value in values if name in schema.column_names() else []:
                frame = rows(schema, 40).with_columns(pl.lit(value, dtype=rows(schema, 1).schema[name]).alias(name))
                broken |= set(schema.filter(frame, cast=True)[1].counts())
    closed = {f"{name}|nullability" for name in ("level",)}
    assert set(RULES) - broken - closed == set()


@pytest.mark.parametrize("table", CONTRACT.tables.values(), ids=list(CONTRACT.tables))
def test_dataframely_names_all_its_rules_where_we_ask_it(table: Table) -> None:
    """If this fails, a new dataframely keeps its rules elsewhere: row_rules in data/rules.py has to follow."""
    frame = delivered(table.name, DAY).with_columns(pl.lit(None, dtype=pl.String).alias("parcel_id"))
    _, failure = table.schema.filter(frame, cast=True)
    said = [name for name in failure.details().columns if name not in table.schema.column_names()]
    assert list(rules.row_rules(table.schema)) == [name for name in said if not name.endswith("|dtype")]


def test_keys_whose_hashes_repeat_by_chance_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_repeated", lambda hashes: hashes.head(3))
    for schema in (Keyed, Paired):
        assert outcome(validation.check, rows(schema, 9).lazy(), Table("things", schema))[3] == {}


def test_a_day_is_24_hours_of_utc_to_the_microsecond() -> None:
    ends = pl.LazyFrame({"at": [MIDNIGHT, MIDNIGHT + timedelta(days=1, microseconds=-1)]})
    assert ends.select(rules.on_another_day("at", DAY).sum()).collect().item() == 0
    assert ends.select(rules.on_another_day("at", date(2026, 5, 21)).sum()).collect().item() == 2
