"""API keys: who may ask. A key is shown once and only its hash is kept, so the file gives no key away.

A key has 256 random bits, so a plain sha256 is as good as a slow hash: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .. import files
from ..clock import stopwatch
from ..errors import ProjectError
from ..log import log
from ..paths import Paths, keys_file

PREFIX = "ml_"
"""So that a scanner for secrets, and a person, know one when they see it."""
NAME = "[a-z0-9][a-z0-9._-]{0,39}"
LOOK = 1.0
"""Seconds between two looks at the file, at least: a look is a stat of 2 us."""
HINT = "put the file back from a backup, or remove it and make the keys again: ml keys add NAME"


class Key(BaseModel):
    """What is kept of a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    created: AwareDatetime


_KEYS = TypeAdapter(list[Key])


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _torn(path: Path, why: str) -> ProjectError:
    return ProjectError(f"the keys in {path} cannot be read: {why}", hint=HINT)


def read(path: Path) -> list[Key]:
    """The keys in ``path``, none where there is no file. Raises ProjectError (exit 2) for a file that is not whole."""
    try:
        found = _KEYS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _torn(path, error.strerror or str(error)) from None
    except ValidationError:
        raise _torn(path, "expected a JSON list of name, sha256 and created") from None
    if len({key.name for key in found}) < len(found):
        raise _torn(path, "a name stands there twice")
    return found


@contextmanager
def _changing(paths: Paths) -> Generator[list[Key]]:
    """The keys, to be changed in place: written back whole, for the owner's eyes only, one writer at a time."""
    path = keys_file(paths)
    paths.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(paths.locks / "keys.lock"):
        keys = read(path)
        yield keys
        with files.replacing(path) as draft:
            content = files.as_json([key.model_dump(mode="json") for key in keys])
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)


def add(paths: Paths, name: str, now: datetime) -> str:
    """Make a key for ``name`` and return it: nobody can read it again. Raises ProjectError (exit 2)."""
    if re.fullmatch(NAME, name) is None:
        raise ProjectError(
            f"{name!r} is no name of a key: expected 1 to 40 of a-z, 0-9, dot, hyphen and underscore",
            hint="name who holds it: ml keys add checkout",
        )
    key = PREFIX + secrets.token_urlsafe(32)
    with _changing(paths) as keys:
        if any(known.name == name for known in keys):
            raise ProjectError(
                f"there is a key for {name} already",
                hint=f"to rotate it: ml keys add {name}-2, let its holder change over, then ml keys remove {name}",
            )
        keys.append(Key(name=name, sha256=_digest(key), created=now.astimezone(UTC).replace(microsecond=0)))
    return key


def remove(paths: Paths, name: str) -> None:
    """Take the key of ``name`` away: servers refuse it within seconds. Raises ProjectError (exit 2)."""
    with _changing(paths) as keys:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise ProjectError(f"there is no key for {name}", hint="ml keys list")
        keys[:] = left


class Keys:
    """The keys as a running server sees them: the file is read again when it has changed.

    A server that ever asked for a key goes on asking, whatever becomes of the file: with a file that is gone or not
    whole, nobody gets in. ``expected``: the file has been named by somebody, so it has to be there.
    """

    def __init__(self, path: Path, *, expected: bool = False, clock: Callable[[], float] = stopwatch) -> None:
        self.path = path
        self._clock = clock
        self._asks = expected
        self._keys: list[Key] = []
        self._seen: Any = ()
        self._said: str | None = None
        self._next = float("-inf")

    @classmethod
    def of(cls, paths: Paths) -> Keys:
        path = keys_file(paths)
        return cls(path, expected=path != paths.keys)

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        self._look()
        return self._asks

    def holder(self, authorization: str | None, x_api_key: str | None) -> str | None:
        """Whose key stands in one of the two headers, None for no or a wrong one. Any key takes the same time."""
        self._look()
        scheme, _, bearer = (authorization or "").partition(" ")
        given = [bearer.strip()] if scheme.lower() == "bearer" else []
        given += [x_api_key.strip()] if x_api_key is not None else []
        found = None
        for digest in map(_digest, given):
            for key in self._keys:  # all of them, whichever fits
                if hmac.compare_digest(digest, key.sha256):
                    found = key.name
        return found

    def _look(self) -> None:
        now = self._clock()
        if now < self._next:
            return
        self._next = now + LOOK
        try:
            there = self.path.stat()
            seen: Any = (there.st_mtime_ns, there.st_ino, there.st_size)
        except OSError as error:
            seen = error.errno
        if seen == self._seen:
            return
        try:
            self._keys, self._seen, said = read(self.path), seen, None
            self._asks = self._asks or bool(self._keys)
            if self._asks and not self._keys:
                said = f"there are no keys in {self.path}: ml keys add NAME makes one"
        except ProjectError as error:  # and it is tried again, for a disk may come back with the same file
            self._keys, self._asks, said = [], True, str(error)
        if said and said != self._said:
            log.error("nobody gets in", extra={"reason": said})
        self._said = said
