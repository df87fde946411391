"""Opening MLflow: SQLite in the project by default, a server when ``MLFLOW_TRACKING_URI`` says so."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from filelock import FileLock

from .. import files
from ..errors import Exit, ProjectError
from ..paths import Paths, registry_uri

# before the import: no usage events from a project that is meant to run on a plane, and no git look-ups of MLflow's own
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# a server's address after each run would stand in the middle of --json
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# MLflow's own seven tries keep a person waiting for minutes; who wants them sets the variable
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
for chatty in ("mlflow", "alembic"):
    logging.getLogger(chatty).setLevel(logging.ERROR)

import mlflow  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from sqlalchemy.exc import SQLAlchemyError  # noqa: E402

VARIABLE = "MLFLOW_TRACKING_URI"
DATABASE = "mlflow.db"
WHERE = "location.txt"


def connect(paths: Paths, *, new: bool = True) -> MlflowClient:
    """A client on an initialised registry. Raises ProjectError (exit 4) when it cannot be reached.

    With ``new`` false one that is gone is not made anew: who only looks would be told that nothing was ever trained.
    """
    given = os.environ.get(VARIABLE) or None  # empty, as in a bare line of .env, means not given
    uri = registry_uri(paths)
    if given is None and not new and not (paths.registry / DATABASE).exists() and any(paths.serving.glob("*/*/")):
        raise ProjectError(
            f"the registry is gone: {paths.relative(paths.registry / DATABASE)} is lacking, and versions were served",
            hint=f"restore it from its backup; to begin anew, remove {paths.relative(paths.serving)} too",
            exit=Exit.UNAVAILABLE,
        )
    try:
        if given is None:
            _initialise(paths)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        if given is None:
            # MLflow writes what it was told into the environment, where the next call would take it for the user's word
            os.environ.pop(VARIABLE, None)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        hint = "is the MLflow server up? check MLFLOW_TRACKING_URI and retry"
        raise ProjectError(
            f"the registry at {uri} does not answer: {str(error).splitlines()[0]}",
            hint="restore var/registry from its backup" if given is None else hint,
            exit=Exit.UNAVAILABLE,
        ) from error
    return client


def experiment(client: MlflowClient, name: str, paths: Paths) -> str:
    """The experiment's ID, made on first use; artefacts of the local registry lie beside its database."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    local = not os.environ.get(VARIABLE)
    location = (paths.registry / "artifacts").as_uri() if local else None
    try:
        return client.create_experiment(name, artifact_location=location)
    except MlflowException:
        found = client.get_experiment_by_name(name)  # somebody else made it a moment ago
        if found is None:
            raise
        return found.experiment_id


def _initialise(paths: Paths) -> None:
    """Make the database on first use, and follow the project when its folder was renamed or copied.

    Eight processes that open a fresh database at once leave it unusable, and so does one killed in its migrations. So
    the schema is made under a lock, in a file of another name, and renamed when it is whole.
    """
    database = paths.registry / DATABASE
    artifacts = paths.registry / "artifacts"
    marker = paths.registry / WHERE
    paths.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(paths.locks / "registry.lock"):
        files.sweep(paths.registry)
        if not database.exists():
            paths.registry.mkdir(parents=True, exist_ok=True)
            files.write_bytes(marker, str(paths.registry).encode())
            with files.replacing(database) as temporary:
                store = SqlAlchemyStore(f"sqlite:///{temporary}", artifacts.as_uri())
                store.engine.dispose()
            with sqlite3.connect(database) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
        before = Path(marker.read_text(encoding="utf-8")) if marker.exists() else paths.registry
        if before != paths.registry:
            _relocate(database, before, paths.registry)
            files.write_bytes(marker, str(paths.registry).encode())


def _relocate(database: Path, before: Path, after: Path) -> None:
    """Point every location in the database to the folder it lies in now.

    MLflow stores absolute locations. Without this a copied project would read, and write, the models of its original.
    """
    connection = sqlite3.connect(database)
    with connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            for column in columns:
                for old, new in ((before.as_uri(), after.as_uri()), (str(before), str(after))):
                    connection.execute(
                        f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) '  # noqa: S608 - names from the schema
                        f'WHERE typeof("{column}") = \'text\' AND substr("{column}", 1, ?) = ?',
                        (new, len(old) + 1, len(old) + 1, old + "/"),
                    )
    connection.close()
