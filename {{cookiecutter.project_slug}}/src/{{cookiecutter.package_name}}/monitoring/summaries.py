"""Summaries of a table's days, kept so that none is made twice: one document a table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pydantic import TypeAdapter, ValidationError

from ..storage import Storage
from .report import LOCK
from .summary import Summary

FOLDER = "monitor/summaries"
KEPT = 430
"""Days: what `ml calibrate` replays, and a month. One document a table, for a bucket takes its time for each object."""
DOCUMENT = TypeAdapter(dict[date, Summary])


def add(summaries: Mapping[date, Summary], table: str, storage: Storage) -> None:
    """Keep these too, without what only pictures need. Of all of a table's the newest stay."""
    with storage.alone_at(key(table), LOCK):
        known = read(table, storage) | dict(summaries)
        newest = {day: known[day] for day in sorted(known)[-KEPT:]}
        storage.write(key(table), DOCUMENT.dump_json(newest, exclude={"__all__": {"shares"}}) + b"\n")


def read(table: str, storage: Storage) -> dict[date, Summary]:
    """Those that are kept; none where they cannot be read, for they can be made again."""
    content = storage.read(key(table))
    try:
        return {} if content is None else DOCUMENT.validate_json(content)
    except ValidationError:
        return {}


def key(table: str) -> str:
    return f"{FOLDER}/{table}.json"
