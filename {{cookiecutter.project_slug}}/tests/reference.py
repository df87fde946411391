"""The contract's check said a second time, slowly: the whole frame in memory, and row rules by dataframely's filter."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date

import polars as pl

from {{cookiecutter.package_name}}.data.describe import describe
from {{cookiecutter.package_name}}.data.violations import (
    ContractViolated,
    Violation,
    likely_unit,
)
from {{cookiecutter.package_name}}.spec import Column, Table, expected

WORDS = {
    "nullability": "no nulls",
    "min": "not below the minimum",
    "max": "not above the maximum",
    "nan": "no NaN",
    "inf": "no infinity",
}


@dataclass(frozen=True)
class Checked:
    good: pl.DataFrame
    aside: pl.DataFrame
    tolerated: dict[str, int]


def check(frame: pl.DataFrame, table: Table, version: str, day: date) -> Checked:
    """Rows of the right shape, held against everything but columns and types."""
    columns = {column.name: column for column in describe(table)}

    def refuse(violations: list[Violation]) -> None:
        if violations:
            raise ContractViolated(table.name, day.isoformat(), version, len(frame), violations)

    frame = frame.select(list(columns))
    frame = frame.with_columns(pl.col(name).cast(pl.String) for name in frame.columns if is_text(frame[name]))
    violations = [v for column in columns.values() if (v := outside(frame, column))]
    violations += [v for column in columns.values() if (v := unseen(frame, column))]
    violations += [v for column in columns.values() for v in atypical(frame, column)]
    if table.time is not None:
        violations += elsewhere(frame, table.time, day)
    refuse(violations)

    good, failure = table.schema.filter(frame, cast=True)
    details = failure.details()
    violations, tolerated = [], {}
    for rule, rows in failure.counts().items():
        name, _, check_name = rule.rpartition("|")
        if rows <= table.tolerated.get(rule, 0.0) * len(frame):
            tolerated[rule] = rows
        elif name in columns:
            bad = details.filter(pl.col(rule) == "invalid")[name]
            observed = {"nullability": f"{rows} nulls", "nan": f"{rows} NaN"}.get(check_name)
            if observed is None and bad.dtype.is_float():
                bad = bad.drop_nans()
            if len(bad):
                observed = observed or f"{bad.min()} to {bad.max()}"
                words = WORDS.get(check_name, check_name)
                violations.append(Violation(name, words, expected(columns[name]), observed, len(bad)))
        elif rule == "primary_key":
            keys = table.schema.primary_key()
            repeated = frame.filter(frame.select(keys).is_duplicated())[keys[0]].head(3).to_list()
            observed = f"repeated keys, for example {', '.join(map(str, repeated))}"
            violations.append(
                Violation(", ".join(keys), "unique", "every key once", observed, rows, "delivered twice?")
            )
        else:
            wanted = f"rows that keep the rule {rule} of contract.py"
            violations.append(Violation("", rule, wanted, f"{rows} rows that do not", rows))
    refuse(violations)
    stored = pl.DataFrame(good).with_columns(pl.col(pl.Enum).cast(pl.String))
    broken = [pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in tolerated]
    aside = details.select(*frame.columns, broken=pl.concat_list(broken).list.drop_nulls()) if broken else frame.clear()
    return Checked(stored, aside, tolerated)


def is_text(values: pl.Series) -> bool:
    return isinstance(values.dtype, pl.Categorical | pl.Enum)


def frequent(values: pl.Series) -> list[str]:
    counted = values.value_counts().sort("count", values.name, descending=[True, False])
    return counted[values.name].to_list()


def outside(frame: pl.DataFrame, column: Column) -> Violation | None:
    if column.allowed is None:
        return None
    values = frame[column.name].drop_nulls()
    values = values.filter(~values.is_in(column.allowed))
    if values.is_empty():
        return None
    seen = frequent(values)[:5]
    near = difflib.get_close_matches(seen[0].lower(), column.allowed, n=1)
    hint = f"another spelling of {near[0]}?" if near else "a new level? add it to contract.py and train again"
    return Violation(column.name, "allowed", expected(column), ", ".join(seen), len(values), hint)


def unseen(frame: pl.DataFrame, column: Column) -> Violation | None:
    if column.known is None or column.unseen_share is None:
        return None
    values = frame[column.name].drop_nulls()
    values = values.filter(~values.is_in(column.known))
    if len(values) <= column.unseen_share * len(frame):
        return None
    return Violation(
        column.name,
        "unseen",
        f"at most {column.unseen_share:.1%} of rows outside {', '.join(column.known)}",
        f"{len(values) / len(frame):.1%} of rows, most {frequent(values)[0]!r}",
        len(values),
        "renamed levels, or a new one? add it to known in contract.py",
    )


def atypical(frame: pl.DataFrame, column: Column) -> list[Violation]:
    values = frame[column.name].drop_nulls()
    broken = []
    for q, (low, high) in sorted(column.typical.items()) if len(values) else []:
        too_low = low is not None and (values < low).mean() > q
        too_high = high is not None and (values <= high).mean() < q
        if too_low or too_high:
            least = [f"at least {low:g}"] if low is not None else []
            most = [f"at most {high:g}"] if high is not None else []
            unit = f" {column.unit}" if column.unit else ""
            broken.append(
                Violation(
                    column.name,
                    f"quantile {q:g}",
                    f"{' and '.join(least + most)}{unit}",
                    f"{float(values.quantile(q, 'linear') or 0.0):g}{unit}",
                    0,
                    likely_unit(values, column),
                )
            )
    return broken


def elsewhere(frame: pl.DataFrame, time: str, day: date) -> list[Violation]:
    times = frame[time].drop_nulls()
    wrong = times.filter(times.dt.date() != day)
    if wrong.is_empty():
        return []
    days = wrong.dt.date()
    whole = len(wrong) == len(frame)
    hint = f"the delivery of {days.mode().sort()[0]} again?" if whole else "local time written as UTC?"
    observed = f"{wrong.min():%Y-%m-%d %H:%M} to {wrong.max():%Y-%m-%d %H:%M}"
    stale = whole and days.n_unique() == 1
    return [Violation(time, "partition", f"times on {day} UTC", observed, len(wrong), hint, stale)]
