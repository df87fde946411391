"""How many threads numerical libraries may use for a while."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


def limited(threads: int | None) -> AbstractContextManager[object]:
    """At most so many threads in BLAS and OpenMP while the context lasts; None leaves them as they are."""
    return _libraries(len(sys.modules)).limit(limits=threads)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """The libraries that are loaded. Looking for them takes 3 ms; a new one comes with a module that is new."""
    return ThreadpoolController()
