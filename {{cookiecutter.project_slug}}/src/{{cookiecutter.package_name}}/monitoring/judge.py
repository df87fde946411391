"""What is to be said of a day: pages, tickets and the rest, in words and units of people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from . import rule
from .evidence import SHOWN, YOUNG, Evidence
from .report import Finding, Outcome, Series

SLOW_DAYS = 28


def judge(
    seen: Evidence,
    *,
    armed: bool,
    references: Mapping[str, float] | None = None,
    version: str | None = None,
) -> list[Finding]:
    """What is to be said of the last day: a finding a monitor, then those of what cannot be judged or moves slowly.

    What fires is a page where ``armed``, and a ticket otherwise. ``references`` are monitors' values in the reference,
    for slow drift; ``version`` is the model's, of predictions and realised errors.
    """
    found = [_finding(seen, at, armed, version) for at in range(len(seen.monitors))]
    return found + _mute(seen, found) + _slow(seen, references or {}, version)


def _finding(seen: Evidence, at: int, armed: bool, version: str | None) -> Finding:
    monitor, today = seen.monitors[at], len(seen.days) - 1
    low, high = seen.band(at)
    low = np.full(low.shape, np.nan) if monitor.worse else low
    shown = monitor.shown(seen.values[:, at])
    outcome, said = _word(seen, at, armed, shown[today], low[today], high[today])
    last = slice(today + 1 - SHOWN, None)
    return Finding(
        monitor=monitor.name,
        code=monitor.code,
        outcome=outcome,
        table=monitor.table,
        column=monitor.column,
        measure=monitor.measure,
        slice=monitor.slice,
        model_version=version,
        observed=_number(shown[today]),
        low=_number(low[today]),
        high=_number(high[today]),
        unit=monitor.shown_unit,
        z=_number(seen.z[today, at]),
        said=said,
        since=_since(seen, at),
        series=Series(
            days=seen.days[last],
            values=[_number(value) for value in shown[last]],
            low=[_number(value) for value in low[last]],
            high=[_number(value) for value in high[last]],
        ),
    )


def _word(seen: Evidence, at: int, armed: bool, shown: float, low: float, high: float) -> tuple[Outcome, str]:
    """The outcome of the last day, and the line that says why."""
    monitor, today, day = seen.monitors[at], len(seen.days) - 1, seen.days[-1]
    subject = " ".join(part for part in (monitor.column, monitor.measure, monitor.slice) if part)
    if not math.isfinite(seen.values[today, at]):
        return "not applicable", f"{subject}: no figure of {day}"
    figure = f"{subject} {monitor.told(shown)}"
    words = seen.observed[day][monitor.name].words
    figure += f" ({words})" if words else ""
    if day in seen.masked:
        return "not applicable", f"{figure}; not judged: {seen.masked[day]}"
    if not math.isfinite(seen.z[today, at]):
        lacking = max(YOUNG - int(seen.usable[-(rule.HISTORY + rule.GAP) :, at].sum()), 1)
        return "learning", f"{figure}; learning, {lacking} days to go"
    band = f"up to {monitor.told(high)}" if monitor.worse else f"{monitor.told(low)} to {monitor.told(high)}"
    said = f"{figure}, expected {band}"
    if not seen.out[today, at]:
        return "ok", said
    said += _before(seen, at)
    if not seen.fired[today, at]:
        return "ok", f"{said}; out for the first time"
    return ("page" if armed else "ticket"), said


def _before(seen: Evidence, at: int) -> str:
    """What people knew the figure by on the last day of the history with the same weekday."""
    earlier = seen.days[-1] - timedelta(days=rule.GAP)
    was = seen.observed.get(earlier, {}).get(seen.monitors[at].name)
    return f"; {was.words} on {earlier}" if was and was.words else ""


def _since(seen: Evidence, at: int) -> date | None:
    """The first of the days up to the last on which the monitor was out on this side; days without a z do not count."""
    found = None
    for row in range(len(seen.days) - 1, -1, -1):
        if math.isnan(seen.z[row, at]):
            if found is None:
                return None
            continue
        if not seen.out[row, at] or seen.z[row, at] * seen.z[-1, at] < 0:
            break
        found = seen.days[row]
    return found


def _mute(seen: Evidence, found: Sequence[Finding]) -> list[Finding]:
    """A column of which less can be said than before: one ticket for all of its monitors."""
    lost: dict[tuple[str, str], list[Finding]] = {}
    for at, finding in enumerate(found):
        usual = seen.scores.seen[-1, at] >= rule.LEAST
        if usual and finding.outcome == "not applicable" and seen.days[-1] not in seen.masked:
            lost.setdefault((finding.table, finding.column or finding.measure), []).append(finding)
    return [
        Finding(
            monitor=f"{table}.{column}",
            code="MON001",
            outcome="ticket",
            table=table,
            column=findings[0].column,
            measure="figures",
            said=f"{column}: cannot be judged on {seen.days[-1]}, though it could be before: "
            f"no figure for {', '.join(finding.measure for finding in findings)}",
        )
        for (table, column), findings in lost.items()
    ]


def _slow(seen: Evidence, references: Mapping[str, float], version: str | None) -> list[Finding]:
    """Monitors whose last four weeks have left the reference behind."""
    found = []
    weeks = np.where(seen.usable, seen.values, np.nan)[-SLOW_DAYS:]
    for at, monitor in enumerate(seen.monitors):
        known = weeks[np.isfinite(weeks[:, at]), at]
        reference = references.get(monitor.name)
        if not monitor.slow or reference is None or len(known) < SLOW_DAYS // 2:
            continue
        if not monitor.slowly(float(known.mean()), reference):
            continue
        now, was = (float(monitor.shown(np.array([value]))[0]) for value in (known.mean(), reference))
        found.append(
            Finding(
                monitor=f"{monitor.name}.{SLOW_DAYS}d",
                code="DRIFT007",
                outcome="ticket",
                table=monitor.table,
                column=monitor.column,
                measure=monitor.measure,
                model_version=version,
                observed=_number(now),
                unit=monitor.shown_unit,
                said=f"{monitor.column} {monitor.measure}: {monitor.told(now)} on average of {SLOW_DAYS} days, "
                f"{monitor.told(was)} in the reference",
            )
        )
    return found


def _number(value: float) -> float | None:
    """Five figures are more than anybody reads."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
