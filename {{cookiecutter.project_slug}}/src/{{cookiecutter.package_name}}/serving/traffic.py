"""Who answers: the champion, a canary for some of the requests, a shadow that nobody hears, or nobody at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from ..model.id import VersionId
from ..model.record import steered

KEYS = 2**64
"""Values of the hash: a share is exact to far below one request in a billion."""


@dataclass(frozen=True)
class Traffic:
    """What the registry says of a model's traffic. ``share`` is in percent; ``stopped`` is why nobody answers."""

    canary: VersionId | None = None
    share: float = 0.0
    shadow: VersionId | None = None
    stopped: str | None = None

    @classmethod
    def read(cls, model: str, tags: Mapping[str, str]) -> Traffic:
        """From all tags of a registered model."""
        now = steered(tags)
        stopped = now.stopped["why"] if now.stopped else None
        if not now.trial:
            return cls(stopped=stopped)
        last = now.trial[-1]
        version = VersionId(model, last["version"])
        if last["verb"] == "shadow":
            return cls(shadow=version, stopped=stopped)
        return cls(canary=version, share=last["share"], stopped=stopped)

    def takes_canary(self, key: str) -> bool:
        """Whether the canary answers requests with this key.

        Equal keys go the same way, in every replica and after every restart. A share that grows only adds keys, and
        each canary meets other keys than the one before it: its ID salts the hash.
        """
        if self.canary is None:
            return False
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=str(self.canary).encode()).digest()
        return int.from_bytes(digest) * 100 < self.share * KEYS
