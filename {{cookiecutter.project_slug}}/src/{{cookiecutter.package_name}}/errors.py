"""The one error of the package: what happened, what to do next, and the exit code that says whose turn it is."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, the same for every verb."""

    OK = 0
    SAID_NO = 1
    """A check said no: gate, proof, status, drill."""
    USAGE = 2
    """Wrong usage or configuration."""
    REFUSED = 3
    """Data refused by the contract."""
    UNAVAILABLE = 4
    """Something outside is not there: late source, registry or storage down. Retry."""


class ProjectError(Exception):
    """An error with a readable cause and a next step; the command line prints it without a traceback.

    ``message`` says what was expected, what was seen and where. ``hint`` is the next thing to do, ideally a command.
    """

    def __init__(self, message: str, *, hint: str | None = None, exit: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit = exit

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  next: {self.hint}"


def lacking(error: ModuleNotFoundError) -> ProjectError:
    """A library that is not in this environment, such as MLflow in one that was made to serve only."""
    return ProjectError(f"{error.name} is not installed here", hint="uv sync brings everything that is in the lock")


REGISTRY = ("mlflow", "sqlalchemy", "sqlite3")
"""Where the errors of a registry that breaks off come from; by name, for importing MLflow takes seconds."""


def plain(raised: Exception) -> ProjectError | None:
    """What a person can mend, in their words: a disk that is full, a library that lacks, a registry that breaks off.

    None for a mistake of the program, which deserves its traceback.
    """
    if isinstance(raised, ProjectError):
        return raised
    if isinstance(raised, ModuleNotFoundError):
        return lacking(raised)
    if type(raised).__module__.partition(".")[0] in REGISTRY:
        said = str(raised).strip().splitlines() or [type(raised).__name__]
        return ProjectError(f"the registry said no: {said[0]}", hint="retry when it is back", exit=Exit.UNAVAILABLE)
    if not isinstance(raised, OSError):
        return None
    where = raised.filename
    return ProjectError(
        f"the storage said no{f' at {where}' if where else ''}: {raised.strerror or raised}",
        hint="nothing was half-written; free space or mend the rights, then run the same command again",
        exit=Exit.UNAVAILABLE,
    )
