"""Long requests straight into columns: a thousand rows in 0.8 ms, as columns in 0.5; a model instance a row takes 2.

msgspec parses them by types that know a number from a text, and little more. Then a column is looked at as a whole: its
smallest and largest value, which texts it holds. What is plainly within the contract is taken. At the slightest doubt
nothing is, and the request model decides, as it does for short requests: no refusal comes from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from pydantic import AwareDatetime, TypeAdapter

from ..spec import Column
from .columnar import ColumnRows

LONG = 8192
"""Bytes of a body from which on columns are quicker; some 40 rows."""
EXACT = 2.0**53
"""Beyond it not every whole number is a float64, and two parsers may round one differently."""
MOMENT = re.compile(r"[1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3}|\.\d{6})?Z", re.ASCII)
NUMBERS = {"number": float, "integer": int, "flag": bool}
"""Types of the kinds that are numbers to features; the others are texts."""


class Doubt(Exception):
    """Not plainly within the contract."""


class Intake:
    """Takes what satisfies ``columns``. ``texts`` parses a list of a column's strings where it has a pattern."""

    def __init__(self, columns: Sequence[Column], texts: Mapping[str, TypeAdapter[Any]]) -> None:
        self._columns, self._texts = columns, texts
        row = _struct("Row", {column.name: _value(column) for column in columns})
        lists = _struct("Lists", {column.name: _list(column) for column in columns})
        self._rows = msgspec.json.Decoder(list[row])  # pyrefly: ignore
        self._lists = msgspec.json.Decoder(_struct("Columns", {"columns": (lists,)}))
        self._moments = TypeAdapter(list[AwareDatetime | None])

    def rows(self, body: bytes) -> ColumnRows | None:
        """The rows of an array of objects; None in doubt."""
        try:
            rows = self._rows.decode(body)
            columns = map(list, zip(*map(msgspec.structs.astuple, rows), strict=True))
            return self._taken(columns, len(rows)) if rows else None
        except (Doubt, msgspec.DecodeError, ValueError, TypeError, OverflowError):
            return None

    def columns(self, body: bytes) -> ColumnRows | None:
        """The rows of one array a field; None in doubt."""
        try:
            (lists,) = msgspec.structs.astuple(self._lists.decode(body))
            given = msgspec.structs.astuple(lists)
            (length,) = {len(values) for values in given if values is not None}
            columns = ([None] * length if values is None else values for values in given)
            return self._taken(columns, length, sent_as_columns=True) if length else None
        except (Doubt, msgspec.DecodeError, ValueError, TypeError, OverflowError):
            return None

    def _taken(self, given: Iterable[list[Any]], length: int, *, sent_as_columns: bool = False) -> ColumnRows:
        columns: dict[str, list[Any]] = {}
        arrays: dict[str, np.ndarray] = {}
        as_text = set()
        for column, values in zip(self._columns, given, strict=True):
            name = column.name
            columns[name] = values
            if column.kind in NUMBERS:
                arrays[name] = _numbers(column, values)
            elif column.kind == "time":
                columns[name], seconds = self._times(values)
                if seconds is not None:
                    arrays[name] = seconds
                    as_text.add(name)
            else:
                self._check_texts(column, values)
        return ColumnRows(columns, length, arrays, frozenset(as_text), sent_as_columns=sent_as_columns)

    def _times(self, values: list[Any]) -> tuple[list[Any], np.ndarray | None]:
        """The moments; or the texts themselves, with their seconds since 1970, where all are in one form."""
        seconds = None if None in values else _seconds(values)
        return (self._moments.validate_python(values), None) if seconds is None else (values, seconds)

    def _check_texts(self, column: Column, values: Sequence[Any]) -> None:
        texts = set(values) - {None}
        if column.allowed is not None:
            if not texts <= set(column.allowed):
                raise Doubt
        elif column.pattern is not None:
            self._texts[column.name].validate_python(list(texts))
        elif texts and (column.min_length is not None or column.max_length is not None):
            plain = "".join(texts).isascii()
            sizes = set(map(len, texts)) if plain else {len(text.encode()) for text in texts}
            if min(sizes) < (column.min_length or 0) or max(sizes) > (column.max_length or max(sizes)):
                raise Doubt


def _value(column: Column) -> tuple[Any, ...]:
    """Type of a row's value, and what stands for one that was left out."""
    kind: Any = NUMBERS.get(column.kind, str)
    return (kind | None, None) if column.nullable or column.kind == "key" else (kind,)


def _list(column: Column) -> tuple[Any, ...]:
    kind, *default = _value(column)
    return (list[kind] | None, None) if default else (list[kind],)  # pyrefly: ignore


def _struct(name: str, fields: Mapping[str, tuple[Any, ...]]) -> type[msgspec.Struct]:
    """A type of fields, whatever their names are: to Python they are numbered."""
    numbered = {f"field_{number}": said for number, said in enumerate(fields)}
    return msgspec.defstruct(
        name,
        [(field, *fields[said]) for field, said in numbered.items()],
        rename=numbered,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _numbers(column: Column, values: list[Any]) -> np.ndarray:
    """The values as float64, NaN for null."""
    array = np.array(values, dtype=np.float64)
    low, high = float(np.fmin.reduce(array)), float(np.fmax.reduce(array))
    within = (
        (low > -EXACT and high < EXACT)
        and (column.minimum is None or low >= column.minimum)
        and (column.above is None or low > column.above)
        and (column.maximum is None or high <= column.maximum)
        and (column.below is None or high < column.below)
    )
    if not (within or np.isnan(low)):  # as it is where all are null
        raise Doubt
    return array


def _seconds(values: Sequence[str]) -> np.ndarray | None:
    """Seconds since 1970-01-01 UTC of texts like ``2026-06-01T09:30:00Z``, all in one form; None for other forms."""
    first = values[0]
    if not MOMENT.fullmatch(first) or set(map(len, values)) != {len(first)}:
        return None
    characters = np.frombuffer("".join(values).encode("ascii"), dtype=np.uint8).reshape(len(values), -1)
    marks = [place for place, character in enumerate(first) if not character.isdigit()]
    digits = characters[:, [place for place in range(len(first)) if place not in marks]] - np.uint8(ord("0"))
    if (digits > 9).any() or not (digits[:, 0].all() and (characters[:, marks] == characters[0, marks]).all()):
        return None
    # without the Z, which numpy takes for a zone; it parses them as a block three times as quickly as one by one
    plain = np.ascontiguousarray(characters[:, :-1]).view(f"S{len(first) - 1}").ravel()
    return plain.astype("datetime64[us]").astype(np.int64) / 1e6
