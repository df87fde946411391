"""An alert in words: plain text that reads well in a mail, in a chat and on a telephone at night."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ..config import OperationsConfig
from ..console import runnable
from .alert_state import Alert
from .codes import command, heading
from .codes import title as name
from .day import brief

LISTED = 10
"""Alerts in one message; the others are counted."""
LONGEST = 500
"""Characters of what one of them says."""


@dataclass(frozen=True)
class About:
    """What every message says of the project at that time."""

    operations: OperationsConfig
    champion: str
    """In words: which, since when, and which was good before it."""
    version: str
    challenger: str
    fine: str
    """The last day that was fine, and by which version it was scored."""

    def command(self, alert: Alert) -> str:
        words = {"day": alert.day, "config": self.operations.retraining.config}
        words |= {"version": self.version or "VERSION", "challenger": self.challenger or "VERSION"}
        return runnable(command(alert.code, **words))


def page(alerts: Sequence[Alert], about: About) -> tuple[str, str]:
    """Title and body of one message that tells all of them."""
    days = sorted({alert.day for alert in alerts})
    codes = ", ".join(dict.fromkeys(alert.code for alert in alerts))
    what = f"{name(codes) or 'page'} ({codes})" if len(alerts) == 1 else f"{len(alerts)} pages: {codes}"
    title = f"[{about.operations.project}] {_span(days)}: {what}"
    numbers = " ".join(str(alert.id) for alert in alerts[:LISTED])
    known = runnable(f"ml alerts ack {numbers} --reason TEXT")
    body = [
        *_listed(alerts, about),
        f"champion: {about.champion}",
        f"last fine day: {about.fine}",
        f"owner: {_owner(about.operations)}",
        f"more: {runnable(f'ml status --date {days[-1]}')}",
        f"seen to: {known}",
        "         with --false where nothing was wrong",
    ]
    return plain(title), "\n".join(body)


def digest(alerts: Sequence[Alert], pages: int, about: About) -> tuple[str, str]:
    """The week's tickets, each code and monitor once, with how many pages are open beside them."""
    newest = {alert.key: alert for alert in sorted(alerts, key=lambda one: one.day)}
    count = {key: sum(alert.key == key for alert in alerts) for key in newest}
    told = [one.model_copy(update={"said": _often(one.said, count[one.key])}) for one in newest.values()]
    title = f"[{about.operations.project}] {len(told)} ticket{'s' * (len(told) > 1)} of the week"
    body = [
        *_listed(told, about),
        f"pages that nobody has answered for: {pages or 'none'}",
        f"champion: {about.champion}",
        f"owner: {_owner(about.operations)}",
        f"more: {runnable('ml alerts')}",
    ]
    return plain(title), "\n".join(body)


def rehearsal(operations: OperationsConfig, who: str, host: str) -> tuple[str, str]:
    """What `ml alerts test` sends."""
    title = f"[{operations.project}] test: nothing is wrong"
    body = (
        f"{who} tries out on {host} whether alerts of {operations.project} arrive. They do.\n\n"
        f"owner: {_owner(operations)}\nmore: {runnable('ml alerts')}"
    )
    return plain(title), plain(body)


def _listed(alerts: Sequence[Alert], about: About) -> list[str]:
    lines = []
    for alert in alerts[:LISTED]:
        lines += [
            f"{alert.code} {name(alert.code)}".rstrip(),
            f"  {plain(brief(alert.said))[:LONGEST]}",
            f"  day {alert.day}, since {alert.since}, {alert.monitor or alert.step}, alert {alert.id}",
            f"  runbook: {heading(alert.code)}",
            f"  next: {about.command(alert)}",
            "",
        ]
    if more := len(alerts) - LISTED:
        lines += [f"and {more} more: {runnable('ml alerts')}", ""] if more > 0 else []
    return lines


def _often(said: str, count: int) -> str:
    return f"{brief(said)} ({count} days)" if count > 1 else said


def _owner(operations: OperationsConfig) -> str:
    return plain(f"{operations.owner.team}, {operations.owner.email}")


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"


def plain(text: str) -> str:
    """Without what a terminal or a mail's head would obey."""
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", " ", text)
