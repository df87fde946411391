"""One daily run in a process of its own: its CPU and its peak of memory. The library of a champion is warm before.

`python whole.py PACKAGE ROOT DAY [before=DAY]` runs the day in the project at ROOT, after another that pays for the
imports. Prints one JSON object.
"""

import importlib
import json
import os
import resource
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any


def cpu() -> float:
    """CPU seconds of this process and of those that it waited for."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def run(package: str, root: Path, day: date) -> Any:
    """The day's run, in the morning after. Every step must end well."""
    daily = importlib.import_module(f"{package}.operations.daily")
    paths = importlib.import_module(f"{package}.paths").Paths(root)
    morning = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(days=1)
    attempt = daily.run(day, paths, clock=lambda: morning)
    said = {step.name: (step.outcome, step.said) for step in attempt.steps}
    assert all(outcome in ("ok", "not due") for outcome, _ in said.values()), said
    return attempt


def main() -> None:
    package, root, day, *options = sys.argv[1:]
    os.chdir(root)
    for option in options:
        run(package, Path(root), date.fromisoformat(option.removeprefix("before=")))
    before = cpu()
    attempt = run(package, Path(root), date.fromisoformat(day))
    said = {"cpu": cpu() - before, "megabytes": megabytes()}
    json.dump(said | {"rows": {step.name: step.rows_in for step in attempt.steps}}, sys.stdout)


if __name__ == "__main__":
    main()
