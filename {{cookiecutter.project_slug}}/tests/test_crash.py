"""`ml run` killed with SIGKILL wherever it writes, on a full disk, and twice at once: run again, all is as undisturbed.

Where it writes is found by watching an undisturbed run; every kill is of a real process, and of those that it started.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from {{cookiecutter.package_name}} import sample_upstream
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.files import TEMPORARY
from {{cookiecutter.package_name}}.model import artefact

from conftest import LAST, Project

if os.name == "nt":
    pytest.skip("Windows has no fork, and no SIGKILL", allow_module_level=True)

import forks

D = LAST + timedelta(days=1)
"""The first day that the project with a champion has not seen."""
RUN = ("run", "--date", str(D))
TABLES = ("parcels", "deliveries", "predictions/hours")


def never_served(project: Project) -> None:
    """The day's first run, on a machine that has to fetch the champion first."""
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


def kept(project: Project) -> dict[str, str]:
    """What has to be the same in the end: the data, and the versions that were served. No draft may be left."""
    found = project.tree("data") | project.tree("var/serving")
    drafts = [path.relative_to(project.paths.root) for path in project.paths.root.rglob(f"{TEMPORARY}*")]
    assert [path for path in drafts if "upstream" not in path.parts] == []
    return {name: digest for name, digest in found.items() if TEMPORARY not in name}


def readable(project: Project) -> dict[str, str]:
    """The day's partitions that are in force, each read, by the hash of their bytes; and no version is half there."""
    for place in project.paths.serving.glob("*/[0-9]*"):
        assert artefact.is_placed(place, json.loads((place / artefact.FACTS).read_text("utf-8"))), place
    store = Store(project.paths)
    manifests = {table: manifest for table in TABLES if (manifest := store.manifest(table, D))}
    for table, manifest in manifests.items():
        assert len(store.read(table, D)) == manifest.rows
    return {table: manifest.sha256 for table, manifest in manifests.items()}


def spread(boundaries: list[str]) -> list[int]:
    """Numbers of the boundaries to die at: all of them, but of those in one draft folder that follow each other the
    first, one in the middle and the last. Nobody looks into a draft folder until it is renamed."""

    def inside(numbered: tuple[int, str]) -> str:
        event, path = numbered[1].split(" ", 1)
        drafts = [part for part in Path(path).parts[:-1] if part.startswith(TEMPORARY)]
        return str(numbered[0]) if event == "os.rename" or not drafts else drafts[0]

    groups = (list(group) for _, group in groupby(enumerate(boundaries, 1), inside))
    return [number for group in groups for number in sorted({group[i][0] for i in (0, len(group) // 2, -1)})]


@pytest.mark.slow
@pytest.mark.parametrize("given", [never_served, corrected, nothing_new], ids=lambda given: given.__name__)
def test_killed_at_any_boundary_the_old_or_the_new_stands_and_the_next_run_completes(
    given: Callable[[Project], None], promoted: Project, tmp_path: Path
) -> None:
    given(promoted)
    undisturbed = promoted.copy(tmp_path / "undisturbed")
    whole = forks.ml(undisturbed.paths.root, *RUN)
    assert whole.code == 0, whole.err
    before, after, names = (
        readable(promoted),
        readable(undisturbed),
        [s["name"] for s in attempts(undisturbed)[-1]["steps"]],
    )
    earlier, said = attempts(promoted), promoted.ml("status", "--date", str(D), "--json").json

    for number in spread(whole.boundaries):
        where = f"{number}: {whole.boundaries[number - 1]}"
        project = promoted.copy(tmp_path / "killed")
        died = forks.ml(project.paths.root, *RUN, at=number)
        assert died.code == -9, (where, died.err)

        for table, digest in readable(project).items():
            assert digest in (before.get(table), after[table]), (where, table)
        assert before.keys() <= readable(project).keys(), where
        begun = attempts(project)[len(earlier) :]
        status = project.ml("status", "--date", str(D), "--json").json
        assert [attempt["outcome"] for attempt in begun] in ([], ["running"]), where
        if begun:
            assert (status["verdict"], status["state"]) == ("NOT OK", "killed"), where
            assert "was killed" in status["said"] and status["actions"][0]["code"] == "RUN001", where
            assert [step["name"] for step in begun[0]["steps"]] == names[: len(begun[0]["steps"])], where
        else:
            assert (status["state"], status["attempts"]) == (said["state"], len(earlier)), where

        again = forks.ml(project.paths.root, *RUN)
        assert again.code == 0, (where, again.out, again.err)
        assert kept(project) == kept(undisturbed), where
        outcomes = [attempt["outcome"] for attempt in attempts(project)[len(earlier) :]]
        assert outcomes == (["interrupted", "ok"] if begun else ["ok"]), where
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
