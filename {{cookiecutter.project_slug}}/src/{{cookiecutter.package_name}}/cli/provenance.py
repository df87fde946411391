"""The verbs that account for one version: reproduce, card."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console, files
from ..errors import Exit, ProjectError
from ..paths import find
from .models import meant, named, open_registry
from .root import MODELS, Json, app, written

if TYPE_CHECKING:
    from ..training.reproduce import Reproduction


@app.command(rich_help_panel=MODELS)
def reproduce(version: str, json: Json = False) -> None:
    """Make a version again from its commit, lock, dataset, config and seed, and say whether it is the same.

    Takes as long as an installation and a training. Nothing here changes.
    Example: ml reproduce 3
    """
    wanted = named(version)
    from ..training.reproduce import reproduce as reproduce_now

    registry, _ = open_registry()
    with console.working(f"reproduce {wanted}") as report:
        made = reproduce_now(registry, wanted, report=report)
    if json:
        console.machine(asdict(made) | {"likeness": made.likeness.as_json()})
    else:
        _show(made)
    raise typer.Exit(int(made.likeness.exit))


@app.command(rich_help_panel=MODELS)
def card(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Or the folder that ml train --output wrote.")],
    output: Annotated[Path | None, written("--output", "FILE", "Write it there.")] = None,
    json: Json = False,
) -> None:
    """Print the model card of a version: data, features, metrics, slices, verdict, limits, owner.

    What people add stands in docs/model_card_notes_MODEL.md. Exit 1 when the card would not be complete.
    Example: ml card 3 --output docs/model_card.md
    """
    wanted = meant(version)
    from ..training import card as cards

    if isinstance(wanted, Path):
        sources = cards.of_folder(wanted, find())
    else:
        registry, _ = open_registry()
        with console.working(f"read {wanted}"):
            sources = cards.of_version(registry, wanted)
    text = cards.render(sources)
    if lacks := cards.missing(text):
        listing = "\n".join(f"  {line}" for line in lacks)
        raise ProjectError(
            f"the card of {version} is not complete:\n{listing}",
            hint="the owner stands in operations.yaml, a meaning in contract.py, what a feature is in its docstring in "
            f"transform/features.py, your own words in {sources.notes_file}",
            exit=Exit.SAID_NO,
        )
    if output is not None:
        files.write_bytes(output, text.encode())
    if json:
        console.machine({"version": sources.name, "file": output, "text": text})
    elif output is None:
        console.say(text.rstrip())
    else:
        console.say(f"card of {version} in {output}", "bold green")


def _show(made: Reproduction) -> None:
    like = made.likeness
    console.say(f"{made.version} {like.said}", "bold red" if like.exit else "bold green")
    for line in like.differences:
        console.say(f"  {line}")
    same = [name for name, equal in like.files.items() if equal]
    other = [name for name, equal in like.files.items() if not equal]
    console.facts(
        [
            *(("likely cause", cause) for cause in like.causes),
            ("commit", made.commit[:12]),
            ("dataset", f"from {made.dataset}"),
            ("files", f"{len(same)} of {len(like.files)} have the same bytes; not {', '.join(other) or 'one'}"),
        ]
    )
