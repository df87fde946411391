"""Did the day go fine? Every state that a record can be in, what is said of it, and that it costs next to nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from records import attempt, broken, fine, killed, normal, said, steps, write

from {{cookiecutter.package_name}} import clock

from conftest import LAST, Project

PACKAGE = "{{cookiecutter.package_name}}"
DAY = date(2026, 6, 1)
BEFORE = datetime(2026, 6, 2, 8, 59, tzinfo=UTC)
AFTER = datetime(2026, 6, 2, 9, 0, tzinfo=UTC)
HEAVY = ("mlflow", "pandas", "polars", "sklearn", "dataframely", "matplotlib", "fastapi", "numpy", "scipy", "httpx")
HEAVY += ("apprise", "requests", "filelock")


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    it_is(AFTER, monkeypatch)


def it_is(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def line(out: str, name: str) -> str:
    """What stands beside a name."""
    return next(line for line in out.splitlines() if line.startswith(f"  {name} ")).removeprefix(f"  {name}").strip()


def test_a_day_that_went_fine_says_so_first(project: Project) -> None:
    fine(project, DAY)
    ran = project.ml("status")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "OK  2026-06-01: 2,013 rows scored by hours/3"
    assert line(ran.out, "arrived") == "parcels 2,013 rows, deliveries 1,981 rows"
    assert line(ran.out, "rows") == "2,013, +1.7% against a Monday's normal of 1,980 (1,703 to 2,257)"
    assert "mae 7.21 (baseline 11.42, 37% better)" in line(ran.out, "labels")
    assert line(ran.out, "model") == "hours/3, 4 days old: trained on labels until 2026-05-28"
    assert line(ran.out, "drift") == "not watched"
    assert line(ran.out, "alerts") == "none; nobody is told: alerts.page in operations.yaml is empty"
    assert line(ran.out, "promoted") == "nothing yet"
    assert line(ran.out, "attempts").startswith("1 ok in 21 s, 2026-06-02 06:00 UTC on ")
    assert "next:" not in ran.out


def test_what_is_normal_is_not_claimed_before_it_is_learned(project: Project) -> None:
    write(project, DAY, attempt(DAY, steps(DAY)))
    assert line(project.ml("status").out, "rows") == "2,013; what is normal for a Monday is being learned"


def test_drift_is_told_once_it_is_watched(project: Project) -> None:
    done = steps(DAY)
    for facts, words in (
        ({"state": "learning", "days_to_go": 12}, "learning, 12 days to go; until then the contract's bounds only"),
        ({"state": "armed"}, "none in 41 monitors"),
        ({"state": "over budget"}, "none in 41 monitors (over budget: tickets only)"),
    ):
        done[4].facts |= {"watched": 41, **facts}
        write(project, DAY, attempt(DAY, done))
        assert line(project.ml("status").out, "drift") == words
    done[4].checks = [said("DRIFT001", "ticket", "weight_g mean has moved")]
    write(project, DAY, attempt(DAY, done))
    assert line(project.ml("status").out, "drift").startswith("DRIFT001 weight_g mean has moved")


@pytest.mark.parametrize(
    ("moment", "code", "first"),
    [
        (BEFORE, 0, "NOT RUN YET  2026-06-01: its run is due by 2026-06-02 09:00 UTC"),
        (AFTER, 1, "NOT OK  2026-06-01: no run until the deadline, 2026-06-02 09:00 UTC"),
    ],
)
def test_a_day_without_a_record(
    moment: datetime, code: int, first: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine(project, DAY - timedelta(days=1))
    it_is(moment, monkeypatch)
    ran = project.ml("status")
    assert ran.code == code
    assert ran.out.splitlines()[0] == first
    assert ("RUN003" in ran.out) == (code == 1)


def test_before_the_ledger_begins(project: Project) -> None:
    fine(project, DAY)
    ran = project.ml("status", "--date", "2026-05-01")
    assert ran.code == 1
    assert "; the ledger begins 2026-06-01" in ran.out.splitlines()[0]


def test_the_deadline_is_that_of_operations_yaml(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.edit("operations.yaml", 'deadline: "09:00"', 'deadline: "23:30"')
    assert project.ml("status").code == 0
    it_is(datetime(2026, 6, 2, 23, 30, tzinfo=UTC), monkeypatch)
    assert project.ml("status").code == 1


@pytest.mark.parametrize(("moment", "code", "verdict"), [(BEFORE, 0, "WAITING"), (AFTER, 1, "NOT OK")])
def test_a_day_that_is_not_delivered(
    moment: datetime, code: int, verdict: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(project, DAY, "late", "FRESH001", "no parcels of 2026-06-01 yet", tier="log")
    it_is(moment, monkeypatch)
    ran = project.ml("status")
    assert ran.code == code
    assert ran.out.splitlines()[0] == (
        f"{verdict}  2026-06-01: ingest parcels: no parcels of 2026-06-01 yet; asked 2026-06-02 06:00 UTC, "
        "the deadline is 2026-06-02 09:00 UTC"
    )
    assert ("docs/runbook.md#fresh002-missing-past-the-deadline" in ran.out) == (code == 1)
    assert line(ran.out, "arrived") == "parcels not there yet"


def test_a_day_that_was_asked_for_after_its_deadline_is_late_and_no_plain_no(project: Project) -> None:
    broken(project, DAY, "no", "FRESH002", "no parcels of 2026-06-01")
    assert project.ml("status", "--json").json["state"] == "late"
    assert project.ml("status").out.count("FRESH002") == 1


def test_a_registry_that_was_away_is_not_called_a_late_delivery(project: Project) -> None:
    broken(project, DAY, "late", "RUN002", "the registry does not answer", step="score")
    ran = project.ml("status")
    assert ran.code == 1
    assert ran.out.startswith("NOT OK  2026-06-01: score: the registry does not answer; asked 2026-06-02 06:00 UTC")
    assert "RUN002" in ran.out and "FRESH002" not in ran.out


def test_a_refusal_says_why_and_where_to_read_on(project: Project) -> None:
    broken(project, DAY, "refused", "DATA001", "weight_g: q05 >= 30 expected, 1.2 observed")
    ran = project.ml("status")
    assert ran.code == 1
    assert ran.out.startswith("NOT OK  2026-06-01: ingest parcels: weight_g: q05 >= 30 expected, 1.2 observed\n")
    assert "page  DATA001  weight_g" in ran.out
    assert "  docs/runbook.md#data001-refused-by-the-contract\nnext: uv run ml run --date 2026-06-01\n" in ran.out
    assert line(ran.out, "contract").startswith("parcels refused: weight_g")


@pytest.mark.parametrize(("outcome", "code"), [("no", "SCORE002"), ("failed", "RUN001")])
def test_a_no_and_a_failure_are_not_fine(outcome: str, code: str, project: Project) -> None:
    broken(project, DAY, outcome, code, "it broke")  # pyrefly: ignore
    ran = project.ml("status")
    assert ran.code == 1
    assert ran.out.startswith("NOT OK  2026-06-01: ingest parcels: it broke\n")
    assert code in ran.out


def test_a_ticket_leaves_the_day_fine_and_is_said_in_the_first_line(project: Project) -> None:
    done = steps(DAY, 1240, normal=normal())
    done[0].checks = [said("FRESH003", "ticket", "1,240 rows, a Monday has 1,980")]
    write(project, DAY, attempt(DAY, done))
    ran = project.ml("status")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "OK  2026-06-01: 1,240 rows scored by hours/3, 1 ticket"
    assert line(ran.out, "rows").startswith("1,240, -37.4% against")
    assert line(ran.out, "alerts").startswith("1 ticket; ")
    assert "docs/runbook.md#fresh003-fewer-rows-than-the-weekdays-normal" in ran.out


def test_a_challenger_that_waits_is_named_in_what_to_type(project: Project) -> None:
    done = steps(DAY)
    done[5].facts = {"version": "hours/4", "gate": "PASS", "promoted": False}
    done[5].checks = [said("TRAIN003", "ticket", "hours/4: gate PASS; it waits for a person")]
    write(project, DAY, attempt(DAY, done))
    assert "next: uv run ml card hours/4" in project.ml("status").out


def test_a_long_refusal_is_one_line_above_and_whole_below(project: Project) -> None:
    words = (
        "parcels breaks contract version 1:\n  fragile: column: not there\n  weight_g: q05: 1.2\n  depot: type: null"
    )
    broken(project, DAY, "refused", "DATA001", words)
    out = project.ml("status").out
    short = "parcels breaks contract version 1: fragile: column: not there (and 2 more)"
    assert out.splitlines()[0] == f"NOT OK  2026-06-01: ingest parcels: {short}"
    assert line(out, "contract") == f"parcels refused: {short}"
    assert f"page  DATA001  {words}\n" in out


def test_rows_are_those_of_the_table_that_is_scored_also_where_it_was_refused(project: Project) -> None:
    done = steps(DAY)[:2]
    done[0] = done[0].model_copy(update={"outcome": "refused", "rows_out": None})
    write(project, DAY, attempt(DAY, done, "refused"))
    told = project.ml("status", "--json").json
    assert told["rows"] is None
    write(project, DAY, attempt(DAY, steps(DAY, 1500)), attempt(DAY, done, "refused"))
    assert project.ml("status", "--json").json["rows"] == 1500


def test_a_page_is_not_fine_though_the_run_ended_well(project: Project) -> None:
    done = steps(DAY)
    done[4].checks = [said("FRESH004", "page", "yesterday's file again")]
    write(project, DAY, attempt(DAY, done))
    ran = project.ml("status")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "NOT OK  2026-06-01: 2,013 rows scored by hours/3, 1 page"


def test_a_day_that_nothing_could_score_is_not_called_scored(project: Project) -> None:
    done = steps(DAY)
    done[3] = done[3].model_copy(
        update={"outcome": "not yet", "rows_out": None, "facts": {}, "said": "nothing was promoted yet"}
    )
    write(project, DAY, attempt(DAY, done))
    ran = project.ml("status")
    assert ran.out.splitlines()[0] == "NOT SCORED  2026-06-01: 2,013 rows in, not scored: nothing was promoted yet"
    assert line(ran.out, "scored") == "not yet: nothing was promoted yet"
    assert line(ran.out, "model") == "none"


def test_a_torn_record_is_neither_a_failed_run_nor_none(project: Project) -> None:
    fine(project, DAY)
    record = project.paths.root / "var" / "ledger" / "daily" / f"{DAY}.json"
    record.write_bytes(record.read_bytes()[:700])
    ran = project.ml("status")
    assert ran.code == 2
    assert "var/ledger/daily/2026-06-01.json is no record of a run" in ran.err
    assert "hint: restore it from a backup" in ran.err
    assert project.ml("status", "--json").json["error"]["exit"] == 2


def test_a_torn_record_of_another_day_is_told_and_stops_nothing(project: Project) -> None:
    fine(project, DAY)
    fine(project, DAY - timedelta(days=2))
    record = project.paths.root / "var" / "ledger" / "daily" / f"{DAY - timedelta(days=2)}.json"
    record.write_text("{", encoding="utf-8")
    ran = project.ml("status", "--days", "14")
    assert ran.code == 0
    assert "ticket  RUN004  2026-05-30: var/ledger/daily/2026-05-30.json is no record of a run" in ran.out
    assert "Sat 2026-05-30  ?  unreadable" in ran.out


def test_a_run_that_was_killed_is_told_from_one_that_runs(project: Project) -> None:
    killed(project, DAY)
    ran = project.ml("status")
    assert ran.code == 1
    assert ran.out.startswith("NOT OK  2026-06-01: the run that began 2026-06-02 06:00 UTC on ")
    assert ran.out.splitlines()[0].endswith(" was killed in score")
    assert "page  RUN001  the run was killed" in ran.out


def test_a_run_that_was_closed_as_interrupted_was_killed_too(project: Project) -> None:
    dead = attempt(DAY, steps(DAY)[:2], "running")
    dead.outcome = "interrupted"
    write(project, DAY, dead)
    assert project.ml("status").out.splitlines()[0].endswith(" was killed")
    write(project, DAY, dead, attempt(DAY, steps(DAY), at=time(7)))
    ran = project.ml("status")
    assert ran.code == 0
    assert "1 interrupted, 2026-06-02 06:00 UTC" in line(ran.out, "attempts")


def test_a_run_of_now_is_running(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    started = datetime.now(UTC)
    yesterday = started.date() - timedelta(days=1)
    done = steps(yesterday)[:1]
    write(project, yesterday, attempt(yesterday, done, "running", started=started))
    it_is(datetime.combine(started.date(), time(0, 30), UTC), monkeypatch)
    ran = project.ml("status")
    assert ran.code == 0
    assert ran.out.startswith(f"RUNNING  {yesterday}: since ")
    it_is(datetime.combine(started.date(), time(23, 30), UTC), monkeypatch)
    late = project.ml("status")
    assert late.code == 1  # it should have been done by now
    assert late.out.startswith(f"NOT OK  {yesterday}: since ")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says when a process began")
def test_the_number_of_a_dead_run_may_be_another_process_today(project: Project) -> None:
    """After a restart; this process is alive, and began long after 2 June 2026 06:00 of a copied record."""
    started = datetime.now(UTC) - timedelta(days=3)
    killed(project, DAY, pid=os.getpid(), started=started)
    assert "was killed" in project.ml("status").out.splitlines()[0]


def test_a_run_elsewhere_is_said_to_be_out_of_sight(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(project, DAY, host="elsewhere")
    it_is(BEFORE, monkeypatch)
    ran = project.ml("status")
    assert ran.code == 0
    said = "RUNNING  2026-06-01: since 2026-06-02 06:00 UTC on elsewhere, which this machine cannot see in score"
    assert ran.out.splitlines()[0] == said


def test_a_day_delivered_again_shows_both_attempts(project: Project) -> None:
    again = attempt(DAY, steps(DAY, 2020, normal=normal()), at=time(7, 30))
    write(project, DAY, attempt(DAY, steps(DAY, normal=normal())), again)
    ran = project.ml("status")
    assert ran.out.splitlines()[0] == "OK  2026-06-01: 2,020 rows scored by hours/3"
    assert line(ran.out, "attempts").startswith("1 ok in 21 s, 2026-06-02 06:00 UTC")
    assert "; 2 ok in 21 s, 2026-06-02 07:30 UTC" in line(ran.out, "attempts")


def test_what_is_in_force_after_a_second_attempt_failed_is_the_first_ones(project: Project) -> None:
    worse = attempt(DAY, [steps(DAY)[0].model_copy(update={"outcome": "refused", "rows_out": None})], "refused")
    write(project, DAY, attempt(DAY, steps(DAY, normal=normal())), worse)
    ran = project.ml("status")
    assert ran.code == 1
    assert line(ran.out, "scored") == "2,013 rows; in force since an earlier attempt"


def test_days_that_are_still_to_be_done_are_listed_with_their_command(project: Project) -> None:
    for back in (0, 1, 5, 6, 13):
        fine(project, DAY - timedelta(days=back))
    killed(project, DAY - timedelta(days=8), host="elsewhere")
    killed(project, DAY - timedelta(days=9))
    broken(project, DAY - timedelta(days=10), "refused", "DATA001", "x")
    broken(project, DAY - timedelta(days=14), "refused", "DATA001", "long ago")
    out = project.ml("status").out
    assert "6 days were never run: 2026-05-20, 2026-05-21, 2026-05-25, 2026-05-28, 2026-05-29, 2026-05-30: " in out
    assert "uv run ml backfill --from 2026-05-20 --to 2026-05-30" in out
    assert "2026-05-22 was refused by the contract: uv run ml run --date 2026-05-22" in out
    assert "2026-05-23 was killed: uv run ml run --date 2026-05-23" in out
    assert "2026-05-24 is being run, since 2026-05-25 06:00 UTC on elsewhere" in out
    assert "2026-05-18" not in out


def test_days_before_the_first_record_are_no_gaps(project: Project) -> None:
    fine(project, DAY)
    assert "never run" not in project.ml("status", "--days", "14").out


@pytest.mark.slow
def test_the_last_promotion_is_the_registrys_word(trained: Project) -> None:
    trained.ml("promote", "1", "--force", "--reason", "the first")
    fine(trained, DAY)
    said = line(trained.ml("status").out, "promoted")
    assert said.startswith("hours/1, promote 2026-06-02 09:00 UTC by ")
    assert said.endswith(": the first")


def test_a_registry_that_does_not_answer_fails_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fine(project, DAY)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    ran = project.ml("status")
    assert ran.code == 0
    assert line(ran.out, "promoted").startswith("the registry at http://127.0.0.1:9 does not answer")


def test_the_future_and_a_typo_are_wrong_usage(project: Project) -> None:
    ran = project.ml("status", "--date", "2026-06-03")
    assert ran.code == 2
    assert "2026-06-03 is in the future: it is 2026-06-02 09:00 UTC" in ran.err
    assert project.ml("status", "--date", "2026-06-02").out.startswith("NOT RUN YET")
    assert project.ml("status", "--days", "0").code == 2
    project.edit("operations.yaml", "deadline:", "deadlin:")
    ran = project.ml("status")
    assert ran.code == 2
    assert "unknown key daily.deadlin, did you mean deadline?" in ran.err


def test_json_has_all_of_it(project: Project) -> None:
    fine(project, DAY - timedelta(days=3))
    broken(project, DAY, "refused", "DATA001", "no")
    ran = project.ml("status", "--json", "--days", "7")
    assert ran.code == 1
    told = ran.json
    assert (told["date"], told["verdict"], told["state"], told["fine"]) == ("2026-06-01", "NOT OK", "refused", False)
    assert [day["state"] for day in told["days"]] == ["ok", "not run", "not run", "refused"]
    assert told["days"][0]["rows"] == 2013
    assert told["days"][0]["age_days"] == 4
    assert told["actions"][0] == {
        "tier": "page",
        "code": "DATA001",
        "day": "2026-06-01",
        "said": "no",
        "heading": "docs/runbook.md#data001-refused-by-the-contract",
        "command": "ml run --date 2026-06-01",
    }
    assert told["record"]["attempts"][0]["outcome"] == "refused"


def test_the_strip_is_read_without_colour(project: Project) -> None:
    for back in range(20):
        fine(project, DAY - timedelta(days=back), rows=2013 - 13 * back)
    broken(project, DAY - timedelta(days=2), "refused", "DATA001", "x")
    killed(project, DAY - timedelta(days=4))
    ran = project.ml("status", "--days", "14")
    assert ran.code == 0
    lines = ran.out.splitlines()
    weekdays, dates, signs = lines[2:5]
    assert weekdays.split() == list("TWTFSSMTWTFSSM")
    assert dates.split() == ["2026-05-19", *map(str, range(19, 32)), "1"]
    assert signs.split() == list(". . . . . . . . . K . R . .".replace(" ", ""))
    assert len(weekdays) == len(dates) == len(signs)
    assert ". fine, R refused by the contract, K killed on its way" in ran.out
    assert "Mon 2026-06-01  .  ok       2,013           +1.7%   2,013  hours/3  21 s" in ran.out
    assert "\x1b" not in ran.out


def test_looking_imports_nothing_heavy(project: Project) -> None:
    fine(project, DAY)
    code = f"""
import sys
from {PACKAGE}.cli import main
assert main(["status", "--date", "{DAY}", "--days", "14", "--html", "status.html"]) == 0
print("IMPORTED", *sorted(set(name.partition(".")[0] for name in sys.modules) & set({HEAVY!r})))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=project.paths.root, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "IMPORTED"


class Page(HTMLParser):
    """Checks that every element is closed in its turn, and remembers what there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def drawn_of(plot: str) -> ElementTree.Element:
    return ElementTree.fromstring(plot)  # noqa: S314 - we wrote it


def page_of(project: Project, *arguments: str) -> str:
    file = project.paths.root / "out" / "status.html"
    assert project.ml("status", "--html", str(file), *arguments).code in (0, 1)
    return file.read_text(encoding="utf-8")


def test_the_page_stands_alone_and_its_plots_are_well_formed(project: Project) -> None:
    for back in range(30):
        fine(project, DAY - timedelta(days=back), rows=2013 - 13 * back)
    broken(project, DAY - timedelta(days=2), "refused", "DATA001", "x")
    killed(project, DAY - timedelta(days=4))
    text = page_of(project)
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert not re.search(r"https?:|//|url\(|@import", text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    plots = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(plots) == 4
    for plot in plots:
        numbers = [
            value
            for one in drawn_of(plot).iter()
            for key, value in one.items()
            if key in ("x", "y", "cx", "cy", "width")
        ]
        assert all(0 <= float(value) <= 480 for value in numbers)
    dots = drawn_of(plots[0]).findall("circle")
    assert len(dots) == 27  # of 28 days, the refused one has no rows
    assert [one.get("class") for one in dots].count("bad") == 4  # fewer than what is normal
    assert "OK" in text and "2,013 rows scored by hours/3" in text
    assert 'title="Thu 2026-05-28: killed on its way"' in text


@pytest.mark.parametrize("days", ["1", "2", "14", "366"])
def test_a_page_of_any_length_is_drawn(days: str, project: Project) -> None:
    fine(project, DAY)
    for plot in re.findall(r"<svg.*?</svg>", page_of(project, "--days", days), re.DOTALL):
        drawn_of(plot)


def test_a_page_without_any_record_is_drawn(project: Project) -> None:
    assert "NOT OK" in page_of(project)
    assert "NaN" not in page_of(project)


def test_hostile_words_of_the_ledger_are_shown_and_not_run(project: Project) -> None:
    hostile = (
        """</title></style><script>alert(1)</script><img src=x onerror='alert(2)'>" onload="alert(3) & ]]> [bold]"""
    )
    done = steps(DAY, version=hostile)
    done[0].name = f"ingest {hostile}"
    done[5].said = hostile
    done[2].facts["metric"] = hostile
    done[4].checks = [said("FRESH003", "ticket", hostile)]
    write(project, DAY, attempt(DAY, done, host=hostile, user=hostile))
    text = page_of(project)
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    words = project.ml("status", "--days", "14")
    assert words.code == 0
    assert "& ]]> [bold]" in words.out  # no markup for the terminal either


def test_the_page_covers_four_weeks_or_what_is_asked(project: Project) -> None:
    for back in range(40):
        fine(project, DAY - timedelta(days=back))
    assert page_of(project).count("<tr>") == 29
    assert page_of(project, "--days", "35").count("<tr>") == 36


@pytest.mark.slow
def test_what_ml_run_wrote_is_what_is_told(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    day = str(LAST)
    assert trained.ml("run", "--date", day).code == 0
    ran = trained.ml("status", "--date", day)
    assert ran.code == 0
    assert "rows in, not scored: no version of hours was ever promoted" in ran.out.splitlines()[0]
    trained.overrule("1")
    assert trained.ml("run", "--date", day).code == 0
    ran = trained.ml("status", "--date", day)
    assert ran.code == 0
    assert re.fullmatch(rf"OK  {day}: [\d,]+ rows scored by hours/1", ran.out.splitlines()[0])
    assert "days old: trained on labels until 2026-06-02" in line(ran.out, "model")
    assert line(ran.out, "attempts").count(" ok in ") == 2
    rows = line(ran.out, "rows").split()[0]
    assert line(ran.out, "promoted").startswith("hours/1, promote")
    (trained.paths.root / "data" / "upstream" / "parcels" / f"{day}.parquet").write_bytes(b"cut")
    assert trained.ml("run", "--date", day).code == 3
    ran = trained.ml("status", "--date", day)
    assert ran.code == 1
    assert "page  DATA001" in ran.out
    assert line(ran.out, "rows").startswith(rows)  # of the attempt before: what was in force stays
    assert all(re.match(r"  [a-z]+  +\S", said) for said in ran.out.split("\n\n")[1].splitlines())
    for page in (trained.ml("status", "--date", day, "--days", "14"), trained.ml("status", "--date", day, "--json")):
        assert page.code == 1
