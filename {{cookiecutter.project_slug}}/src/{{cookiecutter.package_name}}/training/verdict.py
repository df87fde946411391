"""What the gate said: its checks with stable codes, the figures behind them, and how they read as JSON and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..errors import Exit

Outcome = Literal["ok", "failed", "inconclusive", "not applicable"]
Said = Literal["PASS", "FAIL", "INCONCLUSIVE", "FIRST", "NOT RUN"]
EXITS: dict[Said, Exit] = {
    "PASS": Exit.OK,
    "FIRST": Exit.OK,
    "FAIL": Exit.SAID_NO,
    "INCONCLUSIVE": Exit.SAID_NO,
    "NOT RUN": Exit.UNAVAILABLE,
}
TITLES = {
    "GATE001": "metric against the champion",
    "GATE002": "floor: better than the naive baseline",
    "GATE003": "no slice is worse",
    "GATE004": "every prediction is a number",
    "GATE005": "size of the artefact",
    "GATE006": "latency",
    "GATE007": "no feature determines the target",
    "GATE008": "the two are different models",
    "GATE009": "the champion predicts the same with this lock",
}


@dataclass(frozen=True)
class Check:
    """One look of the gate: a stable code, how it went, and what was seen beside what was expected."""

    code: str
    outcome: Outcome
    said: str

    @property
    def title(self) -> str:
        return TITLES[self.code]


@dataclass(frozen=True)
class Slice:
    """One level of a grouping column: challenger minus champion there, None where there is no champion."""

    column: str
    level: str
    rows: int
    difference: float | None
    error: float | None
    outcome: Literal["ok", "worse", "too few rows", "not compared"]


@dataclass(frozen=True)
class GateReport:
    """The verdict on a challenger. ``metrics`` are of both on the same rows; ``rows_sha256`` is of those rows."""

    verdict: Said
    challenger: str
    champion: str | None
    metric: str
    tolerance: float
    rows: int
    rows_first: str
    rows_last: str
    rows_sha256: str
    checks: list[Check]
    metrics: dict[str, dict[str, float]]
    slices: list[Slice]
    proofs: dict[str, str]
    rows_needed: int | None = None
    reason: str = ""

    @property
    def exit(self) -> Exit:
        return EXITS[self.verdict]

    def brief(self) -> dict[str, Any]:
        """What the registry keeps beside the version."""
        return {
            "verdict": self.verdict,
            "champion": self.champion,
            "metric": self.metric,
            "tolerance": self.tolerance,
            "rows": self.rows,
            "rows_sha256": self.rows_sha256,
            "rows_needed": self.rows_needed,
            "window": [self.rows_first, self.rows_last],
            "checks": [asdict(check) | {"title": check.title} for check in self.checks],
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        return asdict(self) | self.brief() | {"exit": int(self.exit)}

    def markdown(self) -> str:
        """The same for a pull request: verdict, metrics side by side, checks, slices."""
        lines = [f"### Gate: {self.verdict}", ""]
        if self.reason:
            lines += [self.reason, ""]
        if self.metrics:
            against = f" against {self.champion}" if self.champion else ""
            lines += [
                f"{self.challenger}{against}, {self.rows:,} rows of {self.rows_first} to {self.rows_last}, "
                f"{self.metric} with a tolerance of {self.tolerance:g}.",
                "",
                *self._metrics_table(),
                "",
                *table(["check", "", ""], [(f"{c.code} {c.title}", c.outcome, c.said) for c in self.checks]),
                "",
            ]
        compared = [
            (f"{s.column}={s.level}", f"{s.rows:,}", f"{s.difference:+.4g}", f"{s.error:.2g}", s.outcome)
            for s in self.slices
            if s.difference is not None
        ]
        if compared:
            heads = ["slice", "rows", "difference", "±", ""]
            lines += [
                "<details><summary>Slices</summary>",
                "",
                *table(heads, compared, heads[1:4]),
                "",
                "</details>",
                "",
            ]
        return "\n".join(lines)

    def _metrics_table(self) -> list[str]:
        names = list(self.metrics)
        shared = [key for key in self.metrics[names[0]] if all(key in self.metrics[name] for name in names)]
        rows = [(key, *(f"{self.metrics[name][key]:.4f}" for name in names)) for key in shared]
        return table(["", *names], rows, names)


def cell(text: str) -> str:
    """Text that cannot leave its cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> list[str]:
    """A Markdown table; columns named in ``right`` are right-aligned."""
    lines = [heads, ["---:" if head in right else "---" for head in heads], *rows]
    return [f"| {' | '.join(cell(str(value)) for value in line)} |" for line in lines]


def not_run(challenger: str, champion: str | None, reason: str) -> GateReport:
    """Nothing was compared, and why. It satisfies no one who requires a pass."""
    return GateReport("NOT RUN", challenger, champion, "", 0.0, 0, "", "", "", [], {}, [], {}, reason=reason)
