"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import console
from .errors import Exit, ProjectError

machine = ContextVar("machine", default=False)


class Verbs(TyperGroup):
    """Turns a ProjectError into its message and exit code, and keeps the verbs in the order they are written in."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ProjectError as error:
            if machine.get():
                said = {"message": error.message, "hint": error.hint, "exit": int(error.exit)}
                console.machine({"error": said})
            else:
                console.failure(error.message, error.hint)
            raise typer.Exit(int(error.exit)) from None

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a day of data to a served prediction. Exit codes: 0 fine, 1 a check said no, 2 wrong usage or config, "
    "3 data refused by the contract, 4 not available yet (retry).",
)

EVERY_DAY = "Every day"
MODELS = "Models"

Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print JSON.", callback=lambda value: (machine.set(value) and value) or value, is_eager=True
    ),
]
Day = Annotated[
    datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], metavar="DAY", help="The day, as 2026-05-31.")
]
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Another model than the one operations.yaml names.")
]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the history.")]


@app.command(rich_help_panel=EVERY_DAY)
def demo(json: Json = False) -> None:
    """The whole story in one go: ingest, break the data, train, promote, serve, predict, roll back."""
    from .operations.demo import run
    from .paths import find

    run(find(), quiet=json)


@app.command(rich_help_panel=EVERY_DAY)
def ingest(
    day: Day = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DAY", help="First day of a range.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="Last day of a range.")
    ] = None,
    json: Json = False,
) -> None:
    """Take one day, or a range, from the source through the contract into its partition.

    Example: ml ingest --date 2026-05-31
    """
    from .clock import now
    from .config import load_operations
    from .contract import CONTRACT
    from .data.ingest import ingest_days
    from .paths import find

    wanted = _range(day, first, last)
    paths = find()
    operations = load_operations(paths.operations)
    steps = len(wanted) * len(CONTRACT.tables)
    with console.progress(steps, "ingest") as advance:
        done, failed = ingest_days(wanted, CONTRACT, operations, paths, now(), advance)
    if json:
        console.machine(
            {
                "partitions": [{**item.manifest.model_dump(mode="json"), "changed": item.changed} for item in done],
                "failed": [error.message for error in failed],
            }
        )
    elif done:
        rows = sum(item.manifest.rows for item in done)
        aside = sum(sum(item.manifest.rows_set_aside.values()) for item in done)
        changed = sum(item.changed for item in done)
        console.say(
            f"{len(done)} partitions in force, {changed} changed, {rows:,} rows"
            + (f", {aside} set aside" if aside else "")
        )
    if failed:
        if not json:
            for error in failed:
                console.failure(error.message, error.hint)
        raise typer.Exit(int(min(error.exit for error in failed)))


@app.command(rich_help_panel=EVERY_DAY)
def train(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="A file of configs/.")],
    day: Day = None,
    json: Json = False,
) -> None:
    """Train what a config says, log it to MLflow, register it and print the version ID.

    --date is the last day whose labels may be used, by default the newest ingested one.
    Example: ml train --config configs/v1.yaml
    """
    from .paths import find
    from .training.train import train as train_now

    paths = find()
    with console.working("train") as report:
        version, trained = train_now(config, paths, as_of=day.date() if day else None, report=report)
    metrics, origin, facts = trained.metrics, trained.dataset.origin, trained.version.facts
    if json:
        console.machine(
            {
                "version": str(version),
                "metrics": metrics,
                "dataset": trained.dataset.digest,
                "proof": str(trained.verdict),
                **facts,
            }
        )
        return
    primary = "mae" if trained.config.task == "regression" else "log_loss"
    baseline = metrics[f"baseline_{primary}"]
    console.say(f"version {version}", "bold green")
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
    console.following(f"ml promote {version}", "uv run mlflow ui --backend-store-uri sqlite:///var/registry/mlflow.db")


@app.command(rich_help_panel=MODELS)
def promote(version: str, why: Why = "", json: Json = False) -> None:
    """Make a version the champion, once its proof holds in a process of its own.

    Example: ml promote 3 --reason "fresher data"
    """
    from .clock import now
    from .model.id import parse
    from .training.champion import promote as promote_now

    registry, verify = _registry()
    move, proof = promote_now(registry, parse(version, registry.operations.model), verify, now=now(), why=why)
    _moved(move, proof, str(parse(version, registry.operations.model)), json)


@app.command(rich_help_panel=MODELS)
def rollback(
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="That version instead of the one before.")
    ] = None,
    model: Model = None,
    why: Why = "",
    json: Json = False,
) -> None:
    """Return to the version that served before, once its proof holds.

    Example: ml rollback --reason "wrong for the harbour depot"
    """
    from .clock import now
    from .model.id import parse
    from .training.champion import rollback as rollback_now

    registry, verify = _registry()
    target = parse(to, model or registry.operations.model) if to else None
    name = target.model if target else model or registry.operations.model
    move, proof = rollback_now(registry, name, target, verify, now=now(), why=why)
    _moved(move, proof, str(target), json)


@app.command(rich_help_panel=MODELS)
def versions(model: Model = None, json: Json = False) -> None:
    """List versions, and what served from when to when."""
    from .training.champion import history

    registry, _ = _registry()
    name = model or registry.operations.model
    listed = registry.versions(name)
    moves = history(registry, name) if listed else []
    until = [move.at for move in moves[1:]] + [None]
    if json:
        console.machine(
            {
                "versions": [{"version": str(item.id), "champion": item.champion, **item.facts} for item in listed],
                "history": [
                    {
                        "version": str(move.version),
                        "from": move.at.isoformat(),
                        "to": end and end.isoformat(),
                        "verb": move.verb,
                        "who": move.who,
                        "why": move.why,
                    }
                    for move, end in zip(moves, until, strict=True)
                ],
            }
        )
        return
    if not listed:
        raise ProjectError(f"no version of {name} yet", hint="ml train --config configs/v1.yaml", exit=Exit.SAID_NO)
    rows = []
    for item in listed:
        metrics = item.facts.get("metrics", {})
        primary = "mae" if "mae" in metrics else "log_loss"
        window = item.facts.get("window", {})
        commit = item.facts.get("git_commit", "")[:10] + ("+" if item.facts.get("git_dirty") else "")
        rows.append(
            [
                str(item.id),
                "champion" if item.champion else "",
                f"{primary} {metrics[primary]:.4g}" if primary in metrics else "",
                f"{metrics['skill']:.1%}" if "skill" in metrics else "",
                window.get("as_of", ""),
                item.facts.get("contract_version", ""),
                commit,
            ]
        )
    console.table(["version", "", "metric", "skill", "labels until", "contract", "commit"], rows, right=["skill"])
    if moves:
        console.say()
        served = [
            [
                str(move.version),
                f"{move.at:%Y-%m-%d %H:%M}",
                f"{end:%Y-%m-%d %H:%M}" if end else "now",
                move.verb,
                move.who,
                move.why,
            ]
            for move, end in zip(moves, until, strict=True)
        ]
        console.table(["served", "from (UTC)", "to", "by", "who", "why"], served)


@app.command(rich_help_panel=EVERY_DAY)
def serve(
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="VERSION", help="Serve this one; without it, follow the champion."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address; operations.yaml says the default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes any free one.")] = None,
) -> None:
    """Answer predictions over HTTP. Docs are at /docs.

    Example: ml serve --port 8000
    """
    # before NumPy and scikit-learn are imported: a server answers small requests, where more threads only spin
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    from .config import load_operations
    from .model.id import parse
    from .paths import find
    from .serving.serve import serve as serve_now

    paths = find()
    operations = load_operations(paths.operations)
    pinned = parse(version, operations.model) if version else None
    serve_now(
        paths,
        operations,
        version=pinned,
        host=operations.serving.host if host is None else host,
        port=operations.serving.port if port is None else port,
        ready=lambda address: console.say(f"listening on {address}, docs at {address}/docs"),
    )


def main(arguments: Sequence[str]) -> int:
    """Run ``ml`` with these arguments and return its exit code."""
    try:
        app(args=list(arguments), prog_name="ml")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _range(day: datetime | None, first: datetime | None, last: datetime | None) -> list[date]:
    from .clock import days

    if day is not None and first is None and last is None:
        return [day.date()]
    if day is None and first is not None and last is not None and first <= last:
        return list(days(first.date(), last.date()))
    raise ProjectError(
        "which day? expected --date DAY, or --from DAY --to DAY in that order", hint="ml ingest --date 2026-05-31"
    )


def _registry() -> Any:
    from .config import load_operations
    from .model.id import VersionId
    from .paths import find
    from .serving import worker
    from .training.registry import Registry

    paths = find()
    registry = Registry(paths, load_operations(paths.operations))

    def verify(version: VersionId) -> str:
        registry.fetch(version)
        return worker.verify(version, paths)

    return registry, verify


def _moved(move: Any, proof: str, version: str, json: bool) -> None:
    if json:
        console.machine({"moved": move is not None, "version": str(move.version) if move else version, "proof": proof})
        return
    if move is None:
        console.say(f"{version} is the champion already; its proof holds: {proof}")
        return
    console.say(f"champion {move.version}" + (f", before {move.previous}" if move.previous else ""), "bold green")
    console.facts([("proof", proof)])
    console.following("ml serve", "ml versions")


if __name__ == "__main__":
    app()
