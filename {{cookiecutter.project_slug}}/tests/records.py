"""Records as `ml run` writes them, through the ledger: every state that a day can be in."""

from __future__ import annotations

import os
import socket
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.operations.codes import Tier
from {{cookiecutter.package_name}}.operations.ledger import (
    Attempt,
    Ledger,
    Outcome,
    Partition,
    Record,
    Said,
    Step,
)

from conftest import Project

HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
AT = time(6, 0, 3)
NEVER = 2**22 + 1
"""More than any system numbers its processes."""


def said(code: str, tier: Tier, words: str) -> Said:
    return Said(code=code, tier=tier, said=words)


def steps(day: date, rows: int = 2013, *, normal: dict[str, Any] | None = None, version: str = "hours/3") -> list[Step]:
    """A day as it should be. ``normal`` of None: still learning."""
    begun = datetime.combine(day + timedelta(days=1), AT, UTC)
    done = {"started": begun, "ended": begun + timedelta(seconds=2), "outcome": "ok"}

    def partition(table: str, count: int) -> list[Partition]:
        return [Partition(table=table, partition=day, sha256=HASH, rows=count, changed=True)]

    labelled = day - timedelta(days=5)
    figures = {"metric": "mae", "value": 7.21, "baseline": 11.42, "skill": 0.3687}
    return [
        Step(name="ingest parcels", rows_in=rows, rows_out=rows, partitions=partition("parcels", rows), **done),
        Step(name="ingest deliveries", rows_in=1981, rows_out=1980, partitions=partition("deliveries", 1980), **done),
        Step(name="labels", facts={"day": str(labelled), "rows": 2000, "labelled": 0.997, **figures}, **done),
        Step(
            name="score",
            rows_in=rows,
            rows_out=rows,
            partitions=partition("predictions/hours", rows),
            facts={"version": version, "trained_until": str(day - timedelta(days=4)), "trained_on": HASH},
            **done,
        ),
        Step(name="monitor", facts={"rows": rows} | ({"normal": normal} if normal else {}), **done),
        Step(name="retrain", **(done | {"outcome": "not due"}), said="retraining.when: never"),
    ]


def attempt(day: date, done: list[Step], outcome: Outcome = "ok", **about: Any) -> Attempt:
    """An attempt that made these steps, in 21 seconds."""
    begun = datetime.combine(day + timedelta(days=1), about.pop("at", AT), UTC)
    known = {
        "attempt": 1,
        "started": begun,
        "ended": None if outcome == "running" else begun + timedelta(seconds=21),
        "outcome": outcome,
        "git_commit": "3f2c9a11d0b84e7760a5a2f4f6f1d0c9b8a79685",
        "git_dirty": False,
        "lock_sha256": HASH,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "user": "ada",
    }
    return Attempt(**(known | about), steps=done)


def write(project: Project, day: date, *attempts: Attempt) -> None:
    numbered = [one.model_copy(update={"attempt": number}) for number, one in enumerate(attempts, 1)]
    ledger = Ledger(project.paths, load_operations(project.paths.operations))
    ledger.write(Record(date=day, attempts=numbered))


def normal(expected: float = 1980) -> dict[str, Any]:
    return {"expected": expected, "low": expected * 0.86, "high": expected * 1.14, "days": 8}


def fine(project: Project, day: date, rows: int = 2013, **about: Any) -> None:
    write(project, day, attempt(day, steps(day, rows, normal=normal()), **about))


def broken(
    project: Project,
    day: date,
    outcome: Outcome,
    code: str,
    words: str,
    *,
    tier: Tier = "page",
    step: str = "ingest parcels",
) -> None:
    """The run got no further than one step."""
    begun = datetime.combine(day + timedelta(days=1), AT, UTC)
    checks = [said(code, tier, words)]
    only = Step(name=step, started=begun, ended=begun, outcome=outcome, said=words, checks=checks)
    write(project, day, attempt(day, [only], outcome))


def killed(project: Project, day: date, **about: Any) -> None:
    """An attempt without an end, whose process is gone."""
    done = steps(day)[:3]
    done.append(Step(name="score", started=datetime.combine(day + timedelta(days=1), AT, UTC)))
    write(project, day, attempt(day, done, "running", **({"pid": NEVER} | about)))
