"""A project's retrain.yml: the weekly challenger as a pull request, and what merging it does.

Stood in for: `gh` (tests/stand_ins/gh keeps pull requests in a file), and GitHub's copy of the repository,
which is the project's folder. Storage is a folder, the shared registry a real MLflow server on loopback.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from conftest import STAND_INS, Project, commit, free_port, git, run_in_ci

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the runner is for steps written for bash on Linux"),
]


def retrain(project: Project, state: Path, event: str, registry: str = "", day: str = "") -> str:
    """retrain.yml on what is committed; what it printed."""
    values = {
        "github.event_name": event,
        "github.sha": git(project, "rev-parse", "HEAD").strip(),
        "github.token": "stand-in",
        "inputs.day": day,
        "secrets.MLFLOW_TRACKING_URI": registry,
        "env.MLFLOW_TRACKING_URI": registry,
        "secrets.AWS_ACCESS_KEY_ID": "",
        "secrets.AWS_SECRET_ACCESS_KEY": "",
    }
    gh = STAND_INS / "gh"
    return run_in_ci(project, "retrain.yml", values, stand_in=gh, state=state, check=True).stdout


def pulls(state: Path) -> list[dict[str, str]]:
    return json.loads((state / "github.json").read_text("utf-8"))["pulls"]


@contextmanager
def shared_registry(project: Project, folder: Path) -> Iterator[str]:
    """An MLflow server with a database and a store of its own."""
    port = free_port()
    folder.mkdir()
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder)]
    mlflow = str(project.path / ".venv" / "bin" / "mlflow")
    command = [mlflow, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *store]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            for _ in range(240):
                try:
                    urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                    break
                except (URLError, OSError):
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def test_a_challenger_is_proposed_and_promoted_when_it_is_merged(
    repository: Callable[..., Project], tmp_path: Path
):
    project, state = repository(), tmp_path / "github"
    config = project.path / ".dvc" / "config"
    text = re.sub(r"url = .*", f"url = {tmp_path / 'storage'}", config.read_text(encoding="utf-8"))
    config.write_text(text, encoding="utf-8")
    commit(project, "Storage of our own")

    said = retrain(project, state, "schedule", day="2026-05-31")
    assert "no earlier model in the DVC remote" in said
    assert "summary  ### Gate: FIRST" in said
    [pull] = pulls(state)
    assert pull["head"] == "retrain" and pull["base"] == "main" and "### Gate: FIRST" in pull["body"]
    changed = set(git(project, "diff", "--name-only", "main...retrain").split())
    assert {"dvc.lock", "docs/model_card.md", "reports/gate.md", "evaluation/metrics.json"} <= changed
    assert [name for name in changed if name.startswith("reports/figures/") and name.endswith(".png")]
    assert not [name for name in changed if name.endswith((".parquet", ".pkl"))]
    assert "skipped  promote / Register, gate, promote" in said, "nobody has merged it"

    git(project, "merge", "--quiet", "--ff-only", "retrain")
    said = retrain(project, state, "push")
    assert "no shared registry" in said and "nothing was promoted" in said
    assert "skipped  promote / Register, gate, promote" in said

    with shared_registry(project, tmp_path / "registry") as registry:
        said = retrain(project, state, "push", registry=registry)
        assert "ok       promote / Register, gate, promote" in said
        env = {"MLFLOW_TRACKING_URI": registry}
        served = json.loads(project.run("uv", "run", "ml", "versions", "--json", env=env).stdout)["history"]
        assert [(move["version"], move["gate"]) for move in served] == [("hours/1", "FIRST")]
        assert served[0]["why"].startswith("merged as ")

    again = retrain(project, state, "workflow_dispatch", day="2026-06-07")
    assert "no earlier model" not in again and re.search(r"summary  ### Gate: (PASS|FAIL)", again)
    assert len(pulls(state)) == 1, "the same pull request, its text renewed"
    assert "against build/before" in pulls(state)[0]["body"]
