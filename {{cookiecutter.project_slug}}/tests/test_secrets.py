"""A secret in a commit is found, in the commit and ever after; the project itself holds none."""

from __future__ import annotations

import random
import shutil
import string
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from conftest import ROOT

SCANNER = Path(sysconfig.get_path("scripts")) / "kingfisher"
LEFT_OUT = {".venv", ".git", "data", "var", ".pytest_cache", ".ruff_cache", ".hypothesis", "__pycache__"}


def options(where: str) -> list[str]:
    """What the hook or CI gives the scanner: taken from the file, so that what is tested is what runs."""
    if where == "hook":
        hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
        line = next(hook["entry"] for hook in hooks if hook["id"] == "kingfisher")
    else:
        ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
        line = next(step["run"] for step in ci["jobs"]["check"]["steps"] if "kingfisher" in step.get("run", ""))
    return line.partition("kingfisher ")[2].split()


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def scan(folder: Path, where: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(SCANNER), *options(where)], cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    )
    return done.returncode, done.stdout + done.stderr


def secrets() -> dict[str, str]:
    """Made up here, so that none stands in a file; the scanner passes over what looks like an example."""
    dice = random.Random(7)
    draw = lambda letters, n: "".join(dice.choice(letters) for _ in range(n))  # noqa: E731
    base64 = string.ascii_letters + string.digits + "+/"
    key = "AKIA" + draw("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
    body = "\n".join(draw(base64, 64) for _ in range(25))
    kind = "RSA PRIVATE" + " KEY"
    return {
        "aws.py": f'aws_access_key_id = "{key}"\naws_secret_access_key = "{draw(base64, 40)}"\n',
        "deploy.pem": f"-----BEGIN {kind}-----\nMII{body}\n-----END {kind}-----\n",
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The project's files in a repository of its own, with one commit."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    git(folder, "init", "--quiet")
    # whoever commits has a name; without one the scanner cannot look at what is staged, and finds nothing
    git(folder, "config", "user.name", "Ada Example")
    git(folder, "config", "user.email", "ada@example.com")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", "--message", "Start")
    return folder


def test_the_project_holds_none(repository: Path) -> None:
    """No hash in uv.lock and no notebook is taken for one."""
    assert scan(repository, "CI") == (0, "")


@pytest.mark.parametrize("name", secrets())
def test_one_is_found_before_and_after_the_commit(repository: Path, name: str) -> None:
    (repository / name).write_text(secrets()[name], encoding="utf-8")
    assert scan(repository, "hook")[0] == 0  # what is not staged is not committed
    git(repository, "add", name)
    code, said = scan(repository, "hook")
    assert code != 0 and name in said
    assert not [line for line in secrets()[name].splitlines()[1:-1] if line in said], "the secret is in the log"
    git(repository, "commit", "--quiet", "--no-verify", "--message", "Leak")
    git(repository, "rm", "--quiet", name)
    git(repository, "commit", "--quiet", "--no-verify", "--message", "Remove it, too late")
    code, said = scan(repository, "CI")
    assert code != 0 and name in said
