"""What cannot be made again is refused by name, a dataset is found by its hash, and likeness has three degrees."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from {{cookiecutter.package_name}}.config import load_model
from {{cookiecutter.package_name}}.data.archive import recover
from {{cookiecutter.package_name}}.data.dataset import read
from {{cookiecutter.package_name}}.errors import Exit
from {{cookiecutter.package_name}}.model.artefact import FACTS, FOLDER, PROOF
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.model.proof import Proof
from {{cookiecutter.package_name}}.training import provenance
from {{cookiecutter.package_name}}.training.likeness import Likeness, compare
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project, write_configs


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def commit(project: Project, message: str) -> None:
    git(project.paths.root, "add", "--all")
    git(project.paths.root, "commit", "--quiet", "--allow-empty", "--message", message)


@pytest.fixture(scope="module")
def _committed(_ingested: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = _ingested.copy(tmp_path_factory.mktemp("committed") / "project")
    write_configs(made)
    (made.paths.root / ".gitignore").write_text("/data/\n/var/\n", encoding="utf-8")
    git(made.paths.root, "init", "--quiet", "--initial-branch", "main")
    commit(made, "start")
    ran = made.ml("train", "--config", "configs/hours.yaml")
    assert ran.code == 0, ran.err
    commit(made, "go on")
    return made


@pytest.fixture
def committed(_committed: Project, tmp_path: Path) -> Project:
    """A repository with version hours/1 of its first commit, and one commit more; yours to break."""
    return _committed.copy(tmp_path / "project")


def facts_of(project: Project) -> dict[str, Any]:
    return project.ml("versions", "--json").json["versions"][0]


def refused(project: Project, *words: str, code: int = 1) -> None:
    ran = project.ml("reproduce", "1")
    assert ran.code == code, ran.err
    assert [word for word in words if word not in ran.err] == [], ran.err
    assert "Traceback" not in ran.err


def test_a_version_without_a_commit_is_refused(shared_trained: Project) -> None:
    refused(shared_trained, "hours/1 was trained in a folder that was no git repository")


def test_a_version_that_does_not_exist_is_refused(shared_trained: Project) -> None:
    ran = shared_trained.ml("reproduce", "9")
    assert ran.code == 2 and "hours has no version 9" in ran.err


def test_a_version_of_a_dirty_tree_is_refused(committed: Project) -> None:
    committed.edit("configs/hours.yaml", "seed: 7", "seed: 8")
    assert committed.ml("train", "--config", "configs/hours.yaml").code == 0
    ran = committed.ml("reproduce", "2")
    assert ran.code == 1 and "changes that were not committed, on top of" in ran.err and "recorded nowhere" in ran.err


def test_a_commit_that_is_not_here_is_named(committed: Project) -> None:
    head = facts_of(committed)["git_commit"]
    shutil.rmtree(committed.paths.root / ".git")
    refused(committed, head, "no git repository of its own")
    git(committed.paths.root, "init", "--quiet")
    commit(committed, "another history")
    refused(committed, f"no commit {head}", "git fetch")


def test_a_shallow_clone_is_told_to_fetch_the_rest(committed: Project, tmp_path: Path) -> None:
    root = committed.paths.root
    git(tmp_path, "clone", "--quiet", "--depth", "1", root.as_uri(), "shallow")
    shutil.rmtree(root / ".git")
    shutil.move(tmp_path / "shallow" / ".git", root / ".git")
    refused(committed, f"no commit {facts_of(committed)['git_commit']}", "shallow clone", "git fetch --unshallow")


def test_a_repository_that_git_does_not_read_is_said_in_its_words(committed: Project) -> None:
    (committed.paths.root / ".git" / "HEAD").write_text("nonsense", encoding="utf-8")
    refused(committed, "git does not read this repository", code=4)


def test_a_tree_that_git_cannot_look_at_counts_as_changed(committed: Project) -> None:
    before, _ = provenance.commit(committed.paths)
    (committed.paths.root / ".git" / "index").write_bytes(b"nonsense")
    assert provenance.commit(committed.paths) == (before, True)


def test_a_machine_without_git_is_told_so(committed: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(committed, "git is not installed here", code=4)


def test_a_config_that_the_commit_lacks_is_refused(committed: Project) -> None:
    (committed.paths.root / ".gitignore").write_text("/data/\n/var/\n/mine.yaml\n", encoding="utf-8")
    shutil.copyfile(committed.paths.root / "configs" / "hours.yaml", committed.paths.root / "mine.yaml")
    commit(committed, "ignore mine.yaml")
    assert committed.ml("train", "--config", "mine.yaml").code == 0
    ran = committed.ml("reproduce", "2")
    assert ran.code == 1 and "trained from mine.yaml, which is not in its commit" in ran.err


@pytest.mark.parametrize("variable", [None, "GIT_DIR"])
def test_a_commit_that_cannot_be_installed_is_exit_4(
    committed: Project, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests' project has no pyproject.toml. A git hook sets GIT_DIR, which must not reach the clone."""
    if variable:
        monkeypatch.setenv(variable, str(committed.paths.root / ".git"))
    before = committed.tree("var/serving")
    refused(committed, "cannot be installed for Python", code=4)
    assert committed.tree("var/serving") == before


@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv")
def test_a_python_that_is_not_here_is_exit_4_and_code_that_does_not_train_is_exit_1(
    committed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_OFFLINE", "1")
    project = '[project]\nname = "no-ml"\nversion = "0"\nrequires-python = ">=3.11"\n'
    (committed.paths.root / "pyproject.toml").write_text(project, encoding="utf-8")
    (committed.paths.root / "uv.lock").unlink()
    subprocess.run(["uv", "lock", "--quiet"], cwd=committed.paths.root, check=True)
    commit(committed, "a project without ml")
    assert committed.ml("train", "--config", "configs/hours.yaml").code == 0
    ran = committed.ml("reproduce", "2")
    assert ran.code == 1 and "does not train any more" in ran.err and "Traceback" not in ran.err
    registry = Registry(committed.paths)
    facts = facts_of(committed) | {"python": "3.99"}
    registry.remember(VersionId("hours", 2), "facts", facts)
    ran = committed.ml("reproduce", "2")
    assert ran.code == 4 and "cannot be installed for Python 3.99" in ran.err and "Traceback" not in ran.err


def test_a_dataset_that_is_gone_is_named_with_every_place(committed: Project) -> None:
    facts = facts_of(committed)
    (committed.paths.root / facts["dataset"]).unlink()
    refused(committed, facts["dataset"], facts["dataset_sha256"], "DVC: not set up in this project")


def test_another_file_of_the_same_name_is_not_taken(committed: Project) -> None:
    path = committed.paths.root / facts_of(committed)["dataset"]
    path.write_bytes(bytes(path.stat().st_size))
    refused(committed, "is gone", "another file: sha256")
    path.write_bytes(b"short")
    refused(committed, "is gone", "another file: 5 bytes")


def test_a_dataset_is_found_where_dvc_keeps_it(committed: Project, tmp_path: Path) -> None:
    facts = facts_of(committed)
    kept = committed.paths.root / "data" / "dataset.parquet"
    shutil.move(committed.paths.root / facts["dataset"], kept)
    found = tmp_path / "found.parquet"
    assert recover(facts, committed.paths, found) == "data/dataset.parquet"
    assert found.read_bytes() == kept.read_bytes()
    frozen = read(found, load_model(committed.paths.root / "configs" / "hours.yaml").data, committed.paths)
    assert frozen.digest == facts["dataset_sha256"] and frozen.frame.height == sum(facts["rows"].values())


@pytest.fixture
def dvc(committed: Project, tmp_path: Path) -> Callable[..., None]:
    """DVC set up in the project, with a remote beside it that its config names by a relative path."""

    def run(*arguments: str) -> None:
        command = [sys.executable, "-m", "dvc", *arguments]
        subprocess.run(command, cwd=committed.paths.root, check=True, capture_output=True)

    (tmp_path / "remote").mkdir()
    run("init", "--quiet")
    run("config", "core.analytics", "false")
    run("remote", "add", "--default", "store", "../remote")
    return run


def track(project: Project, dvc: Callable[..., None]) -> dict[str, Any]:
    """Track the dataset with DVC, push it, and lose it from ``data/``. Returns the facts of its version."""
    facts = facts_of(project)
    shutil.move(project.paths.root / facts["dataset"], project.paths.root / "frozen.parquet")
    dvc("add", "--quiet", "frozen.parquet")
    dvc("push", "--quiet")
    (project.paths.root / "frozen.parquet").unlink()
    return facts


@pytest.mark.slow
def test_a_dataset_is_found_in_dvcs_cache_and_then_in_its_remote(
    committed: Project, dvc: Callable[..., None], tmp_path: Path
) -> None:
    facts = track(committed, dvc)
    found = tmp_path / "found.parquet"
    assert recover(facts, committed.paths, found).startswith("DVC's cache")
    shutil.rmtree(committed.paths.root / ".dvc" / "cache")
    found.unlink()
    assert recover(facts, committed.paths, found).startswith("DVC's remote")
    assert committed.tree(".dvc/cache") == {}, "fetched for this once, and not into the project"
    read(found, load_model(committed.paths.root / "configs" / "hours.yaml").data, committed.paths)


@pytest.mark.slow
def test_a_dataset_that_dvc_lost_or_garbled_is_refused(
    committed: Project, dvc: Callable[..., None], tmp_path: Path
) -> None:
    facts = track(committed, dvc)
    shutil.rmtree(committed.paths.root / ".dvc" / "cache")
    kept = next(path for path in (tmp_path / "remote").rglob("*") if path.is_file())
    kept.chmod(0o644)
    kept.write_bytes(bytes(kept.stat().st_size))
    refused(committed, "DVC's cache", "DVC's remote", "another file: sha256")
    kept.unlink()
    refused(committed, facts["dataset_sha256"], "DVC's cache", str(tmp_path / "remote"))
    dvc("remote", "remove", "store")
    refused(committed, "DVC's remote: none is set")


@pytest.mark.slow
def test_a_remote_that_cannot_be_asked_is_exit_4(committed: Project, dvc: Callable[..., None]) -> None:
    track(committed, dvc)
    shutil.rmtree(committed.paths.root / ".dvc" / "cache")
    dvc("remote", "modify", "store", "url", "ssh://127.0.0.1:9/nowhere")
    refused(committed, "DVC cannot be asked for the dataset", code=4)


@pytest.fixture(scope="module")
def placed(_trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version hours/1 as it is recorded."""
    registry = Registry(_trained.paths)
    return registry.fetch(VersionId("hours", 1), tmp_path_factory.mktemp("placed"))


Change = Callable[[dict[str, Any], Proof], None]


def likeness(placed: Path, tmp_path: Path, change: Change) -> Likeness:
    """The record against a copy of it in which ``change`` was made."""
    facts = json.loads((placed / FACTS).read_text(encoding="utf-8"))
    other = Path(shutil.copytree(placed, tmp_path / "other"))
    rebuilt, proof = json.loads(json.dumps(facts)), Proof.read(other / FOLDER / PROOF)
    change(rebuilt, proof)
    proof.write(other / FOLDER / PROOF)
    return compare(facts, placed, rebuilt, other)


def test_the_same_is_identical(placed: Path, tmp_path: Path) -> None:
    said = likeness(placed, tmp_path, lambda facts, proof: None)
    assert said.outcome == "identical" and said.exit is Exit.OK and said.causes == [] and said.largest == 0
    assert "bit for bit" in said.said


def test_noise_in_the_last_bits_is_equal(placed: Path, tmp_path: Path) -> None:
    def change(facts: dict[str, Any], proof: Proof) -> None:
        proof.predictions[3] = np.nextafter(proof.predictions[3], np.inf)
        facts["metrics"]["mae"] *= 1 + 1e-12
        facts["cpu"] = "another one"

    said = likeness(placed, tmp_path, change)
    assert said.outcome == "equal" and said.exit is Exit.OK and said.rows_differing == 1 and 0 < said.largest < 1e-9
    assert "another CPU" in said.causes[0] and said.differences == []


def _prediction(facts: dict[str, Any], proof: Proof) -> None:
    proof.predictions[5] += 0.5


def _feature(facts: dict[str, Any], proof: Proof) -> None:
    proof.features[2, 0] = np.nextafter(proof.features[2, 0], np.inf)


def _nan(facts: dict[str, Any], proof: Proof) -> None:
    proof.predictions[5] = np.nan


def _request(facts: dict[str, Any], proof: Proof) -> None:
    proof.requests[0]["weight_g"] = 17.0


def _refusal(facts: dict[str, Any], proof: Proof) -> None:
    del proof.refusals[0]


def _metric(facts: dict[str, Any], proof: Proof) -> None:
    facts["metrics"]["mae"] += 0.25


def _no_metric(facts: dict[str, Any], proof: Proof) -> None:
    del facts["metrics"]["mae"]


def _seed(facts: dict[str, Any], proof: Proof) -> None:
    facts["config"]["seed"] = 8


def _parameter(facts: dict[str, Any], proof: Proof) -> None:
    facts["config"]["estimator"]["params"]["max_iter"] = 11


def _rows(facts: dict[str, Any], proof: Proof) -> None:
    facts["rows"]["train"] -= 1


@pytest.mark.parametrize(
    ("change", "what", "cause"),
    [
        (_prediction, "predictions rebuilt: 1 of", "nothing that is recorded"),
        (_nan, "predictions rebuilt: 1 of", "nothing that is recorded"),
        (_feature, "features rebuilt: 1 of", "nothing that is recorded"),
        (_request, "the proof holds other rows", "nothing that is recorded"),
        (_refusal, "the proof holds other rows", "nothing that is recorded"),
        (_metric, "metric mae: ", "nothing that is recorded"),
        (_no_metric, "metric mae: None instead of", "nothing that is recorded"),
        (_seed, "config seed: 8 in the commit, 7 in the record", "the config"),
        (_parameter, "config estimator.params.max_iter: 11 in the commit, 10", "the config"),
        (_rows, "train rows: ", "the rows"),
    ],
)
def test_what_differs_is_said_with_its_likely_cause(
    placed: Path, tmp_path: Path, change: Change, what: str, cause: str
) -> None:
    said = likeness(placed, tmp_path, change)
    assert said.outcome == "differs" and said.exit is Exit.SAID_NO
    assert len(said.differences) == 1 and what in said.differences[0]
    assert len(said.causes) == 1 and said.causes[0].startswith(cause)


@pytest.mark.parametrize(
    ("fact", "words"),
    [("lock_sha256", "the lock"), ("python", "another Python"), ("platform", "platform"), ("cpu", "another CPU")],
)
def test_surroundings_that_moved_are_the_likely_cause(placed: Path, tmp_path: Path, fact: str, words: str) -> None:
    def change(facts: dict[str, Any], proof: Proof) -> None:
        facts[fact] = "something else"
        _prediction(facts, proof)

    said = likeness(placed, tmp_path, change)
    assert len(said.causes) == 1 and words in said.causes[0] and "something el" in said.causes[0]
