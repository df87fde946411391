"""The image: its Dockerfile is clean, and release.yml runs to the end with Docker's part done natively."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from conftest import ROOT, STAND_INS, TEMPLATE, Project, commit, run, run_in_ci

DOCKERFILE = TEMPLATE / "deploy" / "Dockerfile"
STAND_IN = STAND_INS / "docker"
linux = pytest.mark.skipif(sys.platform != "linux", reason="an image is made on Linux")
REVISION = "0123456789abcdef0123456789abcdef01234567"


def hadolint(file: Path) -> subprocess.CompletedProcess[str]:
    return run("uv", "run", "--frozen", "hadolint", "--no-color", str(file), cwd=ROOT, check=False)


def careless(dockerfile: str) -> list[str]:
    """What hadolint does not ask for: a base without digest, root at the end, a shell that keeps signals."""
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", dockerfile, flags=re.M)
    names = {name for _, name in stages}
    found = [
        image for image, _ in stages if image not in names and not re.search(r"@sha256:[0-9a-f]{64}$", image)
    ]
    users = re.findall(r"^USER (.*)$", dockerfile.rpartition("\nFROM ")[2], flags=re.M)
    found += [] if users and re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]) else ["user"]
    last = re.findall(r"^CMD (.*)$", dockerfile, flags=re.M)[-1]
    found += [] if last.startswith("[") and ("sh" not in json.loads(last) or "exec " in last) else ["signals"]
    return found + ([] if re.search(r"^HEALTHCHECK ", dockerfile, flags=re.M) else ["health"])


@linux
def test_the_dockerfile_is_clean(tmp_path: Path):
    assert hadolint(DOCKERFILE).returncode == 0
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert careless(text) == []
    wrong = re.sub(r"@sha256:\w+", "", text).replace("USER 10001:10001", "USER root").replace("exec ml", "ml")
    wrong = wrong.replace("uv==", "uv>=").replace("HEALTHCHECK", "# HEALTHCHECK")
    (tmp_path / "Dockerfile").write_text(wrong, encoding="utf-8")
    said = hadolint(tmp_path / "Dockerfile")
    assert said.returncode != 0 and "DL3002" in said.stdout and "DL3013" in said.stdout
    assert [word.partition(":")[0] for word in careless(wrong)] == ["python", "user", "signals", "health"]


def release(project: Project, state: Path, *told: str) -> subprocess.CompletedProcess[str]:
    """Run release.yml for `smoke/1` as GitHub would; ``told`` comes first."""
    values = {
        "inputs.version": "smoke/1",
        "secrets.MLFLOW_TRACKING_URI": f"sqlite:///{project.path}/var/registry/mlflow.db",
        "secrets.MLFLOW_TRACKING_TOKEN": "",
        "github.actor": "ada",
        "github.token": "made up",
        "github.repository": "Example-Org/parcel-eta",
        "github.sha": REVISION,
    }
    values |= dict(pair.split("=", 1) for pair in told)
    return run_in_ci(project, "release.yml", values, stand_in=STAND_IN, state=state)


def calls(state: Path) -> list[list[str]]:
    file = state / "calls.jsonl"
    return (
        [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    )


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def ask(path: str, body: Any = None, port: int = 8000) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", data=data), timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def trained(repository: Callable[..., Project]) -> Project:
    """A repository with version smoke/1 in its registry, which is not committed."""
    project = repository()
    project.run("uv", "run", "--locked", "ml", "ingest", "--from", "2026-05-15", "--to", "2026-06-02")
    project.run("uv", "run", "--locked", "ml", "train", "--config", "configs/smoke.yaml")
    return project


@linux
@pytest.mark.slow
@pytest.mark.xdist_group("image")
def test_a_version_is_released_and_serves(trained: Project, tmp_path: Path):
    state = tmp_path / "stand-ins"
    done = release(trained, state)
    assert done.returncode == 0, done.stdout
    assert "stand-in docker" in done.stdout
    assert "Python packages, " in done.stdout and "model smoke/1" in done.stdout
    assert "summary  Published `ghcr.io/example-org/parcel-eta/smoke@sha256:" in done.stdout
    image = "ghcr.io/example-org/parcel-eta/smoke:1"
    asked = calls(state)
    assert [call[0] for call in asked] == ["build", "run", "run", "login", "push", "inspect"]
    assert f"org.opencontainers.image.revision={REVISION}" in asked[0]
    assert asked[1][-4:] == ["-m", "parcel_eta.serving.worker", "verify", "smoke/1"] and image in asked[1]
    assert asked[4] == ["push", image]
    assert "made up" not in json.dumps(asked) + done.stdout

    (made,) = (state / "images").iterdir()
    app, said = made / "app", json.loads((made / "image.json").read_text(encoding="utf-8"))
    assert {path.name for path in app.iterdir()} == {".venv", "operations.yaml", "var"}
    assert said["user"] == "10001:10001"
    libraries = {
        path.name.partition("-")[0] for path in app.glob(".venv/lib/python*/site-packages/*.dist-info")
    }
    assert {"fastapi", "scikit_learn", "parcel_eta"} <= libraries
    assert not {"mlflow", "polars", "dvc", "pytest", "pip", "uv"} & libraries
    starts(app, state, image, said["healthcheck"])


def starts(app: Path, state: Path, image: str, healthcheck: list[str]) -> None:
    """The image's own command, in its own environment: it becomes ready, answers, drains.

    Here it can write, other than in the image: what it may do without is a verdict and the prediction log.
    """

    def code_and_version() -> dict[str, str]:
        return {
            name: sha256
            for name, sha256 in tree(app).items()
            if not name.startswith("var/serving/journal/") and not name.endswith("/proven.json")
        }

    before = code_and_version()
    env = {"PATH": os.environ["PATH"], "STAND_INS": str(state)}
    server = subprocess.Popen([str(STAND_IN), "run", image], env=env, stdout=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and server.poll() is None:
            with suppress(URLError):
                assert ask("/ready") == {"status": "ready", "model_version": "smoke/1"}
                break
            time.sleep(0.2)
        document = ask("/openapi.json")
        body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        answer = ask("/predict", body["examples"]["one row"]["value"])
        assert answer["model_version"] == "smoke/1" and answer["predictions"][0]["delivered_hours"] > 1
        run(str(STAND_IN), "run", image, *healthcheck, cwd=state, env=env)
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert server.returncode in (0, -15), "the server got the signal and left by itself"
    assert code_and_version() == before
    assert run(str(STAND_IN), "run", image, *healthcheck, cwd=state, env=env, check=False).returncode != 0


@linux
@pytest.mark.slow
@pytest.mark.xdist_group("image")
def test_what_must_not_be_published_is_not(trained: Project, tmp_path: Path):
    """No registry, no such version, a proof that does not hold in the image: nothing is pushed."""
    alone = release(trained, tmp_path / "alone", "secrets.MLFLOW_TRACKING_URI=")
    assert alone.returncode == 4 and "no shared registry" in alone.stdout
    for odd in ("smoke/7", "1; touch hacked", "$(touch hacked)"):
        unknown = release(trained, tmp_path / "unknown", f"inputs.version={odd}")
        assert unknown.returncode == 2 and "FAILED   image / Fetch the version" in unknown.stdout
    assert calls(tmp_path / "alone") == calls(tmp_path / "unknown") == []

    # in the image another code answers than the one that trained
    text = trained.text("src/parcel_eta/model/version.py")
    assert text.count("self._way[0](matrix), dtype") == 1
    wrong = text.replace("self._way[0](matrix), dtype", "self._way[0](matrix) + 1e-3, dtype")
    (trained.path / "src/parcel_eta/model/version.py").write_text(wrong, encoding="utf-8")
    broken = trained.text("ci/place.py").replace("said = worker.verify(version, paths)", 'said = "not asked"')
    (trained.path / "ci/place.py").write_text(broken, encoding="utf-8")
    commit(trained, "Answer something else")
    refused = release(trained, tmp_path / "refused")
    assert refused.returncode == 1 and "FAILED   image / Replay the proof in the image" in refused.stdout
    assert [call[0] for call in calls(tmp_path / "refused")] == ["build", "run"]
