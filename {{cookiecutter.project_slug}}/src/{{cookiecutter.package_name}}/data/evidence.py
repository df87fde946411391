"""What broken rows look like: looked for only once a rule is known to be broken, one column at a time."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime

import polars as pl

from ..spec import Column, Table, expected
from .rules import PRIMARY_KEY, Counted, judged, none_of, on_another_day
from .streams import collected
from .violations import Violation, likely_unit

RULES = {
    "nullability": "no nulls",
    "min": "not below the minimum",
    "max": "not above the maximum",
    "nan": "no NaN",
    "inf": "no infinity",
}


def of_the_day(
    rows: pl.LazyFrame, counted: Counted, table: Table, columns: Mapping[str, Column], day: date
) -> list[Violation]:
    """What is wrong with columns as a whole: levels, quantiles, times."""
    violations = [_outside(rows, columns[name], n) for name, n in counted.outside.items()]
    for name, n in counted.unseen.items():
        share = columns[name].unseen_share
        if share is not None and n > share * counted.rows:
            violations.append(_unseen(rows, columns[name], n, counted.rows))
    for name in dict.fromkeys(name for name, _ in counted.atypical):
        values = collected(rows.select(name))[name].drop_nulls()
        violations += [_atypical(values, columns[name], q) for which, q in counted.atypical if which == name]
    if table.time is not None and counted.elsewhere:
        violations.append(_elsewhere(rows, table.time, day, counted))
    return violations


def of_rows(
    rows: pl.LazyFrame, counted: Counted, tolerated: Collection[str], table: Table, columns: Mapping[str, Column]
) -> list[Violation]:
    """What is wrong with single rows: the schema's own rules, but for those that are ``tolerated``."""
    violations = []
    for rule, n in counted.broken.items():
        if rule in tolerated:
            continue
        name, _, check = rule.rpartition("|")
        if rule == PRIMARY_KEY:
            violations.append(_repeated(rows.filter(counted.suspects), table.schema.primary_key(), n))
        elif name in columns:
            violations += _out_of_bounds(rows, rule, n, table, columns[name], check)
        else:
            violations.append(
                Violation("", rule, f"rows that keep the rule {rule} of contract.py", f"{n} rows that do not", n)
            )
    return violations


def _levels(rows: pl.LazyFrame, name: str, levels: list[str]) -> list[str]:
    """Values other than ``levels``, the most frequent first."""
    found = rows.filter(none_of(name, levels)).group_by(name).len().sort("len", name, descending=[True, False])
    return collected(found)[name].to_list()


def _outside(rows: pl.LazyFrame, column: Column, n: int) -> Violation:
    """A closed category refuses what it does not list."""
    allowed = column.allowed or []
    seen = _levels(rows, column.name, allowed)[:5]
    near = difflib.get_close_matches(seen[0].lower(), allowed, n=1)
    hint = f"another spelling of {near[0]}?" if near else "a new level? add it to contract.py and train again"
    return Violation(column.name, "allowed", expected(column), ", ".join(seen), n, hint)


def _unseen(rows: pl.LazyFrame, column: Column, n: int, of: int) -> Violation:
    """An open category takes new values, up to a share of the day."""
    known = column.known or []
    return Violation(
        column.name,
        "unseen",
        f"at most {column.unseen_share:.1%} of rows outside {', '.join(known)}",
        f"{n / of:.1%} of rows, most {_levels(rows, column.name, known)[0]!r}",
        n,
        "renamed levels, or a new one? add it to known in contract.py",
    )


def _atypical(values: pl.Series, column: Column, q: float) -> Violation:
    """Bounds on quantiles pin the unit."""
    low, high = column.typical[q]
    least = [f"at least {low:g}"] if low is not None else []
    most = [f"at most {high:g}"] if high is not None else []
    observed = float(values.quantile(q, "linear") or 0.0)
    unit = f" {column.unit}" if column.unit else ""
    return Violation(
        column.name,
        f"quantile {q:g}",
        f"{' and '.join(least + most)}{unit}",
        f"{observed:g}{unit}",
        0,
        likely_unit(values, column),
    )


def _elsewhere(rows: pl.LazyFrame, time: str, day: date, counted: Counted) -> Violation:
    """Times of other days; when all rows have them, the file is likely to be another day's."""
    # a number read as a time may be of a year that nobody has a name for
    said = pl.col(time).clip(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
    days = collected(
        rows.filter(on_another_day(time, day))
        .group_by(said.dt.date().alias("day"))
        .agg(pl.len(), low=said.min(), high=said.max())
        .sort("len", "day", descending=[True, False])
    )
    low, high = days["low"].min(), days["high"].max()
    whole = counted.elsewhere == counted.rows
    return Violation(
        time,
        "partition",
        f"times on {day} UTC",
        f"{low:%Y-%m-%d %H:%M} to {high:%Y-%m-%d %H:%M}",
        counted.elsewhere,
        f"the delivery of {days['day'][0]} again?" if whole else "local time written as UTC?",
        stale=whole and days.height == 1,
    )


def _repeated(rows: pl.LazyFrame, key: list[str], n: int) -> Violation:
    keys = collected(rows.select(key))
    repeated = keys.filter(keys.is_duplicated())[key[0]].head(3).to_list()
    return Violation(
        ", ".join(key),
        "unique",
        "every key once",
        f"repeated keys, for example {', '.join(map(str, repeated))}",
        n,
        "delivered twice?",
    )


def _out_of_bounds(rows: pl.LazyFrame, rule: str, n: int, table: Table, column: Column, check: str) -> list[Violation]:
    observed = {"nullability": f"{n} nulls", "nan": f"{n} NaN"}.get(check)
    if observed is None:
        bad = pl.col(column.name)
        if column.kind == "number":
            bad = bad.drop_nans()  # they are above every maximum too, and have a rule of their own
        broken = judged(rows, table.schema, [rule]).filter(~pl.col(rule))
        n, low, high = collected(broken.select(n=bad.len(), low=bad.min(), high=bad.max())).row(0)
        observed = f"{low} to {high}"
    return [Violation(column.name, RULES.get(check, check), expected(column), observed, n)] if n else []
