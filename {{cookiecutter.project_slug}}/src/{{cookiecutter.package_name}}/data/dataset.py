"""The frozen snapshot a version is trained and judged on: one content-addressed file, and what it came from."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from .. import files
from ..clock import days
from ..config import DataConfig
from ..errors import Exit, ProjectError
from ..paths import Paths
from ..spec import Contract, Table
from ..storage import Storage
from .store import DATASETS, Store, open_data
from .validation import check

DAY = "partition"
SPLIT = "split"


@dataclass(frozen=True)
class Dataset:
    """Labelled rows with their day and split. ``digest`` is the sha256 of the file at ``address``.

    ``origin`` says what it came from, and ``md5`` and ``bytes`` of the file: by these DVC finds it again.
    """

    frame: pl.DataFrame
    digest: str
    address: str
    origin: dict[str, Any]

    def split(self, name: str) -> pl.DataFrame:
        """Rows of ``train`` or ``evaluation``."""
        return self.frame.filter(pl.col(SPLIT) == name)


@dataclass(frozen=True)
class Window:
    """Two adjoining stretches of days, split by time: train first, then evaluation."""

    train_first: date
    evaluation_first: date
    last: date

    @classmethod
    def ending(cls, last: date, config: DataConfig) -> Window:
        evaluation_first = last - timedelta(days=7 * config.evaluation_weeks - 1)
        return cls(evaluation_first - timedelta(days=config.train_days), evaluation_first, last)

    @classmethod
    def needed(cls, as_of: date, config: DataConfig, contract: Contract) -> Window:
        """The window that ends with the last day whose labels are complete on ``as_of``."""
        return cls.ending(as_of - timedelta(days=contract.labels_complete_after), config)


def latest(store: Store, contract: Contract) -> date:
    """The newest day that labels were ingested for. Raises ProjectError (exit 4) when there is none."""
    table = contract.labels if isinstance(contract.labels, Table) else contract.rows
    ingested = store.days(table.name)
    if not ingested:
        raise ProjectError(
            f"no data yet: no partition of {table.name}",
            hint="ml ingest --from DAY --to DAY",
            exit=Exit.UNAVAILABLE,
        )
    return ingested[-1]


def build(
    config: DataConfig,
    contract: Contract,
    paths: Paths,
    *,
    as_of: date | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Dataset:
    """Freeze the window that ends with the last day whose labels were complete on ``as_of``.

    Every partition is compared with its manifest and held against the contract again. Raises ProjectError: exit 4 when
    days are missing, exit 3 when labels are, or when a partition no longer keeps the contract.
    """
    store = Store(paths)
    as_of = as_of or latest(store, contract)
    window = Window.needed(as_of, config, contract)
    wanted = [(contract.rows, day) for day in days(window.train_first, window.last)]
    if isinstance(contract.labels, Table):
        wanted += [(contract.labels, day) for day in days(window.train_first, as_of)]
    _refuse_gaps(store, wanted)

    frames: dict[str, list[pl.DataFrame]] = {}
    sources = []
    for table, day in wanted:
        report(f"{table.name} {day}")
        frame = check(store.read(table.name, day).lazy(), table, contract.version, day).good.collect()
        frames.setdefault(table.name, []).append(frame.with_columns(pl.lit(day).alias(DAY)))
        manifest = store.manifest(table.name, day)
        sources.append(
            {"table": table.name, "partition": day.isoformat(), "sha256": manifest.sha256 if manifest else ""}
        )

    rows = pl.concat(frames[contract.rows.name])
    if isinstance(contract.labels, Table):
        rows = _join(rows, pl.concat(frames[contract.labels.name]), contract.labels, label_columns(contract))
    labels = label_columns(contract)
    unlabelled = rows.filter(pl.all_horizontal(pl.col(name).is_null() for name in labels)).height
    if unlabelled > config.unlabelled_share * rows.height:
        raise ProjectError(
            f"{unlabelled} of {rows.height} rows have no label though all were due by {as_of}: "
            f"expected at most {config.unlabelled_share:.0%} (data.unlabelled_share)",
            hint=f"is a delivery of labels missing? compare the row counts of data/partitions/{contract.rows.name}",
            exit=Exit.REFUSED,
        )
    split = pl.when(pl.col(DAY) < window.evaluation_first).then(pl.lit("train")).otherwise(pl.lit("evaluation"))
    rows = rows.drop_nulls(labels).with_columns(split.alias(SPLIT))
    if (seen := rows.filter(pl.col(SPLIT) == "evaluation").height) < config.minimum_evaluation_rows:
        raise ProjectError(
            f"{seen} labelled rows to evaluate on, data.minimum_evaluation_rows wants {config.minimum_evaluation_rows}",
            hint="raise data.evaluation_weeks: a verdict on fewer rows is noise",
        )
    origin = {
        "as_of": as_of.isoformat(),
        "train": [window.train_first.isoformat(), (window.evaluation_first - timedelta(days=1)).isoformat()],
        "evaluation": [window.evaluation_first.isoformat(), window.last.isoformat()],
        "rows": rows.height,
        "rows_without_label": unlabelled,
        "contract_version": contract.version,
        "partitions": sources,
    }
    return _freeze(rows, origin, store.storage)


def label_columns(contract: Contract) -> list[str]:
    if not isinstance(contract.labels, Table):
        return list(contract.labels)
    key = contract.labels.schema.primary_key()
    hidden = {*key, contract.labels.time}
    return [name for name in contract.labels.schema.column_names() if name not in hidden]


def _join(rows: pl.DataFrame, labels: pl.DataFrame, table: Table, columns: list[str]) -> pl.DataFrame:
    """Labels by key; a label that was delivered twice counts as delivered last."""
    key = table.schema.primary_key()
    labels = labels.select([*key, *columns]).unique(key, keep="last", maintain_order=True)
    return rows.join(labels, on=key, how="left", maintain_order="left")


def _refuse_gaps(store: Store, wanted: list[tuple[Table, date]]) -> None:
    present = {table.name: set(store.days(table.name)) for table, _ in wanted}
    missing = sorted((day, table.name) for table, day in wanted if day not in present[table.name])
    if missing:
        shown = ", ".join(f"{table} {day}" for day, table in missing[:4]) + (
            f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        )
        raise ProjectError(
            f"{len(missing)} partitions of the window are missing: {shown}",
            hint=f"ml ingest --from {missing[0][0]} --to {missing[-1][0]}",
            exit=Exit.UNAVAILABLE,
        )


def _freeze(rows: pl.DataFrame, origin: dict[str, Any], data: Storage) -> Dataset:
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd")
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    origin = origin | {"sha256": digest, "md5": md5, "bytes": len(content)}
    key = f"{DATASETS}/{digest[:16]}"
    with data.alone_in(DATASETS, DATASETS):
        if data.read(f"{key}.parquet") != content:
            data.write(f"{key}.parquet", content)
        data.write_json(f"{key}.json", origin)
    return Dataset(rows, digest, data.where(f"{key}.parquet"), origin)


def export(dataset: Dataset, path: Path, paths: Paths) -> None:
    """Put a frozen dataset, and beside it what it came from, where somebody else looks for it: DVC, for one."""
    with open_data(paths).file(f"{DATASETS}/{dataset.digest[:16]}.parquet") as frozen, files.replacing(path) as copy:
        shutil.copyfile(frozen, copy)
    files.write_json(path.with_suffix(".json"), dataset.origin)


def read(path: Path, config: DataConfig, paths: Paths) -> Dataset:
    """A dataset that :func:`export` wrote. Raises ProjectError when it is not whole or not for this config's window."""
    try:
        content = path.read_bytes()
        origin = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(
            f"no dataset at {paths.relative(path)}: {error}",
            hint="ml dataset --config configs/v1.yaml --output data/dataset.parquet",
            exit=Exit.UNAVAILABLE,
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != origin.get("sha256"):
        raise ProjectError(
            f"{paths.relative(path)} has sha256 {digest[:12]}…, frozen was {str(origin.get('sha256'))[:12]}…",
            hint="freeze it again, or fetch it again: dvc pull",
            exit=Exit.REFUSED,
        )
    last = date.fromisoformat(origin["evaluation"][1])
    window = Window.ending(last, config)
    if origin["train"][0] != window.train_first.isoformat() or origin["evaluation"][0] != (
        window.evaluation_first.isoformat()
    ):
        raise ProjectError(
            f"{paths.relative(path)} holds training days from {origin['train'][0]} and evaluation days from "
            f"{origin['evaluation'][0]}; the config's window wants {window.train_first} and {window.evaluation_first}",
            hint="freeze it again for this config: ml dataset --config FILE --output FILE",
        )
    return Dataset(pl.read_parquet(io.BytesIO(content)), digest, paths.relative(path.resolve()), origin)
