"""Verbs on data: demo, ingest."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..errors import ProjectError
from .root import EVERY_DAY, Day, Json, app, as_json, day_option


@app.command(rich_help_panel=EVERY_DAY)
def demo(json: Json = False) -> None:
    """The whole story in one go: ingest, break the data, train, promote, serve, predict, roll back."""
    from ..operations.demo import run
    from ..paths import find

    run(find(), quiet=json)


@app.command(rich_help_panel=EVERY_DAY)
def ingest(
    day: Day = None,
    first: Annotated[datetime | None, day_option("--from", "First day of a range.")] = None,
    last: Annotated[datetime | None, day_option("--to", "Last day of a range.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="With --date: all that training this config needs that day."),
    ] = None,
    json: Json = False,
) -> None:
    """Take one day, or a range, from the source through the contract into its partition.

    Example: ml ingest --date 2026-05-31
    Example: ml ingest --config configs/v1.yaml --date 2026-05-31
    """
    from ..clock import now
    from ..config import load_operations
    from ..contract import CONTRACT
    from ..data.ingest import ingest_days
    from ..paths import find

    wanted = _range(day, first, last, config)
    paths = find()
    operations = load_operations(paths.operations)
    steps = len(wanted) * len(CONTRACT.tables)
    with console.progress(steps, "ingest") as advance:
        done, failed = ingest_days(wanted, CONTRACT, operations, paths, now(), advance)
    if json:
        console.machine(
            {
                "partitions": [{**item.manifest.model_dump(mode="json"), "changed": item.changed} for item in done],
                "failed": [as_json(error) for error in failed],
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


def _range(day: datetime | None, first: datetime | None, last: datetime | None, config: Path | None) -> list[date]:
    from ..clock import days

    if config is not None and day is not None and first is None and last is None:
        from ..config import load_model
        from ..contract import CONTRACT
        from ..data.dataset import Window

        return list(days(Window.needed(day.date(), load_model(config).data, CONTRACT).train_first, day.date()))
    if config is not None:
        raise ProjectError(
            "--config says which days training needs, and --date the last of them",
            hint="ml ingest --config configs/v1.yaml --date 2026-05-31",
        )
    if day is not None and first is None and last is None:
        return [day.date()]
    if day is None and first is not None and last is not None and first <= last:
        return list(days(first.date(), last.date()))
    raise ProjectError(
        "which day? expected --date DAY, or --from DAY --to DAY in that order", hint="ml ingest --date 2026-05-31"
    )
