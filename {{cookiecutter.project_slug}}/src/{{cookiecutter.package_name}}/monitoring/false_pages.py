"""Pages that somebody called false, in an answer to an alert or in a calibration, and what follows for thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ..errors import ProjectError
from ..storage import Storage

KEY, LOCK = "alerts/false.json", "false-pages"
MARGIN = 1.1
"""A monitor that paged for nothing at 6 sds pages again from 6.6."""
REMEMBERED = timedelta(days=365)


class FalsePage(BaseModel):
    """A page that was for nothing: its monitor, its day, and how far out that was."""

    model_config = ConfigDict(extra="forbid")

    monitor: str
    day: date
    z: float | None = None


DOCUMENT = TypeAdapter(list[FalsePage])


def read(storage: Storage) -> list[FalsePage]:
    """Every page that was called false. A list that cannot be read counts as empty: rather a page too many."""
    try:
        return _kept(storage)
    except ValidationError:
        return []


def record(false: Iterable[FalsePage], storage: Storage, *, withdrawn: Iterable[tuple[str, date]] = ()) -> None:
    """Put ``false`` on the list, each once, and take off it what somebody has thought better of (monitor and day).

    Raises ProjectError (exit 2) for a list that is torn: written over, every answer so far would be lost.
    """
    with storage.alone_at(KEY, LOCK):
        try:
            known = _kept(storage)
        except ValidationError as error:
            raise ProjectError(
                f"{storage.where(KEY)} is no list of false pages: {error.errors(include_url=False)[0]['msg']}",
                hint="restore it from a backup, or move it away",
            ) from None
        kept = {(page.monitor, page.day): page for page in known}
        for key in withdrawn:
            kept.pop(key, None)
        kept |= {(page.monitor, page.day): page for page in false}
        if list(kept.values()) != known:
            storage.write(KEY, DOCUMENT.dump_json(list(kept.values()), indent=1) + b"\n")


def raised(pages: Iterable[FalsePage], c2: float, big: float, day: date) -> Mapping[str, tuple[float, float]]:
    """Thresholds of monitors that paged for nothing in the year before ``day``: what paged then is within them.

    Both are raised in proportion, from ``big`` for a deviation that was beyond it and from ``c2`` otherwise.
    """
    factors: dict[str, float] = {}
    for page in pages:
        if page.z is None or not day - REMEMBERED <= page.day <= day:
            continue
        size = abs(page.z)
        factor = MARGIN * size / (big if size > big else c2)
        factors[page.monitor] = max(factors.get(page.monitor, 1.0), factor)
    return {monitor: (c2 * factor, big * factor) for monitor, factor in factors.items()}


def _kept(storage: Storage) -> list[FalsePage]:
    content = storage.read(KEY)
    return [] if content is None else DOCUMENT.validate_json(content)
