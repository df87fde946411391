"""Batch scoring: a day's partition through the champion, into predictions that replace those of the day by key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..config import OperationsConfig
from ..contract import CONTRACT
from ..data.describe import describe
from ..data.store import PREDICTIONS, Manifest, Store
from ..errors import Exit, ProjectError
from ..model import artefact
from ..model.batch import from_frame
from ..model.id import VersionId
from ..model.threads import limited
from ..model.version import ModelVersion
from ..paths import Paths
from ..serving import worker
from ..serving.pointer import Pointer
from ..spec import Column, expected

BATCH = 100_000
"""Rows at a time. 5 million rows at once would be 600 MB of Python strings for two category columns alone."""
SMALL = 20_000
"""Rows of a day below which a second thread and the short cut cost more than they bring: a forest's trees wait for each
other, and the tables that the short cut looks up are made first."""


@dataclass(frozen=True)
class Scored:
    """Predictions that are in force for a day, and whether this call changed them."""

    version: VersionId
    manifest: Manifest
    changed: bool


def champion(paths: Paths, operations: OperationsConfig, model: str | None = None) -> VersionId | None:
    """The version that scores, None before the first promotion. Asks the registry without importing MLflow.

    Raises ProjectError (exit 4) when the registry does not answer, or is gone though versions of it were placed here.
    """
    pointer = Pointer(paths, operations)
    if not pointer.exists and any(paths.serving.glob("*/*/")):
        raise ProjectError(
            "the registry is gone: its database is lacking, and versions were served from it",
            hint="restore var/registry from its backup",
            exit=Exit.UNAVAILABLE,
        )
    return pointer.champion(model or operations.model)


def opened(version: VersionId, paths: Paths, operations: OperationsConfig, rows: int | None = None) -> ModelVersion:
    """The version, fetched if it is not on disk, its proof replayed as a batch. Raises ProjectError.

    ``rows``: as many are to be predicted, None for many. Then its short cut does, where that is known to hold here.
    """
    facts = Pointer(paths, operations).facts(version)
    if facts is None or not artefact.is_placed(paths.serving / version.folder, facts):
        worker.fetch(version, paths)
    plain = (rows is not None and rows < SMALL) or not worker.short_cut_holds(version, paths)
    return worker.open_placed(version, paths, one_by_one=False, plain=plain)[0]


def score(day: date, version: VersionId, loaded: ModelVersion, store: Store) -> Scored:
    """Predict every row of ``day``'s partition. Raises ProjectError: exit 4 without a partition, 3 for rows that the
    version cannot read, 1 for a prediction that is no number; what was predicted before stays."""
    table = CONTRACT.rows
    partition = store.manifest(table.name, day)
    keys = table.schema.primary_key()
    with store.file(table.name, day) as path:
        _refuse_what_it_cannot_read(path, loaded, version)
        threads = 1 if partition and partition.rows < SMALL else None
        with limited(threads):
            parts = [_scored(frame, keys, loaded, version) for frame in _batches(path, loaded, keys)]
    name = f"{PREDICTIONS}{version.model}"
    before = store.manifest(name, day)
    manifest = store.write(
        name,
        day,
        pl.concat(parts, rechunk=True),
        rows_set_aside={},
        contract_version=loaded.contract.version,
        source=f"{table.name} {day}",
        source_sha256=partition.sha256 if partition else "",
        model_version=str(version),
    )
    return Scored(version, manifest, changed=manifest != before)


def _batches(path: Path, loaded: ModelVersion, keys: list[str]) -> Iterator[pl.DataFrame]:
    wanted = list(dict.fromkeys([*keys, *(column.name for column in loaded.contract.features)]))
    rows = pl.scan_parquet(path).select(wanted)
    for offset in range(0, rows.select(pl.len()).collect().item(), BATCH):
        yield rows.slice(offset, BATCH).collect()


def _scored(frame: pl.DataFrame, keys: list[str], loaded: ModelVersion, version: VersionId) -> pl.DataFrame:
    values = loaded.score(loaded.matrix(from_frame(loaded.contract.features, frame)))
    if bad := int((~np.isfinite(values)).sum()):
        raise ProjectError(
            f"{bad} of {len(values)} predictions of {version} are no numbers; none of the day was kept",
            hint=f"ml verify {version}; ml rollback returns to the version before",
            exit=Exit.SAID_NO,
        )
    target = loaded.contract.target
    columns: dict[str, Any] = {target.name: values}
    if target.task == "classification":
        columns = {target.name: values >= target.threshold, f"{target.name}_probability": values}
    return frame.select(keys).with_columns(pl.Series(name, column) for name, column in columns.items())


def _refuse_what_it_cannot_read(path: Path, loaded: ModelVersion, version: VersionId) -> None:
    """Rows that the version's own contract would refuse in a request are not scored in a batch either.

    Only columns that have changed since it was trained need a look: the others were held against the same promises.
    """
    today = {column.name: column for column in describe(CONTRACT.rows)}
    moved = [column for column in loaded.contract.features if _promises(today.get(column.name)) != _promises(column)]
    problems = [f"{column.name} is gone" for column in moved if column.name not in today]
    problems += [
        f"{column.name} was {column.kind}{f' in {column.unit}' if column.unit else ''}"
        for column in moved
        if (now := today.get(column.name)) and (now.kind, now.unit) != (column.kind, column.unit)
    ]
    if moved and not problems:
        counts = pl.scan_parquet(path).select(_outside(column).sum().alias(column.name) for column in moved).collect()
        expectations = {column.name: expected(column) for column in moved}
        problems = [
            f"{n} rows have {name} other than {expectations[name]}"
            for name, n in counts.row(0, named=True).items()
            if n
        ]
    if problems:
        raise ProjectError(
            f"{version} was trained under contract version {loaded.contract.version}, today's is {CONTRACT.version}: "
            + "; ".join(problems),
            hint="train and promote a version under today's contract",
            exit=Exit.REFUSED,
        )


def _promises(column: Column | None) -> Any:
    """What a value may be; not what it means to people, and not what only a whole day can break."""
    said = {"meaning", "example", "typical", "known", "unseen_share"}
    return None if column is None else column.model_dump(exclude=said)


def _outside(column: Column) -> pl.Expr:
    """Whether a value is none that ``column`` allows."""
    value = pl.col(column.name)
    broken = [value.is_null()] if not column.nullable else [pl.lit(False)]
    broken += [value < column.minimum] if column.minimum is not None else []
    broken += [value > column.maximum] if column.maximum is not None else []
    broken += [value <= column.above] if column.above is not None else []
    broken += [value >= column.below] if column.below is not None else []
    broken += [~value.is_in(column.allowed)] if column.allowed is not None else []
    broken += [value.str.len_bytes() < column.min_length] if column.min_length is not None else []
    broken += [value.str.len_bytes() > column.max_length] if column.max_length is not None else []
    broken += [~value.str.contains(column.pattern)] if column.pattern is not None else []
    return pl.any_horizontal(broken).fill_null(value=False)
