"""What the readiness list looks at: asked for once, and only by the lines that need it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..config import load_operations
from ..errors import ProjectError
from ..model.id import VersionId
from ..paths import Paths
from ..serving.pointer import Pointer
from . import alert_state
from . import day as one_day
from .day import Day
from .ledger import Ledger

if TYPE_CHECKING:
    from ..training.registry import Registry

YES, NO, NOT_YET, NOT_APPLICABLE = "yes", "no", "not yet", "not applicable"
Seen = tuple[str, str]
"""A result, and what was seen."""
WEEK, FORTNIGHT = 7, 14


class Subject:
    """One project at one time."""

    def __init__(self, paths: Paths, moment: datetime) -> None:
        self.paths = paths
        self.moment = moment
        self.operations = load_operations(paths.operations)
        self.ledger = Ledger(paths, self.operations)
        self._proofs: dict[VersionId, str] = {}

    @cached_property
    def champion(self) -> VersionId | None:
        return Pointer(self.paths, self.operations).champion(self.operations.model)

    @property
    def served(self) -> VersionId:
        """The champion, for lines that have asked whether there is one."""
        if self.champion is None:
            raise ProjectError(f"no version of {self.operations.model} was ever promoted")
        return self.champion

    @cached_property
    def registry(self) -> Registry:
        from ..training.registry import Registry

        return Registry(self.paths)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the registry recorded of the champion."""
        return self.registry.facts(self.served)

    def proof(self, version: VersionId) -> str:
        """What the proof of a version found in a process of its own, its files fetched first. Raises ProjectError."""
        from ..serving import worker

        if version not in self._proofs:
            self.registry.fetch(version)
            self._proofs[version] = worker.verify(version, self.paths)
        return self._proofs[version]

    @cached_property
    def begins(self) -> date | None:
        """The first day in the ledger."""
        return next(iter(self.ledger.days()), None)

    @cached_property
    def days(self) -> list[Day]:
        """The last 14 days that should have been run by now, oldest first."""
        last = self.moment.date() - timedelta(days=1)
        if one_day.read(self.ledger, last, self.operations.daily, self.moment).state == "not due":
            last -= timedelta(days=1)
        wanted = [last - timedelta(days=back) for back in reversed(range(FORTNIGHT))]
        told = self.alerts
        return [
            one_day.read(self.ledger, day, self.operations.daily, self.moment, told.answered(day)) for day in wanted
        ]

    @cached_property
    def alerts(self) -> alert_state.State:
        return alert_state.read(self.ledger.storage)

    @property
    def week(self) -> list[Day]:
        return self.days[-WEEK:]

    def no_champion(self) -> Seen | None:
        """The answer of a line that is about the champion, where there is none."""
        return None if self.champion else (NOT_YET, f"no version of {self.operations.model} was ever promoted")
