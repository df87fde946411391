"""Who answers besides the champion: a canary, a shadow, or nobody at all. Recorded as the champion's moves are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import Exit, ProjectError
from ..model import artefact
from ..model.id import VersionId
from ..model.record import TRAFFIC, Steered, read_moves, read_turns, steered
from .champion import Verify, alone, who
from .registry import Registry

ASKED = {"name", "kind", "nullable", "minimum", "maximum", "above", "below", "min_length", "max_length", "pattern", "allowed"}  # fmt: skip # noqa: E501
"""What a contract asks of the fields of a request; the rest of it describes."""


@dataclass(frozen=True)
class Turn:
    """One move of canary or switch, as :func:`read_turns` says. ``share`` is in percent, and only a canary has one."""

    at: datetime
    verb: str
    version: VersionId | None
    share: float | None
    who: str
    why: str

    def __str__(self) -> str:
        share = "" if self.share is None else f" with {self.share:g}%"
        return self.verb + share


def history(registry: Registry, model: str) -> list[Turn]:
    """Every move of a model's canary and switch, oldest first."""
    return [_turn(model, said) for said in read_turns(registry.tags(model))]


def trying(registry: Registry, model: str) -> VersionId:
    """The version that is canary or shadow now. Raises ProjectError (exit 1) when there is none."""
    trial = steered(registry.tags(model)).trial
    if not trial:
        raise ProjectError(f"{model} has neither canary nor shadow", hint="ml canary 4", exit=Exit.SAID_NO)
    return VersionId(model, trial[-1]["version"])


def begin(
    registry: Registry, version: VersionId, verify: Verify, *, share: float | None, now: datetime, why: str
) -> tuple[Turn | None, str]:
    """Let ``version`` answer ``share`` percent of the requests beside the champion, or none and be a shadow.

    Once its proof holds. Returns the turn, None when that is so already, and what the proof found. Raises ProjectError:
    exit 1 for a failed proof, for another version that is being tried, and for one that callers could tell from the
    champion; exit 2 for a version that does not exist, or is the champion.
    """
    registry.facts(version)
    champion = _beside(registry, version)
    proof = verify(version)
    _alike(registry, version, champion)
    verb = "shadow" if share is None else "canary"
    with alone(registry):
        _beside(registry, version)
        last = steered(registry.tags(version.model)).trial[-1:]
        if [(turn["verb"], turn["version"], turn["share"]) for turn in last] == [(verb, version.number, share)]:
            return None, proof
        return _record(registry, version.model, verb, version, share, now, why), proof


def end(registry: Registry, model: str, *, now: datetime, why: str) -> Turn:
    """All requests go to the champion again. Raises ProjectError (exit 1) when they do already."""
    with alone(registry):
        return _record(registry, model, "end", trying(registry, model), None, now, why)


def switch(registry: Registry, model: str, *, on: bool, now: datetime, why: str) -> Turn | None:
    """Let every server of ``model`` answer, or refuse, from its next look at the registry on. None when they do.

    Raises ProjectError for a model that does not exist, and for a stop without a reason: callers read it.
    """
    if not on and not why.strip():
        raise ProjectError("callers are told why nobody answers", hint='ml scoring stop --reason "…"')
    with alone(registry):
        tags = registry.tags(model)
        if (steered(tags).stopped is None) == on:
            return None
        return _record(registry, model, "start" if on else "stop", None, None, now, why)


def state(registry: Registry, model: str) -> Steered:
    return steered(registry.tags(model))


def _beside(registry: Registry, version: VersionId) -> VersionId:
    """The champion that ``version`` would stand beside. Raises ProjectError when it cannot."""
    champion = registry.champion(version.model)
    if champion is None:
        raise ProjectError(
            f"{version.model} has no champion yet: there is nothing to stand beside",
            hint=f"ml promote {version}",
            exit=Exit.SAID_NO,
        )
    if champion == version:
        raise ProjectError(f"{version} is the champion: it answers already", hint="ml versions")
    running = steered(registry.tags(version.model)).trial
    if running and running[-1]["version"] != version.number:
        other = VersionId(version.model, running[-1]["version"])
        raise ProjectError(
            f"{other} is being tried ({running[-1]['verb']}): one at a time, or nothing can be told of either",
            hint="ml canary end",
            exit=Exit.SAID_NO,
        )
    return champion


def _alike(registry: Registry, version: VersionId, champion: VersionId) -> None:
    """Refuse (exit 1) what callers could tell from the champion: they cannot know whom they meet."""
    ours, theirs = (artefact.contract(registry.fetch(which) / artefact.FOLDER) for which in (version, champion))
    if (ours.target.name, ours.target.task, ours.target.unit) != (
        theirs.target.name, theirs.target.task, theirs.target.unit,
    ):  # fmt: skip
        differs = f"it predicts {ours.target.name}, and the champion {theirs.target.name}"
    else:
        asked, wanted = (
            {column.name: column.model_dump(include=ASKED) for column in of.columns} for of in (ours, theirs)
        )
        optional = {column.name for column in ours.columns if column.nullable or column.kind == "key"}
        fields = [name for name, said in wanted.items() if asked.get(name) != said]
        fields += [name for name in asked if name not in wanted and name not in optional]
        if not fields:
            return
        differs = f"its contract asks something else of {', '.join(sorted(fields))}"
    raise ProjectError(
        f"{version} is no canary of {champion}: {differs}, and callers cannot know whom they meet",
        hint=f"tell them, then ml promote {version}; POST /versions/{version.number}/predict asks it until then",
        exit=Exit.SAID_NO,
    )


def _record(
    registry: Registry, model: str, verb: str, version: VersionId | None, share: float | None, now: datetime, why: str
) -> Turn:
    """Write the next turn; call it alone."""
    if not registry.versions(model):
        raise ProjectError(f"no version of {model} yet", hint="ml train --config configs/v1.yaml")
    tags = registry.tags(model)
    said: dict[str, Any] = {
        "at": now.isoformat(timespec="seconds"),
        "verb": verb,
        "version": version.number if version else None,
        "share": share,
        "who": who(),
        "why": why,
        "moves": len(read_moves(tags)),
    }
    key = f"{TRAFFIC}{len(read_turns(tags)) + 1:06d}"
    registry.client.set_registered_model_tag(registry.operations.registered(model), key, json.dumps(said))
    return _turn(model, said)


def _turn(model: str, said: dict[str, Any]) -> Turn:
    return Turn(
        at=datetime.fromisoformat(said["at"]),
        verb=said["verb"],
        version=None if said["version"] is None else VersionId(model, said["version"]),
        share=said["share"],
        who=said["who"],
        why=said["why"],
    )
