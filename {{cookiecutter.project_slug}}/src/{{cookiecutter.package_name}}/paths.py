"""Where everything lives. No other module joins a path below the project's root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import ProjectError

MARKER = "operations.yaml"


@dataclass(frozen=True)
class Paths:
    """The folders of one project. Nothing is created here; whoever writes creates what it needs."""

    root: Path

    @property
    def operations(self) -> Path:
        return self.root / MARKER

    @property
    def registry(self) -> Path:
        """MLflow's database and artefacts, unless ``MLFLOW_TRACKING_URI`` moves them to a server."""
        return self.root / "var" / "registry"

    @property
    def serving(self) -> Path:
        """Verified model versions on disk: what a server starts from when the registry is away."""
        return self.root / "var" / "serving"

    @property
    def keys(self) -> Path:
        """Hashes of API keys, unless ``ML_API_KEYS_FILE`` names another file."""
        return self.serving / "keys.json"

    @property
    def journal(self) -> Path:
        """Spools of the prediction log: what was answered here and has not reached the data storage yet."""
        return self.serving / "journal"

    @property
    def locks(self) -> Path:
        return self.root / "var" / "locks"

    @property
    def lock_file(self) -> Path:
        return self.root / "uv.lock"

    def card_notes(self, model: str) -> Path:
        """What people have to say in the card of a model, by hand."""
        return self.root / "docs" / f"model_card_notes_{model}.md"

    def relative(self, path: Path) -> str:
        """``path`` as a person would write it from the project's root."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return str(path)


def registry_uri(paths: Paths) -> str:
    """Where the registry is: ``MLFLOW_TRACKING_URI``, or the project's own database by absolute path."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.registry / 'mlflow.db'}"


def keys_file(paths: Paths) -> Path:
    """Where the API keys are: ``ML_API_KEYS_FILE``, as where a container is handed one, or the project's own file."""
    named = os.environ.get("ML_API_KEYS_FILE")
    return paths.root / named if named else paths.keys


def browsing() -> list[str]:
    """The command that shows the project's own registry to a person; none where another one is named."""
    own = not os.environ.get("MLFLOW_TRACKING_URI")
    return ["uv run mlflow ui --backend-store-uri sqlite:///var/registry/mlflow.db"] if own else []


def _refuse_foreign_code(root: Path) -> None:
    """A copied folder brings along an environment that still imports its original's source: not on this data."""
    running = Path(__file__).resolve().parent
    own = root / "src" / running.name
    if own.is_dir() and not own.samefile(running):
        raise ProjectError(
            f"this is the project in {root}, but the code that runs is {running}",
            hint="run it as `uv run ml …` in this folder; if the folder was copied with its .venv, remove .venv first",
        )


def around(start: Path | None = None) -> Paths:
    """The project around ``start`` (default: the working directory), whoever's code runs.

    Raises ProjectError when no parent folder holds ``operations.yaml``.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return Paths(folder)
    raise ProjectError(
        f"no project here: looked for {MARKER} in {here} and its parent folders",
        hint="cd into the project's folder, the one that holds pyproject.toml",
    )


def find(start: Path | None = None) -> Paths:
    """The project around ``start``. Raises ProjectError too when the code that runs is another project's."""
    found = around(start)
    _refuse_foreign_code(found.root)
    return found
