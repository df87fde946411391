"""One run of a day in the making: its steps, and what each failure is called in the ledger."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime

from ..config import OperationsConfig
from ..data.ingest import Examined
from ..data.store import Store
from ..data.violations import ContractViolated
from ..errors import Exit, ProjectError, plain
from ..paths import Paths
from ..programs import user
from ..spec import Table
from ..storage import Storage
from ..training import provenance
from .codes import Tier
from .ledger import EXITS, Attempt, Ledger, Outcome, Record, Said, Step, worst

Clock = Callable[[], datetime]
OUTCOMES: dict[Exit, Outcome] = {
    Exit.REFUSED: "refused",
    Exit.UNAVAILABLE: "late",
    Exit.SAID_NO: "no",
    Exit.USAGE: "failed",
}


class Run:
    """Writes the record of ``day`` while it happens: a killed run leaves the steps that it came to the end of."""

    def __init__(self, ledger: Ledger, day: date, paths: Paths, clock: Clock, report: Callable[[str], None]) -> None:
        self._ledger, self._day, self._clock, self._report = ledger, day, clock, report
        self._record = ledger.read(day) or Record(pipeline=ledger.pipeline, date=day)
        if (last := self._record.last) and last.outcome == "running":
            last.outcome = "interrupted"
        head, dirty = provenance.commit(paths)
        self.attempt = Attempt(
            attempt=len(self._record.attempts) + 1,
            started=clock(),
            git_commit=head,
            git_dirty=dirty,
            lock_sha256=provenance.lock_sha256(paths),
            host=socket.gethostname(),
            pid=os.getpid(),
            user=user(),
        )
        self._record.attempts.append(self.attempt)
        ledger.sweep(day)
        ledger.write(self._record)

    @contextmanager
    def step(self, name: str, *, code: str = "RUN002", tier: Tier = "page") -> Generator[Step]:
        """Run a step. What goes wrong in it is noted under ``code`` with ``tier``, and does not leave it.

        A mistake of the program is noted too, and raised.
        """
        self._report(name)
        step = Step(name=name, started=self._clock())
        self.attempt.steps.append(step)
        try:
            yield step
            if step.outcome == "running":
                step.outcome = "ok"
        except Exception as raised:
            error = plain(raised)
            if error is None:
                step.outcome, step.said = "failed", f"{type(raised).__name__}: {raised}"
                step.checks.append(Said(code="RUN001", tier="page", said=step.said))
                with suppress(Exception):  # whatever it is, the mistake itself is what must be seen
                    self.end()
                raise
            step.outcome, step.said = OUTCOMES[error.exit], error.message
            step.checks.append(Said(code=_code(error, code), tier=tier, said=error.message))
        finally:
            step.ended = self._clock()
        self._ledger.write(self._record)

    @property
    def storage(self) -> Storage:
        """Where the ledger lies, and what is kept beside it."""
        return self._ledger.storage

    def before(self, day: date) -> Attempt | None:
        """The last attempt of another day. A record that cannot be read says nothing here."""
        try:
            record = self._ledger.read(day)
        except ProjectError:
            return None
        return record.last if record else None

    def end(self) -> Attempt:
        """Close the attempt and say how it ended."""
        self.attempt.outcome = worst([step.outcome for step in self.attempt.steps])
        self.attempt.exit = int(EXITS[self.attempt.outcome])
        self.attempt.ended = self._clock()
        self._ledger.write(self._record)
        return self.attempt


def _code(error: ProjectError, code: str) -> str:
    if isinstance(error, ContractViolated):
        return "FRESH004" if error.stale else "DATA001"
    return "RUN002" if error.exit is Exit.UNAVAILABLE else code


@dataclass(frozen=True)
class Job:
    """What the steps of a day share. ``at`` is the time of the attempt; ``examined`` are deliveries read ahead."""

    run: Run
    day: date
    at: datetime
    paths: Paths
    operations: OperationsConfig
    store: Store
    examined: Callable[[Table], Examined] | None = None
