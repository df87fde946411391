"""Temporary: replaced by the branch that owns it."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.id import VersionId


@dataclass(frozen=True)
class Traffic:
    canary: VersionId | None = None
    share: float = 0.0
    shadow: VersionId | None = None
    stopped: str | None = None

    def takes_canary(self, key: str) -> bool:
        return hash(key) % 100 < self.share
