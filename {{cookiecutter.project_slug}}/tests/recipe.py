"""A document as a recipe: what it writes, changes, deletes and runs, in order, followed in a copy of the project.

It understands ``Replace `path`:`` and ``Write `path`:`` before a block that is a whole file, ``Change `path`:`` before
blocks of diff, ``Delete `a`, `b`.``, and ``Run:`` (or ``Run in …:``) before a block of commands.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from {{cookiecutter.package_name}} import paths

ROOT = Path(__file__).parent.parent
PACKAGE = paths.__name__.partition(".")[0]
MADE_BY_RUNNING = {
    ROOT: {"data", "var", "build", "mlruns", ".git", ".venv", ".pytest_cache", ".ruff_cache", ".hypothesis"},
    ROOT / ".dvc": {"cache", "tmp", "config.local"},
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
VERB = re.compile(r"(Replace|Write|Change|Delete|Run)\b")


@dataclass(frozen=True)
class Step:
    """``verb`` is write, change, delete or run; ``text`` is the file, the diff or the command."""

    verb: str
    path: str
    text: str


def steps(document: str) -> list[Step]:
    """Everything the document tells its reader to do."""
    found: list[Step] = []
    verb, path, end = "", "", 0
    for block in [*BLOCK.finditer(document), None]:
        before = document[end : block.start() if block else len(document)]
        for paragraph in filter(None, (part.strip() for part in before.split("\n\n"))):
            sentence = next((s for s in re.split(r"(?<=[.:*]) ", paragraph.replace("\n", " ")) if VERB.match(s)), "")
            said = VERB.match(sentence)
            verb = said[0].lower().replace("replace", "write") if said else ""
            names = QUOTED.findall(sentence)
            path = names[0] if names else ""
            if verb == "delete":
                found += [Step("delete", name, "") for name in names]
        if block and verb in ("write", "change"):
            found.append(Step(verb, path, block[2]))
        elif block and verb == "run":
            found += [Step("run", "", line) for line in block[2].splitlines() if line]
        end = block.end() if block else end
    return found


def change(text: str, diff: str) -> str:
    """``text`` with one hunk applied: the lines of ``diff`` that stay or go must stand in it once."""
    old = [line[1:] for line in diff.splitlines() if line[:1] in (" ", "-", "")]
    new = [line[1:] for line in diff.splitlines() if line[:1] in (" ", "+", "")]
    before, after = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    assert text.count(before) == 1, f"stands {text.count(before)} times:\n{before}"
    return text.replace(before, after)


class Copy:
    """A copy of the project, source and tests included, to follow a recipe in."""

    def __init__(self, root: Path) -> None:
        self.root = root

        def made_by_running(folder: str, names: list[str]) -> set[str]:
            return MADE_BY_RUNNING.get(Path(folder), {"__pycache__"}) & set(names)

        shutil.copytree(ROOT, root, ignore=made_by_running)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.root / "src"), "NO_COLOR": "1", "COLUMNS": "200", "PYTHONUTF8": "1"}

    def command(self, line: str) -> list[str]:
        """``uv run …`` with this environment instead of uv's own, and with the copy's source."""
        words = re.sub(r"^uv run ", "", line)
        if quoted := re.fullmatch(r'python -c "(.*)"', words):
            return [sys.executable, "-c", quoted[1]]
        verb, *rest = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', words)]
        known = {"ml": [sys.executable, "-m", f"{PACKAGE}.cli"], "python": [sys.executable]}
        return [*known.get(verb, [sys.executable, "-m", verb]), *rest]

    def run(self, line: str, code: int = 0) -> str:
        """Run a command of the document; it must end with ``code``. Returns what it printed."""
        done = subprocess.run(
            self.command(line),
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == code, f"{line} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def follow(self, step: Step) -> str:
        """Do what one step says."""
        path = self.root / step.path
        if step.verb == "run":
            return self.run(step.text)
        if step.verb == "delete":
            for gone in sorted(self.root.glob(step.path)) or [path]:
                gone.unlink()
        elif step.verb == "change":
            path.write_text(change(path.read_text(encoding="utf-8"), step.text), encoding="utf-8")
        else:
            path.write_text(step.text, encoding="utf-8")
        return ""
