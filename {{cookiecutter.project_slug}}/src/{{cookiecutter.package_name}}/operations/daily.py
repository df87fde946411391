"""`ml run`: everything that is due for a day, in order, once; run again, it leaves the same data and another attempt.

Of the clock only two things are asked: whether the day can be there yet, and whether its deadline is past. Everything
else follows from the day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from time import sleep as really_sleep

from ..config import OperationsConfig, load_operations
from ..contract import CONTRACT
from ..data.ingest import Ingested, ingest
from ..data.store import PREDICTIONS, Store
from ..errors import Exit, ProjectError
from ..model.version import ModelVersion
from ..paths import Paths
from ..spec import Table
from ..storage import Held, StorageRefused
from . import arrivals, retraining
from .attempt import Clock, Run
from .codes import Tier
from .ledger import PIPELINE, Attempt, Ledger, Partition, Said, Step
from .realised import realised
from .score import champion, opened, score

Report = Callable[[str], None]


def run(
    day: date,
    paths: Paths,
    *,
    clock: Clock,
    report: Report = lambda _: None,
    ledger: Ledger | None = None,
) -> Attempt:
    """Do what is due for ``day`` and record it. What went wrong is in the attempt that is returned, not raised.

    Raises ProjectError before anything is touched: exit 2 for a day in the future, a record or a configuration that
    cannot be read; exit 4 for a day that is not over, or that another run is busy with.
    """
    operations = load_operations(paths.operations)
    retraining.check(operations, paths)
    refuse_a_day_to_come(day, clock())
    ledger = ledger or Ledger(paths, operations)
    try:
        with ledger.storage.locked(f"run-{PIPELINE}-{day}", wait=False):
            return _run(day, paths, operations, Run(ledger, day, paths, clock, report), clock)
    except Held:
        record = ledger.read(day)
        last = record.last if record else None
        who = f", attempt {last.attempt} since {last.started:%H:%M} UTC on {last.host}, pid {last.pid}" if last else ""
        raise ProjectError(
            f"another run of {day} is going on{who}", hint=f"ml status --date {day}", exit=Exit.UNAVAILABLE
        ) from None


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
    for pause in arrivals.retries(config):
        done = run(day, paths, clock=clock, report=report)
        left = end - clock()
        if done.exit != Exit.UNAVAILABLE or left < timedelta(0):
            return done
        wait = min(pause, left + timedelta(seconds=1))  # the last try is past the deadline, and says so
        report(f"waits {wait.total_seconds() / 60:.0f} minutes: {done.checks[0].said if done.checks else ''}")
        sleep(wait.total_seconds())
    raise AssertionError


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


def _run(day: date, paths: Paths, operations: OperationsConfig, run: Run, clock: Clock) -> Attempt:
    store = Store(paths)
    arrived = {
        table.name: _ingest(run, table, day, operations, paths, store, clock()) for table in CONTRACT.tables.values()
    }
    loaded = _score(run, day, paths, operations, store, there=arrived[CONTRACT.rows.name])
    _labels(run, day, operations, store, loaded)
    _monitor(run, day, store, there=arrived[CONTRACT.rows.name])
    with run.step("retrain", code="TRAIN001", tier="ticket") as step:
        retraining.retrain(step, day, operations, paths, run, clock())
    return run.end()


def _ingest(
    run: Run, table: Table, day: date, operations: OperationsConfig, paths: Paths, store: Store, now: datetime
) -> bool:
    """Whether the table's partition of the day is in force, and new upstream data were not refused."""
    urgent: Tier = "page" if table is CONTRACT.rows else "ticket"
    with run.step(f"ingest {table.name}", code="DATA001", tier=urgent) as step:
        try:
            done = ingest(table, day, CONTRACT, operations, paths, now)
        except ProjectError as missing:
            if missing.exit is not Exit.UNAVAILABLE or isinstance(missing, StorageRefused):
                raise
            _not_there(step, table, day, operations, store, now, missing, urgent)
            return step.outcome == "ok"
        _note_ingested(step, done)
    return step.outcome == "ok"


def _note_ingested(step: Step, done: Ingested) -> None:
    manifest = done.manifest
    aside = sum(manifest.rows_set_aside.values())
    step.rows_in, step.rows_out = manifest.rows + aside, manifest.rows
    step.partitions = [
        Partition(
            table=manifest.table,
            partition=manifest.partition,
            sha256=manifest.sha256,
            rows=manifest.rows,
            changed=done.changed,
        )
    ]
    step.facts = {"source": manifest.source, "source_sha256": manifest.source_sha256}
    step.said = f"{manifest.rows:,} rows" + (f", {aside} set aside" if aside else "")
    if aside:
        rules = ", ".join(f"{rule} {rows}" for rule, rows in manifest.rows_set_aside.items())
        step.checks.append(Said(code="DATA002", tier="log", said=f"{aside} rows set aside: {rules}"))


def _not_there(
    step: Step,
    table: Table,
    day: date,
    operations: OperationsConfig,
    store: Store,
    now: datetime,
    missing: ProjectError,
    urgent: Tier,
) -> None:
    """Late, or missing; or gone upstream after it was ingested, as old files are."""
    if manifest := store.manifest(table.name, day):
        _note_ingested(step, Ingested(manifest, changed=False))
        step.said += "; upstream has it no longer, what was ingested stays"
        return
    due = arrivals.deadline(day, operations.daily)
    step.said = missing.message
    if now <= due:
        step.outcome = "late"
        said = f"{missing.message}; due by {due:%Y-%m-%d %H:%M} UTC"
        step.checks.append(Said(code="FRESH001", tier="log", said=said))
    else:
        step.outcome = "no"
        said = f"{missing.message}; it was due by {due:%Y-%m-%d %H:%M} UTC"
        step.checks.append(Said(code="FRESH002", tier=urgent, said=said))


def _score(
    run: Run, day: date, paths: Paths, operations: OperationsConfig, store: Store, *, there: bool
) -> ModelVersion | None:
    """The champion, once it has scored the day; never with another day's rows."""
    loaded = None
    with run.step("score", code="SCORE002") as step:
        version = champion(paths, operations)
        if version is None:
            step.outcome, step.said = "not yet", f"no version of {operations.model} was ever promoted"
            step.checks.append(Said(code="SCORE001", tier="log", said=step.said))
            return None
        loaded = opened(version, paths, operations)
        run.attempt.model_version = str(version)
        step.facts = {
            "version": str(version),
            "trained_until": loaded.facts["window"]["as_of"],
            "dataset": loaded.facts["dataset_sha256"],
        }
        if not there:
            step.outcome, step.said = "not due", f"no rows of {day} to score; no other day's are taken instead"
            return loaded
        done = score(day, version, loaded, store)
        rows = done.manifest.rows
        step.rows_in, step.rows_out, step.said = rows, rows, f"{rows:,} rows by {version}"
        step.partitions = [
            Partition(
                table=f"{PREDICTIONS}{version.model}",
                partition=day,
                sha256=done.manifest.sha256,
                rows=rows,
                changed=done.changed,
            )
        ]
    return loaded


def _labels(run: Run, day: date, operations: OperationsConfig, store: Store, loaded: ModelVersion | None) -> None:
    """The day whose labels are complete with this one, and what its predictions turned out to be worth."""
    with run.step("labels", code="LABEL001", tier="ticket") as step:
        due = day - timedelta(days=CONTRACT.labels_complete_after)
        if store.manifest(CONTRACT.rows.name, due) is None:
            step.outcome, step.said = "not due", f"{due} was never ingested"
            return
        said = realised(due, operations, store, loaded)
        step.facts = said.as_facts()
        step.rows_in, step.rows_out, step.said = said.rows, said.labelled, str(said)
        if not said.mature:
            step.checks.append(Said(code="LABEL001", tier="ticket", said=str(said)))
            step.outcome = "no"


def _monitor(run: Run, day: date, store: Store, *, there: bool) -> None:
    """Row counts against the weekday's normal."""
    with run.step("monitor") as step:
        manifest = store.manifest(CONTRACT.rows.name, day)
        if not there or manifest is None:
            step.outcome, step.said = "not due", "nothing arrived that could be looked at"
            return
        usual = arrivals.normal(CONTRACT.rows.name, day, store)
        step.facts = {"rows": manifest.rows} | ({"normal": usual.as_facts()} if usual else {})
        if usual is None:
            step.said = f"{manifest.rows:,} rows; no normal before {arrivals.FEWEST} {day:%A}s are there"
            return
        step.said = f"{manifest.rows:,} rows, a {day:%A}'s normal is {usual.expected:,.0f}"
        if manifest.rows < usual.low:
            step.said += f", expected at least {usual.low:,.0f}"
            step.checks.append(Said(code="FRESH003", tier="page", said=step.said))
            step.outcome = "no"
