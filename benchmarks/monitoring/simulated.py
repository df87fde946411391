"""A replicate: every day as the project summarises it, what the peers measure, and both of injections."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import peers
import polars as pl
from worlds import (
    COLUMNS,
    FIRST,
    FOLLOWED,
    HISTORY,
    INJECTIONS,
    LAST,
    LEVELS,
    SHAPES,
    WORLDS,
    YEAR,
    Table,
    correlated,
    injected,
)

ROWS = 10_000
"""Of the reference, as `ml calibrate` takes them."""
STARTS = 4
"""Of every injection in a replicate."""
COUNTRY = "DE"
HERE = Path(__file__).parent


def project(package: str) -> SimpleNamespace:
    """The project's own code, by module."""
    inside = ("learning", "summary", "monitor", "evidence", "rule", "constants", "holidays")
    names = ["config", "spec", *(f"monitoring.{name}" for name in inside)]
    return SimpleNamespace(
        **{name.split(".")[-1]: importlib.import_module(f"{package}.{name}") for name in names}
    )


def digest(code: Any) -> str:
    """Of what replicates' figures depend on, told by those of a small one: of other code they differ."""
    small = replicate(code, "year and holidays", 60, 0)
    figures = [small.observed, small.statistics, small.limits]
    for injection in small.injections:
        figures += [injection.observed, injection.statistics]
    figures += [correlated(np.random.default_rng(0), 9, 3, world) for world in WORLDS.values()]
    plain = repr((WORLDS, HISTORY, YEAR, FOLLOWED, STARTS, ROWS, COLUMNS)).encode()
    return hashlib.sha256(b"".join([plain, *(one.round(9).tobytes() for one in figures)])).hexdigest()[:12]


class Observer:
    """The project's summaries of simulated days."""

    def __init__(self, code: Any, days: list[date], rows: Mapping[str, np.ndarray]) -> None:
        kinds = {name: "category" if name in LEVELS else "number" for name in COLUMNS}
        columns = [
            code.spec.Column(name=name, kind=kind, meaning=name, nullable=True)
            for name, kind in kinds.items()
        ]
        self.code, self.days = code, days
        self.reference = code.learning.learn("table", columns, frame(rows))
        self.monitors = code.summary.monitors(self.reference)
        self.of = np.array([COLUMNS.index(monitor.column) for monitor in self.monitors])

    def day(self, day: date, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Value and sampling sd of these columns' monitors, shape (2, monitors); NaN for the others'."""
        few = [column for column in self.reference.columns if column.name in values]
        reference = self.reference.model_copy(update={"columns": few})
        summary = self.code.summary.summarise(frame(values), day, reference)
        seen = [summary.observed(monitor.name) for monitor in self.monitors]
        return np.array([[one.value for one in seen], [one.sd for one in seen]])


WORDS = {
    name: pl.Series([f"{name} {number}" for number in range(count)] + [None])
    for name, count in LEVELS.items()
}


def frame(values: Mapping[str, np.ndarray]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            name: WORDS[name].gather(np.where(column < 0, LEVELS[name], column))
            if name in LEVELS
            else pl.Series(column, nan_to_null=True)
            for name, column in values.items()
        }
    )


@dataclass(frozen=True)
class Injection:
    name: str
    column: int
    start: int
    """The first day that is wrong, of the replicate's."""
    observed: np.ndarray
    """As of :class:`Observer`, shape (2, days, monitors), for the days from ``start``."""
    statistics: np.ndarray
    """The column's, shape (days, statistics)."""


@dataclass(frozen=True)
class Replicate:
    """Day 0 is the first of the history; ``statistics`` are of the days after it, (days, columns,
    statistics)."""

    days: list[date]
    reference: Any
    """The project's."""
    observed: np.ndarray
    holiday: np.ndarray
    statistics: np.ndarray
    limits: np.ndarray
    injections: list[Injection]


def replicate(code: Any, world: str, rows: int, seed: int) -> Replicate:
    mask = code.holidays.masked(FIRST, LAST, code.config.HolidaysConfig(country=COUNTRY))
    table = Table(WORLDS[world], rows, seed, mask if WORLDS[world].holiday else {})
    past = {name: [table.values(name, day) for day in range(HISTORY)] for name in COLUMNS}
    step = max(1, HISTORY * rows // ROWS)
    reference = {name: np.concatenate(days)[::step] for name, days in past.items()}
    observer = Observer(code, table.days, reference)
    judges = [
        peers.Numeric(reference[name], past[name])
        if name in SHAPES
        else peers.Category(reference[name], past[name], LEVELS[name])
        for name in COLUMNS
    ]
    observed = [
        observer.day(table.days[day], {name: past[name][day] for name in COLUMNS}) for day in range(HISTORY)
    ]
    statistics = []
    for day in range(HISTORY, HISTORY + YEAR):
        values = {name: table.values(name, day) for name in COLUMNS}
        observed.append(observer.day(table.days[day], values))
        statistics.append(
            [judge.statistics(values[name]) for judge, name in zip(judges, COLUMNS, strict=True)]
        )
    injections = []
    rng = np.random.default_rng([seed, rows])
    for injection, changes in INJECTIONS.items():
        for turn in range(STARTS):
            column = list(changes)[(seed * STARTS + turn) % len(changes)]
            start = HISTORY + turn * (YEAR // STARTS) + int(rng.integers(YEAR // STARTS - FOLLOWED))
            start += int(np.argmin(table.holiday[start:]))
            values = [injected(table, injection, column, day) for day in range(start, start + FOLLOWED)]
            seen = [observer.day(table.days[start], {column: one}) for one in values]
            at = COLUMNS.index(column)
            told = np.array([judges[at].statistics(one) for one in values])
            injections.append(Injection(injection, at, start, np.stack(seen, axis=1), told))
    limits = np.array([peers.limit(judge, past[name]) for judge, name in zip(judges, COLUMNS, strict=True)])
    observed_days = np.stack(observed, axis=1)
    return Replicate(
        table.days, observer.reference, observed_days, table.holiday, np.array(statistics), limits, injections
    )
