"""The training job: one config file in, one trained version out, registered unless a folder is asked for instead."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from ..config import DataConfig, load_model
from ..contract import CONTRACT
from ..data import dataset
from ..data.dataset import Dataset
from ..errors import ProjectError
from ..model import artefact
from ..model.id import VersionId
from ..paths import Paths
from . import bundle
from .fit import Report, Trained, fit
from .registry import register


def train(
    config_path: Path,
    paths: Paths,
    *,
    as_of: date | None = None,
    frozen: Path | None = None,
    report: Report = lambda _: None,
) -> tuple[VersionId, Trained, dict[str, Any]]:
    """Fit what ``config_path`` says, log it to MLflow and register it.

    ``as_of`` is the last day whose labels may be used, by default the newest that was ingested; ``frozen`` is a dataset
    to train on instead. Returns the version's ID, the fitted version, and the facts that the registry recorded. Raises
    ProjectError.
    """
    with tempfile.TemporaryDirectory(prefix="ml-train-") as scratch:
        folder = Path(scratch) / "trained"
        trained, _ = train_into(folder, config_path, paths, as_of=as_of, frozen=frozen, report=report)
        report("register")
        version, facts, _ = register(folder, paths)
    return version, trained, facts


def train_into(
    folder: Path,
    config_path: Path,
    paths: Paths,
    *,
    as_of: date | None = None,
    frozen: Path | None = None,
    report: Report = lambda _: None,
) -> tuple[Trained, dict[str, Any]]:
    """The same, written below ``folder`` and not registered. Returns the fitted version and its facts."""
    config = load_model(config_path)
    if folder.exists() and not (folder / artefact.FACTS).exists() and any(folder.iterdir()):
        raise ProjectError(f"{folder} holds something else than a trained version", hint="name a folder of its own")

    def freeze() -> Dataset:
        return _frozen(config.data, paths, as_of, frozen, report)

    with tempfile.TemporaryDirectory(prefix="ml-train-") as name:
        scratch = Path(name)
        trained = fit(config, CONTRACT, paths, freeze, scratch=scratch, report=report)
        report("write")
        bundle.write(trained, config_path, scratch, folder, paths)
    return trained, artefact.read(folder)


def _frozen(config: DataConfig, paths: Paths, as_of: date | None, frozen: Path | None, report: Report) -> Dataset:
    if frozen is None:
        return dataset.build(config, CONTRACT, paths, as_of=as_of, report=report)
    if as_of is not None:
        raise ProjectError("--date says what a new dataset ends with, and --dataset names one that is frozen: use one")
    return dataset.read(frozen, config, paths)
