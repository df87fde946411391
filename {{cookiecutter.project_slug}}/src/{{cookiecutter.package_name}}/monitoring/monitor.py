"""One monitor: a figure a day, the scale on which days are compared, and how much of a change matters to anybody."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Scale = Literal["sigma", "spread", "nulls", "share", "plain"]
"""What a value is, and what people read: ``sigma``: mean of normal scores, in sds of the reference. ``spread``: log of
their sd; % of the reference's. ``nulls``: root of a share; %. ``share``: arcsine of the root of a share; %. ``plain``:
what people read, in a unit of its own. Roots and arcsines make the noise of a share the same whatever the share is."""
FLOORS: dict[Scale, float] = {"sigma": 0.1, "spread": 10.0, "nulls": 1.0, "share": 3.0, "plain": 0.0}
"""Changes below this page nobody however certain they are: σ, % of the spread, points of nulls, points of share."""
SLOW: dict[Scale, float] = {"sigma": 0.25, "spread": 25.0, "nulls": 2.0, "share": 5.0}
"""From here on four weeks together have left the reference behind: a ticket."""


@dataclass(frozen=True)
class Monitor:
    """What is watched. ``floor`` is in people's unit; ``worse`` says that only a rise matters."""

    name: str
    """Stable, see :class:`.report.Finding`."""
    code: str
    table: str
    measure: str
    scale: Scale
    column: str | None = None
    unit: str | None = None
    slice: str | None = None
    floor: float | None = None
    worse: bool = False
    slow: bool = False
    """Whether it is held against the reference, too."""

    @property
    def shown_unit(self) -> str | None:
        return {"sigma": "σ", "plain": self.unit}.get(self.scale, "%")

    def shown(self, values: np.ndarray) -> np.ndarray:
        """Values as people read them."""
        if self.scale == "spread":
            return 100 * np.exp(np.minimum(values, 50))
        if self.scale == "nulls":
            return 100 * np.clip(values, 0, 1) ** 2
        if self.scale == "share":
            return 100 * np.sin(np.clip(values, 0, math.pi / 2)) ** 2
        return values

    def material(self, values: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Whether the deviations are large enough to matter, and on the side that matters."""
        low, high = self.around(expected)
        shown = self.shown(values)
        with np.errstate(invalid="ignore"):
            return (shown >= high) | ((shown <= low) & (not self.worse))

    def around(self, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is expected less and plus what does not matter, as people read it."""
        floor = FLOORS[self.scale] if self.floor is None else self.floor
        shown = self.shown(expected)
        if self.scale == "spread":
            return shown / (1 + floor / 100), shown * (1 + floor / 100)
        return shown - floor, shown + floor

    def slowly(self, value: float, reference: float) -> bool:
        """Whether the mean of four weeks has left the reference behind."""
        if self.scale == "spread":
            return abs(value - reference) > math.log1p(SLOW["spread"] / 100)
        shown = self.shown(np.array([value, reference]))
        return bool(abs(shown[0] - shown[1]) > SLOW[self.scale])

    def told(self, shown: float) -> str:
        """A figure in words: ``5.3%``, ``+0.42 σ``, ``7.31 h``."""
        if self.scale == "sigma":
            return f"{shown:+.2f} σ"
        if self.shown_unit == "%":
            return f"{shown:.1f}%" if shown < 99.95 or self.scale != "spread" else f"{shown:.0f}%"
        return f"{shown:.3g}{f' {self.unit}' if self.unit else ''}"


@dataclass(frozen=True)
class Observed:
    """A day's value of a monitor on its scale, and its sampling sd; ``value`` is NaN where it cannot be said."""

    value: float
    sd: float = 0.0
    words: str = ""
    """What people know the figure by: ``median 1,850 g``."""


def arcsine(share: float) -> float:
    """A share on the scale ``share``."""
    return math.asin(math.sqrt(min(max(share, 0.0), 1.0)))


def sd_of_root(share: float, n: int) -> float:
    """Sampling sd of the root of a share, or its arcsine: 0.5/√n, and more where few rows are what is counted.

    Where 6 are expected none is 2.8 sds away, as it comes in one day of 400; 0.5/√n would make 4.9 of it, a page.
    """
    few = min(share, 1 - share) * n
    return (0.5 + 0.185 / math.sqrt(max(few, 0.0) + 0.25)) / math.sqrt(n)
