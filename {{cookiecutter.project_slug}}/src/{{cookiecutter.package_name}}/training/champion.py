"""Which version serves, since when, by whom and why. Every move is recorded in the registry beside the alias."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from filelock import FileLock

from ..errors import Exit, ProjectError
from ..model.id import VersionId
from ..model.record import CHAMPION, EVENT, read_moves
from .registry import GATE, Registry


@dataclass(frozen=True)
class Move:
    """One move of the champion. ``verb`` is ``promote`` or ``rollback``; ``previous`` is None for the first.

    ``gate`` is what the gate had said, ``forced`` in front of it where that was no pass; empty for a rollback.
    """

    at: datetime
    verb: str
    version: VersionId
    previous: VersionId | None
    who: str
    why: str
    gate: str = ""


Verify = Callable[[VersionId], str]
"""Replays a version's proof as a server would. Returns what it found; raises ProjectError when the proof fails."""


def history(registry: Registry, model: str) -> list[Move]:
    """Every move of a model's champion, oldest first."""
    return [_move(model, said) for said in _events(registry, model)]


def promote(
    registry: Registry, version: VersionId, verify: Verify, *, now: datetime, why: str, force: bool = False
) -> tuple[Move | None, str]:
    """Make ``version`` the champion once the gate has passed it and its proof holds.

    ``force`` overrules the gate, not the proof, and takes a reason. Returns the move, None if it was champion already,
    and what the proof found. Raises ProjectError (exit 1) when the gate did not pass it against today's champion.
    """
    registry.facts(version)

    def gate() -> str:
        return _passed(registry, version, why if force else None)

    gate()  # before the proof, which takes seconds
    proof = verify(version)
    return _point(registry, "promote", version, now, why, gate), proof


def _passed(registry: Registry, version: VersionId, overruled: str | None) -> str:
    """What the gate said, for the history. ``overruled`` is the reason given with ``force``."""
    champion = registry.champion(version.model)
    if champion == version:
        return ""
    if overruled is not None and not overruled.strip():
        raise ProjectError("--force overrules the gate, and the history keeps why", hint='--force --reason "…"')
    kept = registry.recall(version, GATE)
    said = kept or {"verdict": "NOT RUN", "champion": None}
    met, now = said["champion"], str(champion) if champion else None
    verdict = said["verdict"]
    if verdict in ("PASS", "FIRST") and met == now:
        return verdict
    if overruled is not None:
        return f"forced past {verdict}"
    if kept is None:
        reason = f"the gate has not looked at {version}"
    elif verdict in ("PASS", "FIRST"):
        reason = f"the gate compared {version} with {met or 'no champion'}, and the champion is now {now or 'gone'}"
    else:
        failed = [check["title"] for check in said.get("checks", []) if check["outcome"] in ("failed", "inconclusive")]
        reason = f"the gate said {verdict} to {version}" + (f": {', '.join(failed)}" if failed else "")
    again = "" if verdict in ("FAIL", "INCONCLUSIVE") and met == now else f"ml gate {version}, or "
    raise ProjectError(
        reason, hint=f'{again}overrule it on the record: ml promote {version} --force --reason "…"', exit=Exit.SAID_NO
    )


def rollback(
    registry: Registry, model: str, to: VersionId | None, verify: Verify, *, now: datetime, why: str
) -> tuple[Move | None, str]:
    """Return to the version that served before, or to ``to``, once the proof of that one holds."""
    target = to or before(history(registry, model), registry.champion(model))
    registry.facts(target)
    proof = verify(target)
    return _point(registry, "rollback", target, now, why), proof


def before(moves: list[Move], champion: VersionId | None) -> VersionId:
    """The version that a rollback returns to: the one below the champion when promotions stack and rollbacks unstack.

    So 1, 2, 3, rollback gives 2, and a second rollback gives 1 and not the faulty 3.
    """
    stack: list[VersionId] = []
    for move in moves:
        if move.verb == "rollback" and move.version in stack:
            del stack[stack.index(move.version) + 1 :]
        elif not stack or stack[-1] != move.version:
            stack.append(move.version)
    if champion is None or len(stack) < 2:
        raise ProjectError(
            "nothing to roll back to: "
            + ("no version was ever promoted" if champion is None else f"nothing served before {champion}"),
            hint="ml versions, then ml rollback --to VERSION",
            exit=Exit.SAID_NO,
        )
    return stack[-2]


@contextmanager
def alone(registry: Registry) -> Generator[None]:
    """Nobody else on this machine moves the champion, its canary or the switch."""
    registry.paths.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(registry.paths.locks / "champion.lock"):
        yield


def who() -> str:
    """The user's name; a container may run as a number that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _events(registry: Registry, model: str) -> list[dict[str, Any]]:
    return read_moves(registry.tags(model))


def _move(model: str, said: dict[str, Any]) -> Move:
    return Move(
        at=datetime.fromisoformat(said["at"]),
        verb=said["verb"],
        version=VersionId(model, said["version"]),
        previous=None if said["previous"] is None else VersionId(model, said["previous"]),
        who=said["who"],
        why=said["why"],
        gate=said.get("gate", ""),
    )


def _point(
    registry: Registry, verb: str, version: VersionId, now: datetime, why: str, gate: Callable[[], str] = str
) -> Move | None:
    """Record the move, then move the alias. ``gate`` is asked once nobody else can move it: two may promote at once.

    In this order a crash between the two leaves a record that the next call completes; the other way round it would
    leave a champion that nobody promoted.
    """
    name = registry.operations.registered(version.model)
    with alone(registry):
        current = registry.champion(version.model)
        if current == version:
            return None
        said = gate()
        events = _events(registry, version.model)
        last = events[-1] if events else {}
        if (last.get("verb"), last.get("version")) != (verb, version.number):
            last = {
                "at": now.isoformat(timespec="seconds"),
                "verb": verb,
                "version": version.number,
                "previous": current.number if current else None,
                "who": who(),
                "why": why,
                "gate": said,
            }
            registry.client.set_registered_model_tag(name, f"{EVENT}{len(events) + 1:06d}", json.dumps(last))
        registry.client.set_registered_model_alias(name, CHAMPION, str(version.number))
    return _move(version.model, last)
