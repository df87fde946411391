"""Each schedule of a project is run by its own scheduler: from PyPI, from Debian, scripts/run_workflow.py.

Schedulers live in environments of their own. Stood in for (tests/stand_ins): `gh`, and `uv` where it has to
leave with an exit code of the test's choice; every other call runs the real `ml` in a project that has a
champion. Hours and pauses that nobody can wait for are edited in the project's copy, and nothing else is.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import bump
import pytest
from conftest import STAND_INS, TEMPLATE, Project, bake_into, commit, free_port, git, run, run_in_ci
from surroundings import surroundings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("schedules"),
    pytest.mark.skipif(sys.platform != "linux", reason="schedulers of Linux"),
]
PATIENCE = 300  # seconds for a scheduler to do what it should
REFUSED, NOT_YET = 3, 4


@dataclass(frozen=True)
class Scene:
    """A project, what its schedule is answered when it calls `uv`, and the scheduler's environment."""

    project: Project
    state: Path
    programs: Path
    env: dict[str, str] = field(default_factory=dict)

    def answer(self, word: str, *codes: int) -> None:
        """The next calls that end in ``word`` leave with these exit codes; after that they are real."""
        (self.state / "answers" / word).write_text("".join(f"{code}\n" for code in codes), encoding="utf-8")

    def calls(self) -> list[str]:
        """What was asked of `ml`, in order."""
        said = self.state / "calls"
        lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
        return [line.partition(" ml ")[2] for line in lines if " ml " in line]

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.project.text(name)
        assert text.count(old) == 1, f"{name} does not say {old!r} once"
        (self.project.path / name).write_text(text.replace(old, new), encoding="utf-8")

    def ended(self, day: date | str) -> list[str]:
        """How each attempt of a day ended, by the ledger."""
        record = self.project.path / "var" / "ledger" / "daily" / f"{day}.json"
        if not record.exists():
            return []
        attempts = json.loads(record.read_text(encoding="utf-8"))["attempts"]
        return [f"{one['outcome']} {one['model_version']}" for one in attempts]

    def surroundings(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.state / "bin"), surroundings()["PATH"]])
        return surroundings() | {"PATH": path, "STAND_INS": str(self.state), "NO_COLOR": "1"} | self.env

    def run(self, program: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(self.programs / program), *words]
        return run(*command, cwd=self.project.path, env=self.surroundings(), check=check)

    def log(self, program: str) -> Path:
        return self.state / f"{program}.log"

    @contextmanager
    def running(self, program: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A scheduler's service, ended at the end; its log is shown when the test fails."""
        log = self.log(f"{program} {words[0]}")
        with log.open("wb") as said:
            service = subprocess.Popen(
                [str(self.programs / program), *words],
                cwd=self.project.path,
                env=self.surroundings(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            try:
                yield service
            except BaseException:
                print(log.read_text(encoding="utf-8", errors="replace")[-4000:])
                raise
            finally:
                service.terminate()
                service.wait(timeout=60)


def until(wanted: Callable[[], Any], *services: subprocess.Popen[bytes]) -> Any:
    """What ``wanted`` says once it says anything; fails when a service ends, or patience does."""
    end = time.monotonic() + PATIENCE
    while not (found := wanted()):
        assert time.monotonic() < end, "it did not happen"
        assert all(service.poll() is None for service in services), "a service ended"
        time.sleep(0.25)
    return found


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a champion, `hours/1`, trained in seconds. Look, do not touch."""
    project = bake_into(tmp_path_factory.mktemp("trained"), {})
    smoke = project.text("configs/smoke.yaml").replace("name: smoke", "name: hours")
    (project.path / "configs" / "hours.yaml").write_text(smoke, encoding="utf-8")
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "Start")
    project.run(
        "uv", "run", "--locked", "ml", "ingest", "--config", "configs/hours.yaml", "--date", "2026-05-31"
    )
    project.run("uv", "run", "ml", "train", "--config", "configs/hours.yaml")
    project.run(
        "uv", "run", "ml", "promote", "1", "--force", "--reason", "there is nothing to compare it with"
    )
    return project


@pytest.fixture
def scene(trained: Project, tmp_path: Path) -> Scene:
    """A copy of the project; the first call of `uv` makes its environment anew."""
    state, copied = tmp_path / "state", tmp_path / "project"
    (state / "answers").mkdir(parents=True)
    (state / "bin").mkdir()
    (state / "bin" / "uv").symlink_to(STAND_INS / "uv")
    shutil.copytree(trained.path, copied, ignore=shutil.ignore_patterns(".venv"))
    return Scene(Project(copied), state, tmp_path / "environment" / "bin")


def install(scene: Scene, scheduler: str) -> None:
    """A scheduler's environment, made as docs/schedules.md says."""
    folder, pins = str(scene.programs.parent), str(TEMPLATE / "deploy" / scheduler / "requirements.txt")
    run("uv", "venv", "--quiet", "--python", sys.executable, folder, cwd=scene.state)
    run("uv", "pip", "install", "--quiet", "--python", folder, "-r", pins, cwd=scene.state)


def test_the_pins_of_a_scheduler_are_what_its_script_asks_for():
    before = {path: path.read_bytes() for path in (TEMPLATE / "deploy").glob("*/requirements.txt")}
    assert len(before) == len(bump.SCHEDULERS) == 2
    for script in bump.SCHEDULERS:
        bump.pin_beside(script, upgrade=False)
    assert {path: path.read_bytes() for path in before} == before, "run `make lock`"


# Airflow


def ask(address: str, token: str = "") -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urlopen(Request(address, headers=headers), timeout=30) as answer:  # noqa: S310 (loopback)
        return json.load(answer)


def airflow_settings(scene: Scene, port: int) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(scene.state / "airflow"),
        # Three programs write to one SQLite; 5 s, its default, is too short a wait on a busy machine.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{scene.state}/airflow.db?timeout=120",
        "AIRFLOW__CORE__DAGS_FOLDER": str(scene.project.path / "deploy" / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
    }


def tries(api: str) -> dict[str, tuple[str, int]]:
    """Each day's state and the number of its tries; nothing while the API is away."""
    try:
        token = ask(f"{api}/auth/token")["access_token"]
        found = ask(f"{api}/api/v2/dags/ml_daily/dagRuns/~/taskInstances?task_id=run", token)
    except URLError:
        return {}
    return {one["logical_date"][:10]: (one["state"], one["try_number"]) for one in found["task_instances"]}


def test_airflow_makes_up_for_days_and_retries_only_what_is_not_there_yet(scene: Scene):
    """The scheduler itself, with its database, its API and its executor."""
    today, port = datetime.now(UTC).date(), free_port()
    late, refused, last = (str(today - timedelta(days=days)) for days in (3, 2, 1))
    scene.env.update(airflow_settings(scene, port))
    first = f"datetime({late[:4]}, {int(late[5:7])}, {int(late[8:])}, tzinfo=UTC)"
    scene.edit("deploy/airflow/daily.py", "datetime(2026, 6, 1, tzinfo=UTC)", first)
    scene.edit("deploy/airflow/daily.py", "timedelta(minutes=15)", "timedelta(seconds=1)")
    scene.answer(late, NOT_YET)
    scene.answer(refused, REFUSED)
    scene.answer(last, 0)
    scene.answer("2026-06-01", 0)
    install(scene, "airflow")
    scene.run("airflow", "db", "migrate")
    scene.run("airflow", "dags", "reserialize")

    api = f"http://127.0.0.1:{port}"
    serve = ("api-server", "--host", "127.0.0.1", "--port", str(port))
    with scene.running("airflow", *serve) as server:

        def over(*days: str) -> dict[str, tuple[str, int]]:
            """What became of these days, once all of them are over."""
            found = {day: seen for day, seen in tries(api).items() if day in days}
            ended = [day for day, (state, _) in found.items() if state in ("success", "failed")]
            return found if len(ended) == len(days) else {}

        with scene.running("airflow", "scheduler") as scheduler:
            until(lambda: len(scene.calls()) >= 3, server, scheduler)
            seen = until(lambda: over(late, refused), server, scheduler)
            assert seen == {late: ("success", 2), refused: ("failed", 1)}
            assert scene.calls()[:3] == [f"run --date {day}" for day in (late, late, refused)]
            assert scene.ended(late) == ["ok hours/1"], "the second try was the real one"

        days = ("2026-06-01", "2026-06-02")  # before FIRST_DAY, both ends
        span = ("--from-date", days[0], "--to-date", days[1])
        # While no scheduler runs: SQLite refuses the second of two writers.
        scene.run("airflow", "backfill", "create", "--dag-id", "ml_daily", *span)
        with scene.running("airflow", "scheduler") as scheduler:
            assert set(until(lambda: over(*days), server, scheduler).values()) == {("success", 1)}
    assert [call for call in scene.calls() if "2026-06" in call] == [f"run --date {day}" for day in days]
    assert scene.ended("2026-06-02") == ["ok hours/1"]


# Dagster


def test_dagster_runs_at_its_hour_and_retries_only_what_is_not_there_yet(scene: Scene):
    """The daemon fires the schedule; the command line materializes a day and a range."""
    home, name = scene.state / "dagster", "deploy/dagster/daily.py"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    scene.env.update(DAGSTER_HOME=str(home))
    scene.edit(name, "15 * 60", "1")
    scene.answer("2026-06-03", REFUSED, 0)
    scene.answer("2026-06-02", NOT_YET)
    install(scene, "dagster")
    materialize = ("dagster", "asset", "materialize", "-f", name, "--select", "ml_day")
    refused = scene.run(*materialize, "--partition", "2026-06-03", check=False)
    assert refused.returncode == 1 and "exit 3, which no retry mends" in refused.stdout
    assert scene.calls() == ["run --date 2026-06-03"]
    span = scene.run(*materialize, "--partition-range", "2026-06-01...2026-06-02")
    assert span.stdout.count("ASSET_MATERIALIZATION") == 2
    assert scene.calls()[1:] == ["backfill --from 2026-06-01 --to 2026-06-02"] * 2
    assert scene.ended("2026-06-01") == scene.ended("2026-06-02") == ["ok hours/1"]

    tick = (datetime.now(UTC) + timedelta(seconds=120)).replace(second=0)
    yesterday = str(tick.date() - timedelta(days=1))
    scene.edit(name, "hour_of_day=HOUR", f"hour_of_day={tick.hour}, minute_of_hour={tick.minute}")
    scene.answer(yesterday, NOT_YET)
    with scene.running("dagster-daemon", "run", "-f", name) as daemon:
        until(lambda: "RUN_SUCCESS" in scene.log("dagster-daemon run").read_text("utf-8"), daemon)
    assert scene.calls()[3:] == [f"run --date {yesterday}"] * 2
    assert scene.ended(yesterday) == ["ok hours/1"]


# cron


class Switch(ThreadingHTTPServer):
    """A dead-man's switch on loopback: keeps the paths of its pings."""

    def __init__(self) -> None:
        pings: list[str] = []
        self.pings = pings

        class Ping(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pings.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Ping)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


@pytest.fixture
def switch() -> Iterator[Switch]:
    with Switch() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """cron(text) gives this user a crontab under a real daemon; what was there before comes back."""
    if not shutil.which("cron"):
        if os.geteuid() or not shutil.which("apt-get"):
            pytest.skip("no cron here, and no right to install it")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        packages = ["apt-get", "install", "--yes", "--no-install-recommends", "cron"]
        if run(*packages, cwd=tmp_path, env=quiet, check=False).returncode:
            run("apt-get", "update", cwd=tmp_path, env=quiet)
            run(*packages, cwd=tmp_path, env=quiet)
    table, daemon = tmp_path / "crontab", None
    before = run("crontab", "-l", cwd=tmp_path, check=False)
    runs = run("pgrep", "-x", "cron", cwd=tmp_path, check=False).returncode == 0
    if not runs and os.geteuid():
        pytest.skip("cron is not running, and only root may start it")

    def give(text: str) -> None:
        nonlocal daemon
        table.write_text(text, encoding="utf-8")
        run("crontab", str(table), cwd=tmp_path)
        daemon = None if runs else subprocess.Popen(["cron", "-f"])

    yield give
    run("crontab", "-r", cwd=tmp_path, check=False)
    if before.returncode == 0:
        table.write_text(before.stdout, encoding="utf-8")
        run("crontab", str(table), cwd=tmp_path)
    if daemon:
        daemon.terminate()
        daemon.wait(timeout=30)


def with_values(crontab: str, values: Mapping[str, str]) -> str:
    lines = crontab.splitlines()
    for name, value in values.items():
        [place] = [number for number, line in enumerate(lines) if line.startswith(f"{name}=")]
        lines[place] = f"{name}={value}"
    return "\n".join(lines) + "\n"


def test_cron_pings_the_switch_whatever_becomes_of_the_run(
    trained: Project, scene: Scene, cron: Callable[[str], None], switch: Switch
):
    """The file that is shipped, twice in one crontab: a run that is fine, and one that is refused."""
    shutil.rmtree(scene.project.path / "var")  # the champion is elsewhere, and only .env says where
    registry = f"MLFLOW_TRACKING_URI=sqlite:///{trained.path}/var/registry/mlflow.db\n"
    (scene.project.path / ".env").write_text(registry, encoding="utf-8")
    shipped, at = scene.project.text("deploy/cron/crontab"), '0 6 * * * "$PROJECT/deploy/cron/ml-daily"'
    assert shipped.count(at) == 1
    soon = datetime.now() + timedelta(seconds=70)  # noqa: DTZ005 (cron knows no other)
    values = {"PROJECT": str(scene.project.path), "PATH": scene.surroundings()["PATH"]}
    text = f"STAND_INS={scene.state}\nHOME={os.environ['HOME']}\n"
    for name, words in {"fine": "", "refused": " --date 2026-06-02"}.items():
        table = with_values(shipped, values | {"PING_URL": switch.url(name)})
        text += table.replace(at, at.replace("0 6", f"{soon.minute} {soon.hour}") + words)
    scene.answer("2026-06-02", REFUSED)
    cron(text)
    until(lambda: len(switch.pings) == 2)
    assert sorted(switch.pings) == ["/fine", "/refused/fail"]
    assert sorted(scene.calls()) == ["run --wait", "run --wait --date 2026-06-02"]
    assert scene.ended(datetime.now(UTC).date() - timedelta(days=1)) == ["ok hours/1"]


def test_what_cron_calls_ends_as_the_run_does_and_speaks_only_of_failures(scene: Scene):
    script, log = str(scene.project.path / "deploy" / "cron" / "ml-daily"), "var/log/daily.log"
    scene.answer("--wait", 0, REFUSED)
    said = {
        code: run(script, cwd=scene.state, env=scene.surroundings(), check=False) for code in (0, REFUSED)
    }
    assert [done.returncode for done in said.values()] == [0, REFUSED]
    assert said[0].stdout == "", "cron mails whatever is said"
    assert said[REFUSED].stdout == f"ml run: exit 3, see {scene.project.path}/{log}\n"
    lines = scene.project.text(log).splitlines()
    assert [line.partition("Z ")[2] for line in lines if "Z " in line] == [
        "ml run --wait ", "exit 0", "ml run --wait ", "exit 3",
    ]  # fmt: skip


# GitHub


def daily(scene: Scene, *stand_ins: str, day: str = "", **secrets: str) -> subprocess.CompletedProcess[str]:
    """daily.yml on what is committed."""
    secrets = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "PING_URL": ""} | secrets
    names = (
        "MLFLOW_TRACKING_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "ML_ALERT_PAGE",
        "ML_ALERT_DIGEST",
    )
    values = {f"secrets.{name}": "" for name in names} | {
        "github.repository": "example-org/parcel-eta",
        "github.server_url": "https://github.example",
        "github.run_id": "77",
        "github.token": "stand-in",
        "inputs.day": day,
    }
    for name, value in secrets.items():
        values |= {f"secrets.{name}": value, f"env.{name}": value}
    programs = [STAND_INS / name for name in ("gh", *stand_ins)]
    return run_in_ci(scene.project, "daily.yml", values, stand_in=programs, state=scene.state)


def issues(scene: Scene) -> list[dict[str, Any]]:
    kept = scene.state / "github.json"
    return json.loads(kept.read_text("utf-8"))["issues"] if kept.exists() else []


def test_a_machine_that_is_thrown_away_leaves_the_day_in_a_bucket(
    trained: Project, scene: Scene, switch: Switch, monkeypatch: pytest.MonkeyPatch
):
    """Twice the same day: the second clone finds what the first one left."""
    port = free_port()
    bucket = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "not-to-be-told"}
    reached = {"AWS_ENDPOINT_URL": bucket, "AWS_ALLOW_HTTP": "true", "NO_PROXY": "127.0.0.1"}
    for name, value in reached.items():
        monkeypatch.setenv(name, value)
    scene.edit("operations.yaml", "  data: data ", "  data: s3://days/data ")
    scene.edit("operations.yaml", "  ledger: var/ledger ", "  ledger: s3://days/ledger ")
    commit(scene.project, "A bucket")
    registry = f"sqlite:///{trained.path}/var/registry/mlflow.db"
    played = Scene(scene.project, scene.state, trained.path / ".venv" / "bin")
    with played.running("moto_server", "--host", "127.0.0.1", "--port", str(port)) as moto:

        def made() -> bool:
            try:
                return urlopen(Request(f"{bucket}/days", method="PUT"), timeout=30).status == 200  # noqa: S310
            except URLError:
                return False

        until(made, moto)
        told = {"MLFLOW_TRACKING_URI": registry, "PING_URL": switch.url("daily"), **keys}
        for attempt in (1, 2):
            done = daily(scene, day="2026-06-01", **told)
            assert done.returncode == 0, done.stdout
            assert f"{attempt} ok" in done.stdout, "the ledger of both is in the status that both show"
    assert not (trained.path / "var" / "ledger").exists(), "the registry is all that is shared"
    assert switch.pings == ["/daily"] * 2 and not issues(scene)
    for step in ("run / Run", "run / Status", "run / Ping", "tell / Open the issue, or add to it"):
        assert f"ok       {step}" in done.stdout
    assert "skipped  run / Keep the record  (uses actions/upload-artifact@" in done.stdout


def test_a_page_opens_one_issue_and_what_follows_adds_to_it(scene: Scene, switch: Switch):
    told = {"PING_URL": switch.url("daily")}
    for word, codes in {"--locked": [0] * 3, "--json": [REFUSED, 1, 0], "status.html": [1, 1, 0]}.items():
        scene.answer(word, *codes)
    done = daily(scene, "uv", day="2026-06-01", **told)
    assert done.returncode == REFUSED and "FAILED   run / Run" in done.stdout
    assert "skipped  run / Ping" in done.stdout and not switch.pings
    [issue] = issues(scene)
    assert issue["title"] == "The daily run needs a person" and issue["comments"] == []
    assert issue["body"].startswith("<!-- daily run -->\nThe run of 2026-06-01: failure. [Its log]")
    assert "(https://github.example/example-org/parcel-eta/actions/runs/77)" in issue["body"]
    assert "the stand-in for uv leaves with 1" in issue["body"], "what `ml status` said"

    assert daily(scene, "uv", day="2026-06-02", **told).returncode == 1
    [issue] = issues(scene)
    assert len(issue["comments"]) == 1 and "The run of 2026-06-02: failure." in issue["comments"][0]

    done = daily(scene, "uv", **told)
    yesterday = str(datetime.now(UTC).date() - timedelta(days=1))
    assert done.returncode == 0 and switch.pings == ["/daily"]
    [issue] = issues(scene)
    assert issue["comments"][1:] == [f"The run of {yesterday} is fine. Close this when every day above is.\n"]
    assert [call for call in scene.calls() if call.startswith("run")] == [
        f"run --date {day} --wait --json" for day in ("2026-06-01", "2026-06-02", yesterday)
    ]


def test_a_run_that_could_not_begin_is_a_page_too(scene: Scene):
    scene.answer("--locked", 2)
    scene.answer("status.html", 1)
    assert daily(scene, "uv", day="2026-06-01").returncode == 2
    [issue] = issues(scene)
    assert "The run of 2026-06-01: failure." in issue["body"]


def test_a_project_without_a_registry_runs_nothing_and_opens_no_issue(scene: Scene):
    done = daily(scene, "uv", MLFLOW_TRACKING_URI="")
    assert done.returncode == 0 and "::notice::no shared registry" in done.stdout
    assert "nothing was run\n" in done.stdout
    assert not scene.calls() and not issues(scene)
