"""Objects of one bucket, and the one way in which it says no."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from ..errors import ProjectError
from .storage import PATIENCE, StorageRefused

if TYPE_CHECKING:
    from obstore import PutMode

PART = 16 * 2**20
"""Bytes above which an object is uploaded in parts of this size; it appears when the last one is there."""
AT_ONCE = 4
SMALL = 2**20
"""Bytes up to which an upload has to be answered as soon as anything else."""
UPLOAD = 120.0
"""Seconds that a larger one may take for the parts on their way: 64 MB at 5 Mbit/s."""

NO_TAG = f'"{"0" * 32}"'
"""The e_tag of nothing."""
_PROVEN: set[str] = set()
"""Addresses at which conditions are known to hold."""

SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may list, read, write and remove there"
NO_KEYS = r"Missing \w+|/latest/(api|meta-data)/"
"""What is said without keys: the library then asks the machine's own service for some, as on EC2."""
HINTS = {
    "builder error": "the address in AWS_ENDPOINT_URL has no TLS: AWS_ALLOW_HTTP=true if that is meant",
    "NoSuchBucket": "make the bucket, or mend storage: in operations.yaml",
    NO_KEYS: KEYS,
    "InvalidAccessKeyId|AccessDenied|SignatureDoesNotMatch|ExpiredToken|InvalidToken|40[13] ": KEYS,
    "redirect|301 |AuthorizationHeaderMalformed": "set AWS_REGION to the region that the bucket is in",
    "NotImplemented": "it has to honour If-None-Match and If-Match on PUT",
}
"""What to do next, by what stands in the error."""


class Objects:
    """Objects below ``s3://name/prefix``, by key. Every method raises StorageRefused (exit 4) when the store says no.

    A request is repeated while the store does not answer, and given up after about ``patience`` seconds.
    """

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        self.address = address
        self._patience = patience
        with self._saying():
            # an attempt has two fifths to be answered, and none starts in the second half
            self._store = _open(address, patience, patience * 0.4)

    def where(self, key: str) -> str:
        return f"{self.address}/{key}"

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Content and e_tag, None where there is no such object."""
        try:
            with self._saying():
                found = obstore.get(self._store, key)
                return bytes(found.bytes()), str(found.meta["e_tag"])
        except FileNotFoundError:
            return None

    def download(self, key: str, path: Path) -> None:
        """Raises FileNotFoundError where there is no such object."""
        with path.open("wb") as file, self._saying():
            for chunk in obstore.get(self._store, key).stream(min_chunk_size=PART):
                file.write(chunk)

    def put(self, key: str, content: bytes | Path) -> None:
        """Whole or not at all: what is uploaded in parts is no object before the last part is confirmed."""
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        with self._saying(missing=True):
            store = self._store if size < SMALL else self._uploads
            obstore.put(store, key, content, chunk_size=PART, max_concurrency=AT_ONCE)

    def put_if(self, key: str, content: bytes, e_tag: str | None) -> str | None:
        """Put only where the object still has ``e_tag`` (None: where there is none). Returns the new one, or None."""
        only: PutMode = "create" if e_tag is None else {"e_tag": e_tag}
        with self._saying(missing=True):
            try:
                return str(obstore.put(self._store, key, content, mode=only)["e_tag"])
            except (AlreadyExistsError, PreconditionError):
                return None

    def prove_conditions(self, key: str, content: bytes) -> None:
        """Raises ProjectError (exit 2) if the store replaces the object at ``key`` against a condition.

        Asked once a process; ``content`` should be what stands there already.
        """
        if self.address not in _PROVEN:
            if any(self.put_if(key, content, tag) is not None for tag in (None, NO_TAG)):
                raise ProjectError(
                    f"the storage {self.address} ignores If-None-Match or If-Match on PUT: no lock would hold there",
                    hint="another store, or a folder: storage: in operations.yaml",
                )
            _PROVEN.add(self.address)

    def remove(self, key: str) -> None:
        with self._saying(missing=True):
            obstore.delete(self._store, key)

    def names(self, folder: str) -> list[str]:
        """Names of the objects directly below ``folder``, sorted."""
        with self._saying():
            found = obstore.list_with_delimiter(self._store, folder)["objects"]
        return sorted(item["path"].rpartition("/")[2] for item in found)

    @cached_property
    def _uploads(self) -> S3Store:
        return _open(self.address, self._patience, UPLOAD)

    @contextmanager
    def _saying(self, *, missing: bool = False) -> Generator[None]:
        """Make errors of the library readable. With ``missing``, an object that is not found is one of them too."""
        try:
            yield
        except FileNotFoundError as error:
            if missing or "NoSuchKey" not in str(error):  # no bucket, or something there that is no storage
                raise refused(self.address, str(error)) from None
            raise
        except (BaseError, ValueError) as error:
            raise refused(self.address, str(error)) from None


def refused(address: str, text: str) -> StorageRefused:
    """``text`` is a page, with the library's insides and the server's XML: what matters is a line of it."""
    for name in SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, "***")
    head = text.split("\n\nDebug source")[0]
    hint = next((hint for pattern, hint in HINTS.items() if re.search(pattern, head)), None)
    status = re.search(r"status code: ([^:\n]+)", head)
    code, message = (re.search(f"<{tag}>(.*?)</{tag}>", head, re.DOTALL) for tag in ("Code", "Message"))
    if re.search(NO_KEYS, head):
        said = "cannot be asked: no keys in the environment, and this machine has none of its own"
    elif code is not None:
        said = f"said no: {code[1]}" + (f": {message[1].splitlines()[0]}" if message else "")
    elif status is not None:
        said = f"said no: {status[1]}"
    elif "error sending request" in head or "timed out" in head:
        said = "does not answer"
        if asked := re.search(r"https?://[^/\s]+", head):
            said += f" at {asked[0]}"
    else:
        said = "said no: " + re.sub(r"^Generic \w+ error: ", "", head.splitlines()[0].rpartition(" - ")[2])
    hint = hint or "retry when it is back; AWS_ENDPOINT_URL and AWS_REGION say where it is asked"
    return StorageRefused(f"the storage {address} {said[:200]}", hint)


def _open(address: str, patience: float, answer: float) -> S3Store:
    """Keys, region and endpoint come from AWS_ variables. ``answer``: seconds until a request has to be answered."""
    for name in [name for name, value in os.environ.items() if name.startswith("AWS_") and not value]:
        del os.environ[name]  # a secret that is not set comes as an empty one; obstore would take it for an address
    allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on")
    return S3Store.from_url(
        address,
        client_options={
            "allow_http": allow_http,
            "connect_timeout": timedelta(seconds=patience / 4),
            "read_timeout": timedelta(seconds=answer),
            "timeout": timedelta(hours=1),  # a whole day may take minutes to arrive: only each piece has to come soon
        },
        retry_config={
            "max_retries": 8,
            "retry_timeout": timedelta(seconds=patience / 2),
            "backoff": {
                "init_backoff": timedelta(seconds=patience / 200),
                "max_backoff": timedelta(seconds=patience / 8),
            },
        },
        disable_bulk_delete=True,  # not every store has it, and nothing here removes in bulk
    )
