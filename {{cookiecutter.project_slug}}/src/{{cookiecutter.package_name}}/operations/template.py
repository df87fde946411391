"""A newer release of the template, brought into a project that has a life of its own.

cruft renders the old and the new release and merges what lies between them into the files; the user's own, which
pyproject.toml lists under ``[tool.cruft]``, stay out of it. Around it stands what cruft leaves open: it ends well with
conflicts in the files, it cannot tell a release that it could not apply, and it merges no lock.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from ..errors import Exit, ProjectError
from ..programs import UV, last_lines
from .link import LINK, YOURS, address_of, commit_of, is_yours, kept_files, read, write
from .releases import Template, run
from .tree import BACK, ON, changes, must_be_clean, must_be_whole

CRUFT = ["--from", "cruft==2.16.0", "--with", "cookiecutter==2.7.1", "cruft"]
"""What the template's tests update with. Not in the project's lock: it is needed a few times a year."""
LOCK = "uv.lock"
Step = Callable[[str], AbstractContextManager[None]]


@dataclass
class Update:
    """What was done. ``left_alone``: files of the user's own that the template changed meanwhile."""

    old: str
    new: str
    changed: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)
    lock: str = ""


def update(root: Path, step: Step, *, to: str | None = None, address: str | None = None) -> Update:
    """Bring release ``to`` (default: the newest) into the project at ``root``. Commits nothing.

    Raises ProjectError, which says what state the files are in: exit 2 before anything is touched, exit 1 for
    conflicts, a lock that cannot be made or tests that fail, exit 4 for a template or packages that cannot be had.
    """
    must_be_clean(root)
    state, made = read(root)
    address = address_of(address or state.get("template"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        with step(f"fetch {address}"):
            template = Template.fetch(address, Path(scratch) / "template.git")
        old = commit_of(template, state, made["version"])
        name, new = template.wanted(to)
        result = Update(f"v{made['version']}", name)
        if old == new:
            return result
        package = made["cookiecutter"]["package_name"]
        kept = kept_files(root, linked="commit" in state)
        result.left_alone = [path for path in template.changed(old, new, package) if is_yours(path, kept)]
        result.to_do = template.to_do(old, new)
        cruft = _cruft(root, step)
        with step(f"bring {result.old} to {name}"):
            context = {**made["cookiecutter"], "_template": address, "_commit": old}
            state = {
                "template": address,
                "commit": old,
                "context": {"cookiecutter": context},
                "directory": None,
            } | state
            said = _apply(
                root, [*cruft, "update", "-y", "--allow-untracked-files", "--checkout", name], template, state, kept
            )
        must_be_whole(root, said)
        with step("lock"):
            result.lock = _lock(root, template, old, new, made["cookiecutter"]["project_slug"])
    with step("install"):
        # The `ml` that runs cannot be replaced on Windows; it is a link to the files, which are new already.
        own = Path(sys.prefix).resolve() == (root / ".venv").resolve()
        done = run([UV, "sync", "--locked", *(["--inexact", "--no-install-project"] if own else [])], root)
        _must_have_worked(done, "the release is in the files and locked, but does not install")
    with step("test"):
        done = run([UV, "run", "--no-sync", "pytest", "-q", "-n", "auto"], root)
        said = "the release is in the files, locked and installed; nothing is in conflict, but tests fail"
        if result.left_alone:
            said += f"; the release changed files of yours, which were left alone: {', '.join(result.left_alone)}"
        _must_have_worked(done, said)
    result.changed = changes(root)
    return result


def _cruft(root: Path, step: Step) -> list[str]:
    """The command that is cruft: ``ML_CRUFT`` if that is set, or else the pinned release, which uv brings."""
    if own := os.environ.get("ML_CRUFT"):
        return [own]
    command = [UV, "tool", "run", *CRUFT]
    with step(f"bring {CRUFT[1].replace('==', ' ')}"):
        done = run([*command, "--help"], root)
    if done.returncode:
        raise ProjectError(
            f"{CRUFT[1]}, which merges, cannot be had:\n{last_lines(done, 4)}",
            hint="nothing was changed; retry with a network, or name a cruft that is installed in ML_CRUFT",
            exit=Exit.UNAVAILABLE,
        )
    return command


def _apply(root: Path, command: list[str], template: Template, state: dict[str, Any], kept: list[str] | None) -> str:
    """Let cruft merge, and return what it said. It reads the clone at hand; the project remembers the address."""
    link = root / LINK
    linked = link.exists()
    if not linked:
        write(link, state | ({"skip": YOURS} if kept is None else {}))
    done = run([*command, "--template-path", str(template.clone)], root)
    if done.returncode:
        if not linked:
            link.unlink()
        after = f"the files are half-way; {BACK}" if changes(root) else "nothing was changed"
        raise ProjectError(f"cruft failed:\n{last_lines(_without_traceback(done))}", hint=after, exit=Exit.SAID_NO)
    state, _ = read(root)
    state["template"] = state["context"]["cookiecutter"]["_template"] = template.address
    if kept is None:
        del state["skip"]  # pyproject.toml has the list from now on
    write(link, state)
    return done.stderr


def _without_traceback(done: CompletedProcess[str]) -> CompletedProcess[str]:
    """What cruft and the template's hook said, and the traceback's last line for the rest of it."""
    said, _, traceback = done.stderr.partition("Traceback (most recent call last):\n")
    return CompletedProcess(done.args, done.returncode, done.stdout, said + "".join(traceback.splitlines(True)[-1:]))


def _lock(root: Path, template: Template, old: str, new: str, slug: str) -> str:
    """Lock anew: from the release's lock if the project's is the old release's to the byte, or else from its own."""
    path = root / LOCK
    followed = path.exists() and path.read_text(encoding="utf-8") == template.lock(old, slug)
    if followed:
        path.write_text(template.lock(new, slug), encoding="utf-8", newline="\n")
    _must_have_worked(
        run([UV, "lock"], root), "the release is in the files, but cannot be locked with your dependencies"
    )
    return "the release's" if followed else "yours, locked anew"


def _must_have_worked(done: CompletedProcess[str], otherwise: str) -> None:
    if done.returncode:
        away = re.search(r"(?i)failed to (fetch|download)|network|timed out", done.stderr)
        raise ProjectError(
            f"{otherwise}:\n{last_lines(done)}",
            hint=f"to go on: mend it, then {ON}; {BACK}",
            exit=Exit.UNAVAILABLE if away else Exit.SAID_NO,
        )
