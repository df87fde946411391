"""The API as a client meets it: predictions, versions, readiness, and an answer to everything that is not a request."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import point, server, wait_for

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.errors import ProjectError
from {{cookiecutter.package_name}}.model import artefact
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.model.version import ModelVersion
from {{cookiecutter.package_name}}.serving import worker
from {{cookiecutter.package_name}}.serving.app import create_app
from {{cookiecutter.package_name}}.serving.pointer import Pointer
from {{cookiecutter.package_name}}.serving.serve import bind, serve
from {{cookiecutter.package_name}}.serving.shelf import Shelf
from {{cookiecutter.package_name}}.serving.worker import open_placed
from {{cookiecutter.package_name}}.training import tracking
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project, write_configs

PACKAGE = "{{cookiecutter.package_name}}"


def client_of(project: Project, shelf: Shelf) -> TestClient:
    operations = load_operations(project.paths.operations)
    return TestClient(create_app(shelf, project.paths, operations, follow=False))


def shelf_of(project: Project) -> Shelf:
    return Shelf(project.paths, load_operations(project.paths.operations))


@pytest.fixture
def proof_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay proofs here instead of in a process that imports scikit-learn again; test_proof.py covers the process."""
    monkeypatch.setattr(worker, "proven", lambda version, paths: (str(open_placed(version, paths)[1]), None))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, _trained: Project) -> tuple[TestClient, dict[str, Any]]:
    """A client of a server whose champion is hours/1, and the example of its contract."""
    project = _trained.copy(tmp_path_factory.mktemp("served") / "project")
    point(project, "hours/1")
    Registry(project.paths).fetch(VersionId("late", 1))
    shelf = shelf_of(project)
    shelf.champion = open_placed(VersionId("hours", 1), project.paths)[0]
    return client_of(project, shelf), shelf.champion.request.example()


def test_one_row_and_many_rows_are_answered_with_version_and_request_id(
    served: tuple[TestClient, dict[str, Any]],
) -> None:
    client, example = served
    one = client.post("/predict", json=example)
    assert one.status_code == 200
    assert one.json()["model_version"] == "hours/1"
    assert one.json()["request_id"] == one.headers["x-request-id"]
    slower = example | {"service": "economy", "promised_hours": 96.0}
    first, second = client.post("/predict", json=[example, slower]).json()["predictions"]
    assert first == one.json()["predictions"][0]
    assert second["delivered_hours"] > first["delivered_hours"]


def test_a_request_id_is_taken_over_when_it_is_harmless(served: tuple[TestClient, dict[str, Any]]) -> None:
    client, example = served
    assert client.post("/predict", json=example, headers={"X-Request-ID": "abc-123"}).json()["request_id"] == "abc-123"
    odd = client.post("/predict", json=example, headers={"X-Request-ID": 'a"b<script>'}).json()["request_id"]
    assert odd.isalnum() and len(odd) == 32


def test_nullable_fields_and_the_key_may_be_left_out(served: tuple[TestClient, dict[str, Any]]) -> None:
    client, example = served
    short = {name: value for name, value in example.items() if name not in ("customer_age_days", "parcel_id")}
    explicit = short | {"customer_age_days": None}
    answers = [client.post("/predict", json=row) for row in (short, explicit)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["predictions"] == answers[1].json()["predictions"]


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"weight_g": 99_999_999}, "weight_g", "range"),
        ({"weight_g": "heavy"}, "weight_g", "type"),
        ({"weight_g": None}, "weight_g", "type"),
        ({"weight_g": float("nan")}, "weight_g", "range"),
        ({"distance_km": float("inf")}, "distance_km", "range"),
        ({"service": "overnight"}, "service", "not_allowed"),
        ({"fragile": 1}, "fragile", "type"),
        ({"created_at": "2026-06-01T09:30:00"}, "created_at", "type"),
        ({"created_at": "yesterday"}, "created_at", "type"),
        ({"depot": "x" * 41}, "depot", "range"),
        ({"colour": "red"}, "colour", "unknown"),
    ],
)
def test_a_row_that_breaks_the_contract_is_422_with_the_field_named_and_no_input_repeated(
    served: tuple[TestClient, dict[str, Any]], change: dict[str, Any], field: str, reason: str
) -> None:
    client, example = served
    answer = client.post("/predict", content=json.dumps([example, example | change]))
    assert answer.status_code == 422
    said = answer.json()["error"]
    assert [(item["row"], item["field"], item["reason"]) for item in said["fields"]] == [(1, field, reason)]
    assert said["fields"][0]["expected"]
    assert "99999999" not in answer.text and "heavy" not in answer.text and "yesterday" not in answer.text


def test_a_missing_field_is_named(served: tuple[TestClient, dict[str, Any]]) -> None:
    client, example = served
    del (row := dict(example))["distance_km"]
    fields = client.post("/predict", json=row).json()["error"]["fields"]
    assert [(item["field"], item["reason"]) for item in fields] == [("distance_km", "missing")]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"3", b'"x"', b"[1]", b"[[]]", b"\xff\xfe", b"{}" * 2, b"[" * 5000]
)
def test_what_is_no_request_is_422_and_never_500(served: tuple[TestClient, dict[str, Any]], body: bytes) -> None:
    answer = served[0].post("/predict", content=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "contract"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    field=st.sampled_from(["weight_g", "created_at", "depot", "service", "fragile", "parcel_id", "no_such"]), value=JSON
)
def test_any_json_in_any_field_is_answered_200_or_422(
    served: tuple[TestClient, dict[str, Any]], field: str, value: Any
) -> None:
    client, example = served
    answer = client.post("/predict", content=json.dumps(example | {field: value}).encode())
    assert answer.status_code in (200, 422), answer.text


@pytest.mark.usefixtures("proof_in_process")
@pytest.mark.parametrize("failure", [ValueError("secret detail"), float("nan"), float("inf")])
def test_a_model_that_fails_on_a_row_is_503_and_says_nothing_of_its_inside(
    served: tuple[TestClient, dict[str, Any]], failure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, example = served
    assert client.post("/versions/late/1/predict", json=example).status_code == 200

    def fails(self: ModelVersion, matrix: np.ndarray) -> np.ndarray:
        if isinstance(failure, Exception):
            raise failure
        return np.full(len(matrix), failure)

    monkeypatch.setattr(ModelVersion, "score", fails)
    answer = client.post("/predict", json=example)
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "no_prediction"
    assert "secret" not in answer.text


def test_too_many_rows_and_too_many_bytes_are_413(served: tuple[TestClient, dict[str, Any]]) -> None:
    client, example = served
    rows = client.post("/predict", json=[example] * 1001)
    assert rows.status_code == 413 and rows.json()["error"]["code"] == "too_many_rows"
    big = client.post("/predict", content=b" " * (1024 * 1024 + 1))
    assert big.status_code == 413 and big.json()["error"]["code"] == "too_large"


@pytest.mark.usefixtures("proof_in_process")
def test_another_version_answers_by_its_id(served: tuple[TestClient, dict[str, Any]]) -> None:
    client, example = served
    late = client.post("/versions/late/1/predict", json=example)
    assert late.status_code == 200, late.text
    answer = late.json()["predictions"][0]
    assert answer["late"] is (answer["late_probability"] >= 0.5)
    assert late.json()["model_version"] == "late/1"
    assert client.post("/versions/1/predict", json=example).json()["model_version"] == "hours/1"
    assert "late/1" in client.get("/version").json()["loaded"]


@pytest.mark.parametrize("version", ["99", "late/99", "nobody/1", "x", "0", "..%2F..%2Fetc"])
def test_a_version_that_does_not_exist_is_404_and_what_serves_stays(
    served: tuple[TestClient, dict[str, Any]], version: str
) -> None:
    client, example = served
    answer = client.post(f"/versions/{version}/predict", json=example)
    assert answer.status_code == 404
    assert client.post("/predict", json=example).json()["model_version"] == "hours/1"


def test_version_says_where_the_champion_comes_from(served: tuple[TestClient, dict[str, Any]]) -> None:
    said = served[0].get("/version").json()["serving"]
    assert said["version"] == "hours/1" and said["contract_version"] == "1"
    assert {"git_commit", "dataset_sha256", "lock_sha256", "metrics", "run_id", "window", "python"} <= set(said)


def test_the_description_has_the_contracts_fields_and_an_example_that_works(
    served: tuple[TestClient, dict[str, Any]],
) -> None:
    client, _ = served
    document = client.get("/openapi.json").json()
    row = document["components"]["schemas"]["Row"]
    assert row["properties"]["weight_g"]["maximum"] == 70_000
    assert row["properties"]["service"]["enum"] == ["express", "standard", "economy"]
    assert row["additionalProperties"] is False
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.post("/predict", json=body["examples"]["one row"]["value"]).status_code == 200
    assert client.get("/docs").status_code == 200


def test_other_routes_answer_in_the_same_form(served: tuple[TestClient, dict[str, Any]]) -> None:
    client, _ = served
    assert client.get("/nowhere").json()["error"]["code"] == "no_such_route"
    assert client.get("/predict").status_code == 405
    assert client.get("/health").json() == {"status": "ok"}


def test_before_the_first_model_ready_says_what_is_missing(project: Project) -> None:
    shelf = shelf_of(project)
    client = client_of(project, shelf)
    assert shelf.follow() is False
    ready = client.get("/ready")
    assert ready.status_code == 503 and "uv run ml promote 1" in ready.json()["reason"]
    assert client.post("/predict", json={}).status_code == 503
    assert client.get("/health").status_code == 200


@pytest.mark.usefixtures("proof_in_process")
def test_the_champion_is_followed_and_a_version_that_fails_its_proof_is_refused(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = shelf_of(trained)
    client = client_of(trained, shelf)
    assert shelf.follow() is False
    point(trained, "hours/1")
    assert shelf.follow() is True
    assert shelf.follow() is False, "nothing new"
    assert client.get("/ready").json()["model_version"] == "hours/1"

    assert trained.ml("train", "--config", "configs/hours.yaml").code == 0
    point(trained, "hours/2")

    def fails(version: VersionId, _: Any) -> str:
        raise ProjectError(f"version {version} refused: proof failed", exit=1)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(worker, "proven", fails)
        assert shelf.follow() is False
    assert client.get("/ready").json()["model_version"] == "hours/1"
    assert "proof failed" in client.get("/version").json()["refused"]["hours/2"]
    refused = client.post("/versions/2/predict", json={})
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "version_refused"


@pytest.mark.usefixtures("proof_in_process")
def test_without_the_registry_a_server_keeps_serving_and_starts_from_disk(trained: Project) -> None:
    point(trained, "hours/1")
    shelf = shelf_of(trained)
    assert shelf.follow()
    database = trained.paths.registry / "mlflow.db"
    database.write_bytes(b"no database any more")
    for name in ("mlflow.db-wal", "mlflow.db-shm"):
        (trained.paths.registry / name).unlink(missing_ok=True)
    assert shelf.follow() is False and shelf.champion is not None
    assert "does not answer" in shelf.registry
    for lost in (False, True):
        if lost:
            database.unlink()
        cold = shelf_of(trained)
        assert cold.follow() is True
        assert cold.champion is not None and cold.champion.name == "hours/1"


@pytest.mark.slow
@pytest.mark.usefixtures("proof_in_process")
def test_the_same_number_in_a_new_registry_is_not_the_version_that_served(trained: Project) -> None:
    """hours/1 served, the registry was lost, and another hours/1 was trained that nobody promoted."""
    point(trained, "hours/1")
    assert shelf_of(trained).follow()
    shutil.rmtree(trained.paths.registry)
    # in a process of its own: in this one MLflow still holds the file that is gone
    again = [sys.executable, "-m", f"{PACKAGE}.cli", "train", "--config", "configs/hours.yaml"]
    subprocess.run(again, cwd=trained.paths.root, check=True, capture_output=True)
    shelf = shelf_of(trained)
    assert shelf.follow() is False
    assert shelf.champion is None and "promoted" in shelf.waiting_for


@pytest.mark.usefixtures("proof_in_process")
def test_a_pinned_server_does_not_change_what_the_others_remember(trained: Project) -> None:
    point(trained, "hours/1")
    assert shelf_of(trained).follow()
    remembered = trained.paths.serving / "hours" / "champion.json"
    before = remembered.read_bytes()
    Registry(trained.paths).fetch(VersionId("late", 1))
    pinned = Shelf(trained.paths, load_operations(trained.paths.operations), pinned=VersionId("late", 1))
    assert pinned.follow() and pinned.champion is not None and pinned.champion.name == "late/1"
    assert remembered.read_bytes() == before
    assert not (trained.paths.serving / "late" / "champion.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("proof_in_process")
def test_only_the_least_recently_used_versions_leave_memory(trained: Project) -> None:
    trained.edit("operations.yaml", "keep_versions: 4", "keep_versions: 1")
    assert trained.ml("train", "--config", "configs/hours.yaml").code == 0
    shelf = shelf_of(trained)
    for version in (VersionId("late", 1), VersionId("hours", 2)):
        Registry(trained.paths).fetch(version)
        shelf.get(version)
    assert shelf.loaded == ["hours/2"]


@pytest.mark.parametrize(
    ("host", "words"),
    [("0.0.0.0", "asks nobody for a key"), ("example.com", "not an IP address"), ("10.1.2.3", "asks nobody")],
)
def test_listening_beyond_this_machine_is_refused(host: str, words: str) -> None:
    with pytest.raises(ProjectError, match=words):
        bind(host, 0)


def test_a_port_that_is_taken_is_said_plainly(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = project.ml("serve", "--port", str(taken.getsockname()[1]))
    assert ran.code == 2 and "cannot listen on 127.0.0.1" in ran.err and "--port 0" in ran.err


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_address_stands_in_brackets(project: Project) -> None:
    class Listening(Exception):
        pass

    def ready(address: str) -> None:
        raise Listening(address)

    def listen(port: int) -> None:
        operations = load_operations(project.paths.operations)
        serve(project.paths, operations, version=None, host="::1", port=port, ready=ready)

    with pytest.raises(Listening, match=r"^http://\[::1\]:[0-9]+$"):
        listen(0)
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as taken,
        pytest.raises(ProjectError, match=r"cannot listen on \[::1\]:[0-9]+: "),
    ):
        listen(taken.getsockname()[1])


def test_serving_a_version_that_does_not_exist_fails_at_once(trained: Project) -> None:
    ran = trained.ml("serve", "--version", "9", "--port", "0")
    assert ran.code == 2 and "there is no version hours/9" in ran.err


@pytest.mark.parametrize(("registry", "known"), [("gone", True), ("broken", True), ("another", False)])
def test_a_pinned_version_on_disk_starts_where_there_is_no_registry(
    trained: Project, registry: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an image. A registry that answers and does not know the version is believed."""
    Registry(trained.paths).fetch(VersionId("hours", 1))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        serve = ("serve", "--port", str(taken.getsockname()[1]), "--version")
        assert "cannot listen" in trained.ml(*serve, "hours/1").err
        if registry == "broken":
            (trained.paths.registry / "mlflow.db").write_bytes(b"no database any more")
        elif registry == "another":
            shutil.rmtree(trained.paths.registry)
            tracking.connect(trained.paths)
        else:
            shutil.rmtree(trained.paths.registry)
            assert "there is no version hours/2" in trained.ml(*serve, "hours/2").err
        said = trained.ml(*serve, "hours/1")
    # it gets as far as the port that is taken
    assert ("cannot listen" if known else "there is no version hours/1") in said.err


def test_a_registry_that_cannot_be_followed_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://somewhere/mlflow")
    ran = project.ml("serve", "--port", "0")
    assert ran.code == 2 and "follows a registry over SQLite or HTTP" in ran.err


def test_a_worker_that_dies_is_a_refusal_and_not_a_crash(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.name != "nt" else "where")
    with pytest.raises(ProjectError, match="verify hours/1 failed"):
        worker.verify(VersionId("hours", 1), trained.paths)


def test_a_proof_that_held_here_is_not_asked_for_in_another_process_again(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, asked = VersionId("hours", 1), []

    def run(arguments: list[str], paths: Any) -> dict[str, Any]:
        asked.append(arguments)
        return {"said": "reproduced", "short_cut_fails": None}

    stamp = Registry(trained.paths).fetch(version) / worker.PROVEN
    monkeypatch.setattr(worker, "_run", run)
    assert worker.proven(version, trained.paths) == worker.proven(version, trained.paths) == ("reproduced", None)
    assert len(asked) == 1
    worker.verify(version, trained.paths)
    assert len(asked) == 2, "who promotes is not content with an old verdict"
    for torn in ("", "[]", '{"under": {}}'):
        stamp.write_text(torn)
        worker.proven(version, trained.paths)
    monkeypatch.setattr(worker, "library_version", lambda name: "another")
    worker.proven(version, trained.paths)
    assert len(asked) == 6
    monkeypatch.setattr(worker.files, "sha256", lambda path: "0" * 64)
    worker.proven(version, trained.paths)
    assert len(asked) == 7, "our own code is another, or the facts are"

    def refuses(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(worker.files, "write_json", refuses)
    stamp.unlink()
    assert worker.proven(version, trained.paths) == ("reproduced", None), "as in an image"


@pytest.mark.slow
def test_the_server_imports_nothing_of_the_training_side(trained: Project) -> None:
    """MLflow alone would cost it 177 MB."""
    point(trained, "hours/1")
    code = (
        "import sys; from pathlib import Path\n"
        f"from {PACKAGE}.config import load_operations; from {PACKAGE}.paths import Paths\n"
        f"from {PACKAGE}.serving.shelf import Shelf; import {PACKAGE}.serving.serve\n"
        "paths = Paths(Path.cwd()); shelf = Shelf(paths, load_operations(paths.operations))\n"
        "assert shelf.follow()\n"
        "shelf.champion.answer_rows(shelf.champion.request.parse(__import__('json').dumps(shelf.champion.request.example()).encode()))\n"
        "print([name for name in ('mlflow', 'polars', 'dataframely', 'matplotlib') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=trained.paths.root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_swap_drops_no_request_and_sigterm_ends_cleanly(trained: Project) -> None:
    assert trained.ml("train", "--config", "configs/hours.yaml").code == 0
    point(trained, "hours/1")
    with server(trained) as (address, process):
        wait_for(address, "hours/1")
        example = shelf_of(trained)
        assert example.follow() and example.champion is not None
        row = example.champion.request.example()
        seen: list[tuple[int, str]] = []
        stop = threading.Event()

        def load() -> None:
            with httpx.Client() as client:
                while not stop.is_set():
                    answer = client.post(f"{address}/predict", json=row)
                    seen.append((answer.status_code, answer.json()["model_version"]))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for version in ("hours/2", "hours/1", "hours/2"):
            point(trained, version)
            wait_for(address, version)
        stop.set()
        for thread in threads:
            thread.join()
        assert {status for status, _ in seen} == {200}
        assert {version for _, version in seen} == {"hours/1", "hours/2"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM), "uvicorn drains, then passes the signal on"


@pytest.mark.slow
def test_a_server_on_an_mlflow_server_follows_it_over_http(ingested: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train, promote and serve against a registry on the network; the pointer asks MLflow's REST API."""
    write_configs(ingested)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home = ingested.paths.root / "mlflow-server"
    home.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{home / 'mlflow.db'}",
        "--artifacts-destination",
        str(home / "artifacts"),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    # a session of its own: the server starts workers, and all of them must go
    mlflow = subprocess.Popen(
        command,
        cwd=home,
        env=os.environ | quiet,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        uri = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                if httpx.get(f"{uri}/health").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.3)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        operations = load_operations(ingested.paths.operations)
        pointer = Pointer(ingested.paths, operations)
        assert pointer.champion("hours") is None and pointer.facts(VersionId("hours", 1)) is None
        assert pointer.moves("hours") == []
        ran = ingested.ml("train", "--config", "configs/hours.yaml", "--json")
        assert ran.code == 0, ran.err
        assert ran.json["version"] == "hours/1", "JSON and nothing else, whatever MLflow has to say of its server"
        assert not ingested.paths.registry.exists(), "nothing of it is local"
        ran = ingested.overrule("1")
        assert ran.code == 0, ran.err
        assert pointer.champion("hours") == VersionId("hours", 1)
        assert pointer.facts(VersionId("hours", 1)) == Registry(ingested.paths).facts(VersionId("hours", 1))
        assert [(move["verb"], move["version"], move["why"]) for move in pointer.moves("hours")] == [
            ("promote", 1, "a test")
        ]
        with server(ingested, MLFLOW_TRACKING_URI=uri) as (address, _):
            wait_for(address, "hours/1")
            os.killpg(mlflow.pid, signal.SIGKILL)
            example = artefact.contract(ingested.paths.serving / "hours/1" / artefact.FOLDER)
            row = {column.name: column.example for column in example.columns}
            assert httpx.post(f"{address}/predict", json=row).status_code == 200, "it serves on without the registry"
    finally:
        if mlflow.poll() is None:
            os.killpg(mlflow.pid, signal.SIGKILL)
        mlflow.wait()
