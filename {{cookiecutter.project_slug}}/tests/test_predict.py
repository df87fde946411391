"""Who answers: the champion, its canary, a stand-in, or nobody; and in which form."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.model.artefact import FOLDER, PROOF
from {{cookiecutter.package_name}}.model.columnar import ColumnRows
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.model.intake import LONG
from {{cookiecutter.package_name}}.model.version import ModelVersion
from {{cookiecutter.package_name}}.serving.app import create_app
from {{cookiecutter.package_name}}.serving.batcher import _predict
from {{cookiecutter.package_name}}.serving.journal import Entry, Journal
from {{cookiecutter.package_name}}.serving.shelf import Shelf
from {{cookiecutter.package_name}}.serving.traffic import Traffic
from {{cookiecutter.package_name}}.serving.worker import open_placed
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

VERSION = VersionId("hours", 1)


class Served:
    """A server in this process whose versions are set by hand, and what it wrote into its log."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
        operations = load_operations(project.paths.operations)
        operations = operations.model_copy(update={"serving": operations.serving.model_copy(update=config)})
        self.project = project
        self.shelf = Shelf(project.paths, operations)
        self.shelf.champion = self.version("champion")
        self.noted: list[Entry] = []
        self.wrote = threading.Condition()
        monkeypatch.setattr(Journal, "add", self._add)
        self.app = create_app(self.shelf, project.paths, operations, follow=False)
        self.example = self.shelf.champion.request.example()

    def _add(self, entry: Entry) -> None:
        with self.wrote:
            self.noted.append(entry)
            self.wrote.notify_all()

    def version(self, name: str, by: float = 0.0) -> ModelVersion:
        """The trained version under another name, its predictions ``by`` higher."""
        loaded, _ = open_placed(VERSION, self.project.paths)
        loaded.facts["version"] = f"hours/{name}"
        own = loaded.score
        loaded.score = lambda matrix: own(matrix) + by  # type: ignore[method-assign]
        return loaded

    @contextmanager
    def client(self) -> Iterator[TestClient]:
        with TestClient(self.app) as client:
            yield client

    def ask(self, client: TestClient, status: int = 200, **headers: str) -> Any:
        answer = client.post(
            "/predict", json=self.example, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        assert answer.status_code == status, answer.text
        return answer.json()


def samples(text: str) -> Iterator[Any]:
    """Every sample of a page of metrics."""
    return (sample for family in text_string_to_metric_families(text) for sample in family.samples)


def counted(text: str, name: str, **labels: str) -> float:
    (value,) = [sample.value for sample in samples(text) if (sample.name, sample.labels) == (name, labels)]
    return value


@pytest.fixture
def project(trained: Project) -> Project:
    Registry(trained.paths).fetch(VERSION)
    return trained


@pytest.fixture
def served(project: Project, monkeypatch: pytest.MonkeyPatch) -> Served:
    return Served(project, monkeypatch)


def requests_of(served: Served, count: int) -> list[dict[str, Any]]:
    proof = json.loads((served.project.paths.serving / VERSION.folder / FOLDER / PROOF).read_text())
    return [row["request"] for row in proof["rows"]][:count]


def test_rows_and_columns_of_the_same_are_answered_with_the_same(served: Served) -> None:
    rows = requests_of(served, 50)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    with served.client() as client:
        by_row = client.post("/predict", json=rows).json()["predictions"]
        by_column = client.post("/predict", json={"columns": columns}).json()["predictions"]
        target = served.shelf.champion.contract.target.name  # type: ignore[union-attr]
        assert by_column[target] == [row[target] for row in by_row]
        nullable = next(column.name for column in served.shelf.champion.contract.features if column.nullable)  # type: ignore[union-attr]
        columns[nullable] = [None] * len(rows)
        nulls = client.post("/predict", json={"columns": columns}).json()["predictions"]
        del columns[nullable]
        assert client.post("/predict", json={"columns": columns}).json()["predictions"] == nulls
    asked = served.noted[1]
    assert [list(row) for row in asked.rows] == [list(row) for row in served.noted[0].rows]
    assert list(asked.values) == by_column[target]


def test_long_requests_are_answered_in_the_form_they_came_in_and_kept_with_the_same_values(served: Served) -> None:
    rows = requests_of(served, 100)
    body = json.dumps(rows)
    assert len(body) > LONG
    with served.client() as client:
        by_row = client.post("/predict", content=body).json()["predictions"]
        one_by_one = [client.post("/predict", json=row).json()["predictions"][0] for row in rows]
        columns = {"columns": {name: [row[name] for row in rows] for name in rows[0]}}
        (by_column,) = client.post("/predict", json=columns).json()["predictions"].values()
    assert by_row == one_by_one and by_column == [value for row in by_row for value in row.values()]
    by_row, *single, by_column = served.noted
    assert list(by_row.rows) == list(by_column.rows) == [entry.rows[0] for entry in single]


def test_long_requests_that_come_together_are_answered_each_with_its_own(served: Served) -> None:
    version = served.shelf.champion
    assert version is not None
    rows = requests_of(served, 100)
    parts = [version.request.parse(json.dumps(some).encode()) for some in (rows, rows[:1], rows[::-1], rows[5:7])]
    assert [isinstance(part, ColumnRows) for part in parts] == [True, False, True, False]
    wanted = [version.answer_rows(part).values for part in parts]
    found = _predict(version, parts)
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"weight_g": [1200.0, -1.0]}, "weight_g", "range"),
        ({"weight_g": [1200.0, "heavy"]}, "weight_g", "type"),
        ({"weight_g": 1200.0}, "weight_g", "type"),
        ({"weight_g": [1200.0]}, "weight_g", "type"),
        ({"weight_g": None}, "weight_g", "type"),
        ({"colour": ["red", "red"]}, "colour", "unknown"),
        ({"service": ["express", "by owl"]}, "service", "not_allowed"),
    ],
)
def test_a_column_that_breaks_the_contract_is_named_with_its_row(
    served: Served, change: dict[str, Any], field: str, reason: str
) -> None:
    columns = {name: [value, value] for name, value in served.example.items()} | change
    with served.client() as client:
        answer = client.post("/predict", json={"columns": columns})
    assert answer.status_code == 422
    (refused,) = answer.json()["error"]["fields"]
    assert (refused["field"], refused["reason"]) == (field, reason)
    assert refused["row"] == (
        1 if isinstance(change[field], list) and len(change[field]) == 2 and field != "colour" else 0
    )
    assert "owl" not in answer.text and "heavy" not in answer.text


@pytest.mark.parametrize("columns", [{}, {"weight_g": []}])
def test_columns_without_rows_are_refused(served: Served, columns: dict[str, Any]) -> None:
    with served.client() as client:
        assert client.post("/predict", json={"columns": columns}).status_code == 422


@pytest.mark.parametrize(("how", "status"), [("refuse", 503), ("last_good", 200), ("baseline", 200)])
def test_a_champion_that_fails_is_stood_in_for_as_the_configuration_says(
    project: Project, monkeypatch: pytest.MonkeyPatch, how: str, status: int
) -> None:
    served = Served(project, monkeypatch, on_failure=how)
    served.shelf.previous = served.version("before", by=100.0)
    champion = served.shelf.champion
    assert champion is not None
    usual = champion.answer_rows(champion.request.parse(json.dumps(served.example).encode())).values[0]
    champion.score = lambda matrix: np.full(len(matrix), np.nan)  # type: ignore[method-assign]
    with served.client() as client:
        said = served.ask(client, status)
        metrics = client.get("/metrics").text
    assert counted(metrics, "ml_predictions_failed_total", version="hours/champion") == 1
    if how == "refuse":
        assert said["error"]["code"] == "no_prediction" and served.noted == []
        return
    assert said["degraded"] == how == served.noted[0].degraded
    assert counted(metrics, "ml_degraded_total", how=how) == 1
    predicted = said["predictions"][0][champion.contract.target.name]
    expected = usual + 100 if how == "last_good" else served.example[champion.facts["config"]["baseline"]]
    assert (said["model_version"], predicted) == ("hours/before" if how == "last_good" else "hours/champion", expected)


def test_without_a_version_before_last_good_refuses(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(project, monkeypatch, on_failure="last_good")
    served.shelf.champion.score = lambda matrix: np.full(len(matrix), np.nan)  # type: ignore[union-attr,method-assign]
    with served.client() as client:
        assert served.ask(client, 503)["error"]["code"] == "no_prediction"


def test_a_canary_answers_its_share_and_the_same_key_always_the_same_way(served: Served) -> None:
    served.shelf.canary = served.version("canary", by=1.0)
    served.shelf.traffic = Traffic(canary=VersionId("hours", 2), share=30.0)
    with served.client() as client:
        said = {f"k{n}": served.ask(client, x_routing_key=f"k{n}")["model_version"] for n in range(200)}
        again = {key: served.ask(client, x_routing_key=key)["model_version"] for key in said}
        by_row = {served.ask(client)["model_version"] for _ in range(10)}
    assert again == said and len(by_row) == 1
    share = sum(name == "hours/canary" for name in said.values()) / len(said)
    assert 0.15 < share < 0.45
    assert {entry.role for entry in served.noted} == {"champion", "canary"}


def test_what_a_canary_cannot_answer_the_champion_does(served: Served) -> None:
    served.shelf.canary = served.version("canary")
    served.shelf.canary.score = lambda matrix: np.full(len(matrix), np.nan)  # type: ignore[method-assign]
    served.shelf.traffic = Traffic(canary=VersionId("hours", 2), share=100.0)
    with served.client() as client:
        said = served.ask(client)
        assert said["model_version"] == "hours/champion" and "degraded" not in said
        failed = client.get("/metrics").text
    assert counted(failed, "ml_predictions_failed_total", version="hours/canary") == 1


def test_a_shadow_answers_into_the_log_and_keeps_nobody_waiting(served: Served) -> None:
    go_on = threading.Event()
    served.shelf.shadow = shadow = served.version("shadow", by=5.0)
    own = shadow.score

    def slow(matrix: np.ndarray) -> np.ndarray:
        go_on.wait(20)
        return own(matrix)

    shadow.score = slow  # type: ignore[method-assign]
    served.shelf.traffic = Traffic(shadow=VersionId("hours", 3))
    with served.client() as client:
        said = [served.ask(client, x_request_id=f"r{n}") for n in range(3)]
        assert {answer["model_version"] for answer in said} == {"hours/champion"}
        assert [entry.role for entry in served.noted] == ["champion"] * 3, "and the shadow still computes"
        for _ in range(20):  # a while, as long as it may be on this machine
            client.get("/version")
        go_on.set()
        with served.wrote:
            assert served.wrote.wait_for(lambda: len(served.noted) == 6, 20)
    first, second, third = (entry.seconds for entry in served.noted[3:])
    assert min(second, third) < first / 2, "one that waited for another does not count that as its own time"
    champion = {entry.request_id: entry for entry in served.noted if entry.role == "champion"}
    for entry in served.noted[3:]:
        assert entry.role == "shadow" and entry.version == "hours/shadow"
        assert list(entry.values) == [champion[entry.request_id].values[0] + 5]


def test_more_than_a_shadow_has_time_for_is_dropped_and_counted(served: Served) -> None:
    go_on = threading.Event()
    served.shelf.shadow = shadow = served.version("shadow")
    own = shadow.score

    def slow(matrix: np.ndarray) -> np.ndarray:
        go_on.wait(20)
        return own(matrix)

    shadow.score = slow  # type: ignore[method-assign]
    with served.client() as client:
        for _ in range(70):
            served.ask(client)
        dropped = counted(client.get("/metrics").text, "ml_shadow_dropped_total")
        go_on.set()
    assert 4 <= dropped <= 6


@pytest.mark.parametrize("how", ["refuse", "baseline"])
def test_scoring_can_be_stopped_without_a_deployment(
    project: Project, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    served = Served(project, monkeypatch, on_failure=how)
    served.shelf.traffic = Traffic(stopped="prices are wrong")
    with served.client() as client:
        if how == "baseline":
            assert served.ask(client)["degraded"] == "baseline"
        else:
            error = served.ask(client, 503)["error"]
            assert error["code"] == "stopped" and "prices are wrong" in error["message"]
        assert client.get("/version").json()["stopped"] == "prices are wrong"
        served.shelf.traffic = Traffic()
        assert "degraded" not in served.ask(client)


def test_metrics_tell_what_serves_and_how_its_predictions_are_distributed(served: Served) -> None:
    rows = requests_of(served, 200)
    served.shelf.shadow = served.version("shadow")
    served.shelf._tell()
    with served.client() as client:
        answered = client.post("/predict", json=rows).json()["predictions"]
        client.post("/predict", json=rows[0])
        text = client.get("/metrics").text
    assert counted(text, "ml_version_serving", role="champion", version="hours/champion") == 1
    assert counted(text, "ml_version_serving", role="shadow", version="hours/shadow") == 1
    champion = served.shelf.champion
    assert champion is not None
    values = np.array([row[champion.contract.target.name] for row in [*answered, answered[0]]])
    cuts = [*champion.deciles, np.inf]
    assert len(cuts) > 3, "the deciles of its proof"
    buckets = [sample for sample in samples(text) if sample.name == "ml_prediction_bucket"]
    counts = [sample.value for sample in buckets if sample.labels["version"] == "hours/champion"]
    assert counts == [(values <= cut).sum() for cut in cuts]
