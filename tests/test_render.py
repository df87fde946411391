"""What is generated: the files that are expected, whole, clean and the same each time, whatever the names."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import FORTY, ROOT, SPEC, TEMPLATE, Bake, Project, bake_into, run

GOLDEN = Path(__file__).parent / "expected_files.txt"
MOST_FILES, MOST_LINES, LONGEST_PATH = 335, 250, 100
LEFT_OVER = re.compile(r"cookiecutter\.[a-z_]|\{%")
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}

ODD: dict[str, dict[str, str]] = {
    "one-word": {"project_name": "ETA"},
    "forty": {"project_name": FORTY},
    "sixty": {"project_slug": "s" * 60, "project_name": "n" * 80},
    "apostrophe": {"project_name": "O'Neill's parcels", "author_name": "Seán O'Neill"},
    "umlaut": {"project_name": "Größenschätzung Köln", "author_name": "Jürgen Groß"},
    "emoji": {"description": "Predicts 📦 → 🏠 & <more>: 'soon' # or late, 100 % sure", "project_name": "📦"},
    "yaml-words": {
        "project_name": "No",
        "description": "yes: - [x] {y} *z &w !v | > @ ` %",
        "owner_team": "null",
    },
    "sorts-last": {"project_slug": "zz-top", "package_name": "zz_top"},
}


@pytest.fixture(scope="session", params=ODD)
def odd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, dict[str, str]]:
    """A project with odd names, and the answers that were given."""
    return bake_into(tmp_path_factory.mktemp("odd"), ODD[request.param]), ODD[request.param]


def contents(project: Project) -> dict[str, bytes]:
    return {name: (project.path / name).read_bytes() for name in project.files()}


def parsed(project: Project) -> dict[str, Any]:
    """Every file whose format can be checked, read as what its name says."""
    readers = {
        (".toml", ".lock"): tomllib.loads,
        (".json", ".ipynb"): json.loads,
        (".yaml", ".yml"): yaml.safe_load,
        (".py",): ast.parse,
    }
    return {
        name: read(project.text(name))
        for name in project.files()
        for endings, read in readers.items()
        if name.endswith(endings)
    }


def test_expected_files(default: Project, request: pytest.FixtureRequest):
    """These files and no others. `make golden` accepts a change."""
    files = "".join(f"{name}\n" for name in default.files())
    if request.config.getoption("--refresh"):
        GOLDEN.write_text(files, encoding="utf-8", newline="\n")
    assert files == GOLDEN.read_text(encoding="utf-8")


def test_a_person_can_read_it_in_a_day(default: Project):
    files = default.files()
    assert len(files) <= MOST_FILES
    long = {n: len(default.text(n).splitlines()) for n in files if n.startswith("src/") and n.endswith(".py")}
    assert not {name: lines for name, lines in long.items() if lines > MOST_LINES}


def test_no_jinja_is_left(odd: tuple[Project, dict[str, str]]):
    project, _ = odd
    assert not [name for name, body in contents(project).items() if LEFT_OVER.search(body.decode("utf-8"))]


def test_left_over_jinja_would_be_seen():
    assert LEFT_OVER.search('name = "{{ cookiecutter.project_slug }}"') and LEFT_OVER.search("{% if x %}")
    assert not LEFT_OVER.search("if: ${{ github.ref }}") and not LEFT_OVER.search('f"{{{name}}}"')


def test_no_jinja_in_the_package():
    """It is copied, not rendered: what is linted and read in the template is what runs."""
    assert "src/*.py" in SPEC["_copy_without_render"]
    package = TEMPLATE / "src" / "{{cookiecutter.package_name}}"
    sources = {
        path.relative_to(package).as_posix(): path.read_text("utf-8") for path in package.rglob("*.py")
    }
    assert not [name for name, source in sources.items() if LEFT_OVER.search(source)]
    absolute = re.compile(r"^\s*(from|import) parcel_eta\b", flags=re.M)
    assert not [name for name, source in sources.items() if absolute.search(source)], "imports are relative"


def test_what_names_no_answer_is_copied_as_it_is(default: Project):
    """Braces of other languages (f-strings, workflows, templates of a shell) come through untouched."""
    for path in TEMPLATE.rglob("*"):
        name = path.relative_to(TEMPLATE).as_posix()
        generated = default.path / name.replace("{{cookiecutter.package_name}}", "parcel_eta")
        if generated.is_file() and b"cookiecutter." not in path.read_bytes():
            assert generated.read_bytes() == path.read_bytes(), name


def test_two_bakes_are_byte_identical(default: Project, bake: Bake):
    again = bake()
    assert contents(default) == contents(again)
    assert all((default.path / n).stat().st_mode == (again.path / n).stat().st_mode for n in default.files())


def test_names_and_line_ends_work_on_every_platform(odd: tuple[Project, dict[str, str]]):
    project, _ = odd
    folded = [name.lower() for name in project.files()]
    assert len(set(folded)) == len(folded), "two names differ by case only"
    for name, body in contents(project).items():
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", name), name
        assert len(name) <= LONGEST_PATH, name
        for part in Path(name).parts:
            assert part.split(".")[0].lower() not in DEVICES and not part.endswith("."), name
        assert b"\r" not in body, name
        assert not body or body.endswith(b"\n"), f"{name} ends without a line end"


def test_odd_names_still_parse_and_say_the_right_thing(odd: tuple[Project, dict[str, str]]):
    project, given = odd
    files = parsed(project)
    answers = files[".template.json"]["cookiecutter"]
    assert given.items() <= answers.items()
    about = files["pyproject.toml"]["project"]
    assert about["name"] == answers["project_slug"] == project.path.name
    assert about["description"] == answers["description"]
    assert about["authors"] == [{"name": answers["author_name"], "email": answers["author_email"]}]
    assert about["scripts"] == {"ml": f"{answers['package_name']}.cli:app"}
    own = [package for package in files["uv.lock"]["package"] if package["source"] == {"editable": "."}]
    assert [package["name"] for package in own] == [answers["project_slug"]]


def test_odd_names_are_lint_and_format_clean(odd: tuple[Project, dict[str, str]]):
    """The name moves imports and line breaks; the rules must not mind."""
    project, _ = odd
    run(sys.executable, "-m", "ruff", "check", "--no-cache", ".", cwd=project.path)
    run(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", ".", cwd=project.path)


NO_NETWORK = """
import socket

def refuse(*args, **kwargs):
    raise RuntimeError("the network was used")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def sealed(folder: Path) -> dict[str, str]:
    """An environment in which Python, hooks included, has no network, and there is no program to start."""
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    (folder / "nothing").mkdir()
    return {"PYTHONPATH": str(folder), "PATH": str(folder / "nothing"), "HOME": str(folder)}


def test_generation_uses_neither_network_nor_programs(tmp_path: Path):
    env = sealed(tmp_path)
    options = ["--no-input", "--default-config", "--output-dir", str(tmp_path)]
    done = run(sys.executable, "-m", "cookiecutter", *options, str(ROOT), cwd=tmp_path, env=env)
    assert (tmp_path / "parcel-eta" / "pyproject.toml").is_file()
    assert not (tmp_path / "parcel-eta" / ".git").exists()
    assert [line.strip()[:20] for line in done.stdout.splitlines() if line.startswith("  ")] == [
        "cd parcel-eta",
        "uv run ml demo      ",
        "git init -b main && ",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import subprocess; subprocess.run(['git'])",
    ],
)
def test_the_seal_holds(tmp_path: Path, code: str):
    done: subprocess.CompletedProcess[str] = run(
        sys.executable, "-c", code, cwd=tmp_path, env=sealed(tmp_path), check=False
    )
    assert "the network was used" in done.stdout or "FileNotFoundError" in done.stdout
