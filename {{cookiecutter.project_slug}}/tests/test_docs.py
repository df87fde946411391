"""What README and docs say is so: verbs exist, links lead somewhere, files are there, and the recipe works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from {{cookiecutter.package_name}}.cli import app

from recipe import PACKAGE, QUOTED, ROOT, Copy, steps

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)

COMMANDS = typer.main.get_command(app).commands  # pyrefly: ignore
COMMAND = re.compile(r"(?<![\w./-])ml ([a-z]+(?:-[a-z]+)*)((?: --?[a-z-]+(?:=\S+)?| [^-`\s]\S*)*)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
FILE = re.compile(r"[\w.*-]*(?:/[\w.*-]+)*/?")
SUFFIXES = (".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".ipynb")
MADE_BY_RUNNING = (
    *("data/", "var/", "build/", "evaluation/", "dvc.lock", ".dvc/cache/"),
    *("artefact/", "report/", "extra_files/"),
)


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each ``ml verb`` in code, with the options it is given."""
    code = "\n".join([*re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL), *QUOTED.findall(text)])
    return [(found[1], re.findall(r"(?<= )--[a-z-]+", found[2])) for found in COMMAND.finditer(code)]


@page
def test_every_command_exists_with_its_options(page: Path):
    for verb, options in commands(page.read_text(encoding="utf-8")):
        assert verb in COMMANDS, f"there is no ml {verb}"
        known = {name for parameter in COMMANDS[verb].params for name in parameter.opts}
        assert set(options) <= known, f"ml {verb} has no {sorted(set(options) - known)}"


def test_every_verb_is_written_about():
    """In the README or a page: the README is yours, and a release that brings a verb leaves it alone."""
    named = {verb for page in PAGES for verb, _ in commands(page.read_text(encoding="utf-8"))}
    assert set(COMMANDS) - named == set()


@page
def test_every_link_leads_somewhere(page: Path):
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@page
def test_every_file_that_is_named_is_there(page: Path):
    text = page.read_text(encoding="utf-8")
    written = {step.path for step in steps(text) if step.verb == "write"}
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    named = {name for name in QUOTED.findall(prose) if FILE.fullmatch(name) and name.endswith(("/", *SUFFIXES))}
    named = {name for name in named if not name.startswith(MADE_BY_RUNNING)} - written
    package = ROOT / "src" / PACKAGE
    assert [name for name in sorted(named) if not [*ROOT.glob(name), *package.glob(name)]] == []


def test_the_readme_names_what_is_yours():
    """Files that say so in their first line are named on the README's first screen."""
    package = ROOT / "src" / PACKAGE
    yours = [path for path in package.rglob("*.py") if path.read_text(encoding="utf-8").startswith('"""YOURS')]
    assert len(yours) >= 4
    first_screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:40])
    named = QUOTED.findall(first_screen)
    assert [path for path in yours if path.relative_to(package).as_posix() not in named] == []


CHECKLIST = ROOT / ".github" / "pull_request_template.md"


def unproven(checklist: str) -> list[str]:
    """Lines of a checklist that name no check, or one that does not exist, without saying that a person looks."""
    package, workflows = ROOT / "src" / PACKAGE, ROOT / ".github" / "workflows"
    wrong = []
    for line in re.findall(r"^- \[ \] .*$", checklist, flags=re.MULTILINE):
        claim, arrow, proof = line.partition(" → ")
        names = QUOTED.findall(proof)
        if not arrow or not (names or "by eye" in proof):
            wrong.append(line)
        for name in names:
            workflow, colon, step = name.partition(": ")
            if colon:
                jobs = yaml.safe_load((workflows / workflow).read_text(encoding="utf-8"))["jobs"].values()
                there = any(step == found.get("name") for job in jobs for found in job["steps"])
            elif name.startswith("ml "):
                there = name.split()[1] in COMMANDS
            else:
                there = bool([*ROOT.glob(name), *package.glob(name)])
            if not there:
                wrong.append(f"{claim}: there is no {name}")
    return wrong


def test_every_line_of_the_checklist_is_proven_by_something_that_exists():
    text = CHECKLIST.read_text(encoding="utf-8")
    assert len(re.findall(r"^- \[ \] ", text, flags=re.MULTILINE)) >= 20
    assert unproven(text) == []
    for proof in ("", " → tests", " → `ml nothing`", " → `tests/test_nothing.py`", " → `ci.yml: Nothing`"):
        assert len(unproven(f"- [ ] It is fine{proof}")) == 1


@pytest.mark.slow
def test_a_feature_is_added_as_the_page_says(tmp_path: Path):
    project = Copy(tmp_path / "project")
    project.run("uv run ml ingest --from 2026-04-23 --to 2026-06-01")
    said = {step.text: project.follow(step) for step in steps((ROOT / "docs" / "add-a-feature.md").read_text("utf-8"))}
    assert "1 passed" in said["uv run pytest tests/test_is_heavy.py"]
    trained = said["uv run ml train --config configs/v1.yaml"]
    assert "version hours/1" in trained and "reproduced" in trained
    proof = next((project.root / "var" / "registry").rglob("proof.json")).read_text(encoding="utf-8")
    assert '"is_heavy"' in proof
    project.run("uv run ruff check src tests/test_is_heavy.py")
    project.run("uv run ruff format --check src tests/test_is_heavy.py")
