"""Mean losses of matured days, kept: the series that realised performance is judged on.

A day's losses are worked out once. What they follow from may change later: labels that come again, predictions that
are replaced; the daily run then forgets them, and they are worked out anew when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from pydantic import BaseModel, ConfigDict, ValidationError

from ..config import OperationsConfig
from ..data.store import Store
from ..model.version import ModelVersion
from ..monitoring.report import LOCK
from ..storage import Storage
from .realised import Loss, Realised, realised

FOLDER = "monitor/losses"


class Losses(BaseModel):
    """What the predictions of ``day`` were off by; empty where nothing was predicted, or too few labels came."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    day: date
    metric: str | None = None
    model_version: str | None = None
    losses: list[Loss] = []


def keep(said: Realised, storage: Storage) -> Losses:
    """Keep what was just worked out."""
    kept = Losses(day=said.day, metric=said.metric, model_version=said.version, losses=list(said.losses))
    with storage.alone_at(_key(said.day), LOCK):
        storage.write_json(_key(said.day), kept.model_dump(mode="json"))
    return kept


def losses(
    day: date, operations: OperationsConfig, store: Store, loaded: ModelVersion | None, storage: Storage
) -> Losses:
    """Those of ``day``, which has to have rows; worked out unless they are kept."""
    content = storage.read(_key(day))
    if content is not None:
        try:
            return Losses.model_validate_json(content)
        except ValidationError:
            pass  # torn, or of another release: it follows from the data
    said = realised(day, operations, store, loaded)
    return keep(said, storage) if not said.lacking else Losses(day=day)


def forget(days: Iterable[date], storage: Storage) -> None:
    """What these days were off by follows from something that has changed."""
    for day in days:
        storage.remove(_key(day))


def _key(day: date) -> str:
    return f"{FOLDER}/{day}.json"
