"""The readiness list: what is so is a yes, what is not is none, and nothing becomes one by being written down."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import dataframely as dy
import pytest
from records import attempt, broken, fine, steps, write
from test_outside import answering
from test_secrets import secrets

from {{cookiecutter.package_name}} import contract
from {{cookiecutter.package_name}}.contract import CONTRACT, Parcels
from {{cookiecutter.package_name}}.operations import ready_model
from {{cookiecutter.package_name}}.operations.ledger import Outcome, Step
from {{cookiecutter.package_name}}.operations.readiness import CHECKS, Line, looked
from {{cookiecutter.package_name}}.operations.subject import Subject
from {{cookiecutter.package_name}}.spec import about

from conftest import ROOT, Project

NOW = datetime(2026, 6, 16, 10, tzinfo=UTC)
LAST = date(2026, 6, 15)


def line(project: Project, words: str) -> Line:
    """The one line whose name has these words."""
    (check,) = [check for check in CHECKS if words in check.name]
    return looked(check, Subject(project.paths, NOW))


def git(project: Project, *words: str) -> None:
    who = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=project.paths.root, check=True, capture_output=True)


def repository(project: Project) -> None:
    shutil.copyfile(ROOT / ".gitignore", project.paths.root / ".gitignore")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Start")


def days(project: Project, count: int) -> None:
    for back in range(count):
        fine(project, LAST - timedelta(days=back))


def second(project: Project) -> None:
    """Another version, and the champion of the two."""
    project.edit("configs/hours.yaml", "seed: ", "seed: 1")
    assert project.ml("train", "--config", "configs/hours.yaml").code == 0
    assert project.overrule("2").code == 0


def test_a_new_project_is_not_ready_and_says_why(project: Project) -> None:
    ran = project.ml("ready")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.startswith("NOT READY  14 lines: ")
    told = project.ml("ready", "--json").json
    assert told["ready"] is False
    assert len(told["lines"]) == 14
    assert all(item["how"] and item["seen"] for item in told["lines"])
    assert {item["result"] for item in told["lines"]} == {"no", "not yet", "not applicable"}
    first = told["lines"][0]
    assert (first["result"], first["seen"]) == ("not yet", "no version of hours was ever promoted")
    assert first["next"].startswith("ml train --config configs/v1.yaml")


def test_an_owner_is_none_that_the_template_suggested(project: Project) -> None:
    def team(name: str, email: str) -> None:
        lines = (ROOT / "operations.yaml").read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith(("  team:", "  email:"))]
        kept.insert(kept.index("owner:") + 1, f'  team: "{name}"\n  email: "{email}"')
        project.paths.operations.write_text("\n".join(kept), encoding="utf-8")

    owners = project.paths.root / "CODEOWNERS"
    for name, email in (("@example-org/ml-team", "eta@acme.io"), ("@acme/eta", "you@example.com"), ("", "eta@acme.io")):
        team(name, email)
        owners.write_text(f"* {name}\n", encoding="utf-8")
        assert line(project, "owns").result == "no"
    team("@acme/eta", "eta@acme.io")
    for text in ("", "# * @acme/eta\n", "* @acme/other\n", "docs/ @acme/eta\n", "* @acme/eta\n* @acme/other\n"):
        owners.write_text(text, encoding="utf-8")
        assert line(project, "owns").result == "no", text
    owners.write_text("* @acme/other\n*  @acme/lead @acme/eta # all of it\n", encoding="utf-8")
    assert line(project, "owns").result == "yes"
    owners.unlink()
    assert line(project, "owns").seen == "there is no CODEOWNERS"


def test_secrets_are_looked_for_in_what_git_would_publish(project: Project) -> None:
    assert line(project, "secrets").result == "not yet"
    repository(project)
    assert line(project, "secrets").result == "yes"
    for name, text in secrets().items():
        (project.paths.root / name).write_text(text, encoding="utf-8")
        assert line(project, "secrets").result == "yes"  # git does not have it
        git(project, "add", name)
        seen = line(project, "secrets")
        assert seen.result == "no" and name in seen.seen
        assert not [word for word in text.splitlines()[1:-1] if word in seen.seen], "the secret is shown"
        git(project, "rm", "--quiet", "--cached", name)
    (project.paths.root / ".env").write_text("A=b\n", encoding="utf-8")
    git(project, "add", "--force", ".env")
    assert line(project, "secrets").seen == "git tracks .env"
    git(project, "rm", "--quiet", "--cached", ".env")
    project.edit("operations.yaml", "path: data/upstream", "path: s3://ada:lovelace@bucket")
    assert line(project, "secrets").result == "no"


def test_another_repository_around_the_project_says_nothing(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert line(Project.new(tmp_path / "inside"), "secrets").result == "not yet"


@pytest.mark.parametrize("words", ["data quality", "runs come"])
def test_a_week_of_runs_is_what_the_ledger_says(words: str, project: Project) -> None:
    assert line(project, words).seen.startswith("nothing was ever run; 0 of the last 7 days")
    days(project, 3)
    assert line(project, words).result == "not yet"
    days(project, 9)
    assert line(project, words).result == "yes"
    (project.paths.root / "var" / "ledger" / "daily" / f"{LAST - timedelta(days=2)}.json").unlink()
    assert (line(project, words).result, line(project, words).seen) == ("no", "not on 2026-06-13")


def test_days_that_somebody_made_up_for_did_not_come_by_themselves(project: Project) -> None:
    days(project, 9)
    write(project, LAST, attempt(LAST, steps(LAST), at=time(9, 30)))
    assert line(project, "runs come").seen == "not on 2026-06-15"
    assert line(project, "data quality").result == "yes"


def test_a_refused_day_was_watched_and_a_missing_one_was_not(project: Project) -> None:
    days(project, 9)
    broken(project, LAST, "refused", "DATA001", "no")
    assert line(project, "data quality").result == "yes"
    broken(project, LAST, "late", "FRESH001", "not there")
    assert line(project, "data quality").result == "no"


def test_the_day_before_its_deadline_is_not_missed_yet(project: Project) -> None:
    days(project, 9)
    early = datetime(2026, 6, 17, 3, tzinfo=UTC)  # the 16th is over, and not due yet
    (check,) = [check for check in CHECKS if "data quality" in check.name]
    assert looked(check, Subject(project.paths, early)).result == "yes"


def test_drift_is_watched_when_the_monitor_says_so_and_latency_where_a_server_is(project: Project) -> None:
    days(project, 9)
    assert line(project, "drift").result == "no", "the monitor says nothing at all"
    for state, expected in (("learning", "not yet"), ("over budget", "not yet"), ("armed", "yes")):
        for back in range(7):
            day = LAST - timedelta(days=back)
            done = steps(day)
            done[4].facts |= {"state": state, "watched": 40}
            write(project, day, attempt(day, done))
        assert line(project, "drift").result == expected
    assert line(project, "latency").result == "not applicable"
    served = project.paths.serving / "hours" / "champion.json"
    served.parent.mkdir(parents=True)
    served.write_text("{}", encoding="utf-8")
    assert line(project, "latency").result == "not yet"


RULE = {"name": "LatencyHigh", "query": "ml_request_seconds_count > 1", "health": "ok", "state": "inactive"}
RULE["lastEvaluation"] = "2026-06-16T09:59:55.123456789Z"


@pytest.mark.parametrize(
    ("rule", "servers", "result", "words"),
    [
        (RULE, "2", "yes", "LatencyHigh at http://***@127.0.0.1:{port}, evaluated 2026-06-16 09:59 UTC on 2 servers"),
        (RULE | {"state": "firing"}, "1", "yes", "on 1 server; it fires"),
        (RULE, None, "no", "it reads no server"),
        (RULE | {"query": "up == 0"}, "1", "no", "has no rule that asks for ml_request_seconds"),
        (RULE | {"health": "unknown"}, "1", "not yet", "was not evaluated: unknown"),
        (RULE | {"health": "err", "lastError": "many-to-many"}, "1", "not yet", "was not evaluated: many-to-many"),
        (None, "1", "no", "answers, but not as Prometheus does"),
    ],
)
def test_latency_is_watched_when_a_prometheus_says_that_it_evaluates_the_rule(
    rule: dict[str, str] | None,
    servers: str | None,
    result: str,
    words: str,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = project.paths.serving / "hours" / "champion.json"
    served.parent.mkdir(parents=True)
    served.write_text("{}", encoding="utf-8")

    def answer(handler: BaseHTTPRequestHandler) -> None:
        rules = {"groups": [{"rules": [rule]}] if rule else None}
        counted = {"result": [{"value": [0, servers]}] if servers else []}
        data = rules if handler.path.startswith("/api/v1/rules") else counted
        body = json.dumps({"status": "success", "data": data}) if rule else "<html>a proxy</html>"
        prometheus.saying(200, body.encode())(handler)

    with answering() as prometheus:
        prometheus.how = answer
        port = prometheus.server.server_port
        monkeypatch.setenv("ML_PROMETHEUS_URL", f"http://ada:lovelace@127.0.0.1:{port}/")
        told = line(project, "latency")
    assert told.result == result and words.format(port=port) in told.seen and "lovelace" not in told.seen
    assert bool(told.next) == (result != "yes")


def test_incidents_are_answered_when_each_code_has_a_heading_and_none_is_open(project: Project) -> None:
    days(project, 14)
    assert line(project, "incidents").seen == "there is no docs/runbook.md"
    page = project.paths.root / "docs" / "runbook.md"
    page.parent.mkdir()
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    page.write_text(text.replace("### DATA001 refused", "### DATA001 a refusal"), encoding="utf-8")
    assert line(project, "incidents").seen == "docs/runbook.md has no heading for DATA001"
    page.write_text(text, encoding="utf-8")
    assert line(project, "incidents").result == "yes"
    broken(project, LAST, "refused", "DATA001", "no")
    assert line(project, "incidents").seen.endswith("still open: 2026-06-15")


@pytest.mark.parametrize(("words", "step"), [("alert route", "test alert"), ("restore", "rehearse restore")])
def test_a_rehearsal_counts_when_it_ended_well(words: str, step: str, project: Project) -> None:
    fine(project, LAST)
    project.edit("operations.yaml", "  page: [] ", "  page: [ML_ALERT_PAGE] ")
    assert line(project, words).result == "not yet"
    outcomes: list[tuple[Outcome, str]] = [("failed", "not yet"), ("ok", "yes")]
    for outcome, result in outcomes:
        begun = datetime.combine(LAST, time(8), UTC)
        rehearsal = Step(name=step, started=begun, ended=begun, outcome=outcome, said="it arrived")
        rehearsal.facts = {"channels": {"ML_ALERT_PAGE": "arrived"}}
        write(project, LAST, attempt(LAST, [*steps(LAST), rehearsal]))
        assert line(project, words).result == result


def test_the_interface_has_a_version_that_means_something(promoted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(promoted, "interface").seen == "hours/1 and contract.py: version 1, the same 9 columns"

    class Heavier(Parcels):
        weight_g = dy.Float64(min=1, max=90_000, metadata=about("weight", unit="g", example=1.0))

    changed = dataclasses.replace(CONTRACT, rows=dataclasses.replace(CONTRACT.rows, schema=Heavier))
    monkeypatch.setattr(contract, "CONTRACT", changed)
    told = line(promoted, "interface")
    assert told.result == "no"
    assert "still calls itself version 1, but has other columns: weight_g" in told.seen
    monkeypatch.setattr(contract, "CONTRACT", dataclasses.replace(changed, version="2"))
    assert line(promoted, "interface").result == "yes"


def test_training_is_documented_when_the_card_lacks_nothing(promoted: Project) -> None:
    assert line(promoted, "documented").result == "yes"
    text = promoted.paths.operations.read_text(encoding="utf-8")
    email = next(line for line in text.splitlines() if line.startswith("  email:"))
    promoted.edit("operations.yaml", email, '  email: ""')
    told = line(promoted, "documented")
    assert told.result == "no" and "Owner" in told.seen


def test_what_was_trained_outside_git_cannot_be_traced(promoted: Project) -> None:
    told = line(promoted, "reproducible")
    assert told.result == "no" and "outside git" in told.seen


@pytest.mark.slow
def test_a_champion_from_a_clean_commit_with_its_dataset_is_reproducible(ingested: Project) -> None:
    shutil.copyfile(ROOT / "configs" / "smoke.yaml", ingested.paths.root / "configs" / "hours.yaml")
    ingested.edit("configs/hours.yaml", "name: smoke", "name: hours")
    repository(ingested)
    assert ingested.ml("train", "--config", "configs/hours.yaml").code == 0
    assert ingested.overrule("1").code == 0
    told = line(ingested, "reproducible")
    assert told.result == "yes", told.seen
    whole = told.seen.split("; ")[1]
    assert whole.startswith("33 of its 33 partitions") or whole.split()[0] == whole.split()[3]
    manifest = next((ingested.partitions / "parcels").glob("2026-05-2*.json"))
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace('"sha256": "', '"sha256": "0'), encoding="utf-8")
    assert line(ingested, "reproducible").seen.split("; ")[1] != whole
    for frozen in ingested.datasets.glob("*.parquet"):
        frozen.unlink()
    told = line(ingested, "reproducible")
    assert told.result == "no" and "is gone" in told.seen


@pytest.mark.slow
def test_there_is_a_way_back_when_the_version_before_still_holds(promoted: Project) -> None:
    assert line(promoted, "way back").result == "not yet"
    second(promoted)
    told = line(promoted, "way back")
    assert told.result == "yes" and told.seen.startswith("hours/1 served before hours/2")
    shutil.rmtree(promoted.paths.serving)
    assert line(promoted, "way back").result == "yes"
    shutil.rmtree(promoted.paths.serving)
    for pickle in promoted.paths.registry.rglob("model.pkl"):
        pickle.write_bytes(b"damaged")
    assert line(promoted, "way back").result == "no"


@pytest.mark.slow
def test_the_environment_is_the_locks(promoted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(promoted, "environment").result == "no"  # no pyproject.toml: nothing says what belongs here
    for name in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / name, promoted.paths.root / name)
    told = line(promoted, "environment")
    assert told.result == "yes", told.seen
    assert told.seen.endswith("and hours/1 was trained with it")
    lock = promoted.paths.lock_file
    text = lock.read_text(encoding="utf-8")
    lock.write_text(text + "# another lock\n", encoding="utf-8")
    assert "the proof of hours/1 holds: " in line(promoted, "environment").seen
    lock.write_text(text, encoding="utf-8")
    promoted.edit("pyproject.toml", '"numpy>=2.3"', '"numpy>=99"')
    assert line(promoted, "environment").result == "no"
    monkeypatch.setattr(ready_model, "UV", "no-such-program")
    assert "no-such-program" in line(promoted, "environment").seen


@pytest.mark.slow
def test_what_can_be_ready_today_is(ingested: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project in which everything is done that can be done so far: what is left is not there to be done yet."""
    from {{cookiecutter.package_name}} import clock

    root = ingested.paths.root
    for name in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / name, root / name)
    (root / "docs").mkdir()
    shutil.copyfile(ROOT / "docs" / "runbook.md", root / "docs" / "runbook.md")
    lines = ingested.paths.operations.read_text(encoding="utf-8").splitlines()
    for name, value in (("  team:", "@acme/eta"), ("  email:", "eta@acme.io")):
        place = next(number for number, line in enumerate(lines) if line.startswith(name))
        lines[place] = f'{name} "{value}"'
    ingested.paths.operations.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "CODEOWNERS").write_text("* @acme/eta\n", encoding="utf-8")
    ingested.edit("operations.yaml", "  page: [] ", "  page: [ML_ALERT_PAGE] ")
    shutil.copyfile(ROOT / "configs" / "smoke.yaml", root / "configs" / "hours.yaml")
    ingested.edit("configs/hours.yaml", "name: smoke", "name: hours")
    repository(ingested)
    for number, seed in (("1", "seed: 1"), ("2", "seed: 2")):
        ingested.edit("configs/hours.yaml", "seed: ", seed)
        git(ingested, "commit", "--quiet", "--all", "--message", seed)
        assert ingested.ml("train", "--config", "configs/hours.yaml").code == 0
        assert ingested.overrule(number).code == 0
    for back in range(14):
        done = steps(LAST - timedelta(days=back))
        done[4].facts |= {"state": "learning", "watched": 4, "days_to_go": 16}
        write(ingested, LAST - timedelta(days=back), attempt(LAST - timedelta(days=back), done))
    monkeypatch.setattr(clock, "now", lambda: NOW)
    ran = ingested.ml("ready", "--json")
    assert ran.code == 1
    found = {item["name"]: (item["result"], item["seen"]) for item in ran.json["lines"]}
    left = {name for name, (result, _) in found.items() if result == "not yet"}
    assert left == {"drift and errors are watched", "the alert route was tested", "a restore was rehearsed"}
    assert {name: seen for name, (result, seen) in found.items() if result == "no"} == {}
