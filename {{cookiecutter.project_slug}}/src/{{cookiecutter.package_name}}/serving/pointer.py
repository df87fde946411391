"""Asking the registry who the champion is, and was, and who answers beside it, without MLflow.

A query of SQLite, or a call of MLflow's REST API. Importing MLflow costs a server 177 MB and 3 seconds of CPU; the
question is asked every two seconds.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..config import OperationsConfig
from ..errors import Exit, ProjectError
from ..model.id import VersionId
from ..model.record import CHAMPION, FACTS, Steered, read_facts, read_moves, steered
from ..paths import Paths, registry_uri
from .traffic import Traffic

TIMEOUT = 5.0
"""Seconds; a registry that takes longer counts as away, and what is serving stays."""


class Pointer:
    """Where the champion alias points, how it moved, and what is known of a version.

    Raises ProjectError (exit 4) when the registry is away, or takes longer than ``timeout`` seconds.
    """

    def __init__(self, paths: Paths, operations: OperationsConfig, *, timeout: float = TIMEOUT) -> None:
        self.uri = registry_uri(paths)
        self._timeout = timeout
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
            query = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
            found = next((version for (version,) in self._rows(query, name, CHAMPION)), None)
        else:
            said = self._get(f"registered-models/alias?name={quote(name)}&alias={CHAMPION}")
            found = said and said["model_version"]["version"]
        return VersionId(model, int(found)) if found else None

    def moves(self, model: str) -> list[dict[str, Any]]:
        """Every move of a model's champion, oldest first, as :func:`read_moves` says; none for an unknown model."""
        return read_moves(self._tags(model))

    def traffic(self, model: str) -> Traffic:
        """Who answers besides a model's champion; nobody for an unknown model."""
        return Traffic.read(model, self._tags(model))

    def trial(self, model: str) -> Steered:
        """The same with every turn of it: since when, by whom and why."""
        return steered(self._tags(model))

    def _tags(self, model: str) -> dict[str, str]:
        name = self._operations.registered(model)
        if self.uri.startswith("sqlite"):
            return dict(self._rows("SELECT key, value FROM registered_model_tags WHERE name = ?", name))
        said = self._get(f"registered-models/get?name={quote(name)}")
        return _tags(said["registered_model"]) if said else {}

    def facts(self, version: VersionId) -> dict[str, Any] | None:
        """What the registry recorded of a version, None for one that does not exist."""
        name = self._operations.registered(version.model)
        if self.uri.startswith("sqlite"):
            query = "SELECT value FROM model_version_tags WHERE name = ? AND version = ? AND key = ?"
            tag = next((value for (value,) in self._rows(query, name, version.number, FACTS)), None)
        else:
            said = self._get(f"model-versions/get?name={quote(name)}&version={version.number}")
            tag = _tags(said["model_version"]).get(FACTS) if said else None
        return read_facts(tag, version, name) if tag else None

    def _rows(self, query: str, *values: Any) -> list[Any]:
        path = Path(self.uri.removeprefix("sqlite:///"))
        if not self.exists:
            return []
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=self._timeout)
            try:
                return connection.execute(query, values).fetchall()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._away(error) from error

    def _get(self, path: str) -> Any:
        import httpx  # 0.3 s of CPU, which a registry on this disk does not need

        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        try:
            answer = httpx.get(
                f"{self.uri.rstrip('/')}/api/2.0/mlflow/{path}",
                timeout=self._timeout,
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


def _tags(entity: dict[str, Any]) -> dict[str, str]:
    """Tags as MLflow's REST API lists them; it leaves out an empty list, and an empty value."""
    return {item["key"]: item.get("value", "") for item in entity.get("tags", [])}
