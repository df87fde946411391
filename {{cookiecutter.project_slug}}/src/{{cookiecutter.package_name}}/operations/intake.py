"""The daily run's first step: what upstream delivered for the day, in force, refused, late or missing."""

from __future__ import annotations

from ..contract import CONTRACT
from ..data.ingest import Ingested, commit, examine
from ..errors import Exit, ProjectError
from ..spec import Table
from . import arrivals
from .attempt import Job
from .codes import Tier
from .ledger import Partition, Said, Step


def ingest(job: Job, table: Table) -> bool:
    """Whether the table's partition of the day is in force, and new upstream data were not refused."""
    urgent: Tier = "page" if table is CONTRACT.rows else "ticket"
    with job.run.step(f"ingest {table.name}", code="DATA001", tier=urgent) as step:
        try:
            if job.examined:
                seen = job.examined(table)
            else:
                seen = examine(table, job.day, CONTRACT, job.operations, job.paths, job.at)
        except ProjectError as missing:
            if missing.exit is not Exit.UNAVAILABLE:
                raise
            _not_there(step, table, job, missing, urgent)
        else:
            _note(step, commit(seen, CONTRACT, job.store))
    return step.outcome == "ok"


def _note(step: Step, done: Ingested) -> None:
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


def _not_there(step: Step, table: Table, job: Job, missing: ProjectError, urgent: Tier) -> None:
    """Late, or missing; or gone upstream after it was ingested, as old files are."""
    if manifest := job.store.manifest(table.name, job.day):
        _note(step, Ingested(manifest, changed=False))
        step.said += "; upstream has it no longer, what was ingested stays"
        return
    due = arrivals.deadline(job.day, job.operations.daily)
    step.said = missing.message
    if job.at <= due:
        step.outcome = "late"
        said = f"{missing.message}; due by {due:%Y-%m-%d %H:%M} UTC"
        step.checks.append(Said(code="FRESH001", tier="log", said=said))
    else:
        step.outcome = "no"
        said = f"{missing.message}; it was due by {due:%Y-%m-%d %H:%M} UTC"
        step.checks.append(Said(code="FRESH002", tier=urgent, said=said))
