"""Alerts over a real HTTP and a real mail server: they arrive, or it is told; and never at the cost of the run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any

import pytest
from channels import Hook, Letters, free_port, hook, letters
from records import attempt, fine, steps, write
from telling import DAY, MORNING, refused, state, tell

from {{cookiecutter.package_name}} import clock
from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.operations import alert_sending, daily
from {{cookiecutter.package_name}}.operations.alert_channel import redacted

from conftest import Project


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: MORNING)
    monkeypatch.setattr(alert_sending, "WAIT", 0.01)
    # on a machine that is busy with other tests
    monkeypatch.setattr(alert_sending, "NO_TRY_AFTER", 300.0)
    monkeypatch.setattr(alert_sending, "SECONDS", 60.0)


@pytest.fixture
def channel(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """Pages of the project go to it."""
    project.edit("operations.yaml", "  page: [] ", "  page: [ML_ALERT_PAGE] ")
    with hook() as listening:
        monkeypatch.setenv("ML_ALERT_PAGE", listening.address)
        yield listening


@pytest.fixture
def mail(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Letters]:
    """Digests of the project go to it."""
    project.edit("operations.yaml", "  digest_to: [] ", "  digest_to: [ML_ALERT_DIGEST] ")
    with letters() as listening:
        monkeypatch.setenv("ML_ALERT_DIGEST", listening.address)
        yield listening


def text(letter: Message) -> str:
    content = letter.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def test_a_page_says_what_is_needed_and_a_second_run_sends_none(project: Project, channel: Hook) -> None:
    assert project.ml("run", "--date", str(DAY - timedelta(days=1))).code == 0
    assert channel.posted == []
    project.drop("parcels", DAY, b"cut")
    for _ in range(3):
        assert project.ml("run", "--date", str(DAY)).code == 3
    (page,) = channel.posted
    assert page["title"] == "[parcel-eta] 2026-06-02: refused by the contract (DATA001)".replace(
        "parcel-eta", load_operations(project.paths.operations).project
    )
    body = page["message"].splitlines()
    assert body[0] == "DATA001 refused by the contract"
    assert "parcels of 2026-06-02" in body[1] or "2026-06-02" in body[1]
    assert body[2:5] == [
        "  day 2026-06-02, since 2026-06-02, ingest parcels, alert 1",
        "  runbook: docs/runbook.md#data001-refused-by-the-contract",
        "  next: uv run ml run --date 2026-06-02",
    ]
    owner = load_operations(project.paths.operations).owner
    assert body[6:] == [
        "champion: none yet",
        "last fine day: none of the last 14",
        f"owner: {owner.team}, {owner.email}",
        "more: uv run ml status --date 2026-06-02",
        "seen to: uv run ml alerts ack 1 --reason TEXT",
        "         with --false where nothing was wrong",
    ]
    status = project.ml("status", "--date", str(DAY)).out
    assert "pages go to ML_ALERT_PAGE, the last one 2026-06-03 10:00 UTC" in status
    listed = project.ml("alerts")
    assert listed.code == 0
    assert "1  2026-06-02  page  DATA001  open, sent" in listed.out


def test_two_at_once_send_one(project: Project, channel: Hook) -> None:
    refused(project)
    started = [threading.Thread(target=tell, args=(project,)) for _ in range(4)]
    for one in started:
        one.start()
    for one in started:
        one.join()
    assert len(channel.posted) == 1


def test_a_range_of_days_is_one_message(project: Project, channel: Hook) -> None:
    for back in (1, 0):
        project.drop("parcels", DAY - timedelta(days=back), b"cut")
    ran = project.ml("backfill", "--from", str(DAY - timedelta(days=2)), "--to", str(DAY))
    assert ran.code == 3
    (page,) = channel.posted
    assert "2026-06-01" in page["title"] and "DATA001" in page["title"]


def failing(how: str, channel: Hook, monkeypatch: pytest.MonkeyPatch) -> str:
    """Break the channel; what must be said of it."""
    if how in ("hangs", "drips"):
        monkeypatch.setattr(alert_sending, "SECONDS", 1.5)
        monkeypatch.setattr(alert_sending, "ATTEMPTS", 2)
        channel.status = 0 if how == "hangs" else -1
        return "no answer within 1.5 s"
    if how == "500":
        channel.status = 500
        return "error=500"
    address = {
        "refuses": f"json://127.0.0.1:{free_port()}/hooks/s3cret-t0ken",
        "unknown": "nonsense://127.0.0.1/hooks/s3cret-t0ken",
        "unset": "",
    }[how]
    monkeypatch.setenv("ML_ALERT_PAGE", address)
    return {"refuses": "refused", "unknown": "no address that apprise knows", "unset": "is not set"}[how]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["500", "refuses", "unknown", "unset", "hangs", "drips"])
def test_a_channel_that_fails_is_told_turns_the_status_red_and_is_tried_again(
    how: str, project: Project, channel: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = failing(how, channel, monkeypatch)
    fine(project, DAY - timedelta(days=1))
    project.drop("parcels", DAY, b"cut")
    ran = project.ml("run", "--date", str(DAY))
    assert ran.code == 3, "as without alerts"
    (message,) = state(project).undelivered
    delivery = message.channels["ML_ALERT_PAGE"]
    assert words in delivery.failed
    assert delivery.tries == {"500": 3, "refuses": 3, "unknown": 1, "unset": 1, "hangs": 2, "drips": 2}[how]
    for day in (DAY, DAY - timedelta(days=1)):  # also where the day itself is fine
        ran = project.ml("status", "--date", str(day))
        assert ran.code == 1
        assert ran.out.startswith(f"NOT OK  {day}: ") and "; somebody was not told" in ran.out.splitlines()[0]
        assert "page  ALERT001  the page of 2026-06-03 10:00 UTC did not get through to ML_ALERT_PAGE: " in ran.out
        assert words in ran.out and "next: uv run ml alerts test" in ran.out
    listed = project.ml("alerts")
    assert listed.code == 1 and "open, not sent" in listed.out
    everything = listed.out + project.ml("alerts", "--json").out + project.ml("status", "--json").out
    assert "s3cret" not in everything and "s3cret" not in state(project).model_dump_json()
    channel.status = 200
    monkeypatch.setattr(alert_sending, "SECONDS", 60.0)
    monkeypatch.setenv("ML_ALERT_PAGE", channel.address)
    tell(project)
    assert state(project).undelivered == []
    (page,) = channel.posted
    assert "DATA001" in page["title"]
    assert project.ml("status", "--date", str(DAY - timedelta(days=1))).code == 0
    tell(project)
    assert len(channel.posted) == 1


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXr/#ml", ["T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXr"]),
        ("mailtos://ada:pass%2Fw%40rd@smtp.example.com?to=eta@acme.io", ["pass%2Fw%40rd", "pass/w@rd"]),
        ("jsons://example.com/hooks/s3cret-t0ken?+X-Key=h1dden", ["s3cret-t0ken", "h1dden"]),
    ],
)
def test_what_a_channel_says_is_kept_without_its_secrets(address: str, secrets: list[str]) -> None:
    said = redacted(f"{address} said no: {' '.join(secrets)}", address)
    assert said.startswith("*** said no: ")
    assert not [secret for secret in secrets if secret in said]
    assert redacted("no answer from smtp.example.com", "mailto://smtp.example.com") == "no answer from smtp.example.com"


@pytest.mark.slow
def test_a_channel_that_stumbles_is_tried_again_at_once(project: Project, channel: Hook) -> None:
    channel.once = [503, 500]
    refused(project)
    tell(project)
    assert len(channel.posted) == 1 and channel.requests == 3
    assert state(project).messages[0].channels["ML_ALERT_PAGE"].tries == 3


@pytest.mark.slow
def test_a_mail_server_that_says_no_is_a_channel_that_fails(
    project: Project, mail: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.edit("operations.yaml", "  page: [] ", "  page: [ML_ALERT_DIGEST] ")
    mail.answer = "554 no thanks"
    refused(project)
    tell(project)
    assert "554" in state(project).trouble()
    mail.answer = "250 OK"
    tell(project)
    (letter,) = mail.kept
    assert mail.to == [["eta@example.com"]]
    assert "DATA001" in str(letter["Subject"])
    assert "\n  runbook: docs/runbook.md#data001-refused-by-the-contract\n" in text(letter).replace("\r", "")


@pytest.mark.slow
def test_one_channel_that_fails_holds_up_no_other(
    project: Project, channel: Hook, mail: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.edit("operations.yaml", "page: [ML_ALERT_PAGE]", "page: [ML_ALERT_PAGE, ML_ALERT_DIGEST]")
    channel.status = 500
    refused(project)
    tell(project)
    assert len(mail.kept) == 1
    assert state(project).undelivered[0].waiting == ["ML_ALERT_PAGE"]
    channel.status = 200
    tell(project)
    assert len(mail.kept) == len(channel.posted) == 1


@pytest.mark.slow
def test_what_waits_goes_where_operations_yaml_says_now(
    project: Project, channel: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel.status = 500
    refused(project)
    tell(project)
    channel.status = 200
    monkeypatch.setenv("ANOTHER", channel.address)
    project.edit("operations.yaml", "page: [ML_ALERT_PAGE]", "page: [ANOTHER]")
    tell(project)
    assert len(channel.posted) == 1 and state(project).undelivered == []


def test_a_mistake_in_the_run_pages(project: Project, channel: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: Any, **__: Any) -> None:
        raise ValueError("a mistake")

    monkeypatch.setattr(daily, "realised", mistaken)
    assert project.ml("run", "--date", str(DAY - timedelta(days=5))).code == 0
    with pytest.raises(ValueError, match="a mistake"):
        project.ml("run", "--date", str(DAY))
    assert any("RUN001" in page["title"] for page in channel.posted)


@pytest.fixture
def switch(project: Project, channel: Hook, monkeypatch: pytest.MonkeyPatch) -> Hook:
    project.edit("operations.yaml", "  # ping: ML_PING_URL", "  ping: ML_PING_URL")
    monkeypatch.setenv("ML_PING_URL", channel.url)
    return channel


def test_the_switch_hears_how_the_newest_day_went(project: Project, switch: Hook) -> None:
    assert project.ml("run", "--date", str(DAY)).code == 0
    assert switch.pings == ["/ping"]
    assert "dead-man's switch, 2026-06-03 10:00 UTC: fine" in project.ml("alerts").out
    project.drop("parcels", DAY, b"cut")
    assert project.ml("run", "--date", str(DAY)).code == 3
    assert switch.pings == ["/ping", "/ping/fail"]
    assert project.ml("run", "--date", str(DAY - timedelta(days=1))).code == 0
    assert len(switch.pings) == 2, "an old day says nothing about this morning's run"


def test_the_switch_hears_nothing_while_a_retry_may_mend_it(project: Project, switch: Hook) -> None:
    write(project, DAY, attempt(DAY, steps(DAY)[:1], "late", exit=4))
    tell(project, now=datetime(2026, 6, 3, 8, tzinfo=UTC))
    assert switch.pings == []
    tell(project, now=datetime(2026, 6, 3, 9, tzinfo=UTC))
    assert switch.pings == ["/ping/fail"]


def test_the_switch_hears_it_when_a_page_did_not_get_through(
    project: Project, switch: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_ALERT_PAGE", "")
    refused(project, DAY - timedelta(days=1))
    write(project, DAY, attempt(DAY, steps(DAY), exit=0))
    tell(project)
    assert switch.pings == ["/ping/fail"]


def test_what_calls_the_run_pings_alone(project: Project, switch: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PING_URL", switch.url)
    assert project.ml("run", "--date", str(DAY)).code == 0
    assert switch.pings == []


@pytest.mark.parametrize("how", ["500", "refuses", "unset"])
def test_a_switch_that_fails_is_told_and_breaks_nothing(
    how: str, project: Project, switch: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "500":
        switch.status = 500
    else:
        monkeypatch.setenv("ML_PING_URL", f"http://127.0.0.1:{free_port()}/s3cret" if how == "refuses" else "")
    assert project.ml("run", "--date", str(DAY)).code == 0
    ran = project.ml("alerts")
    assert "dead-man's switch, 2026-06-03 10:00 UTC: did not get through: " in ran.out
    assert "s3cret" not in ran.out
    assert project.ml("status", "--date", str(DAY)).code == 0, "the switch tells by itself that no ping came"


@pytest.mark.slow
def test_a_test_alert_is_kept_where_readiness_looks_for_it(
    project: Project, channel: Hook, mail: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def route() -> tuple[str, str]:
        lines = project.ml("ready", "--json").json["lines"]
        return next((line["result"], line["seen"]) for line in lines if line["name"] == "the alert route was tested")

    refused(project)  # the newest attempt of a day stays the newest
    assert route() == ("not yet", "there is none in the ledger")
    channel.status = 500
    ran = project.ml("alerts", "test")
    assert ran.code == 1 and ran.out.startswith("NOT SENT\n") and "ML_ALERT_DIGEST  arrived" in ran.out
    assert route()[0] == "not yet"
    channel.status = 200
    ran = project.ml("alerts", "test")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("SENT\n")
    assert channel.posted[0]["title"].endswith("test: nothing is wrong")
    assert len(mail.kept) == 2
    assert route() == ("yes", "2026-06-03: ML_ALERT_PAGE: arrived; ML_ALERT_DIGEST: arrived")
    assert project.ml("status", "--date", str(DAY), "--json").json["state"] == "refused"
    project.edit("operations.yaml", "page: [ML_ALERT_PAGE]", "page: [ANOTHER]")
    assert route()[0] == "not yet" and "none was sent to ANOTHER" in route()[1]
    project.edit("operations.yaml", "page: [ANOTHER]", "page: []")
    assert route() == ("no", "nobody is told: alerts.page in operations.yaml is empty")


@pytest.mark.slow
def test_a_test_alert_sends_first_what_waits(project: Project, channel: Hook) -> None:
    channel.status = 500
    refused(project)
    tell(project)
    channel.status = 200
    assert project.ml("alerts", "test").code == 0
    assert ["DATA001" in page["title"] for page in channel.posted] == [True, False]
    assert state(project).undelivered == []


@pytest.mark.slow
def test_in_a_bucket_it_is_the_same(in_bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project = in_bucket.project if hasattr(in_bucket, "project") else in_bucket
    project.edit("operations.yaml", "  page: [] ", "  page: [ML_ALERT_PAGE] ")
    with hook() as listening:
        monkeypatch.setenv("ML_ALERT_PAGE", listening.address)
        refused(project)
        started = [threading.Thread(target=tell, args=(project,)) for _ in range(2)]
        for one in started:
            one.start()
        for one in started:
            one.join()
        assert len(listening.posted) == 1
        assert project.ml("alerts", "ack", "1").code == 0
        assert project.ml("status", "--date", str(DAY)).code == 0
