"""Where each value of a matrix stands among the thresholds of its column: numpy's ``searchsorted``, for all at once.

A binary search guesses every other of its eight steps wrong. Here a column's range is cut into equal cells, and a
value's cell says which thresholds lie below it, but for those in that very cell: mostly one or none of a boosting
model's 254 quantiles, so that one comparison is left. 11 columns of 1,000 rows take 90 us instead of 300.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

CELLS = 4096
"""Of a column. Of 254 quantiles, at most one is in a cell of a normal column and of a lognormal one, 18 where its sigma
is 2. Twice as many cells of a dozen columns would fill a CPU's second cache."""


class Grid:
    """The thresholds of some columns: ``cuts`` by a column's number, each ascending, float64, with infinity at its end.

    A column's places follow those of the column before: ``starts`` tells its first, ``size`` how many there are in all.
    """

    def __init__(self, cuts: Mapping[int, np.ndarray]) -> None:
        self._columns = np.array(list(cuts), dtype=np.intp)
        finite = [of[:-1] for of in cuts.values()]
        low = np.array([of[0] if len(of) else 0.0 for of in finite])
        high = np.array([of[-1] if len(of) else 0.0 for of in finite])
        with np.errstate(over="ignore", divide="ignore"):
            scale = np.clip((CELLS - 1) / (high - low), 1e-300, 1e300)  # without zero and infinity: 0 * inf is NaN
        self._low, self._scale = low[:, None], scale[:, None]
        cells = [_cells(of, *column) for of, *column in zip(finite, low, scale, strict=True)]
        shared = max((int(np.bincount(of, minlength=1).max()) for of in cells), default=0)
        self._steps = [1 << bit for bit in reversed(range(shared.bit_length()))]
        # a missing value stands behind infinity; behind that, what the first step may look at
        room = max(self._steps, default=1)
        blocks = [np.append(of, np.full(room, np.nan)) for of in cuts.values()]
        *starts, self.size = np.cumsum([0, *map(len, blocks)]).tolist()
        self.starts = dict(zip(cuts, starts, strict=True))
        self._cuts = np.concatenate([*blocks, np.empty(0)])
        self._below = np.empty((len(cells), CELLS + 1), dtype=np.intp)
        for row, of, start, column in zip(self._below, cells, self.starts.values(), cuts.values(), strict=True):
            row[:CELLS] = start + np.searchsorted(of, np.arange(CELLS))
            row[CELLS] = start + len(column)
        self._offsets = np.arange(len(cells))[:, None] * (CELLS + 1)

    def places(self, matrix: np.ndarray) -> np.ndarray:
        """Places of a matrix (n, p), float64, intp (columns with thresholds, n): how many are smaller; NaN is last."""
        values = matrix.T[self._columns]
        cells = _cells(values, self._low, self._scale)
        cells += self._offsets
        places = self._below.take(cells)
        for step in self._steps:
            places += step * (values > self._cuts[step - 1 :].take(places))
        return places


def _cells(values: np.ndarray, low: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Cells 0 to CELLS - 1; CELLS for NaN. Rounded or not, a larger value never has a smaller one: so thresholds of
    other cells need no comparison."""
    with np.errstate(over="ignore"):
        cells = (values - low) * scale
    np.maximum(cells, 0, out=cells)
    np.minimum(cells, CELLS - 1, out=cells)
    return np.fmin(cells, CELLS, out=cells).astype(np.intp)
