"""Workflows follow their schema, give nothing away, and each of their commands runs.

In a clean clone, in order, for real, but for the programs in tests/stand_ins: `docker` (for release.yml, in
test_image.py) does natively what the Dockerfile says; `gh` is GitHub's own. Steps that use an action do not
run either: they are listed as skipped.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import bump
import pytest
import run_workflow
from conftest import ROOT, Bake, Project, git, run, run_in_ci
from run_workflow import parse

OWN = {"actions/attest", "actions/upload-artifact"}  # pinned in a project only
PINNED = re.compile(r"^\s*(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$")


@pytest.fixture(params=["the template", "a project"])
def repository_folder(request: pytest.FixtureRequest, default: Project) -> Path:
    return ROOT if request.param == "the template" else default.path


def workflows(folder: Path) -> dict[str, str]:
    found = {p.name: p.read_text("utf-8") for p in sorted((folder / ".github" / "workflows").glob("*.yml"))}
    assert found
    return found


def schema(kind: str, *files: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    names = [str(file) for file in files]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}", *names]
    return run(*command, cwd=ROOT, check=check)


def zizmor(folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run("uv", "run", "--frozen", "zizmor", "--offline", str(folder / ".github"), cwd=ROOT, check=check)


def test_they_follow_their_schema(repository_folder: Path):
    schema("github-workflows", *(repository_folder / ".github" / "workflows").glob("*.yml"))
    schema("dependabot", repository_folder / ".github" / "dependabot.yml")


def test_they_give_nothing_away(repository_folder: Path):
    assert "No findings to report" in zizmor(repository_folder).stdout


def unpinned(text: str) -> list[str]:
    return [line for line in text.splitlines() if "uses:" in line and not PINNED.match(line)]


def commands_with_expressions(workflow: dict[str, Any]) -> list[str]:
    every = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in every if "${{" in step.get("run", "")]


def too_free(workflow: dict[str, Any]) -> list[str]:
    """Jobs that could hang, or hold on to the token that checked the code out."""
    loose = [name for name, job in workflow["jobs"].items() if "timeout-minutes" not in job]
    for name, job in workflow["jobs"].items():
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        loose += [name for step in checkouts if step["with"]["persist-credentials"] != "false"]
    return loose + ([] if workflow["permissions"] == {} else ["permissions"])


def test_they_are_pinned_and_closed(repository_folder: Path):
    for name, text in workflows(repository_folder).items():
        workflow = parse(text)
        assert not unpinned(text), name
        assert not commands_with_expressions(workflow), name
        assert not too_free(workflow), name


def test_template_and_project_pin_the_same(default: Project):
    pins = bump.action_pins(workflows(ROOT)["ci.yml"])
    uv = bump.uv_version((ROOT / "Makefile").read_text(encoding="utf-8"))
    for folder in (ROOT, default.path):
        for name, text in workflows(folder).items():
            found = bump.action_pins(text)
            assert {action: found[action] for action in found.keys() & pins.keys()}.items() <= pins.items(), (
                f"{name}: run `make bump`"
            )
            assert found.keys() <= pins.keys() | OWN, name
            assert set(re.findall(r'setup-uv@.*\n(?: .*\n)*? +version: "(.*)"', text)) <= {uv}, name


def test_everything_runs_on_the_oldest_and_the_newest_python():
    """`.ci/run` takes its Python from UV_PYTHON; the platforms run what is fast."""
    jobs = parse(workflows(ROOT)["ci.yml"])["jobs"]
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "requires-python"
    ]
    for job in jobs.values():
        pythons = job["strategy"]["matrix"]["python"]
        assert pythons[0] == requires.removeprefix(">=") and len(pythons) == 2
        assert job["env"] == {"UV_PYTHON": "${{ matrix.python }}"}
    steps = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert jobs["everything"]["runs-on"] == "ubuntu-latest" and steps["everything"] == [".ci/run"]
    assert jobs["platforms"]["strategy"]["matrix"]["os"] == ["windows-latest", "macos-latest"]
    generate, lock, fast = steps["platforms"]
    assert "cookiecutter" in generate and lock == "uv lock --check" and "pytest" in fast


def test_the_python_that_is_asked_for_reaches_a_project(bake: Bake):
    """Nothing in a project names another one."""
    project, env = bake(), {"UV_PYTHON": sys.executable}
    project.run("uv", "venv", "--quiet", env=env)
    said = project.run("uv", "run", "--no-sync", "python", "-c", "import sys; print(sys.version)", env=env)
    assert sys.version.split()[0] in said.stdout


def test_bump_tests_before_it_asks():
    job = parse(workflows(ROOT)["bump.yml"])["jobs"]["bump"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[0] == ".ci/bump" and "make test-slow" in commands and commands[-1] == ".ci/pull-request"
    assert job["permissions"] == {"contents": "write", "pull-requests": "write"}
    with_token = [step["run"] for step in job["steps"] if "GITHUB_TOKEN" in step.get("env", {})]
    assert with_token == [".ci/pull-request"], "no code that is new has the token"


CARELESS = """
name: careless
on: [pull_request_target]
jobs:
  leak:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - run: echo ${{ github.event.pull_request.title }}
"""


def test_a_careless_workflow_is_caught(tmp_path: Path):
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "careless.yml").write_text(CARELESS)
    workflow = parse(CARELESS) | {"permissions": {"contents": "write"}}
    workflow["jobs"]["leak"]["steps"][0]["with"] = {"persist-credentials": "true"}
    found = zizmor(tmp_path, check=False)
    assert found.returncode != 0 and "template-injection" in found.stdout
    assert unpinned(CARELESS) == ["      - uses: actions/checkout@v7"]
    assert commands_with_expressions(workflow) == ["echo ${{ github.event.pull_request.title }}"]
    assert too_free(workflow) == ["leak", "leak", "permissions"]
    (folder / "wrong.yml").write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, step: []}}\n")
    assert schema("github-workflows", folder / "wrong.yml", check=False).returncode != 0


STEPS = """
on: push
env: {LEVEL: workflow, ON: true}
jobs:
  first:
    env: {LEVEL: job}
    steps:
      - uses: actions/checkout@v7
      - {name: sees, run: 'echo "$LEVEL $ON $CI"; cat committed.txt'}
      - {name: own, run: echo "$LEVEL", env: {LEVEL: step}}
      - {name: hands on, run: echo "LATER=handed" >> "$GITHUB_ENV"}
      - {name: gets, run: echo "$LATER"}
      - {name: conditional, if: failure(), run: exit 9}
  second:
    steps:
      - {name: pipe, run: false | true}
      - {name: never, run: echo unreachable}
"""


def in_repository(folder: Path, workflow: str) -> Project:
    project = Project(folder)
    (folder / ".github" / "workflows").mkdir(parents=True)
    (folder / ".github" / "workflows" / "ci.yml").write_text(workflow)
    (folder / "committed.txt").write_text("committed\n")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Start")
    (folder / "committed.txt").write_text("edited\n")
    return project


@pytest.mark.skipif(sys.platform == "win32", reason="the runner is for steps written for bash on Linux")
def test_the_runner_runs_steps_as_ci_does(tmp_path: Path):
    project = in_repository(tmp_path, STEPS)
    done = run_in_ci(project, "ci.yml")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "skipped  first / actions/checkout@v7  (uses actions/checkout@v7)",
        "run      first / sees",
        "job true true",
        "committed",
        "ok       first / sees",
        "run      first / own",
        "step",
        "ok       first / own",
        "run      first / hands on",
        "ok       first / hands on",
        "run      first / gets",
        "handed",
        "ok       first / gets",
        "skipped  first / conditional  (if failure())",
        "run      second / pipe",
        "FAILED   second / pipe",
        "skipped  second / never  (a step before it failed)",
    ]


def test_the_runner_refuses_what_it_cannot_know():
    with pytest.raises(SystemExit, match="pass it through env"):
        list(run_workflow.steps(parse(CARELESS)))
    for asks in (
        "env: {TOKEN: '${{ secrets.TOKEN }}'}",
        "if: github.ref_protected",
        "if: steps.later.outputs.x == '1'",
    ):
        workflow = parse(f"jobs: {{a: {{steps: [{{run: 'true', {asks}}}, {{id: later, run: 'true'}}]}}}}")
        with pytest.raises(
            SystemExit, match=r"(secrets.TOKEN|github.ref_protected|outputs.x) has no value outside"
        ):
            run_workflow.check(workflow, {})
    for job, why in {
        "{steps: [{run: 'true', shell: python}]}": "'step 1' says shell, which this runner does not know",
        "{needs: b, steps: [{run: 'true'}]}": "job 'a' needs 'b', which stands below it",
        "{if: github.actor, steps: [{run: 'true'}]}": "github.actor is 'ada', neither true nor false",
    }.items():
        workflow = parse(f"jobs: {{a: {job}, b: {{steps: [{{run: 'true'}}]}}}}")
        with pytest.raises(SystemExit, match=why):
            run_workflow.check(workflow, {"github.actor": "ada"})
            run_workflow.Values({"github.actor": "ada"}).holds(workflow["jobs"]["a"]["if"])


HANDED_ON = r"""
on: push
jobs:
  first:
    outputs: {word: "${{ steps.say.outputs.word }}", none: "${{ steps.say.outputs.none }}"}
    steps:
      - name: lines
        id: say
        run: printf 'word=one\nlong<<END\ntwo\nthree\nEND\n' >> "$GITHUB_OUTPUT"
      - name: told
        env: {WORD: "${{ steps.say.outputs.word }}", LONG: "${{ steps.say.outputs.long }}"}
        run: echo "$WORD $LONG"
      - name: only a pull request
        if: github.event_name == 'pull_request' && steps.say.outputs.word != 'two'
        run: echo "$GITHUB_EVENT_NAME"
      - {name: only main, if: "${{ github.ref_name == 'main' }}", run: exit 7}
      - {name: either, if: vars.A == 'x' || vars.B == 'y', run: exit 7}
      - name: service
        env: {TOKEN: "${{ secrets.TOKEN }}"}
        run: gh pr comment; echo "**all** fine" >> "$GITHUB_STEP_SUMMARY"
  left out:
    if: vars.SHARED != ''
    steps: [{name: never, run: exit 8}]
  after it:
    needs: left out
    steps: [{name: nor this, run: exit 8}]
  second:
    needs: [first]
    env: {WORD: "${{ needs.first.outputs.word }}", NONE: "${{ needs.first.outputs.none }}"}
    steps:
      - {name: got, run: 'echo "$WORD,$NONE,"'}
      - {name: falls, run: exit 5}
      - {name: cleans up, if: always(), run: echo swept}
      - {name: tells, if: failure(), run: echo told}
"""


AFTERWARDS = """
on: push
jobs:
  falls:
    outputs: {word: "${{ steps.say.outputs.word }}"}
    steps:
      - {id: say, name: says, run: 'echo word=one >> "$GITHUB_OUTPUT"'}
      - {name: falls, run: exit 5}
  next: {needs: falls, steps: [{name: never, run: exit 6}]}
  clears:
    needs: [falls, next]
    if: always()
    steps:
      - name: tells
        env:
          WORD: ${{ needs.falls.outputs.word }}
          SAID: ${{ needs.falls.result }}, ${{ needs.next.result }}
        run: echo "$WORD, $SAID"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the runner is for steps written for bash on Linux")
def test_the_runner_runs_after_a_failure_what_asks_for_it(tmp_path: Path):
    done = run_in_ci(in_repository(tmp_path, AFTERWARDS), "ci.yml")
    assert done.returncode == 5
    assert [line for line in done.stdout.splitlines() if not line.startswith("run ")] == [
        "ok       falls / says",
        "FAILED   falls / falls",
        "skipped  next / never  (a job before it failed)",
        "one, failure, skipped",
        "ok       clears / tells",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="the runner is for steps written for bash on Linux")
def test_the_runner_hands_outputs_on_and_believes_only_what_it_was_told(tmp_path: Path):
    project = in_repository(tmp_path / "project", HANDED_ON)
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\necho "gh was asked: $* with $TOKEN"\n')
    told = {
        "github.event_name": "pull_request",
        "github.ref_name": "feature",
        "vars.SHARED": "",
        "secrets.TOKEN": "made up",
        "vars.A == 'x' || vars.B == 'y'": "false",
    }
    assert "not a program" in run_in_ci(project, "ci.yml", told, stand_in=gh).stdout
    gh.chmod(0o755)
    done = run_in_ci(project, "ci.yml", told, stand_in=gh)
    assert done.returncode == 5
    assert [line for line in done.stdout.splitlines() if not line.startswith(("run ", "ok "))] == [
        "stand-in gh",
        "one two",
        "three",
        "pull_request",
        "skipped  first / only main  (if ${{ github.ref_name == 'main' }})",
        "skipped  first / either  (if vars.A == 'x' || vars.B == 'y')",
        "gh was asked: pr comment with made up",
        "skipped  left out / never  (if vars.SHARED != '')",
        "skipped  after it / nor this  (needs left out)",
        "one,,",
        "FAILED   second / falls",
        "swept",
        "told",
        "summary  **all** fine",
    ]
