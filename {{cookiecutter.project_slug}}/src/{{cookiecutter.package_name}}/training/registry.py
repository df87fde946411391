"""Versions in the registry: register, look up, list, fetch. A version ID is ``7``, or ``late/7`` for another model."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException

from .. import files
from ..config import load_operations
from ..errors import Exit, ProjectError
from ..model import artefact, record
from ..model.id import VersionId
from ..model.record import CHAMPION, FACTS
from ..paths import Paths
from .tracking import connect, experiment

GATE = "gate"
"""Tag with what the gate said of it last."""
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


@dataclass(frozen=True)
class Listed:
    """A version as ``ml versions`` shows it."""

    id: VersionId
    champion: bool
    facts: dict[str, Any]


class Registry:
    """The project's models in MLflow."""

    def __init__(self, paths: Paths, *, new: bool = False) -> None:
        """Where there is no registry yet, ``new`` makes one."""
        self.paths = paths
        self.operations = load_operations(paths.operations)
        self.client = connect(paths, new=new)

    def facts(self, version: VersionId) -> dict[str, Any]:
        """What registration recorded. Raises ProjectError for a version that does not exist."""
        name = self.operations.registered(version.model)
        try:
            found = self.client.get_model_version(name, str(version.number))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            known = [str(listed.id.number) for listed in self.versions(version.model)]
            raise ProjectError(
                f"{version.model} has no version {version.number}",
                hint=f"there are: {', '.join(known)}" if known else "ml train --config configs/v1.yaml",
            ) from None
        if FACTS not in found.tags:
            raise ProjectError(
                f"version {version} has no facts: it was not registered by ml train",
                exit=Exit.SAID_NO,
                hint="train it again",
            )
        return record.read_facts(found.tags[FACTS], version, name)

    def champion(self, model: str) -> VersionId | None:
        """Where the champion alias points, None before the first promotion."""
        try:
            found = self.client.get_model_version_by_alias(self.operations.registered(model), CHAMPION)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return VersionId(model, int(found.version))

    def tags(self, model: str) -> dict[str, str]:
        """All that is recorded of a model beside its versions; nothing for an unknown one."""
        try:
            return self.client.get_registered_model(self.operations.registered(model)).tags
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}

    def remember(self, version: VersionId, tag: str, value: dict[str, Any]) -> None:
        """Keep a word on a version beside it, as JSON, in place of an older one."""
        name = self.operations.registered(version.model)
        self.client.set_model_version_tag(name, str(version.number), tag, json.dumps(value))

    def recall(self, version: VersionId, tag: str) -> dict[str, Any] | None:
        """What :meth:`remember` kept, None when there is nothing."""
        name = self.operations.registered(version.model)
        kept = self.client.get_model_version(name, str(version.number)).tags.get(tag)
        return json.loads(kept) if kept else None

    def versions(self, model: str) -> list[Listed]:
        """Every version of a model, newest first."""
        found = self.client.search_model_versions(f"name = '{self.operations.registered(model)}'", max_results=1000)
        champion = self.champion(model) if found else None
        listed = []
        for version in found:
            id = VersionId(model, int(version.version))
            listed.append(Listed(id, id == champion, json.loads(version.tags.get(FACTS, "{}"))))
        return sorted(listed, key=lambda item: -item.id.number)

    def fetch(self, version: VersionId, below: Path | None = None) -> Path:
        """Place a version below ``var/serving``, its files compared with the registered sha256. Returns its folder.

        What is already there and whole is kept. The folder appears complete or not at all. ``below`` is another folder,
        for those who only look.
        """
        facts = self.facts(version)
        place = (below or self.paths.serving) / version.folder
        self.paths.locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self.paths.locks / "serving.lock"):
            files.sweep(place.parent)
            if not artefact.is_placed(place, facts):
                self._place(version, facts, place)
        return place

    def report(self, version: VersionId, name: str) -> Any:
        """A JSON file of the training's report, as its run keeps it. Raises ProjectError (exit 4) when it is gone."""
        run = str(self.facts(version).get("run_id"))
        try:
            return json.loads(mlflow.artifacts.load_text(f"runs:/{run}/{name}"))
        except (MlflowException, OSError, ValueError) as error:
            raise ProjectError(
                f"{name} of the run of version {version} cannot be read: {str(error).splitlines()[0]}",
                hint="is the artefact store up? was the run deleted?",
                exit=Exit.UNAVAILABLE,
            ) from error

    def _place(self, version: VersionId, facts: dict[str, Any], place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        found = self.client.get_model_version(facts["registered"], str(version.number))
        with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=place.parent) as scratch:
            # without a destination MLflow hands out the store's own folder, after writing a file of its own into it
            fetched = Path(scratch) / "fetched"
            fetched.mkdir()
            try:
                source = Path(mlflow.artifacts.download_artifacts(artifact_uri=found.source, dst_path=str(fetched)))
            except (MlflowException, OSError) as error:
                raise ProjectError(
                    f"the files of version {version} cannot be fetched: {str(error).splitlines()[0]}",
                    hint="is the artefact store up? retry, or restore it",
                    exit=Exit.UNAVAILABLE,
                ) from error
            new = Path(scratch) / "version"
            for name in facts["files"]:
                target = new / artefact.FOLDER / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if (source / name).is_file():
                    shutil.copyfile(source / name, target)
            artefact.check(new / artefact.FOLDER, facts["files"])
            files.write_json(new / artefact.FACTS, facts)
            files.replace_folder(new, place)


def register(folder: Path, paths: Paths) -> tuple[VersionId, dict[str, Any], bool]:
    """Make the bundle in ``folder`` a run with parameters, metrics and figures, and the next version of its model.

    Returns its ID, its facts, and whether it is new: a bundle with the same files is registered once, however often
    this is called. So a training that was restored from a cache instead of being run gets its version too.
    """
    facts = artefact.read(folder)
    registry = Registry(paths, new=True)
    client, name = registry.client, registry.operations.registered(facts["model"])
    for listed in registry.versions(facts["model"]):
        if listed.facts.get("files") == facts["files"]:
            return listed.id, registry.facts(listed.id), False
    home = experiment(client, registry.operations.project, paths)
    with mlflow.start_run(experiment_id=home, run_name=f"{facts['model']} {facts['window']['as_of']}") as run:
        mlflow.log_params(_flat(facts["config"]))
        mlflow.log_metrics({key: value for key, value in facts["metrics"].items() if value == value})
        mlflow.log_artifacts(str(folder / artefact.REPORT))
        mlflow.set_tags({key: str(facts[key]) for key in TAGGED})
        model = client.create_logged_model(home, name="model", source_run_id=run.info.run_id)
        client.log_model_artifacts(model.model_id, str(folder / artefact.FOLDER))
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    facts |= {"run_id": run.info.run_id, "experiment_id": home}
    # the tags come with it: a version without its facts never exists
    tags = {key: str(facts[key]) for key in (*TAGGED, "run_id", "experiment_id")} | {FACTS: json.dumps(facts)}
    made = client.create_model_version(
        name, source=model.model_uri, run_id=run.info.run_id, model_id=model.model_id, tags=tags
    )
    version = VersionId(facts["model"], int(made.version))
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
