"""What a refusal says: one violation a broken promise, the unit that may explain it, and the error that carries all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from ..errors import Exit, ProjectError
from ..spec import Column

FACTORS = {
    1000.0: "a factor of 1000",
    100.0: "a factor of 100",
    60.0: "a factor of 60",
    24.0: "a factor of 24",
    3600.0: "a factor of 3600",
    2.2046: "pounds and kilograms",
    1.609344: "miles and kilometres",
}
UNITS = {
    ("g", 1000.0): "kilograms as grams",
    ("kg", 0.001): "grams as kilograms",
    ("km", 0.001): "metres as kilometres",
    ("h", 1 / 60): "minutes as hours",
    ("h", 24.0): "days as hours",
    ("d", 1 / 24): "hours as days",
}


@dataclass(frozen=True)
class Violation:
    """One broken rule of one column (or of the whole table, column ``""``)."""

    column: str
    rule: str
    expected: str
    observed: str
    rows: int
    hint: str | None = None
    stale: bool = False
    """Whether it says that the delivery is another day's."""

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        count = f" in {self.rows} rows" if self.rows else ""
        return f"{where}{self.rule}{count}: expected {self.expected}, observed {self.observed}" + (
            f" ({self.hint})" if self.hint else ""
        )


class ContractViolated(ProjectError):
    """The data are refused as a whole; ``violations`` has every reason."""

    def __init__(self, table: str, partition: str, version: str, rows: int, violations: list[Violation]) -> None:
        listing = "\n".join(f"  {violation}" for violation in violations)
        super().__init__(
            f"{table} {partition} breaks contract version {version} ({rows} rows):\n{listing}", exit=Exit.REFUSED
        )
        self.table, self.partition, self.version, self.rows, self.violations = (
            table,
            partition,
            version,
            rows,
            violations,
        )

    @property
    def stale(self) -> bool:
        """Whether the delivery is that of another day again."""
        return any(violation.stale for violation in self.violations)

    def report(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "partition": self.partition,
            "contract_version": self.version,
            "rows": self.rows,
            "violations": [asdict(violation) for violation in self.violations],
        }


def likely_unit(values: pl.Series, column: Column) -> str | None:
    """The conversion that would bring every bounded quantile back into its bounds, if there is one."""
    seen = {q: float(values.quantile(q, "linear") or 0.0) for q in column.typical}
    for factor, words in FACTORS.items():
        for scale in (factor, 1 / factor):
            inside = all(
                (low is None or seen[q] * scale >= low) and (high is None or seen[q] * scale <= high)
                for q, (low, high) in column.typical.items()
            )
            if inside:
                known = next(
                    (text for (unit, s), text in UNITS.items() if unit == column.unit and abs(s / scale - 1) < 1e-6),
                    None,
                )
                return f"{known or words}? {seen[min(seen, key=lambda q: abs(q - 0.5))]:g} × {scale:g} would fit"
    return None
