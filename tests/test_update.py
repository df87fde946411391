"""A project can follow the template: what the README says about updates, done."""

import json
import sys
from pathlib import Path

import pytest
from conftest import Project, commit, git, run

NEWS = "src/{{cookiecutter.package_name}}/errors.py"
ENGINE, YOURS = "src/forty_two/errors.py", "src/forty_two/estimator.py"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """cookiecutter's own files stay in the test's folder."""
    file = tmp_path / "settings.yaml"
    file.write_text(f"replay_dir: '{tmp_path}/replay'\ncookiecutters_dir: '{tmp_path}/templates'\n")
    return {"COOKIECUTTER_CONFIG": str(file)}


@pytest.fixture
def template(checkout: Path) -> Project:
    """The template as a repository with two releases: v1, and v2 with news in a file of the engine's."""
    template = Project(checkout)
    git(template, "init", "--quiet", "--initial-branch", "main")
    commit(template, "First")
    git(template, "tag", "v1")
    news = checkout / "{{cookiecutter.project_slug}}" / NEWS
    news.write_text(news.read_text(encoding="utf-8") + "\n# news\n", encoding="utf-8", newline="\n")
    spec = checkout / "cookiecutter.json"
    old, new = '"_template_version": "0.1.0"', '"_template_version": "9.9.9"'
    assert old in spec.read_text(encoding="utf-8")
    spec.write_text(spec.read_text(encoding="utf-8").replace(old, new), encoding="utf-8", newline="\n")
    commit(template, "Second")
    git(template, "tag", "v2")
    return template


def module(name: str, *words: str, cwd: Path, env: dict[str, str]) -> str:
    return run(sys.executable, "-m", name, *words, cwd=cwd, env=env).stdout


def edit(project: Project) -> None:
    """What a person does between two releases."""
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "Start")
    mine = project.path / YOURS
    mine.write_text("# mine\n" + mine.read_text(encoding="utf-8"), encoding="utf-8", newline="\n")
    (project.path / "src" / "forty_two" / "own.py").write_text("OWN = 1\n", encoding="utf-8", newline="\n")
    commit(project, "Mine")


def followed(project: Project) -> None:
    assert project.text(ENGINE).endswith("\n# news\n")
    assert project.text(YOURS).startswith("# mine\n")
    assert project.text("src/forty_two/own.py") == "OWN = 1\n"
    assert json.loads(project.text(".template.json"))["version"] == "9.9.9"
    assert not [name for name in project.files() if name.endswith(".rej") or "<<<<<<<" in project.text(name)]


def test_update_with_cruft(template: Project, settings: dict[str, str], tmp_path: Path):
    answers = json.dumps({"project_name": "Forty two", "license": "Apache-2.0"})
    made = ["--no-input", "--checkout", "v1", "--output-dir", str(tmp_path), "--extra-context", answers]
    module("cruft", "create", str(template.path), *made, cwd=tmp_path, env=settings)
    project = Project(tmp_path / "forty-two")
    edit(project)
    module(
        "cruft",
        "update",
        "-y",
        "--refresh-private-variables",
        "--checkout",
        "v2",
        cwd=project.path,
        env=settings,
    )
    followed(project)
    assert json.loads(project.text(".template.json"))["cookiecutter"]["license"] == "Apache-2.0"


def test_update_by_hand(template: Project, settings: dict[str, str], tmp_path: Path):
    """Made by plain cookiecutter: .template.json holds the release and the answers."""
    git(template, "checkout", "--quiet", "v1")
    made = ["--no-input", "--output-dir", str(tmp_path), str(template.path), "project_name=Forty two"]
    module("cookiecutter", *made, cwd=tmp_path, env=settings)
    project = Project(tmp_path / "forty-two")
    edit(project)
    for folder, release in (("old", "v1"), ("new", "v2")):
        git(template, "checkout", "--quiet", release)
        again = ["--replay-file", ".template.json", "--output-dir", f"../update/{folder}"]
        module("cookiecutter", str(template.path), *again, cwd=project.path, env=settings)
    update = tmp_path / "update"
    patch = run("git", "diff", "--no-index", "old", "new", cwd=update, check=False).stdout
    (update / "patch").write_text(patch, encoding="utf-8", newline="\n")
    git(project, "apply", "--3way", "-p3", "../update/patch")
    followed(project)
