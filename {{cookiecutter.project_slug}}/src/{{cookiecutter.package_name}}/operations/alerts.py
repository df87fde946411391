"""Telling people what runs had to say: after each run, as a rehearsal, and what they answer.

What is told follows from the ledger and not from the run that has just ended: a run that was killed before it could
tell has its successor tell it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from ..clock import days as every_day
from ..config import AlertsConfig, OperationsConfig
from ..errors import Exit, ProjectError
from ..log import log
from ..monitoring import false_pages, report
from ..monitoring.false_pages import FalsePage
from ..paths import Paths
from ..programs import user
from ..serving.pointer import Pointer
from . import alert_sending, alert_text
from . import day as one_day
from .alert_rule import digest_due, notice, tickets
from .alert_state import TEST, Alert, Answer, Delivery, Message, State, alone, read, write
from .arrivals import deadline
from .attempt import Clock, Run
from .day import Day
from .ledger import REHEARSALS, Attempt, Ledger

WATCHED = 14
"""Days back that are looked at, as by `ml status`: what is older pages nobody."""
PATIENCE = 0.5
"""Seconds that the registry has for its word on the champion."""
OUTER_PING = "PING_URL"
"""Where it is set, what calls `ml run` pings: deploy/cron/ml-daily, .github/workflows/daily.yml."""


def after_run(
    day: date, done: Attempt | None, ledger: Ledger, paths: Paths, operations: OperationsConfig, now: datetime
) -> None:
    """Tell what is to be told, and ping. Never raises; with a channel that hangs it takes half a minute.

    ``done`` is None where the run broke off without an attempt to show.
    """
    try:
        with alone(ledger.storage):
            state, torn = _state(ledger)
            before = state.model_dump_json()
            try:
                _tell(day, state, ledger, paths, operations, now, keep=not torn)
                state.broke = ""
            except Exception as raised:  # a run has ended, and its own word must stand whatever happens here
                log.error("alerts broke off: %s", raised)
                state, torn = _state(ledger)
                state.broke = f"{type(raised).__name__}: {raised}"
            if trouble := state.trouble():
                log.warning("%s", trouble)
            _ping(day, done, not (torn or trouble), operations, state, now)
            if not torn and state.model_dump_json() != before:
                write(state, ledger.storage, now)
    except Exception as raised:
        log.error("alerts broke off: %s", raised)
        _ping(day, done, False, operations, State(), now)


def _state(ledger: Ledger) -> tuple[State, bool]:
    """What was told so far; where that cannot be read, nothing was: it is told again, and never written over."""
    try:
        return read(ledger.storage), False
    except ProjectError as error:
        if error.exit is not Exit.USAGE:
            raise
        log.error("%s", error.message)
        return State(), True


def _tell(
    day: date, state: State, ledger: Ledger, paths: Paths, operations: OperationsConfig, now: datetime, *, keep: bool
) -> None:
    config = operations.alerts
    # days after this one that were not run may be next in turn: a schedule that makes up for a week goes in order
    days = [one for one in _days(ledger, operations, now) if one.date <= day or one.state != "not run"]
    about, promoted = _about(days, paths, operations)
    pages = notice(state, days, config, now, promoted=promoted, since=_since(ledger))
    _retarget(state, config)
    if pages and config.page:
        _compose(state, "page", config.page, alert_text.page(pages, about), pages, now)
    if digest_due(state, config, now):
        week = tickets(state)
        if week and config.digest_to:
            unanswered = sum(alert.tier == "page" and alert.open for alert in state.alerts)
            _compose(state, "digest", config.digest_to, alert_text.digest(week, unanswered, about), week, now)
        state.digested = now
    state.digested = state.digested or now
    if state.undelivered:
        if keep:  # before anything is sent: whoever is killed from here on has it sent again, and not lost
            write(state, ledger.storage, now)
        alert_sending.send(state.undelivered, now)


def _days(ledger: Ledger, operations: OperationsConfig, now: datetime) -> list[Day]:
    known = ledger.days()
    last = now.date() - timedelta(days=1)
    if not known or known[0] > last:
        return []
    first = max(known[0], last - timedelta(days=WATCHED - 1))
    return [one_day.read(ledger, day, operations.daily, now) for day in every_day(first, last)]


def _about(days: Sequence[Day], paths: Paths, operations: OperationsConfig) -> tuple[alert_text.About, set[str]]:
    """What messages say of the project, and the versions that were ever promoted."""
    version = ""
    try:
        moves = Pointer(paths, operations, timeout=PATIENCE, attempts=1).moves(operations.model)
    except ProjectError as error:
        champion, moves = f"not known: {error.message}", []
    else:
        champion = "none yet"
    if moves:
        last, before = moves[-1], moves[-1]["previous"]
        version = f"{operations.model}/{last['version']}"
        champion = f"{version} since {datetime.fromisoformat(last['at']):%Y-%m-%d %H:%M} UTC"
        champion += f"; before it {operations.model}/{before}: uv run ml rollback" if before else "; none before it"
    made = [step for day in days if (step := day.challenger)]
    good = next((day for day in reversed(days) if day.state == "ok"), None)
    fine = f"{good.date}, scored by {good.version}" if good else f"none of the last {WATCHED}"
    about = alert_text.About(operations, champion, version, made[-1].facts["version"] if made else "", fine)
    return about, {f"{operations.model}/{move['version']}" for move in moves}


def _since(ledger: Ledger) -> Callable[[date, str], date | None]:
    """How long a monitor's finding lasts, in the report's own word."""

    def since(day: date, monitor: str) -> date | None:
        told = report.read(day, ledger.storage)
        return next((found.since for found in told.findings if found.monitor == monitor), None) if told else None

    return since


def _compose(
    state: State, kind: str, names: Sequence[str], text: tuple[str, str], alerts: Sequence[Alert], now: datetime
) -> None:
    title, body = text
    channels = {name: Delivery() for name in names}
    message = Message.model_validate(
        {"id": state.number(), "kind": kind, "made": now, "title": title, "body": body, "channels": channels}
    )
    state.messages.append(message)
    for alert in alerts:
        alert.message = message.id


def _retarget(state: State, config: AlertsConfig) -> None:
    """What waits goes where operations.yaml says today."""
    for message in state.undelivered:
        wanted = config.page if message.kind == "page" else config.digest_to
        arrived = len(message.waiting) < len(message.channels)
        kept = {name: one for name, one in message.channels.items() if one.sent or name in wanted}
        message.channels = kept if arrived else {name: Delivery() for name in wanted} | kept


def _ping(
    day: date, done: Attempt | None, through: bool, operations: OperationsConfig, state: State, now: datetime
) -> None:
    """Only for the newest day, once it is settled: a good run of an old one says nothing about this morning's."""
    name = operations.alerts.ping
    if name is None or os.environ.get(OUTER_PING) or day != now.date() - timedelta(days=1):
        return
    if done and done.exit == Exit.UNAVAILABLE and now < deadline(day, operations.daily):
        return
    state.ping = alert_sending.ping(name, bool(done and done.exit == 0 and through), now)


def rehearse(paths: Paths, operations: OperationsConfig, clock: Clock) -> Attempt:
    """Send what still waits, then a message to every channel; kept in the ledger as a step called ``test alert``.

    Raises ProjectError: exit 2 where there is no channel or the state is torn, exit 4 where somebody else is sending.
    """
    names = list(dict.fromkeys([*operations.alerts.page, *operations.alerts.digest_to]))
    if not names:
        raise ProjectError(
            "alerts.page and alerts.digest_to in operations.yaml are empty: nobody would be told",
            hint="page: [ML_ALERT_PAGE], and the address in that variable; docs/alerts.md has examples",
        )
    kept, now = Ledger(paths, operations, pipeline=REHEARSALS), clock()
    with alone(kept.storage):
        state = read(kept.storage)
        _retarget(state, operations.alerts)
        if state.undelivered:
            alert_sending.send(state.undelivered, now)
            write(state, kept.storage, now)
        run = Run(kept, now.date(), paths, clock, lambda _: None)
        with run.step(TEST) as step:
            title, body = alert_text.rehearsal(operations, user(), socket.gethostname())
            channels = {name: Delivery() for name in names}
            message = Message(id=0, kind="test", made=now, title=title, body=body, channels=channels)
            alert_sending.send([message], now)
            said = {name: one.failed or "arrived" for name, one in message.channels.items()}
            step.facts = {"channels": said}
            step.outcome = "failed" if message.waiting else "ok"
            step.said = "; ".join(f"{name}: {what}" for name, what in said.items())
        return run.end()


def answer(numbers: Sequence[int], ledger: Ledger, now: datetime, *, why: str, false: bool) -> list[Alert]:
    """Keep somebody's word on alerts; the last one counts. Raises ProjectError (exit 2) for a number that is none."""
    with alone(ledger.storage):
        state = read(ledger.storage)
        known = {alert.id: alert for alert in state.alerts}
        unknown = [number for number in numbers if number not in known]
        if unknown:
            newest = ", ".join(str(alert.id) for alert in state.alerts[-5:]) or "none"
            raise ProjectError(
                f"there is no alert {', '.join(map(str, unknown))}; the newest are {newest}", hint="ml alerts"
            )
        told = [known[number] for number in dict.fromkeys(numbers)]
        for alert in told:
            alert.answer = Answer(at=now, who=user(), why=why, false=false)
        pages = [
            FalsePage(monitor=alert.monitor, day=alert.day, z=alert.z)
            for alert in told
            if alert.monitor is not None and alert.z is not None
        ]
        withdrawn = [(page.monitor, page.day) for page in pages]
        false_pages.record(pages if false else [], ledger.storage, withdrawn=withdrawn)
        write(state, ledger.storage, now)
    return told
