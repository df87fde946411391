"""The two commands of the README, on a machine that has no uv."""

import os
import re
import sys
from pathlib import Path

import pytest
from conftest import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="make is not at home there"),
]


def without_uv(folder: Path) -> dict[str, str]:
    """A path with everything but uv: Python is linked by name, for uv may live beside it."""
    folder.mkdir()
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "python3").symlink_to(python)
    kept = [p for p in os.environ["PATH"].split(os.pathsep) if p in ("/usr/bin", "/bin", "/usr/local/bin")]
    return {
        "PATH": os.pathsep.join([str(folder), *(p for p in kept if not Path(p, "uv").exists())]),
        "UV": "",
    }


def steps(text: str) -> list[str]:
    """The numbered titles of a demo's transcript."""
    return re.findall(r"(?m)^ ?\d+  (\S.*?) +\d+\.\d s$", text)


def test_make_demo_ends_with_a_served_prediction(checkout: Path, tmp_path: Path):
    env = without_uv(tmp_path / "bin")
    done = run("make", "demo", cwd=checkout, env=env)
    assert (checkout / ".tools" / "bin" / "uv").exists()
    assert "bringing uv " in done.stdout
    assert re.search(r"predict over HTTP", done.stdout)
    assert re.search(r"'delivered_hours': \d+\.\d+} by hours/\d+", done.stdout), "a version said so"
    shown = (checkout / "README.md").read_text(encoding="utf-8")
    assert steps(done.stdout) and steps(done.stdout) == steps(shown), "the README's transcript is an old one"
    assert done.stdout.rstrip().endswith("The project is in scratch/parcel-eta")

    again = run("make", "demo", cwd=checkout, env=env | {"UV_OFFLINE": "1"})
    assert "bringing uv " not in again.stdout, "it is there"
    assert again.stdout.rstrip().endswith("The project is in scratch/parcel-eta")


def test_make_test_runs_the_fast_tests(checkout: Path):
    done = run("make", "test", "TESTS=tests/test_lock.py", cwd=checkout)
    assert re.search(r"\d+ passed", done.stdout)
