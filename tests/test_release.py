"""From the previous release of this repository to what lies here, in a project that was edited in between."""

import json
import re
import shutil
import tarfile
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, Project, clean_copy, commit, git, run
from updating import FIRST, own_settings, put, release, swap, with_cookiecutter

VERSION = re.compile(r"v\d+\.\d+\.\d+")
EDITED = {
    "src/forty_two/transform/features.py": "\n# our own feature goes here\n",
    "src/forty_two/estimator.py": "\n\n# our own estimator goes here\n",
    "configs/v1.yaml": "# our own model\n",
    "README.md": "\nOur own lines.\n",
}
DEPENDENCY = '    "humanize>=4",              # ours\n'


def ordered(tag: str) -> list[int]:
    return [int(part) for part in tag.removeprefix("v").split(".")]


def previous(repository: Path, version: str) -> str | None:
    """What to check out for the release before ``version``: its tag, or the last commit that bore its name.

    None where the repository does not tell: no git, or a clone that does not reach back that far.
    """
    here = Project(repository)
    if Path(git(here, "rev-parse", "--show-toplevel").strip() or "/").resolve() != repository.resolve():
        return None
    tags = [tag for tag in git(here, "tag", "--list").split() if VERSION.fullmatch(tag)]
    if older := [tag for tag in tags if ordered(tag) < ordered(version)]:
        return max(older, key=ordered)
    for found in git(here, "rev-list", "HEAD", "--", "cookiecutter.json").split():
        for reference in (found, f"{found}^"):
            shown = here.run("git", "show", f"{reference}:cookiecutter.json", check=False)
            if shown.returncode == 0 and f"v{json.loads(shown.stdout)['_template_version']}" != version:
                return reference
    return None


def made_up(folder: Path) -> None:
    """A release that never was: this one with an engine's file less and another one more."""
    package = folder / "{{cookiecutter.project_slug}}" / "src" / "{{cookiecutter.package_name}}"
    put(package / "log.py", (package / "log.py").read_text(encoding="utf-8") + "\n# went\n")
    put(package / "gone.py", "GONE = 1\n")
    swap(folder / "cookiecutter.json", FIRST[1:], "0.0.1")


def unpack(repository: Path, reference: str, folder: Path) -> None:
    archive = folder.with_suffix(".tar")
    git(Project(repository), "archive", "--output", str(archive), reference)
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")


def history(repository: Path, folder: Path) -> tuple[Project, str]:
    """A repository of the previous release and, as FIRST, of what lies here; and the tag of the former."""
    reference = previous(repository, FIRST)
    folder.mkdir()
    if reference:
        unpack(repository, reference, folder)
    else:
        shutil.copytree(clean_copy(folder / "copy"), folder, dirs_exist_ok=True)
        shutil.rmtree(folder / "copy")
        made_up(folder)
    template = Project(folder)
    git(template, "init", "--quiet", "--initial-branch", "main")
    before = f"v{json.loads(template.text('cookiecutter.json'))['_template_version']}"
    release(template, before)
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(clean_copy(folder.with_name("copy")), folder, dirs_exist_ok=True)
    release(template, FIRST)
    return template, before


def cloned(folder: Path, *options: str) -> Path:
    """A repository of two commits, the second of which raises the version; cloned with these options."""
    origin = Project(folder / "origin")
    origin.path.mkdir()
    git(origin, "init", "--quiet", "--initial-branch", "main")
    for version in ("0.1.0", "0.2.0"):
        put(origin.path / "cookiecutter.json", json.dumps({"_template_version": version}))
        commit(origin, version)
    run("git", "clone", "--quiet", *options, origin.path.as_uri(), "clone", cwd=folder)
    return folder / "clone"


def test_the_previous_release_is_found_by_tag_or_by_commit(tmp_path: Path):
    clone = cloned(tmp_path)
    first = git(Project(clone), "rev-parse", "HEAD^").strip()
    found = previous(clone, "v0.2.0")
    assert found and git(Project(clone), "rev-parse", found).strip() == first
    for tag in ("v0.0.9", "v0.0.10", "v0.2.0", "v0.3.0"):
        git(Project(clone), "tag", tag)
    assert previous(clone, "v0.2.0") == "v0.0.10"


def test_a_clone_that_does_not_reach_back_has_no_previous_release(tmp_path: Path):
    assert previous(cloned(tmp_path, "--depth", "1"), "v0.2.0") is None


THEIRS = {
    "PYTEST_ADDOPTS": " ".join(
        f"tests/test_{name}.py"
        for name in ("api", "config", "contract", "features", "ingest", "skew", "train")
    )
}
"""The tests that run what a user edits; all of them run in test_gate_in_ci.py, at ten times the time."""


def edit(project: Project, name: str) -> None:
    put(project.path / name, project.text(name) + EDITED[name])


def left_alone(said: str) -> list[str]:
    """The files of the user's own that the release changed, as the verb names them."""
    named = re.search(r"left alone: ([^\s,:]+(?:, [^\s,:]+)*)", said)
    return named[1].rstrip(":").split(", ") if named else re.findall(r"the template changed it: (\S+)", said)


@pytest.mark.slow
@pytest.mark.xdist_group("own tests")
def test_an_edited_project_follows_from_the_previous_release(tmp_path: Path):
    template, before = history(ROOT, tmp_path / "template")
    settings = own_settings(tmp_path)
    project = with_cookiecutter(template, tmp_path, settings, before)
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "Start")
    for name in EDITED:
        edit(project, name)
    swap(project.path / "pyproject.toml", "dependencies = [\n", f"dependencies = [\n{DEPENDENCY}")
    project.run("uv", "lock")
    commit(project, "Ours")

    fresh = with_cookiecutter(template, tmp_path / "update", settings, FIRST)
    has_verb = (project.path / "src" / "forty_two" / "cli" / "template.py").exists()
    verb = ["ml", "template-update", "--template", str(template.path)]
    command = ["uv", "run", *([] if has_verb else ["--project", str(fresh.path)]), *verb]
    done = project.run(*command, env=settings | THEIRS, check=False)

    package = tomllib.loads(fresh.text("pyproject.toml"))
    mine = {
        p.relative_to(fresh.path).as_posix()
        for one in package["tool"]["cruft"]["skip"]
        for p in fresh.path.glob(one)
    }
    engine = set(fresh.files()) - mine - {"pyproject.toml"}
    differ = [
        name
        for name in sorted(engine)
        if (project.path / name).read_bytes() != (fresh.path / name).read_bytes()
    ]
    assert not differ, done.stdout
    assert set(project.files()) - mine == engine | {"pyproject.toml", ".cruft.json"}, (
        "and no file of the old engine"
    )
    assert project.text("pyproject.toml").replace(DEPENDENCY, "") == fresh.text("pyproject.toml")
    assert all(project.text(name).endswith(ours) for name, ours in EDITED.items())
    assert 'name = "humanize"' in project.text("uv.lock")

    # A release may change a file that is the user's: it is named, and then settled here as a person would.
    old = with_cookiecutter(template, tmp_path / "old", settings, before)
    moved = [name for name in sorted(mine - {"uv.lock"}) if (old.path / name).exists()]
    moved = [name for name in moved if (old.path / name).read_bytes() != (fresh.path / name).read_bytes()]
    assert left_alone(done.stdout) == moved, done.stdout
    assert done.returncode == 0 or (done.returncode == 1 and moved and "tests fail" in done.stdout), (
        done.stdout
    )
    for name in moved:
        shutil.copyfile(fresh.path / name, project.path / name)
        if name in EDITED:
            edit(project, name)
    for check in ("lock --check", "run ruff check .", "run ruff format --check .", "run pyrefly check"):
        project.run("uv", *check.split())
    project.run("uv", "run", "pytest", "-q", "-n", "auto", env=THEIRS)
    commit(project, "Updated")
    again = project.run("uv", "run", "ml", "template-update", env=settings)
    assert f"this project is at {FIRST} already" in again.stdout
