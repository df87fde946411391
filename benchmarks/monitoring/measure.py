"""How often each rule calls for nothing, and how soon for something: simulated years, by the project's code.

`python measure.py PACKAGE [--quick | --years N]` runs in a generated project's environment. Every replicate,
which is a year, is kept in scratch/bench-monitoring, and what was said of it too: an interrupted run goes on
where it was, and a change of the rule judges the same years again. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import multiprocessing
import os
import pickle
import platform
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import simulated
from judged import OURS, judged
from scipy import stats
from worlds import WORLDS

ROWS, YEARS = (200, 1_000, 10_000), 25
QUICK_ROWS, QUICK_YEARS = (1_000,), 2
KEPT = Path(__file__).resolve().parents[2] / "scratch" / "bench-monitoring"
JUDGES = ("constants", "evidence", "monitor", "rule", "stationary")
"""The project's modules that judge a replicate once it is made."""


def kept(path: Path | None, make: Callable[[], bytes]) -> bytes:
    """What is in ``path``, made where there is nothing yet; a killed run leaves all of it or nothing."""
    if path is None:
        return make()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(make())
        part.replace(path)
    return path.read_bytes()


def digest(package: str) -> str:
    """Of the code that judges."""
    inside = Path(str(importlib.import_module(f"{package}.monitoring").__file__)).parent
    here = [Path(__file__).with_name(f"{name}.py") for name in ("judged", "peers")]
    files = [*(inside / f"{name}.py" for name in JUDGES), *here]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def year(package: str, folder: Path | None, rule: str, cell: tuple[int, str, int]) -> dict[str, Any]:
    """One replicate, made and judged."""
    seed, world, rows = cell
    code, name = simulated.project(package), f"{world}-{rows}-{seed}"

    def made() -> bytes:
        return pickle.dumps(simulated.replicate(code, world, rows, seed))

    def told() -> bytes:
        found = kept(folder and folder / f"{name}.pickle", made)
        return json.dumps(judged(code, pickle.loads(found))).encode()  # noqa: S301  written by ourselves

    return json.loads(kept(folder and folder / rule / f"{name}.json", told))


def cell(world: str, rows: int, years: list[dict[str, Any]]) -> dict[str, Any]:
    """A world and a size, with the 95% interval of the project's pages a year as of a Poisson number."""
    pages = sum(year["rules"][OURS]["pages"] for year in years)
    low = stats.chi2.ppf(0.025, 2 * pages) / 2 if pages else 0.0
    interval = [low / len(years), stats.chi2.ppf(0.975, 2 * pages + 2) / 2 / len(years)]
    return {"world": world, "rows": rows, "interval": interval, "years": years}


def measure(package: str, quick: bool, years: int) -> dict[str, Any]:
    folder = None if quick else KEPT / simulated.digest(simulated.project(package))
    sizes = QUICK_ROWS if quick else ROWS
    cells = [(seed, world, rows) for seed in range(years) for rows in reversed(sizes) for world in WORLDS]
    os.nice(10)
    with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
        told = {}
        each = partial(year, package, folder, digest(package))
        for cell_, said in zip(cells, pool.imap(each, cells), strict=True):
            told[cell_] = said
            sys.stderr.write(f"{len(told)} of {len(cells)} simulated years\n")
    libraries = ("numpy", "scipy", "polars", "holidays")
    return {
        "years": years,
        "cells": [
            cell(world, rows, [told[seed, world, rows] for seed in range(years)])
            for world in WORLDS
            for rows in sizes
        ],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in libraries},
        "cpu": importlib.import_module(f"{package}.training.provenance").cpu(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("package")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--years", type=int, default=YEARS)
    arguments = parser.parse_args()
    years = QUICK_YEARS if arguments.quick else arguments.years
    json.dump(measure(arguments.package, arguments.quick, years), sys.stdout)
