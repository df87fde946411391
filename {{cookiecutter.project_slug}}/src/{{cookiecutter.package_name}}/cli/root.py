"""The application: how verbs are listed, how an error becomes a message and an exit code, and the shared options."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import console
from ..errors import ProjectError, plain

machine = ContextVar("machine", default=False)
UsageError = typer.BadParameter.__bases__[0]
"""An option that does not exist, a day that is none: what Typer itself refuses. It does not export the class."""


def as_json(error: ProjectError) -> dict[str, Any]:
    """An error as every verb's ``--json`` prints it."""
    return {"message": error.message, "hint": console.runnable(error.hint or ""), "exit": int(error.exit)}


def _plain(raised: Exception) -> ProjectError | None:
    if isinstance(raised, UsageError):
        return ProjectError(raised.format_message(), hint="ml --help")
    return plain(raised)


class Verbs(TyperGroup):
    """Turns a ProjectError into its message and exit code, and lists the verbs in the order of the story."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        machine.set("--json" in args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as raised:
            error = _plain(raised)
            if error is None or (isinstance(raised, UsageError) and not machine.get()):
                raise  # Typer says what was typed wrong, with the verb's usage
            if machine.get():
                console.machine({"error": as_json(error)})
            else:
                console.failure(error.message, error.hint)
            raise typer.Exit(int(error.exit)) from None

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=lambda verb: (verb not in STORY, STORY.index(verb) if verb in STORY else 0))


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a day of data to a served prediction. Exit codes: 0 fine, 1 a check said no, 2 wrong usage or config, "
    "3 data refused by the contract, 4 not available yet (retry).",
)

STORY = ["demo", "ingest", "train", "gate", "promote", "rollback", "versions", "serve"]
"""The order in which a day meets them, and so the order of the help; the others follow."""
EVERY_DAY = "Every day"
MODELS = "Models"


EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)
"""Days that a date may name. Outside is a slip, and a window that begins before year 1 is no date at all."""


def day_option(flag: str, help: str) -> Any:
    """An option that names a day; one that nobody means is refused."""

    def check(day: datetime | None) -> datetime | None:
        if day is not None and not EARLIEST <= day.date() <= LATEST:
            raise ProjectError(
                f"{flag} {day.date()}: expected a day from {EARLIEST} to {LATEST}", hint=f"{flag} 2026-05-31"
            )
        return day

    return typer.Option(flag, formats=["%Y-%m-%d"], metavar="DAY", help=help, callback=check)


def written(flag: str, metavar: str, help: str) -> Any:
    """An option that names what a verb writes, a FILE or a FOLDER. What cannot be one is refused before the work."""

    def check(path: Path | None) -> Path | None:
        if path is None:
            return None
        if metavar == "FILE" and path.is_dir():
            raise ProjectError(f"{flag} {path}: expected a file, and that is a folder", hint=f"{flag} {path}/NAME")
        for folder in path.parents if metavar == "FILE" else (path, *path.parents):
            if folder.exists() and not folder.is_dir():
                raise ProjectError(
                    f"{flag} {path}: expected a folder at {folder}, and that is a file", hint="another name"
                )
        return path

    return typer.Option(flag, metavar=metavar, help=help, callback=check)


LONGEST = 500
"""Characters of a reason: a few sentences, and well below what a registry's tag holds."""


def _brief(why: str) -> str:
    if len(why) > LONGEST:
        raise ProjectError(
            f"--reason has {len(why):,} characters: expected at most {LONGEST}", hint="say where the rest is written"
        )
    return why


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Day = Annotated[datetime | None, day_option("--date", "The day, as 2026-05-31.")]
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Another model than the one operations.yaml names.")
]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the history.", callback=_brief)]


def main(arguments: Sequence[str]) -> int:
    """Run ``ml`` with these arguments and return its exit code."""
    try:
        app(args=list(arguments), prog_name="ml")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
