"""dataframely schema → plain columns: what a contract says, in the form that reports, requests and models carry."""

from __future__ import annotations

from typing import Any

import dataframely as dy

from ..errors import ProjectError
from ..spec import Column, Contract, Kind, ModelContract, Table, TargetSpec

KINDS: list[tuple[type[dy.Column], Kind]] = [
    (dy.Bool, "flag"),
    (dy.Integer, "integer"),
    (dy.Float, "number"),
    (dy.Float32, "number"),
    (dy.Float64, "number"),
    (dy.Enum, "category"),
    (dy.String, "category"),
    (dy.Datetime, "time"),
]
BOUNDS = {"minimum": "min", "maximum": "max", "above": "min_exclusive", "below": "max_exclusive"}
INTEGERS = (dy.Int8, dy.Int16, dy.Int32, dy.Int64, dy.UInt8, dy.UInt16, dy.UInt32, dy.UInt64)


def _kind(table: str, name: str, column: dy.Column) -> Kind:
    if column.primary_key and isinstance(column, dy.String):
        return "key"
    if isinstance(column, INTEGERS):
        return "integer"
    for cls, kind in KINDS:
        if isinstance(column, cls):
            if kind == "time" and str(getattr(column, "time_zone", None)) != "UTC":
                raise ProjectError(
                    f"contract.py: {table}.{name} is a time without zone",
                    hint='declare it as dy.Datetime(time_zone="UTC", …); a time that may mean two moments is no fact',
                )
            return kind
    raise ProjectError(
        f"contract.py: {table}.{name} is a {type(column).__name__}, which has no place in a model",
        hint="use Float64, an integer, Bool, String, Enum or Datetime, or leave the column out of the contract",
    )


def describe(table: Table) -> list[Column]:
    """The table's columns as plain data. Raises ProjectError for a type or a bound that a request could not carry."""
    columns = []
    for name, column in table.schema.columns().items():
        said = dict(column.metadata or {})
        kind = _kind(table.name, name, column)
        if getattr(column, "check", None) is not None:
            raise ProjectError(
                f"contract.py: {table.name}.{name} has a check=, which a request cannot carry",
                hint="use min/max/Enum/regex, or a @dy.rule for what concerns whole rows",
            )
        if getattr(column, "allow_nan", False) or getattr(column, "allow_inf", False):
            raise ProjectError(
                f"contract.py: {table.name}.{name} allows NaN or infinity, which JSON cannot carry",
                hint="declare it nullable=True and let upstream write null",
            )
        bounds: dict[str, Any] = {key: getattr(column, name_there, None) for key, name_there in BOUNDS.items()}
        bounds = {key: bound for key, bound in bounds.items() if bound is not None}
        if kind == "time" and bounds:
            raise ProjectError(
                f"contract.py: {table.name}.{name}: bounds on times are not supported", hint="use a @dy.rule"
            )
        columns.append(
            Column(
                name=name,
                kind=kind,
                meaning=said.pop("meaning", column.description or name.replace("_", " ")),
                nullable=column.nullable,
                min_length=getattr(column, "min_length", None),
                max_length=getattr(column, "max_length", None),
                pattern=getattr(column, "regex", None),
                allowed=[str(level) for level in column.categories] if isinstance(column, dy.Enum) else None,
                **bounds,
                **said,
            )
        )
    return columns


def request_columns(contract: Contract) -> list[Column]:
    """The columns that a request has: the rows table without its labels."""
    hidden = contract.labels if isinstance(contract.labels, tuple) else ()
    return [column for column in describe(contract.rows) if column.name not in hidden]


def model_contract(contract: Contract, target: str, threshold: float) -> ModelContract:
    """The part of the contract that travels with a version that predicts ``target``."""
    wanted = contract.targets[target]
    return ModelContract(
        version=contract.version,
        table=contract.rows.name,
        columns=request_columns(contract),
        target=TargetSpec(name=target, task=wanted.task, meaning=wanted.meaning, unit=wanted.unit, threshold=threshold),
    )
