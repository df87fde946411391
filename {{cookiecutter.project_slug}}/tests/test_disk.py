"""A disk that is full, or that refuses: said plainly, nothing lost, and mended by the same command."""

from __future__ import annotations

import os
import subprocess
import sys

import polars as pl
import pytest

from conftest import Project

PACKAGE = "{{cookiecutter.package_name}}"
LIMITED = (
    "import resource, sys; limit = int(sys.argv.pop(1)); resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); "
)
LIMITED += f"from {PACKAGE}.cli import main; sys.exit(main(sys.argv[1:]))"


def limited(project: Project, size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`ml` in a process whose files cannot grow beyond ``size`` bytes: the kernel refuses the write in the middle."""
    command = [sys.executable, "-c", LIMITED, str(size), *arguments]
    return subprocess.run(command, cwd=project.paths.root, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="file size limits are POSIX")
@pytest.mark.parametrize("size", [0, 100, 20_000])
def test_an_ingest_that_runs_out_of_space_leaves_the_old_state_and_is_repeated(ingested: Project, size: int) -> None:
    before = ingested.tree()
    day = ("--date", "2026-05-20")
    upstream = ingested.paths.root / "data" / "upstream" / "parcels" / "2026-05-20.parquet"
    corrected = pl.read_parquet(upstream).with_columns(pl.col("distance_km") + 1)
    corrected.write_parquet(upstream)
    ran = limited(ingested, size, "ingest", *day)
    assert ran.returncode == 4, ran.stderr
    assert "the storage said no" in ran.stderr and "Traceback" not in ran.stderr
    after = ingested.tree("data/partitions")
    assert {name: digest for name, digest in before.items() if "/partitions/" in name} == after
    again = ingested.ml("ingest", *day)
    assert again.code == 0 and "1 changed" in again.out


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="file size limits are POSIX")
def test_a_training_that_runs_out_of_space_registers_nothing(ingested: Project) -> None:
    ran = limited(ingested, 50_000, "train", "--config", "configs/smoke.yaml")
    assert ran.returncode == 4, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ingested.ml("versions", "--model", "smoke").code == 1
    assert ingested.ml("train", "--config", "configs/smoke.yaml").code == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_said_plainly(ingested: Project) -> None:
    folder = ingested.partitions / "parcels"
    folder.chmod(0o500)
    try:
        ran = ingested.ml("ingest", "--date", "2026-06-03")
    finally:
        folder.chmod(0o700)
    assert ran.code == 4 and "Permission denied" in ran.err
