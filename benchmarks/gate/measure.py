"""How often each rule blocks an equal model, and how often it lets a worse one pass.

Runs in a generated project's environment and judges with the project's own comparison module. Prints one JSON
object.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
from models import Models, Pair, make

TOLERANCES = {"accuracy": 0.01, "auc": 0.01, "log_loss": 0.015, "mae": 0.01, "mse": 0.02}
"""Absolute for the two that are shares; of the others a share of the champion's own loss, whose unit says
little. Every one is far above what retraining alone moves, and such that the gate asks for fewer than 5,000
rows."""
RELATIVE = ("log_loss", "mae", "mse")
TASKS = {"classification": ("accuracy", "auc", "log_loss"), "regression": ("mae", "mse")}
ROWS = (200, 1_000, 5_000)
RULES = ("any drop", "fixed", "fixed, other rows", "gate")
MOVED = "a quarter of the rows new"
EVERY, SOME = "all rows a little worse", "some rows quite wrong"
SLICES, ROWS_A_SLICE = 10, 500


def seeded(*words: object) -> np.random.Generator:
    """Numbers of its own for every cell: one more repeat here changes nothing there."""
    return np.random.default_rng([7, *" ".join(map(str, words)).encode()])


class Simulation:
    """One metric: its tolerance, its pairs, and the project's rule."""

    def __init__(self, comparison: Any, metric: str, models: Models, repeats: int) -> None:
        self.rule, self.metric, self.models = comparison, metric, models
        self.repeats = repeats // 2 if metric == "auc" else repeats
        moved = models.harmless[MOVED]
        self.held = statistics.mean(abs(models.score(metric, models.truth, one)) for one, _ in moved)
        self.tolerance = TOLERANCES[metric] * (self.held if metric in RELATIVE else 1)
        three = [moved[0], moved[3], moved[4]]
        self.cases = dict(models.harmless)
        for name, worsen in {EVERY: models.blended, SOME: models.swapper(3)}.items():
            for times in (1, 2):
                loss = times * self.tolerance
                worse = [models.worse(metric, pair, loss, worsen) for pair in three]
                self.cases[f"{name}, {times} x"] = worse

    def drawn(self, case: str, rows: int, repeats: int) -> Iterator[tuple[Pair, np.ndarray, np.ndarray]]:
        """Pairs in turn, each with rows and other rows: with replacement, so the pool is the population."""
        rng = seeded(self.metric, case, rows)
        pairs = self.cases[case]
        for turn in range(repeats):
            here, there = rng.integers(0, len(self.models.truth), (2, rows))
            yield pairs[turn % len(pairs)], here, there

    def compare(self, pair: Pair, rows: np.ndarray) -> Any:
        champion, challenger = pair
        return self.rule.compare(self.metric, self.models.truth[rows], challenger[rows], champion[rows], 0.5)

    def blocked(self, case: str, rows: int) -> dict[str, float]:
        """Share of repeats that each rule blocks, and of the gate's those that are a FAIL."""
        repeats = self.repeats if rows == ROWS[-1] else min(self.repeats, 1_000)
        seen = dict.fromkeys((*RULES, "FAIL"), 0)
        truth, score = self.models.truth, self.models.score
        for pair, here, there in self.drawn(case, rows, repeats):
            difference = self.compare(pair, here)
            challenger = score(self.metric, truth[here], pair[1][here])
            elsewhere = challenger - score(self.metric, truth[there], pair[0][there])
            verdict = self.rule.judge(difference, self.tolerance)
            seen["any drop"] += difference.mean < 0
            seen["fixed"] += difference.mean < -self.tolerance
            seen["fixed, other rows"] += elsewhere < -self.tolerance
            seen["gate"] += verdict != "PASS"
            seen["FAIL"] += verdict == "FAIL"
        return {rule: int(count) / repeats for rule, count in seen.items()}

    def luck(self, kind: str) -> float:
        """Standard deviation of the true metric from one retrain to the next."""
        once = {id(champion): champion for champion, _ in self.models.harmless[kind]}.values()
        return statistics.stdev(self.models.score(self.metric, self.models.truth, one) for one in once)

    def needed(self, kind: str) -> int:
        """Rows that the project's rule asks for, from the pool's own standard deviation."""
        difference = self.compare(self.models.harmless[kind][0], np.arange(len(self.models.truth)))
        return self.rule.rows_needed(difference, self.tolerance)

    def slices(self, repeats: int) -> dict[str, dict[str, float]]:
        """Share that a slice blocks: of equals, and where one slice of ten loses 5 or 10 tolerances."""
        equals, worsen = self.cases[MOVED][:2], self.models.swapper(5)
        said = {}
        for name, times in {"equal": 0, "5 x": 5, "10 x": 10}.items():
            loss = times * self.tolerance
            bad = [self.models.worse(self.metric, pair, loss, worsen) if times else pair for pair in equals]
            seen = dict.fromkeys(("gate", "uncorrected", "fixed"), 0)
            rng = seeded(self.metric, "slices", name)
            for turn in range(repeats):
                pairs = [bad[turn % 2]] + [equals[turn % 2]] * (SLICES - 1)
                rows = rng.integers(0, len(self.models.truth), (SLICES, ROWS_A_SLICE))
                looked_at = 1 if times else SLICES  # of equals any slice counts, else the one that is worse
                differences = [self.compare(pairs[i], rows[i]) for i in range(looked_at)]
                seen["gate"] += any(self.rule.slice_is_worse(d, SLICES, self.tolerance) for d in differences)
                seen["uncorrected"] += any(self.rule.slice_is_worse(d, 1, 0.0) for d in differences)
                seen["fixed"] += any(d.mean < -2 * self.tolerance for d in differences)
            said[name] = {rule: int(count) / repeats for rule, count in seen.items()}
        return said

    def measured(self) -> dict[str, Any]:
        cells = [(case, rows) for case in self.cases for rows in ROWS if rows == ROWS[-1] or SOME not in case]
        return {
            "tolerance": self.tolerance,
            "held": self.held,
            "repeats": self.repeats,
            "blocked": {f"{case}, {rows} rows": self.blocked(case, rows) for case, rows in cells},
            "truly": {
                case: max(abs(self.models.difference(self.metric, pair)) for pair in pairs)
                for case, pairs in self.cases.items()
            },
            "luck": {kind: self.luck(kind) for kind in self.models.harmless},
            "needed": {kind: self.needed(kind) for kind in self.models.harmless},
            "slices": self.slices(self.repeats // 2),
            "slice_repeats": self.repeats // 2,
        }


class Limits:
    """Where the promise ends, with 5,000 rows: each assumption broken on purpose."""

    def __init__(self, simulation: Simulation) -> None:
        self.of, self.rows = simulation, ROWS[-1]
        self.pair = simulation.models.harmless[MOVED][0]

    def passes(self, pair: Pair, rows: np.ndarray) -> bool:
        return self.of.rule.judge(self.of.compare(pair, rows), self.of.tolerance) == "PASS"

    def passed(self, pair: Pair, name: str, times: int = 1) -> float:
        """Share of repeats that pass, where every row stands ``times`` times."""
        rng = seeded(self.of.metric, name)
        drawn = (rng.integers(0, len(pair[0]), self.rows // times) for _ in range(self.of.repeats))
        return sum(self.passes(pair, np.repeat(rows, times)) for rows in drawn) / self.of.repeats

    def repeated_rows(self, times: int = 5) -> float:
        return self.passed(self.of.cases[f"{EVERY}, 1 x"][0], "repeated", times)

    def few_rows(self, share: float = 0.001) -> float:
        """Missed, where five rows in 5,000 carry the complete loss of exactly the tolerance."""
        champion = self.pair[0]
        hit = np.random.default_rng(1).random(len(champion)) < share
        away = np.sign(champion - self.of.models.truth) * self.of.tolerance / hit.mean()
        return self.passed((champion, champion + np.where(hit, away, 0.0)), "few")

    def ten_tries(self, tries: int = 10) -> float:
        """Missed at least once, where ten challengers that lose the tolerance are tried on the same rows."""
        models, metric = self.of.models, self.of.metric
        ways = [models.swapper(100 + turn) for turn in range(tries)]
        pairs = [models.worse(metric, self.pair, self.of.tolerance, way) for way in ways]
        rng, repeats = seeded(metric, "tries"), self.of.repeats // 4
        drawn = (rng.integers(0, len(models.truth), self.rows) for _ in range(repeats))
        return sum(any(self.passes(pair, rows) for pair in pairs) for rows in drawn) / repeats

    def rare(self) -> dict[str, int]:
        """Rows needed when fewer of them are a yes."""
        truth, rng = self.of.models.truth, np.random.default_rng(2)
        yes, no = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
        said = {}
        for share in (0.05, 0.01):
            kept = rng.choice(yes, int(len(no) * share / (1 - share)), replace=False)
            difference = self.of.compare(self.pair, np.concatenate([kept, no]))
            said[f"{share:.0%}"] = self.of.rule.rows_needed(difference, self.of.tolerance)
        return said


def measure(package: str, quick: bool) -> dict[str, Any]:
    comparison = importlib.import_module(f"{package}.training.comparison")
    results, limits, pool = {}, {}, {}
    for task, metrics in TASKS.items():
        models = make(package, task, quick)
        pool[task] = len(models.truth)
        for metric in metrics:
            simulation = Simulation(comparison, metric, models, 120 if quick else 2_000)
            results[metric] = simulation.measured()
            limit = Limits(simulation)
            if metric == "auc":
                limits["rare"] = limit.rare()
            if metric == "mae":
                limits["few rows"] = limit.few_rows()
            if metric in ("accuracy", "mae"):
                limits[f"repeated rows, {metric}"] = limit.repeated_rows()
                limits[f"ten tries, {metric}"] = limit.ten_tries()
    libraries = ("numpy", "scipy", "scikit-learn", "polars")
    return {
        "results": results,
        "limits": limits,
        "pool": pool,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in libraries},
        "cpu": importlib.import_module(f"{package}.training.provenance").cpu(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("package")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    json.dump(measure(arguments.package, arguments.quick), sys.stdout)
