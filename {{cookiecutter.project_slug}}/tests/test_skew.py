"""One row through the dataset and through HTTP: features equal to the last bit, predictions by the proof's rule."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.model.batch import from_frame
from {{cookiecutter.package_name}}.model.id import parse
from {{cookiecutter.package_name}}.model.proof import RELATIVE
from {{cookiecutter.package_name}}.model.version import Answer, ModelVersion
from {{cookiecutter.package_name}}.serving.app import create_app
from {{cookiecutter.package_name}}.serving.shelf import Shelf
from {{cookiecutter.package_name}}.serving.worker import open_placed
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

ROWS = 400


@pytest.fixture(params=["hours/1", "late/1"], ids=["trees", "linear"])
def version(request: pytest.FixtureRequest, trained: Project) -> ModelVersion:
    operations = load_operations(trained.paths.operations)
    id = parse(request.param, operations.model)
    Registry(trained.paths).fetch(id)
    return open_placed(id, trained.paths)[0]


def rows_of(project: Project, version: ModelVersion) -> pl.DataFrame:
    """Evaluation rows as the dataset froze them, a few with a null that the contract allows."""
    path = next(project.datasets.glob("*.parquet"))
    frame = pl.read_parquet(path).filter(pl.col("split") == "evaluation").sample(ROWS, seed=3)
    assert frame["customer_age_days"].null_count() > 0
    return frame.select([column.name for column in version.contract.columns])


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


@pytest.mark.parametrize("size", [1, 7, ROWS])
def test_a_row_means_the_same_in_the_dataset_and_over_http(
    trained: Project, version: ModelVersion, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = rows_of(trained, version)
    matrix = version.matrix(from_frame(version.contract.features, frame))
    wanted = version.plain_score(matrix)

    answers: list[Answer] = []
    answer_rows = version.answer_rows

    def watched(rows: list[dict[str, Any]]) -> Answer:
        answers.append(answer_rows(rows))
        return answers[-1]

    monkeypatch.setattr(version, "answer_rows", watched)
    operations = load_operations(trained.paths.operations)
    shelf = Shelf(trained.paths, operations)
    shelf.champion = version
    client = TestClient(create_app(shelf, trained.paths, operations, follow=False))
    target = version.contract.target
    key = target.name if target.task == "regression" else f"{target.name}_probability"
    served: list[float] = []
    requests = [as_json(row) for row in frame.to_dicts()]
    for start in range(0, ROWS if size > 1 else 60, size):
        said = client.post("/predict", json=requests[start : start + size])
        assert said.status_code == 200, said.text
        served += [prediction[key] for prediction in said.json()["predictions"]]

    seen = np.vstack([answer.matrix for answer in answers])
    assert seen.tobytes() == np.ascontiguousarray(matrix[: len(seen)]).tobytes()
    scale = float(version.facts["metrics"]["rmse"]) if target.task == "regression" else 0.4
    limit = RELATIVE * np.maximum(np.abs(wanted[: len(served)]), scale)
    assert (np.abs(np.array(served) - wanted[: len(served)]) <= limit).all()


def test_a_local_time_is_the_same_moment_as_its_utc(version: ModelVersion) -> None:
    """Clients send offsets; features read UTC."""
    example = version.request.example()
    moments = ["2026-03-29T00:30:00Z", "2026-03-29T02:30:00+02:00", "2026-03-28T19:30:00-05:00"]
    rows = [version.request.parse(_body(example | {"created_at": moment}))[0] for moment in moments]
    matrix = version.answer_rows(rows).matrix
    assert matrix[0].tobytes() == matrix[1].tobytes() == matrix[2].tobytes()


def _body(row: dict[str, Any]) -> bytes:
    import json

    return json.dumps(row).encode()
