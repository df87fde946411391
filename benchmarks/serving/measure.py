"""Servers side by side, the client on one core, the server on another, the rest stopped.

Runs in a generated project's environment, with the champion of the sample. Prints one JSON object.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import models
import numpy as np
from names import FASTAPI, MLFLOW, OURS, OWN, UNLOGGED
from peers import VERSIONS, by_columns, everybody, split
from servers import Running, Server, encoded
from wrk import Wrk

CONNECTIONS, MANY = 32, 256
ROWS, AT_ONCE = 128, 1_000
BATCHES = 4
"""Different requests of 1,000 rows, asked for by two connections, so that the server never waits."""
APART = 1e-9
"""Of two predictions of a row, relative; all compute the same float64 trees on the same numbers."""


class Bench:
    def __init__(self, package: str, root: Path, scratch: Path, quick: bool) -> None:
        self.package, self.root, self.scratch, self.quick = package, root, scratch, quick
        client, self.core = sorted(os.sched_getaffinity(0))[:2]
        self.wrk = Wrk.found(scratch / "wrk", client)
        self.rounds = 1 if quick else 7
        self.champion = models.champion(package, root)
        models.write(self.champion, root, scratch)
        self.rows, self.values = models.rows(self.champion, root, ROWS if quick else ROWS + BATCHES * AT_ONCE)
        self.servers = everybody(package, scratch)
        self.running: dict[str, Running] = {}
        self.missing: dict[str, str] = {}
        self.apart = 0.0

    def start(self, name: str, server: Server) -> Running:
        number = len(list(self.scratch.glob("*.log")))
        return Running(server, self.core, self.scratch / f"{number}.log", self.root)

    def check(self, name: str) -> None:
        """Start a server, hold its predictions against ours. One that does not run is named and left out."""
        server = self.servers[name]
        running = self.start(name, server)
        try:
            running.first(encoded(server, self.rows[:1]))
            few = 16 if self.quick else ROWS
            for number, value in enumerate(self.values[:few] if server.read else ()):
                status, answer = running.ask(encoded(server, self.rows[number : number + 1]))
                if status != 200:
                    raise RuntimeError(f"{status} {answer[:200].decode(errors='replace')}")
                (found,) = server.read(json.loads(answer))
                self.apart = max(self.apart, abs(found - value) / abs(value))
                assert self.apart <= APART, f"{name}: row {number} gives {found}, and not {value}"
        except (RuntimeError, OSError) as error:
            assert name not in (OURS, MLFLOW, FASTAPI), f"{name}: {error}"
            self.missing[name] = str(error)
            running.stop()
            return
        self.running[name] = running
        running.pause()

    def bodies(self, name: str, sizes: Sequence[int], form: Any = None) -> Path:
        """A file of requests, one a line, of so many rows each."""
        server, at = self.servers[name], 0
        path = self.scratch / "bodies.jsonl"
        with path.open("wb") as out:
            for size in sizes:
                rows = self.rows[at : at + size]
                out.write((json.dumps(form(rows)).encode() if form else encoded(server, rows)) + b"\n")
                at += size
        return path

    def slice(self, name: str, bodies: Path, seconds: int, **how: Any) -> dict[str, Any]:
        """A server's turn: what wrk saw, and CPU seconds of a request."""
        running = self.running[name]
        running.resume(encoded(running.server, self.rows[:1]))
        before = running.cpu()
        seen = self.wrk.load(running.url, bodies, seconds, **how)
        spent = running.cpu() - before
        running.quiet()
        # a request on each connection is under way when wrk stops: the server finishes it and nobody counts
        # it, 6% of a slow one's slice; it counts here by what was spent on it before wrk stopped
        finished, requests = running.cpu() - before, seen["requests"] + how["connections"]
        seen |= {"cpu": finished / requests, "rate": requests * spent / finished / seen["seconds"]}
        running.pause()
        return seen

    def single(self) -> dict[str, Any]:
        """One row a request: every server's turn in each round, another first each time."""
        seen: dict[str, list[dict[str, Any]]] = {name: [] for name in self.running}
        names = list(seen)
        for number in range(self.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                seconds = 1 if self.quick else 8 if self.servers[name].slow else 3
                turn = self.slice(name, self.bodies(name, [1] * ROWS), seconds, connections=CONNECTIONS)
                assert turn["status"] == 0, f"{name}: {turn['status']} answers were no predictions"
                seen[name].append(turn)
        said = {}
        for name, turns in seen.items():
            said[name] = {
                key: statistics.median(turn[key] for turn in turns) for key in ("rate", "cpu", "p50", "p99")
            }
            for key in ("rate", "p99"):  # of a round's, and then the median: a slow round slows both
                ratios = [mine[key] / its[key] for mine, its in zip(seen[OURS], turns, strict=True)]
                said[name][f"by {key}"] = [min(ratios), statistics.median(ratios), max(ratios)]
            said[name] |= self.running[name].megabytes()
        return said

    def thousand(self) -> dict[str, Any]:
        """Rows a second of requests of 1,000 rows, in each of the forms that the two accept."""
        size = 100 if self.quick else AT_ONCE
        count = ROWS // size or 1 if self.quick else BATCHES
        forms = {
            "ours, JSON rows": (OURS, None),
            "ours, columns": (OURS, by_columns),
            f"{UNLOGGED}, JSON rows": (UNLOGGED, None),
            f"{UNLOGGED}, columns": (UNLOGGED, by_columns),
            "mlflow, records": (MLFLOW, None),
            "mlflow, split": (MLFLOW, lambda rows: split(rows)),
        }
        seen: dict[str, list[float]] = {name: [] for name in forms}
        skipped = {}
        for name, (server, form) in forms.items():
            running = self.running[server]
            running.resume(encoded(running.server, self.rows[:1]))
            status, answer = running.ask(self.bodies(server, [size], form).read_bytes())
            running.pause()
            if status != 200:
                skipped[name] = f"answered {status}"
                continue
            found = np.array(running.server.read(json.loads(answer)))  # type: ignore[misc]
            assert np.allclose(found, self.values[:size], rtol=APART, atol=0), name
        for _ in range(self.rounds):
            for name in [name for name in forms if name not in skipped]:
                server, form = forms[name]
                turn = self.slice(
                    server, self.bodies(server, [size] * count, form), 1 if self.quick else 3, connections=2
                )
                assert turn["status"] == 0, name
                seen[name].append(turn["rate"] * size)
        said = {name: statistics.median(rates) for name, rates in seen.items() if rates}
        ratios = {
            name: statistics.median(a / b for a, b in zip(seen[name], seen["mlflow, records"], strict=True))
            for name in said
        }
        return {"rows": size, "rates": said, "ratios": ratios, "skipped": skipped}

    def crowd(self) -> dict[str, Any]:
        """256 connections at ours: the slowest answer, answers by status, what the sockets saw."""
        bodies = self.bodies(OURS, [1] * ROWS)
        seen = self.slice(OURS, bodies, 2 if self.quick else 15, connections=MANY, count=True)
        config = importlib.import_module(f"{self.package}.config").load_operations(
            self.root / "operations.yaml"
        )
        return seen | {"limit": config.serving.timeout_seconds}

    def starts(self) -> dict[str, Any]:
        """Seconds and CPU from the command to the first prediction, and memory then, in turn."""
        seen: dict[str, list[dict[str, float]]] = {OURS: [], MLFLOW: [], OWN: []}
        for _ in range(1 if self.quick else 5):
            for name, turns in seen.items():
                if name in self.missing:
                    continue
                server = self.servers[name]
                begun = time.perf_counter()
                running = self.start(name, server)
                running.first(encoded(server, self.rows[:1]))
                turns.append(
                    {"seconds": time.perf_counter() - begun, "cpu": running.cpu()} | running.megabytes()
                )
                running.stop()
        said = {}
        for name, turns in seen.items():
            if turns:
                said[name] = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
                ratios = [
                    mine["seconds"] / its["seconds"] for mine, its in zip(seen[OURS], turns, strict=True)
                ]
                said[name]["ratio"] = statistics.median(ratios)
        return said

    def all(self) -> dict[str, Any]:
        try:
            for name in self.servers:
                self.check(name)
            said = {"single": self.single(), "thousand": self.thousand(), "crowd": self.crowd()}
        finally:
            for running in self.running.values():
                running.stop()
        return said | {
            "starts": self.starts(),
            "missing": self.missing,
            "apart": self.apart,
            "rounds": self.rounds,
            "bodies": ROWS,
        }


def main() -> None:
    package, root = sys.argv[1], Path.cwd()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("this needs two cores: one for the server, one for the client")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(package, root, Path(scratch), "--quick" in sys.argv[2:])
        said = bench.all()
        cpu = importlib.import_module(f"{package}.training.provenance").cpu()
        libraries = ("scikit-learn", "numpy", "pandas", "mlflow", "fastapi", "pydantic", "uvicorn")
        numbers = {"python": platform.python_version()} | {name: version(name) for name in libraries}
        numbers |= VERSIONS | {"wrk": bench.wrk.version}
        json.dump(said | {"versions": numbers, "cpu": cpu}, sys.stdout)


if __name__ == "__main__":
    main()
