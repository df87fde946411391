"""Newer releases of the actions that workflows pin, found with git alone.

A release is a tag with three numbers (`v4` moves, and is none), peeled to the commit it stands for. Its age
counts from the later of two dates, the commit's and the tagger's. That is all that git tells: a tag of today
on an old commit, without a tagger, looks as old as the commit. So pins move in a pull request that is read.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from surroundings import surroundings

RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
PIN = re.compile(r"([0-9a-f]{40}) # (v[\w.]+)")
PATIENCE = 120  # seconds for one question to a remote

Pins = dict[str, str]
"""From an action's name to its pin and version comment: `actions/checkout` to `<sha> # v7.0.1`."""


class UnreachableError(Exception):
    """A remote did not answer; the text is what git said."""


@dataclass(frozen=True, order=True)
class Release:
    version: tuple[int, ...]
    tag: str
    commit: str


def on_github(action: str) -> str:
    """`owner/repository/folder` lies in https://github.com/owner/repository."""
    return "https://github.com/" + "/".join(action.split("/")[:2])


def git(*words: str, cwd: Path | None = None) -> str:
    env = surroundings() | {"GIT_TERMINAL_PROMPT": "0", "LANGUAGE": "en"}
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=cwd,
            env=env,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"no answer within {PATIENCE} s") from None
    if done.returncode:
        raise UnreachableError((done.stderr.strip() or "git said nothing").splitlines()[0])
    return done.stdout


def releases(remote: str) -> list[Release]:
    """What a remote has released, newest first."""
    commits = {}
    for line in git("ls-remote", "--tags", remote).splitlines():
        commit, _, name = line.partition("\trefs/tags/")
        # An annotated tag is an object of its own; the line with ^{} follows it and has the commit.
        commits[name.removesuffix("^{}")] = commit
    found = ((RELEASE.fullmatch(tag), tag, commit) for tag, commit in commits.items())
    numbered = (Release(tuple(map(int, m.groups())), tag, commit) for m, tag, commit in found if m)
    return sorted(numbered, reverse=True)


def released(remote: str, release: Release) -> datetime:
    """When a release was made: its commit, or its tag, whichever came later."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        here = Path(scratch)
        git("init", "--quiet", "--bare", cwd=here)
        name = f"refs/tags/{release.tag}"
        git(
            "fetch",
            "--quiet",
            "--depth",
            "1",
            "--filter=tree:0",
            "--no-tags",
            remote,
            f"{name}:{name}",
            cwd=here,
        )
        dates = [git("log", "-1", "--format=%ct", release.commit, cwd=here)]
        dates += git("for-each-ref", "--format=%(creatordate:unix)", name, cwd=here).splitlines()
    return max(datetime.fromtimestamp(int(date), UTC) for date in dates)


def refreshed(
    pins: Pins, now: datetime, cooldown: timedelta, where: Callable[[str], str] = on_github
) -> tuple[Pins, list[str]]:
    """The pins, each moved to the newest release that is ``cooldown`` old; and what was not possible.

    Never moves back. A tag that no longer stands for the pinned commit is told, and the pin left alone.
    """
    moved, problems = dict(pins), []
    for action, pin in pins.items():
        remote, match = where(action), PIN.fullmatch(pin)
        if not match:
            problems.append(f"{action}: {pin!r} is no commit with its version")
            continue
        try:
            offered = releases(remote)
            pinned = next((release for release in offered if release.tag == match[2]), None)
            if pinned is None or pinned.commit != match[1]:
                now_is = pinned.commit if pinned else "gone"
                problems.append(f"{action}: {match[2]} is pinned to {match[1]}, and that tag is now {now_is}")
                continue
            newer = (release for release in offered if release > pinned)
            old_enough = (release for release in newer if now - released(remote, release) >= cooldown)
            if best := next(old_enough, None):
                moved[action] = f"{best.commit} # {best.tag}"
        except UnreachableError as error:
            problems.append(f"{action}: {remote} cannot be reached, {match[2]} stays: {error}")
    return moved, problems
