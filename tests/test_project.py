"""A generated project holds up to its own checks: nothing is mended first."""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from conftest import FORTY, Project, commit, git
from surroundings import surroundings

pytestmark = pytest.mark.slow
Repository = Callable[..., Project]


@pytest.fixture(params=[pytest.param({}, id="default"), pytest.param({"project_name": FORTY}, id="forty")])
def project(request: pytest.FixtureRequest, repository: Repository) -> Project:
    return repository(**request.param)


def changes(project: Project) -> str:
    return git(project, "status", "--porcelain")


def test_its_own_checks_pass(project: Project):
    project.run("uv", "sync", "--locked")
    project.run("uv", "run", "--locked", "ruff", "check", ".")
    project.run("uv", "run", "--locked", "ruff", "format", "--check", ".")
    project.run("uv", "run", "--locked", "pyrefly", "check")
    assert not changes(project)


@pytest.mark.xdist_group("own tests")
@pytest.mark.timeout(5000)
def test_its_own_slow_tests_pass_and_leave_nothing_behind(repository: Repository):
    """The fast ones run as a project's CI runs them, under a name of forty letters, in test_workflows.py."""
    project = repository()
    done = project.run("uv", "run", "--locked", "pytest", "-m", "slow", "-q")
    assert " passed" in done.stdout and " failed" not in done.stdout and " error" not in done.stdout
    assert not changes(project)


def test_a_wrong_type_is_found(repository: Repository):
    project = repository()
    assert project.run("uv", "run", "pyrefly", "check", check=False).returncode == 0
    wrong = 'def days(hours: float) -> int:\n    return "many" if hours else days("few")\n'
    (project.path / "src" / "parcel_eta" / "wrong.py").write_text(wrong, encoding="utf-8")
    done = project.run("uv", "run", "pyrefly", "check", check=False)
    assert done.returncode != 0
    assert "wrong.py:2" in done.stdout and "bad-return" in done.stdout and "bad-argument-type" in done.stdout


def with_output(notebook: Path) -> str:
    """A copy of the notebook as somebody leaves it who ran it."""
    book = json.loads(notebook.read_text(encoding="utf-8"))
    cell = next(cell for cell in book["cells"] if cell["cell_type"] == "code")
    cell["execution_count"] = 7
    cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": ["secret 42\n"]}]
    return json.dumps(book, indent=1) + "\n"


def test_hooks_find_nothing_and_strip_what_a_notebook_shows(repository: Repository, tmp_path: Path):
    project = repository()
    hooks = ("uv", "run", "--locked", "pre-commit", "run", "--all-files")
    env = {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    project.run(*hooks, env=env)
    assert not changes(project)

    notebook = project.path / "notebooks" / "01_explore.ipynb"
    clean = notebook.read_bytes()
    notebook.write_text(with_output(notebook), encoding="utf-8")
    done = project.run(*hooks, env=env, check=False)
    assert done.returncode != 0 and "notebooks without outputs" in done.stdout
    assert notebook.read_bytes() == clean
    assert not changes(project)


def test_a_badly_formatted_file_does_not_get_past_the_hooks(repository: Repository, tmp_path: Path):
    project = repository()
    (project.path / "src" / "parcel_eta" / "untidy.py").write_text(
        "import os\nx = {'a':1}\n", encoding="utf-8"
    )
    git(project, "add", "--all")
    env = {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    done = project.run("uv", "run", "--locked", "pre-commit", "run", env=env, check=False)
    assert done.returncode != 0
    assert "`os` imported but unused" in done.stdout and "files were modified by this hook" in done.stdout


def test_a_commit_with_a_secret_is_refused(repository: Repository, tmp_path: Path):
    """The hook, installed as the README of pre-commit says; tests/test_secrets.py has the kinds."""
    project = repository()
    env = {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    project.run("uv", "run", "--locked", "pre-commit", "install", env=env)
    words = "RSA PRIVATE" + " KEY"
    body = "\n".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(25))
    leak = f"-----BEGIN {words}-----\nMII{body}\n-----END {words}-----\n"
    (project.path / "deploy.pem").write_text(leak, encoding="utf-8")
    before = git(project, "rev-parse", "HEAD")
    git(project, "add", "--all")
    who = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    done = project.run("git", *who, "commit", "--message", "Oops", env=env, check=False)
    assert done.returncode != 0 and "no secret in what is committed" in done.stdout
    assert "deploy.pem" in done.stdout and body[:64] not in done.stdout
    assert git(project, "rev-parse", "HEAD") == before


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("notes/picture.bin", 600_000, "notes/picture.bin (586 KB) exceeds 500 KB"),
        ("rows.parquet", 4, "data and models are for DVC"),
        ("src/parcel_eta/model.pkl", 4, "data and models are for DVC"),
    ],
)
def test_data_does_not_get_past_the_hooks(
    repository: Repository, tmp_path: Path, name: str, size: int, said: str
):
    """Not even when it is forced in, or grows after it was committed small."""
    project = repository()
    path = project.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"0")
    commit(project, "Small")
    path.write_bytes(b"0" * size)
    git(project, "add", "--force", name)
    env = {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    done = project.run("uv", "run", "--locked", "pre-commit", "run", env=env, check=False)
    assert done.returncode != 0
    assert said in done.stdout and name in done.stdout


@contextmanager
def serving(project: Project, version: str) -> Iterator[str]:
    """The address of `ml serve --version`, run with what is installed in the project."""
    command = ["uv", "run", "--no-sync", "ml", "serve", "--version", version, "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=project.path,
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().partition("listening on ")[2].partition(",")[0]
    finally:
        process.terminate()
        process.communicate()


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{address}{path}", data=data)) as answer:  # noqa: S310 - our own loopback address
        return json.load(answer)


def test_what_a_server_installs_is_small_and_serves(bake: Callable[..., Project]):
    """No tracking, no training, no DVC: a version that lies on disk is proven and served without them."""
    project = bake()
    project.run("uv", "run", "--locked", "ml", "ingest", "--from", "2026-05-15", "--to", "2026-06-02")
    project.run("uv", "run", "--locked", "ml", "train", "--config", "configs/smoke.yaml")
    project.run("uv", "run", "--locked", "ml", "promote", "smoke/1", "--force", "--reason", "a test")

    project.run("uv", "sync", "--locked", "--no-default-groups")
    listed = project.run("uv", "pip", "list", "--format", "json").stdout
    names = {package["name"] for package in json.loads(listed[listed.index("[") : listed.rindex("]") + 1])}
    assert {"fastapi", "scikit-learn", "parcel-eta"} <= names
    assert not {"mlflow", "mlflow-skinny", "pandas", "polars", "dvc", "matplotlib", "pytest"} & names

    with serving(project, "smoke/1") as address:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with suppress(HTTPError):
                assert ask(address, "/ready") == {"status": "ready", "model_version": "smoke/1"}
                break
            time.sleep(0.2)
        document = ask(address, "/openapi.json")
        body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        answer = ask(address, "/predict", body["examples"]["one row"]["value"])
        assert answer["model_version"] == "smoke/1" and answer["predictions"][0]["delivered_hours"] > 1

    refused = project.run(
        "uv", "run", "--no-sync", "ml", "train", "--config", "configs/smoke.yaml", check=False
    )
    assert refused.returncode == 2
    assert "is not installed here" in refused.stdout and "uv sync" in refused.stdout
    assert "Traceback" not in refused.stdout
