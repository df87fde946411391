"""Labels that have come in for the rows of a day: how many, and which."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, timedelta

import polars as pl

from ..clock import days
from ..spec import Contract, Table
from .dataset import label_columns
from .store import Store
from .streams import AT_ONCE

TRUTH, PREDICTED = "truth", "predicted"


def matured(
    contract: Contract,
    day: date,
    target: str,
    store: Store,
    *,
    also: Sequence[str] = (),
    predictions: tuple[str, str] | None = None,
) -> pl.DataFrame:
    """The rows of ``day``: the columns ``also``, and the value of ``target`` in ``truth``.

    ``truth`` is null where no label came within ``labels_complete_after`` days; a label that came twice counts as it
    came last. ``predictions`` names a table of predictions and the column of it that is wanted in ``predicted``, null
    for rows without one. Rows and what belongs to them are joined some keys at a time. Raises ProjectError for
    partitions that are not whole.
    """
    value = contract.targets[target].value
    labels = label_columns(contract)
    keys = contract.rows.schema.primary_key()
    arrived = contract.labels if isinstance(contract.labels, Table) else None
    key = arrived.schema.primary_key() if arrived else []
    own = [] if arrived else labels
    needed = [name for name in value.meta.root_names() if name not in labels]
    with ExitStack() as opened:

        def scan(table: str, of: date, columns: Sequence[str]) -> pl.LazyFrame:
            path = opened.enter_context(store.file(table, of))
            return pl.scan_parquet(path).select(list(dict.fromkeys(columns)))

        rows = scan(contract.rows.name, day, [*keys, *key, *also, *needed, *own])
        came = []
        for of in days(day, day + timedelta(days=contract.labels_complete_after)) if arrived else ():
            if arrived and store.manifest(arrived.name, of) is not None:
                came.append(scan(arrived.name, of, [*key, *labels]))
        made = None
        if predictions:
            made = scan(predictions[0], day, [*keys, predictions[1]]).rename({predictions[1]: PREDICTED})
        wanted = list(dict.fromkeys([*also, TRUTH, *([PREDICTED] if predictions else [])]))
        found = []
        for some in _parts(rows, [key] * bool(arrived) + [keys] * bool(predictions)):
            frame = rows.filter(some).collect(engine="streaming")
            if arrived:
                frame = _labelled(frame, [labelled.filter(some) for labelled in came], key, labels)
            if made is not None:
                predicted = made.filter(some).collect(engine="streaming")
                frame = frame.join(predicted, on=keys, how="left", maintain_order="left")
            known = pl.all_horizontal(pl.col(name).is_not_null() for name in labels)
            found.append(frame.with_columns(pl.when(known).then(value).alias(TRUTH)).select(wanted))
    return pl.concat(found)


def _parts(rows: pl.LazyFrame, joins: list[list[str]]) -> list[pl.Expr]:
    """Conditions that part rows, and all that is joined to them by one of these keys, in the same way."""
    parts = -(-rows.select(pl.len()).collect().item() // AT_ONCE)
    shared = [name for name in (joins or [[]])[0] if all(name in key for key in joins)]
    if parts <= 1 or not shared:
        return [pl.lit(value=True)]
    return [pl.struct(shared).hash() % parts == part for part in range(parts)]


def _labelled(rows: pl.DataFrame, came: Sequence[pl.LazyFrame], key: list[str], labels: list[str]) -> pl.DataFrame:
    """``rows`` with their labels, of each key the one that came last."""
    if not came:
        return rows.with_columns(pl.lit(None).alias(name) for name in labels)
    wanted = rows.lazy().select(key)
    delivered = pl.collect_all([some.join(wanted, on=key, how="semi") for some in came], engine="streaming")
    latest = pl.concat(delivered).unique(key, keep="last", maintain_order=True)
    return rows.join(latest, on=key, how="left", maintain_order="left")
