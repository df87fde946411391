"""Column batch in, float64 matrix out: the only implementation of features, for training, batch and API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from .features import FEATURES


def canonical(values: Any, kind: str) -> np.ndarray:
    """One column as feature functions see it; ``kind`` as in the contract.

    Categories: object array of str, None for null. Times: float64 seconds since 1970-01-01 UTC. All else: float64.
    Nulls may come as None, NaN or NaT, as plain lists, numpy arrays, or a data frame's columns.
    """
    if kind == "category":
        values = np.asarray(values, dtype=object)
        # pandas writes a missing string as NaN, the one value that differs from itself
        return np.array([v if isinstance(v, str) else None for v in values.tolist()], dtype=object)
    values = np.asarray(values)
    if kind == "time" and values.dtype.kind == "M":
        seconds = values.astype("datetime64[us]").astype(np.int64) / 1e6
        seconds[np.isnat(values)] = np.nan
        return seconds
    return values.astype(np.float64, copy=False)


class Transformer(TransformerMixin, BaseEstimator):
    """Contract kinds and ``features.py`` in, matrix out; everything learned is frozen by ``fit``.

    Parameters
    ----------
    kinds
        Kind of every column the batch has, by name. Only those needed are read.
    columns
        Columns that enter the matrix as they are. Categories are encoded, and stand last.
    derived
        Names of functions in ``features.py``.
    encode
        ``"ordinal"`` (one column a category, for trees) or ``"onehot"`` (for linear models). A value that training
        never saw is NaN in the first, all zeros in the second. Null is a value of its own if training saw it.
    impute, scale
        Fill nulls with the training median; centre and divide by the training standard deviation. For linear models.
    """

    def __init__(
        self,
        kinds: Mapping[str, str],
        columns: Sequence[str],
        derived: Sequence[str] = (),
        encode: str = "ordinal",
        impute: bool = False,
        scale: bool = False,
    ) -> None:
        self.kinds = kinds
        self.columns = columns
        self.derived = derived
        self.encode = encode
        self.impute = impute
        self.scale = scale

    @property
    def numeric(self) -> list[str]:
        return [name for name in self.columns if self.kinds[name] != "category"]

    @property
    def categories(self) -> list[str]:
        return [name for name in self.columns if self.kinds[name] == "category"]

    def fit(self, batch: Mapping[str, Any], y: Any = None) -> Transformer:
        """Learn vocabularies, medians and scales from a column batch of shape (n,) arrays."""
        raw = self._raw(batch)
        self.vocabularies_ = {}
        for name in self.categories:
            seen = set(raw[name].tolist())
            levels = sorted(seen - {None}) + ([None] if None in seen else [])
            self.vocabularies_[name] = {level: code for code, level in enumerate(levels)}
        block = self._numbers(raw)
        known = ~np.isnan(block)
        self.medians_ = np.array([np.median(v[k]) if k.any() else 0.0 for v, k in zip(block.T, known.T, strict=True)])
        if self.impute:
            block = np.where(known, block, self.medians_)
        spread = np.array([np.std(v[k]) if k.any() else 0.0 for v, k in zip(block.T, known.T, strict=True)])
        self.centres_ = np.array([np.mean(v[k]) if k.any() else 0.0 for v, k in zip(block.T, known.T, strict=True)])
        self.spreads_ = np.where(spread > 0, spread, 1.0)
        return self

    def transform(self, batch: Mapping[str, Any]) -> np.ndarray:
        """Matrix of shape (n, len(get_feature_names_out())), float64, NaN where a value is missing."""
        raw = self._raw(batch)
        block = self._numbers(raw)
        if self.impute:
            missing = np.isnan(block)
            if missing.any():
                block = np.where(missing, self.medians_, block)
        if self.scale:
            block = (block - self.centres_) / self.spreads_
        if not self.vocabularies_:
            return block
        return np.hstack(
            [block, *(self._encoded(raw[name], vocabulary) for name, vocabulary in self.vocabularies_.items())]
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        names = [*self.numeric, *self.derived]
        for name, vocabulary in self.vocabularies_.items():
            names += [name] if self.encode == "ordinal" else [f"{name}={level}" for level in vocabulary]
        return np.array(names, dtype=object)

    def ordinal_mask(self) -> list[bool]:
        """For each column of the matrix, whether it holds category codes; for estimators that want to know."""
        plain = len(self.numeric) + len(self.derived)
        return [False] * plain + [True] * (len(self.categories) if self.encode == "ordinal" else 0)

    def _raw(self, batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {name: canonical(batch[name], kind) for name, kind in self.kinds.items()}

    def _numbers(self, raw: dict[str, np.ndarray]) -> np.ndarray:
        rows = len(next(iter(raw.values())))
        block = np.empty((rows, len(self.numeric) + len(self.derived)))
        for position, name in enumerate(self.numeric):
            block[:, position] = raw[name]
        with np.errstate(all="ignore"):
            for position, name in enumerate(self.derived, start=len(self.numeric)):
                values = np.asarray(FEATURES[name](raw))
                if values.shape != (rows,):
                    raise ValueError(f"feature {name}: expected shape ({rows},), returned {values.shape}")
                block[:, position] = values
        # a division by zero or an overflow is a missing value, in training as in the API
        block[np.isinf(block)] = np.nan
        return block

    def _encoded(self, values: np.ndarray, vocabulary: dict[str | None, int]) -> np.ndarray:
        codes = [vocabulary.get(value, -1) for value in values.tolist()]
        if self.encode == "onehot":
            # the extra last row stands for "never seen", code -1: all zeros
            return np.eye(len(vocabulary) + 1, len(vocabulary))[codes]
        encoded = np.array(codes, dtype=np.float64)
        encoded[encoded < 0] = np.nan
        return encoded[:, None]
