"""The verbs of the daily run: run, backfill, score."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..errors import Exit, ProjectError
from .root import EVERY_DAY, Day, Json, Model, app, day_option

if TYPE_CHECKING:
    from ..operations.backfill import Backfilled
    from ..operations.ledger import Attempt

STYLES = {"page": "bold red", "ticket": "yellow", "log": ""}


def wanted_day(day: object, today: date) -> date:
    """The day that was asked for; by default yesterday, the last one that is over in UTC."""
    from datetime import timedelta

    return day.date() if isinstance(day, datetime) else today - timedelta(days=1)


@app.command(rich_help_panel=EVERY_DAY)
def run(
    day: Day = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Ask again, less and less often, until the deadline in operations.yaml.")
    ] = False,
    json: Json = False,
) -> None:
    """Do what is due for a day: ingest, score, judge matured labels, retrain as agreed; and record it.

    By default yesterday, the last day that is over in UTC. Run again, it leaves the same data and another attempt.
    Exit 4 means not there yet: retry. Exit 1 and 3 mean that somebody has to look.
    Example: ml run --date 2026-05-31
    """
    from ..clock import now
    from ..operations.daily import run as run_now
    from ..operations.daily import run_until
    from ..paths import find

    wanted = wanted_day(day, now().date())
    with console.working(f"run {wanted}") as report:
        done = (run_until if wait else run_now)(wanted, find(), clock=now, report=report)
    if json:
        console.machine({"date": str(wanted), **done.model_dump(mode="json", exclude_none=True)})
    else:
        _show(wanted, done)
    raise typer.Exit(done.exit or 0)


@app.command(rich_help_panel=EVERY_DAY)
def backfill(
    first: Annotated[datetime | None, day_option("--from", "First day of the range.")] = None,
    last: Annotated[datetime | None, day_option("--to", "Last day of the range.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run days again that are done.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=32, metavar="N", help="Days that are read ahead.")] = 2,
    json: Json = False,
) -> None:
    """Run every day of a range that has no complete run yet, in order; again, it goes on where it was broken off.

    Example: ml backfill --from 2026-05-01 --to 2026-05-31
    """
    from ..clock import days, now
    from ..operations.backfill import backfill as backfill_now
    from ..paths import find

    if first is None or last is None:
        raise ProjectError(
            "which days? expected --from DAY --to DAY", hint="ml backfill --from 2026-05-01 --to 2026-05-31"
        )
    begin, end = first.date(), last.date()
    with console.progress(len(list(days(begin, end))), "backfill") as advance:
        said = backfill_now(begin, end, find(), clock=now, jobs=jobs, force=force, report=advance)
    if json:
        console.machine(
            {
                "ran": {str(day): done.model_dump(mode="json", exclude_none=True) for day, done in said.ran.items()},
                "done_before": [str(day) for day in said.done_before],
                "stopped": said.stopped and str(said.stopped),
            }
        )
    else:
        _show_range(begin, end, said)
    raise typer.Exit(int(said.exit))


@app.command(rich_help_panel=EVERY_DAY)
def score(day: Day = None, model: Model = None, json: Json = False) -> None:
    """Predict a day's rows with the champion; what was predicted for the day before is replaced.

    Example: ml score --date 2026-05-31
    """
    from ..clock import now
    from ..config import load_operations
    from ..data.store import Store
    from ..operations.score import champion, opened
    from ..operations.score import score as score_now
    from ..paths import find

    paths, wanted = find(), wanted_day(day, now().date())
    operations = load_operations(paths.operations)
    name = model or operations.model
    with console.working(f"score {wanted}"):
        version = champion(paths, operations, name)
        if version is None:
            raise ProjectError(
                f"no version of {name} was ever promoted",
                hint="ml train --config configs/v1.yaml, ml gate, ml promote",
                exit=Exit.SAID_NO,
            )
        done = score_now(wanted, version, opened(version, paths, operations), Store(paths))
    if json:
        console.machine({**done.manifest.model_dump(mode="json"), "changed": done.changed})
        return
    console.say(f"{done.manifest.rows:,} rows of {wanted} scored by {version}", "bold green")
    console.facts([("in", Store(paths).where(done.manifest)), ("changed", "yes" if done.changed else "no")])


def _show_range(first: date, last: date, said: Backfilled) -> None:
    from ..operations.day import brief

    bad = {day: done for day, done in said.ran.items() if done.exit}
    console.say(
        f"{'NOT OK' if bad else 'OK'}  {first} to {last}: {len(said.ran)} run, {len(said.done_before)} done before"
        + (f", {len(bad)} not fine" if bad else ""),
        "bold red" if bad else "bold green",
    )
    rows = [[str(day), done.outcome, done.checks[0].code, brief(done.checks[0].said)] for day, done in bad.items()]
    if rows:
        console.table(["day", "", "", "seen"], rows)
    if said.stopped:
        console.say(f"stopped at {said.stopped}: what is outside does not answer; the same command goes on from there")
    console.following(f"ml status --date {max(bad)}" if bad else f"ml status --date {last} --days 14")


def _show(day: date, done: Attempt) -> None:
    from ..config import load_operations
    from ..operations.day import brief
    from ..paths import find

    waits = not done.exit and not done.complete
    verdict, style = ("NOT SCORED", "bold yellow") if waits else ("OK", "bold green")
    console.say(
        f"{'NOT OK' if done.exit else verdict}  {day}, attempt {done.attempt}", "bold red" if done.exit else style
    )
    console.table(["step", "", "seen"], [[step.name, step.outcome, brief(step.said)] for step in done.steps])
    for check in done.checks:
        if check.tier != "log":
            console.say(f"{check.tier}  {check.code}  {check.said}", STYLES[check.tier])
    if waits:
        config = load_operations(find().operations).retraining.config
        console.following(
            f"ml ingest --config {config} --date {day}",
            f"ml train --config {config} --date {day}",
            f"ml run --date {day}, once a version is promoted",
        )
    else:
        console.following(f"ml status --date {day}")
