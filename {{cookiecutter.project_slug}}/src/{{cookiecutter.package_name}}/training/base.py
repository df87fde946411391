"""Another commit, rebuilt: its code, its lock, its config, trained on the same days in a worktree of its own."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from ..config import load_operations
from ..errors import Exit, ProjectError
from ..model import artefact
from ..paths import Paths
from ..programs import UV, git, last_lines, program
from . import provenance
from .checks import Contender
from .fit import Report

OURS = ("UV_PROJECT_ENVIRONMENT", "MLFLOW_TRACKING_URI")
"""The other checkout has an environment of its own, and nothing to register."""


@contextmanager
def rebuilt(
    revision: str, config_path: Path, paths: Paths, *, as_of: date, report: Report
) -> Generator[Contender | None]:
    """What ``revision`` trains from its version of ``config_path``; None when it has no such file.

    Raises ProjectError: exit 2 when there is no such commit, exit 4 when it cannot be installed or trained.
    """
    commit = provenance.resolve(paths, revision)
    inside = config_path.resolve().relative_to(paths.root)
    with checkout(commit, paths) as root:
        if not (root / inside).is_file():
            yield None
            return
        name = f"base {commit[:10]}"
        report(f"install what the lock of {name} says")
        run(root, [UV, "sync", "--locked", "--quiet"], f"{name} cannot be installed")
        share_source(paths, root)
        day = ["--config", inside.as_posix(), "--date", as_of.isoformat()]
        report(f"ingest with the code of {name}")
        run(root, [str(ml_of(root)), "ingest", *day], f"{name} cannot ingest")
        report(f"train {name}")
        folder = root / "var" / "base"
        run(root, [str(ml_of(root)), "train", *day, "--output", str(folder)], f"{name} cannot be trained")
        yield Contender(name, folder, artefact.read(folder), str(python_of(root)))


@contextmanager
def checkout(commit: str, paths: Paths) -> Generator[Path]:
    """A worktree of ``commit`` in a temporary folder, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="ml-base-") as scratch:
        root = Path(scratch).resolve() / "base"
        done = git(paths.root, "worktree", "add", "--quiet", "--detach", str(root), commit)
        if done.returncode:
            raise ProjectError(f"git cannot check out {commit[:10]}: {done.stderr.strip()}", exit=Exit.UNAVAILABLE)
        try:
            yield root
        finally:
            # this one only: pruning would also drop somebody's worktree on a disk that is not mounted now
            git(paths.root, "worktree", "remove", "--force", str(root))


def share_source(paths: Paths, root: Path) -> None:
    """Let the other checkout read the deliveries of this one; the sample makes its own."""
    delivered = paths.root / load_operations(paths.operations).source.path
    there = root / load_operations(root / "operations.yaml").source.path
    if not delivered.is_dir() or there.exists():
        return
    there.parent.mkdir(parents=True, exist_ok=True)
    try:
        there.symlink_to(delivered, target_is_directory=True)
    except OSError:  # Windows without the right to make links
        shutil.copytree(delivered, there)


def python_of(root: Path) -> Path:
    """The interpreter of the environment that ``uv sync`` made in ``root``."""
    return root / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def ml_of(root: Path) -> Path:
    """`ml` of that environment. `uv run ml` would fall back to the one on the path: today's code."""
    return python_of(root).with_name("ml.exe" if sys.platform == "win32" else "ml")


def run(root: Path, command: list[str], failed: str, exit: Exit = Exit.UNAVAILABLE) -> None:
    """Run a command in another checkout. Raises ProjectError (``exit``) with its last words."""
    done = program(command, root, without=OURS)
    if done.returncode:
        shown = " ".join(command)
        raise ProjectError(f"{failed}: `{shown}` left with {done.returncode}:\n{last_lines(done, 6)}", exit=exit)
