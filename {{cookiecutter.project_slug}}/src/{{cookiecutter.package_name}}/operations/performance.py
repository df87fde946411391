"""Realised performance as daily series: the mean loss of matured days, overall and by slice, judged like any other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, timedelta

from ..clock import days as calendar
from ..config import ModelConfig, OperationsConfig, recorded
from ..contract import CONTRACT
from ..data.store import PREDICTIONS, Store
from ..model.version import ModelVersion
from ..monitoring.evidence import REACH
from ..monitoring.monitor import Monitor, Observed
from ..monitoring.report import Finding
from ..spec import PRIMARY
from ..storage import Storage
from .drift import Stand, series
from .losses import Losses, losses

SHARE = 0.05
"""Of the mean loss: what does not matter, where no gate names a tolerance in the same metric."""
Rows = dict[date, dict[str, Observed]]


def judged(
    day: date, operations: OperationsConfig, store: Store, storage: Storage, loaded: ModelVersion | None, now: Stand
) -> list[Finding]:
    """The day whose labels are complete with those of ``day``, beside the matured days before it."""
    due = day - timedelta(days=CONTRACT.labels_complete_after)
    watched, observed = matured(calendar(due - timedelta(days=REACH - 1), due), operations, store, storage, loaded)
    if due not in observed:
        return []
    made = store.manifest(f"{PREDICTIONS}{operations.model}", due)
    mine = [monitor for monitor in watched if monitor.name in observed[due]]
    return series(due, mine, observed, now, version=made.model_version if made else None)


def matured(
    days: Iterable[date], operations: OperationsConfig, store: Store, storage: Storage, loaded: ModelVersion | None
) -> tuple[list[Monitor], Rows]:
    """The monitors that realised losses have, and what each saw on those of ``days`` that have matured."""
    if loaded is None:
        return [], {}
    config = recorded(loaded.facts["config"], loaded.name)
    there = set(store.days(CONTRACT.rows.name)) & set(store.days(f"{PREDICTIONS}{operations.model}"))
    found = [losses(day, operations, store, loaded, storage) for day in days if day in there]
    kept = [one for one in found if one.losses and one.metric == PRIMARY[config.task]]
    names = {loss.slice: None for one in kept for loss in one.losses}
    watched = {name: _monitor(name, config, operations.model, loaded, kept) for name in names}
    observed = {
        one.day: {
            watched[loss.slice].name: Observed(loss.mean, loss.sd / math.sqrt(loss.rows), f"{loss.rows:,} rows")
            for loss in one.losses
        }
        for one in kept
    }
    return list(watched.values()), observed


def _monitor(name: str | None, config: ModelConfig, model: str, loaded: ModelVersion, kept: list[Losses]) -> Monitor:
    """What is lost in a slice, or in all rows, day by day; only more of it matters."""
    metric = PRIMARY[config.task]
    gate = config.gate if config.gate and config.gate.metric == metric else None
    if gate:
        floor = gate.tolerance if name is None else gate.slice_tolerance or gate.tolerance
    else:
        means = [loss.mean for one in kept for loss in one.losses if loss.slice == name]
        floor = SHARE * sum(means) / len(means)
    return Monitor(
        name=f"{model}.{metric}" + (f"[{name}]" if name else ""),
        code="PERF002" if name else "PERF001",
        table=model,
        measure=metric,
        scale="plain",
        unit=loaded.contract.target.unit if metric == "mae" else None,
        slice=name,
        floor=floor,
        worse=True,
    )
