"""Daily runs in a process of their own whose imports an earlier day pays for. Prints one JSON object.

`python whole.py PACKAGE ROOT DAY…`: CPU seconds of each day's run after the first, the peak of memory so far
with imports, and the CPU seconds of the useful work alone, and of that with the champion opened and the
matured labels joined.
"""

import json
import resource
import sys
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from useful import Useful


def cpu() -> float:
    """CPU seconds of this process and of those that it waited for."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def run(package: str, root: Path, day: date) -> dict[str, Any]:
    """The day's run, in the morning after. Every step must end well. Returns its rows by step."""
    morning = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(days=1)
    paths = import_module(f"{package}.paths").Paths(root)
    attempt = import_module(f"{package}.operations.daily").run(day, paths, clock=lambda: morning)
    said = {step.name: (step.outcome, step.said) for step in attempt.steps}
    assert all(outcome in ("ok", "not due") for outcome, _ in said.values()), said
    return {step.name: step.rows_in for step in attempt.steps}


def main() -> None:
    package, root = sys.argv[1], Path(sys.argv[2])
    warm, *days = map(date.fromisoformat, sys.argv[3:])
    useful = Useful(package, root)
    useful.open(run(package, root, warm)["score"])
    useful(warm)
    said: dict[str, Any] = {"whole": [], "useful": [], "opened": [], "megabytes": [], "rows": []}
    for day in days:
        before = cpu()
        handled = run(package, root, day)
        said["whole"].append(cpu() - before)
        said["megabytes"].append(megabytes())
        said["rows"].append(handled)
        useful.open(handled["score"])
        before = cpu()
        useful(day)
        said["useful"].append(cpu() - before)
        useful.open(handled["score"])
        useful.judge(day)
        said["opened"].append(cpu() - before)
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
