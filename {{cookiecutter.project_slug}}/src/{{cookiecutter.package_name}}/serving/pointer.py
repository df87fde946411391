"""Asking the registry who the champion is, without MLflow: one row of SQLite, or one call of MLflow's REST API.

Importing MLflow costs a server 177 MB and 3 seconds of CPU; the question is asked every two seconds.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from ..config import OperationsConfig
from ..errors import Exit, ProjectError
from ..model import artefact
from ..model.id import VersionId
from ..paths import Paths, registry_uri

ALIAS = "champion"
FACTS = "facts"
TIMEOUT = 5.0
"""Seconds; a registry that takes longer counts as away, and what is serving stays."""


class Pointer:
    """Where the champion alias points, and what is known of a version. Raises ProjectError (exit 4) when it is away."""

    def __init__(self, paths: Paths, operations: OperationsConfig) -> None:
        self.uri = registry_uri(paths)
        self._operations = operations
        if not self.uri.startswith(("sqlite:///", "http://", "https://")):
            raise ProjectError(
                f"the server follows a registry over SQLite or HTTP, MLFLOW_TRACKING_URI is {self.uri.split(':')[0]}://…",
                hint="point it to an MLflow server: one way of access for everybody",
            )

    @property
    def exists(self) -> bool:
        """False where nobody ever made a registry: no server is named, and there is no database."""
        return not self.uri.startswith("sqlite") or Path(self.uri.removeprefix("sqlite:///")).exists()

    def champion(self, model: str) -> VersionId | None:
        name = self._operations.registered(model)
        if self.uri.startswith("sqlite"):
            found = self._row("SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", name, ALIAS)
        else:
            said = self._get(f"registered-models/alias?name={quote(name)}&alias={ALIAS}")
            found = said and said["model_version"]["version"]
        return VersionId(model, int(found)) if found else None

    def facts(self, version: VersionId) -> dict[str, Any] | None:
        """What the registry recorded of a version, None for one that does not exist."""
        name = self._operations.registered(version.model)
        if self.uri.startswith("sqlite"):
            query = "SELECT value FROM model_version_tags WHERE name = ? AND version = ? AND key = ?"
            tag = self._row(query, name, version.number, FACTS)
        else:
            said = self._get(f"model-versions/get?name={quote(name)}&version={version.number}")
            tags = said["model_version"].get("tags", []) if said else []
            tag = next((item["value"] for item in tags if item["key"] == FACTS), None)
        return artefact.read_facts(tag, version, name) if tag else None

    def _row(self, query: str, *values: Any) -> Any:
        path = Path(self.uri.removeprefix("sqlite:///"))
        if not self.exists:
            return None
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT)
            try:
                row = connection.execute(query, values).fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._away(error) from error
        return row[0] if row else None

    def _get(self, path: str) -> Any:
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        try:
            answer = httpx.get(
                f"{self.uri.rstrip('/')}/api/2.0/mlflow/{path}",
                timeout=TIMEOUT,
                auth=(user, password) if user and password else None,
                headers={"Authorization": f"Bearer {token}"} if token else None,
            )
            if answer.status_code in (400, 404) and answer.json().get("error_code") in (
                "RESOURCE_DOES_NOT_EXIST",
                "INVALID_PARAMETER_VALUE",
            ):
                return None
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> ProjectError:
        return ProjectError(
            f"the registry at {self.uri} does not answer: {error}", hint="retry later", exit=Exit.UNAVAILABLE
        )
