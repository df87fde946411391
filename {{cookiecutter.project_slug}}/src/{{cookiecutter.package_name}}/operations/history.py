"""The project's days as the monitor sees them: each summarised once, and kept beside the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl

from ..config import OperationsConfig
from ..contract import CONTRACT
from ..data.describe import request_columns
from ..data.store import PREDICTIONS, Manifest, Store
from ..errors import Exit, ProjectError
from ..model.version import ModelVersion
from ..monitoring import summaries, summary
from ..monitoring.monitor import Observed
from ..monitoring.reference import Reference
from ..monitoring.summary import Summary
from ..spec import Column
from ..storage import Storage
from .anew import Predict, by

ANEW = "anew/"
"""First part of the name under which summaries of predictions are kept that were never in force."""
READERS = 4
"""Days read at once: a bucket takes its time for each."""
PREDICTION = "prediction"
Report = Callable[[str], None]
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class History:
    """What is watched lies in ``store``; ``storage`` is the ledger's, where summaries are kept."""

    operations: OperationsConfig
    store: Store
    storage: Storage
    loaded: ModelVersion | None = None
    """The version in force: days that another one predicted, or none, are predicted anew with it."""

    @property
    def watched(self) -> list[Column]:
        left_out = self.operations.monitoring.leave_out
        columns = [column for column in request_columns(CONTRACT) if column.kind != "key"]
        if unknown := [name for name in left_out if name not in {column.name for column in columns}]:
            raise ProjectError(
                f"operations.yaml: monitoring.leave_out names no column of {CONTRACT.rows.name}: {', '.join(unknown)}",
                hint=f"there are {', '.join(column.name for column in columns)}",
            )
        return [column for column in columns if column.name not in left_out]

    def days(self, last: date, masked: Iterable[date] = ()) -> list[date]:
        """Ingested days up to ``last`` that are no holiday, oldest first."""
        left_out = set(masked)
        return [day for day in self.store.days(CONTRACT.rows.name) if day <= last and day not in left_out]

    def predictions(self, day: date) -> Manifest | None:
        """The manifest of what was predicted for a day."""
        return self.store.manifest(f"{PREDICTIONS}{self.operations.model}", day)

    def summaries(
        self, reference: Reference, days: Iterable[date], report: Report = lambda _: None, version: str | None = None
    ) -> dict[date, Summary]:
        """Each day's summary: the one that is kept, if it is of the same rows and reference, or a new one.

        A day without a partition is not there, nor is one whose partition is not whole. Of predictions only those of
        ``version``, where one is given; it predicts the others' days anew where it is the one in force.
        """
        wanted = list(days)
        table = _table(reference)
        found = self._made(table, table, wanted, report, reference, self.of)
        if version is None:
            return found
        for day in wanted[-1:]:  # two versions that predict the same to the bit leave the same bytes
            if day in found and found[day].model_version != version and (again := self.of(reference, day)):
                found[day] = again
        found = {day: one for day, one in found.items() if one.model_version == version}
        if self.loaded is not None and version == self.loaded.name:
            others = [day for day in wanted if day not in found]
            anew = partial(self._anew, predict=by(self.loaded), version=version)
            found |= self._made(f"{ANEW}{table}", CONTRACT.rows.name, others, report, reference, anew, version)
        return found

    def _made(
        self,
        name: str,
        table: str,
        days: Sequence[date],
        report: Report,
        reference: Reference,
        make: Callable[[Reference, date], Summary | None],
        version: str | None = None,
    ) -> dict[date, Summary]:
        """The summaries that are kept under ``name``, and of other days those that ``make`` makes; these are kept then.

        They fit if they are of the partitions of ``table`` as they are now, of ``reference``, and of ``version`` where
        one is given.
        """
        known, digests = summaries.read(name, self.storage), self.store.digests(table)

        def fits(one: Summary, digest: str) -> bool:
            if one.reference != reference.digest or one.source[: len(digest)] != digest:
                return False
            return version is None or one.model_version == version

        def one(day: date) -> tuple[date, Summary | None]:
            made = make(reference, day)
            report(str(day))
            return day, made

        there = [day for day in days if day in digests]
        found = {day: known[day] for day in there if day in known and fits(known[day], digests[day])}
        if lacking := [day for day in there if day not in found]:
            with ThreadPoolExecutor(READERS) as readers:
                made = {day: new for day, new in readers.map(one, lacking) if new is not None}
            summaries.add(made, name, self.storage)
            found |= made
        return {day: found[day] for day in there if day in found}

    def of(self, reference: Reference, day: date) -> Summary | None:
        """A day's summary from its partition; None without one, and where it is not whole."""

        def look(manifest: Manifest, path: Path) -> Summary:
            names = pl.read_parquet_schema(path)
            named = {PREDICTION: watched_prediction(list(names))} if reference.predictions else {}
            about = {"source": manifest.sha256, "model_version": manifest.model_version}
            return summary.of_file(path, day, reference, named, **about)

        return self.partition(_table(reference), day, look)

    def _anew(self, reference: Reference, day: date, *, predict: Predict, version: str) -> Summary | None:
        """A day as ``version`` would have predicted it, from its rows."""

        def look(manifest: Manifest, path: Path) -> Summary:
            rows = predict(path).alias(PREDICTION).to_frame()
            about = {"source": manifest.sha256, "model_version": version}
            return summary.summarise(rows, day, reference, manifest.rows, **about)

        return self.partition(CONTRACT.rows.name, day, look)

    def partition(self, table: str, day: date, look: Callable[[Manifest, Path], Seen]) -> Seen | None:
        """What ``look`` says of a partition; None without one, and where it is not whole or cannot be read."""
        try:
            if (manifest := self.store.manifest(table, day)) is None:
                return None
            with self.store.file(table, day) as path:
                return look(manifest, path)
        except ProjectError as error:
            if error.exit is Exit.REFUSED:
                return None
            raise


def values(summaries: Mapping[date, Summary]) -> dict[date, dict[str, Observed]]:
    """What the monitors of some summaries saw each day."""
    return {day: {name: one.observed(name) for name in one.values} for day, one in summaries.items()}


def merged(*parts: dict[date, dict[str, Observed]]) -> dict[date, dict[str, Observed]]:
    """Series of several tables, day by day."""
    found: dict[date, dict[str, Observed]] = {}
    for part in parts:
        for day, row in part.items():
            found.setdefault(day, {}).update(row)
    return found


def _table(reference: Reference) -> str:
    return f"{PREDICTIONS}{reference.table}" if reference.predictions else reference.table


def watched_prediction(names: Sequence[str]) -> str:
    """The column of a table of predictions that is watched: a probability rather than a yes or no."""
    probability = next((name for name in names if name.endswith("_probability")), None)
    return probability or next(name for name in names if name in CONTRACT.targets)
