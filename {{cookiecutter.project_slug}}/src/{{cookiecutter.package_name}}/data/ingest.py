"""One day from the source through the contract into its partition, or into quarantine with a report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from ..config import OperationsConfig
from ..errors import ProjectError
from ..paths import Paths
from ..source import Unreadable, fetch
from ..spec import Contract, Table
from ..storage import Storage
from .store import QUARANTINE, Manifest, Store, save
from .validation import Checked, check
from .violations import ContractViolated, Violation


@dataclass(frozen=True)
class Ingested:
    """A partition that is in force, and whether this call changed it."""

    manifest: Manifest
    changed: bool


@dataclass(frozen=True)
class Examined:
    """A delivery that was read and held against the contract, and nothing written yet."""

    table: Table
    day: date
    origin: str
    content: bytes
    checked: Checked | ContractViolated


def examine(
    table: Table, day: date, contract: Contract, operations: OperationsConfig, paths: Paths, now: datetime
) -> Examined:
    """Fetch and check one table of one day, and write nothing. Raises ProjectError (exit 4) when it is not there."""
    try:
        delivery = fetch(table.name, day, operations.source, paths, now)
    except Unreadable as broken:
        violation = Violation(
            "",
            "readable",
            "a complete file",
            f"{len(broken.content)} bytes, {broken.reason}",
            0,
            "cut off in transfer?",
        )
        refused = ContractViolated(table.name, day.isoformat(), contract.version, 0, [violation])
        return Examined(table, day, broken.origin, broken.content, refused)
    try:
        checked: Checked | ContractViolated = check(delivery.frame, table, contract.version, day)
    except ContractViolated as refused:
        checked = refused
    return Examined(table, day, delivery.origin, delivery.content, checked)


def commit(seen: Examined, contract: Contract, store: Store) -> Ingested:
    """Put what was examined in force. Raises ProjectError (exit 3) for what the contract refuses, which is kept in
    quarantine with its report; the partition that was there before stays."""
    if isinstance(seen.checked, ContractViolated):
        raise _quarantined(seen.checked, seen.origin, seen.content, store.storage)
    digest = hashlib.sha256(seen.content).hexdigest()
    return _store(seen.checked, seen.table, seen.day, contract, seen.origin, digest, store)


def ingest(
    table: Table, day: date, contract: Contract, operations: OperationsConfig, paths: Paths, now: datetime
) -> Ingested:
    """Fetch, check and store one table of one day. Running it again gives the same bytes. Raises ProjectError."""
    return commit(examine(table, day, contract, operations, paths, now), contract, Store(paths))


def ingest_days(
    wanted: list[date],
    contract: Contract,
    operations: OperationsConfig,
    paths: Paths,
    now: datetime,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[list[Ingested], list[ProjectError]]:
    """Every table of every day; one bad or missing delivery does not keep the others out. Returns (done, failed)."""
    done, failed = [], []
    for day in wanted:
        for table in contract.tables.values():
            try:
                done.append(ingest(table, day, contract, operations, paths, now))
            except ProjectError as error:
                failed.append(error)
            report(f"{table.name} {day}")
    return done, failed


def _store(
    checked: Checked, table: Table, day: date, contract: Contract, origin: str, sha256: str, store: Store
) -> Ingested:
    old = store.storage.read(store.manifest_key(table.name, day))
    key = table.schema.primary_key()
    order = ([table.time] if table.time else []) + key
    frame = checked.good.sort(order) if order else checked.good
    if checked.tolerated:
        folder = f"{QUARANTINE}/{table.name}/{day}-{sha256[:12]}"
        with store.storage.alone_in(folder, QUARANTINE), store.storage.draft(folder) as draft:
            save(checked.aside, draft)
            store.storage.put(draft, f"{folder}/rows-set-aside.parquet")
    manifest = store.write(
        table.name,
        day,
        frame,
        rows_set_aside=checked.tolerated,
        contract_version=contract.version,
        source=origin,
        source_sha256=sha256,
    )
    return Ingested(manifest, changed=store.storage.read(store.manifest_key(table.name, day)) != old)


def _quarantined(refused: ContractViolated, origin: str, content: bytes, data: Storage) -> ProjectError:
    """Keep the delivery and the reasons under a name made of its content: refusing it again adds nothing."""
    digest = hashlib.sha256(content).hexdigest()
    folder = f"{QUARANTINE}/{refused.table}/{refused.partition}-{digest[:12]}"
    with data.alone_in(folder, QUARANTINE):
        data.write(f"{folder}/delivery{Path(origin).suffix}", content)
        data.write_json(f"{folder}/report.json", refused.report() | {"sha256": digest})
    refused.hint = f"see {data.where(folder)}/; the partition that was there before is untouched"
    return refused
