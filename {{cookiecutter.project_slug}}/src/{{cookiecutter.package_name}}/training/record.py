"""From a bundle to MLflow: one run with parameters, metrics and figures, and the next version of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import LoggedModelOutput, LoggedModelStatus

from ..config import OperationsConfig
from ..model import artefact
from ..model.id import VersionId
from ..paths import Paths
from .registry import Registry
from .tracking import connect, experiment

TAGGED = (
    "git_commit",
    "git_dirty",
    "lock_sha256",
    "python",
    "platform",
    "cpu",
    "seed",
    "contract_version",
    "dataset_sha256",
    "dataset",
    "config_file",
)
"""Facts that also stand as tags of their own, to be searched for in MLflow."""


def register(folder: Path, paths: Paths, operations: OperationsConfig) -> tuple[VersionId, dict[str, Any], bool]:
    """Make the bundle in ``folder`` the next version of its model.

    Returns its ID, its facts, and whether it is new: a bundle with the same files is registered once, however often
    this is called. So a training that was restored from a cache instead of being run gets its version too.
    """
    facts = artefact.read(folder)
    registry = Registry(paths, operations, connect(paths))
    for listed in registry.versions(facts["model"]):
        if listed.facts.get("files") == facts["files"]:
            return listed.id, registry.facts(listed.id), False
    report = folder / artefact.REPORT
    home = experiment(registry.client, operations.project, paths)
    name = f"{facts['model']} {facts['window']['as_of']}"
    with mlflow.start_run(experiment_id=home, run_name=name) as run:
        mlflow.log_params(_flat(facts["config"]))
        mlflow.log_metrics({key: value for key, value in facts["metrics"].items() if value == value})
        mlflow.log_artifacts(str(report))
        mlflow.set_tags({key: str(facts[key]) for key in TAGGED})
        model = registry.client.create_logged_model(home, name="model", source_run_id=run.info.run_id)
        registry.client.log_model_artifacts(model.model_id, str(folder / artefact.FOLDER))
        registry.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        registry.client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])
    facts |= {"run_id": run.info.run_id, "experiment_id": home}
    tags = {key: str(facts[key]) for key in (*TAGGED, "run_id", "experiment_id")}
    version = registry.register(facts["model"], model.model_uri, model.model_id, run.info.run_id, facts, tags)
    return version, registry.facts(version), True


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested config as MLflow parameters: ``estimator.params.max_iter``."""
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item if isinstance(item, str) else json.dumps(item)
    return flat
