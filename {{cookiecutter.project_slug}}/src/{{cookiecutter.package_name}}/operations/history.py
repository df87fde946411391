"""The project's days as the monitor sees them: each summarised once, and kept beside the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import polars as pl
from pydantic import BaseModel, ValidationError

from ..config import OperationsConfig
from ..contract import CONTRACT
from ..data.describe import request_columns
from ..data.store import PREDICTIONS, Store
from ..errors import Exit, ProjectError
from ..model.version import ModelVersion
from ..monitoring import learning, rule, summary
from ..monitoring.monitor import Observed
from ..monitoring.reference import Reference
from ..monitoring.summary import Summary
from ..spec import Column
from ..storage import Storage
from .anew import Predict, by

KEPT = "monitor/reference.json"
ANEW = "anew/"
"""First part of the name under which summaries of predictions are kept that were never in force."""
LEARNED_FROM = 120
"""Days of history, at most, that a reference is learned from."""
READERS = 4
"""Days read at once: a bucket takes its time for each."""
PREDICTION = "prediction"
Report = Callable[[str], None]


class References(BaseModel):
    """Of the rows, and of the predictions once there are some."""

    rows: Reference
    predictions: Reference | None = None

    @property
    def all(self) -> list[Reference]:
        return [self.rows] if self.predictions is None else [self.rows, self.predictions]


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

    def learn(self, days: Sequence[date]) -> References | None:
        """References from rows spread over ``days``; None where none of them can be read."""
        rows = self._spread(CONTRACT.rows.name, days[-LEARNED_FROM:])
        if rows is None:
            return None
        learned = learning.learn(CONTRACT.rows.name, self.watched, rows)
        return References(rows=learned, predictions=self._learn_predictions(days))

    def in_force(self, calibrated: References | None, days: Sequence[date]) -> References | None:
        """The calibration's references; before there is one, those that were first learned here, from ``days``.

        They are kept, for with others every summary would have to be made again. Columns that are no longer watched are
        left out. None where there is nothing to learn from.
        """
        kept, watched = self._kept(), {column.name for column in self.watched}
        known = calibrated or kept
        if known is None or (calibrated is None and not watched <= {column.name for column in known.rows.columns}):
            known = self.learn(days)
            if known is not None:
                self._keep(known)
        elif known.predictions is None:
            predictions = kept.predictions if kept is not None else None
            if predictions is None and (predictions := self._learn_predictions(days)) is not None:
                self._keep(References(rows=known.rows, predictions=predictions))
            known = References(rows=known.rows, predictions=predictions)
        if known is None:
            return None
        columns = [column for column in known.rows.columns if column.name in watched]
        return known.model_copy(update={"rows": known.rows.model_copy(update={"columns": columns})})

    def _keep(self, references: References) -> None:
        self.storage.write(KEPT, (references.model_dump_json() + "\n").encode())

    def summaries(
        self, reference: Reference, days: Iterable[date], report: Report = lambda _: None, version: str | None = None
    ) -> dict[date, Summary]:
        """Each day's summary: the one that is kept, if it is of the same rows and reference, or a new one.

        A day without a partition is not there, nor is one whose partition is not whole. Of predictions only those of
        ``version``, where one is given; it predicts the others' days anew where it is the one in force.
        """
        anew = by(self.loaded) if self.loaded is not None and version == self.loaded.name else None

        def one(day: date) -> tuple[date, Summary | None]:
            found = self._summary(reference, day)
            if version and (found is None or found.model_version != version):
                found = self._anew(reference, day, anew, version) if anew else None
            report(str(day))
            return day, found

        with ThreadPoolExecutor(READERS) as readers:
            return {day: found for day, found in readers.map(one, days) if found is not None}

    def _summary(self, reference: Reference, day: date) -> Summary | None:
        table = f"{PREDICTIONS}{reference.table}" if reference.predictions else reference.table
        try:
            manifest = self.store.manifest(table, day)
            if manifest is None:
                return None
            wanted = (reference.digest, manifest.sha256, manifest.model_version)
            if kept := self._read(table, day, wanted):
                return kept
            with self.store.file(table, day) as path:
                names = pl.read_parquet_schema(path)
                named = {PREDICTION: _watched_prediction(list(names))} if reference.predictions else {}
                made = summary.of_file(
                    path, day, reference, named, source=manifest.sha256, model_version=manifest.model_version
                )
        except ProjectError as error:
            if error.exit is Exit.REFUSED:
                return None
            raise
        summary.write(made, table, self.storage)
        return made

    def _anew(self, reference: Reference, day: date, predict: Predict, version: str) -> Summary | None:
        """A day as ``version`` would have predicted it, from its rows."""
        table = f"{ANEW}{reference.table}"
        try:
            if (manifest := self.store.manifest(CONTRACT.rows.name, day)) is None:
                return None
            if kept := self._read(table, day, (reference.digest, manifest.sha256, version)):
                return kept
            with self.store.file(CONTRACT.rows.name, day) as path:
                rows = predict(path).alias(PREDICTION).to_frame()
        except ProjectError as error:
            if error.exit is Exit.REFUSED:
                return None
            raise
        made = summary.summarise(rows, day, reference, manifest.rows, source=manifest.sha256, model_version=version)
        summary.write(made, table, self.storage)
        return made

    def _read(self, table: str, day: date, wanted: tuple[str, str, str | None]) -> Summary | None:
        """The kept summary, if it is of this reference, these rows and this version."""
        kept = summary.read(table, day, self.storage)
        return kept if kept and (kept.reference, kept.source, kept.model_version) == wanted else None

    def _kept(self) -> References | None:
        content = self.storage.read(KEPT)
        try:
            return None if content is None else References.model_validate_json(content)
        except ValidationError:
            return None

    def _learn_predictions(self, days: Sequence[date]) -> Reference | None:
        table = f"{PREDICTIONS}{self.operations.model}"
        predicted = sorted(set(self.store.days(table)) & set(days))
        rows = self._spread(table, predicted[-LEARNED_FROM:]) if len(predicted) >= rule.LEAST else None
        if rows is None:
            return None
        watched = _watched_prediction(rows.columns)
        target = CONTRACT.targets.get(watched)
        column = Column(
            name=PREDICTION, kind="number", meaning="what was predicted", unit=target.unit if target else None
        )
        return learning.learn(
            self.operations.model, [column], rows.select(pl.col(watched).alias(PREDICTION)), predictions=True
        )

    def _spread(self, table: str, days: Sequence[date]) -> pl.DataFrame | None:
        each = -(-learning.ROWS // max(len(days), 1))
        parts = []
        for day in days:
            try:
                if (manifest := self.store.manifest(table, day)) is None:
                    continue
                with self.store.file(table, day) as path:
                    parts.append(learning.spread(pl.scan_parquet(path), manifest.rows, each))
            except ProjectError as error:
                if error.exit is not Exit.REFUSED:
                    raise
        return pl.concat(parts, how="diagonal_relaxed") if parts else None


def values(summaries: Mapping[date, Summary], version: str | None = None) -> dict[date, dict[str, Observed]]:
    """What the monitors of some summaries saw each day; of predictions only ``version``'s, where one is given."""
    found: dict[date, dict[str, Observed]] = {}
    for day, one in summaries.items():
        if version is None or one.model_version == version:
            found[day] = {name: one.observed(name) for name in one.values}
    return found


def merged(*parts: dict[date, dict[str, Observed]]) -> dict[date, dict[str, Observed]]:
    """Series of several tables, day by day."""
    found: dict[date, dict[str, Observed]] = {}
    for part in parts:
        for day, row in part.items():
            found.setdefault(day, {}).update(row)
    return found


def _watched_prediction(names: Sequence[str]) -> str:
    """The column of a table of predictions that is watched: a probability rather than a yes or no."""
    probability = next((name for name in names if name.endswith("_probability")), None)
    return probability or next(name for name in names if name in CONTRACT.targets)
