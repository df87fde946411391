"""What the registry says of a model: an alias and tags, read by whoever trains over MLflow, and by a server without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .id import VersionId

CHAMPION = "champion"
"""The alias that names what serves."""
EVENT = "champion."
"""How the tags of a registered model begin that hold the moves of its champion: ``champion.000001`` and on."""
FACTS = "facts"
"""Tag of a version with all the server needs to know of it, the sha256 of its files among it: the trust root."""


def read_facts(tag: str, version: VersionId, registered: str) -> dict[str, Any]:
    """The record of a version, with the names it goes by."""
    return json.loads(tag) | {"version": str(version), "registered": registered}


def read_moves(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """The moves of a champion, oldest first, from all tags of its registered model.

    Each has ``at``, ``verb``, ``version`` and ``previous`` (a number, or None), ``who``, ``why`` and ``gate``.
    """
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(EVENT)]
