"""Does a frame keep the contract? Every broken promise is a violation: expected, observed and a likely cause."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from ..spec import Column, Table, expected
from .describe import describe
from .violations import ContractViolated, Violation, likely_unit

RULES = {
    "nullability": "no nulls",
    "min": "not below the minimum",
    "max": "not above the maximum",
    "nan": "no NaN",
    "inf": "no infinity",
}


@dataclass(frozen=True)
class Checked:
    """``good`` keeps the contract; ``aside`` are rows within a tolerated share, with the rules that each ``broken``."""

    good: pl.DataFrame
    aside: pl.DataFrame
    tolerated: dict[str, int]


def check(frame: pl.DataFrame, table: Table, version: str, day: date) -> Checked:
    """Hold ``frame``, the partition of ``day``, against the table's contract.

    Returns it in contract order and types. Raises ContractViolated with everything that is wrong, shape first: rows are
    only judged once columns and types are right.
    """
    columns = {column.name: column for column in describe(table)}

    def refuse(violations: list[Violation]) -> None:
        if violations:
            raise ContractViolated(table.name, day.isoformat(), version, len(frame), violations)

    refuse(_columns(frame, columns))
    frame = frame.select(list(columns))
    refuse(_types(frame, table, columns))
    if frame.is_empty():
        refuse([Violation("", "rows", "at least one row", "an empty table", 0, "did the upstream job run on no data?")])
    frame = frame.with_columns(
        pl.col(name).cast(pl.String) for name in frame.columns if frame.schema[name] == pl.Categorical
    )
    violations = [v for column in columns.values() if (v := _allowed(frame, column))]
    violations += [v for column in columns.values() if (v := _unseen(frame, column))]
    violations += [v for column in columns.values() for v in _typical(frame, column)]
    if table.time is not None:
        violations += _day(frame, table.time, day)
    refuse(violations)
    return _rows(frame, table, columns, refuse)


def _columns(frame: pl.DataFrame, columns: dict[str, Column]) -> list[Violation]:
    missing = [name for name in columns if name not in frame.columns]
    extra = [name for name in frame.columns if name not in columns]
    violations = []
    for name in missing:
        near = difflib.get_close_matches(name, extra, n=1, cutoff=0.5)
        hint = f"renamed to {near[0]}?" if near else None
        violations.append(Violation(name, "column", f"a column {name}", f"columns {', '.join(frame.columns)}", 0, hint))
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


def _types(frame: pl.DataFrame, table: Table, columns: dict[str, Column]) -> list[Violation]:
    violations = []
    for name, declared in table.schema.columns().items():
        seen = frame.schema[name]
        wanted = declared.dtype
        texts = (pl.String, pl.Categorical, pl.Enum)
        same = isinstance(seen, texts) if isinstance(wanted, texts) else seen == wanted
        if not same:
            example = frame[name].drop_nulls().head(1).to_list()
            seen_example = f"{seen}, for example {example[0]!r}" if example else f"{seen}"
            hint = "text where a number was promised: parse it upstream" if seen == pl.String else None
            if columns[name].kind == "time" and isinstance(seen, pl.Datetime):
                hint = "a time without zone? say which zone upstream means and convert in source.py"
            violations.append(Violation(name, "type", str(wanted), seen_example, len(frame), hint))
    return violations


def _allowed(frame: pl.DataFrame, column: Column) -> Violation | None:
    """A closed category refuses what it does not list."""
    if column.allowed is None:
        return None
    outside = (
        frame[column.name]
        .cast(pl.String)
        .drop_nulls()
        .value_counts(sort=True)
        .filter(~pl.col(column.name).is_in(column.allowed))
    )
    if outside.is_empty():
        return None
    seen = [str(value) for value in outside[column.name].head(5).to_list()]
    near = difflib.get_close_matches(seen[0].lower(), column.allowed, n=1)
    hint = f"another spelling of {near[0]}?" if near else "a new level? add it to contract.py and train again"
    return Violation(column.name, "allowed", expected(column), ", ".join(seen), int(outside["count"].sum()), hint)


def _unseen(frame: pl.DataFrame, column: Column) -> Violation | None:
    """An open category takes new values, up to a share of the day."""
    if column.known is None or column.unseen_share is None:
        return None
    values = frame[column.name].drop_nulls()
    unseen = values.filter(~values.is_in(column.known))
    if len(unseen) <= column.unseen_share * len(frame):
        return None
    share = f"{len(unseen) / len(frame):.1%} of rows, most {unseen.value_counts(sort=True)[column.name][0]!r}"
    return Violation(
        column.name,
        "unseen",
        f"at most {column.unseen_share:.1%} of rows outside {', '.join(column.known)}",
        share,
        len(unseen),
        "renamed levels, or a new one? add it to known in contract.py",
    )


def _typical(frame: pl.DataFrame, column: Column) -> list[Violation]:
    """Bounds on quantiles pin the unit. The q-quantile is at least a exactly when a share of at most q lies below a."""
    values = frame[column.name].drop_nulls() if column.typical else None
    if values is None or values.is_empty():
        return []
    broken = []
    for q, (low, high) in sorted(column.typical.items()):
        too_low = low is not None and _share(values < low) > q
        too_high = high is not None and _share(values <= high) < q
        if too_low or too_high:
            wanted = " and ".join(
                word
                for word in (
                    f"at least {low:g}" if low is not None else "",
                    f"at most {high:g}" if high is not None else "",
                )
                if word
            )
            observed = float(values.quantile(q, "linear") or 0.0)
            unit = f" {column.unit}" if column.unit else ""
            broken.append(
                Violation(
                    column.name,
                    f"quantile {q:g}",
                    f"{wanted}{unit}",
                    f"{observed:g}{unit}",
                    0,
                    likely_unit(values, column),
                )
            )
    return broken


def _share(mask: pl.Series) -> float:
    return int(mask.sum()) / len(mask)


def _day(frame: pl.DataFrame, time: str, day: date) -> list[Violation]:
    days = frame[time].drop_nulls().dt.date()
    outside = frame[time].drop_nulls().filter(days != day)
    if outside.is_empty():
        return []
    low, high = outside.min(), outside.max()
    hint = "local time written as UTC?"
    if len(outside) == len(frame):
        hint = f"the delivery of {days.mode()[0]} again?"
    return [
        Violation(
            time,
            "partition",
            f"times on {day} UTC",
            f"{low:%Y-%m-%d %H:%M} to {high:%Y-%m-%d %H:%M}",
            len(outside),
            hint,
        )
    ]


def _rows(frame: pl.DataFrame, table: Table, columns: dict[str, Column], refuse: Any) -> Checked:
    """dataframely's own rules, row by row; a rule may tolerate a share of rows."""
    good, failure = table.schema.filter(frame, cast=True)
    details = failure.details()
    violations, tolerated = [], {}
    for rule, rows in failure.counts().items():
        name, _, check_name = rule.rpartition("|")
        if rows <= table.tolerated.get(rule, 0.0) * len(frame):
            tolerated[rule] = rows
            continue
        if name in columns:
            bad = details.filter(pl.col(rule) == "invalid")[name]
            observed = {"nullability": f"{rows} nulls", "nan": f"{rows} NaN"}.get(check_name)
            if observed is None and bad.dtype.is_float():
                bad = bad.drop_nans()  # they are above every maximum too, and have a rule of their own
            if len(bad):
                observed = observed or f"{bad.min()} to {bad.max()}"
                words = RULES.get(check_name, check_name)
                violations.append(Violation(name, words, expected(columns[name]), observed, len(bad)))
        elif rule == "primary_key":
            keys = table.schema.primary_key()
            repeated = frame.filter(frame.select(keys).is_duplicated())[keys[0]].head(3).to_list()
            violations.append(
                Violation(
                    ", ".join(keys),
                    "unique",
                    "every key once",
                    f"repeated keys, for example {', '.join(map(str, repeated))}",
                    rows,
                    "delivered twice?",
                )
            )
        else:
            violations.append(
                Violation("", rule, f"rows that keep the rule {rule} of contract.py", f"{rows} rows that do not", rows)
            )
    refuse(violations)
    stored = pl.DataFrame(good).with_columns(pl.col(pl.Enum).cast(pl.String))
    broken = [pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in tolerated]
    aside = details.select(*frame.columns, broken=pl.concat_list(broken).list.drop_nulls()) if broken else frame.clear()
    return Checked(stored, aside, tolerated)
