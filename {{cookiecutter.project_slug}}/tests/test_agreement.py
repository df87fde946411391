"""Table and API speak one contract: what one takes the other takes, what one refuses the other refuses."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import dataframely as dy
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from {{cookiecutter.package_name}} import sample_upstream
from {{cookiecutter.package_name}}.contract import CONTRACT
from {{cookiecutter.package_name}}.data import describe as described
from {{cookiecutter.package_name}}.data.validation import check
from {{cookiecutter.package_name}}.data.violations import ContractViolated
from {{cookiecutter.package_name}}.errors import ProjectError
from {{cookiecutter.package_name}}.model.request import RequestModel, RequestRefused
from {{cookiecutter.package_name}}.spec import Column, ModelContract, Table, TargetSpec

from conftest import DAY

COLUMNS = {column.name: column for column in described.request_columns(CONTRACT)}
REQUEST = RequestModel(described.model_contract(CONTRACT, next(iter(CONTRACT.targets)), 0.5))
DELIVERED = sample_upstream.table(CONTRACT.rows.name, DAY)
"""A whole good day around the rows under test, so that bounds on quantiles and shares hold."""
CHARACTERS = st.characters(codec="utf-8")
MIDNIGHT = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)


def good(column: Column) -> st.SearchStrategy[Any]:
    """Everything that the contract allows in a column."""
    if column.allowed is not None:
        values: st.SearchStrategy[Any] = st.sampled_from(column.allowed)
    elif column.kind in ("category", "key"):
        longest = column.max_length or 30
        texts = st.text(CHARACTERS, min_size=column.min_length or 0, max_size=longest // 4)
        values = texts | CHARACTERS.map(lambda character: character * (longest // len(character.encode())))
    elif column.kind == "flag":
        values = st.booleans()
    elif column.kind == "time":
        values = st.timedeltas(timedelta(0), timedelta(days=1, microseconds=-1)).map(lambda after: MIDNIGHT + after)
    elif column.kind == "integer":
        values = st.integers(int(column.minimum or 0), int(column.maximum or 2**31 - 1))
    else:
        values = st.floats(column.minimum, column.maximum, allow_nan=False, allow_infinity=False)
    return st.none() | values if column.nullable else values


def bad(column: Column) -> st.SearchStrategy[Any]:
    """Values of the right type that the contract refuses; nothing where it refuses none."""
    ways: list[st.SearchStrategy[Any]] = [] if column.nullable or column.kind == "key" else [st.none()]
    if column.kind == "number":
        ways.append(st.sampled_from([math.nan, math.inf, -math.inf]))
        if column.minimum is not None:
            ways.append(st.floats(max_value=column.minimum, exclude_max=True, allow_infinity=False))
        if column.maximum is not None:
            ways.append(st.floats(min_value=column.maximum, exclude_min=True, allow_infinity=False))
    if column.allowed is not None:
        allowed = column.allowed
        ways.append(st.text(CHARACTERS).filter(lambda text: text not in allowed))
    elif column.max_length is not None:
        longest = column.max_length
        ways.append(CHARACTERS.map(lambda character: character * (longest // len(character.encode()) + 1)))
    if column.min_length:
        ways.append(st.just(""))
    return st.one_of(ways)


good_rows = st.fixed_dictionaries({name: good(column) for name, column in COLUMNS.items()})


def refused_by_table(rows: list[dict[str, Any]]) -> set[str]:
    """The columns that the table check refuses when ``rows`` stand in a day that is good otherwise."""
    hidden = {name: None for name in DELIVERED.columns if name not in COLUMNS}
    top = pl.DataFrame([row | hidden for row in rows], schema=DELIVERED.schema)
    keys = CONTRACT.rows.schema.primary_key()
    top = top.unique(keys, keep="first", maintain_order=True) if keys else top
    rest = DELIVERED.slice(len(top))
    frame = pl.concat([top, rest.join(top, on=keys, how="anti") if keys else rest])
    try:
        check(frame.lazy(), CONTRACT.rows, CONTRACT.version, DAY)
    except ContractViolated as refused:
        return {violation.column for violation in refused.violations}
    return set()


def refused_by_api(rows: list[dict[str, Any]]) -> set[str]:
    """The fields that the request model refuses in the same rows, sent as JSON."""
    body = json.dumps(rows, default=lambda moment: moment.isoformat()).encode()
    try:
        parsed = REQUEST.parse(body)
    except RequestRefused as refused:
        return {refusal.field for refusal in refused.refusals}
    assert parsed == rows
    return set()


@given(st.lists(good_rows, min_size=1, max_size=8))
def test_rows_within_the_bounds_are_taken_by_both(rows: list[dict[str, Any]]) -> None:
    assert refused_by_table(rows) == set()
    assert refused_by_api(rows) == set()


@given(st.data())
def test_a_row_broken_in_one_way_is_refused_by_both_for_that_column(data: st.DataObject) -> None:
    row = data.draw(good_rows)
    breakable = [column for column in COLUMNS.values() if not bad(column).is_empty]
    column = data.draw(st.sampled_from(breakable))
    row[column.name] = data.draw(bad(column))
    assert refused_by_table([row]) == {column.name}
    assert refused_by_api([row]) == {column.name}


@given(good_rows, st.sampled_from(sorted(COLUMNS)))
def test_a_renamed_column_is_refused_by_both(row: dict[str, Any], name: str) -> None:
    with pytest.raises(ContractViolated) as refused:
        check(DELIVERED.lazy().rename({name: f"{name}_x"}), CONTRACT.rows, CONTRACT.version, DAY)
    assert {violation.column for violation in refused.value.violations} == {name}
    required = not COLUMNS[name].nullable and COLUMNS[name].kind != "key"
    renamed = {f"{name}_x" if key == name else key: value for key, value in row.items()}
    assert refused_by_api([renamed]) == ({name, f"{name}_x"} if required else {f"{name}_x"})


@pytest.mark.parametrize(
    ("kind", "wrong"), [("number", "12.5"), ("flag", 1), ("category", 12), ("time", "2026-05-20T09:30:00")]
)
def test_another_type_is_refused_by_both(kind: str, wrong: Any) -> None:
    name = next(column.name for column in COLUMNS.values() if column.kind == kind)
    values = [datetime(2026, 5, 20, 9, 30)] if kind == "time" else [wrong]  # noqa: DTZ001 - a time without zone
    frame = DELIVERED.with_columns(pl.Series(name, values * len(DELIVERED)))
    with pytest.raises(ContractViolated) as refused:
        check(frame.lazy(), CONTRACT.rows, CONTRACT.version, DAY)
    assert {violation.column for violation in refused.value.violations} == {name}
    assert refused_by_api([REQUEST.example() | {name: wrong}]) == {name}


class Unbounded(dy.Schema):
    """Columns of which the contract says nothing but the type."""

    x = dy.Float64()
    n = dy.Int64()
    text = dy.String()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_a_number_without_bounds_is_a_finite_number_to_both(value: Any) -> None:
    table = Table("t", Unbounded)
    target = TargetSpec(name="y", task="regression", meaning="")
    request = RequestModel(ModelContract(version="1", table="t", columns=described.describe(table), target=target))
    row = {"x": value, "n": 1, "text": ""}
    with pytest.raises(ContractViolated) as refused:
        check(pl.LazyFrame([row], schema={"x": pl.Float64, "n": pl.Int64, "text": pl.String}), table, "1", DAY)
    assert [violation.column for violation in refused.value.violations] == ["x"]
    with pytest.raises(RequestRefused) as said:
        request.parse(json.dumps(row).encode())
    assert [refusal.field for refusal in said.value.refusals] == ["x"]


class Odd(dy.Schema):
    """One column for each promise that the API could not keep."""

    checked = dy.Float64(check=lambda x: x > 1)
    nan = dy.Float64(allow_nan=True)
    local = dy.Datetime()
    since = dy.Datetime(time_zone="UTC", min=datetime(2026, 1, 1, tzinfo=UTC))
    many = dy.List(dy.Float64())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("checked", "has a check=, which a request cannot carry"),
        ("nan", "allows NaN or infinity, which JSON cannot carry"),
        ("local", "is a time without zone"),
        ("since", "bounds on times are not supported"),
        ("many", "is a List, which has no place in a model"),
    ],
)
def test_a_promise_that_only_one_of_them_could_keep_is_refused(name: str, said: str) -> None:
    one = type("One", (dy.Schema,), {name: Odd.columns()[name]})
    with pytest.raises(ProjectError) as refused:
        described.describe(Table("t", one))
    assert f"contract.py: t.{name}" in refused.value.message
    assert said in refused.value.message
    assert refused.value.hint
