"""Whether a version's short cut computes what its estimator does, on rows that nobody has seen.

The proof's rows are what came in training. These are mixed from them at random, with gaps wherever a column may have
one, categories that do not exist, and numbers at and beyond the ends of what was seen.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..spec import Column
from .batch import from_rows
from .proof import RELATIVE, Proof
from .trees import FEW, SMALL
from .version import ModelVersion

ROWS = 10_000
GAPS, UNSEEN, FAR = 0.1, 0.05, 0.1
"""Shares of values that are missing, a category of no training row, and a number of another size."""


def disagreement(version: ModelVersion, proof: Proof, rows: int = ROWS) -> str | None:
    """What the short cut gets wrong by the rule of the proof, in words; None where it may serve."""
    rng = np.random.default_rng(20_000)
    batch = from_rows(version.contract.features, version.request.parse(json.dumps(proof.requests).encode()))
    drawn = {column.name: _drawn(column, batch[column.name], rows, rng) for column in version.contract.features}
    matrix = version.matrix(drawn)
    plain = version.plain_score(matrix)
    # a short cut may go another way for each size of a request
    parts = [version.score(matrix[at : at + size]) for size in (rows, SMALL, FEW) for at in range(0, rows, size)]
    parts += [version.score(matrix[at : at + 1]) for at in range(0, 200)]
    short = np.concatenate(parts)
    plain = np.concatenate([plain, plain, plain, plain[:200]])
    limit = RELATIVE * np.maximum(np.abs(plain), proof.scale)
    wrong = ~(np.abs(short - plain) <= limit) & ~(np.isnan(short) & np.isnan(plain))
    if not wrong.any():
        return None
    row = int(np.argmax(wrong))
    return (
        f"{version.path} gives {short[row]:.17g} where the estimator gives {plain[row]:.17g}; "
        f"{wrong.sum()} of {len(plain)} rows differ"
    )


def _drawn(column: Column, values: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.choice(values, rows)
    if column.kind == "category":
        if column.allowed is None:
            drawn[rng.random(rows) < UNSEEN] = "of no training row"
        gap: Any = None
    else:
        far = rng.random(rows) < FAR
        drawn[far] *= rng.choice([0.0, -1.0, 1e-3, 1e3, 1e12], int(far.sum()))
        gap = np.nan
    if column.nullable:
        drawn[rng.random(rows) < GAPS] = gap
    return drawn
