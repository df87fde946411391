"""The verbs that judge: gate, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console, files
from ..errors import ProjectError
from ..training.verdict import not_run
from .models import meant, named, open_registry
from .root import EVERY_DAY, MODELS, Day, Json, app, written

if TYPE_CHECKING:
    from ..training.verdict import GateReport

STYLES = {"PASS": "bold green", "FIRST": "bold green"}


@app.command(rich_help_panel=EVERY_DAY)
def gate(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION|FOLDER]", help="The challenger, registered or just trained.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="VERSION|FOLDER", help="Another one than the champion.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="COMMIT", help="Compare this checkout with a commit; see --config.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="With --base: the config that both train.")
    ] = None,
    day: Day = None,
    markdown: Annotated[Path | None, written("--markdown", "FILE", "Write the report there too, as Markdown.")] = None,
    json: Json = False,
) -> None:
    """Challenger against champion on the same rows: PASS, FAIL, INCONCLUSIVE, FIRST or NOT RUN.

    --date is the last day whose labels may be used, by default the newest ingested one. With --base, what the window
    lacks is ingested, a commit is rebuilt with its own lock, and nothing is registered: so CI judges a pull request.
    Example: ml gate 3
    Example: ml gate --base main --config configs/v1.yaml
    """
    as_of = day.date() if day else None
    try:
        if base is not None and config is not None and version is None and against is None:
            from ..clock import now
            from ..paths import find
            from ..training.contest import of_checkout

            with console.working("gate") as report:
                said = of_checkout(config, base, find(), as_of=as_of, now=now(), report=report)
            following = [] if said.exit else ["git push"]
        elif version is not None and base is None and config is None:
            challenger, other = meant(version), meant(against) if against else None
            from ..training.contest import of_version

            registry, _ = open_registry()
            with console.working(f"gate {challenger}") as report:
                said = of_version(registry, challenger, other, as_of=as_of, report=report)
            onward = f"ml gate {challenger}" if other else f"ml promote {challenger}"
            onward = f"ml register {challenger}" if isinstance(challenger, Path) else onward
            following = ["ml versions"] if said.exit else [onward]
        else:
            raise ProjectError(
                "what against what? a version against the champion, or this checkout against a commit",
                hint="ml gate 3, or ml gate --base main --config configs/v1.yaml",
            )
    except ProjectError as refused:
        if markdown is not None:  # whoever reads the report must not find an older one
            name = version or "this checkout"
            files.write_bytes(markdown, not_run(name, against or base, str(refused)).markdown().encode())
        raise
    if markdown is not None:
        files.write_bytes(markdown, said.markdown().encode())
    if json:
        console.machine(said.as_json())
    else:
        _show(said)
        console.following(*following)
    raise typer.Exit(int(said.exit))


def _show(said: GateReport) -> None:
    against = f" against {said.champion}" if said.champion else ""
    console.say(f"{said.verdict}  {said.challenger}{against}", STYLES.get(said.verdict, "bold red"))
    if said.reason:
        console.say(f"  {said.reason}")
    if not said.checks:
        return
    console.facts(
        [
            ("rows", f"{said.rows:,} of {said.rows_first} to {said.rows_last}, neither was trained on them"),
            ("metric", f"{said.metric}, tolerance {said.tolerance:g}"),
        ]
    )
    console.say()
    console.table(
        ["check", "", "", "seen"], [[check.code, check.title, check.outcome, check.said] for check in said.checks]
    )
    if said.rows_needed:
        console.say()
        console.say(
            f"about {said.rows_needed:,} rows would tell: raise data.evaluation_weeks "
            f"{said.rows_needed / said.rows:.1f} times, or gate again when more labels are in"
        )


@app.command(rich_help_panel=MODELS)
def verify(version: str, json: Json = False) -> None:
    """Replay the proof of a version here, in a process of its own: would these libraries serve it?

    Example: ml verify 3
    """
    wanted = named(version)
    _, replay = open_registry()
    with console.working(f"replay the proof of {wanted}"):
        said = replay(wanted)
    if json:
        console.machine({"version": str(wanted), "proof": said})
    else:
        console.say(f"{wanted} holds: {said}", "bold green")
