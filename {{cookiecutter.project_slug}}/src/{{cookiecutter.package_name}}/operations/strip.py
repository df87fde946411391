"""Many days at a glance: one sign a day, and a line for each."""

from __future__ import annotations

from collections.abc import Sequence

from .day import Day, State, duration

SIGNS: dict[State, tuple[str, str]] = {
    "ok": (".", "fine"),
    "unscored": ("o", "in, and no champion yet to score it"),
    "acknowledged": ("A", "not fine, and somebody has answered for it"),
    "paged": ("P", "done, and it asks somebody in"),
    "refused": ("R", "refused by the contract"),
    "late": ("L", "not there by the deadline"),
    "no": ("N", "a check said no"),
    "failed": ("F", "failed"),
    "killed": ("K", "killed on its way"),
    "not run": ("-", "never run"),
    "unreadable": ("?", "its record cannot be read"),
    "running": (">", "being run"),
    "waiting": ("w", "not there yet, before the deadline"),
    "not due": ("_", "not due yet"),
}
"""What stands for a state where there is no colour, and what it means."""
A_ROW = 14


def colour(day: Day) -> str:
    return "green" if day.state == "ok" else "yellow" if day.fine else "red"


def strip(days: Sequence[Day]) -> list[list[tuple[str, str]]]:
    """Lines of (text, style): initials of the weekdays, days of the month, signs; two weeks in a row."""
    lines: list[list[tuple[str, str]]] = []
    for begin in range(0, len(days), A_ROW):
        part = days[begin : begin + A_ROW]
        label = f"  {part[0].date:%Y-%m-%d}"
        lines += [
            [(" " * len(label), ""), *((f"{day.date:%a}"[:1].rjust(4), "dim") for day in part)],
            [(label, "dim"), *((f"{day.date.day:>4}", "dim") for day in part)],
            [(" " * len(label), ""), *((SIGNS[day.state][0].rjust(4), f"bold {colour(day)}") for day in part)],
        ]
    return lines


def legend(days: Sequence[Day]) -> str:
    """What the signs mean that these days have."""
    seen = {day.state for day in days}
    return ", ".join(f"{sign} {meaning}" for state, (sign, meaning) in SIGNS.items() if state in seen)


HEADS = ("day", "", "", "rows", "against normal", "scored", "by", "took")
RIGHT = ("rows", "against normal", "scored", "took")


def table(days: Sequence[Day]) -> list[list[str]]:
    """A row a day under ``HEADS``, the newest first."""
    return [
        [
            f"{day.date:%a %Y-%m-%d}",
            SIGNS[day.state][0],
            day.state,
            number(day.rows),
            f"{day.deviation:+.1%}" if day.deviation is not None else "",
            number(day.scored),
            day.version or "",
            duration(day.seconds) if day.seconds is not None else "",
        ]
        for day in reversed(days)
    ]


def number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
