"""The gate: challenger against champion on the same frozen rows, one verdict.

PASS when a loss beyond the tolerance is ruled out; FAIL when a loss is certain, or any other check fails; INCONCLUSIVE
when the rows are too few to tell, with the number that would do; FIRST when there is no champion yet.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl

from ..config import GateConfig, ModelConfig
from ..errors import Exit, ProjectError
from . import checks, comparison, evaluate
from .checks import Contender, Rows
from .scorer import TRUTH, Scorer
from .verdict import Check, GateReport, Said


def run(
    config: ModelConfig,
    gate: GateConfig,
    challenger: Contender,
    champion: Contender | None,
    rows: Rows,
    *,
    lock: str,
) -> GateReport:
    """Score ``rows`` with both, each in a process and with the libraries of its own, and judge.

    ``lock`` is the sha256 of this checkout's uv.lock: a champion that runs under another one has its proof replayed
    under this one too. One that is registered and that this lock no longer reproduces cannot be asked: GATE009 says so,
    and where that is accepted, the challenger is judged as a first one. Raises ProjectError when one of the two cannot
    be loaded for another reason.
    """
    contenders = [challenger] + ([champion] if champion else [])
    with tempfile.TemporaryDirectory(prefix="ml-gate-") as folder, ExitStack() as stack:
        given = Path(folder) / "rows.parquet"
        rows.frame.with_columns(pl.Series(TRUTH, rows.truth)).write_parquet(given)
        scorers = [stack.enter_context(Scorer(c.name, c.folder, given, c.python)) for c in contenders]
        scorers[0].ready()
        refusal = ""
        if champion and champion.python == sys.executable:
            refusal = _refusal(scorers[1])
        elif champion:
            scorers[1].ready()
        proofs = {scorer.name: scorer.said for scorer in scorers if scorer.said}
        met = None if refusal else champion
        contenders, scorers = contenders[: 2 if met else 1], scorers[: 2 if met else 1]
        said = [scorer.score(Path(folder) / f"{i}.npy") for i, scorer in enumerate(scorers)]
        predictions = [np.load(Path(folder) / f"{i}.npy") for i in range(len(scorers))]
        speed = checks.latency(scorers, gate.latency_ratio) if met else checks.absent("GATE006")
        if met and met.python != sys.executable:
            refusal = _refusal(stack.enter_context(Scorer(met.name, met.folder, given, sys.executable)))
    seen = [speed, checks.moved(refusal, gate, lock) if champion else checks.absent("GATE009")]
    broken = {c.name: int((~np.isfinite(p)).sum()) for c, p in zip(contenders, predictions, strict=True)}
    seen.append(checks.finite(broken))
    metrics: dict[str, dict[str, float]] = {}
    difference, slices = None, []
    if not any(broken.values()):
        ours, theirs = predictions[0], predictions[1] if met else None
        for contender, predicted in zip(contenders, predictions, strict=True):
            metrics[contender.name] = evaluate.measure(config.task, rows.truth, predicted, config.threshold)
        if theirs is not None:
            difference = comparison.compare(gate.metric, rows.truth, ours, theirs, config.threshold)
        slices = checks.by_slice(config, gate, rows, ours, theirs)
        seen += [
            checks.metric(gate, difference),
            checks.floor(config, gate, rows, ours),
            checks.slices(slices, met is not None, gate),
            checks.size(challenger, met, gate.size_ratio),
            checks.leakage(said[0]["leaks"], gate.leakage, config.task),
            checks.different(challenger, met, predictions),
        ]
    verdict = _verdict(seen, met is not None)
    needed = comparison.rows_needed(difference, gate.tolerance) if difference and verdict == "INCONCLUSIVE" else None
    return GateReport(
        verdict=verdict,
        challenger=challenger.name,
        champion=champion.name if champion else None,
        metric=gate.metric,
        tolerance=gate.tolerance,
        rows=len(rows.truth),
        rows_first=rows.first,
        rows_last=rows.last,
        rows_sha256=rows.sha256,
        checks=sorted(seen, key=lambda check: check.code),
        metrics=metrics,
        slices=slices,
        proofs=proofs,
        rows_needed=needed,
    )


def _refusal(scorer: Scorer) -> str:
    """What its proof refuses a version for, nothing when it holds. Raises ProjectError for damage and crashes."""
    try:
        scorer.ready()
    except ProjectError as refused:
        if refused.exit is not Exit.SAID_NO or "proof failed" not in refused.message:
            raise
        return refused.message
    return ""


def _verdict(seen: list[Check], has_champion: bool) -> Said:
    outcomes = {check.outcome for check in seen}
    if "failed" in outcomes:
        return "FAIL"
    if "inconclusive" in outcomes:
        return "INCONCLUSIVE"
    return "PASS" if has_champion else "FIRST"
