"""A project's ci.yml as GitHub would run it on a pull request: a harmless one, a worse one, one without data.

Stood in for: `gh` (tests/stand_ins/gh keeps comments in a file). Skipped: the two actions that check out the
code and bring uv. Every `run:` step runs as it stands, in a clean clone.
"""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import run_workflow
from conftest import FORTY, ROOT, Project, commit, git, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the runner is for steps written for bash on Linux"),
]
RUNNER = ROOT / "scripts" / "run_workflow.py"
GH = ROOT / "tests" / "stand_ins" / "gh"
OWN_BRANCH = "github.event.pull_request.head.repo.full_name == github.repository=true"


def edit(project: Project, name: str, old: str, new: str) -> None:
    text = project.text(name)
    assert text.count(old) == 1
    (project.path / name).write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def pull_request(
    project: Project, state: Path, job: str = "", **given: str
) -> subprocess.CompletedProcess[str]:
    """ci.yml on what is committed, against the commit before; other values replace these."""
    state.mkdir(exist_ok=True)
    values = {
        "github.event_name": "pull_request",
        "github.event.pull_request.base.sha": git(project, "rev-parse", "HEAD~1").strip(),
        "github.event.pull_request.number": "7",
        "github.repository": "example-org/parcel-eta",
        "github.token": "stand-in",
    } | given
    words = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    words += ["--set", OWN_BRANCH, "--stand-in", f"gh={GH}"] + (["--job", job] if job else [])
    env = {"STAND_INS": str(state)}
    return run(
        sys.executable, str(RUNNER), str(project.path), "ci.yml", *words, cwd=ROOT, env=env, check=False
    )


def comments(state: Path) -> list[str]:
    return [item["body"] for item in json.loads((state / "github.json").read_text("utf-8"))["comments"]]


@pytest.mark.xdist_group("workflow")
def test_a_harmless_change_passes_every_step_of_ci(repository: Callable[..., Project], tmp_path: Path):
    project = repository(project_name=FORTY)  # so that the project's tests also run under a long name
    edit(project, "configs/v1.yaml", "seed: 7", "seed: 8")
    commit(project, "Another seed")
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
