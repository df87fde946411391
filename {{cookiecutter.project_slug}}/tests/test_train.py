"""A training that is killed leaves no half of a version, and is simply run again."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from conftest import Project

PACKAGE = "{{cookiecutter.package_name}}"
KILLED = """
import importlib, os, signal, sys
module, owner, name, when = sys.argv[1:5]
place = getattr(importlib.import_module(module), owner) if owner else importlib.import_module(module)
real = getattr(place, name)
def dies(*arguments, **named):
    if when == "after":
        real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(place, name, dies)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("module", "owner", "name", "when", "registered"),
    [
        (f"{PACKAGE}.data.dataset", "", "_freeze", "after", 0),
        ("mlflow", "", "log_metrics", "after", 0),
        ("mlflow.sklearn", "", "save_model", "after", 0),
        ("mlflow.tracking", "MlflowClient", "log_model_artifacts", "after", 0),
        ("mlflow.tracking", "MlflowClient", "create_model_version", "before", 0),
        ("mlflow.tracking", "MlflowClient", "create_model_version", "after", 1),
    ],
)
def test_a_killed_training_leaves_whole_versions_only(
    ingested: Project, module: str, owner: str, name: str, when: str, registered: int
) -> None:
    code = KILLED + f"from {PACKAGE}.cli import main; sys.exit(main(['train', '--config', 'configs/smoke.yaml']))"
    command = [sys.executable, "-c", code, module, owner, name, when]
    killed = subprocess.run(command, cwd=ingested.paths.root, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    listed = ingested.ml("versions", "--model", "smoke", "--json")
    versions = listed.json["versions"]
    assert len(versions) == registered
    assert all(version["files"] and version["dataset_sha256"] for version in versions)
    again = ingested.ml("train", "--config", "configs/smoke.yaml")
    assert again.code == 0, again.err
    assert f"version smoke/{registered + 1}" in again.out
    for number in range(1, registered + 2):
        assert ingested.overrule(f"smoke/{number}").code == 0


@pytest.mark.slow
def test_mlflows_page_is_offered_for_the_projects_own_registry(
    ingested: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ("train", "--config", "configs/smoke.yaml")
    page = "uv run mlflow ui --backend-store-uri sqlite:///var/registry/mlflow.db"
    assert page in ingested.ml(*train).out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{ingested.paths.root / 'elsewhere.db'}")
    ran = ingested.ml(*train)
    assert ran.code == 0 and "uv run ml gate smoke/1" in ran.out and "mlflow ui" not in ran.out
