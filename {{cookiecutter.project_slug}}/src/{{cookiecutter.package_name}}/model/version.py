"""A model version in memory: contract, request model and pipeline, and the one path from a body to predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ..spec import ModelContract, Task
from .batch import from_rows
from .request import RequestModel
from .trees import shortened

PRODUCTS = {
    "sklearn.linear_model._base.LinearModel.predict",
    "sklearn.linear_model._base.MultiOutputLinearModel.predict",
    "sklearn.linear_model._ridge.Ridge.predict",
}
"""scikit-learn's predict methods that are ``matrix @ coef_ + intercept_``; a renamed one only loses the short cut."""


@cache
def _request_model(contract: str) -> RequestModel:
    """One for all versions of a contract: pydantic never frees a model once made, and a server sees many versions."""
    return RequestModel(ModelContract.model_validate_json(contract))


@dataclass(frozen=True)
class Answer:
    """Rows as parsed, their feature matrix (n, p) and predictions (n,): a value, or the probability of yes."""

    rows: Sequence[dict[str, Any]]
    matrix: np.ndarray
    values: np.ndarray


Score = Callable[[np.ndarray], np.ndarray]
ESTIMATOR, TREES, PRODUCT = "the estimator's own method", "trees joined, or as leaf masks", "a product"
"""Ways from a matrix to values, as `/version` names them."""


def _own(estimator: Any, task: Task) -> Score:
    """The estimator's own way from a matrix (n, p) to values (n,)."""
    if task == "regression":
        return estimator.predict
    yes = list(estimator.classes_).index(1)
    return lambda matrix: estimator.predict_proba(matrix)[:, yes]


def _shorter(estimator: Any, task: Task, own: Score) -> tuple[Score, str]:
    """The shortest way to the same values, and how it is called.

    A linear regression is one product of 1 us, which scikit-learn's ``predict`` surrounds with 70 us of checks on a
    matrix that is float64 and finite already. Only where ``predict`` is that product: a GLM's is not.
    """
    if task == "regression":
        predict = type(estimator).predict
        if f"{predict.__module__}.{predict.__qualname__}" in PRODUCTS and np.ndim(estimator.coef_) == 1:
            weights, intercept = estimator.coef_, estimator.intercept_
            return lambda matrix: matrix @ weights + intercept, PRODUCT
    short = shortened(estimator, own)
    return short, ESTIMATOR if short is own else TREES


class ModelVersion:
    """What answers requests. The API and a proof's replay call :meth:`answer`, the daily run :meth:`score`; training,
    which makes what they are held against, calls :meth:`plain_score`."""

    def __init__(self, contract: ModelContract, pipeline: Pipeline, facts: Mapping[str, Any]) -> None:
        self.contract = contract
        self.pipeline = pipeline
        self.facts = dict(facts)
        self.request = _request_model(contract.model_dump_json())
        self._columns = contract.features
        # the pipeline's own predict would do the same at 30 us a call; one transformer needs no wrapper around it
        self._transform = (pipeline.steps[0][1] if len(pipeline.steps) == 2 else pipeline[:-1]).transform
        self._plain = _own(pipeline.steps[-1][1], contract.target.task)
        self.deciles = np.empty(0)
        """What is usual for this version: its proof's predictions cut into ten, at most (9,), ascending."""

    @property
    def name(self) -> str:
        return str(self.facts.get("version", "unregistered"))

    def matrix(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """Features of a column batch, float64 (n, p)."""
        return self._transform(batch)

    @cached_property
    def _way(self) -> tuple[Score, str]:
        """Made when it is first asked for: the tables of 100 trees take 20 ms."""
        return _shorter(self.pipeline.steps[-1][1], self.contract.target.task, self._plain)

    @property
    def path(self) -> str:
        """What :meth:`score` computes with, as `/version` says it."""
        return self._way[1]

    def without_short_cut(self) -> None:
        """Predict by the estimator's own method from now on."""
        self._way = self._plain, ESTIMATOR

    def plain_score(self, matrix: np.ndarray) -> np.ndarray:
        """The estimator's own predictions, whatever way :meth:`score` takes."""
        return np.asarray(self._plain(matrix), dtype=np.float64)

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Predictions of a feature matrix, float64 (n,)."""
        return np.asarray(self._way[0](matrix), dtype=np.float64)

    def answer(self, body: bytes) -> Answer:
        """Parse, transform and predict one request body. Raises RequestRefused."""
        return self.answer_rows(self.request.parse(body))

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> Answer:
        """Transform and predict rows that :class:`RequestModel` parsed."""
        matrix = self.matrix(from_rows(self._columns, rows))
        return Answer(rows, matrix, self.score(matrix))

    def baseline(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """What the naive model answers, float64 (n,): a column's value, or the mean of the target in training."""
        column = self.facts["config"]["baseline"]
        if column == "mean":
            return np.full(len(rows), float(self.facts["target_mean"]))
        return np.array([row[column] for row in rows], dtype=np.float64)

    def present(self, values: Sequence[float]) -> list[dict[str, Any]]:
        """Predictions as the API says them, one a row."""
        target = self.contract.target
        name, threshold = target.name, target.threshold
        if target.task == "regression":
            return [{name: value} for value in values]
        return [{name: value >= threshold, f"{name}_probability": value} for value in values]
