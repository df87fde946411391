"""Where data and ledger live: a folder of this machine, or a bucket. The same calls for both."""

from .address import open_storage
from .storage import Held, Storage

__all__ = ["Held", "Storage", "open_storage"]
