"""What of a training goes to MLflow: run, metrics, figures, and the model with everything that travels."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from ..config import OperationsConfig
from ..model.artefact import CONTRACT, PROOF
from ..model.id import VersionId
from ..paths import Paths
from ..spec import ModelContract
from . import figures, provenance
from .fit import Trained
from .registry import Registry
from .tracking import connect, experiment

SCORING = {"regression": "neg_mean_absolute_error", "classification": "neg_log_loss"}
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

TYPES = {"number": "double", "integer": "double", "flag": "boolean", "time": "datetime", "category": "string"}


def signature(contract: ModelContract) -> ModelSignature:
    """MLflow's view of the contract. Integers are declared double: pandas turns them into doubles at the first null."""
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(TYPES[column.kind], column.name, required=not column.nullable) for column in contract.features
    ]
    return ModelSignature(Schema(inputs), Schema([ColSpec("double")]))


def log_and_register(
    trained: Trained, config_path: Path, scratch: Path, paths: Paths, operations: OperationsConfig
) -> tuple[VersionId, dict[str, Any]]:
    """Log one run with its model, then register it as the next version of ``config.name``. Returns its ID and facts."""
    config, contract = trained.config, trained.version.contract
    client = connect(paths)
    registry = Registry(paths, operations, client)
    folder = experiment(client, operations.project, paths)
    carried = _carried(trained, scratch)
    origin = trained.dataset.origin
    with mlflow.start_run(experiment_id=folder, run_name=f"{config.name} {origin['as_of']}") as run:
        mlflow.log_params(_flat(config.model_dump()))
        mlflow.log_metrics({key: value for key, value in trained.metrics.items() if value == value})
        mlflow.log_dict(origin, "dataset.json")
        mlflow.log_dict({"slices": trained.slices}, "slices.json")
        mlflow.log_artifact(str(config_path), "config")
        _log_figures(trained)
        with warnings.catch_warnings():
            # the pickle is ours, hashed at registration; MLflow warns about pickles in general
            warnings.simplefilter("ignore")
            logged = mlflow.sklearn.log_model(
                trained.version.pipeline,
                name="model",
                code_paths=[str(path) for path in sorted(scratch.glob("transform_*"))],
                serialization_format="pickle",
                signature=signature(contract),
                pip_requirements=provenance.requirements(),
                extra_files=[str(path) for path in carried],
                pyfunc_predict_fn="predict" if config.task == "regression" else "predict_proba",
            )
        facts = dict(trained.version.facts) | {
            "model": config.name,
            "config": config.model_dump(),
            "config_file": paths.relative(config_path.resolve()),
            "seed": config.seed,
            "contract_version": contract.version,
            "dataset_sha256": trained.dataset.digest,
            "dataset": trained.dataset.address,
            "window": {key: origin[key] for key in ("as_of", "train", "evaluation")},
            "metrics": trained.metrics,
            "run_id": run.info.run_id,
            "experiment_id": folder,
        }
        mlflow.set_tags({key: str(facts[key]) for key in TAGGED if key in facts})
    tags = {key: str(facts[key]) for key in (*TAGGED, "run_id", "experiment_id")}
    version = registry.register(config.name, logged.model_uri, logged.model_id, run.info.run_id, facts, tags)
    return version, registry.facts(version)


def _carried(trained: Trained, scratch: Path) -> list[Path]:
    contract, proof = scratch / Path(CONTRACT).name, scratch / Path(PROOF).name
    contract.write_text(trained.version.contract.model_dump_json(indent=2) + "\n", encoding="utf-8")
    trained.proof.write(proof)
    return [contract, proof]


def _log_figures(trained: Trained) -> None:
    target = trained.version.contract.target
    names = trained.proof.feature_names
    for name, draw in figures.draw(
        target, trained.truth, trained.predicted, trained.groups, trained.config.seed
    ).items():
        mlflow.log_figure(draw(), f"figures/{name}")
    estimator = trained.version.pipeline.steps[-1][1]
    figure, values = figures.importance(
        estimator, names, trained.matrix, trained.truth, SCORING[target.task], trained.config.seed
    )
    mlflow.log_figure(figure, "figures/permutation_importance.png")
    mlflow.log_dict(values, "permutation_importance.json")


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested config as MLflow parameters: ``estimator.params.max_iter``."""
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item if isinstance(item, str) else json.dumps(item)
    return flat
