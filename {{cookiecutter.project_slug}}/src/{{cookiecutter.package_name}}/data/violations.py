"""What a refusal says: one violation a broken promise, and the error that carries all of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import Exit, ProjectError


@dataclass(frozen=True)
class Violation:
    """One broken rule of one column (or of the whole table, column ``""``)."""

    column: str
    rule: str
    expected: str
    observed: str
    rows: int
    hint: str | None = None

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

    def report(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "partition": self.partition,
            "contract_version": self.version,
            "rows": self.rows,
            "violations": [asdict(violation) for violation in self.violations],
        }
