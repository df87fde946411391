"""What each rule says of a replicate: the days it alerts, and how soon it sees what goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import peers
from simulated import Injection, Replicate
from worlds import COLUMNS, FOLLOWED, HISTORY

OURS = "the project's rule"
BUDGET = 1.0
NEVER = FOLLOWED + 1


class Rule:
    """The project's own, calibrated on the replicate's history as `ml calibrate` does."""

    def __init__(self, code: Any, made: Replicate, masked: bool = True) -> None:
        self.code, self.made, self.days = code, made, made.days
        self.monitors = code.summary.monitors(made.reference)
        self.of = np.array([COLUMNS.index(monitor.column) for monitor in self.monitors])
        self.holidays = np.flatnonzero(made.holiday) if masked else []
        history = self.evidence(made.observed[:, :HISTORY], 0, code.evidence.Thresholds(0.0, 0.0))
        floor = np.nan_to_num(history.sampling)
        self.constants = code.constants.derive(history.values, floor, history.usable, budget=BUDGET)
        self.thresholds = code.evidence.Thresholds(self.constants.c2, self.constants.big)

    def evidence(self, observed: np.ndarray, first: int, thresholds: Any) -> Any:
        """What the project knows of ``observed`` days, shape (2, days, monitors), the first being
        ``first``."""
        names = [monitor.name for monitor in self.monitors]
        days = self.days[first : first + observed.shape[1]]
        values = {
            day: {
                name: self.code.monitor.Observed(*one)
                for name, one in zip(names, row.T.tolist(), strict=True)
            }
            for day, row in zip(days, observed.swapaxes(0, 1), strict=True)
        }
        masked = {self.days[at]: "a holiday" for at in self.holidays}
        return self.code.evidence.Evidence(self.monitors, values, days[0], days[-1], thresholds, masked)

    def quiet(self) -> tuple[int, int]:
        """Pages, and days with an alert, of the year in which nothing is wrong."""
        fired = self.evidence(self.made.observed, 0, self.thresholds).fired[HISTORY:]
        return int(self.code.rule.pages(fired).sum()), int(fired.any(axis=1).sum())

    def seen(self, injection: Injection) -> int:
        """The day, from 1, on which a monitor of the changed column fires."""
        first = injection.start - HISTORY
        observed = self.made.observed[:, first : injection.start + FOLLOWED].copy()
        own = self.of == injection.column
        observed[:, -FOLLOWED:, own] = injection.observed[..., own]
        return since(self.evidence(observed, first, self.thresholds).fired[-FOLLOWED:, own])


def since(alerts: np.ndarray) -> int:
    days = np.flatnonzero(alerts.any(axis=1))
    return int(days[0]) + 1 if len(days) else NEVER


class Peer:
    """One of the others: the day's verdicts on its statistics."""

    def __init__(self, name: str, made: Replicate) -> None:
        self.name, self.made = name, made

    def alerts(self, statistics: np.ndarray) -> np.ndarray:
        seen = {name: statistics[..., at] for at, name in enumerate(peers.STATISTICS)}
        return peers.alerts(self.name, seen, self.made.limits)

    def quiet(self, pages: Any) -> tuple[int, int]:
        alerts = self.alerts(self.made.statistics)
        return int(pages(alerts).sum()), int(alerts.any(axis=1).sum())

    def seen(self, injection: Injection) -> int:
        first = injection.start - HISTORY
        statistics = self.made.statistics[first : first + FOLLOWED].copy()
        statistics[:, injection.column] = injection.statistics
        return since(self.alerts(statistics)[:, [injection.column]])


def judged(code: Any, made: Replicate) -> dict[str, Any]:
    """By rule: pages, days with an alert, and for every injection the days until it was seen."""
    ours = Rule(code, made)
    said: dict[str, Any] = {OURS: told(*ours.quiet(), ours, made)}
    for name in peers.RULES:
        peer = Peer(name, made)
        said[name] = told(*peer.quiet(code.rule.pages), peer, made)
    return {
        "rules": said,
        "unmasked": Rule(code, made, masked=False).quiet()[0] if made.holiday.any() else None,
        "thresholds": {
            name: getattr(ours.constants, name) for name in ("c2", "big", "autocorrelation", "tail")
        },
        "monitors": len(ours.monitors),
        "columns": len(COLUMNS),
    }


def told(pages: int, days: int, rule: Rule | Peer, made: Replicate) -> dict[str, Any]:
    found: dict[str, list[int]] = {}
    for injection in made.injections:
        found.setdefault(injection.name, []).append(rule.seen(injection))
    return {"pages": pages, "days": days, "seen": found}
