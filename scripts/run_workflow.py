"""Run a workflow's `run:` steps here, in order, in a clean clone: what CI would do, without CI.

    uv run --locked python scripts/run_workflow.py REPOSITORY [WORKFLOW] [--job JOB]
        [--set 'github.event_name=pull_request'] [--stand-in gh=PATH/TO/PROGRAM]

Each step runs as on a Linux runner, with `bash -eo pipefail` and the environment of workflow, job and step;
what a step writes to GITHUB_ENV, GITHUB_PATH and GITHUB_OUTPUT reaches the next ones. Steps that use an
action are skipped and listed. An expression has the value that `--set` gives it, or that an earlier step
wrote; one without is refused before anything runs. `--stand-in` puts a program on the path in place of a
service's client. When a step fails, the rest of its job and later jobs run only where their condition says so
(`always()`, `failure()`), and the failed step's exit code is the answer. The job summary comes last.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from surroundings import surroundings

EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
COMPARED = re.compile(r"(\S+) (==|!=) '([^']*)'")
OUTPUT = re.compile(r"(?:steps|needs)\.[\w-]+\.outputs\.[\w-]+")
RESULT = re.compile(r"needs\.[\w-]+\.result")
STATUS = {"always()", "success()", "failure()", "cancelled()", "!cancelled()"}
WORKFLOW_KEYS = {"name", "run-name", "on", "permissions", "concurrency", "env", "jobs"}
JOB_KEYS = {"name", "runs-on", "timeout-minutes", "permissions", "concurrency", "environment", "strategy"}
JOB_KEYS |= {"env", "if", "needs", "outputs", "steps"}
STEP_KEYS = {"name", "id", "if", "uses", "with", "run", "env", "working-directory", "timeout-minutes"}


@dataclass(frozen=True)
class Step:
    """As the file says it: expressions in ``env`` and ``condition`` get their value when it runs."""

    job: str
    name: str
    command: str
    folder: str = "."
    env: dict[str, str] = field(default_factory=dict)
    condition: str = ""
    id: str = ""
    skipped: str = ""  # why


def refuse(why: str) -> NoReturn:
    sys.exit(f"run_workflow: {why}")


def parse(workflow: str) -> dict[str, Any]:
    """With every word as it stands: to YAML 1.1 the key `on` is true, and `true` is no word."""
    return yaml.load(workflow, Loader=yaml.BaseLoader)  # noqa: S506 (no objects come of it)


def environment(*levels: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for level in levels for name, value in level.get("env", {}).items()}


def steps(workflow: Mapping[str, Any], only: str | None = None) -> Iterator[Step]:
    """In the order of the file."""
    understand("the workflow", workflow, WORKFLOW_KEYS)
    if only not in (None, *workflow["jobs"]):
        refuse(f"no job {only!r}; there are {', '.join(workflow['jobs'])}")
    for job_name, job in workflow["jobs"].items():
        if only not in (None, job_name):
            continue
        understand(f"job {job_name!r}", job, JOB_KEYS)
        for number, raw in enumerate(job["steps"], start=1):
            name = raw.get("name") or raw.get("uses") or f"step {number}"
            understand(f"step {name!r}", raw, STEP_KEYS)
            if "uses" in raw:
                yield Step(job_name, name, "", id=raw.get("id", ""), skipped=f"uses {raw['uses']}")
            elif "${{" in raw["run"]:
                refuse(f"step {name!r} has an expression in its command; pass it through env")
            else:
                folder, condition = raw.get("working-directory", "."), raw.get("if", "")
                env = environment(workflow, job, raw)
                yield Step(job_name, name, raw["run"], folder, env, condition, raw.get("id", ""))


def understand(what: str, mapping: Mapping[str, Any], known: set[str]) -> None:
    if foreign := sorted(set(mapping) - known):
        refuse(f"{what} says {', '.join(foreign)}, which this runner does not know")


class Values(dict[str, str]):
    """From an expression to its value. What nobody gave and no step wrote is refused."""

    def of(self, expression: str) -> str:
        key = " ".join(expression.split())
        if key not in self:
            refuse(f"{key} has no value outside GitHub; give it one: --set '{key}=…'")
        return self[key]

    def text(self, template: str) -> str:
        return EXPRESSION.sub(lambda found: self.of(found[1]), template)

    def holds(self, condition: str, failed: bool = False) -> bool:
        """Whether a step or job with this `if:` runs; without a status function only while nothing failed."""
        whole, parts = clauses(condition)
        verdicts = [self._clause(part, failed) for part in ([whole] if whole in self else parts)]
        return all(verdicts) and (not failed or bool(STATUS & set(parts)))

    def _clause(self, clause: str, failed: bool) -> bool:
        if clause in STATUS:
            return {"failure()": failed, "success()": not failed, "cancelled()": False}.get(clause, True)
        if compared := COMPARED.fullmatch(clause):
            return (self.of(compared[1]).lower() == compared[3].lower()) is (compared[2] == "==")
        value = self.of(clause)
        if value not in ("true", "false"):
            refuse(f"the condition {clause} is {value!r}, neither true nor false")
        return value == "true"


def needed(job: Mapping[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else needs


def clauses(condition: str) -> tuple[str, list[str]]:
    """A condition without its braces, and its parts between `&&`."""
    whole = " ".join(EXPRESSION.sub(r"\1", condition).split())
    return whole, [part.strip() for part in whole.split("&&")] if whole else []


def asked(text: str, condition: str, given: Mapping[str, str]) -> list[str]:
    """Expressions whose values a text with `${{ }}` and a condition need."""
    found = [" ".join(expression.split()) for expression in EXPRESSION.findall(text)]
    whole, parts = clauses(condition)
    parts = [] if whole in given else parts
    return found + [
        hit[1] if (hit := COMPARED.fullmatch(part)) else part for part in parts if part not in STATUS
    ]


def check(workflow: Mapping[str, Any], given: Mapping[str, str], only: str | None = None) -> None:
    """Refuse, before anything runs, an expression that nothing will have a value for."""
    written: dict[str, set[str]] = {}
    for step in steps(workflow, only):
        job = workflow["jobs"][step.job]
        needs = needed(job)
        if (
            step.job not in written
            and only is None
            and (late := [name for name in needs if name not in written])
        ):
            refuse(f"job {step.job!r} needs {late[0]!r}, which stands below it")
        produced = {f"steps.{name}" for name in written.setdefault(step.job, set())}
        produced |= {f"needs.{name}" for name in needs if only is None}
        wanted = asked("\n".join(step.env.values()), step.condition, given) + asked(
            "", job.get("if", ""), given
        )
        for expression in wanted:
            known = (OUTPUT.fullmatch(expression) and expression.partition(".outputs.")[0] in produced) or (
                RESULT.fullmatch(expression) and expression.removesuffix(".result") in produced
            )
            if not known and expression not in given:
                Values().of(expression)
        if step.id and not step.skipped:
            written[step.job].add(step.id)


def pairs_of(path: Path) -> dict[str, str]:
    """`name=value` lines, and `name<<END` with lines up to END, as steps write them."""
    found, lines = {}, iter(path.read_text(encoding="utf-8").splitlines() if path.exists() else [])
    for line in lines:
        name, mark, rest = re.split("(=|<<)", line, maxsplit=1) if re.search("=|<<", line) else (line, "", "")
        if mark == "<<":
            rest = "\n".join(iter(lambda end=rest: next(lines, end), rest))
        found[name] = rest
    return found


class Runner:
    """One clone, one environment that steps add to."""

    def __init__(self, scratch: Path, clone: Path, given: Mapping[str, str], stand_ins: Path) -> None:
        self.scratch, self.clone, self.given = scratch, clone, given
        self.values, self.left_out = Values(given), set[str]()
        names = ("ENV", "PATH", "OUTPUT", "STEP_SUMMARY")
        self.files = {name: scratch / name for name in names}
        outside = {k: v for k, v in surroundings().items() if not k.startswith(("GITHUB_", "ACTIONS_"))}
        self.path, self.stand_ins = outside["PATH"], str(stand_ins)
        (scratch / "temp").mkdir()
        ours = {f"GITHUB_{name}": str(path) for name, path in self.files.items()}
        ours |= {"CI": "true", "GITHUB_WORKSPACE": str(clone), "RUNNER_TEMP": str(scratch / "temp")}
        simple = {key[7:].upper(): v for key, v in given.items() if re.fullmatch(r"github\.\w+", key)}
        self.env = outside | ours | {f"GITHUB_{name}": value for name, value in simple.items()}

    def run(self, step: Step) -> int:
        env = {name: self.values.text(value) for name, value in step.env.items()}
        added = (
            self.files["PATH"].read_text(encoding="utf-8").splitlines() if self.files["PATH"].exists() else []
        )
        path = {"PATH": os.pathsep.join([self.stand_ins, *reversed(added), self.path])}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.command]
        everything = self.env | pairs_of(self.files["ENV"]) | path | env
        folder = self.clone / step.folder
        code = subprocess.run(command, cwd=folder, env=everything, stdin=subprocess.DEVNULL).returncode
        for name, value in pairs_of(self.files["OUTPUT"]).items():
            self.values[f"steps.{step.id}.outputs.{name}"] = value
        self.files["OUTPUT"].unlink(missing_ok=True)
        return code

    def job(self, name: str, job: Mapping[str, Any], every: list[Step], before: int = 0) -> int:
        """Run one job's steps; returns the exit code of the first that failed, or 0.

        ``before`` is that code of the jobs before it.
        """
        failed = 0
        condition = job.get("if", "")
        left_out = [
            need for need in needed(job) if need in self.left_out and not STATUS & set(clauses(condition)[1])
        ]
        wanted = not left_out and self.values.holds(condition, bool(before))
        barred = ""
        if not wanted:
            self.left_out.add(name)
            barred = f"if {condition}" if condition else "a job before it failed"
            barred = f"needs {left_out[0]}" if left_out else barred
        for step in every:
            label = f"{step.job} / {step.name}"
            self.values.update({output: self.values.get(output, "") for output in outputs_in(step)})
            why = step.skipped or barred
            if not why and not self.values.holds(step.condition, bool(failed)):
                why = f"if {step.condition}" if step.condition else "a step before it failed"
            if why:
                print(f"skipped  {label}  ({why})", flush=True)
                continue
            print(f"run      {label}", flush=True)
            code = self.run(step)
            print(f"{'ok' if code == 0 else 'FAILED'}".ljust(9) + label, flush=True)
            failed = failed or code
        result = "skipped" if not wanted else "failure" if failed else "success"
        handed = {f"needs.{name}.outputs.{key}": value for key, value in job.get("outputs", {}).items()}
        handed = {
            key: EXPRESSION.sub(lambda hit: self.values.get(hit[1].strip(), ""), v)
            for key, v in handed.items()
        }
        own = {
            key: value for key, value in self.values.items() if key in self.given or key.startswith("needs.")
        }
        handed[f"needs.{name}.result"] = result
        self.values = Values({**handed, **own, **self.given})  # another job's steps do not see this one's
        return failed


def outputs_in(step: Step) -> list[str]:
    """Outputs that a step asks for: one that was never written is empty, as on GitHub."""
    return OUTPUT.findall("\n".join([*step.env.values(), step.condition]))


def stand_in(folder: Path, name: str, program: Path) -> None:
    if not os.access(program, os.X_OK):
        refuse(f"the stand-in for {name}, {program}, is not a program that can be run")
    (folder / name).symlink_to(program.resolve())
    print(f"stand-in {name}", flush=True)


def pair(text: str) -> tuple[str, str]:
    """`name=value`, split at the first single `=`: an expression may hold `==`."""
    found = re.fullmatch(r"(.+?)(?<![=!])=(?!=)(.*)", text, flags=re.S)
    if not found:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found {text!r}")
    return " ".join(found[1].split()), found[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("repository", type=Path, help="a git repository; what is committed runs")
    parser.add_argument("workflow", nargs="?", default="ci.yml", help="file in .github/workflows (ci.yml)")
    parser.add_argument("--job", help="one job instead of all")
    parser.add_argument("--set", type=pair, action="append", default=[], help="an expression's value")
    parser.add_argument("--stand-in", type=pair, action="append", default=[], help="a program instead of one")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        scratch, clone, stand_ins = Path(folder), Path(folder, "clone"), Path(folder, "stand-ins")
        stand_ins.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(options.repository.resolve()), str(clone)], check=True)
        workflow = parse((clone / ".github" / "workflows" / options.workflow).read_text(encoding="utf-8"))
        check(workflow, dict(options.set), options.job)
        for name, program in options.stand_in:
            stand_in(stand_ins, name, Path(program))
        runner = Runner(scratch, clone, dict(options.set), stand_ins)
        code = 0
        for name, job in workflow["jobs"].items():
            if options.job in (None, name):
                every = [step for step in steps(workflow) if step.job == name]
                done = runner.job(name, job, every, code)
                code = code or done
        summary = runner.files["STEP_SUMMARY"]
        for line in summary.read_text(encoding="utf-8").splitlines() if summary.exists() else []:
            print(f"summary  {line}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
