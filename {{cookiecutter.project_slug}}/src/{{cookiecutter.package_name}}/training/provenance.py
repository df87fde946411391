"""Where a version comes from: commit, lock, interpreter, machine."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..errors import ProjectError
from ..paths import Paths
from ..programs import git

SERVED_WITH = ["numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl"]
"""What unpickling and predicting needs; MLflow's own inference of this costs 8 seconds a model and finds pytest too."""

WRITTEN_BY_DVC = ("dvc.lock", "evaluation")
"""`dvc repro` writes these while it trains, and neither shapes a version: they make no tree dirty."""


def _git(paths: Paths, *arguments: str) -> str | None:
    done = git(paths.root, *arguments)
    return done.stdout.strip() if done.returncode == 0 else None


def commit(paths: Paths) -> tuple[str, bool]:
    """The commit and whether the tree differs from it; ``("none", False)`` without a repository of the project's own.

    Inside somebody else's checkout git finds the outer repository, whose commit says nothing about this project.
    """
    top = _git(paths, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != paths.root.resolve():
        return "none", False
    head = _git(paths, "rev-parse", "HEAD")
    others = [f":(exclude){name}" for name in WRITTEN_BY_DVC]
    # what git cannot tell is not clean
    return head or "none", _git(paths, "status", "--porcelain", "--", ".", *others) != ""


def resolve(paths: Paths, revision: str) -> str:
    """The full hash of a commit of this project's own repository. Raises ProjectError when there is none."""
    own = commit(paths)[0]
    found = None if own == "none" else _git(paths, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not found:
        raise ProjectError(
            f"no commit {revision} here" + ("" if own != "none" else ": the project is no git repository of its own"),
            hint="git fetch, or git init and commit; in CI, check out with fetch-depth: 0",
        )
    return found


def shallow(paths: Paths) -> bool:
    """Whether this repository was cloned without its whole history."""
    return _git(paths, "rev-parse", "--is-shallow-repository") == "true"


def cpu() -> str:
    """The kind of CPU, as far as the platform says."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def requirements() -> list[str]:
    """Exact pins of what a version needs to be served, as installed from the lock."""
    pins = []
    for name in [*SERVED_WITH, "mlflow"]:
        try:
            pins.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return pins


def lock_sha256(paths: Paths) -> str:
    """sha256 of uv.lock, ``none`` without one."""
    lock = paths.lock_file
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "none"


def facts(paths: Paths) -> dict[str, str | bool]:
    """Everything about this checkout and machine that a version records."""
    head, dirty = commit(paths)
    return {
        "git_commit": head,
        "git_dirty": dirty,
        "lock_sha256": lock_sha256(paths),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "platform": platform.platform(),
        "cpu": cpu(),
    }
