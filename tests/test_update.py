"""A project can follow the template: what the README says about updates, done."""

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Project, commit, git, run
from updating import (
    ENGINE,
    FIRST,
    SECOND,
    YOURS,
    Updated,
    own_settings,
    put,
    swap,
    two_releases,
    with_cookiecutter,
    with_cruft,
)

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uv is played by a script of the shell")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return own_settings(tmp_path)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The template as a repository with two releases. Look, do not touch."""
    return two_releases(tmp_path_factory.mktemp("template") / "template")


def edit(project: Project) -> None:
    """What a person does between two releases."""
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "Start")
    put(project.path / YOURS, "# mine\n" + project.text(YOURS))
    put(project.path / "README.md", "Mine.\n")
    put(project.path / "src" / "forty_two" / "own.py", "OWN = 1\n")
    (project.path / "docs" / "add-a-feature.md").unlink()
    swap(project.path / "pyproject.toml", '    "rich>=14",', '    "tabulate>=0.9",  # mine\n    "rich>=14",')
    commit(project, "Mine")


def followed(project: Project) -> None:
    assert project.text(ENGINE).endswith("\n# news \n")
    assert project.text("NEWS.md") == "News.\n"
    assert project.text(YOURS).startswith("# mine\n")
    assert project.text("src/forty_two/own.py") == "OWN = 1\n"
    assert not (project.path / "docs" / "add-a-feature.md").exists()
    assert '    "tabulate>=0.9",  # mine\n' in project.text("pyproject.toml")
    assert f'template-version = "{SECOND[1:]}"' in project.text("pyproject.toml")
    assert json.loads(project.text(".template.json"))["version"] == SECOND[1:]
    assert not [
        name for name in project.files() if name.endswith(".rej") or "\n<<<<<<<" in project.text(name)
    ]


@pytest.fixture(scope="session")
def edited_project(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of the first release, by plain cookiecutter, with a life of its own. Look, do not touch."""
    folder = tmp_path_factory.mktemp("edited")
    project = with_cookiecutter(template, folder, own_settings(folder), FIRST)
    edit(project)
    return project


@pytest.fixture
def updated(edited_project: Project, settings: dict[str, str], tmp_path: Path) -> Updated:
    """The same, to update."""
    return Updated(Project(shutil.copytree(edited_project.path, tmp_path / "forty-two")), settings, tmp_path)


@POSIX
def test_a_project_of_plain_cookiecutter_is_linked_and_updated(updated: Updated, template: Project):
    project = updated.project
    before = git(project, "rev-parse", "HEAD")
    code, said = updated.update("--template", str(template.path))
    assert code == 0, said
    followed(project)
    assert project.text("README.md") == "Mine.\n"
    link = json.loads(project.text(".cruft.json"))
    assert link["template"] == str(template.path) == link["context"]["cookiecutter"]["_template"]
    assert link["commit"] == git(template, "rev-parse", f"{SECOND}^{{commit}}").strip()
    assert "skip" not in link
    assert updated.asked_of_uv() == ["lock", "sync", "run"]
    assert "lock  the release's" in said and project.text("uv.lock").endswith("\n# news\n"), (
        "nobody touched it"
    )
    assert 'name = "forty-two"' in project.text("uv.lock")
    assert git(project, "rev-parse", "HEAD") == before, "nothing is committed"
    assert f"{FIRST} → {SECOND}: " in said
    assert "the template changed it: README.md" in said and "uv.lock" not in said
    assert "9.9.9:\n    - Tell everybody." in said, "what the changelog asks for"
    assert said.count(":\n    - ") == 1, "and of no release that the project has already"

    commit(project, "Updated")
    code, said = updated.update("--json")
    assert code == 0 and json.loads(said)["new"] == SECOND and json.loads(said)["changed"] == []
    code, said = updated.update()
    assert code == 0 and f"this project is at {SECOND} already" in said
    assert updated.status() == []


@POSIX
def test_a_lock_of_ones_own_is_never_merged(updated: Updated, template: Project):
    project = updated.project
    put(project.path / "uv.lock", "# mine\n" + project.text("uv.lock"))
    commit(project, "My lock")
    mine = project.text("uv.lock")
    code, said = updated.update("--template", str(template.path), "--json")
    assert code == 0 and json.loads(said)["lock"] == "yours, locked anew"
    assert project.text("uv.lock") == mine and updated.asked_of_uv()[0] == "lock"


@POSIX
def test_a_project_of_cruft_knows_where_the_template_is(
    template: Project, settings: dict[str, str], tmp_path: Path
):
    project = with_cruft(template, tmp_path, settings, FIRST)
    edit(project)
    git(project, "config", "apply.whitespace", "error-all")  # a setting that would stop every release
    code, said = Updated(project, settings, tmp_path).update("--to", SECOND)
    assert code == 0, said
    followed(project)
    assert json.loads(project.text(".template.json"))["cookiecutter"]["license"] == "Apache-2.0"


@POSIX
def test_a_project_older_than_the_list_of_files_is_updated_from_a_new_one(
    settings: dict[str, str], tmp_path: Path
):
    """As CHANGELOG.md tells users of 0.1.0: with the verb of a project made from the new release."""

    def without_list(folder: Path) -> None:
        pyproject = folder / "{{cookiecutter.project_slug}}" / "pyproject.toml"
        text = pyproject.read_text(encoding="utf-8")
        put(pyproject, re.sub(r"\n\[tool\.cruft\]\n.*?\n\]\n", "", text, flags=re.S))

    template = two_releases(tmp_path / "template", without_list)
    project = with_cookiecutter(template, tmp_path, settings, FIRST)
    assert "tool.cruft" not in project.text("pyproject.toml")
    edit(project)
    (tmp_path / "update").mkdir()
    new = with_cookiecutter(template, tmp_path / "update", settings, SECOND)
    code, said = Updated(project, settings, tmp_path, code=new.path / "src").update(
        "--template", str(template.path)
    )
    assert code == 0, said
    followed(project)
    assert project.text("README.md") == "Mine.\n"
    assert "tool.cruft" in project.text("pyproject.toml") and "skip" not in json.loads(
        project.text(".cruft.json")
    )


def test_a_conflict_is_said_and_leads_back(updated: Updated, template: Project):
    project = updated.project
    put(project.path / ENGINE, project.text(ENGINE) + "\n# my own last line\n")
    commit(project, "An engine of my own")
    code, said = updated.update("--template", str(template.path))
    assert code == 1
    assert re.search(rf"error: you and the template changed the same lines:\n  {ENGINE}\n hint: ", said)
    assert "<<<<<<<" in project.text(ENGINE) and project.text("NEWS.md") == "News.\n"
    assert updated.asked_of_uv() == []
    for command in re.findall(r"to go back: `git (.*?)` and `git (.*?)`", said)[0]:
        git(project, *command.split())
    assert updated.status() == []
    assert project.text(ENGINE).endswith("# my own last line\n") and not (project.path / "NEWS.md").exists()


def test_what_finds_no_place_is_not_passed_over(updated: Updated, template: Project):
    """Without the old text git cannot merge, leaves out a file that is in the way, and cruft ends well."""
    project = updated.project
    put(project.path / "NEWS.md", "My news.\n")
    put(project.path / ENGINE, project.text(ENGINE) + "\n# my own last line\n")
    shutil.rmtree(project.path / ".git")
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "First committed after the edits")
    code, said = updated.update("--template", str(template.path))
    assert code == 1
    assert f"changed the same lines:\n  {ENGINE}.rej\n" in said
    assert "could not be put in place:\n  NEWS.md: already exists in working directory\n" in said
    assert updated.asked_of_uv() == [] and project.text("NEWS.md") == "My news.\n"


Break = Callable[[Updated], None]


def untracked(updated: Updated) -> None:
    put(updated.project.path / "left.txt", "")


def edited(updated: Updated) -> None:
    put(updated.project.path / YOURS, "")


def not_git(updated: Updated) -> None:
    (updated.project.path / ".git").rename(updated.scratch / "git")


def no_answers(updated: Updated) -> None:
    git(updated.project, "rm", "--quiet", ".template.json")
    commit(updated.project, "No answers")


def broken_answers(updated: Updated) -> None:
    put(updated.project.path / ".template.json", "{")
    commit(updated.project, "Half an answer")


def of_no_release(updated: Updated) -> None:
    swap(updated.project.path / ".template.json", FIRST[1:], "0.0.7")
    commit(updated.project, "Of no release")


def of_no_commit(updated: Updated) -> None:
    put(
        updated.project.path / ".cruft.json", json.dumps({"template": "x", "commit": "0" * 40, "context": {}})
    )
    commit(updated.project, "Of no commit")


def no_list(updated: Updated) -> None:
    swap(updated.project.path / "pyproject.toml", "[tool.cruft]", "[tool.other]")
    put(updated.project.path / ".cruft.json", json.dumps({"template": "x", "commit": FIRST, "context": {}}))
    commit(updated.project, "No list")


@pytest.mark.parametrize(
    ("breaks", "words", "code", "said"),
    [
        (untracked, ["--template", "TEMPLATE"], 2, "needs a clean tree; not committed: left.txt"),
        (edited, ["--template", "TEMPLATE"], 2, f"needs a clean tree; not committed: {YOURS}"),
        (not_git, ["--template", "TEMPLATE"], 2, "is no git repository with a commit"),
        (no_answers, ["--template", "TEMPLATE"], 2, ".template.json lacks 'version'"),
        (broken_answers, ["--template", "TEMPLATE"], 2, ".template.json is not JSON"),
        (of_no_release, ["--template", "TEMPLATE"], 2, "has no release v0.0.7, which .template.json names"),
        (of_no_commit, ["--template", "TEMPLATE"], 2, f"has no commit {'0' * 40}, which .cruft.json names"),
        (no_list, ["--template", "TEMPLATE"], 2, "does not say which files are yours"),
        (None, [], 2, "where is the template?"),
        (None, ["--template", "nowhere"], 4, "the template cannot be had from nowhere"),
        (
            None,
            ["--template", "TEMPLATE", "--to", "v7.7.7"],
            2,
            f"no 'v7.7.7'; its releases are {FIRST}, {SECOND}",
        ),
        (None, ["--template", "TEMPLATE", "--to", "-h"], 2, "no '-h'; its releases are"),
    ],
)
def test_nothing_is_touched_where_an_update_cannot_begin(
    updated: Updated, template: Project, breaks: Break | None, words: list[str], code: int, said: str
):
    if breaks:
        breaks(updated)
    project = updated.project
    before = {name: (project.path / name).read_bytes() for name in project.files()}
    got, text = updated.update(*[str(template.path) if word == "TEMPLATE" else word for word in words])
    assert (got, said in text) == (code, True), text
    assert " hint: " in text
    assert {name: (project.path / name).read_bytes() for name in project.files()} == before


def test_a_template_without_a_release_is_said(updated: Updated, checkout: Path):
    unreleased = Project(checkout)
    git(unreleased, "init", "--quiet", "--initial-branch", "main")
    commit(unreleased, "Start")
    swap(updated.project.path / ".template.json", FIRST[1:], "0.0.7")
    commit(updated.project, "Of no release")
    code, said = updated.update("--template", str(checkout))
    assert code == 2 and "its releases are none" in said


@POSIX
@pytest.mark.parametrize(
    ("verb", "uv", "code", "said"),
    [
        ("tool", "error: no such host", 4, "cruft==2.16.0, which merges, cannot be had"),
        ("lock", "No solution found", 1, "in the files, but cannot be locked with your dependencies"),
        ("lock", "error: Failed to fetch: simple/numpy", 4, "in the files, but cannot be locked"),
        ("sync", "no wheel for this platform", 1, "in the files and locked, but does not install"),
        (
            "run",
            "1 failed in 0.1 s",
            1,
            "nothing is in conflict, but tests fail; the release changed files of yours",
        ),
    ],
)
def test_where_it_stops_it_says_how_things_stand(
    updated: Updated, template: Project, verb: str, uv: str, code: int, said: str
):
    updated.fails[verb] = uv
    got, text = updated.update("--template", str(template.path), cruft=verb != "tool")
    assert (got, said in text, f"  {uv}" in text) == (code, True, True), text
    if verb == "tool":
        assert "nothing was changed" in text and updated.status() == []
    else:
        assert "to go back: `git reset --hard`" in text and "to go on: " in text
        followed(updated.project)


def test_a_release_that_refuses_an_answer_changes_nothing(
    updated: Updated, template: Project, tmp_path: Path
):
    """cruft fails then: the hook of the new release says no."""
    stricter = Project(tmp_path / "stricter")
    git(template, "clone", "--quiet", str(template.path), str(stricter.path))
    put(stricter.path / "hooks" / "pre_gen_project.py", "import sys; sys.exit('a name that is taken now')\n")
    commit(stricter, "Stricter")
    code, said = updated.update("--template", str(stricter.path), "--to", "main")
    assert code == 1 and "cruft failed" in said and "a name that is taken now" in said
    assert "nothing was changed" in said and updated.status() == []


def test_by_hand(template: Project, settings: dict[str, str], tmp_path: Path):
    project = with_cookiecutter(template, tmp_path, settings, FIRST)
    edit(project)
    update = tmp_path / "update"
    for folder, release in (("old", FIRST), ("new", SECOND)):
        (update / folder).mkdir(parents=True)
        git(template, "checkout", "--quiet", release)
        again = ["--replay-file", ".template.json", "--output-dir", f"../update/{folder}", str(template.path)]
        run(sys.executable, "-m", "cookiecutter", *again, cwd=project.path, env=settings)
    patch = run("git", "diff", "--no-index", "old", "new", cwd=update, check=False).stdout
    put(update / "patch", patch)
    git(template, "checkout", "--quiet", "main")
    git(project, "apply", "--3way", "-p3", "--exclude=README.md", "../update/patch")
    followed(project)


def test_the_files_that_are_left_alone_are_the_users(default: Project):
    """Each pattern is a file, each file that says YOURS is there, and the verb has the same list."""
    skip = tomllib.loads(default.text("pyproject.toml"))["tool"]["cruft"]["skip"]
    kept = {path.relative_to(default.path).as_posix() for one in skip for path in default.path.glob(one)}
    assert all(list(default.path.glob(one)) for one in skip)
    yours = [
        name for name in default.files() if name.endswith(".py") and default.text(name).startswith('"""YOURS')
    ]
    assert yours and not set(yours) - kept
    said = re.search(
        r"^YOURS = (\[.*?^\])", default.text("src/parcel_eta/operations/link.py"), flags=re.S | re.M
    )
    assert said and re.findall(r'"(.*)",', said[1]) == skip


def test_projects_update_with_what_is_tested_here(default: Project):
    locked = {
        p["name"]: p["version"] for p in tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    }
    pinned = re.findall(
        r'"(cruft|cookiecutter)==([\d.]+)"', default.text("src/parcel_eta/operations/template.py")
    )
    assert dict(pinned) == {name: locked[name] for name in ("cruft", "cookiecutter")}, "run `make bump`"


def test_every_release_says_what_to_do():
    """`ml template-update` shows that part of the changelog."""
    sections = re.split(r"(?m)^## ", CHANGELOG)[1:]
    names = [section.partition("\n")[0] for section in sections]
    assert names[0] == FIRST[1:], "cookiecutter.json names the release at the top of the changelog"
    assert names == sorted(names, key=lambda name: [int(part) for part in name.split(".")], reverse=True)
    assert [s.partition("\n")[0] for s in sections if not re.search(r"(?m)^### What to do\n\n\S", s)] == []
