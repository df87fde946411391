"""`ml backfill`: a range ends as its days would one by one; it skips what is done and goes on after a failure."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from {{cookiecutter.package_name}} import clock, sample_upstream
from {{cookiecutter.package_name}}.operations import backfill as module
from {{cookiecutter.package_name}}.operations.attempt import Run

from conftest import LAST, Project

DAYS = [LAST + timedelta(days=n) for n in range(1, 6)]
RANGE = ("backfill", "--from", str(DAYS[0]), "--to", str(DAYS[-1]))
TIMES = {"started", "ended", "pid"}


def ledger(project: Project) -> dict[str, Any]:
    """Every record, without times."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(item) for key, item in value.items() if key not in TIMES}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    files = (project.paths.root / "var" / "ledger" / "daily").glob("*.json")
    return {path.stem: timeless(json.loads(path.read_text("utf-8"))) for path in files}


def attempts(project: Project) -> dict[str, list[str]]:
    return {day: [attempt["outcome"] for attempt in record["attempts"]] for day, record in ledger(project).items()}


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_a_range_ends_as_its_days_one_by_one(jobs: str, promoted: Project, tmp_path: Any) -> None:
    """With a refused day, one that repeats the day before it, and one with few rows among them."""
    for project in (single := promoted.copy(tmp_path / "single"), promoted):
        project.drop("parcels", DAYS[1], sample_upstream.table("parcels", DAYS[1]).drop("depot"))
        project.drop("parcels", DAYS[3], sample_upstream.table("parcels", DAYS[2]))
        project.drop("parcels", DAYS[4], sample_upstream.table("parcels", DAYS[4]).head(100))
    for day in DAYS:
        single.ml("run", "--date", str(day))
    assert promoted.ml(*RANGE, "--jobs", jobs).code == 3
    assert promoted.tree() == single.tree()
    assert ledger(promoted) == ledger(single)
    assert [attempts(promoted)[str(day)] for day in DAYS] == [["ok"], ["refused"], ["ok"], ["refused"], ["ok"]]


def test_what_is_done_is_skipped_and_a_failure_is_taken_up_again(promoted: Project) -> None:
    promoted.drop("parcels", DAYS[2], sample_upstream.table("parcels", DAYS[2]).drop("depot"))
    ran = promoted.ml(*RANGE)
    assert ran.code == 3 and f"{DAYS[2]}" in ran.out and "1 not fine" in ran.out
    promoted.drop("parcels", DAYS[2], sample_upstream.table("parcels", DAYS[2]))
    again = promoted.ml(*RANGE)
    assert again.code == 0 and "1 run, 4 done before" in again.out
    assert [attempts(promoted)[str(day)] for day in DAYS] == [["ok"], ["ok"], ["refused", "ok"], ["ok"], ["ok"]]
    assert "0 run, 5 done before" in promoted.ml(*RANGE).out


def test_force_runs_all_again_and_changes_nothing(promoted: Project) -> None:
    assert promoted.ml(*RANGE).code == 0
    before = promoted.tree()
    ran = promoted.ml(*RANGE, "--force", "--json")
    assert ran.code == 0 and len(ran.json["ran"]) == 5 and ran.json["done_before"] == []
    assert promoted.tree() == before
    assert all(outcomes == ["ok", "ok"] for outcomes in attempts(promoted).values())


def test_days_that_waited_for_a_champion_are_not_done(trained: Project) -> None:
    assert trained.ml(*RANGE).code == 0
    assert not (trained.paths.root / "data" / "predictions").exists()
    assert trained.overrule("1").code == 0
    assert "5 run, 0 done before" in trained.ml(*RANGE).out
    assert len(list((trained.paths.root / "data" / "predictions" / "hours").glob("*.json"))) == 5


def test_broken_off_it_goes_on_where_it_was(promoted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    end = Run.end

    def interrupt(self: Run) -> Any:
        if self._day == DAYS[2]:
            raise KeyboardInterrupt
        return end(self)

    monkeypatch.setattr(Run, "end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        module.backfill(DAYS[0], DAYS[-1], promoted.paths, clock=clock.now, jobs=2)
    monkeypatch.setattr(Run, "end", end)
    assert "3 run, 2 done before" in promoted.ml(*RANGE).out
    assert attempts(promoted)[str(DAYS[2])] == ["interrupted", "ok"]


def test_a_registry_that_does_not_answer_stops_it(promoted: Project) -> None:
    database = promoted.paths.registry / "mlflow.db"
    database.rename(database.with_name("elsewhere.db"))
    ran = promoted.ml(*RANGE)
    assert ran.code == 4 and f"stopped at {DAYS[0]}" in ran.out
    assert set(attempts(promoted)) == {str(DAYS[0])}
    database.with_name("elsewhere.db").rename(database)
    assert promoted.ml(*RANGE).code == 0


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-06-05", "2026-06-03", "the wrong way round"),
        ("2026-06-05", "2150-06-03", "is in the future"),
        ("2026-06-05", "yesterday", "does not match"),
    ],
)
def test_a_range_that_is_none_touches_nothing(first: str, last: str, said: str, with_day: Project) -> None:
    before = with_day.tree(".")
    ran = with_day.ml("backfill", "--from", first, "--to", last)
    assert ran.code == 2 and said in ran.err
    assert with_day.tree(".") == before


def test_a_record_that_cannot_be_read_is_told_before_anything_runs(promoted: Project) -> None:
    assert promoted.ml("run", "--date", str(DAYS[1])).code == 1, "the day before lacks, and with it labels"
    path = promoted.paths.root / "var" / "ledger" / "daily" / f"{DAYS[1]}.json"
    path.write_text("{", "utf-8")
    before = promoted.tree(".")
    ran = promoted.ml(*RANGE)
    assert ran.code == 2 and f"{DAYS[1]}.json is no record" in ran.err
    assert promoted.tree(".") == before


def test_it_reads_no_more_days_ahead_than_it_is_told(promoted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[date] = []
    look, began = module.examine, []

    def examine(table: Any, day: date, *arguments: Any) -> Any:
        examined.append(day)
        return look(table, day, *arguments)

    monkeypatch.setattr(module, "examine", examine)
    begin = Run.__init__

    def init(self: Run, ledger: Any, day: date, *arguments: Any) -> None:
        began.append((day, max(examined) - day))
        begin(self, ledger, day, *arguments)

    monkeypatch.setattr(Run, "__init__", init)
    assert promoted.ml(*RANGE, "--jobs", "2").code == 0
    assert [day for day, _ in began] == DAYS
    assert max(ahead for _, ahead in began) <= timedelta(days=2)
