"""Whoever has only MLflow: the registered artefact loads as pyfunc and serves as it is, with this server's answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from test_api import server, wait_for

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.model import artefact
from {{cookiecutter.package_name}}.model import proof as rule
from {{cookiecutter.package_name}}.paths import registry_uri

from conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="ends a process group")]
MODELS = {"hours": "delivered_hours", "late": "late_probability"}
"""A regression by trees and a linear classification, with what an answer calls its number."""


def plain(request: dict[str, Any]) -> dict[str, Any]:
    """As MLflow takes it: it knows no time zones, and reads all times of a column in one format."""
    when = datetime.fromisoformat(request["created_at"]).astimezone(UTC)
    return request | {"created_at": when.strftime("%Y-%m-%dT%H:%M:%S.%f")}


def proof_of(project: Project, model: str) -> rule.Proof:
    return rule.Proof.read(project.paths.serving / model / "1" / artefact.FOLDER / artefact.PROOF)


def uri_of(project: Project, model: str) -> str:
    return f"models:/{load_operations(project.paths.operations).registered(model)}@champion"


def numbers(predictions: Any) -> np.ndarray:
    """What MLflow says: values, or for a classification the probabilities of no and of yes."""
    said = np.asarray(predictions, dtype=np.float64)
    return said[:, 1] if said.ndim == 2 else said


@pytest.fixture
def both(promoted: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a champion of each model, and an environment in which MLflow finds its registry."""
    assert promoted.overrule("late/1").code == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry_uri(promoted.paths))
    return promoted


@contextmanager
def mlflow_serving(project: Project, model: str) -> Iterator[httpx.Client]:
    """`mlflow models serve` of the champion, unchanged, in this environment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        uri_of(project, model),
        "--env-manager",
        "local",
    ]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=project.paths.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            until = time.monotonic() + 240
            while time.monotonic() < until and process.poll() is None:
                try:
                    if client.get("/ping").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_version_that_is_loaded_as_pyfunc_predicts_what_training_did(both: Project) -> None:
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    for model in MODELS:
        proof = proof_of(both, model)
        rows = pd.DataFrame([plain(request) for request in proof.requests])
        rows["created_at"] = pd.to_datetime(rows["created_at"])
        answers = numbers(mlflow.pyfunc.load_model(uri_of(both, model)).predict(rows))
        assert answers.tolist() == proof.predictions.tolist()


@pytest.mark.parametrize("model", MODELS)
def test_mlflow_models_serve_answers_as_this_server_does(both: Project, model: str) -> None:
    proof = proof_of(both, model)
    requests = proof.requests
    with server(both, "--version", f"{model}/1") as (address, _):
        wait_for(address, f"{model}/1")
        ours = httpx.post(f"{address}/predict", json=requests, timeout=60).json()["predictions"]
    wanted = np.array([answer[MODELS[model]] for answer in ours])

    rows = [plain(request) for request in requests]
    gap = next(n for n, row in enumerate(rows) if row["customer_age_days"] is None)
    columns = list(rows[0])
    bodies = {
        "records": {"dataframe_records": rows},
        "split": {"dataframe_split": {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}},
        "columns": {"inputs": {name: [row[name] for row in rows] for name in columns}},
    }
    with mlflow_serving(both, model) as client:
        for how, body in bodies.items():
            answer = client.post("/invocations", json=body)
            assert answer.status_code == 200, answer.text
            theirs = numbers(answer.json()["predictions"])
            assert rule.compare_predictions(proof, theirs, np.abs(theirs - wanted), how) == []
        for number in (0, gap):
            alone = client.post("/invocations", json={"dataframe_records": [rows[number]]})
            assert numbers(alone.json()["predictions"]) == pytest.approx(wanted[number], rel=rule.RELATIVE)
        heavy = client.post("/invocations", json={"dataframe_records": [rows[0] | {"weight_g": "heavy"}]})
        assert heavy.status_code == 400, "its signature has the contract's types"
