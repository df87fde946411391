"""What the monitor said last, as figures on ``/metrics``: read from the ledger's storage, off the request path."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, time
from functools import cached_property

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ..clock import stopwatch
from ..config import OperationsConfig
from ..errors import ProjectError
from ..log import log
from ..monitoring import report
from ..monitoring.report import Finding, Outcome, Report
from ..paths import Paths
from ..storage import Storage, open_storage
from .outside import Away, Outside

EVERY = 60.0
"""Seconds between two looks."""
PATIENCE = 20.0
"""Seconds that a bucket may take to answer."""
MOST = 1000
"""Monitors that are told, what pages first. Prometheus keeps a series for each of their figures."""
LONGEST = 120
"""Characters of a label: a category's name may be any text."""
NEWEST = 3
"""Reports that are tried: one that cannot be read does not hide the one before it."""
LEVELS: dict[Outcome, int] = {"ok": 0, "ticket": 1, "page": 2, "not applicable": -1, "learning": -1}


class Monitored(Collector):
    """The newest report that could be read; while the storage is away, the one that was read last.

    Whether the storage answered within the last three looks is ``ml_monitor_up``. No request waits for it.
    """

    def __init__(self, paths: Paths, operations: OperationsConfig, *, every: float = EVERY) -> None:
        self._paths, self._address, self._every = paths, operations.storage.ledger, every
        self._outside = Outside("the ledger's storage", seconds=PATIENCE, attempts=1)
        self._families: list[GaugeMetricFamily] = []
        self._answered: float | None = None
        self._trouble = ""
        self._over = threading.Event()
        # a daemon: a disk that hangs holds up neither a request nor the end of the server
        self._thread = threading.Thread(target=self._work, name="monitored", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()

    def look(self) -> None:
        """Read the newest report. Never raises: what was read last stays."""
        try:
            found = self._outside.call(self._newest)
        except ProjectError as error:
            if error.message != self._trouble:
                log.warning("the monitor's report cannot be read", extra={"reason": error.message})
            self._trouble = error.message
            return
        self._answered, self._trouble = stopwatch(), ""
        if found is not None:
            self._families = families(found)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        late = self._answered is None or stopwatch() - self._answered > 3 * self._every + PATIENCE
        yield GaugeMetricFamily("ml_monitor_up", "Whether the ledger's storage answers", value=0 if late else 1)
        yield from self._families

    def _work(self) -> None:
        while True:
            try:
                self.look()
            except Exception:  # whatever it is, the server answers on
                log.exception("looking at the monitor's report failed")
            if self._over.wait(self._every):
                return

    @cached_property
    def _storage(self) -> Storage:
        return open_storage(self._address, self._paths, patience=PATIENCE)

    def _newest(self, _: float) -> Report | None:
        try:
            days = reversed(self._storage.days(report.FOLDER)[-NEWEST:])
            return next(filter(None, (report.read(day, self._storage) for day in days)), None)
        except OSError as error:
            raise Away(f"does not answer: {error}") from error


def families(found: Report) -> list[GaugeMetricFamily]:
    """A report's figures. One series a monitor and code: of two with the same name, the more urgent."""
    ranked = sorted(found.findings, key=lambda one: -LEVELS[one.outcome])
    told: dict[tuple[str, str], Finding] = {}
    for one in ranked:
        told.setdefault((_label(one.monitor), _label(one.code)), one)
    kept = dict(list(told.items())[:MOST])
    labels = ["monitor", "code"]
    observed = GaugeMetricFamily("ml_monitor_observed", "What was seen on the day, by monitor", labels=labels)
    low = GaugeMetricFamily("ml_monitor_low", "From where on it was expected", labels=labels)
    high = GaugeMetricFamily("ml_monitor_high", "Up to where it was expected", labels=labels)
    outcome = GaugeMetricFamily(
        "ml_monitor_outcome", "0 as expected, 1 a ticket, 2 a page, -1 not judged", labels=labels
    )
    for names, one in kept.items():
        outcome.add_metric(names, LEVELS[one.outcome])
        for family, value in ((observed, one.observed), (low, one.low), (high, one.high)):
            if value is not None and math.isfinite(value):
                family.add_metric(names, value)
    begun = datetime.combine(found.day, time(), UTC).timestamp()
    single = {
        "ml_monitor_day_timestamp_seconds": ("The day of the newest report, as it began in UTC", begun),
        "ml_monitor_armed": ("Whether drift may page", float(found.state == "armed")),
        "ml_monitor_left_out": ("Monitors that are not told, being too many", float(len(told) - len(kept))),
    }
    for name, tier in (("ml_monitor_pages", "page"), ("ml_monitor_tickets", "ticket")):
        single[name] = (f"Monitors whose word is a {tier}", float(sum(one.outcome == tier for one in found.findings)))
    return [observed, low, high, outcome, *(GaugeMetricFamily(name, *said) for name, said in single.items())]


def _label(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
