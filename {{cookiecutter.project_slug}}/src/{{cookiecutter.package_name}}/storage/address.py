"""How an address of ``operations.yaml`` becomes a storage."""

from __future__ import annotations

import re

from ..errors import ProjectError
from ..paths import Paths
from .folder import Folder
from .storage import PATIENCE, Storage


def open_storage(address: str, paths: Paths, *, patience: float = PATIENCE) -> Storage:
    """A folder below the project's root, or elsewhere; or with a scheme (``s3://bucket/prefix``) a bucket.

    ``patience``: seconds that a bucket may take to answer. Raises ProjectError (exit 2) for an address that is neither.
    """
    if address.startswith("s3://"):
        from .bucket import Bucket

        return Bucket(address, patience=patience)
    if re.match("[A-Za-z][A-Za-z0-9+.-]+:", address):  # one letter is a drive of Windows
        raise ProjectError(
            f"storage: {re.sub('//.*@', '//***@', address)} is neither a folder nor a bucket",
            hint="expected a folder, or s3://name/prefix",
        )
    return Folder(paths.root / address, paths)
