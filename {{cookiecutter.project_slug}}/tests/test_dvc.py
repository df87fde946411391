"""DVC around the project: what makes a stage stale and what does not, what is pushed, what stays out of git."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from bucket import Server
from dvc.repo import Repo

from conftest import ROOT, Project
from recipe import PACKAGE, Copy, steps
from test_layers import TREES, module_of, ours

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STARTS = {
    "dataset": ("config", "contract", "data/dataset"),
    "train": ("estimator", "training/train", "transform"),
    "evaluate": ("training/reporting",),
}
"""Where the work of each stage begins."""
PLUMBING = {"clock", "errors", "files", "model/id", "paths", "programs", "typed_yaml"}
PLUMBING |= {"storage"} | {f"storage/{name}" for name in ("address", "bucket", "folder", "lease", "objects", "storage")}
"""They say where, when and what went wrong, and never what is written."""
SILENT = {
    "dataset": {"data/violations"},  # the words of a refusal
    "train": {
        *("data/evidence", "data/rules", "data/store", "data/streams", "data/validation", "data/violations"),  # frozen
        *("training/registry", "training/tracking"),  # nothing is registered
    },
    "evaluate": {
        *("data/describe", "data/evidence", "data/rules"),  # frozen already
        *("data/store", "data/streams", "data/validation", "data/violations"),
    },
}
"""Modules that a stage imports and that cannot change what it writes."""
ENVIRONMENT = ("AWS_", "DVC_", "GIT_")
"""Settings of the developer's shell that are none of the tests' business."""


def imported(starts: tuple[str, ...]) -> set[str]:
    """Everything of the package that these modules need, themselves included, as ``folder/module``."""
    files = {"/".join(module_of(path)): path for path in TREES}
    found: set[str] = set()
    following = list(starts)
    while following:
        name = following.pop()
        if name not in found:
            found.add(name)
            following += ["/".join(module) for module, _ in ours(files[name]) if module]
    return found


@pytest.mark.parametrize("stage", sorted(STARTS))
def test_a_stage_depends_on_the_code_that_shapes_its_output(stage: str) -> None:
    prefix = f"src/{PACKAGE}/"
    named = [dep.removeprefix(prefix) for dep in PIPELINE["stages"][stage]["deps"] if dep.startswith(prefix)]
    assert [name for name in named if not (ROOT / prefix / name).exists()] == []
    needed = imported(STARTS[stage])
    assert SILENT[stage] <= needed
    needed -= PLUMBING | SILENT[stage] | {"model", "transform", "data", "training"}
    covered = {name for name in needed if f"{name}.py" in named or name.split("/")[0] in named}
    assert needed - covered == set()
    assert {name for name in named if name.endswith(".py")} - {f"{name}.py" for name in needed} == set()


class Repository(Copy):
    """A copy of the project under git, with data and DVC; commands run in it as in a shell."""

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in super().environment.items() if not name.startswith(ENVIRONMENT)}
        aside = self.root.parent / "aside"
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
            "DVC_GLOBAL_CONFIG_DIR": str(aside),
            "DVC_SYSTEM_CONFIG_DIR": str(aside),
            "DVC_SITE_CACHE_DIR": str(aside),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @classmethod
    def at(cls, root: Path) -> Repository:
        """The repository that lies there already."""
        found = cls.__new__(cls)
        found.root = root
        return found

    def dvc(self, *words: str, code: int = 0) -> str:
        return self.run(" ".join(("dvc", *words)), code)

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        done = subprocess.run(
            ["git", *who, *words], cwd=self.root, env=self.environment, capture_output=True, text=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def stale(self) -> set[str]:
        """Stages that something changed for since they ran: what `dvc status` lists, without 2 s of starting it."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            with contextlib.chdir(self.root), Repo() as repo:
                return set(repo.status())

    def written(self) -> dict[str, tuple[int, bytes]]:
        """Time and bytes of everything the pipeline wrote."""
        names = ["dvc.lock", "data/dataset.parquet", "data/dataset.json", "build", "evaluation"]
        found = [path for name in names for path in (self.root / name, *sorted((self.root / name).rglob("*")))]
        return {
            path.relative_to(self.root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
            for path in found
            if path.is_file()
        }


@pytest.fixture(scope="module")
def _reproduced(_ingested: Project, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("dvc") / "project")
    (made.root / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(made.root / "evaluation", ignore_errors=True)
    tiny = (made.root / "configs" / "smoke.yaml").read_text(encoding="utf-8")
    (made.root / "configs" / "v1.yaml").write_text(tiny.replace("name: smoke", "name: hours"), encoding="utf-8")
    shutil.copytree(_ingested.partitions, made.root / "data" / "partitions")
    made.git("init", "--quiet", "--initial-branch", "main")
    made.commit("Start")
    said = made.dvc("repro")
    assert all(f"Running stage '{stage}'" in said for stage in STARTS)
    made.commit("Train")
    return made


@pytest.fixture
def reproduced(_reproduced: Repository, tmp_path: Path) -> Repository:
    """A repository in which `dvc repro` ran and its result is committed, yours to break."""
    shutil.copytree(_reproduced.root, tmp_path / "project")
    return Repository.at(tmp_path / "project")


@pytest.mark.slow
def test_a_second_repro_does_nothing(reproduced: Repository) -> None:
    before = reproduced.written()
    said = reproduced.dvc("repro")
    assert "Data and pipelines are up to date." in said and "Running" not in said
    assert reproduced.written() == before
    assert reproduced.git("status", "--porcelain") == ""
    facts = json.loads((reproduced.root / "build" / "model" / "facts.json").read_text(encoding="utf-8"))
    assert facts["git_commit"] == reproduced.git("rev-parse", "HEAD~1").strip()
    assert facts["git_dirty"] is False, "what dvc repro itself writes makes no commit dirty"


@pytest.mark.slow
def test_an_edit_makes_stale_what_it_shapes_and_nothing_else(reproduced: Repository) -> None:
    source = reproduced.root / "src" / PACKAGE
    for folder in ("serving", "operations", "cli"):
        for path in (source / folder).glob("*.py"):
            path.write_text(path.read_text(encoding="utf-8") + "# another word\n", encoding="utf-8")
    for name in ("README.md", "operations.yaml", f"src/{PACKAGE}/source.py", f"src/{PACKAGE}/data/ingest.py"):
        with (reproduced.root / name).open("a", encoding="utf-8") as file:
            file.write("# another word\n")
    assert reproduced.stale() == set()

    for name, stale in (
        ("transform/features.py", {"train"}),
        ("estimator.py", {"train"}),
        ("training/reporting.py", {"evaluate"}),
        ("contract.py", {"dataset", "train", "evaluate"}),
    ):
        text = (source / name).read_bytes()
        (source / name).write_bytes(text + b"# another word\n")
        assert reproduced.stale() == stale, name
        (source / name).write_bytes(text)


@pytest.mark.slow
def test_a_day_that_is_new_or_delivered_again_makes_the_dataset_stale(reproduced: Repository) -> None:
    partitions = reproduced.root / "data" / "partitions"
    manifest = sorted(partitions.rglob("*.json"))[-1]
    content = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(content | {"rows": 1}), encoding="utf-8")
    assert reproduced.stale() == {"dataset"}
    manifest.unlink()
    assert reproduced.stale() == {"dataset"}


@pytest.mark.slow
def test_another_parameter_retrains_and_going_back_is_restored_and_registered(reproduced: Repository) -> None:
    first = reproduced.written()
    reproduced.edit("configs/v1.yaml", "max_iter: 10", "max_iter: 12")
    said = reproduced.dvc("repro")
    assert "Stage 'dataset' didn't change" in said
    assert "Running stage 'train'" in said and "Running stage 'evaluate'" in said
    shown = json.loads(reproduced.dvc("metrics", "show", "--json"))[""]["data"]["evaluation/metrics.json"]["data"]
    assert shown == json.loads((reproduced.root / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    changes = json.loads(reproduced.dvc("metrics", "diff", "--json"))["evaluation/metrics.json"]
    assert changes["mae"]["new"] == shown["mae"] < changes["mae"]["old"]
    assert "estimator.params.max_iter" in reproduced.dvc("params", "diff")

    reproduced.edit("configs/v1.yaml", "max_iter: 12", "max_iter: 10")
    said = reproduced.dvc("repro")
    assert "Stage 'train' is cached - skipping run" in said and "Running stage 'train'" not in said
    assert {name: content for name, (_, content) in reproduced.written().items()} == {
        name: content for name, (_, content) in first.items()
    }
    versions = [json.loads(reproduced.run("ml register build/model --json")) for _ in range(2)]
    assert [(said["version"], said["new"]) for said in versions] == [("hours/1", True), ("hours/1", False)]


@pytest.mark.slow
def test_plots_are_drawn(reproduced: Repository) -> None:
    reproduced.dvc("plots", "show", "--out", "drawn")
    page = (reproduced.root / "drawn" / "index.html").read_text(encoding="utf-8")
    for title in ("Calibration, in tenths of the rows", "Predicted minus actual", "MAE by slice"):
        assert title in page
    pictures = {path.name.partition("figures_")[2] for path in (reproduced.root / "drawn" / "static").iterdir()}
    assert {"predicted_against_actual.png", "permutation_importance.png"} <= pictures
    assert all(name in page for name in pictures)

    curve = "false_positive_rate,true_positive_rate\n0,0\n0.5,0.9\n1,1\n"
    (reproduced.root / "evaluation" / "roc.csv").write_text(curve, encoding="utf-8")
    pipeline = (reproduced.root / "dvc.yaml").read_text(encoding="utf-8")
    switched = pipeline.replace("\n  # - ", "\n  - ").replace("\n  #   ", "\n    ")
    (reproduced.root / "dvc.yaml").write_text(switched, encoding="utf-8")
    assert yaml.safe_load(switched)["plots"][2]["evaluation/roc.csv"]["x"] == "false_positive_rate"
    reproduced.dvc("plots", "show", "--out", "drawn")
    assert '"false_positive_rate"' in (reproduced.root / "drawn" / "index.html").read_text(encoding="utf-8")


def lose(repository: Repository) -> dict[str, bytes]:
    """Delete what DVC keeps, here and in its cache. Returns what it was."""
    kept = {name: content for name, (_, content) in repository.written().items() if name.startswith(("data", "build"))}
    assert len(kept) > 10
    for name in ("build", "data/dataset.parquet", "data/dataset.json", ".dvc/cache"):
        path = repository.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return kept


def is_back(repository: Repository, lost: dict[str, bytes]) -> None:
    found = {name: content for name, (_, content) in repository.written().items() if name in lost}
    assert found == lost
    assert repository.stale() == set()


@pytest.mark.slow
def test_push_and_pull_by_the_folder_beside_the_project(reproduced: Repository) -> None:
    """And a clone without partitions gets the same, and finds nothing to do."""
    slug = json.loads((ROOT / ".template.json").read_text(encoding="utf-8"))["cookiecutter"]["project_slug"]
    reproduced.dvc("push")
    assert (reproduced.root.parent / f"{slug}-dvc" / "files" / "md5").is_dir()
    assert reproduced.git("status", "--porcelain") == ""
    lost = lose(reproduced)
    reproduced.dvc("pull")
    is_back(reproduced, lost)

    reproduced.git("clone", "--quiet", ".", "../clone")
    clone = Repository.at(reproduced.root.parent / "clone")
    clone.dvc("pull")
    assert {name: content for name, (_, content) in clone.written().items() if name in lost} == lost
    assert clone.stale() == {"dataset"}
    assert "Data and pipelines are up to date." in clone.dvc("repro", "--allow-missing")


@pytest.mark.slow
def test_push_and_pull_by_s3_as_the_page_says(reproduced: Repository, s3: Server) -> None:
    s3.new("my-bucket")
    page = (ROOT / "docs" / "data-versions.md").read_text(encoding="utf-8")
    told = [step.text for step in steps(page) if step.verb == "run"]
    assert len(told) == 2
    for line in told:
        reproduced.run(line.replace("https://s3.example.com", s3.address))
    reproduced.dvc("push")
    assert httpx.get(f"{s3.address}/my-bucket", trust_env=False).text.count("<Key>") > 10
    assert not list(reproduced.root.parent.glob("*-dvc"))
    lost = lose(reproduced)
    reproduced.dvc("pull")
    is_back(reproduced, lost)


@pytest.mark.slow
def test_large_data_never_enters_git(reproduced: Repository) -> None:
    (reproduced.root / "data" / "upstream").mkdir()
    (reproduced.root / "data" / "upstream" / "rows.parquet").write_bytes(b"PAR1" * 100_000)
    (reproduced.root / "var" / "mlflow.db").write_bytes(b"0" * 400_000)
    reproduced.git("add", "--all")
    assert reproduced.git("status", "--porcelain") == "", "all of it was committed, and there was nothing large in it"
    tracked = [name for name in reproduced.git("ls-files", "-z").split("\0") if name]
    assert {"dvc.lock", "dvc.yaml", ".dvc/config", "evaluation/metrics.json", "evaluation/slices.csv"} <= set(tracked)
    large = {name for name in tracked if (reproduced.root / name).stat().st_size > 200_000}
    assert large <= {"uv.lock"}
    assert [name for name in tracked if name.startswith(("data/", "build/", "var/"))] == []
    assert [name for name in tracked if name.endswith((".parquet", ".pkl", ".db"))] == []


@pytest.mark.slow
def test_before_git_init_dvc_says_so_and_nothing_is_touched(tmp_path: Path) -> None:
    project = Repository(tmp_path / "project")
    said = project.dvc("repro", code=255)
    assert "is not a git repository" in said
    assert not (project.root / "build").exists()
