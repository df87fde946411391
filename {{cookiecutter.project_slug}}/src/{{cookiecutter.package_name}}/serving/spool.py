"""The prediction log on this machine's disk: files that one process appends to, and hands over when they are long.

A spool is ``<host>-<process>-<token>-<number>.open`` while its process writes it, and ``….jsonl`` from then on. The
process holds ``<host>-<process>-<token>.lock`` as long as it lives: whoever gets that lock knows that it is dead.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from ..clock import stopwatch

OPEN, ROLLED, LOCK = ".open", ".jsonl", ".lock"


class Spool:
    """Appends to one file after another below ``folder``. Every method raises OSError when the disk says no.

    A file is rolled when it has ``size`` bytes or is ``age`` seconds old. Nothing is written while files of ``most``
    bytes wait to be packed.
    """

    def __init__(self, folder: Path, size: int, age: float, most: int) -> None:
        # a container's process ID is the same after each start: the token is what tells them apart
        host = re.sub("[^A-Za-z0-9.]", "-", socket.gethostname())[:40]
        self._owner = f"{host}-{os.getpid()}-{uuid4().hex[:8]}"
        self._folder, self._size, self._age, self._most = folder, size, age, most
        self._lock = FileLock(folder / f"{self._owner}{LOCK}", timeout=0, thread_local=False)
        self._file: int | None = None
        self._path = folder
        self._number = self._written = 0
        self._since = 0.0

    def append(self, lines: bytes) -> None:
        """Write whole lines; when that fails, none of them is there."""
        waiting = sum(path.stat().st_size for path in self._folder.glob(f"*{ROLLED}"))
        if waiting >= self._most:
            raise OSError(errno.ENOSPC, f"{waiting:,} bytes wait to be packed", str(self._folder))
        file = self._begin() if self._file is None else self._file
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            os.ftruncate(file, self._written)
            raise
        self._written += len(lines)

    @property
    def is_due(self) -> bool:
        """Whether the file that is being written is large or old enough."""
        return self._written >= self._size or (self._written > 0 and stopwatch() - self._since >= self._age)

    def roll(self) -> None:
        """Hand the file over, if anything was written to it."""
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        if self._written:
            self._path.rename(self._path.with_suffix(ROLLED))
        else:
            self._path.unlink()

    def close(self) -> None:
        self.roll()
        self._lock.release(force=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def _begin(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        self._number += 1
        self._path = self._folder / f"{self._owner}-{self._number:06}{OPEN}"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        self._written, self._since = 0, stopwatch()
        return self._file


def left_behind(folder: Path) -> bool:
    """Whether anything lies there, be it a live process's."""
    return any(path.suffix in (OPEN, ROLLED) for path in folder.glob("*"))


def handed_over(folder: Path) -> list[Path]:
    """Every spool that nobody writes any more, oldest number first: rolled ones, and all those of dead processes."""
    for path in sorted(folder.glob(f"*{OPEN}")):
        lock = FileLock(folder / f"{path.stem.rpartition('-')[0]}{LOCK}", timeout=0)
        try:
            with lock:
                Path(lock.lock_file).unlink(missing_ok=True)
                path.rename(path.with_suffix(ROLLED))
        except Timeout:
            continue  # its process lives
    return sorted(folder.glob(f"*{ROLLED}"))
