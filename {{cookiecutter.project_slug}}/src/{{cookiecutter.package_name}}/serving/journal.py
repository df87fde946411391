"""Temporary: replaced by the branch that owns it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..config import OperationsConfig
from ..paths import Paths


@dataclass(frozen=True, slots=True)
class Entry:
    request_id: str
    at: datetime
    version: str
    role: str
    degraded: str | None
    rows: Sequence[dict[str, Any]]
    values: Sequence[float]
    seconds: float


class Journal:
    kept = dropped = waiting = 0

    def __init__(self, paths: Paths, operations: OperationsConfig) -> None: ...
    def start(self) -> None: ...
    def add(self, entry: Entry) -> None: ...
    def close(self, seconds: float) -> None: ...
