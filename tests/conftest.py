"""Bake projects, and run things in them."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.main import cookiecutter
from surroundings import surroundings

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
RUNNER = ROOT / "scripts" / "run_workflow.py"
STAND_INS = ROOT / "tests" / "stand_ins"
SPEC: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
PROMPTS = [name for name in SPEC if not name.startswith("_")]
FORTY = "a-project-whose-name-has-forty-letters-x"
MADE_BY_RUNNING = {".venv", ".git", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis"}


@dataclass(frozen=True)
class Project:
    """A generated project."""

    path: Path

    def files(self) -> list[str]:
        """What was generated, as sorted paths with forward slashes; what running it made is left out."""
        inside = (path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file())
        generated = (path for path in inside if not MADE_BY_RUNNING & set(path.parts))
        return sorted(path.as_posix() for path in generated if path.parts[0] not in ("data", "var"))

    def text(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """With this machine's environment less the harness's own; output in one piece."""
        return run(*command, cwd=self.path, env=env, check=check)


def run(
    *command: str, cwd: Path, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    merged = surroundings() | {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"} | dict(env or {})
    done = subprocess.run(
        command,
        cwd=cwd,
        env=merged,
        text=True,
        encoding="utf-8",
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if check and done.returncode:
        pytest.fail(
            f"`{' '.join(command)}` left with {done.returncode} in {cwd}:\n{done.stdout}", pytrace=False
        )
    return done


def run_in_ci(
    project: Project,
    name: str,
    values: Mapping[str, str] | None = None,
    *,
    job: str = "",
    stand_in: Path | Sequence[Path] = (),
    state: Path | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a workflow's `run:` steps on what is committed; ``values`` are what its expressions have on GitHub.

    ``stand_in`` plays the program of its name, or several do; those in STAND_INS keep what they were asked in
    ``state``.
    """
    options = [word for key, value in (values or {}).items() for word in ("--set", f"{key}={value}")]
    options += ["--job", job] if job else []
    programs = [stand_in] if isinstance(stand_in, Path) else stand_in
    options += [word for one in programs for word in ("--stand-in", f"{one.name}={one}")]
    env = {}
    if state:
        state.mkdir(exist_ok=True)
        env = {"STAND_INS": str(state)}
    command = [sys.executable, str(RUNNER), str(project.path), name, *options]
    return run(*command, cwd=ROOT, env=env, check=check)


def known(answers: Mapping[str, str]) -> dict[str, str]:
    """cookiecutter ignores an answer to a prompt that does not exist; a test must not."""
    unknown = sorted(set(answers) - set(PROMPTS))
    if unknown:
        raise KeyError(f"no such prompt: {', '.join(unknown)}; there are {', '.join(PROMPTS)}")
    return dict(answers)


def bake_into(folder: Path, answers: Mapping[str, str]) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    # cookiecutter's own files go there too: the user's settings are neither read nor written.
    settings = {"replay_dir": f"{folder}-replay", "cookiecutters_dir": f"{folder}-templates"}
    made = cookiecutter(
        str(ROOT),
        no_input=True,
        extra_context=known(answers),
        output_dir=str(folder),
        default_config=settings,  # pyrefly: ignore[bad-argument-type]  (a mapping is fine: its docs say so)
    )
    return Project(Path(made))


Bake = Callable[..., Project]


@pytest.fixture
def bake(tmp_path: Path) -> Bake:
    """bake(project_name="…") generates a project of the test's own."""
    number = itertools.count()
    return lambda **answers: bake_into(tmp_path / f"bake{next(number)}", answers)


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """refused(project_slug="…") asks cookiecutter as a person does; what it makes lands in tmp_path/out."""

    def ask(**answers: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "out").mkdir(exist_ok=True)
        settings = tmp_path / "settings.yaml"
        settings.write_text(f"replay_dir: '{tmp_path}/replay'\ncookiecutters_dir: '{tmp_path}/templates'\n")
        options = ["--no-input", "--config-file", str(settings), "--output-dir", str(tmp_path / "out")]
        pairs = [f"{name}={value}" for name, value in known(answers).items()]
        return run(
            sys.executable, "-m", "cookiecutter", *options, str(ROOT), *pairs, cwd=tmp_path, check=False
        )

    return ask


def clean_copy(folder: Path) -> Path:
    """The template as a clone of it would be: without what running it made."""
    left_out = shutil.ignore_patterns(*MADE_BY_RUNNING, "scratch", ".tools")
    return Path(shutil.copytree(ROOT, folder, ignore=left_out))


@pytest.fixture(scope="session")
def default(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with the default answers. Look, do not touch."""
    return bake_into(tmp_path_factory.mktemp("default"), {})


@pytest.fixture(scope="session")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with the default answers and its environment. Look, do not touch."""
    project = bake_into(tmp_path_factory.mktemp("synced"), {})
    project.run("uv", "sync", "--locked")
    return project


@pytest.fixture
def repository(bake: Bake) -> Callable[..., Project]:
    """repository(project_name="…") is a project of the test's own, with git and its environment."""

    def start(**answers: str) -> Project:
        project = bake(**answers)
        project.run("uv", "sync", "--locked")
        git(project, "init", "--quiet", "--initial-branch", "main")
        commit(project, "Start")
        return project

    return start


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The template as a clone of it would be."""
    return clean_copy(tmp_path / "checkout")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def git(project: Project, *words: str) -> str:
    """Whoever runs the tests, and whatever their git is set to."""
    who = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    return project.run("git", *who, *words).stdout


def commit(project: Project, message: str) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--no-verify", "--message", message)


def pytest_configure() -> None:
    """The package is linted where it lies; the caches of that would be generated into every project."""
    for cache in ("__pycache__", ".pytest_cache", ".ruff_cache"):
        for left in list(TEMPLATE.rglob(cache)):
            shutil.rmtree(left, ignore_errors=True)
    asked, running = os.environ.get("UV_PYTHON", ""), f"{sys.version_info.major}.{sys.version_info.minor}"
    if asked[:1].isdigit() and not f"{asked}.".startswith(f"{running}."):
        pytest.exit(f"UV_PYTHON asks for {asked}, and this is {running}", returncode=4)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh", action="store_true", help="accept the list of files that a project has")
