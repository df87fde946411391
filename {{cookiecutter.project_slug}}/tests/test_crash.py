"""`ml run` killed with SIGKILL wherever it writes, on a full disk, and twice at once: run again, all is as undisturbed.

Where it writes is found by watching an undisturbed run; every kill is of a real process, and of those that it started.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import forks
import polars as pl
import pytest
from strace import STRACE, changes, commits

from {{cookiecutter.package_name}} import sample_upstream
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.files import TEMPORARY
from {{cookiecutter.package_name}}.model import artefact

from conftest import LAST, Project, write_configs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="Windows has no fork, and no SIGKILL")]

D = LAST + timedelta(days=1)
"""The first day that the project with a champion has not seen."""
RUN = ("run", "--date", str(D))
TABLES = ("parcels", "deliveries", "predictions/hours")


def first(project: Project) -> None:
    """The day was never run."""


def never_served(project: Project) -> None:
    """The day was never run, and the champion has to be fetched."""
    shutil.rmtree(project.paths.serving)


def corrected(project: Project) -> None:
    """The day was run, and now there is another delivery of it."""
    assert project.ml(*RUN).code == 0
    project.drop("parcels", D, sample_upstream.table("parcels", D).with_columns(pl.col("distance_km") + 1))


def nothing_new(project: Project) -> None:
    """The day was run."""
    assert project.ml(*RUN).code == 0


def attempts(project: Project) -> list[dict[str, Any]]:
    record = project.paths.root / "var" / "ledger" / "daily" / f"{D}.json"
    return json.loads(record.read_text("utf-8"))["attempts"] if record.exists() else []


def kept(project: Project, *folders: str) -> dict[str, str]:
    """What has to be the same in the end: the data, and the versions that were served.

    No draft may be left; but upstream sweeps for itself, and where versions are served the next one to be fetched does.
    """
    root = project.paths.root
    drafts = [path.relative_to(root).as_posix() for path in root.rglob(f"{TEMPORARY}*")]
    assert [name for name in drafts if not name.startswith(("data/upstream/", "var/serving/"))] == []
    trees = [project.tree(folder) for folder in folders or ("data", "var/serving")]
    return {name: digest for tree in trees for name, digest in tree.items() if TEMPORARY not in name}


def readable(project: Project) -> dict[str, str]:
    """The day's partitions that are in force, each read, by the hash of their bytes; and no version is half there."""
    for place in project.paths.serving.glob("*/[0-9]*"):
        assert artefact.is_placed(place, json.loads((place / artefact.FACTS).read_text("utf-8"))), place
    store = Store(project.paths)
    manifests = {table: manifest for table in TABLES if (manifest := store.manifest(table, D))}
    for table, manifest in manifests.items():
        assert len(store.read(table, D)) == manifest.rows
    return {table: manifest.sha256 for table, manifest in manifests.items()}


def inside(boundary: str) -> str:
    """The draft folder in which something changes: nobody looks there until it is renamed. Empty for anything else."""
    event, path = boundary.split(" ", 1)
    folders = [part for part in Path(path).parts[:-1] if part.startswith(TEMPORARY)]
    return folders[0] if folders and event != "os.rename" else ""


def spread(boundaries: list[str]) -> list[int]:
    """Numbers of the boundaries to die at: all of them, but of those in a row in one draft folder three."""
    numbered = groupby(enumerate(boundaries, 1), lambda item: inside(item[1]) or item[0])
    groups = [[number for number, _ in group] for _, group in numbered]
    return [number for group in groups for number in sorted({group[0], group[len(group) // 2], group[-1]})]


@pytest.mark.parametrize("given", [first, never_served, corrected, nothing_new], ids=lambda given: given.__name__)
def test_killed_at_any_boundary_the_old_or_the_new_stands_and_the_next_run_completes(
    given: Callable[[Project], None], promoted: Project, tmp_path: Path
) -> None:
    given(promoted)
    undisturbed = promoted.copy(tmp_path / "undisturbed")
    whole = forks.ml(undisturbed.paths.root, *RUN)
    assert whole.code == 0, whole.err
    before, after, whole_tree = readable(promoted), readable(undisturbed), kept(undisturbed)
    names = [step["name"] for step in attempts(undisturbed)[-1]["steps"]]
    earlier, said = attempts(promoted), promoted.ml("status", "--date", str(D), "--json").json

    numbers = spread(whole.boundaries)
    if given is never_served:  # anywhere else it is a first run
        numbers = [number for number in numbers if "var/serving" in whole.boundaries[number - 1]]
    assert len(numbers) > 5
    for number in numbers:
        where = f"{number}: {whole.boundaries[number - 1]}"
        told = " var/ledger/alerts" in where
        project = promoted.copy(tmp_path / f"killed-{number}")
        died = forks.ml(project.paths.root, *RUN, at=number)
        assert died.code == -9, (where, died.err)

        for table, digest in readable(project).items():
            assert digest in (before.get(table), after[table]), (where, table)
        assert before.keys() <= readable(project).keys(), where
        begun = attempts(project)[len(earlier) :]
        status = project.ml("status", "--date", str(D), "--json").json
        assert [attempt["outcome"] for attempt in begun] in ([], ["ok" if told else "running"]), where
        if told:  # the day was done, and somebody is told in the end
            assert (status["verdict"], status["state"]) == ("OK", "ok"), where
        elif begun:
            assert (status["verdict"], status["state"]) == ("NOT OK", "killed"), where
            assert "was killed" in status["said"] and status["actions"][0]["code"] == "RUN001", where
            assert [step["name"] for step in begun[0]["steps"]] == names[: len(begun[0]["steps"])], where
        else:
            assert (status["state"], status["attempts"]) == (said["state"], len(earlier)), where

        # a fetch by this process would import MLflow for seconds
        again = forks.ml(project.paths.root, *RUN) if given is never_served else project.ml(*RUN)
        assert again.code == 0, (where, again.out, again.err)
        assert kept(project) == whole_tree, where
        outcomes = [attempt["outcome"] for attempt in attempts(project)[len(earlier) :]]
        assert outcomes == [*["ok" if told else "interrupted" for _ in begun], "ok"], where
        assert project.ml("status", "--date", str(D)).code == 0, where
        shutil.rmtree(project.paths.root)


def retraining(project: Project) -> None:
    """The day trains, gates and promotes by itself."""
    text = project.paths.operations.read_text("utf-8")
    for old, new in (
        ("when: never", "when: weekly"),
        ("weekday: monday", "weekday: wednesday"),
        ("config: configs/v1.yaml", "config: configs/hours.yaml"),
        ("promotion: by_person", "promotion: automatic"),
    ):
        assert old in text
        text = text.replace(old, new)
    project.paths.operations.write_text(text, "utf-8")
    project.edit("configs/hours.yaml", "tolerance: 0.1", "tolerance: 2.0")


def phases(boundaries: list[str]) -> list[int]:
    """Numbers of boundaries to die at in a retraining, which takes seconds each time: of what is written in a row in
    one place the middle, of what is committed in a row the last, and from the gate's word on each commit."""
    begin = next(number for number, boundary in enumerate(boundaries, 1) if "var/registry" in boundary)
    numbers = [n for n, boundary in enumerate(boundaries, 1) if n >= begin and not inside(boundary)]
    places = groupby(numbers, lambda n: boundaries[n - 1].startswith("commit") or Path(boundaries[n - 1]).parts[1])
    groups = [(place, list(group)) for place, group in places]
    chosen = {group[-1 if place is True else len(group) // 2] for place, group in groups}
    return sorted(chosen.union(*[group for place, group in groups if place is True][-1:]))


def registered(project: Project) -> list[tuple[str, str]]:
    """Versions with the run that made them."""
    return [(item["version"], item["run_id"]) for item in project.ml("versions", "--json").json["versions"]]


def test_a_retraining_killed_in_any_phase_is_completed_without_another_training(
    promoted: Project, tmp_path: Path
) -> None:
    retraining(promoted)
    undisturbed = promoted.copy(tmp_path / "undisturbed")
    whole = forks.ml(undisturbed.paths.root, *RUN, setup=forks.light)
    assert whole.code == 0, whole.err
    after, whole_tree = readable(undisturbed), kept(undisturbed, "data")

    for number in phases(whole.boundaries):
        where = f"{number}: {whole.boundaries[number - 1]}"
        project = promoted.copy(tmp_path / f"killed-{number}")  # MLflow remembers a folder
        died = forks.ml(project.paths.root, *RUN, setup=forks.light, at=number)
        assert died.code == -9, (where, died.err)
        assert readable(project) == after, (where, "the day was scored before")
        status = project.ml("status", "--date", str(D), "--json").json
        assert status["state"] == "killed", where
        before = registered(project)
        assert [version for version, _ in before] in (["hours/1"], ["hours/2", "hours/1"]), where

        again = forks.ml(project.paths.root, *RUN, setup=forks.light)
        assert again.code == 0, (where, again.out, again.err)
        now = registered(project)
        assert [version for version, _ in now] == ["hours/2", "hours/1"] and now[-len(before) :] == before, where
        said = project.ml("versions", "--json").json
        assert [(move["verb"], move["version"]) for move in said["history"]] == [
            ("promote", "hours/1"),
            ("promote", "hours/2"),
        ], where
        assert [item["version"] for item in said["versions"] if item["champion"]] == ["hours/2"], where
        assert kept(project, "data") == whole_tree, where
        assert readable(project) == after, where
        assert [attempt["outcome"] for attempt in attempts(project)] == ["interrupted", "ok"], where
        shutil.rmtree(project.paths.root)


def full(project: Project, ran: forks.Ended, said: str) -> None:
    """The disk's word in a line of its own, exit 4, what was in force still is, and a record that is whole."""
    assert ran.code == 4, (ran.out, ran.err)
    shown = ran.out + ran.err
    assert any("storage said no" in line and said in line for line in shown.splitlines()), shown
    assert "Traceback" not in shown and TEMPORARY not in shown
    assert attempts(project)[0]["outcome"] == "ok"
    assert project.ml("status", "--date", str(D)).code in (0, 1)


SIZES = {"nothing": 0, "half a record": 300, "one record": 4_000, "half a partition": 30_000}


@pytest.mark.parametrize("fits", SIZES)
def test_a_write_that_is_refused_is_said_and_the_next_run_completes(
    fits: str, promoted: Project, tmp_path: Path
) -> None:
    corrected(promoted)
    undisturbed, before = promoted.copy(tmp_path / "undisturbed"), readable(promoted)
    assert forks.ml(undisturbed.paths.root, *RUN).code == 0
    ran = forks.ml(promoted.paths.root, *RUN, setup=partial(forks.limited, SIZES[fits]))
    full(promoted, ran, "File too large")
    assert readable(promoted)["predictions/hours"] == before["predictions/hours"]
    assert forks.ml(promoted.paths.root, *RUN).code == 0
    assert kept(promoted) == kept(undisturbed) and attempts(promoted)[-1]["outcome"] == "ok"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32M", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode:
        pytest.skip(f"no disk can be made here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("left", [0, 4, 12, 24], ids=lambda left: f"{left} kB left")
def test_a_full_disk_keeps_the_old_state_and_the_next_run_completes(
    left: int, promoted: Project, disk: Path, tmp_path: Path
) -> None:
    corrected(promoted)
    undisturbed = promoted.copy(tmp_path / "undisturbed")
    assert forks.ml(undisturbed.paths.root, *RUN).code == 0
    project, before = promoted.copy(disk / "project"), readable(promoted)
    assert project.ml("versions").code == 0, "the registry has followed the project"
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - left * 1024))
    ran = forks.ml(project.paths.root, *RUN)
    full(project, ran, "No space left on device")
    assert readable(project)["predictions/hours"] == before["predictions/hours"]
    ballast.unlink()
    assert forks.ml(project.paths.root, *RUN).code == 0
    assert kept(project) == kept(undisturbed) and attempts(project)[-1]["outcome"] == "ok"


@pytest.mark.parametrize("given", [never_served, corrected], ids=lambda given: given.__name__)
def test_two_runs_of_a_day_at_once_are_one(given: Callable[[Project], None], promoted: Project, tmp_path: Path) -> None:
    given(promoted)
    undisturbed, earlier = promoted.copy(tmp_path / "undisturbed"), len(attempts(promoted))
    assert forks.ml(undisturbed.paths.root, *RUN).code == 0
    one, other = sorted(forks.at_once(promoted.paths.root, RUN, RUN, pause=0.1), key=lambda ran: ran.code)
    assert (one.code, other.code) == (0, 4), (one.err, other.err)
    (attempt,) = attempts(promoted)[earlier:]
    assert f"another run of {D} is going on, attempt {earlier + 1} since" in other.err
    assert f"pid {attempt['pid']}" in other.err and "Traceback" not in other.err
    assert other.boundaries == [], "it has touched nothing"
    assert kept(promoted) == kept(undisturbed)
    assert attempt["outcome"] == "ok" and promoted.ml("status", "--date", str(D)).code == 0


def test_two_days_at_once_are_both_run(promoted: Project, tmp_path: Path) -> None:
    days = [("run", "--date", str(D)), ("run", "--date", str(D + timedelta(days=7)))]
    undisturbed = promoted.copy(tmp_path / "undisturbed")
    assert [forks.ml(undisturbed.paths.root, *day).code for day in days] == [0, 0]
    assert [ran.code for ran in forks.at_once(promoted.paths.root, *days, pause=0.05)] == [0, 0]
    assert kept(promoted) == kept(undisturbed)


def version_numbers(project: Project) -> list[int]:
    return sorted(int(version.partition("/")[2]) for version, _ in registered(project))


@pytest.mark.parametrize("initialised", [False, True], ids=["a fresh registry", "a registry"])
def test_two_trainings_at_once_are_two_versions(initialised: bool, request: pytest.FixtureRequest) -> None:
    project = request.getfixturevalue("trained" if initialised else "ingested")
    write_configs(project)
    train = ("train", "--config", "configs/hours.yaml", "--json")
    done = forks.at_once(project.paths.root, train, train, setup=forks.light)
    assert [ran.code for ran in done] == [0, 0], [ran.err for ran in done]
    made = [json.loads(ran.out) for ran in done]
    first = 2 if initialised else 1
    assert sorted(facts["version"] for facts in made) == [f"hours/{first}", f"hours/{first + 1}"]
    assert version_numbers(project) == list(range(1, first + 2))
    known = dict(registered(project))
    assert [known[facts["version"]] for facts in made] == [facts["run_id"] for facts in made]
    for number in (first, first + 1):
        whole = forks.ml(project.paths.root, "promote", str(number), "--force", "--reason", "is all of it there?")
        assert whole.code == 0, whole.err


def test_two_promotions_at_once_are_one_after_the_other(promoted: Project) -> None:
    """Both challengers passed against the champion; whoever comes second finds another one."""
    root = promoted.paths.root
    promoted.edit("configs/hours.yaml", "tolerance: 0.1", "tolerance: 2.0")
    for number in (2, 3):
        assert forks.ml(root, "train", "--config", "configs/hours.yaml", setup=forks.light).code == 0
        gate = forks.ml(root, "gate", str(number), setup=forks.light)
        assert gate.code == 0, gate.out
    done = forks.at_once(root, ("promote", "2"), ("promote", "3"))
    won = [f"hours/{number}" for number, ran in zip((2, 3), done, strict=True) if ran.code == 0]
    lost = [ran for ran in done if ran.code != 0]
    assert [ran.code for ran in lost] == [1] and "and the champion is now hours/" in lost[0].err
    said = promoted.ml("versions", "--json").json
    assert [item["version"] for item in said["versions"] if item["champion"]] == won
    assert [move["version"] for move in said["history"]] == ["hours/1", *won]


def test_what_is_announced_is_all_that_the_kernel_was_asked_to_change(promoted: Project, tmp_path: Path) -> None:
    """A retraining on a machine that has never served: everything that writes, the Rust of polars and C included."""
    if shutil.which("strace") is None or subprocess.run([*STRACE, os.devnull, "true"], check=False).returncode:
        pytest.skip("no strace here, or it may not look")
    assert promoted.ml("versions").code == 0, "the registry has followed the project"
    never_served(promoted)
    retraining(promoted)
    root, trace = promoted.paths.root, tmp_path / "trace"
    with forks.beside(*STRACE, str(trace)):
        ran = forks.ml(root, *RUN, setup=forks.light)
    assert ran.code == 0, ran.err

    seen = {(event, Path(path)) for event, path in changes(trace)}
    seen = {(event, path.relative_to(root).as_posix()) for event, path in seen if path.is_relative_to(root)}
    seen = {(event, path) for event, path in seen if not path.startswith("var/locks/")}
    of_sqlite = {(event, path) for event, path in seen if path.startswith("var/registry/mlflow.db")}
    announced = {(event, path) for event, _, path in (boundary.partition(" ") for boundary in ran.boundaries)}
    assert seen - of_sqlite == announced - {("commit", "var/registry/mlflow.db")}
    assert commits(trace) == sum(boundary.startswith("commit") for boundary in ran.boundaries) > 10
    assert {path.removeprefix("var/registry/mlflow.db") for _, path in of_sqlite} <= {"", "-wal", "-shm"}
