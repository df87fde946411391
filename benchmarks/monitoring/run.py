"""How often the monitor calls for nothing, and how soon for something: `make bench-monitoring`.

Measures in a generated project, beside Evidently, NannyML, PSI and tests of every column, and writes
docs/benchmarks.md. Leaves with 1 when a promise is broken. `--years 5` is for fewer than 25 simulated years,
`--quick` for a look that writes nothing, `--check` holds the peers as written here against the packages, and
that is all.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import page
from page import prose

OURS = "the project's rule"
YEARS = 25
PAGES = {"iid": 1.0, "week and AR(1)": 1.0, "t(4) days": 2.0, "year and holidays": 2.0}
"""Pages a year at most, at every size."""
DAYS = {"0.25 sd": 3}
"""Median days at most until an injection is seen with 1,000 rows, in the first two worlds; of all others
one."""
SHOWN, ROWS = "week and AR(1)", 1_000
"""The cell that all rules are shown in."""
WITHIN = 7
PACKAGES = {
    "evidently": ("evidently==0.7.23", "pandas<3.1"),
    "nannyml": ("nannyml==0.13.1", "statsmodels"),
    "scipy": ("scipy",),
}
"""What `checked.py` needs to hear a package itself: Evidently breaks with today's pandas, and NannyML does
not say that it needs statsmodels."""
APART = {"evidently": 1e-9, "nannyml": 1e-9, "scipy": 2e-3}
"""How far our form of their figures may be from theirs."""
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}


def cell(measured: dict[str, Any], world: str, rows: int) -> dict[str, Any]:
    return next(one for one in measured["cells"] if (one["world"], one["rows"]) == (world, rows))


def mean(one: dict[str, Any], rule: str, what: str = "pages") -> float:
    return statistics.mean(year["rules"][rule][what] for year in one["years"])


def seen(one: dict[str, Any], rule: str, injection: str) -> list[int]:
    """Days until it was seen, from 1, every time that it was injected."""
    return [days for year in one["years"] for days in year["rules"][rule]["seen"][injection]]


def rules(measured: dict[str, Any]) -> list[str]:
    return list(measured["cells"][0]["years"][0]["rules"])


def injections(measured: dict[str, Any]) -> list[str]:
    return list(measured["cells"][0]["years"][0]["rules"][OURS]["seen"])


def broken(measured: dict[str, Any]) -> list[str]:
    """Promises that the figures do not keep, of fewer years by more than chance: 3 standard errors of
    pages, 2 of the share that is seen in time."""
    said = []
    for one in measured["cells"]:
        most, pages = PAGES[one["world"]], mean(one, OURS)
        chance = 3 * math.sqrt(most / measured["years"]) if measured["years"] < YEARS else 0.0
        if pages > most + chance:
            said.append(f"pages a year, {one['world']}, {one['rows']:,} rows: {pages:.2f} of {most:.0f}")
        if one["rows"] != ROWS or one["world"] not in list(PAGES)[:2]:
            continue
        for injection in injections(measured):
            days, most = seen(one, OURS, injection), DAYS.get(injection, 1)
            chance = 1 / math.sqrt(len(days)) if measured["years"] < YEARS else 0.0
            if sum(day <= most for day in days) / len(days) + chance < 0.5:
                median = statistics.median(days)
                said.append(f"days until {injection} is seen, {one['world']}: {median:g} of {most}")
    for package, told in measured.get("checked", {}).items():
        if told["apart"] > APART[package] or told["verdicts apart"] > APART[package]:
            said.append(f"our form of {package}: {told['apart']:.1e} apart")
    return said


def often(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{number:.0f}"


def soon(days: list[int]) -> str:
    median = statistics.median(days)
    when = f"{median:g}" if median <= 14 else "> 14"
    return f"{when} ({100 * sum(day <= WITHIN for day in days) / len(days):.0f})"


def quiet_table(measured: dict[str, Any]) -> str:
    rows = []
    for one in measured["cells"]:
        first = [one["world"], f"{one['rows']:,}", f"**{often(mean(one, OURS))}**"]
        rows.append([*first, *(often(mean(one, rule, "days")) for rule in rules(measured))])
    heads = ["world", "rows", "pages", *(rule.replace(OURS, "days: the rule") for rule in rules(measured))]
    return page.aligned(heads, rows)


def peers_table(measured: dict[str, Any]) -> str:
    one = cell(measured, SHOWN, ROWS)
    rows = [
        [
            f"**{rule}**" if rule == OURS else rule,
            often(mean(one, rule, "days")),
            *(soon(seen(one, rule, name)) for name in injections(measured)),
        ]
        for rule in rules(measured)
    ]
    return page.aligned(["rule", "alert days", *injections(measured)], rows)


def ours_table(measured: dict[str, Any]) -> str:
    rows = [
        [
            one["world"],
            f"{one['rows']:,}",
            *(soon(seen(one, OURS, name)) for name in injections(measured)),
        ]
        for one in measured["cells"]
    ]
    return page.aligned(["world", "rows", *injections(measured)], rows)


def thresholds(measured: dict[str, Any], name: str, world: str) -> str:
    found = [
        year["thresholds"][name]
        for one in measured["cells"]
        if one["world"] == world
        for year in one["years"]
    ]
    return f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})"


def section(measured: dict[str, Any]) -> str:
    years = measured["years"]
    first = measured["cells"][0]["years"][0]
    times = len(seen(measured["cells"][0], OURS, injections(measured)[0]))
    worst = max(measured["cells"], key=lambda one: mean(one, OURS))
    unmasked = [
        f"{statistics.mean(year['unmasked'] for year in one['years']):.1f} ({one['rows']:,})"
        for one in measured["cells"]
        if one["years"][0]["unmasked"] is not None
    ]
    about = prose(f"""Tables of {first["columns"]} columns, simulated row by row: eight numbers (normal,
        log-normal, Weibull, uniform, two humps, heavy tails, counts, often zero) and four categories of 2,
        5, 12 and 30 levels, four columns with nulls. {years} years of each world and size, every one a
        table of its own with a history of 90 days, by which the project's rule is calibrated for a budget
        of one page a year, as `ml calibrate` does; then 365 days on which nothing is wrong. *iid*: every
        day is drawn alike. *week and AR(1)*: weekdays differ by up to 0.2 sd, and days move by 0.06 sd with
        a correlation of 0.6 from day to day, half of it in common to all columns. *t(4) days*: weekdays as
        before, and moves that follow Student's t with 4 degrees of freedom. *year and holidays*: the
        second, an annual cycle of 0.15 sd, and on the holidays of Germany 0.6 sd in four columns, with
        those days masked.""")
    judged = prose(f"""The days are summarised, calibrated and judged by the generated project's own
        `monitoring/`, {first["monitors"]} monitors. Evidently's default preset against 10,000 rows of
        history; NannyML's default with a chunk a day, against the 90 days; PSI by deciles of those 10,000
        rows and by levels; Kolmogorov-Smirnov for numbers and chi² for categories.""")
    quiet = prose("""False alarms: pages of the project's rule a year, which leave seven days between them;
        then, for every rule, days of a year with an alert:""")
    caught = prose(f"""What goes wrong, {times} times each: median days until an alert on the changed
        column, where 1 is the first bad day, and in brackets the percentage seen by day {WITHIN}. Numbers
        move by so many sd of their own; grams come as kilograms in all rows, or in every tenth; nulls
        appear where there were none; ten points of all rows change their category. All rules in *{SHOWN}*,
        {ROWS:,} rows a day. A rule that alerts on most days sees everything at once: read the rows from
        their first figure on.""")
    ours = "The project's rule in every world:"
    level = prose(f"""Calibration finds its own thresholds, for *iid* {thresholds(measured, "c2", "iid")}
        sds twice within three days and {thresholds(measured, "big", "iid")} once, for *t(4) days*
        {thresholds(measured, "c2", "t(4) days")} and {thresholds(measured, "big", "t(4) days")}. Most
        pages: {often(mean(worst, OURS))} a year in *{worst["world"]}*, {worst["rows"]:,} rows; with so many
        simulated years the true number is between {worst["interval"][0]:.2f} and {worst["interval"][1]:.2f}
        (95%). Without the mask *year and holidays* pages {", ".join(unmasked)} times a year, by rows.
        Promised: one page a year in the first two worlds and two in the others; with {ROWS:,} rows in the
        first two the first day for all but 0.25 sd, and three days for that.""")
    why = prose("""Where days move by themselves, ten points of a category of 2 or 5 levels are 4.7 sds of a
        day of 1,000 rows, about as much as the threshold for once: a quarter of them wait for another day.
        With heavy tails the threshold is higher, and then a third of the shifts by half an sd wait too.""")
    limits = prose("""Not simulated: columns that change together, a relation between inputs and label that
        changes (no rule that sees inputs alone can), trends that last for months, worlds that change their
        kind after the calibration.""")
    told = [
        f"{name} {said['versions'][name]} ({said['apart']:.0e}, {said['values']} values)"
        for name, said in measured.get("checked", {}).items()
    ]
    same = (
        f"Peers are written anew, and held against the packages: largest difference {', '.join(told)}."
        if told
        else ""
    )
    fewer = f"Of the {YEARS} years of a whole run {years} are shown." if years < YEARS else ""
    how = prose(f"""{same} {fewer} Fixed seeds, two threads, {measured["cpu"]}. {page.versions(measured)}.
        Again: `make bench-monitoring`.""")
    parts = [
        *("## The monitor", about, judged, quiet, quiet_table(measured), caught, peers_table(measured)),
        *(ours, ours_table(measured), level, why, limits, how),
    ]
    return "\n\n".join(parts) + "\n"


def checked() -> dict[str, Any]:
    """Our form of the peers beside the packages, each in an environment of its own."""
    found = {}
    for package, needed in PACKAGES.items():
        command = [os.environ.get("UV", "uv"), "run", "--quiet", "--no-project", "--python", ">=3.11,<3.13"]
        for name in {*needed, "scipy", "numpy"}:
            command += ["--with", name]
        command += ["python", str(Path(__file__).with_name("checked.py")), package]
        env = (
            {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
            | page.ONE_THREAD
            | QUIET
        )
        done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
        found[package] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--years", type=int, default=YEARS)
    asked = parser.parse_args()
    if asked.check:
        measured = {"years": YEARS, "cells": [], "checked": checked()}
        sys.stdout.write(f"{json.dumps(measured['checked'], indent=1)}\n")
        missed = broken(measured)
        sys.stdout.write("".join(f"not kept: {line}\n" for line in missed))
        return 1 if missed else 0
    options = ["--quick"] if asked.quick else ["--years", f"{asked.years}"]
    measured = page.measure(Path(__file__).with_name("measure.py"), *options)
    if not asked.quick:
        measured["checked"] = checked()
    return page.tell("monitoring", measured, section, broken, write=not asked.quick)


if __name__ == "__main__":
    sys.exit(main())
