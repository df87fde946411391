"""The template's own repository: which releases it has, and what each of them asks of a project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from ..errors import Exit, ProjectError
from ..programs import last_lines, program

RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
BLANK = re.compile(r"\{\{.*?\}\}")
"""A place in a template that an answer fills: in its folders' names, and once in its lock."""
GIT_SETTINGS = {"apply.whitespace": "nowarn", "core.autocrlf": "false", "merge.conflictStyle": "merge"}
"""A person's own settings must not decide whether a patch fits."""
SETTINGS = {
    "LANGUAGE": "en",  # what git says is read
    "PYTHONUTF8": "1",  # cruft names no encoding
    "_TYPER_STANDARD_TRACEBACK": "1",  # cruft's, without a drawn box around it
    "GIT_CONFIG_COUNT": str(len(GIT_SETTINGS)),
    **{f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(GIT_SETTINGS)},
    **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(GIT_SETTINGS.values())},
}


def run(command: list[str], folder: Path) -> CompletedProcess[str]:
    """Run a program in ``folder`` to its end, in words and with settings that an update can rely on."""
    return program(command, folder, **SETTINGS)


def git(folder: Path, *words: str) -> CompletedProcess[str]:
    return run(["git", *words], folder)


@dataclass(frozen=True)
class Template:
    """A clone of the template at ``address``, with all its branches and tags. Commits are full SHAs."""

    address: str
    clone: Path

    @classmethod
    def fetch(cls, address: str, clone: Path) -> Template:
        """Raises ProjectError, exit 4, when there is no repository to be had at ``address``."""
        done = git(clone.parent, "clone", "--quiet", "--bare", "--", address, str(clone))
        if done.returncode:
            raise ProjectError(
                f"the template cannot be had from {address}:\n{last_lines(done, 4)}",
                hint="nothing was changed; retry when it is back, or name where it is now with --template",
                exit=Exit.UNAVAILABLE,
            )
        return cls(address, clone)

    def releases(self) -> list[str]:
        """Its release tags, oldest first."""
        tags = [tag for tag in git(self.clone, "tag", "--list").stdout.split() if RELEASE.fullmatch(tag)]
        return sorted(tags, key=lambda tag: [int(part) for part in tag[1:].split(".")])

    def commit(self, reference: str) -> str | None:
        """The commit of a tag, branch or SHA; None if it has no such thing."""
        if reference.startswith("-"):
            return None
        return git(self.clone, "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}").stdout.strip() or None

    def wanted(self, reference: str | None) -> tuple[str, str]:
        """``reference``, or without one the newest release, and its commit. ProjectError when it has none."""
        releases = self.releases()
        if reference is None and not releases:
            raise ProjectError(
                f"{self.address} has no release yet: no tag like v1.2.3",
                hint="nothing was changed; name a branch or a commit with --to",
            )
        named = reference or releases[-1]
        if found := self.commit(named):
            return named, found
        raise ProjectError(
            f"{self.address} has no {named!r}; its releases are {', '.join(releases) or 'none'}",
            hint="nothing was changed; name one of them with --to",
        )

    def file(self, commit: str, path: str) -> str:
        """A file of the repository as it is in ``commit``; empty where there is none."""
        return git(self.clone, "show", f"{commit}:{path}").stdout

    def _folder(self, commit: str) -> str:
        """The folder that becomes a project."""
        listed = git(self.clone, "ls-tree", "--name-only", "-z", commit).stdout.split("\0")
        return next((name for name in listed if BLANK.match(name)), "")

    def changed(self, old: str, new: str, package: str) -> list[str]:
        """Files of a project that differ between two commits, as a project with this package names them."""
        folder = self._folder(new)
        words = ("diff", "--name-only", "--no-renames", "-z", old, new, "--", folder)
        paths = (path for path in git(self.clone, *words).stdout.split("\0") if path)
        return sorted(BLANK.sub(package, path.removeprefix(f"{folder}/")) for path in paths)

    def lock(self, commit: str, slug: str) -> str:
        """The lock that a project of this name is made with."""
        return BLANK.sub(slug, self.file(commit, f"{self._folder(commit)}/uv.lock"))

    def to_do(self, old: str, new: str) -> list[str]:
        """What the changelog of ``new`` tells users to do, for each release that ``old`` does not have yet."""
        before = re.findall(r"(?m)^## (\d+\.\d+\.\d+)", self.file(old, "CHANGELOG.md"))
        sections = re.split(r"(?m)^## (?=\d)", self.file(new, "CHANGELOG.md"))[1:]
        lines = []
        for section in reversed(sections):
            release, _, body = section.partition("\n")
            asked = re.search(r"(?ms)^### What to do\n(.*?)(?=^#|\Z)", body)
            if asked and release.strip() not in before:
                lines += [f"{release.strip()}:", *(f"  {line}".rstrip() for line in asked[1].strip().splitlines())]
        return lines
