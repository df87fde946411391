"""The file that upstream delivered for a day: hashed, held against the contract, and kept when it is refused."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from .. import files, source
from ..errors import Exit, ProjectError
from ..paths import Paths
from ..spec import Table
from ..storage import Storage
from .store import QUARANTINE
from .streams import collected
from .validation import Checked, check
from .violations import ContractViolated, Violation

UNREADABLE = (Exception, pl.exceptions.PanicException)
"""polars raises half a dozen types for a broken file, one of which is no Exception; readers of other formats more."""


@dataclass(frozen=True)
class Delivery:
    """One day of one table, as a file that is read several times and never held in memory as a whole."""

    table: Table
    day: date
    path: Path
    origin: str
    state: tuple[int, ...]
    sha256: str

    @classmethod
    def at(cls, path: Path, table: Table, day: date, paths: Paths) -> Delivery:
        """Raises ProjectError (exit 2) when ``path`` is none, as from a source.py that knew nothing of files."""
        if not isinstance(path, Path):
            raise ProjectError(
                f"source.py: fetch returned a {type(path).__name__}, expected the path of the day's file",
                hint="docs/your-data.md shows fetch and read; since release 0.3.0 a delivery is a file",
            )
        return cls(table, day, path, paths.relative(path), _state(path), files.sha256(path))

    def check(self, version: str) -> Checked:
        """The rows, held against the contract. Raises ContractViolated, also for a file that is no table."""
        try:
            return check(_read(self.table, self.path), self.table, version, self.day)
        except ProjectError:
            raise
        except UNREADABLE as error:
            self.settle()
            if reason := self._unreadable():
                broken = Violation("", "readable", "a complete file", reason, 0, "cut off in transfer?")
                raise self.refused(broken, version) from None
            if not isinstance(error, pl.exceptions.PolarsError):
                raise
            raise ProjectError(
                f"contract.py: the rules of {self.table.name} cannot be evaluated: {_first_line(error)}",
                hint="this file can be read: is a @dy.rule wrong about a column's type?",
            ) from error

    def refused(self, violation: Violation, version: str, rows: int = 0) -> ContractViolated:
        return ContractViolated(self.table.name, self.day.isoformat(), version, rows, [violation])

    def settle(self) -> None:
        """Raises ProjectError (exit 4) when the file is no longer the one that was hashed and checked."""
        if not self.path.is_file() or _state(self.path) != self.state:
            raise ProjectError(
                f"{self.table.name} {self.day} changed while it was read: {self.origin}",
                hint="retry when upstream has finished writing; it is best done under another name and then renamed",
                exit=Exit.UNAVAILABLE,
            )

    def keep(self, refused: ContractViolated, data: Storage) -> ContractViolated:
        """Keep the file and the reasons under a name made of its content: refusing it again adds nothing."""
        folder = f"{QUARANTINE}/{refused.table}/{refused.partition}-{self.sha256[:12]}"
        with data.alone_in(folder, QUARANTINE), data.draft(folder) as draft:
            shutil.copyfile(self.path, draft)
            self.settle()
            data.put(draft, f"{folder}/delivery{self.path.suffix}")
            data.write_json(f"{folder}/report.json", refused.report() | {"sha256": self.sha256})
        refused.hint = f"see {data.where(folder)}/; the partition that was there before is untouched"
        return refused

    def _unreadable(self) -> str | None:
        try:
            collected(_read(self.table, self.path).select(pl.all().count()))
        except UNREADABLE as error:
            return f"{self.path.stat().st_size} bytes that cannot be read: {_first_line(error)}"
        return None


def _read(table: Table, path: Path) -> pl.LazyFrame:
    read = getattr(source, "read", None)
    if read is None:
        raise ProjectError(
            "source.py has no read(table, path): what makes rows of the file that fetch names",
            hint="docs/your-data.md shows both; since release 0.3.0 a delivery is a file",
        )
    return read(table.name, path)


def _state(path: Path) -> tuple[int, ...]:
    """What changes when somebody writes the file or puts another in its place."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
