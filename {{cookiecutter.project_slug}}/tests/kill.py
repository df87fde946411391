"""Dying at a chosen moment. A moment is whenever Python is about to change something below a folder.

Python announces each of them as an audit event, whichever function causes it: opening a file for writing, renaming,
removing, making a folder. In this process death is an exception after which nothing below the folder changes any more;
as a script, it is SIGKILL: `python kill.py FOLDER MOMENT ml-arguments…`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Killed(BaseException):
    """Not an Exception: no handler may survive it."""


class Moments:
    """Counts moments below ``folder``, and dies at the one numbered ``at``."""

    def __init__(self, folder: Path, at: int | None, die: Callable[[], None]) -> None:
        self.folder, self.at, self.die, self.count = str(folder), at, die, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in CHANGES or (event == "open" and bool(arguments[2] & WRITING))
        if not changes or not isinstance(arguments[0], str | Path):
            return
        path = str(arguments[0])
        if not path.startswith(self.folder) or "/locks/" in path.replace(os.sep, "/"):
            return
        self.count += 1
        if self.at is not None and self.count >= self.at:
            self.die()


_watching: list[Moments] = []
_hooked: list[bool] = []


def _listen() -> None:
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(lambda event, arguments: _watching[-1](event, arguments) if _watching else None)


def _raise() -> None:
    raise Killed


@contextmanager
def moments(folder: Path, at: int | None = None) -> Iterator[Moments]:
    """Count moments, or die at one. A file that was being written then is left half written, as by another process."""
    _listen()
    watch = Moments(folder, at, _raise)
    _watching.append(watch)
    try:
        yield watch
    finally:
        _watching.remove(watch)
        if at is not None:
            for path in folder.rglob(".tmp-*"):
                if path.is_file():
                    os.truncate(path, path.stat().st_size // 2)
                    path.rename(path.with_name(path.name.replace(str(os.getpid()), "1", 1)))


def _kill() -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


if __name__ == "__main__":
    from {{cookiecutter.package_name}}.cli import main

    _listen()
    _watching.append(Moments(Path(sys.argv[1]), int(sys.argv[2]), _kill))
    sys.exit(main(sys.argv[3:]))
