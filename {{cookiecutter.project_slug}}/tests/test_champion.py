"""Promotion, rollback and their history; registries that move, break off or are opened by many at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from {{cookiecutter.package_name}}.errors import ProjectError
from {{cookiecutter.package_name}}.model.id import VersionId, parse
from {{cookiecutter.package_name}}.training import champion
from {{cookiecutter.package_name}}.training.champion import Move, before
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

PACKAGE = "{{cookiecutter.package_name}}"
DAY = datetime(2026, 6, 3, 6, tzinfo=UTC)


def trust(version: VersionId) -> str:
    """Stands in for the replay where a test is about something else."""
    return f"{version} not replayed"


def moves(*said: tuple[str, int]) -> list[Move]:
    return [Move(DAY, verb, VersionId("hours", number), None, "ada", "") for verb, number in said]


@pytest.mark.parametrize(
    ("history", "target"),
    [
        ([("promote", 1), ("promote", 2)], 1),
        ([("promote", 1), ("promote", 2), ("promote", 3)], 2),
        ([("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2)], 1),
        ([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)], 1),
        ([("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 1), ("promote", 2)], 1),
        ([("promote", 1), ("rollback", 4)], 1),
        ([("promote", 2), ("promote", 2), ("promote", 5)], 2),
    ],
)
def test_a_rollback_returns_to_what_served_and_never_to_what_was_rolled_back(
    history: list[tuple[str, int]], target: int
) -> None:
    said = moves(*history)
    assert before(said, said[-1].version) == VersionId("hours", target)


@pytest.mark.parametrize("history", [[], [("promote", 1)], [("promote", 1), ("promote", 2), ("rollback", 1)]])
def test_nothing_to_roll_back_to_is_said(history: list[tuple[str, int]]) -> None:
    said = moves(*history)
    with pytest.raises(ProjectError, match="nothing to roll back to"):
        before(said, said[-1].version if said else None)


@pytest.mark.slow
def test_promote_and_rollback_move_the_alias_and_keep_the_history(trained: Project) -> None:
    assert trained.ml("train", "--config", "configs/hours.yaml").code == 0
    first = trained.overrule("1", "first version")
    assert first.code == 0 and "reproduced" in first.out
    assert trained.overrule("hours/2", "fresher data").code == 0
    back = trained.ml("rollback", "--reason", "wrong for the harbour", "--json")
    assert back.code == 0 and back.json["version"] == "hours/1"
    said = trained.ml("versions", "--json").json
    assert [(item["version"], item["champion"]) for item in said["versions"]] == [("hours/2", False), ("hours/1", True)]
    assert [(move["verb"], move["version"], move["why"]) for move in said["history"]] == [
        ("promote", "hours/1", "first version"),
        ("promote", "hours/2", "fresher data"),
        ("rollback", "hours/1", "wrong for the harbour"),
    ]
    assert [move["to"] for move in said["history"]] == [said["history"][1]["from"], said["history"][2]["from"], None]
    assert all(move["who"] for move in said["history"])
    shown = trained.ml("versions").out
    assert "champion" in shown and "wrong for the harbour" in shown
    assert trained.ml("rollback").code == 1


def test_promoting_the_champion_again_changes_nothing(trained: Project) -> None:
    assert trained.overrule("1").code == 0
    again = trained.ml("promote", "1")
    assert again.code == 0 and "is the champion already" in again.out
    assert len(trained.ml("versions", "--json").json["history"]) == 1


def test_a_reason_is_a_few_sentences_and_no_novel(trained: Project) -> None:
    for verb in (["promote", "1", "--force"], ["rollback"]):
        ran = trained.ml(*verb, "--reason", "x" * 501)
        assert ran.code == 2 and "--reason has 501 characters: expected at most 500" in ran.err
    assert trained.overrule("1", "ü" * 500).code == 0
    assert trained.ml("versions", "--json").json["history"][-1]["why"] == "ü" * 500


def test_versions_of_a_model_without_history_are_listed(shared_trained: Project) -> None:
    ran = shared_trained.ml("versions", "--model", "late")
    assert ran.code == 0 and "late/1" in ran.out and "log_loss" in ran.out


@pytest.mark.parametrize(
    ("version", "words"), [("9", "hours has no version 9"), ("x", "is not a version ID"), ("0", "is not a version ID")]
)
def test_a_version_that_does_not_exist_is_refused(shared_trained: Project, version: str, words: str) -> None:
    ran = shared_trained.ml("promote", version)
    assert ran.code == 2 and words in ran.err and "Traceback" not in ran.err


def test_an_empty_registry_says_what_to_do(project: Project) -> None:
    ran = project.ml("versions")
    assert ran.code == 1 and "uv run ml train --config configs/v1.yaml" in ran.err
    assert project.ml("rollback").code != 0


def test_a_failed_proof_moves_nothing(trained: Project) -> None:
    registry = Registry(trained.paths)

    def fails(version: VersionId) -> str:
        raise ProjectError("the proof fails")

    with pytest.raises(ProjectError, match="the proof fails"):
        champion.promote(registry, VersionId("hours", 1), fails, now=DAY, why="a test", force=True)
    assert registry.champion("hours") is None
    assert champion.history(registry, "hours") == []


def test_a_crash_between_the_record_and_the_alias_is_completed_by_the_next_call(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(trained.paths)
    with monkeypatch.context() as broken:

        def crash(*_: object) -> None:
            raise KeyboardInterrupt

        broken.setattr(registry.client, "set_registered_model_alias", crash)
        with pytest.raises(KeyboardInterrupt):
            champion.promote(registry, VersionId("hours", 1), trust, now=DAY, why="first", force=True)
    assert registry.champion("hours") is None
    champion.promote(registry, VersionId("hours", 1), trust, now=DAY.replace(day=4), why="again", force=True)
    assert registry.champion("hours") == VersionId("hours", 1)
    assert [(move.at, move.why) for move in champion.history(registry, "hours")] == [(DAY, "first")]


def test_a_version_records_where_it_comes_from(shared_trained: Project) -> None:
    facts = shared_trained.ml("versions", "--json").json["versions"][0]
    assert facts["git_commit"] == "none", "the folder is no repository of its own"
    assert facts["contract_version"] == "1" and facts["seed"] == 7
    assert len(facts["dataset_sha256"]) == len(facts["lock_sha256"]) == 64
    assert (shared_trained.paths.root / facts["dataset"]).is_file()
    assert facts["config"]["estimator"]["kind"] == "hist_gradient_boosting"
    assert facts["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"platform", "cpu", "run_id", "experiment_id", "metrics", "window"} <= set(facts)
    registry = Registry(shared_trained.paths)
    tags = registry.client.get_model_version(registry.operations.registered("hours"), "1").tags
    assert tags["git_commit"] == "none" and tags["dataset_sha256"] == facts["dataset_sha256"]


def test_the_commit_is_the_projects_own_and_never_an_outer_repositorys(project: Project) -> None:
    from {{cookiecutter.package_name}}.training.provenance import commit

    def git(folder: Path, *arguments: str) -> None:
        identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)

    outer = project.paths.root.parent
    git(outer, "init", "--quiet")
    git(outer, "commit", "--quiet", "--allow-empty", "-m", "somebody else's")
    assert commit(project.paths) == ("none", False)
    git(project.paths.root, "init", "--quiet")
    git(project.paths.root, "add", "configs", "operations.yaml", "uv.lock")
    git(project.paths.root, "commit", "--quiet", "-m", "ours")
    head, dirty = commit(project.paths)
    assert len(head) == 40 and not dirty
    project.edit("configs/v1.yaml", "seed: 7", "seed: 8")
    assert commit(project.paths) == (head, True)


def test_the_run_in_mlflow_has_the_figures_a_person_looks_for(shared_trained: Project) -> None:
    registry = Registry(shared_trained.paths)

    def artefacts(model: str) -> set[str]:
        run = registry.client.get_model_version(registry.operations.registered(model), "1").run_id
        assert run
        return {Path(item.path).name for item in registry.client.list_artifacts(run, "figures")}

    assert artefacts("hours") == {
        "predicted_against_actual.png",
        "residuals_by_service.png",
        "permutation_importance.png",
    }
    assert artefacts("late") == {
        "roc.png",
        "calibration.png",
        "residuals_by_depot.png",
        "residuals_by_service.png",
        "permutation_importance.png",
    }


@pytest.mark.slow
@pytest.mark.parametrize("how", ["copied", "renamed"])
def test_a_project_that_moved_works_and_never_reads_its_original(trained: Project, tmp_path: Path, how: str) -> None:
    assert trained.overrule("1").code == 0
    there = tmp_path / "a copy, größer 100%"
    if how == "copied":
        moved = trained.copy(there)
        # whatever the copy still reads or writes over there would now fail
        shutil.rmtree(trained.paths.registry)
    else:
        trained.paths.root.rename(there)
        moved = Project(there)
    shutil.rmtree(moved.paths.serving)
    assert moved.overrule("1").code == 0, "the version is fetched from the registry that moved along"
    assert moved.ml("train", "--config", "configs/hours.yaml").code == 0
    assert moved.overrule("2").code == 0
    assert not trained.paths.registry.exists()


def test_the_environment_of_another_folder_is_refused(project: Project) -> None:
    """A copy whose .venv still imports the original must not run the original's code on the copy's data."""
    (project.paths.root / "src" / "{{cookiecutter.package_name}}").mkdir(parents=True)
    ran = project.ml("versions")
    assert ran.code == 2 and "remove .venv" in ran.err


@pytest.mark.slow
def test_eight_processes_that_open_a_fresh_registry_at_once_all_find_it(project: Project) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        f"from {PACKAGE}.paths import Paths\n"
        f"from {PACKAGE}.training.tracking import connect, experiment\n"
        "paths = Paths(Path(sys.argv[1])); print(experiment(connect(paths), 'race', paths))\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(project.paths.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    ended = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0] * 8, ended
    assert len({out.strip() for out, _ in ended}) == 1


def test_a_registry_that_is_gone_is_not_an_empty_one(trained: Project) -> None:
    assert trained.ml("verify", "1").code == 0
    shutil.rmtree(trained.paths.registry)
    for verb in (["versions"], ["gate", "1"], ["rollback"]):
        ran = trained.ml(*verb)
        assert ran.code == 4 and "the registry is gone" in ran.err and "backup" in ran.err
    assert not trained.paths.registry.exists()


def test_a_registry_killed_in_its_making_is_made_again(project: Project) -> None:
    """The schema grows in a file of another name; what a kill leaves there is swept."""
    project.paths.registry.mkdir(parents=True)
    (project.paths.registry / ".tmp-1-mlflow.db").write_bytes(b"half a database")
    Registry(project.paths)
    assert [path.name for path in project.paths.registry.glob(".tmp-*")] == []


def test_what_a_killed_fetch_left_is_swept_by_the_next_one(trained: Project) -> None:
    registry, version = Registry(trained.paths), VersionId("hours", 1)
    left = registry.fetch(version).parent / ".tmp-killed"
    (left / "fetched").mkdir(parents=True)
    registry.fetch(version)
    assert not left.exists(), "though the version itself was there"


def test_a_registry_that_is_away_is_exit_4(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    ran = project.ml("versions")
    assert ran.code == 4 and "does not answer" in ran.err and "Traceback" not in ran.err


def test_a_registry_that_is_no_database_is_exit_4_and_left_as_it_is(trained: Project) -> None:
    database = trained.paths.registry / "mlflow.db"
    database.write_bytes(b"a cat walked over it")
    for name in ("mlflow.db-wal", "mlflow.db-shm"):
        (trained.paths.registry / name).unlink(missing_ok=True)
    ran = trained.ml("versions")
    assert ran.code == 4 and "not a database" in ran.err and "backup" in ran.err and "Traceback" not in ran.err
    assert database.read_bytes() == b"a cat walked over it"


def test_a_registry_that_breaks_off_in_the_middle_is_exit_4(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise MlflowException("API request failed: connection reset\nand twenty lines more")

    monkeypatch.setattr(Registry, "versions", breaks)
    ran = trained.ml("versions")
    assert ran.code == 4 and "connection reset" in ran.err and "twenty" not in ran.err


def test_a_mistake_of_the_program_keeps_its_traceback(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "versions", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trained.ml("versions")


def test_version_ids_parse() -> None:
    assert parse("7", "hours") == VersionId("hours", 7)
    assert parse("late/12", "hours") == VersionId("late", 12)
    assert str(VersionId("late", 12)) == "late/12"
    for wrong in ("", "07", "-1", "late/", "late/x", "../1", "Late/1", "1;2"):
        with pytest.raises(ProjectError):
            parse(wrong, "hours")
