"""The daily run at every size, and the check beside a bare read.

Runs in a generated project's environment, with the champion of a small window of the sample. Prints one JSON
object.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SIZES, QUICK_SIZES = (50_000, 500_000, 5_000_000), (5_000, 50_000)
CHECKED, QUICK_CHECKED = 1_000_000, 100_000
ROUNDS = 9
FIRST, TRAINED = date(2026, 5, 15), date(2026, 6, 2)
BIG = date(2026, 6, 10)
"""The day that is measured; its deliveries are the labels of the day five days before, which is as big."""
PANDERA = ("pandera[polars]==0.35.0",)


class Bench:
    """A project with a champion, and copies of it to measure in."""

    def __init__(self, package: str, root: Path) -> None:
        self.package, self.root = package, root

    def script(self, name: str, *arguments: object) -> Any:
        command = [sys.executable, str(HERE / name), self.package, *map(str, arguments)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout) if done.stdout else None

    def ml(self, root: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", f"{self.package}.cli", *arguments]
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)

    def champion(self) -> None:
        """Train `configs/v1.yaml` on three weeks and promote it."""
        path = self.root / "configs" / "v1.yaml"
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        config["data"] = {"train_days": 7, "evaluation_weeks": 1, "minimum_evaluation_rows": 1_000}
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        self.ml(self.root, "ingest", "--from", f"{FIRST}", "--to", f"{BIG - timedelta(days=6)}")
        self.ml(self.root, "train", "--config", "configs/v1.yaml", "--date", f"{TRAINED}")
        self.ml(self.root, "promote", "1", "--force", "--reason", "to be measured")

    def copy(self, name: str) -> Path:
        to = self.root / "bench" / name
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        for part in ("configs", "data", "var"):
            shutil.copytree(self.root / part, to / part)
        for part in ("operations.yaml", "uv.lock"):
            shutil.copyfile(self.root / part, to / part)
        return to

    def deliver(self, root: Path, table: str, day: date, rows: int, *options: str) -> Path:
        path = root / "data" / "upstream" / table / f"{day}.parquet"
        self.script("days.py", path, table, day, rows, *options)
        return path

    def sample_days(self, days: int) -> Any:
        """The sample's own days, as many rows as it has."""
        root = self.copy("sample")
        later = [BIG - timedelta(days=5) + timedelta(days=number) for number in range(days + 1)]
        deliver = importlib.import_module(f"{self.package}.sample_upstream").deliver
        for day in later:  # upstream's work, and not the run's
            for table in ("parcels", "deliveries"):
                deliver(table, day, root / "data" / "upstream" / table / f"{day}.parquet")
        said = self.script("whole.py", root, *later)
        for name in ("whole", "useful", "opened"):
            said[name] = statistics.median(said[name])
        return said | {"rows": round(statistics.median(rows["score"] for rows in said["rows"]))}

    def big_day(self, rows: int, *options: str) -> Any:
        """A day of so many rows to ingest and score, and so many labels of as many predictions."""
        root, due = self.copy(f"{rows}"), BIG - timedelta(days=5)
        self.deliver(root, "parcels", due, rows)
        self.deliver(root, "parcels", BIG, rows, *options)
        self.deliver(root, "deliveries", BIG, rows, f"of={due}", *options)
        self.ml(root, "ingest", "--from", f"{due}", "--to", f"{BIG - timedelta(days=1)}")
        self.ml(root, "score", "--date", f"{due}")
        said = self.script("whole.py", root, BIG - timedelta(days=1), BIG)
        shutil.rmtree(root)
        (handled,) = said.pop("rows")
        assert {handled[step] for step in ("ingest parcels", "ingest deliveries", "score", "labels")} == {
            rows
        }
        return {name: values[0] for name, values in said.items()} | {"rows": rows}

    def checks(self, rows: int, rounds: int, *options: str) -> dict[str, Any]:
        """CPU seconds of reading a partition, and of reading and checking it."""
        scratch = self.root / "bench"
        delivered = self.deliver(scratch, "parcels", BIG, rows, *options)
        path = scratch / "partition.parquet"
        polars, streams = (
            importlib.import_module(name) for name in ("polars", f"{self.package}.data.streams")
        )
        streams.save(polars.scan_parquet(delivered), path)
        here = self.script("checks.py", path, BIG, rounds)
        command = [os.environ.get("UV", "uv"), "run", "--quiet", "--no-project", "--python", sys.executable]
        for package in (*PANDERA, f"polars=={version('polars')}"):
            command += ["--with", package]
        command += ["python", str(HERE / "checks.py"), "-", str(path), f"{BIG}", f"{rounds}"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        there = json.loads(done.stdout)
        ratios = {name: here[name] / here["read"] for name in ("rows in hand", "streamed", "dataframely")}
        return {
            "ratios": ratios | {"pandera": there["pandera"] / there["read"]},
            "read": here["read"],
            "bytes": path.stat().st_size / rows,
            "versions": here["versions"] | there["versions"],
        }


def exponents(days: Sequence[dict[str, float]]) -> dict[str, float]:
    """How CPU grows with rows: over all sizes, and between the two largest."""
    logs = [(math.log(day["rows"]), math.log(day["whole"])) for day in days]
    slope = statistics.linear_regression(*zip(*logs, strict=True)).slope
    (before, less), (last, more) = logs[-2:]
    return {"all": slope, "last": (more - less) / (last - before)}


def main() -> None:
    quick = "--quick" in sys.argv[2:]
    bench = Bench(sys.argv[1], Path.cwd())
    bench.champion()
    rows, rounds = (QUICK_CHECKED, 3) if quick else (CHECKED, ROUNDS)
    checks = {"as the sample": bench.checks(rows, rounds), "every bit": bench.checks(rows, rounds, "precise")}
    sizes = QUICK_SIZES if quick else SIZES
    days = [bench.sample_days(3 if quick else 15), *(bench.big_day(size) for size in sizes)]
    cpu = importlib.import_module(f"{bench.package}.training.provenance").cpu()
    said = {
        "checks": checks,
        "checked": rows,
        "rounds": rounds,
        "days": days,
        "shuffled": bench.big_day(sizes[-1], "shuffled"),
        "exponents": exponents(days[1:]),
        "cpu": cpu,
        "versions": {"python": platform.python_version()} | checks["every bit"]["versions"],
    }
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
