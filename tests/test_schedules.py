"""Each schedule of a project is run by its own scheduler: from PyPI, from Debian, and scripts/run_workflow.py.

Schedulers live in environments of their own. Stood in for, where a test says so: `uv` (tests/stand_ins/uv leaves
with the exit codes that are wanted; without an answer it is the real one) and `gh`. Hours and pauses that nobody
can wait for are edited in the project's copy of a file, and nothing else is.
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
from urllib.request import Request, urlopen

import bump
import pytest
from conftest import ROOT, TEMPLATE, Project, bake_into, commit, free_port, git, run
from surroundings import surroundings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("schedules"),
    pytest.mark.skipif(sys.platform == "win32", reason="schedulers of Linux"),
]

PATIENCE = 240  # seconds for a scheduler to do what it should


@dataclass(frozen=True)
class Scene:
    """A project, and what its schedule is answered when it calls `uv`."""

    project: Project
    state: Path
    programs: Path  # of the scheduler, if it has any
    env: dict[str, str] = field(default_factory=dict)

    def answer(self, word: str, *codes: int) -> None:
        """The next calls that end in ``word`` leave with these exit codes, and then with 0."""
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

    def surroundings(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.state / "bin"), surroundings()["PATH"]])
        return surroundings() | {"PATH": path, "STAND_INS": str(self.state), "NO_COLOR": "1"} | self.env

    def run(self, program: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(self.programs / program), *words]
        return run(*command, cwd=self.project.path, env=self.surroundings(), check=check)

    def log(self, program: str, word: str) -> Path:
        return self.state / f"{program}-{word}.log"

    @contextmanager
    def running(self, program: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A scheduler's service, ended at the end; its log is shown when the test fails."""
        log = self.log(program, words[0])
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


def installed(scheduler: str, folder: Path) -> Path:
    """The programs of a scheduler, in an environment made as docs/schedules.md says."""
    pins = TEMPLATE / "deploy" / scheduler / "requirements.txt"
    run("uv", "venv", "--quiet", "--python", sys.executable, str(folder), cwd=folder.parent)
    run("uv", "pip", "install", "--quiet", "--python", str(folder), "-r", str(pins), cwd=folder.parent)
    return folder / "bin"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    state = tmp_path / "state"
    (state / "answers").mkdir(parents=True)
    (state / "bin").mkdir()
    (state / "bin" / "uv").symlink_to(STAND_INS / "uv")
    return Scene(bake_into(tmp_path / "bake", {}), state, tmp_path / "environment" / "bin")


def test_the_pins_of_a_scheduler_are_what_its_script_asks_for(tmp_path: Path):
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
        "AIRFLOW__CORE__DAGS_FOLDER": str(scene.project.path / "deploy" / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
    }


def test_airflow_makes_up_for_days_and_retries_only_what_is_not_there_yet(scene: Scene):
    """The scheduler itself, with its database, its API and its executor."""
    today, port = datetime.now(UTC).date(), free_port()
    late, refused = (today - timedelta(days=days) for days in (3, 2))
    scene.env.update(airflow_settings(scene, port))
    first = f"datetime({late.year}, {late.month}, {late.day}, tzinfo=UTC)"
    scene.edit("deploy/airflow/daily.py", "datetime(2026, 6, 1, tzinfo=UTC)", first)
    scene.edit("deploy/airflow/daily.py", "timedelta(minutes=15)", "timedelta(seconds=1)")
    scene.answer(str(late), 4)
    scene.answer(str(refused), 3)
    scene.answer(str(today - timedelta(days=1)))
    for day in ("2026-05-30", "2026-05-31"):
        scene.answer(day)
    installed("airflow", scene.programs.parent)
    scene.run("airflow", "db", "migrate")
    scene.run("airflow", "dags", "reserialize")

    api = f"http://127.0.0.1:{port}"
    serve = ("api-server", "--host", "127.0.0.1", "--port", str(port))
    with scene.running("airflow", *serve) as server, scene.running("airflow", "scheduler") as scheduler:

        def tries(*days: date) -> dict[date, tuple[str, int]] | None:
            """Each day's end and the number of its tries, once every day has ended."""
            token = ask(f"{api}/auth/token")["access_token"]
            runs = ask(f"{api}/api/v2/dags/ml_daily/dagRuns/~/taskInstances?task_id=run", token)
            found = {
                date.fromisoformat(one["logical_date"][:10]): (one["state"], one["try_number"])
                for one in runs["task_instances"]
            }
            ended = [day for day in days if found.get(day, ("", 0))[0] in ("success", "failed")]
            return {day: found[day] for day in days} if len(ended) == len(days) else None

        until(lambda: len(scene.calls()) >= 3, server, scheduler)
        assert until(lambda: tries(late, refused), server, scheduler) == {
            late: ("success", 2),
            refused: ("failed", 1),
        }
        assert scene.calls()[:3] == [f"run --date {day}" for day in (late, late, refused)]

        span = ("--from-date", "2026-05-30", "--to-date", "2026-05-31")  # before FIRST_DAY, both ends
        scene.run("airflow", "backfill", "create", "--dag-id", "ml_daily", *span)
        days = date(2026, 5, 30), date(2026, 5, 31)
        assert set(until(lambda: tries(*days), server, scheduler).values()) == {("success", 1)}
    assert [call for call in scene.calls() if "-05-" in call] == [f"run --date {day}" for day in days]


# Dagster


def test_dagster_runs_at_its_hour_and_retries_only_what_is_not_there_yet(scene: Scene):
    """The daemon fires the schedule; the command line materializes a day and a range."""
    scene.env.update(DAGSTER_HOME=str(scene.state / "dagster"))
    (scene.state / "dagster").mkdir()
    (scene.state / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    name = "deploy/dagster/daily.py"
    installed("dagster", scene.programs.parent)
    scene.edit(name, "15 * 60", "1")
    scene.answer("2026-06-03", 3, 0)
    scene.answer("2026-06-05", 4)
    materialize = ("dagster", "asset", "materialize", "-f", name, "--select", "ml_day")
    refused = scene.run(*materialize, "--partition", "2026-06-03", check=False)
    assert refused.returncode == 1 and "exit 3, which no retry mends" in refused.stdout
    assert scene.calls() == ["run --date 2026-06-03"]
    span = scene.run(*materialize, "--partition-range", "2026-06-04...2026-06-05")
    assert span.stdout.count("ASSET_MATERIALIZATION") == 2
    assert scene.calls()[1:] == ["backfill --from 2026-06-04 --to 2026-06-05"] * 2

    tick = (datetime.now(UTC) + timedelta(seconds=110)).replace(second=0)
    yesterday = str(tick.date() - timedelta(days=1))
    scene.edit(name, "hour_of_day=HOUR", f"hour_of_day={tick.hour}, minute_of_hour={tick.minute}")
    scene.answer(yesterday, 4)
    with scene.running("dagster-daemon", "run", "-f", name) as daemon:
        until(lambda: len(scene.calls()) == 5, daemon)
        until(lambda: "RUN_SUCCESS" in scene.log("dagster-daemon", "run").read_text("utf-8"), daemon)
    assert scene.calls()[3:] == [f"run --date {yesterday}"] * 2


# cron


class Switch(ThreadingHTTPServer):
    """A dead-man's switch on loopback: keeps the paths of its pings."""

    def __init__(self) -> None:
        self.pings: list[str] = []
        super().__init__(("127.0.0.1", 0), Ping)


class Ping(BaseHTTPRequestHandler):
    server: Switch

    def do_GET(self) -> None:  # noqa: N802 (its name there)
        self.server.pings.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def switch() -> Iterator[Switch]:
    with Switch() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def crond(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """crond(text) installs a crontab for this user under a real daemon; what was there before comes back."""
    if not shutil.which("cron"):
        if os.geteuid() or not shutil.which("apt-get"):
            pytest.skip("no cron, and no right to install it")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "cron"]
        if run(*install, cwd=tmp_path, env=quiet, check=False).returncode:
            run("apt-get", "update", cwd=tmp_path, env=quiet)
            run(*install, cwd=tmp_path, env=quiet)
    before = run("crontab", "-l", cwd=tmp_path, check=False)
    daemon = None
    running = run("pgrep", "-x", "cron", cwd=tmp_path, check=False).returncode == 0
    if not running and os.geteuid():
        pytest.skip("cron does not run, and only root may start it")

    def install_crontab(text: str) -> None:
        nonlocal daemon
        (tmp_path / "crontab").write_text(text, encoding="utf-8")
        run("crontab", str(tmp_path / "crontab"), cwd=tmp_path)
        daemon = None if running else subprocess.Popen(["cron", "-f"])

    yield install_crontab
    run("crontab", "-r", cwd=tmp_path, check=False)
    if before.returncode == 0:
        (tmp_path / "crontab").write_text(before.stdout, encoding="utf-8")
        run("crontab", str(tmp_path / "crontab"), cwd=tmp_path)
    if daemon:
        daemon.terminate()
        daemon.wait(timeout=30)


def with_values(crontab: str, values: Mapping[str, str]) -> str:
    lines = crontab.splitlines()
    for name, value in values.items():
        [place] = [number for number, line in enumerate(lines) if line.startswith(f"{name}=")]
        lines[place] = f"{name}={value}"
    return "\n".join(lines) + "\n"


def test_cron_pings_the_switch_and_says_what_failed(
    scene: Scene, crond: Callable[[str], None], switch: Switch
):
    """The file that is shipped, with three projects' worth of it in one crontab, every minute."""
    shipped = scene.project.text("deploy/cron/crontab")
    line = '0 6 * * * "$PROJECT/deploy/cron/ml-daily"'
    assert shipped.count(line) == 1
    tables = []
    for number, code in enumerate((0, 3, 1)):
        project = Project(scene.state / f"project {number}")
        shutil.copytree(scene.project.path, project.path)
        extra = f" --date 2026-06-0{number + 1}"
        scene.answer(f"2026-06-0{number + 1}", *[code] * 9)
        values = {"PROJECT": str(project.path), "PATH": scene.surroundings()["PATH"]}
        values["PING_URL"] = f"http://127.0.0.1:{switch.server_port}/{number}"
        table = with_values(shipped, values).replace(line, line.replace("0 6", "* *") + extra)
        tables.append(table + f"STAND_INS={scene.state}\n")
    crond("".join(f"STAND_INS={scene.state}\n{table}" for table in tables))
    until(lambda: len(set(switch.pings)) == 3)
    assert set(switch.pings) == {"/0", "/1/fail", "/2/fail"}
    assert {call for call in scene.calls()} == {f"run --wait --date 2026-06-0{n}" for n in (1, 2, 3)}
    log = (scene.state / "project 1" / "var" / "log" / "daily.log").read_text(encoding="utf-8")
    assert "ml run --wait --date 2026-06-02\n" in log and log.rstrip().endswith("exit 3")


def test_what_cron_calls_fails_as_the_run_does_and_says_so_where_cron_mails_it(scene: Scene):
    script = str(scene.project.path / "deploy" / "cron" / "ml-daily")
    for code in (0, 3):
        scene.answer("--wait", code)
        done = run(script, cwd=scene.state, env=scene.surroundings(), check=False)
        assert done.returncode == code
        mailed = f"ml run: exit 3, see {scene.project.path}/var/log/daily.log\n"
        assert done.stdout == ("" if code == 0 else mailed), "cron mails whatever is said"


# GitHub


def daily(
    scene: Scene, *stand_ins: str, day: str = "", **secrets: str
) -> subprocess.CompletedProcess[str]:
    """daily.yml on what is committed."""
    secrets = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "PING_URL": ""} | secrets
    names = ("MLFLOW_TRACKING_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    values = {f"secrets.{name}": "" for name in names} | {
        "github.repository": "example-org/parcel-eta",
        "github.server_url": "https://github.example",
        "github.run_id": "77",
        "github.token": "stand-in",
        "inputs.day": day,
    }
    for name, value in secrets.items():
        values |= {f"secrets.{name}": value, f"env.{name}": value}
    words = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    words += [word for name in ("gh", *stand_ins) for word in ("--stand-in", f"{name}={STAND_INS / name}")]
    runner = [sys.executable, str(ROOT / "scripts" / "run_workflow.py")]
    return run(
        *runner,
        str(scene.project.path),
        "daily.yml",
        *words,
        cwd=ROOT,
        env={"STAND_INS": str(scene.state)},
        check=False,
    )


def issues(scene: Scene) -> list[dict[str, Any]]:
    kept = scene.state / "github.json"
    return json.loads(kept.read_text("utf-8"))["issues"] if kept.exists() else []


@pytest.fixture
def repository(scene: Scene) -> Scene:
    git(scene.project, "init", "--quiet", "--initial-branch", "main")
    commit(scene.project, "Start")
    return scene


def test_a_page_opens_one_issue_and_the_next_ones_add_to_it(repository: Scene, switch: Switch):
    scene, ping = repository, f"http://127.0.0.1:{switch.server_port}/daily"
    for word, codes in {"--locked": [], "--json": [3, 1, 0], "status.html": [1, 1, 0]}.items():
        scene.answer(word, *codes)

    done = daily(scene, "uv", day="2026-06-01", PING_URL=ping)
    assert done.returncode == 3 and "FAILED   run / Run" in done.stdout
    assert "skipped  run / Ping" in done.stdout and not switch.pings
    [issue] = issues(scene)
    assert issue["title"] == "The daily run needs a person" and issue["comments"] == []
    assert issue["body"].startswith("<!-- daily run -->\nThe run of 2026-06-01: failure. [Its log]")
    assert "(https://github.example/example-org/parcel-eta/actions/runs/77)" in issue["body"]
    assert "the stand-in for uv leaves with 1" in issue["body"], "what `ml status` said"

    assert daily(scene, "uv", day="2026-06-02", PING_URL=ping).returncode == 1
    [issue] = issues(scene)
    assert len(issue["comments"]) == 1 and "The run of 2026-06-02: failure." in issue["comments"][0]

    done = daily(scene, "uv", PING_URL=ping)
    yesterday = str(datetime.now(UTC).date() - timedelta(days=1))
    assert done.returncode == 0 and switch.pings == ["/daily"]
    [issue] = issues(scene)
    assert issue["comments"][1:] == [f"The run of {yesterday} is fine. Close this when every day above is.\n"]
    days = ("2026-06-01", "2026-06-02", yesterday)
    assert [call for call in scene.calls() if call.startswith("run")] == [
        f"run --date {day} --wait --json" for day in days
    ]


def test_a_project_without_a_registry_runs_nothing_and_opens_no_issue(repository: Scene):
    done = daily(repository, "uv", MLFLOW_TRACKING_URI="")
    assert done.returncode == 0 and "::notice::no shared registry" in done.stdout
    assert "nothing was run\n" in done.stdout
    assert not repository.calls() and not issues(repository)


def test_a_run_that_could_not_begin_is_a_page_too(repository: Scene):
    repository.answer("--locked", 2)
    assert daily(repository, "uv", day="2026-06-01").returncode == 2
    [issue] = issues(repository)
    assert "The run of 2026-06-01: failure." in issue["body"]
