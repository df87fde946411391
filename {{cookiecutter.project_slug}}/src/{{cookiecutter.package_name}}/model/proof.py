"""The proof a version carries: raw rows with the answers it gave at training time, replayed before it may serve.

Training computes the answers from the dataset, in bulk. The replay sends the same rows as JSON through the request
path, one by one and as one batch. Whatever makes the two differ refuses the version: feature code, library versions,
time zones, types.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .request import RequestRefused
from .threads import limited
from .version import ModelVersion

RELATIVE = 1e-9
"""Linear and neural models differ in the last bits by batch size and CPU, trees do not; 1e-9 of the prediction, or of
the target's standard deviation where that is larger, is far above that noise and far below anything that matters. It
follows that a label can flip only where a probability lies that close to the threshold."""


@dataclass(frozen=True)
class Proof:
    """Rows that must be answered, and rows that must be refused.

    ``scale`` is the target's standard deviation in training. ``features`` is (n, p), ``predictions`` (n,).
    """

    scale: float
    feature_names: list[str]
    requests: list[dict[str, Any]]
    features: np.ndarray
    predictions: np.ndarray
    refusals: list[dict[str, Any]]
    """Each with ``request``, and the ``field`` and ``reason`` it must be refused for."""

    @property
    def deciles(self) -> np.ndarray:
        """Its predictions cut into ten: at most (9,), ascending."""
        return np.unique(np.quantile(self.predictions, np.arange(1, 10) / 10))

    def write(self, path: Path) -> None:
        """As JSON; Python prints float64 so that reading gives the same bits back."""
        rows = [
            {"request": request, "prediction": prediction, "features": [None if np.isnan(v) else v for v in features]}
            for request, prediction, features in zip(
                self.requests, self.predictions.tolist(), self.features.tolist(), strict=True
            )
        ]
        head = {"scale": self.scale, "feature_names": self.feature_names}
        lines = ",\n".join(json.dumps(row) for row in rows)
        refusals = ",\n".join(json.dumps(row) for row in self.refusals)
        path.write_text(
            f'{json.dumps(head)[:-1]}, "rows": [\n{lines}\n], "refusals": [\n{refusals}\n]}}\n', encoding="utf-8"
        )

    @classmethod
    def read(cls, path: Path) -> Proof:
        said = json.loads(path.read_text(encoding="utf-8"))
        features = [[np.nan if v is None else v for v in row["features"]] for row in said["rows"]]
        return cls(
            scale=said["scale"],
            feature_names=said["feature_names"],
            requests=[row["request"] for row in said["rows"]],
            features=np.array(features, dtype=np.float64),
            predictions=np.array([row["prediction"] for row in said["rows"]], dtype=np.float64),
            refusals=said["refusals"],
        )


@dataclass(frozen=True)
class Verdict:
    """What a replay found. ``largest`` is the largest |difference| of a prediction, in the target's unit."""

    rows: int
    refusals: int
    largest: float
    problems: list[str]

    @property
    def holds(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        if self.problems:
            return "proof failed: " + "; ".join(self.problems)
        return f"{self.rows} rows and {self.refusals} refusals reproduced, largest difference {self.largest:.1e}"


def replay(version: ModelVersion, proof: Proof, *, one_by_one: bool = True) -> Verdict:
    """Send every row of the proof through the version's request path, one by one and as one batch.

    Who only scores batches spares itself the first, which takes ten times as long.
    """
    bodies = [json.dumps(request).encode() for request in proof.requests]
    problems: list[str] = []
    largest = 0.0
    try:
        # a few rows at a time, a second thread only spins: it tripled the CPU time of a replay on a busy machine
        with limited(1):
            single = [version.answer(body) for body in bodies] if one_by_one else []
            batch = version.answer(b"[" + b",".join(bodies) + b"]")
    except RequestRefused as refused:
        return Verdict(
            len(bodies), len(proof.refusals), float("nan"), [f"a row that was valid in training is refused: {refused}"]
        )
    seen = {"as a batch": (batch.matrix, batch.values)}
    if single:
        rows = np.vstack([answer.matrix for answer in single]), np.concatenate([answer.values for answer in single])
        seen = {"one by one": rows} | seen
    for how, (matrix, values) in seen.items():
        problems += compare_features(proof, matrix, how)
        difference = np.abs(values - proof.predictions)
        largest = max(largest, float(np.max(difference, initial=0.0)))
        problems += compare_predictions(proof, values, difference, how)
    problems += _compare_refusals(version, proof.refusals)
    return Verdict(len(bodies), len(proof.refusals), largest, problems)


def compare_features(proof: Proof, matrix: np.ndarray, how: str) -> list[str]:
    """What differs from the recorded features, bit by bit; ``how`` the ``matrix`` of shape (n, p) was made."""
    if matrix.shape != proof.features.shape:
        return [f"features {how}: shape {matrix.shape}, recorded {proof.features.shape}"]
    # NaN means missing and equals itself; everything else must have the same bits, -0.0 and 0.0 told apart
    same = (matrix.view(np.int64) == proof.features.view(np.int64)) | (np.isnan(matrix) & np.isnan(proof.features))
    if same.all():
        return []
    distance = np.where(same, 0.0, np.abs(np.nan_to_num(matrix) - np.nan_to_num(proof.features)))
    row, column = (int(index) for index in np.unravel_index(np.argmax(distance + ~same), same.shape))
    return [
        f"features {how}: {int((~same).any(axis=1).sum())} of {len(same)} rows differ, most in "
        f"{proof.feature_names[column]}: {matrix[row, column]:.17g} instead of {proof.features[row, column]:.17g} "
        f"(difference {distance[row, column]:.3g}) in row {row} of the proof"
    ]


def compare_predictions(proof: Proof, values: np.ndarray, difference: np.ndarray, how: str) -> list[str]:
    """Which of ``values`` lie further from the recorded predictions than the rule allows; all of shape (n,)."""
    limit = RELATIVE * np.maximum(np.abs(proof.predictions), proof.scale)
    outside = ~(difference <= limit)  # NaN is outside
    problems = []
    if outside.any():
        row = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
        problems.append(
            f"predictions {how}: {int(outside.sum())} of {len(values)} rows differ, most by {difference[row]:.3g} "
            f"({values[row]:.17g} instead of {proof.predictions[row]:.17g}, allowed {limit[row]:.1e})"
        )
    return problems


def _compare_refusals(version: ModelVersion, refusals: Sequence[dict[str, Any]]) -> list[str]:
    problems = []
    for case in refusals:
        wanted = (case["field"], case["reason"])
        try:
            version.request.parse(json.dumps(case["request"]).encode())
        except RequestRefused as refused:
            seen = [(refusal.field, refusal.reason) for refusal in refused.refusals]
            if seen == [wanted]:
                continue
            problems.append(f"a row with {wanted[0]} ({wanted[1]}) is refused for {seen}")
        else:
            problems.append(f"a row with {wanted[0]} ({wanted[1]}) is accepted")
    return problems[:3]
