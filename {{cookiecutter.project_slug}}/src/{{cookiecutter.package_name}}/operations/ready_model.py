"""Lines of the readiness list on the champion: where it comes from, what it is asked with, and the way back."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from ..programs import UV, last_lines, program
from .subject import NO, NOT_YET, YES, Seen, Subject


def reproducible(subject: Subject) -> Seen:
    """Dataset, partitions and commit of the champion are where its record says."""
    if missing := subject.no_champion():
        return missing
    from ..data.archive import recover
    from ..training import provenance

    facts, paths = subject.facts, subject.paths
    commit = str(facts["git_commit"])
    if commit == "none":
        return NO, f"{subject.champion} was trained outside git: nothing says with which code"
    if facts["git_dirty"]:
        return NO, f"{subject.champion} was trained with changes that were never committed, on top of {commit[:10]}"
    provenance.resolve(paths, commit)
    with tempfile.TemporaryDirectory(prefix="ml-ready-") as scratch:
        found = recover(facts, paths, Path(scratch) / "dataset.parquet")
    return YES, f"dataset in {found}; {_partitions(subject)}; commit {commit[:10]} is in git, and was clean"


def _partitions(subject: Subject) -> str:
    """How many partitions are still those that the dataset was frozen from. One that was delivered again is none."""
    from ..data.store import DATASETS, Store

    store = Store(subject.paths)
    content = store.storage.read(f"{DATASETS}/{subject.facts['dataset_sha256'][:16]}.json")
    origin = json.loads(content) if content else {}
    partitions = origin.get("partitions", [])
    if not partitions:
        return "what it was frozen from is not beside it"
    same = 0
    for item in partitions:
        manifest = store.manifest(item["table"], date.fromisoformat(item["partition"]))
        same += manifest is not None and manifest.sha256 == item["sha256"]
    return f"{same} of its {len(partitions)} partitions are in force unchanged"


def documented(subject: Subject) -> Seen:
    if missing := subject.no_champion():
        return missing
    from ..training import card

    lacks = card.missing(card.render(card.of_version(subject.registry, subject.served)))
    if lacks:
        return NO, f"{len(lacks)} lacking: {'; '.join(lacks[:3])}"
    return YES, f"the card of {subject.champion} lacks nothing"


def interface(subject: Subject) -> Seen:
    """The champion's columns are those of contract.py, or else its version is another."""
    if missing := subject.no_champion():
        return missing
    from ..contract import CONTRACT
    from ..data.describe import request_columns

    served = _contract(subject)
    if served.version != CONTRACT.version:
        return YES, f"{subject.champion} speaks version {served.version}, contract.py is version {CONTRACT.version}"
    theirs, ours = _promises(served.columns), _promises(request_columns(CONTRACT))
    moved = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
    if moved:
        return (
            NO,
            f"contract.py still calls itself version {CONTRACT.version}, but has other columns: {', '.join(moved)}",
        )
    if served.target.name not in CONTRACT.targets:
        return NO, f"contract.py still calls itself version {CONTRACT.version}, but has no target {served.target.name}"
    return YES, f"{subject.champion} and contract.py: version {served.version}, the same {len(ours)} columns"


def _contract(subject: Subject) -> Any:
    from ..model import artefact
    from ..spec import ModelContract

    place = subject.registry.fetch(subject.served)
    return ModelContract.model_validate_json((place / artefact.FOLDER / artefact.CONTRACT).read_bytes())


def _promises(columns: list[Any]) -> dict[str, Any]:
    """What a request is held to; meaning and example may be put better."""
    return {column.name: column.model_dump(exclude={"meaning", "example"}) for column in columns}


def environment(subject: Subject) -> Seen:
    """What is installed is what uv.lock says, and with it the champion predicts what it did."""
    root = subject.paths.root
    # the environment that runs, wherever it is; more than the lock has is no harm, and this project is only linked
    command = [UV, "sync", "--check", "--locked", "--inexact", "--no-install-project", "--quiet"]
    done = program(command, root, UV_PROJECT_ENVIRONMENT=sys.prefix)
    if done.returncode:
        why = last_lines(done, 1).strip() or "what is installed is not what uv.lock says"
        return NO, f"uv sync --check --locked: {why}"
    if subject.champion is None:
        return YES, "what is installed is what uv.lock says"
    from ..training import provenance

    if provenance.lock_sha256(subject.paths) == subject.facts["lock_sha256"]:
        return YES, f"what is installed is what uv.lock says, and {subject.champion} was trained with it"
    return (
        YES,
        f"installed as uv.lock says; under it the proof of {subject.champion} holds: {subject.proof(subject.served)}",
    )


def way_back(subject: Subject) -> Seen:
    if missing := subject.no_champion():
        return missing
    from ..training.champion import before, history

    moves = history(subject.registry, subject.operations.model)
    try:
        target = before(moves, subject.champion)
    except ProjectError as error:
        return NOT_YET, error.message
    return YES, f"{target} served before {subject.champion}; it was fetched and {subject.proof(target)}"
