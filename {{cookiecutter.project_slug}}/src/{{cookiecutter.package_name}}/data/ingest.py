"""One day from the source through the contract into its partition, or into quarantine with a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ..config import OperationsConfig
from ..errors import ProjectError
from ..paths import Paths
from ..source import fetch
from ..spec import Contract, Table
from ..storage import StorageRefused
from .delivery import UNREADABLE, Delivery
from .order import ordered
from .store import QUARANTINE, Manifest, Store
from .streams import save
from .validation import Checked
from .violations import ContractViolated, Violation

NEAR = 7
"""Days before and after that a delivery is compared with, where no column says which day its rows are of."""


@dataclass(frozen=True)
class Ingested:
    """A partition that is in force, and whether this call changed it."""

    manifest: Manifest
    changed: bool


@dataclass(frozen=True)
class Examined:
    """A delivery that was read and held against the contract, and nothing written yet."""

    delivery: Delivery
    checked: Checked | ContractViolated


def examine(
    table: Table, day: date, contract: Contract, operations: OperationsConfig, paths: Paths, now: datetime
) -> Examined:
    """Fetch and check one table of one day, and write nothing. Raises ProjectError (exit 4) when it is not there."""
    delivery = Delivery.at(fetch(table.name, day, operations.source, paths, now), table, day, paths)
    try:
        return Examined(delivery, delivery.check(contract.version))
    except ContractViolated as refused:
        return Examined(delivery, refused)


def commit(seen: Examined, contract: Contract, store: Store) -> Ingested:
    """Put what was examined in force. Raises ProjectError (exit 3) for what the contract refuses.

    A refused delivery is kept in quarantine with its report, and the partition that was there before stays.
    """
    delivery = seen.delivery
    try:
        _refuse_again(delivery, delivery.sha256, contract.version, store)
        if isinstance(seen.checked, ContractViolated):
            raise seen.checked
        return _store(seen.checked, delivery, contract, store)
    except ContractViolated as refused:
        raise delivery.keep(refused, store.storage) from None
    except UNREADABLE:
        delivery.settle()  # half of one file and half of another is no table
        raise


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
            except StorageRefused as error:  # and every other table and day would wait as long for the same answer
                return done, [*failed, error]
            except ProjectError as error:
                failed.append(error)
            report(f"{table.name} {day}")
    return done, failed


def _store(checked: Checked, delivery: Delivery, contract: Contract, store: Store) -> Ingested:
    table, day = delivery.table, delivery.day
    old = store.storage.read(store.manifest_key(table.name, day))
    if checked.tolerated:
        folder = f"{QUARANTINE}/{table.name}/{day}-{delivery.sha256[:12]}"
        with store.storage.alone_in(folder, QUARANTINE), store.storage.draft(folder) as draft:
            save(checked.aside, draft)
            store.storage.put(draft, f"{folder}/rows-set-aside.parquet")

    def agreed(sha256: str) -> None:
        delivery.settle()
        _refuse_again(delivery, sha256, contract.version, store)

    manifest = store.write(
        table.name,
        day,
        ordered(checked.good, table),
        agreed=agreed,
        rows_set_aside=checked.tolerated,
        contract_version=contract.version,
        source=delivery.origin,
        source_sha256=delivery.sha256,
    )
    return Ingested(manifest, changed=store.storage.read(store.manifest_key(table.name, day)) != old)


def _refuse_again(delivery: Delivery, sha256: str, version: str, store: Store) -> None:
    """Yesterday's file delivered again: by its bytes, or by the partition's, which no order or encoding changes.

    Only for tables without a time; where there is one, rows of another day are refused anyway.
    """
    if delivery.table.time is not None:
        return
    for distance in range(1, NEAR + 1):
        for other in (delivery.day - timedelta(days=distance), delivery.day + timedelta(days=distance)):
            manifest = _manifest(delivery.table, other, store)
            if manifest is not None and sha256 in (manifest.sha256, manifest.source_sha256):
                said = Violation(
                    "", "stale", "rows of its own", f"those of {other}", manifest.rows,
                    f"the delivery of {other} again? if {other} has the wrong rows, ingest it again first", stale=True,
                )  # fmt: skip
                raise delivery.refused(said, version, manifest.rows)


def _manifest(table: Table, day: date, store: Store) -> Manifest | None:
    try:
        return store.manifest(table.name, day)
    except ProjectError:  # torn: that day's own business, and nothing to compare with
        return None
