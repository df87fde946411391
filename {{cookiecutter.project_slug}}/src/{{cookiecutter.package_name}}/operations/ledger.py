"""What each run did: one record a pipeline and day, a JSON file that a person reads too.

A record is replaced as a whole after every step, so that a run that is killed leaves how far it came: an attempt
without an end. The next run closes that attempt as ``interrupted``.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..config import OperationsConfig
from ..errors import Exit, ProjectError
from ..paths import Paths
from ..storage import PATIENCE, open_storage
from .codes import TIERS, Tier

PIPELINE = "daily"
REHEARSALS = "rehearsals"
"""The pipeline of what people try out, so that it is known to work: under the day on which they did."""
Outcome = Literal["ok", "not due", "not yet", "late", "refused", "no", "failed", "running", "interrupted"]
"""``not due``: nothing to do today. ``not yet``: it needs something that this project does not have yet."""
EXITS: dict[Outcome, Exit] = {
    "ok": Exit.OK,
    "refused": Exit.REFUSED,
    "late": Exit.UNAVAILABLE,
    "no": Exit.SAID_NO,
    "failed": Exit.SAID_NO,
}
"""The worst first is what an attempt ends with: a refusal, then what a retry may mend, then a check that said no."""


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Said(_Written):
    """One check: a code of ``codes.py``, how urgent it is, and what was seen beside what was expected.

    ``about`` names the monitor, where one spoke, and ``z`` how far it was off, in standard deviations.
    """

    code: str
    tier: Tier
    said: str
    about: str | None = None
    z: float | None = None


class Partition(_Written):
    """A partition that a step put in force, or found in force."""

    table: str
    partition: date
    sha256: str
    rows: int
    changed: bool


class Step(_Written):
    """One step. ``rows_in`` is what came, ``rows_out`` what is in force afterwards; ``facts`` are its own figures."""

    name: str
    started: datetime
    ended: datetime | None = None
    outcome: Outcome = "running"
    said: str = ""
    checks: list[Said] = []
    rows_in: int | None = None
    rows_out: int | None = None
    partitions: list[Partition] = []
    facts: dict[str, Any] = {}


class Attempt(_Written):
    """One run of the day's pipeline, from what and where."""

    attempt: int
    started: datetime
    ended: datetime | None = None
    outcome: Outcome = "running"
    exit: int | None = None
    git_commit: str
    git_dirty: bool
    lock_sha256: str
    host: str
    pid: int
    user: str
    model_version: str | None = None
    steps: list[Step] = []

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)

    @property
    def checks(self) -> list[Said]:
        """Everything that was said, the most urgent first."""
        said = [check for step in self.steps for check in step.checks]
        return sorted(said, key=lambda check: -TIERS.index(check.tier))

    @property
    def complete(self) -> bool:
        """Whether the day needs no further attempt."""
        return self.outcome == "ok" and all(step.outcome != "not yet" for step in self.steps)


class Record(_Written):
    """Every attempt of one day, oldest first."""

    pipeline: str = PIPELINE
    date: date
    attempts: list[Attempt] = []

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None


class Ledger:
    """The records of one pipeline."""

    def __init__(
        self, paths: Paths, operations: OperationsConfig, patience: float = PATIENCE, pipeline: str = PIPELINE
    ) -> None:
        self.storage = open_storage(operations.storage.ledger, paths, patience=patience)
        self.pipeline = pipeline

    def key(self, day: date) -> str:
        return f"{self.pipeline}/{day}.json"

    def where(self, day: date) -> str:
        return self.storage.where(self.key(day))

    def read(self, day: date) -> Record | None:
        """The record of a day, None where the day was never run. Raises ProjectError (exit 2) for one that is torn."""
        content = self.storage.read(self.key(day))
        if content is None:
            return None
        try:
            found = Record.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            at = ".".join(str(part) for part in first["loc"])
            raise ProjectError(
                f"{self.where(day)} is no record of a run: {f'{at}: ' if at else ''}{first['msg']}",
                hint="restore it from a backup; or move it away, and the next run of the day begins a new one",
            ) from None
        if found.date != day or found.pipeline != self.pipeline:
            raise ProjectError(
                f"{self.where(day)} is the record of {found.pipeline} {found.date}",
                hint="a copy under another day's name? move it away",
            )
        return found

    def write(self, record: Record) -> None:
        # times in the order of their fields, and not sorted keys: a person reads from the beginning to the end
        content = record.model_dump_json(indent=1, exclude_none=True) + "\n"
        self.storage.write(self.key(record.date), content.encode())

    def sweep(self, day: date) -> None:
        """Remove what a killed run left of the day's record beside it. Call it under the day's lock."""
        self.storage.sweep(self.pipeline, f"{day}.json")

    def days(self) -> list[date]:
        """Days that have a record, oldest first."""
        return self.storage.days(self.pipeline)


def worst(outcomes: list[Outcome]) -> Outcome:
    """What an attempt with steps of these outcomes ends with."""
    return next((outcome for outcome in ("failed", "refused", "late", "no") if outcome in outcomes), "ok")
