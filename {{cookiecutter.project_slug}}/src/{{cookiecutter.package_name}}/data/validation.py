"""Do rows keep the contract? Every broken promise is a violation: expected, observed and a likely cause."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from ..spec import Column, Table
from . import evidence
from .describe import describe
from .rules import count, judged
from .streams import collected
from .violations import ContractViolated, Violation

TEXTS = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True)
class Checked:
    """``good`` keeps the contract; ``aside`` are rows within a tolerated share, with the rules that each ``broken``."""

    good: pl.LazyFrame
    aside: pl.DataFrame
    tolerated: dict[str, int]


def check(rows: pl.LazyFrame, table: Table, version: str, day: date) -> Checked:
    """Hold ``rows``, the partition of ``day``, against the table's contract in one streaming pass.

    Returns them in contract order and types, texts as String. Raises ContractViolated with everything that is wrong,
    shape first: rows are only judged once columns and types are right, and each on its own once the day as a whole is.
    """
    columns = {column.name: column for column in describe(table)}
    schema = rows.collect_schema()

    def refuse(violations: list[Violation]) -> None:
        if violations:
            total = collected(rows.select(pl.len())).item()
            raise ContractViolated(table.name, day.isoformat(), version, total, violations)

    refuse(_columns(schema, columns))
    refuse(_types(rows, schema, table, columns))
    texts = [name for name in columns if isinstance(schema[name], pl.Categorical | pl.Enum)]
    given = rows.select(list(columns)).with_columns(pl.col(texts).cast(pl.String))
    counted = count(given, table, columns, day)
    if not counted.rows:
        refuse([Violation("", "rows", "at least one row", "an empty table", 0, "did the upstream job run on no data?")])
    refuse(evidence.of_the_day(given, counted, table, columns, day))
    tolerated = {rule: n for rule, n in counted.broken.items() if n <= table.tolerated.get(rule, 0.0) * counted.rows}
    refuse(evidence.of_rows(given, counted, tolerated, table, columns))
    if not tolerated:
        return Checked(given, pl.DataFrame(schema=given.collect_schema()), {})
    return _parted(given, table, tolerated)


def _columns(schema: pl.Schema, columns: Mapping[str, Column]) -> list[Violation]:
    missing = [name for name in columns if name not in schema]
    extra = [name for name in schema if name not in columns]
    violations = []
    for name in missing:
        near = difflib.get_close_matches(name, extra, n=1, cutoff=0.5)
        hint = f"renamed to {near[0]}?" if near else None
        violations.append(Violation(name, "column", f"a column {name}", f"columns {', '.join(schema)}", 0, hint))
        extra = [other for other in extra if other not in near]
    for name in extra:
        violations.append(
            Violation(
                name,
                "column",
                "no such column",
                f"an unknown column {name}",
                0,
                "new upstream? add it to contract.py or drop it in source.py",
            )
        )
    return violations


def _types(rows: pl.LazyFrame, schema: pl.Schema, table: Table, columns: Mapping[str, Column]) -> list[Violation]:
    violations = []
    for name, declared in table.schema.columns().items():
        seen, wanted = schema[name], declared.dtype
        if isinstance(seen, TEXTS) if isinstance(wanted, TEXTS) else seen == wanted:
            continue
        total, example = collected(rows.select(pl.len(), pl.col(name).drop_nulls().first())).row(0)
        seen_example = f"{seen}" if example is None else f"{seen}, for example {example!r}"
        hint = "text where a number was promised: parse it upstream" if seen == pl.String else None
        if columns[name].kind == "time" and isinstance(seen, pl.Datetime):
            hint = "a time without zone? say which zone upstream means and convert in source.py"
        violations.append(Violation(name, "type", str(wanted), seen_example, total, hint))
    return violations


def _parted(rows: pl.LazyFrame, table: Table, tolerated: dict[str, int]) -> Checked:
    """Rows that keep every rule, and beside them those that break one within its share."""
    both = judged(rows, table.schema, list(tolerated)).with_columns(pl.col(pl.Enum).cast(pl.String))
    names, keeps = table.schema.column_names(), pl.all_horizontal(*tolerated)
    broken = pl.concat_list(pl.when(~pl.col(rule)).then(pl.lit(rule)) for rule in tolerated).list.drop_nulls()
    aside = collected(both.filter(~keeps).select(*names, broken=broken))
    return Checked(both.filter(keeps).select(names), aside, tolerated)
