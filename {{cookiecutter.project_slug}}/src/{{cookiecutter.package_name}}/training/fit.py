"""Fitting: dataset → transform + estimator → metrics and a proof that already holds. Nothing is written yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ..config import ModelConfig
from ..data.dataset import Dataset
from ..data.describe import model_contract
from ..errors import Exit, ProjectError
from ..estimator import build as build_estimator
from ..model import artefact
from ..model.batch import from_frame
from ..model.proof import Proof, Verdict, replay
from ..model.version import ModelVersion
from ..paths import Paths
from ..spec import Contract, ModelContract
from ..typed_yaml import nearest
from . import evaluate, prove, provenance
from .comparison import METRICS
from .evaluate import naive, truth_of

Report = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A fitted version before registration. ``truth`` and ``predicted`` are of the evaluation rows, shape (n,)."""

    config: ModelConfig
    version: ModelVersion
    dataset: Dataset
    proof: Proof
    verdict: Verdict
    metrics: dict[str, float]
    slices: list[dict[str, Any]]
    truth: np.ndarray
    predicted: np.ndarray
    matrix: np.ndarray
    groups: dict[str, np.ndarray]
    mean: float
    """Mean of the training target: what the naive baseline ``mean`` answers."""


def check_config(config: ModelConfig, contract: Contract, feature_functions: list[str]) -> ModelContract:
    """Hold a config against the contract and the features there are. Raises ProjectError listing every problem."""
    problems = []
    if config.target not in contract.targets:
        raise ProjectError(
            f"target: contract.py has no target {config.target}{nearest(config.target, list(contract.targets))}",
            hint=f"it has: {', '.join(contract.targets)}",
        )
    spec = model_contract(contract, config.target, config.threshold)
    if spec.target.task != config.task:
        problems.append(
            f"task: {config.target} is a {spec.target.task} target in contract.py, the config says {config.task}"
        )
    names = [column.name for column in spec.features]
    for key, wanted, there in (
        ("features.columns", config.features.columns, names),
        ("features.derived", config.features.derived, feature_functions),
        ("slices", config.slices, names),
        ("baseline", [config.baseline] if config.baseline != "mean" else [], names),
        ("gate.metric", [config.gate.metric] if config.gate else [], list(METRICS[config.task])),
    ):
        missing = [name for name in wanted if name not in there]
        problems += [
            f"{key}: there is no {name}" + (nearest(name, there) or "; there are: " + ", ".join(there))
            for name in missing
        ]
    numbers = [column.name for column in spec.features if column.kind in ("number", "integer") and not column.nullable]
    if config.baseline in names and config.baseline not in numbers:
        problems.append(
            f"baseline: {config.baseline} is no number that is always there; there are: {', '.join(numbers)}"
        )
    levels = [column.name for column in spec.features if column.kind in ("category", "flag")]
    slices = [name for name in config.slices if name in names and name not in levels]
    problems += [f"slices: {name} has no levels; there are: {', '.join(levels)}" for name in slices]
    times = [
        column.name for column in spec.features if column.kind == "time" and column.name in config.features.columns
    ]
    problems += [
        f"features.columns: {name} is a time; derive features from it: no model has seen the future" for name in times
    ]
    if problems:
        raise ProjectError(
            "the config does not fit the contract:\n" + "\n".join(f"  {problem}" for problem in problems)
        )
    return spec


def fit(
    config: ModelConfig,
    contract: Contract,
    paths: Paths,
    freeze: Callable[[], Dataset],
    *,
    scratch: Path,
    report: Report = lambda _: None,
) -> Trained:
    """Train on what ``freeze`` gives and prove the result here. ``scratch`` receives the packed transform.

    The config is held against the contract before ``freeze`` is called: a slip is answered before a month is read.
    """
    transform = artefact.import_transform(artefact.pack_transform(scratch))
    spec = check_config(config, contract, list(transform.FEATURES))
    transformer = transform.Transformer(
        {column.name: column.kind for column in spec.features}, **config.features.model_dump()
    )
    estimator = build_estimator(
        config.estimator.kind,
        config.task,
        config.estimator.params,
        seed=config.seed,
    )
    dataset = freeze()
    target = contract.targets[config.target]
    train, evaluation = dataset.split("train"), dataset.split("evaluation")

    report("fit")
    pipeline = Pipeline([("transform", transformer), ("estimator", estimator)])
    truth = truth_of(train, target.value, config)
    try:
        pipeline.fit(from_frame(spec.features, train), truth)
    except ValueError as error:
        raise ProjectError(
            f"{config.estimator.kind} cannot be fitted: {error}",
            hint="check estimator.params and features in the config",
        ) from error

    report("evaluate")
    version = ModelVersion(spec, pipeline, provenance.facts(paths))
    batch = from_frame(spec.features, evaluation)
    matrix = version.matrix(batch)
    predicted, actual = version.plain_score(matrix), truth_of(evaluation, target.value, config)
    mean = float(truth.mean())
    groups = {name: evaluation[name].to_numpy() for name in config.slices}
    metrics = evaluate.against_baseline(
        config.task, actual, predicted, naive(evaluation, config, mean), config.threshold
    )
    slices = evaluate.by_slice(config.task, actual, predicted, groups, config.threshold)

    report("prove")
    proof = prove.compose(version, evaluation, prove.spread(truth), config.proof_rows, config.seed)
    verdict = replay(version, proof)
    if not verdict.holds:
        raise ProjectError(
            f"training/serving skew: the request path does not reproduce what training computed\n  {verdict}",
            hint="a feature that depends on other rows, or on more than JSON carries? see transform/features.py",
            exit=Exit.SAID_NO,
        )
    return Trained(config, version, dataset, proof, verdict, metrics, slices, actual, predicted, matrix, groups, mean)
