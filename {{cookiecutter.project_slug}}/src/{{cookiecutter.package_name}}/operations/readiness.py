"""What has to be so before people depend on a model: each line is looked at in this project's state, and says how."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ..errors import ProjectError, plain
from ..paths import Paths
from . import ready_model, ready_service, watched
from .subject import NO, NOT_APPLICABLE, YES, Seen, Subject


@dataclass(frozen=True)
class Line:
    """``how`` it was checked, what was ``seen``, and what to do ``next`` where it does not hold."""

    name: str
    result: str
    how: str
    seen: str
    next: str = ""

    @property
    def holds(self) -> bool:
        return self.result in (YES, NOT_APPLICABLE)


@dataclass(frozen=True)
class Check:
    name: str
    how: str
    look: Callable[[Subject], Seen]
    next: str


CHECKS = [
    Check(
        "source to features is reproducible",
        "the champion's dataset by its sha256, its partitions by theirs, its commit in git",
        ready_model.reproducible,
        "commit, then ml train --config {config}; ml reproduce VERSION makes one again, to the end",
    ),
    Check(
        "training is documented",
        "the champion's card is rendered and held against what a card must say",
        ready_model.documented,
        "ml card VERSION says what it lacks",
    ),
    Check(
        "the interface has a version",
        "the champion's contract beside contract.py: one version number, one set of columns",
        ready_model.interface,
        "raise the version in contract.py, then ml train --config {config}",
    ),
    Check(
        "the environment can be made again",
        "uv sync --check --locked; uv.lock is the champion's, or the champion's proof holds under this one",
        ready_model.environment,
        "uv lock, uv sync --locked, then ml verify VERSION",
    ),
    Check(
        "there is a way back",
        "the version that a rollback returns to is fetched, and its proof replayed in a process of its own",
        ready_model.way_back,
        "ml versions; then ml gate and ml promote another one than VERSION",
    ),
    Check(
        "runs come by themselves",
        "each of the last 7 days was run between its end and its deadline, says the ledger",
        ready_service.scheduled,
        "switch a schedule of deploy/ or .github/workflows/ on: it calls ml run",
    ),
    Check(
        "data quality is watched",
        "each of the last 7 days was held against the contract, says the ledger",
        ready_service.data_quality,
        "ml backfill --from DAY --to DAY",
    ),
    Check(
        "drift and errors are watched",
        "the monitor was armed on each of the last 7 days, says the ledger",
        ready_service.drift,
        "ml calibrate",
    ),
    Check(
        "latency is watched",
        "the Prometheus at ML_PROMETHEUS_URL evaluates a rule about it on servers, where one follows the champion here",
        watched.latency,
        "start a Prometheus with deploy/prometheus, and name it in ML_PROMETHEUS_URL",
    ),
    Check(
        "incidents are answered",
        "each code has its heading in docs/runbook.md, and no page of the last 14 days is open",
        ready_service.incidents,
        "ml status --days 14",
    ),
    Check(
        "somebody owns it",
        "owner in operations.yaml is not the template's, and CODEOWNERS gives everything to the same team",
        ready_service.owner,
        "name a team that answers and an address that is read: in operations.yaml and in CODEOWNERS",
    ),
    Check(
        "secrets are kept out",
        "no .env in git, no secret in any tracked file (kingfisher), none in an address of operations.yaml",
        ready_service.secrets,
        "take it out, and make the secret worthless where it was valid: git keeps it",
    ),
    Check(
        "the alert route was tested",
        "the ledger holds a test alert that reached every channel of operations.yaml, and nothing waits to be sent",
        ready_service.alert_route,
        "name a channel in operations.yaml (docs/alerts.md), then ml alerts test",
    ),
    Check(
        "a restore was rehearsed",
        "the ledger holds a rehearsal that ended well",
        ready_service.restore,
        "",
    ),
]


def look(paths: Paths, now: datetime, report: Callable[[str], None] = lambda _: None) -> list[Line]:
    """Every line of the list, as it is ``now``. A check that cannot be made is a no that says why."""
    subject = Subject(paths, now)
    lines = []
    for check in CHECKS:
        report(check.name)
        lines.append(looked(check, subject))
    return lines


def looked(check: Check, subject: Subject) -> Line:
    """One line of the list."""
    try:
        result, seen = check.look(subject)
    except Exception as raised:
        error = plain(raised)
        if error is None:
            raise
        result, seen = NO, error.message.splitlines()[0]
    to_do = "" if result in (YES, NOT_APPLICABLE) else _next(check, subject, result, seen)
    return Line(check.name, result, check.how, seen, to_do)


def _next(check: Check, subject: Subject, result: str, seen: str) -> str:
    config = subject.operations.retraining.config
    try:
        if (result, seen) == subject.no_champion():
            return f"ml train --config {config}, then ml gate and ml promote what it made"
        champion = str(subject.champion or "VERSION")
    except ProjectError:
        champion = "VERSION"
    return check.next.format(config=config).replace("VERSION", champion)


def counts(lines: list[Line]) -> dict[str, int]:
    """How many lines have which result."""
    found: dict[str, int] = {}
    for line in lines:
        found[line.result] = found.get(line.result, 0) + 1
    return found


def as_dict(lines: list[Line]) -> dict[str, Any]:
    """The same for machines."""
    return json.loads(
        json.dumps({"ready": all(line.holds for line in lines), "lines": [asdict(line) for line in lines]})
    )
