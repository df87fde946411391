"""Models whose true difference is known: trained on worlds of the sample, measured on a pool, the population.

A world is the sample with another seed: the same days with other parcels, so that whatever is trained on one
is equal to what is trained on another, but for luck. A challenger that loses a given amount is a retrain made
worse until it does, on all rows of the pool.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import brentq
from scipy.stats import rankdata

MONDAY = date(2026, 4, 20)
WEEKS = 4
KEPT = ["weight_g", "customer_age_days", "fragile", "promised_hours", "service"]
"""What the weaker model still sees: no distance, no depot, no time of day or week."""
SEED_MATTERS = {"max_features": 0.5}
"""With configs/v1.yaml as it is the seed changes no bit of a model: nothing is left out at random."""

Pair = tuple[np.ndarray, np.ndarray]
"""Predictions of champion and challenger for the pool."""
Worsen = Callable[[np.ndarray, float], np.ndarray]
"""Predictions, made worse by an amount from 0 to 1."""


@dataclass(frozen=True)
class Models:
    """Truth and predictions for the pool, and pairs of equals by what sets them apart."""

    truth: np.ndarray
    harmless: dict[str, list[Pair]]
    weaker: np.ndarray
    score: Callable[[str, np.ndarray, np.ndarray], float]

    def difference(self, metric: str, pair: Pair) -> float:
        """True difference of a pair, higher is better."""
        return self.score(metric, self.truth, pair[1]) - self.score(metric, self.truth, pair[0])

    def worse(self, metric: str, pair: Pair, loss: float, worsen: Worsen) -> Pair:
        """The pair with a challenger that was made worse until it truly loses ``loss`` to the champion."""
        champion, retrained = pair
        held = self.score(metric, self.truth, champion)

        def left(much: float) -> float:
            return self.score(metric, self.truth, worsen(retrained, much)) - held + loss

        much = brentq(left, 0.0, 1.0, xtol=1e-6)
        return champion, worsen(retrained, much)

    def blended(self, predicted: np.ndarray, much: float) -> np.ndarray:
        """Every row a little worse: part of the answer is that of a model which lost most of its columns."""
        return (1 - much) * predicted + much * self.weaker

    def swapper(self, seed: int) -> Worsen:
        """Some rows quite wrong: they get another parcel's prediction, as after a join by a wrong key."""
        rng = np.random.default_rng(seed)
        turn, other = rng.random(len(self.truth)), rng.permutation(len(self.truth))
        return lambda predicted, much: np.where(turn < much, predicted[other], predicted)


def scorer(comparison: Any) -> Callable[[str, np.ndarray, np.ndarray], float]:
    """The metric itself, higher is better."""

    def score(metric: str, truth: np.ndarray, predicted: np.ndarray) -> float:
        if metric == "auc":
            yes = truth == 1  # by ranks: scikit-learn's takes four times as long
            above = rankdata(predicted)[yes].mean() - (yes.sum() + 1) / 2
            return float(above / (~yes).sum())
        return float(comparison.row_scores(metric, truth, predicted, 0.5).mean())

    return score


def make(package: str, task: str, quick: bool) -> Models:
    """Eight models of equal worth and a weaker one, and what they predict for the pool."""

    def ours(module: str) -> Any:
        return importlib.import_module(f"{package}.{module}")

    upstream, contract = ours("sample_upstream"), ours("contract").CONTRACT
    from_frame = ours("model.batch").from_frame
    config = ours("config").load_model(Path("configs") / "v1.yaml")
    target = {"regression": "delivered_hours", "classification": "late"}[task]
    spec = ours("data.describe").model_contract(contract, target, 0.5)
    kinds = {column.name: column.kind for column in spec.features}
    transformer = ours("transform.transformer").Transformer(kinds, **config.features.model_dump())

    @cache
    def week(world: int, number: int) -> pl.DataFrame:
        upstream.SEED = world
        upstream._parcels.cache_clear()
        first = MONDAY + timedelta(weeks=number)
        return pl.concat(upstream._parcels(first + timedelta(days=day)) for day in range(7))

    def columns(worlds: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and truth of four weeks; week number i comes from ``worlds[i % 4]``."""
        frame = pl.concat(week(world, i % WEEKS) for i, world in enumerate(worlds))
        truth = (
            frame.select(contract.targets[target].value.alias("target"))["target"].cast(pl.Float64).to_numpy()
        )
        return transformer.transform(from_frame(spec.features, frame)), truth

    transformer.fit(from_frame(spec.features, week(11, 0)))
    matrix, truth = columns([world for world in range(1, 3 if quick else 5) for _ in range(WEEKS)])
    params = config.estimator.params | ({"max_iter": 20} if quick else {})

    def predict(worlds: list[int], seed: int = 7, keep: Any = slice(None), **extra: Any) -> np.ndarray:
        estimator = ours("estimator").build(config.estimator.kind, task, params | extra, seed=seed)
        rows, labels = columns(worlds)
        estimator.fit(rows[:, keep], labels)
        if task == "regression":
            return estimator.predict(matrix[:, keep])
        return estimator.predict_proba(matrix[:, keep])[:, 1]

    names = list(transformer.get_feature_names_out())
    same = [11, 11, 11, 11]
    seeds = [predict(same, seed, **SEED_MATTERS) for seed in (1, 2, 3)]
    moved = [predict([world, 11, 11, 11]) for world in (12, 13, 14)]
    fresh = [moved[0], *(predict([world] * WEEKS) for world in (15, 16))]
    harmless = {"other seed": seeds, "a quarter of the rows new": moved, "all rows new": fresh}
    return Models(
        truth,
        {kind: [(a, b) for a in equals for b in equals if a is not b] for kind, equals in harmless.items()},
        predict(same, keep=[names.index(name) for name in KEPT]),
        scorer(ours("training.comparison")),
    )
