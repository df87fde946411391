"""A version, made again from what is recorded of it: a clean clone of its commit, its lock, its dataset, its config."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.archive import recover
from ..errors import Exit, ProjectError
from ..model import artefact
from ..model.artefact import refused
from ..model.id import VersionId
from ..paths import Paths
from ..programs import UV, must_have_git
from . import provenance
from .base import ml_of, run
from .fit import Report
from .likeness import Likeness, compare
from .registry import Registry


@dataclass(frozen=True)
class Reproduction:
    """Where each part came from, and how like the record the outcome is."""

    version: str
    commit: str
    dataset: str
    """Where the dataset was found."""
    likeness: Likeness


def reproduce(registry: Registry, version: VersionId, *, report: Report = lambda _: None) -> Reproduction:
    """Train ``version`` again and compare. Registry and working tree stay as they are.

    The clone trains with its own code, in an environment of its own. Raises ProjectError: exit 1 when the record does
    not lead back to code and data, or when the commit no longer trains; exit 4 when git, uv, a package, or DVC's remote
    is away.
    """
    facts = registry.facts(version)
    commit = _commit(facts, version, registry.paths)
    # git makes its files read-only, which Windows does not remove
    with tempfile.TemporaryDirectory(prefix="ml-reproduce-", ignore_cleanup_errors=True) as name:
        scratch = Path(name).resolve()
        report("find the dataset")
        dataset = scratch / "dataset.parquet"
        found = recover(facts, registry.paths, dataset)
        report("fetch the version")
        recorded = registry.fetch(version, scratch / "recorded")
        report(f"clone {commit[:10]}")
        root = _clone(commit, registry.paths, scratch)
        _refuse_incomplete(root, facts, version)
        rebuilt = _train(root, dataset, scratch / "rebuilt", facts, report)
        report("compare")
        likeness = compare(facts, recorded, artefact.read(rebuilt), rebuilt)
    return Reproduction(str(version), commit, found, likeness)


def _commit(facts: dict[str, Any], version: VersionId, paths: Paths) -> str:
    """The recorded commit, if it says all there is to know and this repository has it."""
    commit = str(facts["git_commit"])
    if commit == "none":
        raise refused(
            f"{version} was trained in a folder that was no git repository: nothing says with which code",
            hint="git init, commit, and train it again",
        )
    if facts["git_dirty"]:
        raise refused(
            f"{version} was trained with changes that were not committed, on top of {commit[:10]}: they are recorded "
            "nowhere",
            hint="commit, and train it again",
        )
    must_have_git()
    if (paths.root / ".git").exists():
        run(paths.root, ["git", "rev-parse", "--git-dir"], "git does not read this repository")
    try:
        return provenance.resolve(paths, commit)
    except ProjectError as missing:
        short = provenance.shallow(paths)
        raise refused(
            f"{missing.message}: {version} was trained from it" + (", and this is a shallow clone" if short else ""),
            hint="git fetch --unshallow" if short else "git fetch --all, or clone the repository that it was pushed to",
        ) from None


def _clone(commit: str, paths: Paths, scratch: Path) -> Path:
    """A clone, not a worktree: nothing that git ignores, or that was configured here, comes along."""
    root, failed = scratch / "clone", f"{commit[:10]} cannot be cloned"
    run(scratch, ["git", "clone", "--quiet", "--no-checkout", str(paths.root), str(root)], failed)
    run(root, ["git", "checkout", "--quiet", "--detach", commit], failed)
    return root


def _refuse_incomplete(root: Path, facts: dict[str, Any], version: VersionId) -> None:
    config = Path(facts["config_file"])
    if config.is_absolute() or not (root / config).is_file():
        raise refused(
            f"{version} was trained from {config}, which is not in its commit",
            hint="move it to configs/, commit it, and train again",
        )
    if not (root / "uv.lock").is_file():
        raise refused(f"the commit of {version} holds no uv.lock: nothing says with which libraries it was trained")


def _train(root: Path, dataset: Path, folder: Path, facts: dict[str, Any], report: Report) -> Path:
    python, commit = facts["python"], facts["git_commit"][:10]
    there = root / "data" / dataset.name
    there.parent.mkdir(exist_ok=True)
    for path in (dataset, dataset.with_suffix(".json")):
        shutil.move(path, there.with_suffix(path.suffix))
    report(f"install what the lock of {commit} says, for Python {python}")
    run(
        root,
        [UV, "sync", "--locked", "--quiet", "--python", python],
        f"the lock of {commit} cannot be installed for Python {python}",
    )
    report(f"train with the code of {commit}")
    options = ["--config", facts["config_file"], "--dataset", str(there), "--output", str(folder)]
    run(root, [str(ml_of(root)), "train", *options], f"{commit} does not train any more", Exit.SAID_NO)
    return folder
