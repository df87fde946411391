"""A bucket. A single PUT is the commit; a lock is an object that only one can write."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import ProjectError
from .lease import LEASE, Lease
from .objects import Objects
from .storage import PATIENCE, Storage

LOCKS = "locks"
ADDRESS = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_=+-][A-Za-z0-9_.=+-]*)*")


class Bucket(Storage):
    """Objects below ``s3://bucket/prefix``.

    ``patience``: seconds after which a store that does not answer is given up. ``lease``: seconds after which a lock
    whose holder was killed is free again. Raises ProjectError (exit 2) for an address that is none.
    """

    def __init__(self, address: str, *, patience: float = PATIENCE, lease: float = LEASE) -> None:
        if ADDRESS.fullmatch(address.rstrip("/")) is None:
            raise ProjectError(
                f"storage: {re.sub('//.*@', '//***@', address)} is no address of a bucket",
                hint="expected s3://name/prefix; a name has 3 to 63 of a-z, 0-9, dot and hyphen",
            )
        self._objects = Objects(address.rstrip("/"), patience)
        self._lease = lease
        self._held: list[Lease] = []

    def where(self, key: str) -> str:
        return self._objects.where(key)

    def read(self, key: str) -> bytes | None:
        found = self._objects.get(key)
        return None if found is None else found[0]

    def write(self, key: str, content: bytes) -> None:
        self._still_alone()
        self._objects.put(key, content)

    def remove(self, key: str) -> None:
        self._still_alone()
        self._objects.remove(key)

    def names(self, folder: str) -> list[str]:
        return self._objects.names(folder)

    @contextmanager
    def file(self, key: str) -> Generator[Path]:
        with TemporaryDirectory(prefix="ml-") as folder:
            path = Path(folder) / key.rpartition("/")[2]
            self._objects.download(key, path)
            yield path

    @contextmanager
    def draft(self, folder: str) -> Generator[Path]:
        with TemporaryDirectory(prefix="ml-") as here:
            yield Path(here) / "draft"

    def put(self, draft: Path, key: str) -> None:
        self._still_alone()
        self._objects.put(key, draft)

    def sweep(self, folder: str, name: str = "") -> None:
        """Nothing to do: a killed run leaves its drafts on its own machine."""

    @contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Generator[None]:
        lease = Lease(self._objects, f"{LOCKS}/{name}", self._lease)
        with lease.held(wait=wait):
            self._held.append(lease)
            try:
                yield
            finally:
                self._held.remove(lease)

    def _still_alone(self) -> None:
        """Raises StorageRefused when a lock that this storage holds was taken over: nothing is written then."""
        for lease in tuple(self._held):
            lease.assure()
