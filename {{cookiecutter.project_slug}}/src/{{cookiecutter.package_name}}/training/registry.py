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
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from .. import files
from ..config import OperationsConfig
from ..errors import Exit, ProjectError
from ..model import artefact
from ..model.id import VersionId
from ..paths import Paths
from .tracking import connect

CHAMPION = "champion"
FACTS = "facts"
"""Tag with everything the server needs to know of a version, the sha256 of its files among it: the trust root."""
GATE = "gate"
"""Tag with what the gate said of it last."""


@dataclass(frozen=True)
class Listed:
    """A version as ``ml versions`` shows it."""

    id: VersionId
    champion: bool
    facts: dict[str, Any]


class Registry:
    """The project's models in MLflow."""

    def __init__(self, paths: Paths, operations: OperationsConfig, client: MlflowClient | None = None) -> None:
        self.paths = paths
        self.operations = operations
        self.client = client or connect(paths, new=False)

    def register(
        self, model: str, model_uri: str, model_id: str, run_id: str, facts: dict[str, Any], tags: dict[str, str]
    ) -> VersionId:
        """Make the logged model a version. Its tags come with it: a version without its facts never exists."""
        name = self.operations.registered(model)
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = self.client.create_model_version(
            name, source=model_uri, run_id=run_id, model_id=model_id, tags=tags | {FACTS: json.dumps(facts)}
        )
        return VersionId(model, int(version.version))

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
        return artefact.read_facts(found.tags[FACTS], version, name)

    def champion(self, model: str) -> VersionId | None:
        """Where the champion alias points, None before the first promotion."""
        try:
            found = self.client.get_model_version_by_alias(self.operations.registered(model), CHAMPION)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return VersionId(model, int(found.version))

    def remember(self, version: VersionId, tag: str, value: str) -> None:
        """Keep a word on a version beside it, in place of an older one."""
        self.client.set_model_version_tag(self.operations.registered(version.model), str(version.number), tag, value)

    def recall(self, version: VersionId, tag: str) -> str | None:
        """What :meth:`remember` kept, None when there is nothing."""
        name = self.operations.registered(version.model)
        return self.client.get_model_version(name, str(version.number)).tags.get(tag)

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
        files.sweep(place.parent)
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
