"""Distributions for people: a column's day beside its reference, where something moved."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .reference import OTHER, ColumnReference, Reference
from .report import Finding, Shape
from .summary import Summary

MOST = 6
"""Pictures on a page: who has more to look at has one cause to look for."""


def shapes(findings: Sequence[Finding], reference: Reference, today: Summary | None) -> list[Shape]:
    """Of the columns with a page or a ticket, the one that is furthest out first."""
    if today is None:
        return []
    moved = [found for found in findings if found.outcome in ("page", "ticket") and found.table == reference.table]
    moved.sort(key=lambda found: -abs(found.z or 0.0))
    names = list(dict.fromkeys(found.column for found in moved if found.column in today.shares))[:MOST]
    columns = {column.name: column for column in reference.columns}
    return [
        Shape(
            column=name,
            unit=columns[name].unit,
            bins=_bins(columns[name]),
            today=[round(share, 4) for share in _all(columns[name], today.shares[name])],
            reference=[round(share, 4) for share in _all(columns[name], columns[name].shares)],
        )
        for name in names
        if name in columns
    ]


def _bins(column: ColumnReference) -> list[str]:
    if column.kind == "flag":
        return ["true", "false"]
    if column.kind != "number":
        return [*column.levels, OTHER] if column.kind == "category" else list(column.levels)
    edges = [f"{edge:,.4g}" for edge in column.edges]
    if not edges:
        return ["all"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *between, f"{edges[-1]} or more"]


def _all(column: ColumnReference, shares: Sequence[float]) -> list[float]:
    return [shares[0], 1 - shares[0]] if column.kind == "flag" else list(shares)
