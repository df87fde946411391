"""`ml run`: everything that is due for a day, in order, once; run again, it leaves the same data and another attempt.

Of the clock only two things are asked: whether the day can be there yet, and whether its deadline is past. Everything
else follows from the day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from time import sleep as really_sleep

from ..clock import days
from ..config import load_operations
from ..contract import CONTRACT
from ..data.ingest import Examined
from ..data.store import PREDICTIONS, Store
from ..errors import Exit, ProjectError
from ..model.version import ModelVersion
from ..monitoring import report as reports
from ..paths import Paths
from ..spec import Table
from ..storage import Held
from . import alerts, arrivals, intake, losses, retraining
from .attempt import Clock, Job, Run
from .day import alive
from .ledger import PIPELINE, Attempt, Ledger, Partition, Said
from .realised import realised
from .score import champion, opened, score
from .watch import watch

Report = Callable[[str], None]
OF_INGEST = ("DATA", "FRESH001", "FRESH002")
"""What the step that takes a table in has said already."""


def run(
    day: date,
    paths: Paths,
    *,
    clock: Clock,
    report: Report = lambda _: None,
    ledger: Ledger | None = None,
    examined: Callable[[Table], Examined] | None = None,
    tell: bool = True,
) -> Attempt:
    """Do what is due for ``day``, record it and tell whom it concerns. What went wrong is in the attempt, not raised.

    ``examined`` gives what was found in the day's delivery of a table, where that was read ahead. Without ``tell``
    the caller sees to the alerts.

    Raises ProjectError before anything is touched: exit 2 for a day in the future, a record or a configuration that
    cannot be read; exit 4 for a day that is not over, or that another run is busy with.
    """
    operations = load_operations(paths.operations)
    retraining.check(operations, paths)
    refuse_a_day_to_come(day, clock())
    ledger, store = ledger or Ledger(paths, operations), Store(paths)
    try:
        with ledger.storage.locked(f"run-{PIPELINE}-{day}", wait=False):
            run = Run(ledger, day, paths, clock, report)
            done = _everything(Job(run, day, clock(), paths, operations, store, examined))
    except Held as held:
        who = _holder(ledger, day) or held.holder
        raise ProjectError(
            f"another run of {day} is going on{who and f', {who}'}",
            hint=f"ml status --date {day}",
            exit=Exit.UNAVAILABLE,
        ) from None
    except Exception:
        if tell:  # a mistake of the program, or a record that cannot be read or written
            alerts.after_run(day, None, ledger, paths, operations, clock())
        raise
    if tell:
        report("alerts")
        alerts.after_run(day, done, ledger, paths, operations, clock())
    return done


def _holder(ledger: Ledger, day: date) -> str:
    """Who is at it: the attempt that goes on, whose record comes a moment after its lock; not one before it."""
    for _ in range(20):
        record = ledger.read(day)
        last = record.last if record else None
        if last and last.ended is None and alive(last) is not False:
            return f"attempt {last.attempt} since {last.started:%H:%M} UTC on {last.host}, pid {last.pid}"
        really_sleep(0.1)
    return ""


def run_until(
    day: date,
    paths: Paths,
    *,
    clock: Clock,
    report: Report = lambda _: None,
    sleep: Callable[[float], None] = really_sleep,
) -> Attempt:
    """Like :func:`run`, and again after a while for as long as a retry may help and the deadline is ahead."""
    config = load_operations(paths.operations).daily
    end = arrivals.deadline(day, config)
    pauses = arrivals.retries(config)
    while True:
        done = run(day, paths, clock=clock, report=report)
        left = end - clock()
        if done.exit != Exit.UNAVAILABLE or left < timedelta(0):
            return done
        wait = min(next(pauses), left + timedelta(seconds=1))  # the last try is past the deadline, and says so
        report(f"waits {wait.total_seconds() / 60:.0f} minutes: {done.checks[0].said if done.checks else ''}")
        sleep(wait.total_seconds())


def refuse_a_day_to_come(day: date, now: datetime) -> None:
    if day > now.date():
        raise ProjectError(
            f"{day} is in the future: today is {now:%Y-%m-%d} UTC",
            hint=f"the last day that is over: ml run --date {now.date() - timedelta(days=1)}",
        )
    if now < arrivals.over(day):
        raise ProjectError(
            f"{day} is not over: it ends at {arrivals.over(day):%Y-%m-%d %H:%M} UTC",
            hint="run it then",
            exit=Exit.UNAVAILABLE,
        )


def _everything(job: Job) -> Attempt:
    arrived = {table.name: intake.ingest(job, table) for table in CONTRACT.tables.values()}
    there = arrived[CONTRACT.rows.name]
    job.run.storage.sweep(reports.FOLDER, f"{job.day}.json")
    _forget(job)
    loaded = _score(job, there=there)
    _labels(job, loaded)
    _monitor(job, loaded=loaded, there=there)
    with job.run.step("retrain", code="TRAIN001", tier="ticket") as step:
        retraining.retrain(step, job)
    return job.run.end()


def _forget(job: Job) -> None:
    """What labels that came again make untrue."""
    changed = {part.table for step in job.run.attempt.steps for part in step.partitions if part.changed}
    if isinstance(CONTRACT.labels, Table) and CONTRACT.labels.name in changed:
        first = job.day - timedelta(days=CONTRACT.labels_complete_after)
        losses.forget(days(first, job.day), job.run.storage)


def _score(job: Job, *, there: bool) -> ModelVersion | None:
    """The champion, once it has scored the day; never with another day's rows."""
    loaded = None
    with job.run.step("score", code="SCORE002") as step:
        version = retraining.unmoved(job.day, champion(job.paths, job.operations), job.paths, job.operations)
        if version is None:
            step.outcome, step.said = "not yet", f"no version of {job.operations.model} was ever promoted"
            step.checks.append(Said(code="SCORE001", tier="log", said=step.said))
            return None
        partition = job.store.manifest(CONTRACT.rows.name, job.day)
        loaded = opened(version, job.paths, job.operations, partition.rows if partition else 0)
        job.run.attempt.model_version = str(version)
        step.facts = {
            "version": str(version),
            "trained_until": loaded.facts["window"]["as_of"],
            "dataset": loaded.facts["dataset_sha256"],
        }
        if not there:
            step.outcome, step.said = "not due", f"no rows of {job.day} to score; no other day's are taken instead"
            return loaded
        done = score(job.day, version, loaded, job.store)
        if done.changed:
            losses.forget([job.day], job.run.storage)
        rows = done.manifest.rows
        step.rows_in, step.rows_out, step.said = rows, rows, f"{rows:,} rows by {version}"
        step.partitions = [
            Partition(
                table=f"{PREDICTIONS}{version.model}",
                partition=job.day,
                sha256=done.manifest.sha256,
                rows=rows,
                changed=done.changed,
            )
        ]
    return loaded


def _labels(job: Job, loaded: ModelVersion | None) -> None:
    """The day whose labels are complete with this one, and what its predictions turned out to be worth."""
    with job.run.step("labels", code="LABEL001", tier="ticket") as step:
        due = job.day - timedelta(days=CONTRACT.labels_complete_after)
        if job.store.manifest(CONTRACT.rows.name, due) is None:
            step.outcome, step.said = "not due", f"{due} was never ingested"
            return
        said = realised(due, job.operations, job.store, loaded)
        losses.keep(said, job.run.storage)
        step.facts = said.as_facts()
        step.rows_in, step.rows_out, step.said = said.rows, said.labelled, str(said)
        if not said.mature:
            step.checks.append(Said(code="LABEL001", tier="ticket", said=str(said)))
            step.outcome = "no"


def _monitor(job: Job, *, loaded: ModelVersion | None, there: bool) -> None:
    """The day beside the days before it; what of it is urgent is a check of the step."""
    with job.run.step("monitor") as step:
        if not there or job.store.manifest(CONTRACT.rows.name, job.day) is None:
            step.outcome, step.said = "not due", "nothing arrived that could be looked at"
            return
        version = job.run.attempt.model_version
        storage = job.run.storage
        said = watch(job.day, job.operations, job.store, storage, loaded=loaded, version=version, at=job.at)
        reports.write(said, storage)
        rows = next(found for found in said.findings if found.code == "FRESH003")
        step.facts = {"rows": rows.observed, "state": said.state, "watched": said.watched}
        if said.days_to_go:
            step.facts["days_to_go"] = said.days_to_go
        if said.normal:
            step.facts["normal"] = said.normal
        step.said = "; ".join([rows.said, *([said.holiday] if said.holiday else []), str(said)])
        step.checks = [
            Said(code=found.code, tier=found.outcome, said=found.said, about=found.monitor, z=found.z)
            for found in said.findings
            if found.outcome in ("page", "ticket") and not found.code.startswith(OF_INGEST)
        ]
        if any(check.tier == "page" for check in step.checks):
            step.outcome = "no"
