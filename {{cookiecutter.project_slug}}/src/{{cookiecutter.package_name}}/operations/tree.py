"""The project's files, as git sees them: clean before an update, and whole after it."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import Exit, ProjectError
from ..programs import must_have_git
from .releases import git

BACK = "to go back: `git reset --hard` and `git clean -fd`, for the tree was clean before"
ON = "`uv lock`, `uv sync`, `uv run pytest`, and commit"
MARKS = re.compile(r"(?ms)^<{7} .*^>{7} ")
LOST = re.compile(r"error: (?!patch failed|while searching|repository lacks|.*: patch does not apply)")
"""git and cruft say this in passing, and end well. What is not listed is followed by marks or a .rej."""


def changes(root: Path) -> list[str]:
    """Paths that differ from the last commit, with those that git does not know."""
    said = git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames").stdout
    return sorted(entry[3:] for entry in said.split("\0") if entry)


def must_be_clean(root: Path) -> None:
    """An update merges with the last commit, and that is what one goes back to. ProjectError, exit 2."""
    must_have_git()
    top = git(root, "rev-parse", "--show-toplevel").stdout.strip()
    started = not git(root, "rev-parse", "--verify", "--quiet", "HEAD").returncode
    if not started or Path(top).resolve() != root.resolve():
        raise ProjectError(
            f"{root} is no git repository with a commit; an update merges with one, and one can go back to it",
            hint='git init -b main && git add . && git commit -m "Start"',
        )
    if found := changes(root):
        raise ProjectError(
            f"an update needs a clean tree; not committed: {', '.join(found[:5])}{' …' if found[5:] else ''}",
            hint="nothing was changed; commit, or put it aside with `git stash --include-untracked`",
        )


def conflicts(root: Path) -> list[str]:
    """Files with a conflict left in them, and pieces of a release that found no place."""
    changed = [path for path in changes(root) if (root / path).is_file()]
    marked = [path for path in changed if MARKS.search((root / path).read_text(encoding="utf-8", errors="replace"))]
    rejected = git(root, "ls-files", "--others", "-z", "--", "*.rej", ":(exclude).venv").stdout.split("\0")
    return sorted({*marked, *filter(None, rejected)})


def must_be_whole(root: Path, said: str) -> None:
    """ProjectError, exit 1, which names every file that is left to settle. ``said``: what git said while it merged."""
    same, lost = conflicts(root), sorted({line for line in said.splitlines() if LOST.match(line)})
    if not same and not lost:
        return
    problems = ["you and the template changed the same lines:", *same] if same else []
    problems += ["the release brought this, which could not be put in place:", *lost] if lost else []
    listed = "\n".join(line if line.endswith(":") else f"  {line.removeprefix('error: ')}" for line in problems)
    raise ProjectError(
        listed,
        hint="everything else is in place; to go on: settle these (<<<<<<< in a file, pieces in a .rej), "
        f"then {ON}; {BACK}",
        exit=Exit.SAID_NO,
    )
