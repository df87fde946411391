"""A lock in a bucket: an object that only one of many can write, and that its holder has to keep fresh.

A holder renews the object every third of the lease. Whoever waits takes it over once it has not changed for a whole
lease by their own stopwatch: no clocks are compared. Each change is a PUT on condition that the object is still the one
that was read, so one of many wins. A lock that is given back stays, as an object that says so: a PUT can have a
condition here, and removing cannot.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from ..clock import stopwatch
from ..files import as_json
from .objects import Objects
from .storage import Held, StorageRefused

LEASE = 30.0
"""Seconds after which a holder that shows no life has lost its lock."""
FIRST_LOOK, LATER_LOOKS = 0.02, 1.0
"""Seconds between two looks of somebody who waits: soon at first, then rarely."""


class Lease:
    """One holder's lock on the object ``key``."""

    def __init__(self, objects: Objects, key: str, seconds: float) -> None:
        self._objects, self._key, self._seconds = objects, key, seconds
        self._token = uuid4().hex
        self._renewals = 0
        self._tag: str | None = None
        self._sent = 0.0
        """When the last renewal was sent: nobody can have taken over before a lease has passed since."""
        self._lost = False
        self._turn = threading.Lock()
        self._done = threading.Event()
        self._renewer = threading.Thread(target=self._keep, name=f"renews {key}", daemon=True)

    @contextmanager
    def held(self, *, wait: bool) -> Generator[None]:
        """Take the lock, keep it fresh, give it back. Raises StorageRefused (exit 4) if it was taken over meanwhile."""
        self._acquire(wait)
        self._renewer.start()
        try:
            self._objects.prove_conditions(self._key, self._record(held=True))
            yield
        except BaseException:
            with suppress(StorageRefused):
                self._release()
            raise
        else:
            self._release()

    def assure(self) -> None:
        """Raises StorageRefused (exit 4) unless the lock is ours for another 0.6 of the lease, whatever happens.

        At 30 s that is as long as a small PUT may take before it is given up.
        """
        with self._turn:
            if not self._lost and stopwatch() - self._sent > self._seconds * 0.4:
                self._replace(held=True)
            if self._lost:
                raise self._taken_over()

    def _acquire(self, wait: bool) -> None:
        seen, since, pause = None, stopwatch(), FIRST_LOOK
        while True:
            content, tag = self._objects.get(self._key) or (None, None)
            record = _read(content)
            alive = tag != seen and seen is not None
            if tag != seen:
                seen, since = tag, stopwatch()
            if not record["held"] or stopwatch() - since >= record.get("lease_seconds", self._seconds):
                if self._take(tag):
                    return
                seen = ""  # whoever was faster is alive
            elif alive and not wait:
                raise Held(self._key.rpartition("/")[2], _holder(record))
            else:
                time.sleep(pause)
                pause = min(pause * 1.5, LATER_LOOKS, self._seconds / 10)

    def _take(self, tag: str | None) -> bool:
        sent = stopwatch()
        new = self._objects.put_if(self._key, self._record(held=True), tag) or self._ours()
        if new is None:
            return False
        self._tag, self._sent = new, sent
        return True

    def _ours(self) -> str | None:
        """The tag of the object, if it is ours: a PUT whose answer was lost is repeated, and the second one refused."""
        found = self._objects.get(self._key)
        return found[1] if found and _read(found[0]).get("token") == self._token else None

    def _replace(self, *, held: bool) -> None:
        """Put the next record in the place of the last one. Raises StorageRefused when that is not ours any more."""
        self._renewals += 1
        sent = stopwatch()
        new = self._objects.put_if(self._key, self._record(held=held), self._tag)
        if new is None and (tag := self._ours()) is not None:
            new = self._objects.put_if(self._key, self._record(held=held), tag)
        if new is None:
            self._lost = True
            raise self._taken_over()
        self._tag, self._sent = new, sent

    def _keep(self) -> None:
        while not self._done.wait(self._seconds / 3):
            with self._turn, suppress(StorageRefused):  # a storage that is away for a moment: again at the next turn
                if self._lost or self._done.is_set():
                    return
                self._replace(held=True)

    def _release(self) -> None:
        self._done.set()
        with self._turn:
            if self._lost:
                raise self._taken_over()
            self._replace(held=False)

    def _record(self, *, held: bool) -> bytes:
        """What the object says, for waiters and for people."""
        return as_json(
            {
                "held": held,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "token": self._token,
                "renewals": self._renewals,
                "lease_seconds": self._seconds,
            }
        )

    def _taken_over(self) -> StorageRefused:
        return StorageRefused(
            f"the lock {self._objects.where(self._key)} was taken over: it was not renewed for {self._seconds:g} s",
            hint="run the same command again",
        )


def _read(content: bytes | None) -> dict[str, Any]:
    """A record. No object is a lock that is free; an object that is no record, one that nobody renews."""
    if content is None:
        return {"held": False}
    try:
        record = json.loads(content)
        return {**record, "held": bool(record["held"]), "lease_seconds": float(record["lease_seconds"])}
    except (ValueError, TypeError, KeyError):
        return {"held": True}


def _holder(record: dict[str, Any]) -> str:
    return f"process {record.get('pid', '?')} on {record.get('host', 'an unknown machine')}"
