"""Labels that have come in for the rows of a day: how many, and which."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from ..clock import days
from ..spec import Contract, Table
from .dataset import label_columns
from .store import Store

TRUTH = "truth"


def matured(contract: Contract, day: date, target: str, store: Store, *, also: Sequence[str] = ()) -> pl.DataFrame:
    """Rows of ``day`` with their keys, the columns ``also``, and the value of ``target`` in ``truth``.

    ``truth`` is null where no label came within ``labels_complete_after`` days; a label that came twice counts as it
    came last. Label partitions are read one at a time, and of each only what belongs to the day. Raises ProjectError
    for partitions that are not whole.
    """
    value = contract.targets[target].value
    labels = label_columns(contract)
    keys = contract.rows.schema.primary_key()
    needed = [name for name in value.meta.root_names() if name not in labels]
    with store.file(contract.rows.name, day) as path:
        rows = pl.read_parquet(path, columns=[*dict.fromkeys([*keys, *also, *needed, *_own(contract, labels)])])
    if isinstance(contract.labels, Table):
        key = contract.labels.schema.primary_key()
        parts = [rows.select(key).clear().with_columns(*(pl.lit(None).alias(name) for name in labels))]
        for arrived in days(day, day + timedelta(days=contract.labels_complete_after)):
            if store.manifest(contract.labels.name, arrived) is not None:
                with store.file(contract.labels.name, arrived) as path:
                    delivered = pl.read_parquet(path, columns=[*key, *labels])
                parts.append(delivered.join(rows.select(key), on=key, how="semi"))
        seen = pl.concat(parts, how="vertical_relaxed").unique(key, keep="last", maintain_order=True)
        rows = rows.join(seen, on=key, how="left", maintain_order="left")
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in labels)
    return rows.with_columns(pl.when(known).then(value).alias(TRUTH))


def _own(contract: Contract, labels: list[str]) -> list[str]:
    """Label columns that stand in the rows' own table."""
    return [] if isinstance(contract.labels, Table) else labels
