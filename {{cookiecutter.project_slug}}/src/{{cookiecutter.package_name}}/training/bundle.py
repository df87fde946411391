"""A trained version on disk: the artefact as it will be served, its facts, and the report of its training.

``ml train`` writes one and registers it; ``ml train --output FOLDER`` only writes it, for DVC, for a comparison with
another commit, or to rebuild an old version. Laid out as a version that a server placed, so it loads the same way.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from .. import files
from ..model import artefact
from ..model.artefact import CONTRACT, FACTS, FOLDER, PROOF, REPORT
from ..paths import Paths
from ..spec import ModelContract
from . import card, evaluate, figures, provenance
from .fit import Trained

CARD = "model_card.md"
SCORING = {"regression": "neg_mean_absolute_error", "classification": "neg_log_loss"}
TYPES = {"number": "double", "integer": "double", "flag": "boolean", "time": "datetime", "category": "string"}


def signature(contract: ModelContract) -> ModelSignature:
    """MLflow's view of the contract. Integers are declared double: pandas turns them into doubles at the first null."""
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(TYPES[column.kind], column.name, required=not column.nullable) for column in contract.features
    ]
    return ModelSignature(Schema(inputs), Schema([ColSpec("double")]))


def write(trained: Trained, config_path: Path, scratch: Path, folder: Path, paths: Paths) -> None:
    """Write everything about a trained version below ``folder``, which must not exist or be empty."""
    new = scratch / "bundle"
    _write_artefact(trained, scratch, new / FOLDER)
    _write_report(trained, config_path, new / REPORT)
    files.write_json(new / FACTS, _facts(trained, config_path, paths) | {"files": artefact.digests(new / FOLDER)})
    files.write_bytes(new / REPORT / CARD, card.render(card.of_folder(new, paths)).encode())
    files.copy_folder(new, folder)


def _write_artefact(trained: Trained, scratch: Path, folder: Path) -> None:
    contract, proof = scratch / Path(CONTRACT).name, scratch / Path(PROOF).name
    contract.write_text(trained.version.contract.model_dump_json(indent=2) + "\n", encoding="utf-8")
    trained.proof.write(proof)
    folder.parent.mkdir(parents=True)
    with warnings.catch_warnings():
        # the pickle is ours, hashed at registration; MLflow warns about pickles in general
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            trained.version.pipeline,
            str(folder),
            code_paths=[str(path) for path in sorted(scratch.glob("transform_*"))],
            serialization_format="pickle",
            signature=signature(trained.version.contract),
            pip_requirements=provenance.requirements(),
            extra_files=[str(contract), str(proof)],
            pyfunc_predict_fn="predict" if trained.config.task == "regression" else "predict_proba",
        )


def _facts(trained: Trained, config_path: Path, paths: Paths) -> dict[str, Any]:
    config, dataset = trained.config, trained.dataset
    origin = dataset.origin
    rows = {"train": len(dataset.split("train")), "evaluation": len(trained.truth)}
    return dict(trained.version.facts) | {
        "model": config.name,
        "config": config.model_dump(),
        "config_file": paths.relative(config_path.resolve()),
        "seed": config.seed,
        "contract_version": trained.version.contract.version,
        "dataset_sha256": dataset.digest,
        "dataset_md5": origin["md5"],
        "dataset_bytes": origin["bytes"],
        "dataset": dataset.address,
        "window": {key: origin[key] for key in ("as_of", "train", "evaluation")},
        "rows": rows,
        "target_mean": trained.mean,
        "metrics": trained.metrics,
        "intervals": evaluate.intervals(config.task, trained.truth, trained.predicted, config.threshold),
    }


def _write_report(trained: Trained, config_path: Path, folder: Path) -> None:
    target, seed = trained.version.contract.target, trained.config.seed
    drawn = {
        name: draw()
        for name, draw in figures.draw(target, trained.truth, trained.predicted, trained.groups, seed).items()
    }
    drawn["permutation_importance.png"], importance = figures.importance(
        trained.version.pipeline.steps[-1][1],
        trained.proof.feature_names,
        trained.matrix,
        trained.truth,
        SCORING[target.task],
        seed,
    )
    (folder / "figures").mkdir(parents=True)
    for name, figure in drawn.items():
        figure.savefig(folder / "figures" / name, metadata={"Software": None})
    files.write_json(folder / "metrics.json", trained.metrics)
    files.write_json(folder / "slices.json", {"slices": trained.slices})
    files.write_json(folder / "permutation_importance.json", importance)
    files.write_json(folder / "dataset.json", trained.dataset.origin)
    files.write_bytes(folder / "config" / config_path.name, config_path.read_bytes())
