"""What the daily run trains by itself: when it is due, what it may promote, and that a day trains once."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.operations import daily
from {{cookiecutter.package_name}}.operations.ledger import (
    Attempt,
    Ledger,
    Record,
    Said,
    Step,
)

from conftest import LAST, Project

D = LAST + timedelta(days=1)
"""A Wednesday."""
RUN = ("run", "--date", str(D))
NEVER = "when: never         # never, weekly, on_drift\n  weekday: monday     # for weekly\n  config: configs/v1.yaml"


def policy(project: Project, when: str, promotion: str = "automatic", weekday: str = "wednesday") -> None:
    project.edit("operations.yaml", NEVER, f"when: {when}\n  weekday: {weekday}\n  config: configs/hours.yaml")
    project.edit("operations.yaml", "promotion: by_person", f"promotion: {promotion}")
    # two models of ten trees differ by more than the 0.1 h of the fixture's gate; what matters here is that it is asked
    project.edit("configs/hours.yaml", "tolerance: 0.1", "tolerance: 2.0")


def retrain(project: Project, attempt: int = -1, day: date = D) -> dict[str, Any]:
    record = json.loads((project.paths.root / "var" / "ledger" / "daily" / f"{day}.json").read_text("utf-8"))
    return next(step for step in record["attempts"][attempt]["steps"] if step["name"] == "retrain")


def versions(project: Project) -> list[str]:
    return [item["version"] for item in project.ml("versions", "--json").json["versions"]]


def champion(project: Project) -> str:
    return next(item["version"] for item in project.ml("versions", "--json").json["versions"] if item["champion"])


@pytest.mark.slow
def test_weekly_trains_gates_and_promotes_once(promoted: Project) -> None:
    policy(promoted, "weekly")
    assert promoted.ml(*RUN).code == 0
    said = retrain(promoted)
    assert said["facts"] == {"why": "every wednesday", "version": "hours/2", "gate": "PASS", "promoted": True}
    assert champion(promoted) == "hours/2"
    move = promoted.ml("versions", "--json").json["history"][-1]
    assert move["why"] == f"ml run {D}: every wednesday" and move["gate"] == "PASS"
    once = promoted.tree("data")
    assert promoted.ml(*RUN).code == 0
    assert "already" in retrain(promoted)["said"]
    assert versions(promoted) == ["hours/2", "hours/1"], "run again, the day trains nothing"
    assert promoted.ml("score", "--date", str(D), "--json").json["model_version"] == "hours/1"
    assert promoted.tree("data") == once, "and what it promoted does not score it"
    assert promoted.ml("rollback", "--reason", "wrong for the harbour").code == 0
    assert promoted.ml(*RUN).code == 0
    assert champion(promoted) == "hours/1", "what a person took back stays back"
    assert "moved on to hours/1" in retrain(promoted)["said"] and promoted.tree("data") == once


def test_a_champion_that_has_seen_later_days_is_not_replaced_by_an_older_one(promoted: Project) -> None:
    policy(promoted, "weekly")
    assert promoted.ml("run", "--date", str(LAST - timedelta(days=6))).code == 0
    said = retrain(promoted, day=LAST - timedelta(days=6))
    assert said["outcome"] == "not due" and f"hours/1 knows the labels until {LAST}" in said["said"]
    assert versions(promoted) == ["hours/1"]


@pytest.mark.slow
def test_a_challenger_waits_for_a_person_and_is_not_trained_again(promoted: Project) -> None:
    policy(promoted, "weekly", promotion="by_person")
    assert promoted.ml(*RUN).code == 0
    said = retrain(promoted)
    assert [(check["code"], check["tier"]) for check in said["checks"]] == [("TRAIN003", "ticket")]
    assert champion(promoted) == "hours/1"
    assert promoted.ml(*RUN).code == 0
    assert versions(promoted) == ["hours/2", "hours/1"]
    after = D + timedelta(days=1)
    assert promoted.ml("run", "--date", str(after)).code == 0
    waits = f"{D} trained hours/2, and the gate passed it; it waits for a person"
    assert waits in promoted.ml("status", "--date", str(after)).out
    assert "TRAIN003" in promoted.ml("status", "--date", str(D)).out
    assert promoted.ml("promote", "2").code == 0, "the gate's word stands beside the version"
    assert waits not in promoted.ml("status", "--date", str(after)).out
    assert "TRAIN003" not in promoted.ml("status", "--date", str(D)).out


@pytest.mark.slow
def test_what_the_gate_refuses_is_not_promoted(promoted: Project) -> None:
    policy(promoted, "weekly")
    promoted.edit("configs/hours.yaml", "tolerance: 2.0", "tolerance: 2.0, minimum_skill: 0.95")
    assert promoted.ml(*RUN).code == 0
    said = retrain(promoted)
    assert said["facts"]["gate"] == "FAIL" and not said["facts"]["promoted"]
    assert [check["code"] for check in said["checks"]] == ["TRAIN002"] and "floor" in said["checks"][0]["said"]
    assert champion(promoted) == "hours/1"


def test_another_weekday_trains_nothing(promoted: Project) -> None:
    policy(promoted, "weekly", weekday="thursday")
    assert promoted.ml(*RUN).code == 0
    assert retrain(promoted)["outcome"] == "not due" and versions(promoted) == ["hours/1"]


def test_a_training_that_lacks_days_is_said_and_the_day_stays_scored(promoted: Project) -> None:
    policy(promoted, "weekly")
    (promoted.partitions / "parcels" / "2026-05-20.json").unlink()
    assert promoted.ml(*RUN).code == 4
    said = retrain(promoted)
    assert said["outcome"] == "late" and "parcels 2026-05-20" in said["said"]
    assert (promoted.paths.root / "data" / "predictions" / "hours" / f"{D}.json").exists()


MISNAMED = {
    "no such file": ("configs/hours.yaml", "configs/none.yaml", "no configuration at"),
    "another model": ("configs/hours.yaml", "configs/late.yaml", "which makes late; the model that serves"),
}


@pytest.mark.parametrize("case", MISNAMED)
def test_a_policy_that_cannot_work_is_refused_before_anything_is_touched(case: str, promoted: Project) -> None:
    policy(promoted, "weekly")
    old, new, said = MISNAMED[case]
    promoted.edit("operations.yaml", old, new)
    before = promoted.tree(".")
    ran = promoted.ml(*RUN)
    assert ran.code == 2 and said in ran.err
    assert promoted.tree(".") == before


def drifted(project: Project, *back: int, code: str = "DRIFT001", trained: bool = False) -> None:
    """Records of days before D, on which the monitor saw drift."""
    ledger = Ledger(project.paths, load_operations(project.paths.operations))
    moment = datetime(2026, 6, 4, 6, tzinfo=UTC)
    for n in back:
        monitor = Step(
            name="monitor", started=moment, outcome="no", checks=[Said(code=code, tier="page", said="moved")]
        )
        facts = {"version": "hours/1"} if trained else {}
        steps = [monitor, Step(name="retrain", started=moment, outcome="ok", facts=facts)]
        attempt = Attempt(
            attempt=1, started=moment, outcome="no", exit=1, git_commit="none", git_dirty=False, lock_sha256="0",
            host="here", pid=1, user="somebody", steps=steps,
        )  # fmt: skip
        ledger.write(Record(date=D - timedelta(days=n), attempts=[attempt]))


CASES = {
    "today and one of the four days before": ((3,), True, False, True),
    "not today": ((1, 2, 3), False, False, False),
    "today alone": ((), True, False, False),
    "too long ago": ((5, 6), True, False, False),
    "trained this week": ((1, 2), True, True, False),
}


@pytest.mark.parametrize("case", CASES)
def test_on_drift_wants_two_of_five_days_and_the_latest(
    case: str, promoted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, today, trained, due = CASES[case]
    policy(promoted, "on_drift")
    drifted(promoted, *back, trained=trained)
    watched = daily._monitor

    def monitor(job: Any, **options: Any) -> None:
        watched(job, **options)
        if today:
            job.run.attempt.steps[-1].checks.append(Said(code="PERF001", tier="page", said="worse"))

    monkeypatch.setattr(daily, "_monitor", monitor)
    monkeypatch.setattr(daily.retraining, "retrain", lambda step, job: step.facts.update(
        why=daily.retraining.due(job.day, job.operations, job.run)
    ))  # fmt: skip
    promoted.ml(*RUN)
    assert (retrain(promoted)["facts"].get("why") is not None) == due
