"""`ml evaluate` says what training recorded, in files that are small, whole and the same each time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from {{cookiecutter.package_name}}.training.reporting import calibration, residuals, roc

from conftest import Project, Ran


@pytest.fixture(scope="module")
def _placed(_trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = _trained.copy(tmp_path_factory.mktemp("placed") / "project")
    for version in ("hours/1", "late/1"):
        ran = made.ml("verify", version)
        assert ran.code == 0, ran.err
    return made


@pytest.fixture
def placed(_placed: Project, tmp_path: Path) -> Project:
    """A project whose versions lie in var/serving, in the form that `ml train --output` writes."""
    return _placed.copy(tmp_path / "project")


def facts_of(project: Project, version: str) -> dict[str, Any]:
    return json.loads((folder(project, version) / "facts.json").read_text(encoding="utf-8"))


def folder(project: Project, version: str) -> Path:
    return project.paths.serving / version


def evaluate(project: Project, version: str, dataset: str, *more: str) -> Ran:
    return project.ml("evaluate", str(folder(project, version)), "--dataset", dataset, "--output", "evaluation", *more)


def table(project: Project, name: str) -> list[dict[str, str]]:
    with (project.paths.root / "evaluation" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def metrics(project: Project) -> dict[str, float]:
    return json.loads((project.paths.root / "evaluation" / "metrics.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("version", ["hours/1", "late/1"])
def test_it_says_what_training_recorded(placed: Project, version: str) -> None:
    facts = facts_of(placed, version)
    ran = evaluate(placed, version, facts["dataset"])
    assert ran.code == 0, ran.err
    said = metrics(placed)
    bounds = {
        f"{name}_{end}": pair[i] for name, pair in facts["intervals"].items() for i, end in enumerate(("low", "high"))
    }
    assert said == pytest.approx(facts["metrics"] | bounds, rel=1e-12)

    reports = [path for path in placed.paths.registry.rglob("slices.json") if facts["run_id"] in path.parts]
    recorded = json.loads(reports[0].read_text(encoding="utf-8"))["slices"]
    slices = table(placed, "slices.csv")
    assert [row["slice"] for row in slices] == [f"{row['column']} {row['level']}" for row in recorded]
    for row, other in zip(slices, recorded, strict=True):
        assert {key: float(row[key]) for key in other if key not in ("column", "level")} == pytest.approx(
            {key: value for key, value in other.items() if key not in ("column", "level")}, rel=1e-5
        )


def test_twice_gives_the_same_bytes_and_another_task_leaves_nothing_of_the_first(placed: Project) -> None:
    hours, late = facts_of(placed, "hours/1"), facts_of(placed, "late/1")
    assert evaluate(placed, "hours/1", hours["dataset"]).code == 0
    (placed.paths.root / "evaluation" / "notes.md").write_text("mine\n", encoding="utf-8")
    before = placed.tree("evaluation")
    assert sum(int(row["rows"]) for row in table(placed, "residuals.csv")) == hours["rows"]["evaluation"]
    assert sum(int(row["rows"]) for row in table(placed, "calibration.csv")) == hours["rows"]["evaluation"]
    assert evaluate(placed, "hours/1", hours["dataset"]).code == 0
    assert placed.tree("evaluation") == before
    assert sum(path.stat().st_size for path in (placed.paths.root / "evaluation").iterdir()) < 20_000

    assert evaluate(placed, "late/1", late["dataset"]).code == 0
    left = {path.name for path in (placed.paths.root / "evaluation").iterdir()}
    assert left == {"metrics.json", "slices.csv", "calibration.csv", "roc.csv", "notes.md"}


def test_json_is_for_machines(placed: Project) -> None:
    facts = facts_of(placed, "hours/1")
    said = evaluate(placed, "hours/1", facts["dataset"], "--json").json
    assert said["metrics"] == metrics(placed)
    assert len(said["slices"]) == len(table(placed, "slices.csv"))


def moved(project: Project, address: str, **changes: Any) -> str:
    """A copy of a dataset whose sidecar says something else."""
    source, copy = project.paths.root / address, project.paths.root / "data" / "dataset.parquet"
    copy.write_bytes(source.read_bytes())
    origin = json.loads(source.with_suffix(".json").read_text(encoding="utf-8")) | changes
    copy.with_suffix(".json").write_text(json.dumps(origin), encoding="utf-8")
    return "data/dataset.parquet"


def test_nothing_is_judged_by_rows_it_was_trained_on(placed: Project) -> None:
    facts = facts_of(placed, "hours/1")
    earlier = moved(
        placed, facts["dataset"], train=["2026-05-08", "2026-05-14"], evaluation=["2026-05-15", "2026-05-21"]
    )
    ran = evaluate(placed, "hours/1", earlier)
    assert ran.code == 2
    assert f"trained on days until {facts['window']['train'][1]}" in ran.err and "2026-05-15" in ran.err
    assert not (placed.paths.root / "evaluation").exists()


def test_another_contract_is_refused(placed: Project) -> None:
    facts = facts_of(placed, "hours/1")
    ran = evaluate(placed, "hours/1", moved(placed, facts["dataset"], contract_version=99))
    assert ran.code == 3
    assert "frozen under 99" in ran.err


def test_a_changed_artefact_is_not_loaded(placed: Project) -> None:
    facts = facts_of(placed, "hours/1")
    with (folder(placed, "hours/1") / "artefact" / "model.pkl").open("ab") as file:
        file.write(b"x")
    ran = evaluate(placed, "hours/1", facts["dataset"])
    assert ran.code == 1
    assert "artefact refused before loading: model.pkl has sha256" in ran.err
    assert not (placed.paths.root / "evaluation").exists()


def test_what_is_not_there_is_said(placed: Project) -> None:
    assert evaluate(placed, "hours/1", "data/nothing.parquet").code == 4
    assert evaluate(placed, "hours/9", "data/nothing.parquet").code == 4


def test_a_config_of_other_code_is_refused(placed: Project) -> None:
    facts = facts_of(placed, "hours/1")
    facts["config"]["colour"] = "red"
    (folder(placed, "hours/1") / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    ran = evaluate(placed, "hours/1", facts["dataset"])
    assert ran.code == 2
    assert "none of this code's: 1 problems" in ran.err


def test_calibration_goes_from_the_lowest_prediction_to_the_highest() -> None:
    truth, predicted = np.arange(20.0), np.arange(20.0)[::-1].copy()
    rows = calibration(truth, predicted)
    assert len(rows) == 10
    assert rows[0] == {"rows": 2, "predicted": 0.5, "actual": 18.5}
    assert [row["predicted"] for row in rows] == sorted(row["predicted"] for row in rows)
    assert calibration(np.array([1.0]), np.array([2.0])) == [{"rows": 1, "predicted": 2.0, "actual": 1.0}]


def test_no_residual_is_lost_in_the_tails() -> None:
    error = np.r_[np.zeros(98), -1e9, 1e9]
    rows = residuals(np.zeros(100), error)
    assert sum(row["rows"] for row in rows) == 100
    assert sum(row["rows"] for row in residuals(np.zeros(3), np.zeros(3))) == 3


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 2, 5000)
    rows = roc(truth, rng.random(5000))
    assert len(rows) == 100
    assert rows[0] == {"false_positive_rate": 0.0, "true_positive_rate": 0.0}
    assert rows[-1] == {"false_positive_rate": 1.0, "true_positive_rate": 1.0}
