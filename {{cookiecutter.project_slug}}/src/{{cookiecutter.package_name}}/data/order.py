"""The order of a partition's rows: by time and key, so that the order of the delivery leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from ..spec import Table
from .streams import AT_ONCE, collected

SPARSE = 997
"""One row of so many is enough to cut by. Five stretches of a million rows take a third of the memory that sorting all
five million takes, and no more time."""


def ordered(rows: pl.LazyFrame, table: Table) -> pl.LazyFrame:
    """``rows`` by time and key, where there is no key by every column; to be written as a whole.

    Rows that are in order already stream from file to file.
    """
    key = table.schema.primary_key() or table.schema.column_names()
    order = list(dict.fromkeys([*([table.time] if table.time else []), *key]))
    number, asunder = collected(rows.select(pl.len(), _out_of_order(order).any())).row(0)
    if not asunder:
        return rows
    if number <= AT_ONCE:
        return rows.sort(order)

    def stretches(*_: Any) -> Iterator[pl.DataFrame]:
        for stretch in _stretches(order[0], rows, number):
            yield collected(rows.filter(stretch).sort(order))

    return register_io_source(stretches, schema=rows.collect_schema())


def _out_of_order(order: list[str]) -> pl.Expr:
    """Whether a row stands before its predecessor; with nulls, which stand first, nobody looks that closely."""
    after: pl.Expr = pl.lit(value=False)
    for name in reversed(order):
        before = pl.col(name).shift(1)
        after = (pl.col(name) < before) | ((pl.col(name) == before) & after)
    return after | pl.any_horizontal(pl.col(name).is_null() for name in order)


def _stretches(name: str, rows: pl.LazyFrame, number: int) -> list[pl.Expr]:
    """Conditions that part the rows by one column, in its order and about evenly."""
    some = collected(rows.select(pl.col(name).gather_every(SPARSE).drop_nulls().sort()))[name]
    parts = -(-number // AT_ONCE)
    cuts = sorted({some[len(some) * part // parts] for part in range(1, parts)}) if len(some) else []
    below = [pl.col(name) < cut for cut in cuts]
    stretches = [upper & ~lower for lower, upper in pairwise(below)]
    return [below[0] | pl.col(name).is_null(), *stretches, ~below[-1]] if below else [pl.lit(value=True)]
