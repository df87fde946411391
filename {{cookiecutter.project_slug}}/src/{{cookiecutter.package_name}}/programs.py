"""Running git, uv, and what uv installed: in the folder that is named, whatever this process was told."""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, run

from .errors import Exit, ProjectError

UV = os.environ.get("UV", "uv")
"""Set by `uv run`: it need not be on the path."""
ELSEWHERE = {"VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
"""Would make uv, Python or git look at another folder than the one they are started in: a git hook sets some."""


def program(
    command: Sequence[str], folder: Path, *, without: Collection[str] = (), **settings: str
) -> CompletedProcess[str]:
    """Run ``command`` in ``folder`` to its end, whatever its exit code; 127, as of a shell, when it cannot be started.

    ``settings`` join the environment, and the variables ``without`` stay out of it.
    """
    kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE and name not in without}
    try:
        return run(
            command,
            cwd=folder,
            env=kept | settings,
            stdin=DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        return CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")


def user() -> str:
    """The user's name; a container may run as a number that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def git(folder: Path, *words: str) -> CompletedProcess[str]:
    return program(["git", *words], folder)


def must_have_git() -> None:
    if shutil.which("git") is None:
        raise ProjectError("git is not installed here", hint="install git and retry", exit=Exit.UNAVAILABLE)


def last_lines(done: CompletedProcess[str], count: int = 12) -> str:
    """The end of what a program said, indented."""
    said = (done.stdout.rstrip() + "\n" + done.stderr.rstrip()).strip().splitlines()
    return "\n".join(f"  {line}" for line in said[-count:])
