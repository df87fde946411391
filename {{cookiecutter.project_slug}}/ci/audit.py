"""Ask an advisory service about every package in uv.lock.

    uv run python ci/audit.py

Three answers, told apart: none found (exit 0), found (exit 1), and not run (exit 4), which is never taken for the
first. `--not-run-is-a-warning` turns the last one into exit 0 and a warning on the run's page: for CI, where a service
that is away must not stop all work. `[tool.durable-ml.audit]` in pyproject.toml names the service, and what is ignored
until when.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
KEYS = {"id": str, "reason": str, "until": date}


class Stop(Exception):
    """What to say and the exit code: 1 found or expired, 2 a wrong setting, 4 not run."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__(*lines)
        self.code, self.lines = code, lines


def settings(pyproject: Path, today: date) -> tuple[str, dict[str, str]]:
    """The service, and why each advisory is ignored that is. Raises Stop for an entry that is wrong or expired."""
    said = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}).get("durable-ml", {}).get("audit", {})
    ignored: dict[str, str] = {}
    for entry in said.get("ignore", []):
        right = isinstance(entry, dict) and entry.keys() == KEYS.keys()
        if not right or not all(type(entry[key]) is kind for key, kind in KEYS.items()) or not entry["reason"].strip():
            raise Stop(2, f"pyproject.toml, audit: expected an id, a reason and until = 2026-12-31, found {entry}")
        if entry["until"] < today:
            raise Stop(1, f"{entry['id']} was ignored until {entry['until']}: {entry['reason']}", "look at it again")
        ignored[entry["id"]] = entry["reason"]
    if not isinstance(said.get("service"), str):
        raise Stop(2, "pyproject.toml, audit: expected service = an address")
    return said["service"], ignored


def locked(root: Path) -> list[str]:
    """`name==version` of everything that the lock can install, on any platform, without the project itself."""
    options = ["--locked", "--all-groups", "--no-emit-project", "--no-hashes", "--no-header", "--quiet"]
    command = [os.environ.get("UV", "uv"), "export", *options]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8", check=False)
    pins = sorted({f"{name}=={version}" for name, version in PIN.findall(done.stdout)})
    if done.returncode or not pins:
        raise Stop(4, "not run: uv.lock cannot be read", *done.stderr.strip().splitlines()[-1:])
    return pins


def layers(pins: list[str]) -> list[list[str]]:
    """Each package once a layer: pip-audit refuses two versions of one, and a lock for many platforms has them."""
    found: list[dict[str, str]] = []
    for pin in pins:
        name = pin.partition("==")[0]
        free = next((layer for layer in found if name not in layer), None)
        if free is None:
            found.append(free := {})
        free[name] = pin
    return [list(layer.values()) for layer in found]


def ask(pins: list[str], service: str) -> list[dict[str, Any]]:
    """What the service knows of each pin. Raises Stop when it did not answer for every one of them."""
    answers: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        options = ["--requirement", str(wanted), "--no-deps", "--disable-pip", "--format", "json", "--desc", "off"]
        options += ["--vulnerability-service", "osv", "--osv-url", service, "--progress-spinner", "off"]
        # a cache of its own: an answer from last week is no answer
        command = [sys.executable, "-m", "pip_audit", *options, "--cache-dir", str(Path(folder, "cache"))]
        for layer in layers(pins):
            wanted.write_text("\n".join(layer) + "\n", encoding="utf-8")
            done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
            try:
                answers += json.loads(done.stdout)["dependencies"]
            except (ValueError, KeyError, TypeError):
                said = done.stderr.strip().splitlines() or ["it said nothing"]
                raise Stop(4, f"not run: {service} gave no answer", said[-1][:200]) from None
    # a package that pip-audit skips is in its answer too, and its own verdict on it is that nothing was found
    answered = {f"{answer['name']}=={answer['version']}" for answer in answers if "vulns" in answer}
    if left := [pin for pin in pins if pin not in answered]:
        raise Stop(4, f"not run: no answer for {len(left)} of {len(pins)} packages", ", ".join(left[:5]))
    return answers


def audit(root: Path, today: date) -> list[str]:
    """What to say when nothing was found. Raises Stop for everything else."""
    service, ignored = settings(root / "pyproject.toml", today)
    pins = locked(root)
    rows, passed = [], {}
    for answer in ask(pins, service):
        for advisory in answer["vulns"]:
            names = {advisory["id"], *advisory.get("aliases", [])}
            if known := names & ignored.keys():
                passed |= dict.fromkeys(known, answer["name"])
                continue
            fixed = ", ".join(advisory["fix_versions"]) or "nowhere yet"
            rows.append((answer["name"], answer["version"], advisory["id"], fixed))
    if rows:
        table = [("package", "version", "advisory", "fixed in"), *sorted(rows)]
        columns = [[cell.ljust(max(map(len, column))) for cell in column] for column in zip(*table, strict=True)]
        lines = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
        upgrade = f"next: uv lock --upgrade-package {sorted(rows)[0][0]}"
        raise Stop(1, f"found {len(rows)} in {len(pins)} packages", *lines, upgrade)
    notes = [f"ignored: {name} in {package}: {ignored[name]}" for name, package in sorted(passed.items())]
    notes += [f"no longer reported, remove it from the list: {name}" for name in sorted(ignored.keys() - passed.keys())]
    return [f"none found; {len(pins)} packages were asked about", *notes]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--not-run-is-a-warning", action="store_true", help="exit 0 where the service is away")
    lenient = parser.parse_args().not_run_is_a_warning
    try:
        lines, code = audit(ROOT, datetime.now(UTC).date()), 0
    except Stop as stop:
        lines, code = list(stop.lines), stop.code
    print("dependency audit:", "\n  ".join(lines))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"Dependency audit: **{lines[0]}**\n\n")
    if code == 4 and lenient:
        print(f"::warning title=dependency audit::{lines[0]}")
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
