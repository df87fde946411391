"""Dying at a chosen moment. A moment is whenever Python is about to change something below a folder.

Python announces each of them as an audit event, whichever function causes it: opening a file for writing, renaming,
removing, making a folder. In this process death is an exception after which nothing below the folder changes any more;
as a script, it is SIGKILL: `python kill.py FOLDER MOMENT ml-arguments…`. With MOMENT 0 nothing dies, but every renaming
waits for half a second, so that two runs get into each other's way if they can.

In place of a folder it may be ``s3://``, any bucket: a moment is then whenever an object is about to be put or removed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import obstore

from {{cookiecutter.package_name}}.storage import bucket

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


LOCKS = f"{os.sep}locks{os.sep}"
PATHS = {"os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,)}
"""Which arguments of an event are paths that change, where it is not the first one alone."""


def _changed(event: str, arguments: tuple[Any, ...]) -> list[str]:
    """Whole paths of what is about to change. Trees are removed by names in an open folder, the last argument."""
    paths = [arguments[i] for i in PATHS.get(event, (0,)) if isinstance(arguments[i], str | os.PathLike)]
    inside = arguments[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
    folder = Path.cwd() if inside == -1 else Path(f"/proc/self/fd/{inside}").resolve()
    return [os.path.normpath(folder / path) for path in paths]


class Killed(BaseException):
    """Not an Exception: no handler may survive it."""


class Moments:
    """Counts moments below ``folder``, and dies at the one numbered ``at``."""

    def __init__(self, folder: Path, at: int | None, die: Callable[[str], None]) -> None:
        self.folder, self.at, self.die, self.count = str(folder), at, die, 0
        self.unfinished: set[str] = set()
        """Files that were opened for writing and have not got their name yet."""

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES and not (event == "open" and arguments[2] & WRITING):
            return
        below = [path for path in _changed(event, arguments) if path.startswith(self.folder + os.sep)]
        if not below or LOCKS in below[0]:
            return
        self.changing(event, below[0], arguments)

    def changing(self, event: str, path: str, arguments: tuple[Any, ...]) -> None:
        self.count += 1
        if self.at is not None and self.count >= self.at:
            self.die(event)
        if event == "open":
            self.unfinished.add(path)
        elif event in ("os.rename", "os.remove"):
            self.unfinished.discard(path)


watching: list[Moments] = []
_hooked: list[bool] = []


def listen() -> None:
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(lambda event, arguments: watching[-1](event, arguments) if watching else None)


def _raise(_: str) -> None:
    raise Killed


@contextmanager
def moments(folder: Path, at: int | None = None) -> Iterator[Moments]:
    """Count moments, or die at one. A file that was being written then is left half written, as by another process."""
    listen()
    watch = Moments(folder, at, _raise)
    watching.append(watch)
    try:
        yield watch
    finally:
        watching.remove(watch)
        if at is not None:
            for path in map(Path, watch.unfinished):
                if path.is_file():
                    os.truncate(path, path.stat().st_size // 2)
                    path.rename(path.with_name(path.name.replace(f"-{os.getpid()}-", "-1-", 1)))


class Requests:
    """Counts changes of any bucket that this thread is about to make, and dies at the one numbered ``at``.

    A lock is renewed by another thread: that is no moment, but nobody renews any more after death.
    """

    def __init__(self, at: int | None, die: Callable[[str], None]) -> None:
        self.at, self.die, self.count, self.dead = at, die, 0, False
        self.thread = threading.get_ident()

    def __call__(self, event: str) -> None:
        if threading.get_ident() == self.thread:
            self.count += 1
            self.dead = self.at is not None and self.count >= self.at
            if self.dead:
                self.die(event)
        elif self.dead:
            sys.exit()


def _wrap(watch: Requests, real: Callable[..., Any]) -> Callable[..., Any]:
    def watched(*arguments: Any, **named: Any) -> Any:
        watch(real.__name__)
        return real(*arguments, **named)

    return watched


@contextmanager
def requests(at: int | None = None) -> Iterator[Requests]:
    """Count changes of a bucket, or die at one."""
    watch = Requests(at, _raise)
    with _changing(watch):
        yield watch


@contextmanager
def _changing(watch: Requests) -> Iterator[None]:
    real = obstore.put, obstore.delete
    obstore.put, obstore.delete = (_wrap(watch, function) for function in real)
    try:
        yield
    finally:
        obstore.put, obstore.delete = real


def _kill(_: str) -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def _dawdle(event: str) -> None:
    time.sleep(0.5 if event == "os.rename" else 0)


def _dawdle_sending(_: str) -> None:
    time.sleep(0.1)


SHORT = partial(bucket.Bucket, lease=0.5)
"""A bucket whose locks are free half a second after their holder died."""

if __name__ == "__main__":
    from {{cookiecutter.package_name}}.cli import main

    place, moment = sys.argv[1], int(sys.argv[2])
    if place == "s3://":
        if moment:
            bucket.Bucket = SHORT
        changing = _changing(Requests(moment or 1, _kill if moment else _dawdle_sending))
    else:
        listen()
        watching.append(Moments(Path(place), moment, _kill if moment else _dawdle))
        changing = nullcontext()
    with changing:
        sys.exit(main(sys.argv[3:]))
