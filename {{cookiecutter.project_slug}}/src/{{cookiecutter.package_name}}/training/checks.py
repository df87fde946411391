"""The looks that the gate takes, one function a code: what was seen beside what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from ..config import GateConfig, ModelConfig
from ..model.artefact import FOLDER
from . import comparison, evaluate
from .comparison import ENOUGH, Difference, Verdict
from .scorer import Scorer
from .verdict import Check, Outcome, Slice

ROUNDS = 7
"""Interleaved, and every one of them must show a slower challenger before it is blocked: one hiccup cannot."""
CERTAIN = 1.05
LOADS = {1: 100, 1000: 3}
"""Rows of a request, and calls a round."""


@dataclass(frozen=True)
class Contender:
    """A trained version in ``folder``, laid out as a bundle; ``python`` is the environment that it runs in."""

    name: str
    folder: Path
    facts: dict[str, Any]
    python: str


@dataclass(frozen=True)
class Rows:
    """Evaluation rows: raw columns, ``truth`` (n,), what the ``naive`` baseline answers, and the slices."""

    frame: pl.DataFrame
    sha256: str
    first: str
    last: str
    truth: np.ndarray
    naive: np.ndarray
    groups: dict[str, np.ndarray]


def absent(code: str) -> Check:
    return Check(code, "not applicable", "no champion to compare with")


def metric(gate: GateConfig, difference: Difference | None) -> Check:
    if difference is None:
        return absent("GATE001")
    low, high = difference.interval
    seen = f"{gate.metric} gain {difference.mean:+.4g} (90% interval {low:+.4g} to {high:+.4g})"
    outcome = comparison.judge(difference, gate.tolerance)
    if outcome is Verdict.PASS:
        return Check("GATE001", "ok", f"{seen}: a loss of {gate.tolerance:g} is ruled out")
    if outcome is Verdict.FAIL:
        return Check("GATE001", "failed", f"{seen}: it is worse, and a loss of {gate.tolerance:g} is not ruled out")
    needed = comparison.rows_needed(difference, gate.tolerance)
    return Check(
        "GATE001",
        "inconclusive",
        f"{seen}: {difference.rows:,} rows cannot rule out a loss of {gate.tolerance:g}; about {needed:,} could",
    )


def floor(config: ModelConfig, gate: GateConfig, rows: Rows, predicted: np.ndarray) -> Check:
    skill, margin = comparison.skill(
        gate.metric, rows.truth, predicted, rows.naive, config.threshold, gate.minimum_skill
    )
    outcome: Outcome = "ok" if margin > 0 else "failed"
    return Check(
        "GATE002",
        outcome,
        f"{skill:.1%} of the loss of baseline {config.baseline} is gone; expected more than {gate.minimum_skill:.0%} "
        f"{'' if margin > 0 else 'for certain'}".rstrip(),
    )


def by_slice(
    config: ModelConfig, gate: GateConfig, rows: Rows, ours: np.ndarray, theirs: np.ndarray | None
) -> list[Slice]:
    """Every level of every grouping column; those of fewer than 300 rows are reported and not judged."""
    compared: list[tuple[str, str, int, Difference | None]] = []
    for column, level, mask in evaluate.levels(rows.groups):
        n, truth = int(mask.sum()), rows.truth[mask]
        enough = n >= ENOUGH and comparison.comparable(gate.metric, truth)
        there = None
        if theirs is not None and enough:
            there = comparison.compare(gate.metric, truth, ours[mask], theirs[mask], config.threshold)
        compared.append((column, level, n, there))
    count = sum(there is not None for *_, there in compared)
    found = []
    for column, level, n, there in compared:
        if there is None:
            found.append(Slice(column, level, n, None, None, "not compared" if theirs is None else "too few rows"))
            continue
        worse = comparison.slice_is_worse(there, count, gate.slice_tolerance or gate.tolerance)
        found.append(Slice(column, level, n, there.mean, there.error, "worse" if worse else "ok"))
    return found


def slices(found: list[Slice], has_champion: bool, gate: GateConfig) -> Check:
    if not has_champion:
        return absent("GATE003")
    judged = [item for item in found if item.difference is not None]
    if not judged:
        return Check("GATE003", "not applicable", f"no slice of {ENOUGH} rows" if found else "the config names none")
    worse = [item for item in judged if item.outcome == "worse"]
    if worse:
        shown = ", ".join(f"{i.column}={i.level} by {i.difference:+.4g} on {i.rows:,} rows" for i in worse)
        return Check("GATE003", "failed", f"worse: {shown}; material is {gate.slice_tolerance or gate.tolerance:g}")
    return Check("GATE003", "ok", f"{len(judged)} of {len(found)} judged, none worse")


def finite(broken: dict[str, int]) -> Check:
    if any(broken.values()):
        shown = ", ".join(f"{name}: {count}" for name, count in broken.items() if count)
        return Check("GATE004", "failed", f"predictions that are no finite number: {shown}")
    return Check("GATE004", "ok", "all of them")


def size(challenger: Contender, champion: Contender | None, limit: float) -> Check:
    def weight(contender: Contender) -> int:
        return sum(path.stat().st_size for path in (contender.folder / FOLDER).rglob("*") if path.is_file())

    if champion is None:
        return absent("GATE005")
    ours, theirs = weight(challenger), weight(champion)
    ratio = ours / theirs
    seen = f"{ours / 1e6:.2f} MB, {ratio:.2f} times the champion's; at most {limit:g} times"
    return Check("GATE005", "ok" if ratio <= limit else "failed", seen)


def latency(scorers: list[Scorer], limit: float) -> Check:
    """Ratios of medians in interleaved rounds, so that what else the machine does meets both."""
    shown, slow, noisy = [], False, False
    for rows, calls in LOADS.items():
        ratios = []
        for number in range(ROUNDS):
            order = [0, 1] if number % 2 == 0 else [1, 0]
            took = {index: scorers[index].seconds(rows, calls) for index in order}
            ratios.append(took[0] / took[1])
        slow |= median(ratios) > limit and min(ratios) > CERTAIN
        noisy |= median(ratios) > limit
        shown.append(f"{rows:,} row{'s' if rows > 1 else ''} {median(ratios):.2f}")
    seen = f"times the champion's: {', '.join(shown)}; at most {limit:g} times"
    seen += ", and not in every round: noise" if noisy and not slow else ""
    return Check("GATE006", "failed" if slow else "ok", seen)


def leakage(told: dict[str, float], limit: float, task: str) -> Check:
    unit = "AUC" if task == "classification" else "R²"
    knows = {name: share for name, share in told.items() if share >= limit and limit < 1}
    if knows:
        shown = ", ".join(f"{name} ({unit} {share:.3f})" for name, share in knows.items())
        return Check("GATE007", "failed", f"nearly the target itself: {shown}; is it known when a request comes?")
    name, most = max(((n, s) for n, s in told.items() if s == s), key=lambda item: item[1], default=("", 0.0))
    return Check("GATE007", "ok", f"the strongest, {name}, tells {unit} {most:.2f}; suspicious from {limit:g}")


def different(challenger: Contender, champion: Contender | None, predictions: list[np.ndarray]) -> Check:
    if champion is None:
        return absent("GATE008")
    if challenger.facts["files"] == champion.facts["files"]:
        return Check("GATE008", "failed", "the challenger is the champion, file by file: a comparison with itself")
    if np.array_equal(predictions[0], predictions[1]):
        return Check("GATE008", "ok", "other files, but the same predictions on every row: nothing changed for users")
    changed = int((predictions[0] != predictions[1]).sum())
    return Check("GATE008", "ok", f"predictions differ on {changed:,} of {len(predictions[0]):,} rows")


def moved(refusal: str, gate: GateConfig, lock: str) -> Check:
    """Whether the libraries of this lock move the champion's predictions: ``refusal`` is what its proof says here.

    Such a lock makes every older version unservable; ``gate.accept_lock`` says that this is known and wanted.
    """
    if not refusal:
        return Check("GATE009", "ok", "its proof holds with this lock")
    if gate.accept_lock is not None and lock.startswith(gate.accept_lock):
        return Check("GATE009", "ok", f"accepted by gate.accept_lock: {refusal}")
    return Check("GATE009", "failed", f"{refusal}. Is that wanted? Then set gate.accept_lock to {lock[:12]}")
