"""How an address of ``operations.yaml`` becomes a storage."""

from __future__ import annotations

from ..paths import Paths
from .folder import Folder
from .storage import Storage


def open_storage(address: str, paths: Paths) -> Storage:
    """A folder below the project's root, or elsewhere; or with a scheme (``s3://bucket/prefix``) a bucket."""
    if "://" in address:
        from .bucket import Bucket

        return Bucket(address)
    return Folder(paths.root / address, paths)
