"""What a run may have to say, under stable codes; docs/runbook.md has a heading for each."""

from __future__ import annotations

from typing import Literal

Tier = Literal["ok", "log", "ticket", "page"]
"""``page``: act now. ``ticket``: this week. ``log``: good to know."""
TIERS: tuple[Tier, ...] = ("ok", "log", "ticket", "page")

MONITORED = ("DRIFT", "PERF")
"""First letters of the codes of monitors: a day without says nothing about what they saw before."""

TITLES = {
    "FRESH001": "not there yet",
    "FRESH002": "missing past the deadline",
    "FRESH003": "fewer rows than the weekday's normal",
    "FRESH004": "another day's delivery again",
    "DATA001": "refused by the contract",
    "DATA002": "rows set aside",
    "LABEL001": "labels incomplete though due",
    "SCORE001": "no champion yet",
    "SCORE002": "the champion cannot score the day",
    "DRIFT001": "a column's values have moved",
    "DRIFT002": "a column's values are spread otherwise",
    "DRIFT003": "more or fewer nulls than expected",
    "DRIFT004": "the mix of categories or hours has changed",
    "DRIFT005": "a flag is set more or less often",
    "DRIFT006": "the predictions have moved",
    "DRIFT007": "far from the reference by now",
    "PERF001": "predictions are further off than expected",
    "PERF002": "predictions of a slice are further off",
    "MON001": "a column cannot be judged",
    "MON002": "drift pages nobody",
    "MON003": "the monitor broke off",
    "TRAIN001": "retraining did not come to an end",
    "TRAIN002": "the gate did not pass the challenger",
    "TRAIN003": "a challenger waits for a person",
    "RUN001": "the run broke off",
    "RUN002": "storage or registry does not answer",
    "RUN003": "the day was not run",
    "RUN004": "a record that cannot be read",
    "ALERT001": "somebody was not told",
}
NEXT = dict.fromkeys(TITLES, "ml run --date {day}") | {
    code: "ml monitor --date {day}" for code in TITLES if code.startswith(("DRIFT", "MON"))
}
NEXT |= {
    "DATA002": "ml ingest --date {day}",
    "LABEL001": "ml status --date {day} --days 14",
    "SCORE001": "ml ingest --config {config} --date {day}",
    "SCORE002": "ml verify {version}",
    "RUN004": "ml status --date {day}",
    "ALERT001": "ml alerts test",
    "DRIFT007": "ml calibrate",
    "MON002": "ml calibrate",
    "PERF001": "ml versions",
    "PERF002": "ml versions",
    "TRAIN001": "ml train --config {config}",
    "TRAIN002": "ml gate {challenger}",
    "TRAIN003": "ml card {challenger}",
}
"""What to type first; the runbook says what comes before and after it."""


def title(code: str) -> str:
    """Its words; none for a code that only another release knows, whose records are read all the same."""
    return TITLES.get(code, "")


def heading(code: str) -> str:
    """The code's heading in docs/runbook.md, and the link that leads to it."""
    if code not in TITLES:
        return "docs/runbook.md"
    anchor = f"{code} {TITLES[code]}".lower().replace("'", "").replace(" ", "-")
    return f"docs/runbook.md#{anchor}"


def command(code: str, **words: object) -> str:
    """What to type first, about this day, version, challenger and config."""
    return NEXT.get(code, "ml status --date {day}").format(**words)
