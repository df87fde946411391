"""A version is made again from its commit, its lock and its data, long after the project went on."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from conftest import Project, commit, git

pytestmark = pytest.mark.slow
ML = ("uv", "run", "--no-sync", "ml")

TAMPER = """
import json
from parcel_eta.cli.models import open_registry
from parcel_eta.model import artefact
from parcel_eta.model.id import VersionId

registry, _ = open_registry()
version = VersionId("hours", 1)
facts = registry.facts(version)
proofs = {artefact.sha256(path): path for path in registry.paths.registry.rglob(artefact.PROOF)}
proof = proofs[facts["files"][artefact.PROOF]]
said = json.loads(proof.read_text())
said["rows"][3]["prediction"] += 0.5
proof.write_text(json.dumps(said))
facts["files"][artefact.PROOF] = artefact.sha256(proof)
facts["config"]["seed"] = 8
registry.remember(version, "facts", facts)
"""
"""Someone rewrites history: a prediction, the seed, and the hash that would have given the first one away."""


def edit(project: Project, name: str, old: str, new: str) -> None:
    text = project.text(name)
    assert old in text
    (project.path / name).write_text(text.replace(old, new), encoding="utf-8")


def reproduced(project: Project, code: int) -> Any:
    done = project.run(*ML, "reproduce", "1", "--json", check=False)
    assert done.returncode == code, done.stdout
    return json.loads(done.stdout[done.stdout.index("{") :])


def state(project: Project) -> dict[str, str]:
    """Working tree and registry, and sha256 of every file of data/ and var/ but locks and the database."""
    kept = [path for folder in ("data", "var") for path in sorted((project.path / folder).rglob("*"))]
    return {
        "git": git(project, "status", "--porcelain"),
        "registry": project.run(*ML, "versions", "--json").stdout,
    } | {
        path.relative_to(project.path).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in kept
        if path.is_file() and "locks" not in path.parts and not path.name.startswith("mlflow.db")
    }


def test_a_version_two_features_and_a_library_old_is_made_again(repository: Callable[..., Project]):
    project = repository()
    smoke = project.text("configs/smoke.yaml").replace("name: smoke", "name: hours")
    (project.path / "configs" / "hours.yaml").write_text(smoke, encoding="utf-8")
    commit(project, "A small model")
    project.run(*ML, "ingest", "--from", "2026-05-15", "--to", "2026-06-02")
    project.run(*ML, "train", "--config", "configs/hours.yaml")

    features = "src/parcel_eta/transform/features.py"
    edit(project, features, '/ c["promised_hours"]', '/ (c["promised_hours"] + 1)')
    commit(project, "One feature means something else")
    edit(project, features, "age < 30", "age < 60")
    edit(project, "configs/hours.yaml", ", root_distance, is_new_customer]", ", is_new_customer]")
    commit(project, "Another one too, and one is gone")
    edit(project, "pyproject.toml", '"scikit-learn>=1.8"', '"scikit-learn>=1.8,<1.9"')
    project.run("uv", "lock")
    project.run("uv", "sync", "--locked")
    commit(project, "Another scikit-learn")
    assert "scikit-learn v1.8." in project.run("uv", "tree", "--frozen", "--package", "scikit-learn").stdout
    project.run(*ML, "train", "--config", "configs/hours.yaml")

    # all that must be left is the registry and the dataset itself
    for name in ("partitions", "upstream"):
        (project.path / "data" / name).rename(project.path.parent / name)
    for path in (project.path / "data" / "datasets").glob("*.json"):
        path.unlink()
    before = state(project)
    said = reproduced(project, 0)
    assert said["likeness"]["outcome"] == "identical", said
    assert said["likeness"]["largest"] == 0 and said["likeness"]["rows"] > 50
    assert said["commit"] == git(project, "rev-parse", "HEAD~3").strip()
    files = said["likeness"]["files"]
    assert files["model.pkl"] and files["extra_files/proof.json"] and not files["MLmodel"]
    assert state(project) == before

    project.run("uv", "run", "--no-sync", "python", "-c", TAMPER)
    tampered = reproduced(project, 1)["likeness"]
    assert tampered["outcome"] == "differs" and tampered["rows_differing"] == 1
    assert "config seed: 7 in the commit, 8 in the record" in tampered["differences"]
    assert any("predictions rebuilt: 1 of" in line for line in tampered["differences"])
    assert [cause.partition(":")[0] for cause in tampered["causes"]] == ["the config"]
