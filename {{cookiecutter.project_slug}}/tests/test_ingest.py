"""Ingesting is idempotent: again, reordered, twice at once or killed anywhere, the end state is the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from {{cookiecutter.package_name}} import sample_upstream, source
from {{cookiecutter.package_name}}.data import ingest
from {{cookiecutter.package_name}}.data.store import Store

from conftest import DAY, FIRST, ROOT, Project
from kill import Killed, moments

PARCELS, DELIVERIES = (sample_upstream.table(name, DAY) for name in ("parcels", "deliveries"))
ROW = pl.int_range(pl.len())
INGEST = ("ingest", "--date", str(DAY))
KEPT = ("data/partitions", "data/quarantine")


def kept(project: Project) -> dict[str, str]:
    return {name: digest for folder in KEPT for name, digest in project.tree(folder).items()}


def test_twice_gives_the_same_tree(with_day: Project) -> None:
    once = with_day.tree()
    ran = with_day.ml(*INGEST)
    assert ran.code == 0
    assert "0 changed" in ran.out
    assert with_day.tree() == once


def test_another_machine_gives_the_same_tree(with_day: Project, tmp_path: Path) -> None:
    other = Project.new(tmp_path / "elsewhere")
    assert other.ml(*INGEST).code == 0
    assert other.tree() == with_day.tree()


def test_a_range_gives_the_same_tree_as_its_days_in_any_order(tmp_path: Path) -> None:
    whole, single = Project.new(tmp_path / "whole"), Project.new(tmp_path / "single")
    days = [FIRST.replace(day=FIRST.day + offset) for offset in range(3)]
    assert whole.ml("ingest", "--from", str(days[0]), "--to", str(days[-1])).code == 0
    for day in (days[2], days[0], days[1], days[0]):
        assert single.ml("ingest", "--date", str(day)).code == 0
    assert single.tree() == whole.tree()


def test_a_reordered_delivery_gives_the_same_partition(with_day: Project) -> None:
    before = with_day.tree("data/partitions")
    for name, frame in (("parcels", PARCELS), ("deliveries", DELIVERIES)):
        with_day.drop(name, DAY, frame.sample(fraction=1, shuffle=True, seed=5))
    assert with_day.ml(*INGEST).code == 0
    after = with_day.tree("data/partitions")
    assert [name for name in after if before.get(name) != after[name]] == [
        f"data/partitions/{table}/{DAY}.json" for table in ("deliveries", "parcels")
    ], "only the manifests differ: they name the bytes that upstream delivered"


def test_a_redelivered_day_replaces_its_partition(with_day: Project) -> None:
    with_day.drop("parcels", DAY, PARCELS.head(2_000))
    ran = with_day.ml(*INGEST, "--json")
    assert ran.code == 0
    changed = {item["table"]: (item["changed"], item["rows"]) for item in ran.json["partitions"]}
    assert changed == {"parcels": (True, 2_000), "deliveries": (False, len(DELIVERIES))}
    assert len(Store(with_day.paths).read("parcels", DAY)) == 2_000
    assert len(list(with_day.partitions.glob("parcels/*"))) == 2


def redeliver(project: Project, *, bad: bool) -> None:
    """Another delivery of both tables; one row is set aside, and parcels are refused when ``bad``."""
    parcels = PARCELS.head(2_000)
    project.drop("parcels", DAY, parcels.drop("depot") if bad else parcels)
    slow = pl.when(ROW < 1).then(500.0).otherwise("delivered_hours").alias("delivered_hours")
    project.drop("deliveries", DAY, DELIVERIES.head(2_000).with_columns(slow))


@pytest.mark.parametrize("bad", [False, True], ids=["a good delivery", "a refused one"])
def test_killed_at_any_moment_the_old_state_stands_and_the_next_run_completes(
    bad: bool, with_day: Project, tmp_path: Path
) -> None:
    undisturbed = with_day.copy(tmp_path / "undisturbed")
    redeliver(undisturbed, bad=bad)
    with moments(undisturbed.paths.root) as watch:
        code = undisturbed.ml(*INGEST).code
    assert code == (3 if bad else 0)
    assert watch.count > 12
    good = {table: [len(Store(made.paths).read(table, DAY)) for made in (with_day, undisturbed)] for table in TABLES}

    for moment in range(1, watch.count + 1):
        project = with_day.copy(tmp_path / str(moment))
        redeliver(project, bad=bad)
        with pytest.raises(Killed), moments(project.paths.root, at=moment):
            project.ml(*INGEST)
        for table in TABLES:
            assert len(Store(project.paths).read(table, DAY)) in good[table], (moment, table)
        assert project.ml(*INGEST).code == code, moment
        assert kept(project) == kept(undisturbed), moment


TABLES = ("parcels", "deliveries")


@pytest.mark.slow
def test_kill_9_at_any_moment_of_a_first_ingest(project: Project, tmp_path: Path) -> None:
    undisturbed = project.copy(tmp_path / "undisturbed")
    with moments(undisturbed.paths.root) as watch:
        assert undisturbed.ml(*INGEST).code == 0
    for moment in range(1, watch.count + 1):
        died = project.copy(tmp_path / str(moment))
        root = died.paths.root
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "kill.py"), str(root), str(moment), *INGEST],
            cwd=root, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == -9 or os.name == "nt", (moment, done.stderr)
        assert died.ml(*INGEST).code == 0, moment
        assert kept(died) == kept(undisturbed), moment


@pytest.mark.slow
def test_two_ingests_of_a_day_at_once_leave_one_outcome(with_day: Project) -> None:
    before = with_day.tree()
    root = with_day.paths.root
    slowly = [sys.executable, str(ROOT / "tests" / "kill.py"), str(root), "0", *INGEST]
    both = []
    for _ in range(2):
        both.append(subprocess.Popen(slowly, cwd=root, stderr=subprocess.PIPE))
        time.sleep(0.15)
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert with_day.tree() == before


@pytest.mark.parametrize("arguments", [(), ("--from", "2026-05-20"), ("--from", "2026-05-20", "--to", "2026-05-19")])
def test_a_day_that_is_not_said_is_asked_for(arguments: tuple[str, ...], project: Project) -> None:
    ran = project.ml("ingest", *arguments)
    assert ran.code == 2
    assert "which day? expected --date DAY, or --from DAY --to DAY in that order" in ran.err
    assert project.tree() == {}


def test_a_source_of_an_older_release_is_told_what_it_lacks(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "fetch", lambda *_: PARCELS)
    ran = project.ml(*INGEST)
    assert ran.code == 2 and "fetch returned a DataFrame, expected the path" in ran.err, ran.err
    monkeypatch.undo()
    monkeypatch.delattr(source, "read")
    ran = project.ml(*INGEST)
    assert ran.code == 2 and "source.py has no read(table, path)" in ran.err and "your-data.md" in ran.err
