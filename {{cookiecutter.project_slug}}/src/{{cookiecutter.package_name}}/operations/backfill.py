"""`ml backfill`: the daily run for a range of days, in order, skipping what is done.

Days run one after the other, because a day's normal, its labels and its challenger come from the days before it; so the
end state is that of running them one by one. What depends on nothing, reading and checking deliveries, is done for the
next days meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date

from ..clock import days as every_day
from ..config import OperationsConfig, load_operations
from ..contract import CONTRACT
from ..data.ingest import Examined, examine
from ..errors import Exit, ProjectError
from ..paths import Paths
from ..spec import Table
from . import alerts
from .attempt import Clock
from .daily import refuse_a_day_to_come, run
from .ledger import Attempt, Ledger, worst


@dataclass
class Backfilled:
    """Which days were run, with their attempts, and which were done before. ``stopped`` is the day it broke off at."""

    ran: dict[date, Attempt] = field(default_factory=dict)
    done_before: list[date] = field(default_factory=list)
    stopped: date | None = None

    @property
    def exit(self) -> Exit:
        if self.stopped:
            return Exit.UNAVAILABLE
        ending = worst([attempt.outcome for attempt in self.ran.values()])
        return Exit(max((attempt.exit or 0 for attempt in self.ran.values() if attempt.outcome == ending), default=0))


def backfill(
    first: date,
    last: date,
    paths: Paths,
    *,
    clock: Clock,
    jobs: int,
    force: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Backfilled:
    """Run every day from ``first`` to ``last`` that has no complete run yet, or all of them with ``force``.

    Goes on after a day whose data are refused or lacking, as the days of a schedule do, and stops where the registry or
    the storage does not answer. ``jobs`` days are read ahead. Raises ProjectError (exit 2), before anything is touched,
    for a range the wrong way round, a day in the future, and a record that cannot be read.
    """
    if first > last:
        raise ProjectError(
            f"the range is the wrong way round: from {first} to {last}", hint=f"ml backfill --from {last} --to {first}"
        )
    refuse_a_day_to_come(last, clock())
    operations = load_operations(paths.operations)
    ledger = Ledger(paths, operations)
    wanted = list(every_day(first, last))
    complete = {day for day in wanted if (record := ledger.read(day)) and record.last and record.last.complete}
    todo = [day for day in wanted if force or day not in complete]
    said = Backfilled(done_before=[day for day in wanted if day not in todo])
    for day in said.done_before:
        report(f"{day}")
    with ThreadPoolExecutor(jobs, thread_name_prefix="backfill") as pool:
        ahead = _Ahead(pool, todo, jobs, operations, paths, clock)
        for day in todo:
            try:
                attempt = run(day, paths, clock=clock, ledger=ledger, examined=ahead.of(day), tell=False)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            said.ran[day] = attempt
            report(f"{day}")
            if any(check.code == "RUN002" for check in attempt.checks):
                said.stopped = day
                pool.shutdown(cancel_futures=True)
                break
    for day in list(said.ran)[-1:]:  # one message for all of them
        alerts.after_run(day, said.ran[day], ledger, paths, operations, clock())
    return said


class _Ahead:
    """Deliveries of the coming days, being read and checked while an earlier day runs."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        todo: list[date],
        jobs: int,
        operations: OperationsConfig,
        paths: Paths,
        clock: Clock,
    ) -> None:
        self._coming = iter(todo)
        self._begun: dict[date, dict[str, Future[Examined]]] = {}
        self._pool, self._operations, self._paths, self._clock = pool, operations, paths, clock
        for _ in range(jobs):
            self._begin()

    def of(self, day: date) -> Callable[[Table], Examined]:
        """What was found in the deliveries of ``day``; waits for it, and begins with one more day."""
        begun = self._begun.pop(day)
        self._begin()
        return lambda table: begun[table.name].result()

    def _begin(self) -> None:
        day = next(self._coming, None)
        if day is None:
            return
        now = self._clock()
        self._begun[day] = {
            table.name: self._pool.submit(examine, table, day, CONTRACT, self._operations, self._paths, now)
            for table in CONTRACT.tables.values()
        }
