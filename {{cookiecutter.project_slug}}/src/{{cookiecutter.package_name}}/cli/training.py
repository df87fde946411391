"""Verbs that make versions: dataset, train, evaluate, register."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..errors import ProjectError
from .root import EVERY_DAY, MODELS, Day, Json, app, written

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="A file of configs/.")]
Frozen = Annotated[
    Path | None, typer.Option("--dataset", metavar="FILE", help="Train on this frozen dataset instead of a new one.")
]


@app.command(rich_help_panel=EVERY_DAY)
def train(
    config: Config,
    day: Day = None,
    frozen: Frozen = None,
    output: Annotated[
        Path | None, written("--output", "FOLDER", "Write the version there and register nothing.")
    ] = None,
    json: Json = False,
) -> None:
    """Train what a config says, log it to MLflow, register it and print the version ID.

    --date is the last day whose labels may be used, by default the newest ingested one.
    Example: ml train --config configs/v1.yaml
    """
    from ..paths import browsing, find
    from ..spec import PRIMARY
    from ..training.train import train as train_now
    from ..training.train import train_into

    paths, as_of = find(), day.date() if day else None
    version = None
    with console.working("train") as report:
        if output is None:
            version, trained, facts = train_now(config, paths, as_of=as_of, frozen=frozen, report=report)
        else:
            trained, facts = train_into(output, config, paths, as_of=as_of, frozen=frozen, report=report)
    metrics, origin = trained.metrics, trained.dataset.origin
    if json:
        console.machine({**facts, "proof": str(trained.verdict)})
        return
    primary = PRIMARY[trained.config.task]
    baseline = metrics[f"baseline_{primary}"]
    console.say(f"version {version}" if version else f"trained, in {output}", "bold green")
    console.facts(
        [
            (
                "trained on",
                f"{len(trained.dataset.split('train')):,} rows, {origin['train'][0]} to {origin['train'][1]}",
            ),
            ("judged on", f"{len(trained.truth):,} rows, {origin['evaluation'][0]} to {origin['evaluation'][1]}"),
            (primary, f"{metrics[primary]:.4g}, baseline {baseline:.4g}, {metrics['skill']:.1%} better"),
            ("proof", str(trained.verdict)),
            ("dataset", f"{trained.dataset.address}"),
            ("commit", f"{facts['git_commit'][:12]}{' with uncommitted changes' if facts['git_dirty'] else ''}"),
        ]
    )
    if version is None:
        console.following(f"ml register {output}")
    else:
        console.following(f"ml gate {version}", *browsing())


@app.command(rich_help_panel=MODELS)
def dataset(
    config: Config,
    output: Annotated[Path, written("--output", "FILE", "Where to put it, as Parquet.")],
    day: Day = None,
    json: Json = False,
) -> None:
    """Freeze the labelled rows of a config's window into one file; --date as in ml train.

    Example: ml dataset --config configs/v1.yaml --output data/dataset.parquet
    """
    from ..config import load_model
    from ..contract import CONTRACT
    from ..data.dataset import build, export
    from ..paths import find

    paths = find()
    if output.suffix != ".parquet":
        raise ProjectError(f"{output} is no place for a dataset: expected a name that ends in .parquet")
    with console.working("freeze") as report:
        frozen = build(load_model(config).data, CONTRACT, paths, as_of=day.date() if day else None, report=report)
        export(frozen, output, paths)
    if json:
        console.machine(frozen.origin)
        return
    console.say(f"{frozen.origin['rows']:,} rows in {output}", "bold green")
    console.facts(
        [(key, " to ".join(frozen.origin[key])) for key in ("train", "evaluation")] + [("sha256", frozen.digest[:16])]
    )
    console.following(f"ml train --config {config} --dataset {output}")


@app.command(rich_help_panel=MODELS)
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What ml train --output wrote.")],
    frozen: Annotated[Path, typer.Option("--dataset", metavar="FILE", help="A frozen dataset; see ml dataset.")],
    output: Annotated[Path, written("--output", "FOLDER", "Where metrics and plots go.")],
    json: Json = False,
) -> None:
    """Judge a trained folder on the evaluation rows of a frozen dataset: metrics, slices and tables to plot.

    Example: ml evaluate build/model --dataset data/dataset.parquet --output evaluation
    """
    from ..paths import find
    from ..spec import PRIMARY
    from ..training import reporting

    paths = find()
    with console.working("evaluate"):
        judged = reporting.judge(folder, frozen, paths)
        reporting.write(judged, output)
    if json:
        console.machine({"metrics": judged.metrics, "slices": judged.slices})
        return
    metrics, primary = judged.metrics, PRIMARY[judged.config.task]
    console.say(f"judged, in {output}", "bold green")
    console.facts(
        [
            ("judged on", f"{judged.rows:,} rows, {judged.first} to {judged.last}"),
            (
                primary,
                f"{metrics[primary]:.4g} ({metrics[f'{primary}_low']:.4g} to {metrics[f'{primary}_high']:.4g}), "
                f"baseline {metrics[f'baseline_{primary}']:.4g}, {metrics['skill']:.1%} better",
            ),
        ]
    )
    console.following(f"ml register {folder}")


@app.command(rich_help_panel=MODELS)
def register(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What ml train --output wrote.")], json: Json = False
) -> None:
    """Make a trained folder the next version of its model. The same folder is registered once.

    Example: ml register build/model
    """
    from ..paths import find
    from ..training.registry import register as register_now

    with console.working("register"):
        version, facts, new = register_now(folder, find())
    if json:
        console.machine({**facts, "new": new})
        return
    console.say(f"version {version}" + ("" if new else ", registered before"), "bold green")
    console.following(f"ml gate {version}")
