"""What data and ledger ask of the place they live in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path

from ..errors import Exit, ProjectError
from ..files import as_json

PATIENCE = 20.0
"""Seconds after which a bucket that does not answer is given up."""


class Storage(ABC):
    """Objects by key (``partitions/parcels/2026-05-31.json``), each written whole or not at all.

    Every method raises StorageRefused (exit 4) when a bucket says no, and OSError when a disk does.
    """

    @abstractmethod
    def where(self, key: str) -> str:
        """The object's address, for people."""

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """The object's content, None where there is none."""

    @abstractmethod
    def write(self, key: str, content: bytes) -> None:
        """Put ``content`` in the object's place. A reader meets the old content or the new, never a part."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove the object, if it is there."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Names of the objects directly below ``folder`` (``partitions/parcels``), sorted; drafts are none."""

    def days(self, folder: str) -> list[date]:
        """Days that objects of ``folder`` are named after (``2026-05-31.json``), oldest first. Other names are none."""
        found = []
        for name in self.names(folder):
            stem, _, kind = name.rpartition(".")
            with suppress(ValueError):
                if kind == "json" and len(stem) == len("2026-05-31"):
                    found.append(date.fromisoformat(stem))
        return found

    @abstractmethod
    def file(self, key: str) -> AbstractContextManager[Path]:
        """The object as a file to read for a while. Raises FileNotFoundError where there is none."""

    @abstractmethod
    def draft(self, folder: str) -> AbstractContextManager[Path]:
        """Where to write a file that :meth:`put` makes an object below ``folder``; gone afterwards if it was not."""

    @abstractmethod
    def put(self, draft: Path, key: str) -> None:
        """Make a finished draft the object."""

    @abstractmethod
    def sweep(self, folder: str, name: str = "") -> None:
        """Remove drafts that a killed run left in ``folder``, with ``name`` only those of that object.

        Call it under the lock that guards them.
        """

    @abstractmethod
    def locked(self, name: str, *, wait: bool = True) -> AbstractContextManager[None]:
        """Alone in whatever ``name`` stands for. Raises :class:`Held` when ``wait`` is false and somebody else has it.

        In a bucket that is certain once the holder has shown life: within 10 s. A holder that was killed shows none,
        and after 30 s the lock is ours, waiting or not. Whoever loses a lock that way (their process stood still for
        that long) gets StorageRefused from their next write, at the latest when they give the lock back.
        """

    def write_json(self, key: str, value: object) -> None:
        self.write(key, as_json(value))

    @contextmanager
    def alone_in(self, folder: str, lock: str) -> Generator[None]:
        """Under the lock, and without what a killed run left in ``folder``."""
        with self.locked(lock):
            self.sweep(folder)
            yield

    @contextmanager
    def alone_at(self, key: str, lock: str) -> Generator[None]:
        """Under the lock, and without what a killed run left of the object ``key``."""
        folder, _, name = key.rpartition("/")
        with self.locked(lock):
            self.sweep(folder, name)
            yield


class StorageRefused(ProjectError):
    """A bucket does not answer, or says no: whatever is asked of it next will fare no better."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint=hint, exit=Exit.UNAVAILABLE)


class Held(Exception):
    """Somebody else holds the lock ``name``, and nobody wanted to wait. ``holder``: who, where that is known."""

    def __init__(self, name: str, holder: str = "") -> None:
        super().__init__(name)
        self.holder = holder
