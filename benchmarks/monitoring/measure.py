"""How often each rule calls for nothing, and how soon for something: simulated years, judged by the
project's code.

`python measure.py PACKAGE [--quick | --years N]` runs in a generated project's environment. A replicate,
which is a year, is kept in scratch/bench-monitoring once it is made, so that an interrupted run goes on
where it was. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import pickle
import platform
import sys
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


def year(package: str, kept: Path | None, cell: tuple[int, str, int]) -> dict[str, Any]:
    """One replicate, made or taken from ``kept``, and judged."""
    seed, world, rows = cell
    code = simulated.project(package)
    path = kept and kept / f"{world}-{rows}-{seed}.pickle"
    if path and path.exists():
        made = pickle.loads(path.read_bytes())  # noqa: S301  written by ourselves
    else:
        made = simulated.replicate(code, world, rows, seed)
        if path:
            path.with_suffix(".part").write_bytes(pickle.dumps(made))
            path.with_suffix(".part").replace(path)
    return judged(code, made)


def cell(world: str, rows: int, years: list[dict[str, Any]]) -> dict[str, Any]:
    """A world and a size, with the 95% interval of the project's pages a year as of a Poisson number."""
    pages = sum(year["rules"][OURS]["pages"] for year in years)
    low = stats.chi2.ppf(0.025, 2 * pages) / 2 if pages else 0.0
    interval = [low / len(years), stats.chi2.ppf(0.975, 2 * pages + 2) / 2 / len(years)]
    return {"world": world, "rows": rows, "interval": interval, "years": years}


def measure(package: str, quick: bool, years: int) -> dict[str, Any]:
    kept = None if quick else KEPT / simulated.digest(simulated.project(package))
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
    sizes = QUICK_ROWS if quick else ROWS
    cells = [(seed, world, rows) for seed in range(years) for rows in reversed(sizes) for world in WORLDS]
    os.nice(10)
    with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
        told = {}
        for cell, said in zip(cells, pool.imap(partial(year, package, kept), cells), strict=True):
            told[cell] = said
            sys.stderr.write(f"{len(told)} of {len(cells)}\n")
    return {
        "years": years,
        "cells": [
            cell(world, rows, [told[seed, world, rows] for seed in range(years)])
            for world in WORLDS
            for rows in sizes
        ],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "scipy", "polars", "holidays")},
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
