"""What a contract says, as plain data: the words ``contract.py`` is written in, and the JSON that travels with a model.

The dataframely schema is the source for tables. A model version carries :class:`ModelContract`, plain JSON made from
it, so that the server validates requests by the contract the version was trained under and imports neither
dataframely nor polars.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import dataframely as dy
    import polars as pl

Kind = Literal["number", "integer", "flag", "category", "time", "key"]
Task = Literal["regression", "classification"]
PRIMARY: dict[Task, str] = {"regression": "mae", "classification": "log_loss"}
"""The metric that stands for a model in a line, and what ``skill`` compares with the baseline's."""


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Column(_Plain):
    """One column: type, bounds, unit and meaning.

    ``typical`` bounds quantiles and so pins the unit: ``{0.5: (300, 6000)}`` says that the median lies between 300 and
    6000. ``allowed`` closes a category; an open one has ``unseen_share``, the share of values outside ``known`` above
    which a day is refused.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str | None = None
    example: float | str | bool | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: list[str] | None = None
    known: list[str] | None = None
    unseen_share: float | None = None
    typical: dict[float, tuple[float | None, float | None]] = {}


class TargetSpec(_Plain):
    """What a version predicts. ``threshold`` is the probability from which a classifier answers yes."""

    name: str
    task: Task
    meaning: str
    unit: str | None = None
    threshold: float = 0.5


class ModelContract(_Plain):
    """The contract of one model version: the columns a request has, and what comes back."""

    version: str
    table: str
    columns: list[Column]
    target: TargetSpec

    @property
    def features(self) -> list[Column]:
        """The columns a model may read: all but the keys."""
        return [column for column in self.columns if column.kind != "key"]


def expected(column: Column) -> str:
    """What the contract wants of a field, for people: ``number, 1 to 70000 g``."""
    words: list[str] = [
        {"time": "time with zone", "key": "text", "category": "text", "flag": "true or false"}.get(
            column.kind, column.kind
        )
    ]
    if column.allowed is not None:
        words = [f"one of {', '.join(column.allowed)}"]
    low = column.minimum if column.minimum is not None else column.above
    high = column.maximum if column.maximum is not None else column.below
    if low is not None and high is not None:
        words.append(f"{low:g} to {high:g}")
    elif low is not None:
        words.append(f"{low:g} or more")
    elif high is not None:
        words.append(f"{high:g} or less")
    if column.max_length is not None:
        words.append(f"{column.min_length or 0} to {column.max_length} bytes")
    text = ", ".join(words) + (f" {column.unit}" if column.unit and column.kind in ("number", "integer") else "")
    return text + (" or null" if column.nullable else "")


def about(
    meaning: str,
    *,
    unit: str | None = None,
    example: float | str | bool | None = None,
    typical: dict[float, tuple[float | None, float | None]] | None = None,
    known: list[str] | None = None,
    unseen_share: float | None = None,
) -> dict[str, Any]:
    """What dataframely has no word for, as a column's ``metadata=``. See :class:`Column` for the terms."""
    said = {"unit": unit, "example": example, "typical": typical, "known": known, "unseen_share": unseen_share}
    return {"meaning": meaning} | {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True)
class Table:
    """One upstream table, delivered as one partition a day.

    ``time`` names the column whose UTC day is the partition's; None for a table without one. ``tolerated`` maps a rule
    (``"weight_g|max"``, or the name of a ``@dy.rule``) to the share of rows that may break it: those rows are set aside
    and counted. Every other broken rule refuses the day.
    """

    name: str
    schema: type[dy.Schema]
    time: str | None = None
    tolerated: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Something to predict: ``value`` computes it from a labelled row, null where it is not known yet."""

    value: pl.Expr
    task: Task
    meaning: str
    unit: str | None = None


@dataclass(frozen=True)
class Contract:
    """Everything upstream has promised.

    ``labels`` is the table the labels arrive in, joined on its primary key, complete ``labels_complete_after`` days
    after a row's own day; or, where the label stands in the same table, the names of its label columns. Label columns
    are never part of a request.
    """

    version: str
    rows: Table
    labels: Table | tuple[str, ...]
    targets: dict[str, Target]
    labels_complete_after: int = 0

    @property
    def tables(self) -> dict[str, Table]:
        tables = [self.rows, self.labels] if isinstance(self.labels, Table) else [self.rows]
        return {table.name: table for table in tables}
