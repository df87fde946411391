"""Partitions: one Parquet object a day and table, and the manifest that says which bytes are the partition.

Writing the manifest is the commit. The data file carries its own hash in its name and is written first; a crash
before the manifest leaves the old partition in force and an orphan that the next write sweeps away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from .. import files
from ..config import load_operations
from ..errors import Exit, ProjectError
from ..paths import Paths
from ..storage import Storage, open_storage
from .streams import save

PARTITIONS, QUARANTINE, DATASETS = "partitions", "quarantine", "datasets"
"""Folders of the data storage."""
DAY = len("2026-05-31")
PREDICTIONS = "predictions/"
"""First part of the name of a table that holds predictions; the model's name follows."""


class Manifest(BaseModel):
    """What a partition is and where it came from. Holds no time of writing: the same delivery gives the same bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    partition: date
    file: str
    sha256: str
    rows: int
    rows_set_aside: dict[str, int]
    contract_version: str
    source: str
    source_sha256: str
    model_version: str | None = None
    """Of predictions: the version that made them. ``source`` is then the partition that they were made for."""


class Store:
    """The partitions of one project: of upstream's tables, and of what was predicted for their rows."""

    def __init__(self, paths: Paths) -> None:
        self.storage = open_data(paths)

    def manifest_key(self, table: str, day: date) -> str:
        return f"{_folder(table)}/{day}.json"

    def write(
        self,
        table: str,
        day: date,
        rows: pl.DataFrame | pl.LazyFrame,
        *,
        agreed: Callable[[str], None] = lambda _: None,
        **about: Any,
    ) -> Manifest:
        """Make ``rows`` the partition of ``day`` in place of what was there. ``about``: the manifest's other facts.

        ``agreed`` is called with the sha256 when all rows are read, before anything takes effect; what it raises leaves
        the old partition in force.
        """
        folder = _folder(table)
        with self.storage.alone_in(folder, table.replace("/", "-")), self.storage.draft(folder) as draft:
            save(rows, draft)
            digest = files.sha256(draft)
            agreed(digest)
            manifest = Manifest(
                table=table,
                partition=day,
                file=f"{day}-{digest[:12]}.parquet",
                sha256=digest,
                rows=pl.scan_parquet(draft).select(pl.len()).collect().item(),
                **about,
            )
            self.storage.put(draft, f"{folder}/{manifest.file}")
            self.storage.write_json(self.manifest_key(table, day), manifest.model_dump(mode="json", exclude_none=True))
            for name in self.storage.names(folder):
                if name.startswith(f"{day}-") and name.endswith(".parquet") and name != manifest.file:
                    self.storage.remove(f"{folder}/{name}")
        return manifest

    def where(self, manifest: Manifest) -> str:
        """The address of a partition's data, for people."""
        return self.storage.where(f"{_folder(manifest.table)}/{manifest.file}")

    def manifest(self, table: str, day: date) -> Manifest | None:
        """The manifest of a partition, None where there is none. Raises ProjectError for one that cannot be read."""
        key = self.manifest_key(table, day)
        content = self.storage.read(key)
        if content is None:
            return None
        try:
            return Manifest.model_validate_json(content)
        except ValidationError as error:
            raise ProjectError(
                f"{self.storage.where(key)} is not a manifest: {error.errors()[0]['msg']}",
                hint=_made_by(table, day),
                exit=Exit.REFUSED,
            ) from None

    def read(self, table: str, day: date) -> pl.DataFrame:
        """The rows of a partition, its bytes compared with the manifest first; see :meth:`file`."""
        with self.file(table, day) as path:
            return pl.read_parquet(path)

    @contextmanager
    def file(self, table: str, day: date) -> Generator[Path]:
        """A partition as a file to read for a while, its bytes compared with the manifest first.

        Raises ProjectError (exit 4) when the day was never ingested, (exit 3) when the bytes are not the manifest's.
        """
        with ExitStack() as stack:
            yield self._opened(table, day, stack)

    def _opened(self, table: str, day: date, stack: ExitStack) -> Path:
        manifest = self.manifest(table, day)
        if manifest is None:
            raise ProjectError(f"no partition {table} {day}", hint=_made_by(table, day), exit=Exit.UNAVAILABLE)
        key = f"{_folder(table)}/{manifest.file}"
        try:
            path = stack.enter_context(self.storage.file(key))
            found = files.sha256(path)
        except FileNotFoundError:
            path, found = None, ""
        if path is not None and found == manifest.sha256:
            return path
        if self.manifest(table, day) != manifest:  # replaced a moment ago, and the old file with it
            return self._opened(table, day, stack)
        what = f"expected sha256 {manifest.sha256[:12]}… as in the manifest, found {found[:12]}…"
        raise ProjectError(
            f"{self.storage.where(key)}: {'the file is missing' if path is None else what}",
            hint=_made_by(table, day),
            exit=Exit.REFUSED,
        )

    def days(self, table: str) -> list[date]:
        """Days that have a partition, oldest first."""
        return list(self._listed(table))

    def digests(self, table: str) -> dict[date, str]:
        """The first twelve digits of each partition's sha256, by one look at the folder instead of one at each day.

        A day with two data files, as a killed write leaves it, is looked up in its manifest.
        """
        found: dict[date, str] = {}
        for day, digests in self._listed(table).items():
            manifest = None if len(digests) == 1 else self.manifest(table, day)
            found[day] = manifest.sha256[:12] if manifest else digests[0]
        return found

    def _listed(self, table: str) -> dict[date, list[str]]:
        """Days with a manifest, oldest first, and of each the digests that its data files are named after."""
        manifests, files = [], defaultdict(list)
        for name in self.storage.names(_folder(table)):
            stem, _, kind = name.rpartition(".")
            with suppress(ValueError):  # a stray file that is no day
                if kind == "json" and len(stem) == DAY:
                    manifests.append(date.fromisoformat(stem))
                elif kind == "parquet" and stem[DAY : DAY + 1] == "-":
                    files[date.fromisoformat(stem[:DAY])].append(stem[DAY + 1 :])
        return {day: files[day] for day in manifests}


def open_data(paths: Paths) -> Storage:
    """Where ``operations.yaml`` says that partitions, quarantine and datasets live."""
    return open_storage(load_operations(paths.operations).storage.data, paths)


def _folder(table: str) -> str:
    return table if table.startswith(PREDICTIONS) else f"{PARTITIONS}/{table}"


def _made_by(table: str, day: date) -> str:
    return f"ml score --date {day}" if table.startswith(PREDICTIONS) else f"ml ingest --date {day}"
