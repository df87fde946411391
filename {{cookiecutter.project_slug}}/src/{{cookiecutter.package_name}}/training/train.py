"""The training job: one config file in, one registered version out."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from ..config import load_model, load_operations
from ..contract import CONTRACT
from ..model.id import VersionId
from ..paths import Paths
from .fit import Report, Trained, fit
from .record import log_and_register


def train(
    config_path: Path, paths: Paths, *, as_of: date | None = None, report: Report = lambda _: None
) -> tuple[VersionId, Trained, dict[str, Any]]:
    """Fit what ``config_path`` says on the window that ends ``as_of``, log it to MLflow and register it.

    ``as_of`` is the last day whose labels may be used, by default the newest that was ingested. Returns the version's
    ID, the fitted version, and the facts that the registry recorded. Raises ProjectError.
    """
    operations = load_operations(paths.operations)
    config = load_model(config_path)
    with tempfile.TemporaryDirectory(prefix="ml-train-") as scratch:
        trained = fit(config, CONTRACT, paths, as_of=as_of, scratch=Path(scratch), report=report)
        report("register")
        version, facts = log_and_register(trained, config_path, Path(scratch), paths, operations)
    return version, trained, facts
