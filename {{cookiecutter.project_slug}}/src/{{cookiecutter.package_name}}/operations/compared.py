"""What the log tells of two versions: how fast, how far apart, and with labels, which of them is better."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from ..config import ModelConfig
from ..data.matured import TRUTH
from ..model.id import VersionId
from ..training import comparison, samples
from ..training.comparison import ENOUGH, Difference
from .answered import THEIRS, Labelled

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
BEYOND = 10
"""Requests that have to lie beyond a quantile before it is said: fewer are an anecdote."""


@dataclass(frozen=True)
class Side:
    """What one of the two answered, by the log. Latencies in milliseconds, None where requests are too few to say."""

    role: str
    version: str
    requests: int
    rows: int
    degraded: int
    latency: dict[str, float | None]


def side(frame: pl.DataFrame, role: str, version: VersionId) -> Side:
    mine = frame.filter(pl.col("role") == role)
    took = mine.filter(pl.col("degraded").is_null()).unique("request_id", keep="first")["latency_ms"].drop_nulls()
    latency = {
        name: took.quantile(share, "linear") if len(took) * (1 - share) >= BEYOND else None
        for name, share in QUANTILES.items()
    }
    degraded = mine.filter(pl.col("degraded").is_not_null())["request_id"].n_unique()
    return Side(role, str(version), mine["request_id"].n_unique(), mine.height, degraded, latency)


def ratio_of(sides: tuple[Side, ...], name: str) -> float | None:
    champion, other = (side.latency[name] for side in sides)
    return other / champion if champion and other else None


def _numbers(frame: pl.DataFrame) -> np.ndarray:
    return frame["request_id"].rank("dense").to_numpy().astype(np.float64)


def shift(frame: pl.DataFrame, role: str, since: datetime, config: ModelConfig) -> str:
    """How predictions moved, before anybody knows which of them are right."""
    if role == "shadow":
        if (requests := frame["request_id"].n_unique()) < ENOUGH:
            return f"{requests:,} requests that both answered; {ENOUGH} are the least to say something"
        ours, theirs, number = frame["prediction"].to_numpy(), frame[THEIRS].to_numpy(), _numbers(frame)
        moved = comparison.paired(samples.by_request(ours, number), samples.by_request(theirs, number))
        change = np.abs(ours - theirs)
        said = f"{_interval(moved)} row by row; half of the rows move by more than {np.median(change):.3g}, "
        said += f"one of a hundred by more than {np.quantile(change, 0.99):.3g}"
        if config.task == "classification":
            flips = np.mean((ours >= config.threshold) != (theirs >= config.threshold))
            said += f"; {flips:.2%} get another answer"
        return said
    # an earlier share met other days: what is compared here is one stretch of time, split by chance
    current = frame.filter(pl.col("at") >= since)
    ours, theirs = (current.filter(pl.col("role") == which) for which in (role, "champion"))
    counts = [of["request_id"].n_unique() for of in (ours, theirs)]
    if min(counts) < ENOUGH:
        return f"{min(counts):,} requests at this share; {ENOUGH} of each are the least to say something"
    values = [of["prediction"].to_numpy() for of in (ours, theirs)]
    moved = samples.unpaired(
        *(samples.by_request(v, _numbers(of)) for v, of in zip(values, (ours, theirs), strict=True))
    )
    wide, chance = samples.gap(*values), samples.noise(*counts)
    return (
        f"{_interval(moved)}; the distributions part by {100 * wide:.1f} points at most, "
        f"{'which is noise' if wide <= chance else 'more than noise'} (up to {100 * chance:.1f})"
    )


def _interval(moved: Difference) -> str:
    low, high = moved.interval
    return f"mean {moved.mean:+.3g} (90% interval {low:+.3g} to {high:+.3g})"


def labels(known: Labelled) -> str:
    said = [f"{known.frame.height:,} rows have theirs", f"{known.waiting:,} wait"]
    if known.unknown:
        said.append(f"{known.unknown:,} will have none: upstream delivered no such row, or no label for it")
    if known.nameless:
        said.append(f"{known.nameless:,} came without their key, or it is redacted")
    return ", ".join(said)


def difference_of(
    known: pl.DataFrame, role: str, metric: str, threshold: float, steps: list[datetime]
) -> tuple[Difference | None, str]:
    """The gate's difference on labelled rows, or what is lacking for one."""
    known = known.with_columns(pl.col(TRUTH).cast(pl.Float64))
    if role == "shadow":
        truth, ours, theirs = (known[name].to_numpy() for name in (TRUTH, "prediction", THEIRS))
        if (count := known["request_id"].n_unique()) < ENOUGH or not comparison.comparable(metric, truth):
            return None, f"{count:,} labelled requests that both answered; {ENOUGH} are the least"
        if metric == "auc":
            return comparison.compare(metric, truth, ours, theirs, threshold), ""
        scores = (comparison.row_scores(metric, truth, values, threshold) for values in (ours, theirs))
        number = _numbers(known)
        return comparison.paired(*(samples.by_request(score, number) for score in scores)), ""
    parts, counts = [], {"champion": 0, role: 0}
    for first, last in zip(steps, [*steps[1:], None], strict=True):
        stretch = known.filter(pl.col("at") >= first)
        stretch = stretch.filter(pl.col("at") < last) if last else stretch
        met = {which: stretch.filter(pl.col("role") == which) for which in counts}
        if all(comparison.comparable(metric, of[TRUTH].to_numpy()) for of in met.values()):
            ours, theirs = (
                np.column_stack([_numbers(met[which]), met[which][TRUTH], met[which]["prediction"]])
                for which in (role, "champion")
            )
            if min(len(np.unique(rows[:, 0])) for rows in (ours, theirs)) > 1:
                parts.append(samples.apart(metric, ours, theirs, threshold))
                counts = {which: counts[which] + met[which]["request_id"].n_unique() for which in counts}
    if min(counts.values()) < ENOUGH:
        return None, f"{min(counts.values()):,} labelled requests of one of the two; {ENOUGH} of each are the least"
    return samples.combined(parts), ""
