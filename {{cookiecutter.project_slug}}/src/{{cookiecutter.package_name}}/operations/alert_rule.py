"""What becomes an alert, and which of them page: each thing once, and what lasts once a cool-down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from ..config import WEEKDAYS, AlertsConfig
from .alert_state import Alert, State
from .codes import MONITORED
from .day import Day
from .urgent import RUN, Key, Urgent

UNPROVEN = ("late", "failed", "running")
"""Outcomes of a step that did not look again at what it had said."""


def notice(
    state: State,
    days: Sequence[Day],
    config: AlertsConfig,
    now: datetime,
    *,
    promoted: Collection[str] = (),
    since: Callable[[date, str], date | None] = lambda day, monitor: None,
) -> list[Alert]:
    """Bring ``state`` up to what ``days`` (oldest first) say, and return what is to be told at once.

    ``promoted`` are versions that need no person any more. ``since`` is a monitor's own word on how long it lasts.
    """
    pages = []
    for day in days:
        if day.state == "running":
            continue
        found = _by_key(_told(day, promoted))
        known = {alert.key: alert for alert in state.alerts if alert.day == day.date and alert.resolved is None}
        for key, alert in known.items():
            if key not in found and _looked_again(alert, day):
                alert.resolved = now
        for key, item in found.items():
            alert = known.get(key)
            if alert is None:
                alert = _new(item, day.date, state, now, since)
            elif alert.tier == item.tier:
                alert.said = item.said
                continue
            alert.tier, alert.said = item.tier, item.said
            if alert.tier == "page" and alert.answer is None:
                alert.muted_by = _muted_by(alert, state.alerts, [*pages], config)
                pages += [alert] if alert.muted_by is None else []
    return pages


def _told(day: Day, promoted: Collection[str]) -> list[Urgent]:
    # before the deadline another try may mend it, and one is on its way
    return [item for item in day.asks(promoted) if not (day.state == "waiting" and item.code == "RUN002")]


def _by_key(items: list[Urgent]) -> dict[Key, Urgent]:
    """One of a key, the most urgent, with what the others say."""
    found: dict[Key, Urgent] = {}
    for item in items:
        first = found.setdefault(item.key, item)
        if first is not item and item.said not in first.said:
            found[item.key] = replace(first, said=f"{first.said}; {item.said}")
    return found


def _looked_again(alert: Alert, day: Day) -> bool:
    step = day.attempt.step(alert.step) if day.attempt else None
    if step is None:  # a day that was killed or never run, and has been run since
        return day.attempt is not None and day.attempt.ended is not None and alert.step == RUN
    return step.outcome not in UNPROVEN


def _new(item: Urgent, day: date, state: State, now: datetime, since: Callable[[date, str], date | None]) -> Alert:
    before = _same(item.key, state.alerts, day - timedelta(days=1))
    begun = [day, *([before.since] if before else [])]
    if item.monitor and (said := since(day, item.monitor)):
        begun.append(said)
    made = Alert(
        id=state.number(),
        day=day,
        code=item.code,
        tier=item.tier,
        said=item.said,
        step=item.step,
        monitor=item.monitor,
        z=item.z,
        noticed=now,
        since=min(begun),
    )
    state.alerts.append(made)
    return made


def _same(key: Key, alerts: Iterable[Alert], day: date) -> Alert | None:
    """The alert of the same code and monitor on a day, while that day is not mended."""
    return next((one for one in alerts if one.key == key and one.day == day and one.resolved is None), None)


def _muted_by(alert: Alert, alerts: list[Alert], telling: list[Alert], config: AlertsConfig) -> int | None:
    """The alert that told the same before, less than a cool-down ago: of each day since, or for a monitor of any."""
    for back in range(1, config.cooldown_days):
        before = _same(alert.key, alerts, alert.day - timedelta(days=back))
        if before is None or before.tier != "page":
            if alert.code.startswith(MONITORED):
                continue
            return None
        if before.message is not None or before in telling:
            return before.id
    return None


def digest_due(state: State, config: AlertsConfig, now: datetime) -> bool:
    """Whether the weekday of the digest has come since the last one; the first has a week to gather."""
    since = (now.weekday() - WEEKDAYS.index(config.digest)) % 7
    begins = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=since)
    return state.digested is not None and state.digested < begins


def tickets(state: State) -> list[Alert]:
    """What a digest has to tell: open, and in none yet."""
    return [alert for alert in state.alerts if alert.tier == "ticket" and alert.open and alert.message is None]
