"""Run a workflow's `run:` steps here, in order, in a clean clone: what CI would do, without CI.

    uv run --locked python scripts/run_workflow.py REPOSITORY [WORKFLOW] [--job JOB]

Each step runs as on a Linux runner, with `bash -eo pipefail` and the environment of workflow, job and step;
what a step writes to GITHUB_ENV and GITHUB_PATH reaches the next ones. Steps that use an action, and steps
with a condition, are skipped and listed. Stops at the first step that fails, with its exit code.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from surroundings import surroundings


@dataclass(frozen=True)
class Step:
    job: str
    name: str
    command: str
    folder: str = "."
    env: dict[str, str] = field(default_factory=dict)
    skipped: str = ""  # why


def parse(workflow: str) -> dict[str, Any]:
    """With every word as it stands: to YAML 1.1 the key `on` is true, and `true` is no word."""
    return yaml.load(workflow, Loader=yaml.BaseLoader)  # noqa: S506 (no objects come of it)


def environment(*levels: Mapping[str, Any]) -> dict[str, str]:
    merged = {name: value for level in levels for name, value in level.get("env", {}).items()}
    for name, value in merged.items():
        if "${{" in value:
            sys.exit(f"run_workflow: {name} is {value!r}; expressions have no value outside GitHub")
    return merged


def steps(workflow: Mapping[str, Any], only: str | None = None) -> Iterator[Step]:
    """In the order of the file."""
    for job_name, job in workflow["jobs"].items():
        if only not in (None, job_name):
            continue
        for number, raw in enumerate(job["steps"], start=1):
            name = raw.get("name") or raw.get("uses") or f"step {number}"
            if "uses" in raw:
                yield Step(job_name, name, "", skipped=f"uses {raw['uses']}")
            elif "if" in raw:
                yield Step(job_name, name, raw["run"], skipped=f"if {raw['if']}")
            elif "${{" in raw["run"]:
                sys.exit(f"run_workflow: step {name!r} has an expression in its command; pass it through env")
            else:
                folder = raw.get("working-directory", ".")
                yield Step(job_name, name, raw["run"], folder, environment(workflow, job, raw))


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def base_environment(scratch: Path) -> dict[str, str]:
    files = {f"GITHUB_{name}": str(scratch / name) for name in ("ENV", "PATH", "OUTPUT", "STEP_SUMMARY")}
    return surroundings() | files | {"CI": "true"}


def run(step: Step, clone: Path, env: dict[str, str]) -> int:
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.command]
    result = subprocess.run(command, cwd=clone / step.folder, env=env | step.env, stdin=subprocess.DEVNULL)
    for line in lines_of(Path(env["GITHUB_ENV"])):
        name, _, value = line.partition("=")
        env[name] = value
    found = os.pathsep.join(reversed(lines_of(Path(env["GITHUB_PATH"]))))
    if found and not env["PATH"].startswith(found):
        env["PATH"] = found + os.pathsep + env["PATH"]
    return result.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("repository", type=Path, help="a git repository; what is committed runs")
    parser.add_argument("workflow", nargs="?", default="ci.yml", help="file in .github/workflows (ci.yml)")
    parser.add_argument("--job", help="one job instead of all")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        scratch, clone = Path(folder), Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(options.repository.resolve()), str(clone)], check=True)
        raw = (clone / ".github" / "workflows" / options.workflow).read_text(encoding="utf-8")
        env = base_environment(scratch)
        for step in steps(parse(raw), options.job):
            label = f"{step.job} / {step.name}"
            if step.skipped:
                print(f"skipped  {label}  ({step.skipped})", flush=True)
                continue
            print(f"run      {label}", flush=True)
            code = run(step, clone, env)
            print(f"{'ok' if code == 0 else 'FAILED'}".ljust(9) + label, flush=True)
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
