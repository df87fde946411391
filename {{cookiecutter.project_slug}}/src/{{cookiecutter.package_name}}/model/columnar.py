"""Many rows in the form that is quickest to parse: one array a field, ``{"columns": {"weight_g": [1200, 800], …}}``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

COLUMNAR = re.compile(rb'\s*\{\s*"columns"\s*:\s*\{')
"""How such a body begins. A row never does: none of a contract's columns holds an object."""


class ColumnRows(Sequence[dict[str, Any]]):
    """Rows that are kept as columns, and made only where somebody asks for one."""

    def __init__(self, columns: Mapping[str, list[Any]], length: int) -> None:
        self.columns = columns
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._length))]
        return {name: values[index] for name, values in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = list(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))
