"""Lines of the readiness list on running it: schedule, monitoring, incidents, owner, secrets."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

from ..paths import Paths
from ..programs import git, last_lines, program
from .alert_state import TEST
from .arrivals import deadline, over
from .codes import TITLES
from .day import INGEST, Day, read
from .ledger import REHEARSALS, Ledger, Step
from .subject import NO, NOT_YET, WEEK, YES, Seen, Subject

OF_THE_TEMPLATE = re.compile(r"^@example-org/|@example\.(com|net|org)$|^@?$")
"""The answers that the template suggests, and addresses that nobody can have (RFC 2606)."""
OWNERS = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS")
CREDENTIALS = re.compile(r"://[^/\s\"']*:[^/\s\"']*@")
MANY = 500
"""Files that a scanner is given at once: a command line has an end."""


def _each(subject: Subject, good: list[Day], what: str) -> Seen:
    """Yes when all seven days are good; not yet while the ledger is younger than that."""
    bad = [day.date for day in subject.week if day not in good]
    if not bad:
        return YES, f"all {WEEK} days from {subject.week[0].date} {what}"
    if subject.begins is None or subject.begins > subject.week[0].date:
        young = f"the ledger begins {subject.begins}" if subject.begins else "nothing was ever run"
        return NOT_YET, f"{young}; {len(good)} of the last {WEEK} days {what}"
    return NO, f"not on {_listed(bad)}"


def _listed(days: list[date]) -> str:
    return ", ".join(str(day) for day in days)


def scheduled(subject: Subject) -> Seen:
    def in_time(day: Day) -> bool:
        until = deadline(day.date, subject.operations.daily)
        return any(over(day.date) <= attempt.started <= until for attempt in day.attempts)

    return _each(subject, [day for day in subject.week if in_time(day)], "were run before their deadline")


def data_quality(subject: Subject) -> Seen:
    def checked(day: Day) -> bool:
        step = day.step(INGEST, lambda step: step.rows_out is not None or step.outcome == "refused")
        return step is not None

    return _each(subject, [day for day in subject.week if checked(day)], "were held against the contract")


def drift(subject: Subject) -> Seen:
    def watched(day: Day) -> bool:
        step = day.step("monitor", lambda step: step.facts.get("state"))
        return step is not None and step.facts["state"] == "armed"

    good = [day for day in subject.week if watched(day)]
    last = subject.week[-1].step("monitor", lambda step: step.facts.get("state"))
    if not good and last is not None:
        return NOT_YET, f"the monitor is {last.facts['state']}"
    return _each(subject, good, "were watched by an armed monitor")


def incidents(subject: Subject) -> Seen:
    page = subject.paths.root / "docs" / "runbook.md"
    if not page.is_file():
        return NO, "there is no docs/runbook.md"
    text = page.read_text(encoding="utf-8")
    lacking = [code for code, title in TITLES.items() if f"### {code} {title}\n" not in text]
    if lacking:
        return NO, f"docs/runbook.md has no heading for {', '.join(lacking)}"
    known = [day for day in subject.days if subject.begins and day.date >= subject.begins]
    still = [day.date for day in known if not day.fine and day.state != "paged"]
    if still:
        return NO, f"{len(TITLES)} headings; still open: {_listed(still)}"
    if not known:
        return NOT_YET, f"{len(TITLES)} headings; nothing was ever run"
    answered = sum(any(check.tier == "page" for attempt in day.attempts for check in attempt.checks) for day in known)
    return YES, f"{len(TITLES)} headings; {answered} of {len(known)} days paged somebody, none is open"


def owner(subject: Subject) -> Seen:
    said = subject.operations.owner
    suggested = [value for value in (said.team, said.email) if OF_THE_TEMPLATE.search(value.strip())]
    if suggested:
        return NO, f"operations.yaml still has the template's {' and '.join(suggested)}"
    if "@" not in said.email.strip("@"):
        return NO, f"operations.yaml: {said.email!r} is no address"
    found = next((path for name in OWNERS if (path := subject.paths.root / name).is_file()), None)
    if found is None:
        return NO, "there is no CODEOWNERS"
    where, owners = subject.paths.relative(found), _of_everything(found)
    if said.team not in owners:
        return NO, f"operations.yaml says {said.team}, {where} gives everything to {' '.join(owners) or 'nobody'}"
    return YES, f"{said.team}, {said.email}; {where} says the same"


def _of_everything(file: Path) -> list[str]:
    """Owners on the last line of CODEOWNERS for ``*``: as on GitHub, the last one that fits holds."""
    lines = [line.partition("#")[0].split() for line in file.read_text(encoding="utf-8").splitlines()]
    return next((line[1:] for line in reversed(lines) if line[:1] == ["*"]), [])


def secrets(subject: Subject) -> Seen:
    root = subject.paths.root
    listed = git(root, "ls-files", "-z")
    top = git(root, "rev-parse", "--show-toplevel").stdout.strip()
    if listed.returncode or Path(top).resolve() != root.resolve():
        return NOT_YET, "this project is no git repository of its own: nothing says what would be published"
    tracked = [name for name in listed.stdout.split("\0") if name]
    env = [name for name in tracked if Path(name).name.startswith(".env") and not name.endswith(".example")]
    if env:
        return NO, f"git tracks {', '.join(env)}"
    if CREDENTIALS.search(subject.paths.operations.read_text(encoding="utf-8")):
        return NO, "operations.yaml has an address with a password in it"
    return _scan(subject.paths, [name for name in tracked if (root / name).is_file()])


def _scan(paths: Paths, tracked: list[str]) -> Seen:
    scanner = Path(sys.executable).with_name("kingfisher.exe" if sys.platform == "win32" else "kingfisher")
    options = ["--no-validate", "--no-update-check", "--quiet", "--redact"]
    for begin in range(0, len(tracked), MANY):
        done = program([str(scanner), "scan", *tracked[begin : begin + MANY], *options], paths.root)
        if done.returncode == 127:
            return NO, "not looked for: kingfisher is not installed here (uv sync)"
        if done.returncode:
            named = [name for name in tracked if name in done.stdout]
            return NO, f"kingfisher: {', '.join(named) or last_lines(done, 1).strip()}"
    return YES, f"kingfisher found none in {len(tracked)} tracked files; no .env among them"


def _rehearsed(subject: Subject, name: str) -> tuple[Step | None, Seen]:
    """The newest rehearsal of that name that ended well, by hand or in a day's run."""
    by_hand = Ledger(subject.paths, subject.operations, pipeline=REHEARSALS)
    for ledger in (by_hand, subject.ledger):
        for day in reversed(ledger.days()):
            known = read(ledger, day, subject.operations.daily, subject.moment)
            if step := known.step(name, lambda step: step.outcome == "ok"):
                return step, (YES, f"{step.started:%Y-%m-%d}: {step.said or 'it went well'}")
    return None, (NOT_YET, "there is none in the ledger")


def alert_route(subject: Subject) -> Seen:
    """Whether a test alert has reached every channel that there is now, and everything sent since has."""
    names = {*subject.operations.alerts.page, *subject.operations.alerts.digest_to}
    if not subject.operations.alerts.page:
        return NO, "nobody is told: alerts.page in operations.yaml is empty"
    if trouble := subject.alerts.trouble():
        return NO, trouble
    step, seen = _rehearsed(subject, TEST)
    untried = sorted(names - set(step.facts.get("channels", ()))) if step else []
    return (NOT_YET, f"none was sent to {', '.join(untried)}; {seen[1]}") if untried else seen


def restore(subject: Subject) -> Seen:
    return _rehearsed(subject, "rehearse restore")[1]
