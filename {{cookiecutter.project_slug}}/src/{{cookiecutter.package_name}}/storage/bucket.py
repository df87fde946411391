"""A bucket. A single PUT is the commit; a lock is an object that only one can create."""

from __future__ import annotations

from .storage import Storage


class Bucket(Storage):
    """Objects below ``s3://bucket/prefix``."""
