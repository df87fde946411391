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
from ..storage import Storage, StorageRefused
from .store import QUARANTINE, Manifest, Store, save
from .validation import Checked, check
from .violations import ContractViolated, Violation


@dataclass(frozen=True)
class Ingested:
    """A partition that is in force, and whether this call changed it."""

    manifest: Manifest
    changed: bool


def ingest(
    table: Table, day: date, contract: Contract, operations: OperationsConfig, paths: Paths, now: datetime
) -> Ingested:
    """Fetch, check and store one table of one day. Running it again gives the same bytes.

    Raises ProjectError: exit 4 when the day is not there yet, exit 3 when the contract refuses it. A refused delivery
    is kept in quarantine with its report, and the partition that was there before stays.
    """
    store = Store(paths)
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
        raise _quarantined(refused, broken.origin, broken.content, store.storage) from None
    try:
        checked = check(delivery.frame, table, contract.version, day)
    except ContractViolated as refused:
        raise _quarantined(refused, delivery.origin, delivery.content, store.storage) from None
    return _store(checked, table, day, contract, delivery.origin, delivery.sha256, store)


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
            except StorageRefused as error:  # and every other table and day would wait as long for the same answer
                return done, [*failed, error]
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
