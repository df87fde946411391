"""The request model of a version, built from the contract JSON that the version carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import PydanticCustomError

from ..spec import Column, ModelContract, expected
from .columnar import COLUMNAR, ColumnRows
from .intake import LONG, Intake

REASONS = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "greater_than": "range",
    "greater_than_equal": "range",
    "less_than": "range",
    "less_than_equal": "range",
    "finite_number": "range",
    "string_too_short": "range",
    "string_too_long": "range",
    "string_bytes": "range",
    "string_pattern_mismatch": "range",
    "literal_error": "not_allowed",
}
"""pydantic's error types in the six words the API and the proof speak; whatever else pydantic says is ``type``.
A version's proof records these words, so an update of pydantic cannot change what a refusal is called."""


LONGEST = 100
"""Characters of a field's name that are repeated: a name that nobody knows may be a megabyte long."""


@dataclass(frozen=True)
class Refusal:
    """Why one field of one row was refused. Never holds the value: it may be personal."""

    row: int
    field: str
    reason: str
    expected: str


class RequestRefused(Exception):
    """The body does not satisfy the contract; ``refusals`` names every field."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        first = refusals[0]
        more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
        super().__init__(f"{first.field or 'body'}: {first.reason}, expected {first.expected}{more}")
        self.refusals = list(refusals)


def _bytes_within(low: int, high: int | None) -> AfterValidator:
    """The table check counts the bytes of UTF-8, pydantic would count characters."""

    def check(text: str) -> str:
        size = len(text) if text.isascii() else len(text.encode())
        if size < low or (high is not None and size > high):
            raise PydanticCustomError("string_bytes", "text of another length")
        return text

    return AfterValidator(check)


def _annotation(column: Column) -> Any:
    if column.allowed is not None:
        base: Any = Literal[tuple(column.allowed)]  # pyrefly: ignore
    else:
        base = {"number": float, "integer": int, "flag": bool, "time": AwareDatetime, "category": str, "key": str}[
            column.kind
        ]
    limits = {
        "ge": column.minimum,
        "le": column.maximum,
        "gt": column.above,
        "lt": column.below,
        "min_length": column.min_length and 1,  # implied by as many bytes, and said in the OpenAPI document
        "max_length": column.max_length,
        "pattern": column.pattern,
    }
    limits = {key: value for key, value in limits.items() if value is not None}
    if column.kind == "number":
        limits["allow_inf_nan"] = False
    if column.min_length is not None or column.max_length is not None:
        return Annotated[base, Field(**limits), _bytes_within(column.min_length or 0, column.max_length)]
    return Annotated[base, Field(**limits)] if limits else base


class RequestModel:
    """Parses request bodies: one JSON object, or an array of them. Strict types, unknown fields forbidden.

    A nullable field may be left out, and is then null. A key identifies the row in logs; it may be left out too.
    """

    def __init__(self, contract: ModelContract) -> None:
        self.columns = {column.name: column for column in contract.columns}
        fields: dict[str, Any] = {}
        lists: dict[str, Any] = {}
        texts: dict[str, TypeAdapter[Any]] = {}
        for column in contract.columns:
            annotation = _annotation(column)
            optional = column.nullable or column.kind == "key"
            about = Field(
                default=None if optional else ...,
                description=column.meaning + (f", {column.unit}" if column.unit else ""),
                examples=None if column.example is None else [column.example],
            )
            whole = annotation | None if optional else annotation
            fields[column.name] = (whole, about)
            if column.pattern is not None:
                texts[column.name] = TypeAdapter(list[annotation])
            # a column's field in a body of columns, and what stands for one that was left out
            lists[column.name] = (list[whole] | None, None) if optional else (list[whole], ...)
        config = ConfigDict(extra="forbid", strict=True, title="Row", hide_input_in_errors=True)
        self.row: type[BaseModel] = create_model("Row", __config__=config, **fields)
        self._one = TypeAdapter(self.row)
        columns = create_model("Columns", __config__=config, **lists)
        self._columns = TypeAdapter(create_model("Columnar", __config__=config, columns=(columns, ...)))
        self._many = TypeAdapter(Annotated[list[self.row], Field(min_length=1)])
        self._intake = Intake(contract.columns, texts)

    def parse(self, body: bytes) -> Sequence[dict[str, Any]]:
        """The rows of a body, as plain dictionaries in contract order. Raises RequestRefused."""
        columnar, many = COLUMNAR.match(body), body.lstrip()[:1] == b"["
        if len(body) >= LONG and (columnar or many):
            taken = self._intake.columns(body) if columnar else self._intake.rows(body)
            if taken is not None:
                return taken
        if columnar:
            return self._parse_columns(body)
        try:
            rows = self._many.validate_json(body) if many else [self._one.validate_json(body)]
        except ValidationError as error:
            raise RequestRefused(
                [self._refusal(item, many) for item in error.errors(include_input=False, include_url=False)]
            ) from None
        return [row.__dict__ for row in rows]

    def _parse_columns(self, body: bytes) -> ColumnRows:
        try:
            given = self._columns.validate_json(body).__dict__["columns"].__dict__
        except ValidationError as error:
            raise RequestRefused(
                [self._column_refusal(item) for item in error.errors(include_input=False, include_url=False)]
            ) from None
        lengths = {name: len(values) for name, values in given.items() if values is not None}
        length = max(lengths.values(), default=0)
        if wrong := [name for name, found in lengths.items() if found != length] or ([""] if not length else []):
            asked = f"{length} values, as many as other columns have" if length else "at least one row"
            raise RequestRefused([Refusal(0, name, "type", asked) for name in wrong])
        columns = {name: values or [None] * length for name, values in given.items()}
        return ColumnRows(columns, length, sent_as_columns=True)

    def _column_refusal(self, error: Any) -> Refusal:
        """A place in columns, ``("columns", field, row)``, told as one in rows."""
        _, *where = error["loc"] or [""]
        row = where[1] if len(where) > 1 and isinstance(where[1], int) else 0
        return self._refusal({**error, "loc": [row, *where[:1]]}, many=True)

    def example(self) -> dict[str, Any]:
        """One row made of the contract's examples."""
        return {name: column.example for name, column in self.columns.items()}

    def _refusal(self, error: Any, many: bool) -> Refusal:
        where = list(error["loc"])
        row = where.pop(0) if many and where and isinstance(where[0], int) else 0
        field = str(where[0])[:LONGEST] if where else ""
        column = self.columns.get(field)
        if error["type"] == "json_invalid":
            return Refusal(row, "", "json", "a JSON object, or an array of objects")
        reason = REASONS.get(error["type"], "type")
        if column is None and reason == "unknown":
            return Refusal(row, field, reason, f"one of the fields {', '.join(self.columns)}")
        if column is None:
            return Refusal(row, field, reason, "a JSON object, or a non-empty array of objects")
        return Refusal(row, field, reason, expected(column))
