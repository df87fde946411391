"""The lessons of docs/workshop, as a class follows them: every command, every edit, every quoted line."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Project

pytestmark = pytest.mark.slow
LESSONS = sorted((ROOT / "docs" / "workshop").glob("[0-9]-*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EDITED = re.compile(r"`(src/[^`]+\.py)`")


def quoted(line: str) -> re.Pattern[str]:
    """What a quoted line promises: the line itself, with … for anything."""
    return re.compile("^" + ".*".join(re.escape(part) for part in line.split("…")) + ".*$", re.MULTILINE)


def edit(path: Path, diff: str) -> None:
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line.startswith("-"))
    new = "".join(line[1:] for line in lines if line.startswith("+"))
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has {text.count(old)} times:\n{old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_goes_as_it_says(lesson: Path, bake: Callable[..., Project]):
    project = bake()
    project.run("uv", "sync", "--locked")
    text = lesson.read_text(encoding="utf-8")
    shown, edited, after = "", "", 0
    for block in BLOCK.finditer(text):
        language, body = block[1], block[2]
        edited = ([edited, *EDITED.findall(text[after : block.start()])])[-1]
        after = block.end()
        if language == "diff":
            edit(project.path / edited, body)
        elif language == "text":
            missing = [line for line in body.splitlines() if not quoted(line).search(shown)]
            assert not missing, f"not shown: {missing}\nshown was:\n{shown}"
        else:
            shown = "".join(project.run(*shlex.split(line)).stdout for line in body.splitlines())


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_its_commands_are_typed_the_same_in_every_shell(lesson: Path):
    """No here-documents, pipes or variables; nothing inside the quotes that PowerShell or cmd would touch."""
    blocks = [block for block in BLOCK.finditer(lesson.read_text(encoding="utf-8")) if not block[1]]
    lines = [line for block in blocks for line in block[2].splitlines()]
    assert lines
    for line in lines:
        assert re.fullmatch(r'uv run [\w ./-]+|uv run python -c "[^"$%`!\\]+"', line), line
