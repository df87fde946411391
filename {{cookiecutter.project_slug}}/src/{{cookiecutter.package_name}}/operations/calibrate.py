"""`ml calibrate`: the project's history run through the monitor, and thresholds that keep its budget of false pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import numpy as np
from scipy.special import gammaincinv

from ..clock import days as calendar
from ..config import load_operations
from ..data.store import Store
from ..errors import Exit, ProjectError
from ..monitoring import calibration as calibrations
from ..monitoring import false_pages, rule
from ..monitoring.calibration import Calibration, Replayed
from ..monitoring.constants import YEAR, Constants, derive
from ..monitoring.evidence import YOUNG, Evidence, Thresholds
from ..monitoring.false_pages import FalsePage
from ..monitoring.holidays import masked
from ..monitoring.judge import judge
from ..monitoring.summary import monitors
from ..paths import Paths
from .history import History, merged, values
from .ledger import Ledger
from .performance import matured
from .references import learn
from .score import champion, opened

LONGEST = 400
"""Days that are replayed at most: a year, and what its first days need before them."""
Report = Callable[[str], None]


def calibrate(
    last: date,
    paths: Paths,
    *,
    budget: float | None = None,
    false: Sequence[date] = (),
    report: Report = lambda _: None,
) -> Calibration:
    """Learn from the days up to ``last``, replay them, and put the outcome in force.

    What pages on a day of ``false`` is recorded as false, which raises the thresholds of its monitors. Raises
    ProjectError (exit 1) with fewer than 35 days of history, and for a day that nothing pages on; nothing is written
    then.
    """
    operations = load_operations(paths.operations)
    version = champion(paths, operations)
    loaded = opened(version, paths, operations) if version else None
    history = History(operations, Store(paths), Ledger(paths, operations).storage, loaded)
    budget = operations.monitoring.budget if budget is None else budget
    first = last - timedelta(days=LONGEST - 1)
    mask = masked(first, last, operations.monitoring.holidays)
    days = [day for day in history.days(last, mask) if day >= first]
    if len(days) < YOUNG:
        raise ProjectError(
            f"learning, {YOUNG - len(days)} days to go: {len(days)} days up to {last} have data, {YOUNG} are needed",
            hint="until then days are held against the contract's bounds only; ml backfill brings older days",
            exit=Exit.SAID_NO,
        )
    last = days[-1]  # what was asked for may be a day that nothing came on, months later
    references = learn(history, days)
    if references is None:
        raise ProjectError("no partition can be read", hint=f"ml ingest --date {last}", exit=Exit.REFUSED)
    watched, parts = [], []
    for reference in references.all:
        report(f"looks at {reference.table}")
        whose = loaded.name if loaded and reference.predictions else None
        found = history.summaries(reference, calendar(days[0], last), report, whose)
        watched += monitors(reference)
        parts.append(values(found))
    errors, rows = matured(calendar(days[0], last), operations, history.store, history.storage, loaded)
    watched, parts = watched + errors, [*parts, rows]
    seen = Evidence(watched, merged(*parts), days[0], last, Thresholds(np.inf, np.inf), mask)
    report("simulates days like these")
    try:
        derived = derive(seen.values, seen.sampling, seen.usable, budget=budget)
    except ValueError as error:
        raise ProjectError(f"nothing can be judged: {error}", hint="ml monitor", exit=Exit.SAID_NO) from None
    known = false_pages.read(history.storage)
    if false:
        known += (told := _called_false(_replay(seen, derived, known), false))
        false_pages.record(told, history.storage)
    replayed = _replay(seen, derived, known)
    paged = int(rule.pages(replayed.fired).sum())
    judged = int(replayed.judged.sum())
    expected, low, high = _expected(derived.pages, paged, judged, budget)
    made = Calibration(
        first=days[0],
        last=last,
        days=len(days),
        judged=judged,
        budget=budget,
        expected=round(expected, 3),
        low=round(low, 3),
        high=round(high, 3),
        state="armed" if expected <= budget * 1.01 else "over budget",
        c2=round(derived.c2, 3),
        big=round(derived.big, 3),
        monitors=derived.monitors,
        autocorrelation=round(derived.autocorrelation, 3),
        tail=derived.tail if np.isfinite(derived.tail) else None,
        drift=round(derived.drift, 3),
        replay=_told(replayed),
        reference=references.rows,
        predictions=references.predictions,
    )
    calibrations.write(made, history.storage)
    return made


def _replay(seen: Evidence, derived: Constants, false: Sequence[FalsePage]) -> Evidence:
    """The history by these thresholds. A page that was called false counts for the days before it, too."""
    raised = false_pages.raised(false, derived.c2, derived.big, seen.last)
    return Evidence(
        seen.monitors, seen.observed, seen.first, seen.last, Thresholds(derived.c2, derived.big, raised), seen.masked
    )


def _expected(simulated: float, paged: int, judged: int, budget: float) -> tuple[float, float, float]:
    """Pages a year, and the 5% and 95% bounds, from what the simulation expects and what the replay has shown.

    The simulation weighs as much as the time in which the budget allows a page, however sure it is of itself.
    """
    pages, years = max(simulated, 1e-3) / budget + paged, 1 / budget + judged / YEAR
    low, high = (float(gammaincinv(pages, q)) / years for q in (0.05, 0.95))
    return pages / years, low, high


def _told(replayed: Evidence) -> list[Replayed]:
    """What fired on the days that would have paged, furthest out first."""
    told = []
    for row in np.flatnonzero(rule.pages(replayed.fired)):
        day = replayed.days[row]
        then = Evidence(replayed.monitors, replayed.observed, replayed.first, day, replayed.thresholds, replayed.masked)
        found = [finding for finding in judge(then, armed=True) if finding.outcome == "page"]
        found.sort(key=lambda finding: -abs(finding.z or 0.0))
        told += [
            Replayed(day=day, monitor=finding.monitor, code=finding.code, z=finding.z or 0.0, said=finding.said)
            for finding in found
        ]
    return told


def _called_false(replayed: Evidence, days: Sequence[date]) -> list[FalsePage]:
    told = []
    for day in days:
        row = (day - replayed.first).days
        if not 0 <= row < len(replayed.days) or not replayed.fired[row].any():
            raise ProjectError(
                f"--false {day}: nothing would have paged on that day",
                hint="ml calibrate lists the days that would have",
                exit=Exit.SAID_NO,
            )
        told += [
            FalsePage(monitor=replayed.monitors[int(at)].name, day=day, z=round(float(replayed.z[row, at]), 2))
            for at in np.flatnonzero(replayed.fired[row])
        ]
    return told
