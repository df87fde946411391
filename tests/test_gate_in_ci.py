"""A project's ci.yml as GitHub would run it on a pull request: a harmless one, a worse one, one without data.

Stood in for: `gh` (tests/stand_ins/gh keeps comments in a file). Skipped: the two actions that check out the
code and bring uv. Every `run:` step runs as it stands, in a clean clone.
"""

import base64
import csv
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import run_workflow
from conftest import FORTY, STAND_INS, Project, commit, git, run_in_ci

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the runner is for steps written for bash on Linux"),
]
OWN_BRANCH = "github.event.pull_request.head.repo.full_name == github.repository"


def edit(project: Project, name: str, old: str, new: str) -> None:
    text = project.text(name)
    assert text.count(old) == 1
    (project.path / name).write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def pull_request(
    project: Project, state: Path, job: str = "", **given: str
) -> subprocess.CompletedProcess[str]:
    """ci.yml on what is committed, against the commit before; other values replace these."""
    values = {
        "github.event_name": "pull_request",
        "github.event.pull_request.base.sha": git(project, "rev-parse", "HEAD~1").strip(),
        "github.event.pull_request.number": "7",
        "github.repository": "example-org/parcel-eta",
        "github.token": "stand-in",
        OWN_BRANCH: "true",
    } | given
    return run_in_ci(project, "ci.yml", values, job=job, stand_in=STAND_INS / "gh", state=state)


def comments(state: Path) -> list[str]:
    return [item["body"] for item in json.loads((state / "github.json").read_text("utf-8"))["comments"]]


@pytest.mark.xdist_group("workflow")
def test_a_harmless_change_passes_every_step_of_ci(repository: Callable[..., Project], tmp_path: Path):
    project = repository(project_name=FORTY)  # so that the project's tests also run under a long name
    edit(project, "configs/v1.yaml", "max_leaf_nodes: 31", "max_leaf_nodes: 30")
    commit(project, "A leaf less")
    done = pull_request(project, tmp_path / "github")
    assert done.returncode == 0, done.stdout
    steps = list(run_workflow.steps(run_workflow.parse(project.text(".github/workflows/ci.yml"))))
    for step in steps:
        said = "skipped" if step.skipped or step.job == "slow-tests" else "ok"
        assert re.search(rf"^{said} +{re.escape(f'{step.job} / {step.name}')}", done.stdout, flags=re.M)
    actions = {step.skipped.partition("@")[0] for step in steps if step.skipped}
    assert actions == {"uses actions/checkout", "uses astral-sh/setup-uv"}
    [comment] = comments(tmp_path / "github")
    assert comment.startswith("<!-- metrics gate -->\n### Gate: PASS") and "| mae |" in comment
    assert "summary  ### Gate: PASS" in done.stdout
    assert json.loads(project.text(".template.json"))["cookiecutter"]["project_name"] == FORTY


def test_a_regression_fails_the_gate(repository: Callable[..., Project], tmp_path: Path):
    """The calendar is forgotten in a refactoring: every unit test passes, and weekends are hours off."""
    project = repository()
    edit(project, "configs/v1.yaml", "hour_of_day, weekday, is_weekend, ", "")
    commit(project, "Tidy up the features")
    done = pull_request(project, tmp_path / "github", job="gate")
    assert done.returncode == 1, done.stdout
    assert "FAILED   gate / This branch against its base" in done.stdout
    assert "ok       gate / Show the report" in done.stdout, "also when the gate says no"
    assert "summary  ### Gate: FAIL" in done.stdout
    assert re.search(r"GATE001 metric against the champion \| failed \| mae gain -\d", done.stdout)


def test_a_fork_without_the_data_is_not_run_and_not_green(repository: Callable[..., Project], tmp_path: Path):
    project = repository()
    edit(project, "operations.yaml", "sample: true ", "sample: false")
    commit(project, "As a fork sees it: no deliveries")
    done = pull_request(project, tmp_path / "github", job="gate")
    assert done.returncode == 4, done.stdout
    assert "summary  ### Gate: NOT RUN" in done.stdout


def repacked(project: Project, name: str, file: str, old: str, new: str) -> str:
    """A wheel of a library as the project has it installed, with one place changed; its path there."""
    [site] = (project.path / ".venv").glob("lib/python3*/site-packages")
    [info] = site.glob(f"{name}-*.dist-info")
    # named as if it ran everywhere: the lock is for every platform, and only this one installs it
    wheel = project.path / "vendor" / f"{info.name.removesuffix('.dist-info')}-py3-none-any.whl"
    wheel.parent.mkdir()
    with (info / "RECORD").open(encoding="utf-8") as record, zipfile.ZipFile(wheel, "w") as packed:
        for path in sorted({row[0] for row in csv.reader(record)}):
            content = (site / path).read_bytes()
            if path == file:
                assert content.count(old.encode()) == 1
                content = content.replace(old.encode(), new.encode())
            if not path.startswith("..") and path != f"{info.name}/RECORD" and "__pycache__" not in path:
                packed.writestr(path, content)
        packed.writestr(f"{info.name}/RECORD", "")
    return wheel.relative_to(project.path).as_posix()


def test_a_bump_that_moves_a_prediction_is_refused_with_how_far(
    repository: Callable[..., Project], tmp_path: Path
):
    """scikit-learn with one line changed, locked: every prediction is a thousandth of an hour later."""
    project = repository()
    file = "sklearn/_loss/link.py"
    [link] = (project.path / ".venv").glob(f"lib/python3*/site-packages/{file}")
    identity = link.read_text(encoding="utf-8").partition("class IdentityLink")[2].partition("\nclass ")[0]
    body = identity[identity.index("def link") :].partition("    inverse = link")
    assert body[1], "link and inverse are one function there"
    vendored = repacked(
        project,
        "scikit_learn",
        file,
        body[0] + body[1],
        body[0] + "    def inverse(self, raw_prediction, out=None):\n        return raw_prediction + 0.001",
    )
    with (project.path / "pyproject.toml").open("a", encoding="utf-8") as pyproject:
        pyproject.write(f'\n[tool.uv.sources]\nscikit-learn = {{ path = "{vendored}" }}\n')
    project.run("uv", "lock")
    commit(project, "Bump scikit-learn")
    done = pull_request(project, tmp_path / "github", job="gate")
    assert done.returncode == 1, done.stdout
    assert "summary  ### Gate: FAIL" in done.stdout
    [moved] = [line for line in done.stdout.splitlines() if line.startswith("summary  | GATE009")]
    assert "| failed |" in moved and re.search(r"rows differ, most by 0\.001 ", moved), moved
    assert re.search(r"set gate\.accept_lock to [0-9a-f]{12}", moved)
    assert "GATE001 metric against the champion | ok" in done.stdout, "its metric alone would have passed"


def test_the_comment_is_written_once_and_then_updated(default: Project, tmp_path: Path):
    project, state = Project(default.path), tmp_path / "github"
    copied = tmp_path / "project"
    (copied / ".github" / "workflows").mkdir(parents=True)
    (copied / ".github" / "workflows" / "ci.yml").write_text(project.text(".github/workflows/ci.yml"))
    project = Project(copied)
    git(project, "init", "--quiet")
    for message in ("One", "Two"):
        git(project, "commit", "--quiet", "--allow-empty", "--message", message)
    git(project, "add", "--all")
    commit(project, "Three")
    for said in ("FAIL", "PASS"):
        report = base64.b64encode(f"### Gate: {said} · ±0.1\n".encode()).decode()
        done = pull_request(project, state, job="comment", **{"needs.gate.outputs.report": report})
        assert done.returncode == 0, done.stdout
        assert comments(state) == [f"<!-- metrics gate -->\n### Gate: {said} · ±0.1\n"]
