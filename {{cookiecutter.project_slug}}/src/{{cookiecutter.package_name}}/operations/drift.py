"""What the monitor finds in a day's rows and predictions, beside the project's own history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ..clock import days as calendar
from ..monitoring import calibration as calibrations
from ..monitoring import false_pages
from ..monitoring.calibration import Calibration
from ..monitoring.evidence import REACH, UNCALIBRATED, YOUNG, Thresholds, Values, evidence
from ..monitoring.holidays import masked
from ..monitoring.judge import judge
from ..monitoring.monitor import Monitor
from ..monitoring.report import URGENT, Finding, Shape, State
from ..monitoring.shape import shapes
from ..monitoring.summary import levels, monitors
from .history import History, values
from .references import References, in_force


@dataclass(frozen=True)
class Stand:
    """How far the monitor is on a day: what it has learned, what is left out, and the thresholds in force."""

    calibration: Calibration | None
    masked: Mapping[date, str]
    days: Sequence[date]
    """Ingested days up to this one, without those that are left out."""
    thresholds: Thresholds

    @property
    def days_to_go(self) -> int:
        return max(YOUNG - len(self.days), 0) if self.calibration is None else 0

    @property
    def state(self) -> State:
        if self.calibration is not None:
            return self.calibration.state
        return "learning" if self.days_to_go else "uncalibrated"

    @property
    def armed(self) -> bool:
        return self.state == "armed"


def stand(day: date, history: History) -> Stand:
    """Raises ProjectError (exit 2) for holidays of a country that is none."""
    mask = masked(day - timedelta(days=REACH), day, history.operations.monitoring.holidays)
    calibration = calibrations.read(history.storage)
    c2, big = (calibration.c2, calibration.big) if calibration else (UNCALIBRATED.c2, UNCALIBRATED.big)
    raised = false_pages.raised(false_pages.read(history.storage), c2, big, day)
    return Stand(calibration, mask, history.days(day, mask), Thresholds(c2, big, raised))


def drift(day: date, history: History, now: Stand) -> tuple[list[Finding], list[Shape]]:
    """Judge the rows and predictions of ``day``, and draw what is out of its range. Without rows there is nothing."""
    before = now.calibration
    known = References(rows=before.reference, predictions=before.predictions) if before else None
    references = in_force(history, known, now.days)
    if references is None or history.store.manifest(references.rows.table, day) is None:
        return [], []
    findings: list[Finding] = []
    drawn: list[Shape] = []
    reach = list(calendar(day - timedelta(days=REACH - 1), day))
    for reference in references.all:
        manifest = history.predictions(day) if reference.predictions else None
        if manifest is None and reference.predictions:
            continue  # the step that scores says why
        version = manifest.model_version if manifest else None
        summaries = history.summaries(reference, reach, version=version)
        seen = evidence(day, monitors(reference), values(summaries), now.thresholds, now.masked)
        found = judge(seen, armed=now.armed, references=levels(reference), version=version)
        findings += found
        if any(finding.outcome in URGENT for finding in found):
            drawn += shapes(found, reference, history.of(reference, day))
    return findings + _unknown(references, history), drawn


def series(
    day: date, watched: Sequence[Monitor], observed: Values, now: Stand, version: str | None = None
) -> list[Finding]:
    """Judge series of another kind, such as realised errors, by the same rule."""
    return judge(evidence(day, watched, observed, now.thresholds, now.masked), armed=now.armed, version=version)


def _unknown(references: References, history: History) -> list[Finding]:
    """Columns that the contract has and the calibration has not seen."""
    known = {column.name for column in references.rows.columns}
    table = references.rows.table
    return [
        Finding(
            monitor=f"{table}.{column.name}",
            code="MON001",
            outcome="ticket",
            table=table,
            column=column.name,
            measure="figures",
            said=f"{column.name}: not watched, for the calibration in force has never seen it; ml calibrate",
        )
        for column in history.watched
        if column.name not in known
    ]
