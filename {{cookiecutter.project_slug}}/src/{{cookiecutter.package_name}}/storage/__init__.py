"""Where data and ledger live: a folder of this machine, or a bucket. The same calls for both."""

from .address import open_storage
from .storage import PATIENCE, Held, Storage, StorageRefused

__all__ = ["PATIENCE", "Held", "Storage", "StorageRefused", "open_storage"]
