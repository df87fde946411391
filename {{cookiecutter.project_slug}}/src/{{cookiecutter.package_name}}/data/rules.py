"""A table's rules as expressions, and one streaming pass that counts the rows which break them."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from math import isfinite

import dataframely as dy
import numpy as np
import polars as pl

from ..spec import Column, Table
from .streams import collected

PRIMARY_KEY = "primary_key"
BOUNDS = ("min", "min_exclusive", "max", "max_exclusive")
FEW = 8
"""Up to so many levels, comparing with each costs a third of looking all of them up: 8 ms against 20 a million rows."""


@dataclass(frozen=True)
class Counted:
    """What one pass found. Of ``broken``, ``outside`` and ``unseen`` only what is not zero."""

    rows: int
    broken: dict[str, int]
    """Rows by rule of the schema, in dataframely's order."""
    outside: dict[str, int]
    """Rows whose value a closed category does not list."""
    unseen: dict[str, int]
    """Rows whose value an open category does not know."""
    atypical: list[tuple[str, float]]
    """Column and q of the quantiles that lie outside their bounds."""
    elsewhere: int
    """Rows with a time of another day."""
    suspects: pl.Expr
    """Rows among which every key is that stands more than once."""


def row_rules(schema: type[dy.Schema]) -> dict[str, pl.Expr]:
    """Every rule that ``schema.filter`` applies, in its order: true, or null, where a row keeps it.

    dataframely has no public name for all of them. A list of our own would miss a kind of rule that it learns later.
    """
    return {name: rule.expr for name, rule in schema._validation_rules(with_cast=False).items()}


def declared(rows: pl.LazyFrame, schema: type[dy.Schema]) -> pl.LazyFrame:
    """``rows`` with texts as the schema declares them; what a closed category does not list becomes null."""
    closed = {name: column.dtype for name, column in schema.columns().items() if isinstance(column, dy.Enum)}
    return rows.with_columns(pl.col(name).cast(dtype, strict=False) for name, dtype in closed.items())


def judged(rows: pl.LazyFrame, schema: type[dy.Schema], names: Sequence[str]) -> pl.LazyFrame:
    """``rows`` as declared, with a column a rule of ``names``: whether the row keeps it."""
    rules = row_rules(schema)
    return declared(rows, schema).with_columns(rules[name].fill_null(value=True).alias(name) for name in names)


def none_of(column: str, levels: Sequence[str]) -> pl.Expr:
    """Whether a text is none of ``levels``, null for null."""
    if 0 < len(levels) <= FEW:
        return ~reduce(operator.or_, (pl.col(column) == level for level in levels))
    return ~pl.col(column).is_in(levels)


def on_another_day(time: str, day: date) -> pl.Expr:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (pl.col(time) < begin) | (pl.col(time) >= begin + timedelta(days=1))


def count(rows: pl.LazyFrame, table: Table, columns: Mapping[str, Column], day: date) -> Counted:
    """Hold ``rows``, which have the table's columns with texts as String, against everything the contract says.

    A quantile needs no sort: the q-quantile is at least a exactly when a share of at most q lies below a. Nor does the
    primary key need to be held: rows with different hashes have different keys, and only hashes that repeat make it
    necessary to look at the keys.
    """
    key = table.schema.primary_key()
    rules = row_rules(table.schema)
    rules.pop(PRIMARY_KEY, None)
    implied = {name: rules.pop(name) for name in _implied(columns) if name in rules}
    of_rows = [name for name in rules if "|" not in name]
    asked: dict[tuple[str, ...], pl.Expr] = {}
    asked |= {("rule", name): (~rule).sum() for name, rule in rules.items() if name not in of_rows}
    # a rule over whole rows may be anything, one value for all of them too: only as a column does it count rows
    asked |= {("rule", name): (~pl.col(name)).sum() for name in of_rows}
    for name, column in columns.items():
        asked |= _asked_of(name, column)
    if table.time is not None:
        asked["elsewhere",] = on_another_day(table.time, day).sum()
    hashed = (pl.struct(key) if len(key) > 1 else pl.col(key)).hash()
    if key:
        asked["hashes",] = hashed.implode()
    read = {root for expression in asked.values() for root in expression.meta.root_names()}
    # a column without rules is decoded too: a file that is broken there is broken
    asked |= {("read", name): pl.col(name).count() for name in columns if name not in read}
    asked["rows",] = pl.len()

    # before texts become what is declared: what a closed category does not list is null afterwards
    source = rows.with_columns(
        none_of(name, column.allowed).alias(_outside(name)) for name, column in columns.items() if column.allowed
    )
    source = judged(source, table.schema, of_rows) if of_rows else source
    row = collected(source.select(expression.alias(str(n)) for n, expression in enumerate(asked.values())))
    seen = dict(zip(asked, row.iter_columns(), strict=True))
    suspects: pl.Expr = pl.lit(value=False)
    if key and len(repeated := _repeated(seen["hashes",].explode())):
        suspects = hashed.is_in(repeated.implode())
        keys = judged(rows.filter(suspects), table.schema, [PRIMARY_KEY])
        seen["rule", PRIMARY_KEY] = collected(keys.select((~pl.col(PRIMARY_KEY)).sum())).to_series()

    if doubted := [name for name in implied if any(_breaks(seen, name.split("|")[0], side) for side in BOUNDS)]:
        row = collected(source.select((~implied[name]).sum().alias(name) for name in doubted))
        seen |= {("rule", name): row[name] for name in doubted}

    def found(*question: str) -> int:
        return int(seen[question].item()) if question in seen else 0

    def share(question: str, name: str, q: float) -> float:
        return found(question, name, f"{q}") / found("values", name)

    typical = [(name, q, *bounds) for name, column in columns.items() for q, bounds in sorted(column.typical.items())]
    return Counted(
        found("rows"),
        broken={name: n for name in row_rules(table.schema) if (n := found("rule", name))},
        outside={name: n for name in columns if (n := found("outside", name))},
        unseen={name: n for name in columns if (n := found("unseen", name))},
        atypical=[
            (name, q)
            for name, q, low, high in typical
            if found("values", name)
            and ((low is not None and share("below", name, q) > q) or (high is not None and share("upto", name, q) < q))
        ],
        elsewhere=found("elsewhere"),
        suspects=suspects,
    )


def _asked_of(name: str, column: Column) -> dict[tuple[str, ...], pl.Expr]:
    asked: dict[tuple[str, ...], pl.Expr] = {}
    if column.allowed is not None:
        asked["outside", name] = pl.col(_outside(name)).sum()
    if column.known is not None and column.unseen_share is not None:
        asked["unseen", name] = none_of(name, column.known).sum()
    if column.typical:
        asked["values", name] = pl.col(name).count()
    for q, (low, high) in column.typical.items():
        if low is not None:
            asked["below", name, f"{q}"] = (pl.col(name) < low).sum()
        if high is not None:
            asked["upto", name, f"{q}"] = (pl.col(name) <= high).sum()
    return asked


def _implied(columns: Mapping[str, Column]) -> list[str]:
    """Rules that cannot be broken while a column's bounds are kept: infinities lie outside them, and NaN, which polars
    puts above every number. Not asking them spares a check a tenth."""
    bounded = [
        name
        for name, column in columns.items()
        if any(bound is not None and isfinite(bound) for bound in (column.minimum, column.above))
        and any(bound is not None and isfinite(bound) for bound in (column.maximum, column.below))
    ]
    return [f"{name}|{rule}" for name in bounded for rule in ("inf", "nan")]


def _breaks(seen: Mapping[tuple[str, ...], pl.Series], name: str, bound: str) -> bool:
    question = ("rule", f"{name}|{bound}")
    return question in seen and bool(seen[question].item())


def _outside(name: str) -> str:
    return f"{name}|outside"


def _repeated(hashes: pl.Series) -> pl.Series:
    """Those that stand more than once. Sorting them takes numpy a third of the time that a set takes polars."""
    ordered = np.sort(hashes.to_numpy())
    return pl.Series(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]), dtype=pl.UInt64)
