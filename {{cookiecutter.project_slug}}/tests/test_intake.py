"""Long requests go straight into columns: taken is what the request model would take, and refused what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from entries import CONTRACT_OF_HOURS
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.model import request
from {{cookiecutter.package_name}}.model.batch import from_rows
from {{cookiecutter.package_name}}.model.columnar import ColumnRows
from {{cookiecutter.package_name}}.model.intake import LONG
from {{cookiecutter.package_name}}.model.request import RequestModel, RequestRefused
from {{cookiecutter.package_name}}.spec import Column, ModelContract

ODD = [
    Column(name="code", kind="category", meaning="", pattern="^[a-z]+[0-9]$", example="ab1"),
    Column(name="free", kind="category", meaning="", nullable=True, example="anything"),
    Column(name="level", kind="category", meaning="", nullable=True, allowed=["low", "high"], example="low"),
    Column(name="count", kind="integer", meaning="", minimum=0, below=100, nullable=True, example=7),
    Column(name="any", kind="number", meaning="", example=0.5),
    Column(name="above", kind="number", meaning="", above=0, maximum=10, example=0.5),
    Column(name="is", kind="flag", meaning="", nullable=True, example=True),
    Column(name="seen_at", kind="time", meaning="", nullable=True, example="2026-06-01T09:30:00.250Z"),
]
CONTRACT = ModelContract(
    version="1", table="t", columns=[*CONTRACT_OF_HOURS.columns, *ODD], target=CONTRACT_OF_HOURS.target
)
MODEL = RequestModel(CONTRACT)
NAMES = list(MODEL.columns)
ROWS = 9
VALUES = [
    "null", "true", "false", "0", "-0", "-0.0", "1", "2", "7.0", "1e2", "0.1", "100", "10", "70000", "70000.1", "-1",
    "NaN", "Infinity", "-Infinity", "1e999", "9007199254740993", "123456789012345678901", "1" * 400, "1" * 5000,
    "[]", "{}", "[1]", '""', '"x"', '"ab1"', '"ab"', '"low"', '"north"', '"express"', '"économe"', '"1"', '"true"',
    '"\\ud83d\\ude00"', '"\\ud800"', f'"{"x" * 40}"', f'"{"x" * 41}"', f'"{"é" * 20}"', f'"{"é" * 21}"',
    '"2026-06-01T09:30:00Z"', '"2026-06-01T09:30:00.5Z"', '"2026-06-01T09:30:00+02:00"', '"2026-06-01T09:30:00"',
    '"2026-13-01T09:30:00Z"', '"2026-02-29T09:30:00Z"', '"2024-02-29T09:30:00Z"', '"2026-06-01T24:00:00Z"',
    '"2026-06-01T09:30:60Z"', '"2026-06-01 09:30:00Z"', '"2026-06-01T09:30:00z"', '"2026-06-01T09:30:00.000001Z"',
    '"0000-06-01T09:30:00Z"', '"0001-06-01T09:30:00Z"', '"9999-12-31T23:59:59Z"', '"1717234200"', "1717234200",
    '"\uff12026-06-01T09:30:00Z"', '"2026-06-01T09:30:0\uff10Z"', '"1969-12-31T23:59:59Z"',
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def everything_is_long() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request, "LONG", 64)
        yield


def plainly(body: bytes) -> Sequence[dict[str, Any]]:
    """The request model alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request, "LONG", len(body) + 1)
        return MODEL.parse(body)


def told(parse: Any, body: bytes) -> Any:
    try:
        return parse(body)
    except RequestRefused as refused:
        return refused.refusals


def text(rows: list[dict[str, str]], columnar: bool) -> bytes:
    """Rows whose values are JSON already; NaN is no JSON, and some clients send it."""
    if columnar:
        columns = (f'"{name}": [{", ".join(row[name] for row in rows)}]' for name in rows[0])
        return ('{"columns": {' + ", ".join(columns) + "}}").encode()
    lines = ("{" + ", ".join(f'"{name}": {value}' for name, value in row.items()) + "}" for row in rows)
    return f"[{', '.join(lines)}]".encode()


def rows_of() -> list[dict[str, str]]:
    return [{name: json.dumps(value) for name, value in MODEL.example().items()} | {"count": "7"} for _ in range(ROWS)]


def agree(body: bytes) -> bool:
    """Hold both against each other. Returns whether columns were taken."""
    found, wanted = told(MODEL.parse, body), told(plainly, body)
    if not isinstance(wanted, ColumnRows) and not isinstance(wanted[0], dict):
        assert found == wanted
        return False
    assert list(found) == list(wanted)
    for mine, its in zip(found, wanted, strict=True):
        assert [type(value) for value in mine.values()] == [type(value) for value in its.values()]
    assert isinstance(found, ColumnRows) or not isinstance(wanted, ColumnRows)
    if isinstance(found, ColumnRows):
        assert found.sent_as_columns is body.startswith(b"{") and list(found)[3] == found[3]
    features = CONTRACT.features
    for name, array in from_rows(features, found).items():
        its = from_rows(features, wanted)[name]
        assert array.dtype == its.dtype
        if array.dtype == object:
            assert array.tolist() == its.tolist(), name
        else:
            assert np.array_equal(array.view(np.int64), its.view(np.int64)), name
    return isinstance(found, ColumnRows) and bool(found.arrays)


@settings(max_examples=400, deadline=None, derandomize=True, phases=[Phase.generate])
@given(data=st.data(), columnar=st.booleans())
def test_whatever_stands_in_a_long_request_it_is_answered_as_before(data: st.DataObject, columnar: bool) -> None:
    rows = rows_of()
    for _ in range(data.draw(st.integers(1, 3))):
        name, value = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(VALUES))
        where = data.draw(st.sampled_from(["one", "all", "half"]))
        for number, row in enumerate(rows):
            if where == "all" or (number % 2 if where == "half" else number == 7):
                row[name] = value
    agree(text(rows, columnar))


@pytest.mark.parametrize("columnar", [True, False])
def test_every_value_in_every_column_is_taken_or_refused_as_before(columnar: bool) -> None:
    taken = sum(
        agree(text([row | {name: value} if n == 7 else row for n, row in enumerate(rows_of())], columnar))
        for name in NAMES
        for value in VALUES
    )
    assert taken > len(NAMES), "columns are taken where nothing is in doubt"


@pytest.mark.parametrize("columnar", [True, False])
@pytest.mark.parametrize("left_out", [[], ["free"], ["parcel_id", "customer_age_days", "count", "seen_at"], ["any"]])
def test_fields_that_may_be_left_out_are(left_out: list[str], columnar: bool) -> None:
    rows = [{name: value for name, value in row.items() if name not in left_out} for row in rows_of()]
    assert agree(text(rows, columnar)) is ("any" not in left_out)


@pytest.mark.parametrize(
    "body",
    [
        text([*rows_of(), {"any": "1"}], columnar=False),
        text([*rows_of(), rows_of()[0] | {"colour": '"red"'}], columnar=False),
        text([row | {"colour": '"red"'} for row in rows_of()], columnar=False),
        text([row | {"colour": '"red"'} for row in rows_of()], columnar=True),
        text(rows_of(), columnar=False)[:-1] + b", 3]",
        text(rows_of(), columnar=False)[:-1] + b", null]",
        text(rows_of(), columnar=False)[:-1] + b",]",
        text(rows_of(), columnar=False) + b"x",
        text(rows_of(), columnar=False)[:-5],
        text(rows_of(), columnar=False).replace(b'"any": 0.5', b'"any": "x", "any": 0.5'),
        text(rows_of(), columnar=False).replace(b'"any": 0.5', b'"any": 0.5, "any": "x"'),
        text(rows_of(), columnar=True).replace(b'"any": [', b'"any": [1], "any": ['),
        text(rows_of(), columnar=True)[:-1] + b', "columns": {}}',
        text(rows_of(), columnar=True)[:-1] + b', "more": 1}',
        text(rows_of(), columnar=True).replace(b'"any": [0.5, ', b'"any": ['),
        text(rows_of(), columnar=True).replace(b'"any": [0.5, ', b'"any": {}, "x": ['),
        text(rows_of(), columnar=True).replace(b"[0.5, ", b"[[0.5], "),
        b"[" * 90,
        b'{"columns": {' + b" " * 90 + b"}}",
        b'{"columns": {"any": [' + b" " * 90 + b"]}}",
        b"[" + b" " * 90 + b"]",
        b"[" + b"{}, " * 40 + b"{}]",
        b"\xff" + text(rows_of(), columnar=False),
        b"[\xff" + text(rows_of(), columnar=False)[1:],
        b" \n" + text(rows_of(), columnar=False),
    ],
    ids=lambda body: f"{len(body)} bytes",
)
def test_what_is_no_rectangle_of_the_contracts_fields_is_answered_as_before(body: bytes) -> None:
    assert len(body) >= request.LONG
    agree(body)


def test_short_requests_never_come_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "LONG", LONG)
    monkeypatch.setattr(MODEL, "_intake", None)
    assert len(MODEL.parse(text(rows_of()[:3], columnar=False))) == 3


def test_who_computes_features_may_do_as_it_likes_with_its_columns() -> None:
    rows = MODEL.parse(text(rows_of(), columnar=False))
    from_rows(CONTRACT.features, rows)["any"][:] = np.nan
    assert (from_rows(CONTRACT.features, rows)["any"] == 0.5).all()
    assert isinstance(rows, ColumnRows) and isinstance(rows[0]["created_at"], datetime)
