"""Many rows in the form that is quickest to parse: one array a field, ``{"columns": {"weight_g": [1200, 800], …}}``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, overload

import numpy as np

COLUMNAR = re.compile(rb'\s*\{\s*"columns"\s*:\s*\{')
"""How such a body begins. A row never does: none of a contract's columns holds an object."""


class ColumnRows(Sequence[dict[str, Any]]):
    """Rows that are kept as columns, and made only where somebody asks for one.

    ``arrays`` holds columns as features read them, where they are at hand: float64 of shape (length,), times in seconds
    since 1970-01-01 UTC. ``texts`` names columns of times that are still ISO texts; a row has datetimes.
    ``sent_as_columns``: and not as rows that are kept in this way.
    """

    def __init__(
        self,
        columns: Mapping[str, list[Any]],
        length: int,
        arrays: Mapping[str, np.ndarray] | None = None,
        texts: frozenset[str] = frozenset(),
        *,
        sent_as_columns: bool = False,
    ) -> None:
        self.columns, self.arrays = columns, arrays or {}
        self.sent_as_columns = sent_as_columns
        self._length, self._texts = length, texts

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._length))]
        return self._row(values[index] for values in self.columns.values())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._row, zip(*self.columns.values(), strict=True))

    def _row(self, values: Iterable[Any]) -> dict[str, Any]:
        row = dict(zip(self.columns, values, strict=True))
        for name in self._texts:
            row[name] = datetime.fromisoformat(row[name])
        return row
