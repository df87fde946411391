"""Verbs on versions: promote, rollback, versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import console
from ..errors import Exit, ProjectError
from .root import EVERY_DAY, Json, Model, Why, app


@app.command(rich_help_panel=EVERY_DAY)
def promote(
    version: str,
    why: Why = "",
    force: Annotated[
        bool, typer.Option("--force", help="Overrule the gate; takes a --reason, which the history keeps.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a version the champion, once the gate passed it and its proof holds in a process of its own.

    Example: ml promote 3 --reason "fresher data"
    """
    wanted = named(version)
    from ..clock import now
    from ..training.champion import promote as promote_now

    registry, verify = open_registry()
    with console.working(f"replay the proof of {wanted}"):
        move, proof = promote_now(registry, wanted, verify, now=now(), why=why, force=force)
    moved(move, proof, str(wanted), json)


@app.command(rich_help_panel=EVERY_DAY)
def rollback(
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="That version instead of the one before.")
    ] = None,
    model: Model = None,
    why: Why = "",
    json: Json = False,
) -> None:
    """Return to the version that served before, once its proof holds.

    Example: ml rollback --reason "wrong for the harbour depot"
    """
    target = named(to, model) if to else None
    from ..clock import now
    from ..training.champion import rollback as rollback_now

    registry, verify = open_registry()
    name = target.model if target else model or registry.operations.model
    with console.working(f"replay the proof of {target or 'the version before'}"):
        move, proof = rollback_now(registry, name, target, verify, now=now(), why=why)
    moved(move, proof, str(target), json)


@app.command(rich_help_panel=EVERY_DAY)
def versions(model: Model = None, json: Json = False) -> None:
    """List versions, what served from when to when, and what was tried beside it."""
    from ..spec import PRIMARY
    from ..training import traffic
    from ..training.champion import history

    registry, _ = open_registry()
    name = model or registry.operations.model
    listed = registry.versions(name)
    moves = history(registry, name) if listed else []
    turns = traffic.history(registry, name) if listed else []
    until = [*(move.at for move in moves[1:]), None][: len(moves)]
    if json:
        console.machine(
            {
                "versions": [{"version": str(item.id), "champion": item.champion, **item.facts} for item in listed],
                "history": [
                    {
                        "version": str(move.version),
                        "from": move.at.isoformat(),
                        "to": end and end.isoformat(),
                        "verb": move.verb,
                        "who": move.who,
                        "why": move.why,
                        "gate": move.gate,
                    }
                    for move, end in zip(moves, until, strict=True)
                ],
                "traffic": [
                    {
                        "at": turn.at.isoformat(),
                        "verb": turn.verb,
                        "version": turn.version and str(turn.version),
                        "share": turn.share,
                        "who": turn.who,
                        "why": turn.why,
                    }
                    for turn in turns
                ],
            }
        )
        return
    if not listed:
        raise ProjectError(f"no version of {name} yet", hint="ml train --config configs/v1.yaml", exit=Exit.SAID_NO)
    rows = []
    for item in listed:
        metrics = item.facts.get("metrics", {})
        primary = next((name for name in PRIMARY.values() if name in metrics), "")
        window = item.facts.get("window", {})
        commit = item.facts.get("git_commit", "")[:10] + ("+" if item.facts.get("git_dirty") else "")
        rows.append(
            [
                str(item.id),
                "champion" if item.champion else "",
                f"{primary} {metrics[primary]:.4g}" if primary else "",
                f"{metrics['skill']:.1%}" if "skill" in metrics else "",
                window.get("as_of", ""),
                item.facts.get("contract_version", ""),
                commit,
            ]
        )
    console.table(["version", "", "metric", "skill", "labels until", "contract", "commit"], rows, right=["skill"])
    if moves:
        console.say()
        served = [
            [
                str(move.version),
                f"{move.at:%Y-%m-%d %H:%M}",
                f"{end:%Y-%m-%d %H:%M}" if end else "now",
                f"{move.verb} ({move.gate})" if move.gate else move.verb,
                move.who,
                move.why,
            ]
            for move, end in zip(moves, until, strict=True)
        ]
        console.table(["served", "from (UTC)", "to", "by", "who", "why"], served)
    if turns:
        console.say()
        steered = [
            [f"{turn.at:%Y-%m-%d %H:%M}", str(turn), str(turn.version or ""), turn.who, turn.why] for turn in turns
        ]
        console.table(["at (UTC)", "traffic", "version", "who", "why"], steered)


def named(version: str, model: str | None = None) -> Any:
    """The version that was typed: read before MLflow is imported, so that a slip is answered at once."""
    from ..config import load_operations
    from ..model.id import parse
    from ..paths import find

    return parse(version, model or load_operations(find().operations).model)


def meant(text: str) -> Any:
    """A folder (Path) that holds a trained version, or the ID of a registered one."""
    from ..model.artefact import FACTS

    folder = Path(text)
    return folder if (folder / FACTS).is_file() else named(text)


def open_registry() -> Any:
    from ..model.id import VersionId
    from ..paths import find
    from ..serving import worker
    from ..training.registry import Registry

    paths = find()
    registry = Registry(paths)

    def verify(version: VersionId) -> str:
        registry.fetch(version)
        return worker.verify(version, paths)

    return registry, verify


def moved(move: Any, proof: str, version: str, json: bool) -> None:
    if json:
        console.machine({"moved": move is not None, "version": str(move.version) if move else version, "proof": proof})
        return
    if move is None:
        console.say(f"{version} is the champion already; its proof holds: {proof}")
        return
    console.say(f"champion {move.version}" + (f", before {move.previous}" if move.previous else ""), "bold green")
    console.facts([("proof", proof)])
    console.following("ml serve", "ml versions")
