"""A folder of this machine. A rename is the commit; locks are the operating system's, so a killed run leaves none."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .. import files
from ..paths import Paths
from .storage import Held, Storage


class Folder(Storage):
    """Objects are files below ``root``."""

    def __init__(self, root: Path, paths: Paths) -> None:
        self._root = root
        self._paths = paths

    def where(self, key: str) -> str:
        return self._paths.relative(self._root / key)

    def read(self, key: str) -> bytes | None:
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, key: str, content: bytes) -> None:
        files.write_bytes(self._root / key, content)

    def remove(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            found = [entry.name for entry in os.scandir(self._root / folder) if entry.is_file()]
        except FileNotFoundError:
            return []
        return sorted(name for name in found if not name.startswith(files.TEMPORARY))

    @contextmanager
    def file(self, key: str) -> Generator[Path]:
        path = self._root / key
        if not path.is_file():
            raise FileNotFoundError(str(path))
        yield path

    @contextmanager
    def draft(self, folder: str) -> Generator[Path]:
        parent = self._root / folder
        parent.mkdir(parents=True, exist_ok=True)
        path = files.temporary(parent / "draft")
        try:
            yield path
        except OSError as error:
            files.named(error, parent)
            raise
        finally:
            path.unlink(missing_ok=True)

    def put(self, draft: Path, key: str) -> None:
        files.put(draft, self._root / key)

    def sweep(self, folder: str, name: str = "") -> None:
        files.sweep(self._root / folder, name)

    @contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Generator[None]:
        from filelock import FileLock, Timeout  # who only reads starts sooner without it

        self._paths.locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._paths.locks / f"{name}.lock", timeout=-1 if wait else 0):
                yield
        except Timeout:
            raise Held(name) from None
