"""The monitor's report of a day: did it arrive, does it keep the contract, does it look and perform as days did."""

from __future__ import annotations

from datetime import date, datetime

from ..config import OperationsConfig
from ..contract import CONTRACT
from ..data.store import Manifest, Store
from ..errors import plain
from ..log import log
from ..model.version import ModelVersion
from ..monitoring.report import Finding, Outcome, Report
from ..paths import Paths
from ..spec import Table
from ..storage import Storage
from . import arrivals
from .arrivals import Normal
from .drift import Stand, drift, stand
from .history import History
from .ledger import Ledger
from .performance import judged
from .score import champion, opened

OLD = 182
"""Days after which a calibration is to be made again: the world it was simulated for is half a year back."""


def watch(
    day: date,
    operations: OperationsConfig,
    store: Store,
    storage: Storage,
    *,
    loaded: ModelVersion | None,
    version: str | None,
    at: datetime,
) -> Report:
    """Everything that is to be said of ``day``, as it is known ``at``. ``loaded`` is ``version``, the champion.

    A mistake in the monitor is itself a finding, a page: it must neither end the run nor stay silent. Raises
    ProjectError for a configuration that cannot be, and when storage does not answer.
    """
    history = History(operations, store, storage, loaded)
    now = stand(day, history)
    report = Report(
        day=day,
        state=now.state,
        days_to_go=now.days_to_go,
        calibrated=now.calibration.last if now.calibration else None,
        model_version=version,
        holiday=now.masked.get(day),
        findings=[_arrived(table, day, store, operations, at) for table in CONTRACT.tables.values()],
    )
    if (manifest := store.manifest(CONTRACT.rows.name, day)) is None:
        return report
    usual = arrivals.normal(manifest.table, day, store, without=now.masked)
    report.normal = usual.as_facts() if usual else None
    report.findings += [_contract(manifest), _rows(manifest, usual, now)]
    try:
        findings, report.shapes = drift(day, history, now)
        report.findings += findings
        report.findings += judged(day, operations, store, storage, loaded, now)
    except Exception as raised:
        if plain(raised) is not None:
            raise
        log.exception("the monitor broke off", extra={"day": str(day)})
        said = f"the monitor broke off: {type(raised).__name__}: {raised}"
        report.findings.append(_finding("MON003", "page", "monitor", "itself", said))
    if reason := _unarmed(now):
        report.findings.append(_finding("MON002", "ticket", "monitor", "calibration", reason))
    return report


def _rows(manifest: Manifest, usual: Normal | None, now: Stand) -> Finding:
    """The day's rows beside its weekday's normal, of which holidays are no part."""
    day, name = manifest.partition, f"{manifest.table}.rows"
    said, low, high = f"{manifest.rows:,} rows", None, None
    outcome: Outcome = "ok"
    if holiday := now.masked.get(day):
        said, outcome = f"{said}; not judged: {holiday}", "not applicable"
    elif usual is None:
        said, outcome = f"{said}; no normal before {arrivals.FEWEST} {day:%A}s are there", "learning"
    else:
        low, high = usual.low, usual.high
        said += f", a {day:%A}'s normal is {usual.expected:,.0f}"
        if manifest.rows < usual.low:
            said, outcome = f"{said}, expected at least {usual.low:,.0f}", "page"
    found = _finding("FRESH003", outcome, name, "rows", said, manifest.table)
    return found.model_copy(update={"observed": float(manifest.rows), "low": low, "high": high, "unit": "rows"})


def _arrived(table: Table, day: date, store: Store, operations: OperationsConfig, at: datetime) -> Finding:
    manifest, name = store.manifest(table.name, day), f"{table.name}.arrival"
    if manifest is not None:
        return _finding("FRESH001", "ok", name, "arrival", f"{table.name} of {day} is there", table.name)
    due = arrivals.deadline(day, operations.daily)
    if at <= due:
        said = f"{table.name} of {day} is not there yet; due by {due:%Y-%m-%d %H:%M} UTC"
        return _finding("FRESH001", "not applicable", name, "arrival", said, table.name)
    said = f"{table.name} of {day} is not there; it was due by {due:%Y-%m-%d %H:%M} UTC"
    urgent: Outcome = "page" if table is CONTRACT.rows else "ticket"
    return _finding("FRESH002", urgent, name, "arrival", said, table.name)


def _contract(manifest: Manifest) -> Finding:
    """What is in force kept the contract; rows that did not were set aside."""
    aside = sum(manifest.rows_set_aside.values())
    said = f"{manifest.rows:,} rows keep contract version {manifest.contract_version}"
    said += f", {aside:,} set aside" if aside else ""
    name = f"{manifest.table}.contract"
    return _finding("DATA002" if aside else "DATA001", "ok", name, "contract", said, manifest.table)


def _unarmed(now: Stand) -> str:
    """Why drift pages nobody, where it could."""
    if now.state == "uncalibrated":
        return f"{len(now.days)} days of history, and thresholds that nobody has calibrated: drift makes tickets only"
    made = now.calibration
    if made is None:
        return ""
    if now.state == "over budget":
        return (
            f"{made.expected:.1f} false pages a year to be expected, {made.budget:g} allowed: drift makes tickets only"
        )
    age = (now.days[-1] - made.last).days if now.days else 0
    return f"the calibration has seen days until {made.last} only, {age} days ago" if age > OLD else ""


def _finding(code: str, outcome: Outcome, monitor: str, measure: str, said: str, table: str = "") -> Finding:
    return Finding(
        monitor=monitor, code=code, outcome=outcome, table=table or CONTRACT.rows.name, measure=measure, said=said
    )


def look(day: date, paths: Paths, operations: OperationsConfig, at: datetime) -> Report:
    """The same at any time, for a person: with today's champion, where one can be had."""
    version = champion(paths, operations)
    loaded = opened(version, paths, operations) if version else None
    storage = Ledger(paths, operations).storage
    named = str(version) if version else None
    return watch(day, operations, Store(paths), storage, loaded=loaded, version=named, at=at)
