"""Every prompt is described; every bad answer is refused, together, as data; good odd ones are kept."""

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PROMPTS, ROOT, SPEC, Bake, Project

Refused = Callable[..., subprocess.CompletedProcess[str]]


def test_every_prompt_is_described():
    described = SPEC["__prompts__"]
    assert set(described) == set(PROMPTS)
    for name, prompt in described.items():
        if isinstance(SPEC[name], list):
            assert set(prompt) == {"__prompt__", *SPEC[name]}, f"each choice of {name} is described"
        assert all(line.strip() for line in (prompt.values() if isinstance(prompt, dict) else [prompt]))


def test_the_readme_lists_every_prompt():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")]
    assert listed == PROMPTS
    assert all(choice in readme for choice in SPEC["license"])


def test_there_are_nine_prompts_and_one_choice():
    """Each choice doubles what has to be tested: names and legal text only."""
    assert len(PROMPTS) == 9
    assert [name for name in PROMPTS if isinstance(SPEC[name], list)] == ["license"]


def test_the_template_has_one_version(default: Project):
    harness = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = harness["project"]["version"]
    assert SPEC["_template_version"] == version
    assert json.loads(default.text(".template.json"))["version"] == version
    project = tomllib.loads(default.text("pyproject.toml"))
    assert project["tool"]["durable-ml"]["template-version"] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_prompt_that_does_not_exist_is_an_error(bake: Bake):
    with pytest.raises(KeyError, match="no such prompt: use_docker"):
        bake(use_docker="yes")


def test_names_are_derived(bake: Bake):
    project = bake(project_name="Straße & Größe 2")
    answers = json.loads(project.text(".template.json"))["cookiecutter"]
    assert answers["project_slug"] == project.path.name == "strasse-grosse-2"
    assert answers["package_name"] == "strasse_grosse_2"
    assert project.text("CODEOWNERS").splitlines()[-1] == "* @example-org/ml-team"


@pytest.mark.parametrize(
    ("license", "starts", "spdx"),
    [
        ("MIT", "MIT License\n\nCopyright (c) Ada Example\n", "MIT"),
        ("Apache-2.0", "                                 Apache License\n", "Apache-2.0"),
        ("Proprietary", "Copyright (c) Ada Example. All rights reserved.\n", "LicenseRef-Proprietary"),
    ],
)
def test_license(bake: Bake, license: str, starts: str, spdx: str):
    project = bake(license=license)
    assert project.text("LICENSE").startswith(starts)
    assert tomllib.loads(project.text("pyproject.toml"))["project"]["license"] == spdx


def test_a_license_that_is_not_offered(refused: Refused, tmp_path: Path):
    assert refused(license="WTFPL").returncode != 0
    assert not list((tmp_path / "out").iterdir())


BAD = [
    ("project_name", 'Say "hello"', "no double quote"),
    ("project_name", "ends in a backslash\\", "no backslash"),
    ("project_name", "two\nlines", "one line of text"),
    ("project_name", "bell\x07", "control"),
    ("project_name", "turned \u202eround", "text-direction"),
    ("project_name", " padded", "no space at either end"),
    ("project_name", "x" * 81, "at most 80 characters; it has 81"),
    ("description", " ", "it is empty"),
    ("description", "{% raw %}{{{% endraw %} braces", "opening marks of a template"),
    ("project_slug", "Capitals", "lower-case letters, digits and single dashes"),
    ("project_slug", "3d-parts", "starting with a letter"),
    ("project_slug", "two--dashes", "single dashes"),
    ("project_slug", "under_score", "single dashes"),
    ("project_slug", "x" * 61, "at most 60 characters"),
    ("project_slug", "com1", "Windows"),
    ("project_slug", "scikit-learn", "uv.lock holds a dependency of this name"),
    ("package_name", "3d_parts", "starting with a letter"),
    ("package_name", "with-dash", "underscores"),
    ("package_name", "größe", "lower-case letters"),
    ("package_name", "class", "no word of Python's own"),
    ("package_name", "match", "no word of Python's own"),
    ("package_name", "json", "standard library"),
    ("package_name", "sklearn", "a dependency is imported by this one"),
    ("package_name", "yaml", "a dependency is imported by this one"),
    ("package_name", "typing_extensions", "a dependency is imported by this one"),
    ("package_name", "nul", "Windows"),
    ("package_name", "tests", "another file or folder"),
    ("author_email", "ada at example.com", "one e-mail address"),
    ("author_email", "ada@example.com, bob@example.com", "one e-mail address"),
    ("github_owner", "-dash-first", "a GitHub user or organisation"),
    ("github_owner", "x" * 40, "at most 39"),
    ("owner_team", "@example-org/ml-team", "the bare name of a team"),
]


@pytest.mark.parametrize(("name", "answer", "expected"), BAD)
def test_a_bad_answer_is_refused(refused: Refused, tmp_path: Path, name: str, answer: str, expected: str):
    done = refused(**{name: answer})
    assert done.returncode != 0
    assert f"  {name}\n    seen " in done.stdout
    assert expected in done.stdout
    assert f"    example   {SPEC[name]}" in done.stdout or name in ("project_slug", "package_name")
    assert not list((tmp_path / "out").iterdir()), "nothing is generated"


def test_all_problems_are_listed_at_once(refused: Refused, tmp_path: Path):
    answers = {
        "project_name": 'a "name"',
        "project_slug": "3-numpy",
        "package_name": "class",
        "description": "two\nlines",
        "author_name": "back\\slash",
        "author_email": "nobody",
        "github_owner": "not/one",
        "owner_team": "@team",
    }
    done = refused(**answers)
    assert done.returncode != 0
    assert "8 things in the answers to mend. Nothing was generated." in done.stdout
    for name, answer in answers.items():
        assert f"  {name}\n    seen      {answer!r}" in done.stdout
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_was_there_is_left_alone(refused: Refused, tmp_path: Path):
    precious = tmp_path / "out" / "class" / "precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("keep")
    assert refused(project_slug="class").returncode != 0
    assert precious.read_text() == "keep"


@pytest.mark.parametrize("slug", ["../outside", "a/b", "{absolute}"])
def test_a_slug_that_leads_elsewhere(refused: Refused, tmp_path: Path, slug: str):
    slug = slug.format(absolute=tmp_path / "absolute")
    done = refused(project_slug=slug)
    assert done.returncode != 0
    assert "single dashes" in done.stdout
    assert not (tmp_path / "out" / slug).exists()


def hostile(marker: Path) -> list[str]:
    """Answers that would write a file if anybody executed them."""
    write = f"open('{marker.as_posix()}','w')"
    return [
        f"'''+str({write})+'''",
        f"'''\n{write}\n'''",
        f"'); {write}; ('",
        f'"""+str({write})+"""',
        f'"); {write}; ("',
        f"\\'+str({write})+\\'",
        f"$(touch {marker.as_posix()})",
        f"`touch {marker.as_posix()}`",
    ]


@pytest.mark.parametrize("which", range(8))
@pytest.mark.parametrize("name", ["project_name", "description", "author_name"])
def test_answers_are_data(refused: Refused, tmp_path: Path, name: str, which: int):
    marker = tmp_path / "m"
    done = refused(**{"project_slug": "quiet", name: hostile(marker)[which]})
    assert not marker.exists(), "the answer was executed"
    if done.returncode == 0:
        answers = json.loads(Project(tmp_path / "out" / "quiet").text(".template.json"))["cookiecutter"]
        assert answers[name] == hostile(marker)[which]
    else:
        assert f"  {name}\n    seen " in done.stdout, "refused for the answer, and for nothing else"
