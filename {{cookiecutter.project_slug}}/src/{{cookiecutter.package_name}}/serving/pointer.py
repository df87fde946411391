"""Asking the registry who the champion is, and was, and who answers beside it, without MLflow.

A query of SQLite, or a call of MLflow's REST API. Importing MLflow costs a server 177 MB and 3 seconds of CPU; the
question is asked every two seconds.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..config import OperationsConfig
from ..errors import Exit, ProjectError
from ..model.id import VersionId
from ..model.record import CHAMPION, FACTS, Steered, read_facts, read_moves, steered
from ..paths import Paths, registry_uri
from .traffic import Traffic

if TYPE_CHECKING:
    from .outside import Outside

TIMEOUT = 5.0
"""Seconds; a registry that takes longer counts as away, and what is serving stays."""

NO_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class Pointer:
    """Where the champion alias points, how it moved, and what is known of a version.

    Raises ProjectError (exit 4) when the registry is away, or takes longer than ``timeout`` seconds. One on the network
    is asked ``attempts`` times; it is left alone for a while when it keeps failing, as :class:`Outside` says.
    """

    def __init__(
        self, paths: Paths, operations: OperationsConfig, *, timeout: float = TIMEOUT, attempts: int = 3
    ) -> None:
        self.uri = registry_uri(paths)
        self._timeout = timeout
        self._attempts = attempts
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
            query = f"registered-models/alias?name={quote(name)}&alias={CHAMPION}"
            found = self._get(query, lambda said: int(said["model_version"]["version"]))
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
        tags = self._get(f"registered-models/get?name={quote(name)}", lambda said: _tags(said["registered_model"]))
        return tags or {}

    def facts(self, version: VersionId) -> dict[str, Any] | None:
        """What the registry recorded of a version, None for one that does not exist."""
        name = self._operations.registered(version.model)
        if self.uri.startswith("sqlite"):
            query = "SELECT value FROM model_version_tags WHERE name = ? AND version = ? AND key = ?"
            tag = next((value for (value,) in self._rows(query, name, version.number, FACTS)), None)
        else:
            query = f"model-versions/get?name={quote(name)}&version={version.number}"
            tag = (self._get(query, lambda said: _tags(said["model_version"])) or {}).get(FACTS)
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

    @cached_property
    def _outside(self) -> Outside:
        from .outside import Outside  # a registry on this disk does not need it

        return Outside(self._name, seconds=self._timeout, attempts=self._attempts)

    def _get(self, path: str, pick: Callable[[Any], Any]) -> Any:
        """What ``pick`` finds in the answer of MLflow's REST API, None where it says that there is no such thing."""
        from .outside import Away, get, refused

        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")

        def ask(seconds: float) -> Any:
            status, body = get(
                f"{self.uri.rstrip('/')}/api/2.0/mlflow/{path}",
                seconds,
                auth=(user, password) if user and password else None,
                headers={"Authorization": f"Bearer {token}"} if token else None,
            )
            try:
                said = json.loads(body)
                if status == 200:
                    return pick(said)
                if status in (400, 404) and said.get("error_code") in NO_SUCH:
                    return None
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                if status == 200:
                    where = "is that an MLflow server? see MLFLOW_TRACKING_URI"
                    raise Away("answers, but not as MLflow does", again=False, hint=where) from None
            raise refused(status, "check MLFLOW_TRACKING_URI, and MLFLOW_TRACKING_TOKEN or _USERNAME and _PASSWORD")

        return self._outside.call(ask)

    @property
    def _name(self) -> str:
        return f"the registry at {re.sub('//[^/]*@', '//***@', self.uri)}"

    def _away(self, error: Exception) -> ProjectError:
        return ProjectError(f"{self._name} does not answer: {error}", hint="retry later", exit=Exit.UNAVAILABLE)


def _tags(entity: dict[str, Any]) -> dict[str, str]:
    """Tags as MLflow's REST API lists them; it leaves out an empty list, and an empty value."""
    return {item["key"]: item.get("value", "") for item in entity.get("tags", [])}
