"""What `make bump` moves and what it leaves, with a repository on this disk in the place of an action's."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import actions
import bump
import pytest
import yaml
from conftest import ROOT, TEMPLATE, Project, git

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


class Remote:
    """An action's repository, to release in."""

    def __init__(self, path: Path) -> None:
        self.project = Project(path)
        path.mkdir()
        git(self.project, "init", "--quiet", "--initial-branch", "main")

    @property
    def address(self) -> str:
        return self.project.path.as_uri()

    def commit(self, days_old: float) -> str:
        """A commit of that age."""
        self.dated(days_old, "commit", "--quiet", "--allow-empty", "--message", "Change")
        return git(self.project, "rev-parse", "HEAD").strip()

    def dated(self, days_old: float, *words: str) -> None:
        date = (NOW - timedelta(days=days_old)).isoformat()
        who = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.com", "-c", "tag.gpgsign=false"]
        env = {"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
        self.project.run("git", *who, "-c", "commit.gpgsign=false", *words, env=env)

    def tag(self, name: str, annotated_days_ago: float | None = None) -> None:
        if annotated_days_ago is None:
            git(self.project, "tag", "--force", name)
        else:
            self.dated(annotated_days_ago, "tag", "--annotate", "--message", name, name)

    def refreshed(self, commit: str, tag: str) -> tuple[str, list[str]]:
        pins, problems = actions.refreshed({"a/b": f"{commit} # {tag}"}, NOW, WEEK, lambda _: self.address)
        return pins["a/b"], problems


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "action")


def test_the_newest_release_that_is_old_enough_is_taken(remote: Remote):
    first = remote.commit(90)
    remote.tag("v1.9.0")
    remote.tag("v1")
    remote.commit(60)
    remote.tag("v1.10.0")
    third = remote.commit(8)
    remote.tag("v2.0.0")
    young = remote.commit(6)
    remote.tag("v2.0.1")
    assert remote.refreshed(first, "v1.9.0") == (f"{third} # v2.0.0", [])
    assert remote.refreshed(third, "v2.0.0") == (f"{third} # v2.0.0", []), "too young is not taken"
    assert remote.refreshed(young, "v2.0.1") == (f"{young} # v2.0.1", []), "and not taken back"


def test_numbers_are_compared_as_numbers(remote: Remote):
    first = remote.commit(90)
    remote.tag("v1.9.0")
    second = remote.commit(60)
    remote.tag("v1.10.0")
    assert remote.refreshed(first, "v1.9.0")[0] == f"{second} # v1.10.0"
    assert remote.refreshed(second, "v1.10.0")[0] == f"{second} # v1.10.0", "never back"


def test_an_annotated_tag_is_peeled_and_its_own_date_counts(remote: Remote):
    first = remote.commit(90)
    remote.tag("v1.0.0", annotated_days_ago=90)
    second = remote.commit(60)
    remote.tag("v1.1.0", annotated_days_ago=50)
    remote.tag("v1.2.0", annotated_days_ago=1)  # today, on a commit of long ago
    assert git(remote.project, "rev-parse", "v1.1.0").strip() != second, "the tag is an object of its own"
    assert remote.refreshed(first, "v1.0.0") == (f"{second} # v1.1.0", [])


def test_only_whole_versions_are_releases(remote: Remote):
    first = remote.commit(90)
    for tag in ("v1.0.0", "v1", "v1.0"):
        remote.tag(tag)
    remote.commit(60)
    for tag in ("v2", "v2.1", "v3.0.0-rc.1", "v9", "latest", "x/v4.0.0", "v1"):
        remote.tag(tag)
    assert [release.tag for release in actions.releases(remote.address)] == ["v1.0.0"]
    assert remote.refreshed(first, "v1.0.0") == (f"{first} # v1.0.0", [])


def test_a_tag_that_was_moved_is_told_and_not_followed(remote: Remote):
    first = remote.commit(90)
    remote.tag("v1.0.0")
    moved = remote.commit(60)
    remote.tag("v1.0.0")
    remote.tag("v1.1.0")
    pin, problems = remote.refreshed(first, "v1.0.0")
    assert pin == f"{first} # v1.0.0"
    assert problems == [f"a/b: v1.0.0 is pinned to {first}, and that tag is now {moved}"]
    git(remote.project, "tag", "--delete", "v1.0.0")
    assert remote.refreshed(first, "v1.0.0")[1] == [
        f"a/b: v1.0.0 is pinned to {first}, and that tag is now gone"
    ]


def test_a_remote_that_is_away_is_said_and_the_others_move(remote: Remote, tmp_path: Path):
    first = remote.commit(90)
    remote.tag("v1.0.0")
    second = remote.commit(60)
    remote.tag("v1.1.0")
    where = {"a/b": remote.address, "c/d/folder": (tmp_path / "nowhere").as_uri()}
    pins = {"c/d/folder": f"{first} # v1.0.0", "a/b": f"{first} # v1.0.0"}
    moved, problems = actions.refreshed(pins, NOW, WEEK, where.__getitem__)
    assert moved == {"c/d/folder": f"{first} # v1.0.0", "a/b": f"{second} # v1.1.0"}
    assert len(problems) == 1
    assert problems[0].startswith(
        f"c/d/folder: {where['c/d/folder']} cannot be reached, v1.0.0 stays: fatal: "
    )


def test_an_action_in_a_folder_lies_in_its_repository():
    assert actions.on_github("owner/name") == actions.on_github("owner/name/some/folder")
    assert actions.on_github("owner/name") == "https://github.com/owner/name"


def test_every_pin_of_every_workflow_is_looked_up(monkeypatch: pytest.MonkeyPatch):
    asked = {}

    def refreshed(pins: actions.Pins, *_: object) -> tuple[actions.Pins, list[str]]:
        asked.update(pins)
        return pins, ["one: cannot be reached"]

    written = {}
    monkeypatch.setattr(bump.actions, "refreshed", refreshed)
    monkeypatch.setattr(bump, "newest_uv", lambda: "0.0.1")
    monkeypatch.setattr(bump, "write", lambda path, text: written.update({path: text}))
    assert bump.repin(upgrade=True) == ["one: cannot be reached"]
    assert bump.repin(upgrade=False) == []
    used = set()
    for path in bump.workflows():
        used |= {line.split("@")[0] for line in re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))}
    assert set(asked) == used and {"actions/checkout", "astral-sh/setup-uv"} <= used
    assert all(path.read_text(encoding="utf-8") == text for path, text in written.items()), "nothing is newer"


def test_uv_moves_forward_only():
    makefile = "PYTHON ?= python3\nUV_VERSION := 0.9.8\n"
    assert bump.with_uv(makefile, "0.10.0") == makefile.replace("0.9.8", "0.10.0")
    assert bump.with_uv(makefile, "0.9.7") == makefile == bump.with_uv(makefile, "0.9.8")


def test_the_updater_follows_the_lock():
    source = bump.UPDATER.read_text(encoding="utf-8")
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert bump.with_updater(source, lock) == source
    versions = {"cruft": "9.9.9", "cookiecutter": "8.8.8"}
    moved = "".join(f'[[package]]\nname = "{name}"\nversion = "{one}"\n' for name, one in versions.items())
    assert '"--from", "cruft==9.9.9", "--with", "cookiecutter==8.8.8"' in bump.with_updater(source, moved)


OF = {"kingfisher": "kingfisher-bin", "check-added-large-files": "pre-commit-hooks"}
"""Programs that are not called like their package."""


def test_every_hook_is_local_and_runs_a_tool_of_the_lock():
    """So there is no version of a hook to move: uv.lock has them all."""
    config = yaml.safe_load((TEMPLATE / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    names = bump.locked_names((TEMPLATE / "uv.lock").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert "rev" not in hook and "additional_dependencies" not in hook
        if hook["language"] == "fail":
            continue  # refuses by name, and runs nothing
        tool = hook["entry"].removeprefix("uv run --frozen ").split()[0]
        assert hook["entry"].startswith("uv run --frozen ") and OF.get(tool, tool) in names


GH = """#!/bin/sh
echo "$*" >> "$NOTES"
case "$1 $2" in
"auth setup-git") ;;
"pr list") cat "$OPEN" ;;
"pr create") echo 7 > "$OPEN" ;;
esac
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell")
def test_one_pull_request_is_opened_and_then_brought_up_to_date(tmp_path: Path):
    """With a bare repository for GitHub, and a script for its client."""
    origin, clone, notes = tmp_path / "origin.git", Project(tmp_path / "clone"), tmp_path / "notes"
    subprocess.run(["git", "init", "--quiet", "--bare", str(origin)], check=True)
    (clone.path / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "pull-request", clone.path / ".ci")
    (clone.path / "uv.lock").write_text("old\n")
    git(clone, "init", "--quiet", "--initial-branch", "main")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "Start")
    git(clone, "remote", "add", "origin", str(origin))
    (tmp_path / "bin").mkdir()
    gh = tmp_path / "bin" / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    (tmp_path / "open").write_text("")
    path = os.pathsep.join([str(gh.parent), os.environ["PATH"]])
    env = {"PATH": path, "NOTES": str(notes), "OPEN": str(tmp_path / "open"), "GITHUB_TOKEN": "none"}

    def ask() -> list[str]:
        notes.write_text("")
        git(clone, "switch", "--quiet", "main")
        clone.run(".ci/pull-request", env=env)
        return [" ".join(line.split()[:2]) for line in notes.read_text().splitlines()]

    assert ask() == [], "nothing moved: no branch, no pull request"
    assert not git(clone, "ls-remote", str(origin))
    for text, asked in (
        ("new\n", ["auth setup-git", "pr list", "pr create"]),
        ("newer\n", ["auth setup-git", "pr list"]),
    ):
        git(clone, "switch", "--quiet", "main")
        (clone.path / "uv.lock").write_text(text)
        assert ask() == asked
        assert git(clone, "--git-dir", str(origin), "show", "bump:uv.lock") == text
