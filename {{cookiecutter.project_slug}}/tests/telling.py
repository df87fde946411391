"""Days as `ml run` leaves them, and the end of a run that tells of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from records import attempt, broken, normal, said, steps, write

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.operations import alert_state, alerts
from {{cookiecutter.package_name}}.operations.alert_state import State
from {{cookiecutter.package_name}}.operations.ledger import Ledger, Said

from conftest import Project

DAY = date(2026, 6, 2)
"""A Tuesday."""
MORNING = datetime(2026, 6, 3, 10, tzinfo=UTC)
"""After the deadline of the day."""


def state(project: Project) -> State:
    return alert_state.read(Ledger(project.paths, load_operations(project.paths.operations)).storage)


def tell(project: Project, day: date = DAY, now: datetime | None = None) -> None:
    """What `ml run` does at its end."""
    operations = load_operations(project.paths.operations)
    ledger = Ledger(project.paths, operations)
    record = ledger.read(day)
    moment = now or datetime.combine(day + timedelta(days=1), time(10), UTC)
    alerts.after_run(day, record.last if record else None, ledger, project.paths, operations, moment)


def partial(project: Project, day: date, *checks: Said) -> None:
    """A day on which the monitor says no."""
    done = steps(day, 1240, normal=normal())
    done[4].checks = list(checks) or [said("FRESH003", "page", "1,240 rows, expected at least 1,703")]
    done[4].outcome = "no"
    write(project, day, attempt(day, done, "no", exit=1))


def drifted(monitor: str, z: float = 6.1) -> Said:
    return Said(code="DRIFT001", tier="page", said=f"{monitor} moved", about=monitor, z=z)


def refused(project: Project, day: date = DAY) -> None:
    broken(project, day, "refused", "DATA001", "weight_g: q05 >= 30 expected, 1.2 observed")
