"""Projects to test in: a fresh one, one with data, and one with trained versions. Expensive ones are made once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import settings

from {{cookiecutter.package_name}} import paths
from {{cookiecutter.package_name}}.cli import main
from {{cookiecutter.package_name}}.data.store import DATASETS, PARTITIONS, QUARANTINE
from {{cookiecutter.package_name}}.paths import Paths

if TYPE_CHECKING:
    from bucket import InBucket, Server

ROOT = Path(__file__).parent.parent
if not Path(paths.__file__).resolve().is_relative_to(ROOT.resolve()):
    pytest.exit(f"the tests would import {paths.__file__}: remove .venv, it belongs to another folder", returncode=4)
FIRST, LAST = date(2026, 5, 15), date(2026, 6, 2)
"""19 days: the window of configs/smoke.yaml and the days its labels take."""

DAY = date(2026, 5, 20)
"""A Wednesday in the middle, for tests that need one day."""

# In CI the same examples every time, and nothing that depends on how fast the machine is.
settings.register_profile("local", deadline=None, max_examples=40)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@dataclass
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Project:
    """A project folder, and `ml` run in it."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)

    @classmethod
    def new(cls, root: Path) -> Project:
        """A project as generated, without data."""
        root.mkdir(parents=True)
        for name in ("operations.yaml", "uv.lock"):
            shutil.copyfile(ROOT / name, root / name)
        shutil.copytree(ROOT / "configs", root / "configs")
        return cls(root)

    @property
    def partitions(self) -> Path:
        return self.paths.root / "data" / PARTITIONS

    @property
    def quarantine(self) -> Path:
        return self.paths.root / "data" / QUARANTINE

    @property
    def datasets(self) -> Path:
        return self.paths.root / "data" / DATASETS

    def copy(self, root: Path) -> Project:
        """A copy to break things in."""
        shutil.copytree(self.paths.root, root)
        return Project(root)

    def ml(self, *arguments: str) -> Ran:
        """Run `ml` here, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.paths.root), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(arguments))
        return Ran(code, out.getvalue(), err.getvalue())

    def overrule(self, version: str, reason: str = "a test") -> Ran:
        """Promote without the gate's pass, for tests that are about something else. The proof must hold even so."""
        return self.ml("promote", version, "--force", "--reason", reason)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace ``old``, which must be there, in a file of the project."""
        path = self.paths.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def drop(self, table: str, day: date, delivery: pl.DataFrame | bytes) -> bytes:
        """Deliver ``delivery`` as upstream would, instead of the sample. Returns the bytes that it dropped."""
        path = self.paths.root / "data" / "upstream" / table / f"{day}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(delivery, bytes):
            path.write_bytes(delivery)
        else:
            delivery.write_parquet(path)
        return path.read_bytes()

    def tree(self, folder: str = "data") -> dict[str, str]:
        """sha256 of every file below ``folder``, by its path: equal trees hold the same bytes under the same names."""
        files = sorted(path for path in (self.paths.root / folder).rglob("*") if path.is_file())
        return {
            path.relative_to(self.paths.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell points to is none of the tests' business."""
    collectors = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    told = ("ML_ALERT_PAGE", "ML_ALERT_DIGEST", "ML_PING_URL", "PING_URL", "ML_PROMETHEUS_URL")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "ML_API_KEYS_FILE", *collectors, *told):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh project, yours to break."""
    return Project.new(tmp_path / "project")


@pytest.fixture(scope="session")
def _with_day(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project.new(tmp_path_factory.mktemp("day") / "project")
    ran = made.ml("ingest", "--date", str(DAY))
    assert ran.code == 0, ran.err
    return made


@pytest.fixture
def with_day(_with_day: Project, tmp_path: Path) -> Project:
    """A project in which DAY is ingested, yours to break."""
    return _with_day.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def _ingested(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project.new(tmp_path_factory.mktemp("ingested") / "project")
    ran = made.ml("ingest", "--from", str(FIRST), "--to", str(LAST))
    assert ran.code == 0, ran.err
    return made


@pytest.fixture(scope="session")
def _trained(_ingested: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = _ingested.copy(tmp_path_factory.mktemp("trained") / "project")
    write_configs(made)
    for config in ("hours", "late"):
        ran = made.ml("train", "--config", f"configs/{config}.yaml")
        assert ran.code == 0, ran.err
    return made


@pytest.fixture(scope="session")
def _promoted(_trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = _trained.copy(tmp_path_factory.mktemp("promoted") / "project")
    ran = made.overrule("1")
    assert ran.code == 0, ran.err
    return made


@pytest.fixture
def promoted(_promoted: Project, tmp_path: Path) -> Project:
    """A project whose champion is hours/1, yours to break: what the daily run needs."""
    return _promoted.copy(tmp_path / "project")


@pytest.fixture
def ingested(_ingested: Project, tmp_path: Path) -> Project:
    """A project with 19 days of data, yours to break."""
    return _ingested.copy(tmp_path / "project")


@pytest.fixture
def trained(_trained: Project, tmp_path: Path) -> Project:
    """A project with versions hours/1 (trees) and late/1 (linear, classification), yours to break."""
    return _trained.copy(tmp_path / "project")


@pytest.fixture
def shared_trained(_trained: Project) -> Project:
    """The same to look at only: whoever changes something takes ``trained``."""
    return _trained


@pytest.fixture(scope="session")
def s3() -> Iterator[Server]:
    """A server on this machine that speaks S3, one for the whole run."""
    from bucket import serving

    with serving() as server:
        yield server


@pytest.fixture
def bucket(s3: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """``s3://name``, a bucket of your own, and an environment that leads to it."""
    from bucket import variables

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in variables(s3).items():
        monkeypatch.setenv(name, value)
    yield s3.new()
    s3.meddle = None


@pytest.fixture
def in_bucket(tmp_path: Path, bucket: str, s3: Server) -> InBucket:
    """A fresh project whose data and ledger live in a bucket."""
    from bucket import InBucket

    return InBucket.at(Project.new(tmp_path / "in-bucket"), bucket, s3)


def write_configs(project: Project) -> None:
    """`hours` and `late` on the smoke window, so that a test trains in a second."""
    smoke = (project.paths.root / "configs" / "smoke.yaml").read_text(encoding="utf-8")
    (project.paths.root / "configs" / "hours.yaml").write_text(
        smoke.replace("name: smoke", "name: hours") + "gate: {metric: mae, tolerance: 0.1}\n", encoding="utf-8"
    )
    late = (project.paths.root / "configs" / "late.yaml").read_text(encoding="utf-8")
    late = late.replace("train_days: 28", "train_days: 7").replace(
        "minimum_evaluation_rows: 5000", "minimum_evaluation_rows: 1000"
    )
    (project.paths.root / "configs" / "late.yaml").write_text(late + "proof_rows: 50\n", encoding="utf-8")
