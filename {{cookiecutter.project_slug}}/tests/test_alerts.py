"""What becomes an alert, what it says, that each is told once, and what somebody's answer changes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from channels import free_port
from records import attempt, broken, fine, killed, said, steps, write
from telling import DAY, MORNING, drifted, partial, refused, state, tell

from {{cookiecutter.package_name}} import clock
from {{cookiecutter.package_name}}.config import AlertsConfig, load_operations
from {{cookiecutter.package_name}}.monitoring import false_pages
from {{cookiecutter.package_name}}.monitoring.report import Finding, Report
from {{cookiecutter.package_name}}.monitoring.report import write as write_report
from {{cookiecutter.package_name}}.operations import alert_sending, alerts
from {{cookiecutter.package_name}}.operations.ledger import Ledger, Said

from conftest import ROOT, Project
from kill import Killed, moments

Sent = list[dict[str, str]]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: MORNING)


@pytest.fixture
def sent(project: Project, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What would be sent, without the second that a process of its own takes for each message."""
    project.edit("operations.yaml", "  page: [] ", "  page: [ML_ALERT_PAGE] ")
    project.edit("operations.yaml", "  digest_to: [] ", "  digest_to: [ML_ALERT_DIGEST] ")
    kept: Sent = []

    def keep(name: str, title: str, body: str) -> None:
        kept.append({"to": name, "title": title, "message": body})

    monkeypatch.setattr(alert_sending, "_try", keep)
    return kept


def test_a_champion_and_the_one_before_it_are_named(project: Project, sent: Sent, monkeypatch: Any) -> None:
    moves = [
        {"version": 3, "previous": None, "at": "2026-05-01T06:00:00+00:00", "verb": "promote"},
        {"version": 4, "previous": 3, "at": "2026-06-01T06:00:00+00:00", "verb": "promote"},
    ]
    monkeypatch.setattr(alerts.Pointer, "moves", lambda self, model: moves)
    fine(project, DAY - timedelta(days=1))
    partial(project, DAY, drifted("parcels.weight_g.mean"))
    tell(project)
    body = sent[0]["message"]
    assert "champion: hours/4 since 2026-06-01 06:00 UTC; before it hours/3: uv run ml rollback\n" in body
    assert "last fine day: 2026-06-01, scored by hours/3\n" in body
    assert "  parcels.weight_g.mean moved\n  day 2026-06-02, since 2026-06-02, parcels.weight_g.mean, alert 1\n" in body


def test_a_registry_that_is_away_keeps_no_page_back(project: Project, sent: Sent, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    refused(project)
    tell(project)
    assert "champion: not known: the registry at" in sent[0]["message"]


def test_everything_of_a_day_is_one_message(project: Project, sent: Sent) -> None:
    partial(project, DAY, *(drifted(f"parcels.{name}.mean") for name in "abcdefghijkl"))
    tell(project)
    (page,) = sent
    assert "12 pages: DRIFT001" in page["title"]
    assert page["message"].count("runbook: ") == 10 and "and 2 more: uv run ml alerts\n" in page["message"]


WEEK = [DAY + timedelta(days=ahead) for ahead in range(9)]


@pytest.mark.parametrize(
    ("code", "days", "pages"),
    [
        ("FRESH003", [0, 1, 2, 3], [0]),  # it lasts
        ("FRESH003", [0, 1, 2, 3, 4, 5, 6, 7], [0, 7]),  # for longer than the cool-down
        ("FRESH003", [0, 2, 3], [0, 2]),  # it was over, and came back
        ("DRIFT001", [0, 2, 6, 7], [0, 7]),  # a monitor comes and goes
        ("PERF001", [0, 3], [0]),
    ],
)
def test_what_lasts_pages_once_a_cool_down(
    code: str, days: list[int], pages: list[int], project: Project, sent: Sent
) -> None:
    about = "some.monitor" if code != "FRESH003" else None
    for ahead in range(days[-1] + 1):
        if ahead in days:
            partial(project, WEEK[ahead], Said(code=code, tier="page", said="no", about=about, z=6.0))
        else:
            fine(project, WEEK[ahead])
        tell(project, WEEK[ahead])
    told = [alert.day for alert in state(project).alerts if alert.message]
    assert told == [WEEK[ahead] for ahead in pages]
    assert len(sent) == len(pages)
    assert len(state(project).alerts) == len(days)


def test_another_monitor_and_a_cool_down_of_nothing_page(project: Project, sent: Sent) -> None:
    for ahead, monitor in enumerate(("a", "b", "a")):
        partial(project, WEEK[ahead], drifted(monitor))
        tell(project, WEEK[ahead])
    assert len(sent) == 2
    project.edit("operations.yaml", "cooldown_days: 7", "cooldown_days: 0")
    partial(project, WEEK[3], drifted("a"))
    tell(project, WEEK[3])
    assert len(sent) == 3


def test_since_when_is_told_by_the_days_before_or_by_the_monitors_report(project: Project, sent: Sent) -> None:
    project.edit("operations.yaml", "cooldown_days: 7", "cooldown_days: 0")
    for ahead in range(3):
        partial(project, WEEK[ahead])
        tell(project, WEEK[ahead])
    assert "day 2026-06-04, since 2026-06-02" in sent[-1]["message"]
    finding = Finding(
        monitor="a", code="DRIFT001", outcome="page", table="parcels", measure="mean", said="x", since=date(2026, 5, 30)
    )
    ledger = Ledger(project.paths, load_operations(project.paths.operations))
    write_report(Report(day=WEEK[3], state="armed", findings=[finding]), ledger.storage)
    partial(project, WEEK[3], drifted("a"))
    tell(project, WEEK[3])
    assert "day 2026-06-05, since 2026-05-30" in sent[-1]["message"]


def test_what_was_mended_and_breaks_again_pages_again(project: Project, sent: Sent) -> None:
    first = attempt(DAY, steps(DAY)[:1], "refused")
    first.steps[0].checks, first.steps[0].outcome = [said("DATA001", "page", "no")], "refused"
    good = attempt(DAY, steps(DAY), at=time(11))
    again = first.model_copy(deep=True)
    write(project, DAY, first)
    tell(project)
    write(project, DAY, first, good)
    tell(project)
    assert [one.resolved is not None for one in state(project).alerts] == [True]
    assert "mended" in project.ml("alerts").out
    write(project, DAY, first, good, again)
    tell(project)
    assert len(sent) == 2


def test_what_was_mended_mutes_no_other_day(project: Project, sent: Sent) -> None:
    refused(project)
    tell(project)
    fine(project, DAY)
    refused(project, DAY + timedelta(days=1))
    tell(project, DAY + timedelta(days=1))
    assert len(sent) == 2
    assert "since 2026-06-03" in sent[1]["message"]


def test_an_attempt_that_did_not_look_mends_nothing(project: Project, sent: Sent) -> None:
    first = attempt(DAY, steps(DAY)[:1], "refused")
    first.steps[0].checks, first.steps[0].outcome = [said("DATA001", "page", "no")], "refused"
    away = attempt(DAY, steps(DAY)[:1], "late")
    away.steps[0].checks, away.steps[0].outcome = [said("RUN002", "page", "the bucket does not answer")], "late"
    write(project, DAY, first)
    tell(project)
    write(project, DAY, first, away)
    tell(project)
    assert all(one.resolved is None for one in state(project).alerts if one.code == "DATA001")
    assert len(sent) == 2  # the second is RUN002: it is past the deadline


def test_what_a_retry_may_mend_waits_for_the_deadline(project: Project, sent: Sent) -> None:
    broken(project, DAY, "late", "RUN002", "the registry does not answer", step="score")
    tell(project, now=datetime(2026, 6, 3, 8, 59, tzinfo=UTC))
    assert sent == []
    tell(project, now=datetime(2026, 6, 3, 9, tzinfo=UTC))
    assert "RUN002" in sent[0]["title"]


def test_a_day_that_was_killed_or_never_run_is_told_by_the_next_run(project: Project, sent: Sent) -> None:
    fine(project, DAY - timedelta(days=4))
    killed(project, DAY - timedelta(days=1))
    fine(project, DAY)
    tell(project)
    (page,) = sent
    assert "2026-05-30 to 2026-06-01: 2 pages: RUN003, RUN001" in page["title"]
    fine(project, DAY - timedelta(days=1))
    tell(project)
    assert [one.resolved is not None for one in state(project).alerts if one.code == "RUN001"] == [True]
    assert len(sent) == 1


def test_old_days_page_nobody(project: Project, sent: Sent) -> None:
    refused(project, DAY - timedelta(days=14))
    tell(project, DAY - timedelta(days=14), now=MORNING)
    fine(project, DAY)
    write_gap(project)
    tell(project)
    assert sent == []


def write_gap(project: Project) -> None:
    for back in range(14):
        fine(project, DAY - timedelta(days=back))


def test_a_record_that_cannot_be_read_is_a_ticket(project: Project, sent: Sent) -> None:
    fine(project, DAY)
    record = project.paths.root / "var" / "ledger" / "daily" / f"{DAY}.json"
    record.write_text("{", encoding="utf-8")
    assert project.ml("run", "--date", str(DAY)).code == 2
    (alert,) = state(project).alerts
    assert (alert.code, alert.tier) == ("RUN004", "ticket") and "is no record of a run" in alert.said


def test_what_is_old_is_forgotten_and_what_was_answered_is_kept_for_longer(project: Project, sent: Sent) -> None:
    partial(project, DAY)
    partial(project, DAY + timedelta(days=3))
    tell(project, DAY)
    tell(project, DAY + timedelta(days=3))
    assert project.ml("alerts", "ack", "1").code == 0
    for later, left in ((59, 2), (100, 1), (500, 0)):
        day = DAY + timedelta(days=later)
        partial(project, day)
        tell(project, day)
        known = [alert.day for alert in state(project).alerts if alert.code == "FRESH003" and alert.day != day]
        assert [one for one in known if one < DAY + timedelta(days=9)] == [DAY, DAY + timedelta(days=3)][:left]


def test_with_nobody_to_tell_it_is_noted_and_said(project: Project) -> None:
    refused(project)
    tell(project)
    ran = project.ml("alerts")
    assert ran.code == 0
    assert "nobody is told: alerts.page in operations.yaml is empty" in ran.out
    assert "1  2026-06-02  page  DATA001  open " in ran.out
    assert "nobody is told" in project.ml("status", "--date", str(DAY)).out


def test_wherever_telling_is_killed_the_page_arrives_and_seldom_twice(project: Project, sent: Sent) -> None:
    """At every change on disk: killed after it sent and before it wrote that down, it sends again."""
    refused(project)
    ledger = project.paths.root / "var" / "ledger"
    kept = {path: path.read_bytes() for path in ledger.rglob("*.json")}
    seen = []
    for moment in range(1, 40):
        sent.clear()
        for path in (ledger / "alerts").glob("*"):
            path.unlink()
        assert {path: path.read_bytes() for path in ledger.rglob("*.json")} == kept
        with moments(ledger, moment):
            try:
                tell(project)
            except Killed:
                survived = False
            else:
                survived = True
        if survived:
            break
        tell(project)
        assert state(project).undelivered == []
        assert len({page["message"] for page in sent}) == 1, "the same page, under the same number"
        seen.append(len(sent))
        tell(project)
        assert len(sent) == seen[-1]
    assert survived
    assert set(seen) == {1, 2} and seen[0] == 1


def test_a_number_that_was_sent_is_never_anothers(
    project: Project, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after it sent; then the day is mended, and another one breaks."""

    def killed_now(messages: Any, now: datetime) -> None:
        raise Killed

    refused(project)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(alert_sending, "send", killed_now)
        tell(project)
    fine(project, DAY)
    refused(project, DAY + timedelta(days=1))
    tell(project, DAY + timedelta(days=1))
    assert [(alert.id, alert.day) for alert in state(project).alerts] == [(1, DAY), (3, DAY + timedelta(days=1))]


@pytest.mark.parametrize("content", [b"{", b'{"alerts": 3}', b'{"unknown": []}'])
def test_a_torn_state_is_told_kept_and_silences_nobody(content: bytes, project: Project, sent: Sent) -> None:
    refused(project)
    torn = project.paths.root / "var" / "ledger" / "alerts" / "state.json"
    torn.parent.mkdir()
    torn.write_bytes(content)
    tell(project)
    assert len(sent) == 1
    assert torn.read_bytes() == content
    fine(project, DAY - timedelta(days=1))
    ran = project.ml("status", "--date", str(DAY - timedelta(days=1)))
    assert ran.code == 1
    assert "ALERT001  var/ledger/alerts/state.json is no record of alerts" in ran.out
    for words in (["alerts"], ["alerts", "test"], ["alerts", "ack", "1"]):
        assert project.ml(*words).code == 2
    torn.unlink()
    assert project.ml("status", "--date", str(DAY - timedelta(days=1))).code == 0


def test_a_mistake_in_alerts_breaks_no_run_and_turns_the_status_red(
    project: Project, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: Any, **__: Any) -> None:
        raise ValueError("a mistake")

    with monkeypatch.context() as patched:
        patched.setattr(alerts, "notice", mistaken)
        assert project.ml("run", "--date", str(DAY)).code == 0
    ran = project.ml("status", "--date", str(DAY))
    assert ran.code == 1 and "ALERT001  alerts broke off: ValueError: a mistake" in ran.out
    assert project.ml("run", "--date", str(DAY)).code == 0
    assert project.ml("status", "--date", str(DAY)).code == 0


def test_what_arrives_holds_no_order_to_a_terminal(project: Project, sent: Sent) -> None:
    broken(project, DAY, "refused", "DATA001", "a\x1b[2Jb\u202ec\x00d")
    tell(project)
    assert not set("\x1b\r\u202e\x00") & set(sent[0]["message"])
    assert "a [2Jb c d" in sent[0]["message"]


def test_a_page_that_somebody_answers_for_leaves_the_day_fine(project: Project, sent: Sent) -> None:
    fine(project, DAY - timedelta(days=1))
    partial(project, DAY)
    tell(project)
    assert project.ml("status", "--date", str(DAY)).code == 1
    ran = project.ml("alerts", "ack", "1", "--reason", "a public holiday")
    assert (ran.code, ran.err) == (0, "")
    assert "1  FRESH003 of 2026-06-02, monitor: acknowledged" in ran.out
    ran = project.ml("status", "--date", str(DAY))
    assert ran.code == 0
    assert ran.out.startswith("OK  2026-06-02: 1,240 rows scored by hours/3, 1 acknowledged\n")
    assert "FRESH003" not in ran.out
    assert "A  acknowledged" in project.ml("status", "--date", str(DAY), "--days", "14").out
    partial(project, DAY)  # run again
    tell(project)
    assert project.ml("status", "--date", str(DAY)).code == 0
    assert len(sent) == 1
    partial(project, DAY + timedelta(days=3))
    tell(project, DAY + timedelta(days=3))
    assert len(sent) == 2


def test_what_was_not_answered_for_still_counts(project: Project) -> None:
    partial(project, DAY, said("FRESH003", "page", "few"), drifted("a"))
    tell(project)
    assert project.ml("alerts", "ack", "1").code == 0
    assert project.ml("status", "--date", str(DAY)).code == 1
    assert project.ml("alerts", "ack", "2").code == 0
    assert project.ml("status", "--date", str(DAY)).code == 0


def test_tickets_beside_a_page_are_no_reason_to_be_called_in(project: Project) -> None:
    partial(project, DAY, said("FRESH003", "page", "few"), said("DATA002", "ticket", "and a ticket"))
    tell(project)
    assert project.ml("status", "--date", str(DAY)).code == 1
    assert project.ml("alerts", "ack", "1").code == 0
    ran = project.ml("status", "--date", str(DAY))
    assert ran.code == 0 and "ticket  DATA002" in ran.out


def test_of_two_pages_of_a_run_that_ended_well_both_want_an_answer(project: Project) -> None:
    done = steps(DAY)
    done[4].checks = [drifted("a"), drifted("b")]
    write(project, DAY, attempt(DAY, done))
    tell(project)
    for number, code in (("1", 1), ("2", 0)):
        assert project.ml("alerts", "ack", number).code == 0
        assert project.ml("status", "--date", str(DAY)).code == code


@pytest.mark.parametrize("state_", ["refused", "killed", "not run", "late"])
def test_any_state_can_be_answered_for(state_: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fine(project, DAY - timedelta(days=1))
    if state_ == "refused":
        refused(project)
    elif state_ == "killed":
        killed(project, DAY)
    elif state_ == "late":
        broken(project, DAY, "late", "FRESH001", "not there", tier="log")
    tell(project)
    told = project.ml("status", "--date", str(DAY), "--json")
    assert (told.code, told.json["state"]) == (1, state_)
    assert project.ml("alerts", "ack", "1").code == 0
    told = project.ml("status", "--date", str(DAY), "--json")
    assert (told.code, told.json["state"], told.json["actions"]) == (0, "acknowledged", [])
    assert told.json["verdict"] == "OK" and told.json["said"].endswith(", 1 acknowledged")


def test_an_answer_to_a_page_excuses_no_failure_beside_it(project: Project) -> None:
    done = steps(DAY)
    done[4].checks, done[4].outcome = [said("FRESH003", "page", "few")], "no"
    done[5].checks, done[5].outcome = [said("TRAIN001", "ticket", "no")], "failed"
    write(project, DAY, attempt(DAY, done, "failed"))
    tell(project)
    assert project.ml("alerts", "ack", "1").code == 0
    assert project.ml("status", "--date", str(DAY)).code == 1
    assert project.ml("alerts", "ack", "2").code == 0
    assert project.ml("status", "--date", str(DAY)).code == 0


def test_a_false_page_is_labelled_for_the_monitor_until_somebody_says_otherwise(project: Project) -> None:
    labels = project.paths.root / "var" / "ledger" / "alerts" / "false.json"
    partial(project, DAY, drifted("parcels.weight_g.mean", 6.1), said("FRESH003", "page", "few"))
    tell(project)
    ran = project.ml("alerts", "ack", "1", "2", "--false", "--reason", "a sale")
    assert ran.code == 0
    assert "no monitor of drift said it, so there is no threshold to raise" in ran.out
    assert json.loads(labels.read_bytes()) == [{"monitor": "parcels.weight_g.mean", "day": "2026-06-02", "z": 6.1}]
    ledger = Ledger(project.paths, load_operations(project.paths.operations))
    assert [(page.monitor, page.day, page.z) for page in false_pages.read(ledger.storage)] == [
        ("parcels.weight_g.mean", DAY, 6.1)
    ]
    assert "false, " in project.ml("alerts").out
    assert project.ml("alerts", "ack", "1").code == 0
    assert json.loads(labels.read_bytes()) == []


def test_a_torn_list_of_false_pages_is_refused_and_never_written_over(project: Project) -> None:
    labels = project.paths.root / "var" / "ledger" / "alerts" / "false.json"
    partial(project, DAY, drifted("parcels.weight_g.mean", 6.1))
    tell(project)
    labels.write_text('[{"monitor": ', "utf-8")
    ran = project.ml("alerts", "ack", "1", "--false")
    assert ran.code == 2
    assert "var/ledger/alerts/false.json is no list of false pages" in ran.err
    assert labels.read_text("utf-8") == '[{"monitor": '
    assert "false, " not in project.ml("alerts").out, "the answer is not kept either"


def test_a_number_that_is_none_is_refused(project: Project) -> None:
    partial(project, DAY)
    tell(project)
    ran = project.ml("alerts", "ack", "1", "99")
    assert ran.code == 2
    assert "there is no alert 99; the newest are 1" in ran.err
    assert project.ml("status", "--date", str(DAY)).code == 1, "nothing was answered"
    assert project.ml("alerts", "ack").code == 2
    assert project.ml("alerts", "list", "1").code == 2
    assert project.ml("alerts", "test", "--false").code == 2


def test_tickets_come_once_a_week(project: Project, sent: Sent) -> None:
    for ahead in range(5):  # Tuesday to Saturday
        done = steps(WEEK[ahead])
        done[2].checks = [said("LABEL001", "ticket", f"{WEEK[ahead]}: 80% labelled")]
        if ahead == 1:
            done[0].checks = [said("DATA001", "ticket", "labels refused")]
        write(project, WEEK[ahead], attempt(WEEK[ahead], done))
        tell(project, WEEK[ahead])
    fine(project, WEEK[1])
    write(project, WEEK[2], attempt(WEEK[2], steps(WEEK[2])))  # mended
    tell(project, WEEK[4])
    fine(project, WEEK[5])
    tell(project, WEEK[5], now=datetime(2026, 6, 7, 23, 59, tzinfo=UTC))
    assert sent == []
    fine(project, WEEK[6])
    for hour in (0, 1, 2):
        tell(project, WEEK[6], now=datetime(2026, 6, 8, hour, 1, tzinfo=UTC))
    (letter,) = sent
    body = letter["message"]
    assert letter["to"] == "ML_ALERT_DIGEST" and "1 ticket of the week" in letter["title"]
    assert "LABEL001 labels incomplete though due\n  2026-06-06: 80% labelled (3 days)\n" in body
    assert "DATA001" not in body
    assert "pages that nobody has answered for: none" in body
    tell(project, WEEK[6], now=datetime(2026, 6, 15, 6, tzinfo=UTC))
    assert len(sent) == 1, "a week without tickets is quiet"


def test_without_a_channel_there_is_nothing_to_test(project: Project) -> None:
    ran = project.ml("alerts", "test")
    assert ran.code == 2
    assert "nobody would be told" in ran.err and "docs/alerts.md" in ran.err


@pytest.mark.parametrize("value", ["slack://T1/A1/x", "ml_page", "[ML_ALERT_PAGE, mailto://x]"])
def test_an_address_stands_in_no_file(value: str, project: Project) -> None:
    project.edit("operations.yaml", "  page: [] ", f"  page: [{value}] ")
    ran = project.ml("status")
    assert ran.code == 2
    assert "alerts.page" in ran.err


def test_the_page_on_alerts_names_what_operations_yaml_knows() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert [name for name in AlertsConfig.model_fields if f"`{name}`" not in page] == []
