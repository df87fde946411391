"""`ml` as a person and as a machine meets it: help, JSON, exit codes, no traceback, and light imports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from {{cookiecutter.package_name}}.cli import app

from conftest import DAY, FIRST, LAST, ROOT, Project

COMMANDS = typer.main.get_command(app).commands
VERBS = sorted(COMMANDS)
PACKAGE = "{{cookiecutter.package_name}}"
HEAVY = ("mlflow", "pandas", "polars", "sklearn", "dataframely", "matplotlib", "fastapi", "numpy")


def in_a_process(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project without data or versions; its registry is made once."""
    return Project.new(tmp_path_factory.mktemp("empty") / "project")


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from {PACKAGE}.cli import main
assert main(["--help"]) == 0
assert main(["train", "--help"]) == 0
print("IMPORTED", *sorted(set(name.partition(".")[0] for name in sys.modules) & set({HEAVY!r})))
"""
    ran = in_a_process("-c", code, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "IMPORTED"


def test_help_lists_every_verb_and_the_exit_codes(project: Project) -> None:
    for arguments in ((), ("--help",), ("-h",)):
        ran = project.ml(*arguments)
        said = ran.out + ran.err
        assert all(verb in said for verb in VERBS)
        assert "3 data refused by the contract" in " ".join(said.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb: str, project: Project) -> None:
    ran = project.ml(verb, "--help")
    assert ran.code == 0
    assert "--json" in ran.out
    takes = [one for one in COMMANDS[verb].params if one.name not in ("json", "help")]
    if [one for one in takes if one.name not in ("model",)]:
        assert f"Example: ml {verb} " in ran.out
    assert all(getattr(one, "help", "") or one.param_type_name == "argument" for one in takes)


@pytest.mark.parametrize("verb", VERBS)
def test_the_example_in_a_help_names_options_that_exist(verb: str) -> None:
    for line in (COMMANDS[verb].help or "").splitlines():
        if line.strip().startswith("Example: "):
            ml, name, *arguments = line.strip().removeprefix("Example: ").split()
            assert (ml, name) == ("ml", verb)
            known = {option for one in COMMANDS[verb].params for option in one.opts}
            assert {argument for argument in arguments if argument.startswith("--")} <= known


# what each verb is given, the exit code in a project without data, and a word of the error
EMPTY = {
    "train": (["--config", "configs/smoke.yaml"], 4, "no data yet"),
    "promote": (["1"], 2, "hours has no version 1"),
    "gate": (["1"], 2, "hours has no version 1"),
    "canary": (["1"], 2, "hours has no version 1"),
    "scoring": (["stop", "--reason", "a test"], 2, "no version of hours yet"),
    "verify": (["1"], 2, "hours has no version 1"),
    "dataset": (["--config", "configs/smoke.yaml", "--output", "dataset.parquet"], 4, "no data yet"),
    "register": (["nowhere"], 4, "no trained version in nowhere"),
    "evaluate": (["nowhere", "--dataset", "x.parquet", "--output", "y"], 4, "no trained version in nowhere"),
    "rollback": ([], 1, "nothing to roll back to"),
    "versions": ([], 0, ""),
    "ready": ([], 1, ""),
    "run": (["--date", "2150-01-01"], 2, "is in the future"),
    "score": (["--date", "2026-05-31"], 1, "no version of hours was ever promoted"),
    "backfill": (["--from", "2026-05-31", "--to", "2026-05-30"], 2, "wrong way round"),
    "requests": ([], 0, ""),
    "status": (["--date", "2026-05-31"], 1, ""),
    "reproduce": (["1"], 2, "hours has no version 1"),
    "monitor": (["--date", "2026-05-31"], 1, ""),
    "calibrate": (["--date", "2026-05-31"], 1, "learning, 35 days to go"),
    "alerts": (["ack", "1"], 2, "there is no alert 1"),
    "calibrate": (["--date", "2026-05-31"], 1, "learning, 35 days to go"),
    "monitor": (["--date", "2026-05-31"], 1, ""),
    "keys": (["remove", "nobody"], 2, "no key for nobody"),
    "card": (["1"], 2, "hours has no version 1"),
    "serve": (["--version", "1"], 2, "there is no version hours/1"),
    "ingest": (["--date", "2199-12-31"], 4, ""),
    "template-update": ([], 2, "is no git repository with a commit"),
}


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"demo"}))
def test_every_verb_speaks_json_also_where_it_fails(verb: str, empty: Project) -> None:
    arguments, code, said = EMPTY[verb]
    ran = empty.ml(verb, *arguments, "--json")
    assert ran.code == code, ran.out
    assert ran.err == ""
    answer = ran.json
    if said:
        assert said in answer["error"]["message"]
        assert answer["error"]["exit"] == code
        assert answer["error"]["hint"]


@pytest.mark.parametrize(
    "arguments",
    [("ingest", "--date", "tomorrow"), ("ingest", "--dat", "2026-05-20"), ("promote",), ("ingst",), ("train",)],
)
def test_wrong_usage_is_exit_2_in_words_and_in_json(arguments: tuple[str, ...], project: Project) -> None:
    words = project.ml(*arguments)
    assert words.code == 2
    assert "Usage: ml" in words.err
    assert "Traceback" not in words.err
    machine = project.ml(*arguments, "--json")
    assert machine.code == 2
    assert machine.json["error"]["exit"] == 2
    assert machine.err == ""


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2200-01-01", "9999-12-31"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "--date"),
        ("ingest", "--config", "configs/v1.yaml", "--date"),
        ("ingest", "--from", "2026-05-20", "--to"),
        ("ingest", "--to", "2026-05-20", "--from"),
        ("train", "--config", "configs/smoke.yaml", "--date"),
        ("dataset", "--config", "configs/smoke.yaml", "--output", "x.parquet", "--date"),
        ("gate", "--base", "main", "--config", "configs/v1.yaml", "--date"),
    ],
)
def test_a_day_that_nobody_means_is_refused(arguments: tuple[str, ...], day: str, project: Project) -> None:
    ran = project.ml(*arguments, day)
    assert ran.code == 2
    assert f"{arguments[-1]} {day}: expected a day from 1970-01-01 to 2199-12-31" in ran.err
    assert project.ml(*arguments, day, "--json").json["error"]["exit"] == 2


@pytest.mark.parametrize("day", ["1970-01-01", "2199-12-31"])
def test_the_first_and_the_last_day_that_somebody_may_mean_are_days(day: str, project: Project) -> None:
    assert project.ml("train", "--config", "configs/smoke.yaml", "--date", day).code == 4
    assert project.ml("ingest", "--date", day).code != 2


TRAIN = ("train", "--config", "configs/smoke.yaml")
FREEZE = ("dataset", "--config", "configs/smoke.yaml")


@pytest.mark.parametrize(
    ("arguments", "output", "words"),
    [
        (TRAIN, "--output uv.lock", "expected a folder at uv.lock, and that is a file"),
        (TRAIN, "--output uv.lock/below/it", "expected a folder at uv.lock, and that is a file"),
        (("evaluate", "build", "--dataset", "x.parquet"), "--output uv.lock", "expected a folder at uv.lock"),
        (FREEZE, "--output uv.lock/x.parquet", "expected a folder at uv.lock, and that is a file"),
        (FREEZE, "--output configs", "expected a file, and that is a folder"),
        (("gate", "1"), "--markdown configs", "expected a file, and that is a folder"),
        (("gate", "1"), "--markdown uv.lock/gate.md", "expected a folder at uv.lock, and that is a file"),
        (("status",), "--html configs", "expected a file, and that is a folder"),
        (("card", "1"), "--output configs", "expected a file, and that is a folder"),
        (("card", "1"), "--output uv.lock/card.md", "expected a folder at uv.lock, and that is a file"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    arguments: tuple[str, ...], output: str, words: str, project: Project
) -> None:
    before = project.tree(".")
    ran = project.ml(*arguments, *output.split())
    assert ran.code == 2 and f"error: {output}: {words}" in ran.err
    assert project.tree(".") == before


def test_json_of_one_run_does_not_stick_to_the_next(empty: Project) -> None:
    empty.ml("versions", "--json")
    ran = empty.ml("promote", "1")
    assert ran.out == ""
    assert "error: hours has no version 1" in ran.err


def test_json_of_the_model_verbs(shared_trained: Project) -> None:
    listed = shared_trained.ml("versions", "--json").json
    assert [item["version"] for item in listed["versions"]] == ["hours/1"]
    assert listed["history"] == []


def test_outside_a_project_it_says_where_it_looked(tmp_path: Path) -> None:
    stranger = Project(tmp_path)
    for arguments in (["versions"], ["ingest", "--date", str(DAY)], ["train", "--config", "x.yaml"], ["serve"]):
        ran = stranger.ml(*arguments)
        assert ran.code == 2
        assert f"no project here: looked for operations.yaml in {tmp_path} and its parent folders" in ran.err
        assert "hint: cd into the project's folder" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_inside_the_project_will_do(with_day: Project) -> None:
    inside = Project(with_day.paths.root / "data" / "partitions")
    assert inside.ml("ingest", "--date", str(DAY)).code == 0
    assert sorted(path.name for path in with_day.partitions.iterdir()) == ["deliveries", "parcels"]


@pytest.mark.parametrize("version", ["seven", "0", "-1", "hours/x", "../7", "late/", "1.0", ""])
def test_what_is_no_version_id_is_said_so(version: str, project: Project) -> None:
    ran = project.ml("promote", "--", version)
    assert ran.code == 2
    assert f"{version!r} is not a version ID: expected a number like 7, or late/7" in ran.err


def test_errors_and_help_have_no_colour_where_there_is_no_terminal(empty: Project) -> None:
    for arguments in (["--help"], ["promote", "x"], ["ingest", "--date", str(DAY)], ["versions"], ["ingst"]):
        ran = empty.ml(*arguments)
        assert "\x1b" not in ran.out + ran.err


def test_a_pipe_gets_plain_text_whatever_the_terminal_was(project: Project) -> None:
    ran = in_a_process("-m", f"{PACKAGE}.cli", "ingest", cwd=project.paths.root, TERM="xterm-256color", COLUMNS="200")
    assert ran.returncode == 2
    assert "\x1b" not in ran.stdout + ran.stderr
    assert ran.stderr.startswith("error: which day?")


def test_output_that_nobody_reads_to_the_end_is_no_traceback(project: Project) -> None:
    if os.name == "nt":
        pytest.skip("no such pipe")
    command = f"{sys.executable} -m {PACKAGE}.cli --help | head -n 1"
    ran = subprocess.run(["sh", "-c", command], cwd=project.paths.root, capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
def test_train_py_trains_as_a_script(ingested: Project) -> None:
    shutil.copyfile(ROOT / "train.py", ingested.paths.root / "train.py")
    ran = in_a_process("train.py", "--config", "configs/smoke.yaml", cwd=ingested.paths.root)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("version smoke/1\n")
    assert "Traceback" not in ran.stderr
    wrong = in_a_process("train.py", "--config", "configs/none.yaml", cwd=ingested.paths.root)
    assert wrong.returncode == 2
    assert "no configuration at configs/none.yaml" in wrong.stderr


@pytest.mark.slow
def test_the_script_called_ml_is_installed_and_speaks_json(ingested: Project) -> None:
    ml = Path(sys.executable).with_name("ml.exe" if os.name == "nt" else "ml")
    command = [str(ml), "ingest", "--from", str(FIRST), "--to", str(LAST), "--json"]
    ran = subprocess.run(command, cwd=ingested.paths.root, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert len(said["partitions"]) == 38
    assert not any(item["changed"] for item in said["partitions"])
