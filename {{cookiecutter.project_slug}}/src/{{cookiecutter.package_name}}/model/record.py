"""What the registry says of a model: an alias and tags, read by whoever trains over MLflow, and by a server without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .id import VersionId

CHAMPION = "champion"
"""The alias that names what serves."""
EVENT = "champion."
"""How the tags of a registered model begin that hold the moves of its champion: ``champion.000001`` and on."""
TRAFFIC = "traffic."
"""The same for the moves of its canary and of its switch."""
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


def read_turns(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """The moves of canary and switch, oldest first, from all tags of a registered model.

    Each has ``at``, ``verb`` (``canary``, ``shadow``, ``end``, ``stop``, ``start``), ``version`` (a number, or None),
    ``share`` (percent, of a canary), ``who``, ``why``, and ``moves``: how often the champion had moved before it.
    """
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(TRAFFIC)]


@dataclass(frozen=True)
class Steered:
    """What the turns amount to: the turns of the trial that goes on, none without one, and the one that stopped all."""

    trial: tuple[dict[str, Any], ...] = ()
    stopped: dict[str, Any] | None = None


def steered(tags: Mapping[str, str]) -> Steered:
    """Who answers besides the champion, from all tags of a registered model.

    A trial ends with its own ``end``, and when the champion's moves make its version the champion. That needs no turn
    of its own, so a promotion that is killed half-way leaves no canary that meets itself.
    """
    champions = [move["version"] for move in read_moves(tags)]
    trial: list[dict[str, Any]] = []
    stopped = None

    def crowned(until: int | None = None) -> bool:
        return bool(trial) and trial[-1]["version"] in champions[trial[-1]["moves"] : until]

    for turn in read_turns(tags):
        if crowned(turn["moves"]) or turn["verb"] == "end":
            trial = []
        if turn["verb"] in ("canary", "shadow"):
            same = trial and (trial[-1]["version"], trial[-1]["verb"]) == (turn["version"], turn["verb"])
            trial = [*trial, turn] if same else [turn]
        elif turn["verb"] in ("stop", "start"):
            stopped = turn if turn["verb"] == "stop" else None
    return Steered(() if crowned() else tuple(trial), stopped)
