"""What other days than the one that was asked for still want, in words."""

from __future__ import annotations

from .day import Day

UNDONE = {
    "refused": "was refused by the contract",
    "late": "was not there by its deadline",
    "no": "got a no from a check",
    "failed": "failed",
    "killed": "was killed",
}
"""How a day that is still to be done is called among the others."""


def days(before: list[Day]) -> list[str]:
    """Days before the one that was asked for that are still open, with what to type."""
    said = []
    gaps = [day.date for day in before if day.state == "not run"]
    if gaps:
        were = "1 day was" if len(gaps) == 1 else f"{len(gaps)} days were"
        listed = ", ".join(str(day) for day in gaps)
        said.append(f"{were} never run: {listed}: ml backfill --from {gaps[0]} --to {gaps[-1]}")
    waiting = [day.date for day in before if day.state == "unscored"]
    if waiting:
        many = "1 day waits" if len(waiting) == 1 else f"{len(waiting)} days wait"
        said.append(f"{many} for a champion: when there is one, ml backfill --from {waiting[0]} --to {waiting[-1]}")
    for day in before:
        if day.attempt and day.state == "running":
            said.append(
                f"{day.date} is being run, since {day.attempt.started:%Y-%m-%d %H:%M} UTC on {day.attempt.host}"
            )
        elif day.state in UNDONE and not day.complete:
            said.append(f"{day.date} {UNDONE[day.state]}: ml run --date {day.date}")
    return said


def challengers(told: list[Day], ever: set[str]) -> list[str]:
    """The newest version that an earlier day trained, where it still waits for a person."""
    for day in reversed(told):
        if (made := day.challenger) is not None:
            waits = any(check.code == "TRAIN003" for check in made.checks) and made.facts["version"] not in ever
            if not waits or day is told[-1]:  # the day's own is among its actions
                return []
            version = made.facts["version"]
            return [
                f"{day.date} trained {version}, and the gate passed it; it waits for a person: ml promote {version}"
            ]
    return []
