"""A template with two releases, projects made from the first, and `ml template-update` run in them."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from conftest import SPEC, Project, clean_copy, commit, git, run

FIRST, SECOND = f"v{SPEC['_template_version']}", "v9.9.9"
FOLDER = "{{cookiecutter.project_slug}}"
NEWS = f"{FOLDER}/src/{{{{cookiecutter.package_name}}}}/errors.py"
ENGINE, YOURS = "src/forty_two/errors.py", "src/forty_two/estimator.py"
CHANGES = "\n## 9.9.9\n\nNews.\n\n### What to do\n\n- Tell everybody.\n"


def put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path.name}"
    put(path, text.replace(old, new, 1))


def own_settings(folder: Path) -> dict[str, str]:
    """cookiecutter's own files stay in the test's folder."""
    file = folder / "settings.yaml"
    file.write_text(f"replay_dir: '{folder}/replay'\ncookiecutters_dir: '{folder}/templates'\n")
    return {"COOKIECUTTER_CONFIG": str(file)}


def release(template: Project, tag: str) -> None:
    """Commit and tag everything as this release."""
    put(
        template.path / "cookiecutter.json",
        re.sub(
            r'"_template_version": ".*"',
            f'"_template_version": "{tag[1:]}"',
            template.text("cookiecutter.json"),
        ),
    )
    commit(template, tag)
    git(template, "tag", tag)


def two_releases(folder: Path, first: Callable[[Path], None] = lambda _: None) -> Project:
    """FIRST, as ``first`` changes it, and SECOND: a new file, and news at the end of others."""
    template = Project(clean_copy(folder))
    git(template, "init", "--quiet", "--initial-branch", "main")
    before = template.text(f"{FOLDER}/pyproject.toml")
    first(template.path)
    release(template, FIRST)
    put(template.path / FOLDER / "pyproject.toml", before)
    for name, news in (
        (NEWS, "\n# news \n"),  # the blank at the end of the line is one that git can be set to refuse
        (f"{FOLDER}/README.md", "\nNews.\n"),
        (f"{FOLDER}/uv.lock", "# news\n"),
        ("CHANGELOG.md", CHANGES),
    ):
        put(template.path / name, template.text(name) + news)
    put(template.path / FOLDER / "NEWS.md", "News.\n")
    release(template, SECOND)
    return template


@dataclass
class Updated:
    """A project that is updated without an environment: uv is a script that notes what it was asked to do."""

    project: Project
    settings: dict[str, str]
    scratch: Path
    code: Path | None = None
    """The `src` that runs, if it is another project's."""
    fails: dict[str, str] = field(default_factory=dict)
    """uv's first word that shall fail, and what it says then."""

    def update(self, *words: str, cruft: bool = True) -> tuple[int, str]:
        """The exit code and everything that was said."""
        cases = "".join(f'{word}) echo "{said}" >&2; exit 1 ;;\n' for word, said in self.fails.items())
        uv = self.scratch / "uv"
        put(uv, f'#!/bin/sh\necho "$*" >> "{self.scratch}/asked"\ncase "$1" in\n{cases}esac\n')
        uv.chmod(0o755)
        env = self.settings | {"PYTHONPATH": str(self.code or self.project.path / "src"), "UV": str(uv)}
        if cruft:
            env["ML_CRUFT"] = str(shutil.which("cruft", path=str(Path(sys.executable).parent)))
        command = [sys.executable, "-m", "forty_two.cli", "template-update", *words]
        done = run(*command, cwd=self.project.path, env=env, check=False)
        assert "Traceback" not in done.stdout, done.stdout
        return done.returncode, done.stdout

    def asked_of_uv(self) -> list[str]:
        asked = self.scratch / "asked"
        return [line.split()[0] for line in asked.read_text().splitlines()] if asked.exists() else []

    def status(self) -> list[str]:
        return git(self.project, "status", "--porcelain").splitlines()


def with_cruft(template: Project, folder: Path, settings: dict[str, str], tag: str) -> Project:
    answers = json.dumps({"project_name": "Forty two", "license": "Apache-2.0"})
    made = ["--no-input", "--checkout", tag, "--output-dir", str(folder), "--extra-context", answers]
    run(sys.executable, "-m", "cruft", "create", str(template.path), *made, cwd=folder, env=settings)
    return Project(folder / "forty-two")


def with_cookiecutter(template: Project, folder: Path, settings: dict[str, str], tag: str) -> Project:
    """Plain cookiecutter, which notes no address."""
    folder.mkdir(exist_ok=True)
    git(template, "checkout", "--quiet", tag)
    made = ["--no-input", "--output-dir", str(folder), str(template.path), "project_name=Forty two"]
    run(sys.executable, "-m", "cookiecutter", *made, cwd=folder, env=settings)
    git(template, "checkout", "--quiet", "main")
    return Project(folder / "forty-two")
