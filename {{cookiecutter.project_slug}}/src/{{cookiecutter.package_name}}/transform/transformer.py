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
        # pandas writes a missing string as NaN
        if not set(map(type, values.tolist())) <= {str, type(None)}:
            values = np.array([v if isinstance(v, str) else None for v in values.tolist()], dtype=object)
        return values
    values = np.asarray(values)
    if values.dtype == np.float64:
        return values
    if kind == "time" and values.dtype.kind == "M":
        seconds = values.astype("datetime64[us]").astype(np.int64) / 1e6
        seconds[np.isnat(values)] = np.nan
        return seconds
    return values.astype(np.float64)


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
        Fill nulls with the training median; centre and divide by the standard deviation, both of the values that were
        known in training. For linear models.
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

    def fit(self, batch: Mapping[str, Any], y: Any = None) -> Transformer:
        """Learn vocabularies, medians and scales from a column batch of shape (n,) arrays."""
        self.numeric_ = [name for name in self.columns if self.kinds[name] != "category"]
        categories = [name for name in self.columns if self.kinds[name] == "category"]
        raw = self._raw(batch)
        self.vocabularies_: dict[str, dict[str | None, int]] = {}
        for name in categories:
            seen = set(raw[name].tolist())
            levels = sorted(seen - {None}) + ([None] if None in seen else [])
            self.vocabularies_[name] = {level: code for code, level in enumerate(levels)}
        self.numbers_ = len(self.numeric_) + len(self.derived)
        block = np.empty((len(next(iter(raw.values()))), self.numbers_))
        self._fill_numbers(block, raw)
        known = [column[~np.isnan(column)] for column in block.T]
        self.medians_ = np.array([np.median(values) if len(values) else 0.0 for values in known])
        self.centres_ = np.array([np.mean(values) if len(values) else 0.0 for values in known])
        spreads = np.array([np.std(values) if len(values) else 0.0 for values in known])
        self.spreads_ = np.where(spreads > 0, spreads, 1.0)
        return self

    def transform(self, batch: Mapping[str, Any]) -> np.ndarray:
        """Matrix of shape (n, len(get_feature_names_out())), float64, NaN where a value is missing."""
        raw = self._raw(batch)
        matrix = np.zeros((len(next(iter(raw.values()))), self.numbers_ + sum(self._widths())))
        block = matrix[:, : self.numbers_]
        self._fill_numbers(block, raw)
        if self.impute:
            missing = np.isnan(block)
            if missing.any():
                block[:] = np.where(missing, self.medians_, block)
        if self.scale:
            block -= self.centres_
            block /= self.spreads_
        start = self.numbers_
        for (name, vocabulary), width in zip(self.vocabularies_.items(), self._widths(), strict=True):
            if self.encode == "ordinal":
                # float64 makes NaN of what is None: a level that training never saw
                matrix[:, start] = np.array(list(map(vocabulary.get, raw[name].tolist())), dtype=np.float64)
            else:
                for row, value in enumerate(raw[name].tolist()):
                    code = vocabulary.get(value)
                    if code is not None:
                        matrix[row, start + code] = 1.0
            start += width
        return matrix

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        names = [*self.numeric_, *self.derived]
        for name, vocabulary in self.vocabularies_.items():
            names += [name] if self.encode == "ordinal" else [f"{name}={level}" for level in vocabulary]
        return np.array(names, dtype=object)

    def _widths(self) -> list[int]:
        """Columns of the matrix that each category takes."""
        return [1 if self.encode == "ordinal" else len(vocabulary) for vocabulary in self.vocabularies_.values()]

    def _raw(self, batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {name: canonical(batch[name], kind) for name, kind in self.kinds.items()}

    def _fill_numbers(self, block: np.ndarray, raw: dict[str, np.ndarray]) -> None:
        """Numbers as they are and derived ones, into ``block`` of shape (n, numbers_)."""
        for position, name in enumerate(self.numeric_):
            block[:, position] = raw[name]
        with np.errstate(all="ignore"):
            for position, name in enumerate(self.derived, start=len(self.numeric_)):
                values = FEATURES[name](raw)
                if np.shape(values) != (len(block),):
                    raise ValueError(f"feature {name}: expected shape ({len(block)},), returned {np.shape(values)}")
                block[:, position] = values
        # a division by zero or an overflow is a missing value, in training as in the API
        infinite = np.isinf(block)
        if infinite.any():
            block[infinite] = np.nan
