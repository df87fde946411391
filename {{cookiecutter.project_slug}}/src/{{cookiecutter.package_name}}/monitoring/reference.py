"""What a table normally looks like, as plain JSON: what every day is measured with, and slow drift is told by."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["number", "category", "flag", "time"]
OTHER = "(other)"
BLOCKS = ["00-06", "06-12", "12-18", "18-24"]
"""Hours UTC. Shares of four blocks know no midnight, which a mean time of day does."""


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnReference(_Plain):
    """One column. Of a number: ``points`` and the normal score of each, those between by line, those beyond cut off."""

    name: str
    kind: Kind
    unit: str | None = None
    nullable: bool = False
    nulls: float = 0.0
    """Share of values that are null."""
    points: list[float] = []
    scores: list[float] = []
    beyond: tuple[float, float] = (-1.0, 1.0)
    """The scores of everything below the lowest point and above the highest, infinities too."""
    kurtosis: float = 3.0
    """Of the scores; 3 for a normal distribution. It says how surely a day's spread is known."""
    edges: list[float] = []
    """Between the bins that people are shown."""
    levels: list[str] = []
    """The most frequent ones; what is none of them is counted as ``(other)``."""
    shares: list[float] = []
    """Of the bins of a number, of the levels and ``(other)``, of the blocks of a day, of true."""


class Reference(_Plain):
    """One table, or the predictions of one model: then ``model`` is its name."""

    table: str
    columns: list[ColumnReference]
    rows: Annotated[int, Field(ge=0)]
    """How many it was learned from."""
    predictions: bool = False

    @property
    def digest(self) -> str:
        """Summaries made with another reference are no use beside those made with this one."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
