"""What the benchmarks share: a generated project to measure in, and their sections of docs/benchmarks.md."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


def measure(script: Path, *arguments: str) -> dict[str, Any]:
    """Bake a default project, install what its lock says, run ``script`` in it, parse its last line."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        project = Path(cookiecutter(str(ROOT), no_input=True, output_dir=scratch, default_config=True))
        package = next((project / "src").iterdir()).name
        uv = os.environ.get("UV", "uv")
        inside = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"} | ONE_THREAD
        subprocess.run([uv, "sync", "--locked", "--quiet"], cwd=project, env=inside, check=True)
        command = [uv, "run", "--no-sync", "python", str(script), package, *arguments]
        done = subprocess.run(command, cwd=project, env=inside, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def run(
    name: str,
    script: Path,
    section: Callable[[dict[str, Any]], str],
    broken: Callable[[dict[str, Any]], Sequence[str]],
) -> int:
    """Measure, show the section ``name`` and put it on the page (not with ``--quick``), say what is not kept.

    Returns the exit code: 1 when a promise is broken.
    """
    quick = "--quick" in sys.argv[1:]
    measured = measure(script, *(["--quick"] if quick else []))
    return tell(name, measured, section, broken, write=not quick)


def tell(
    name: str,
    measured: dict[str, Any],
    section: Callable[[dict[str, Any]], str],
    broken: Callable[[dict[str, Any]], Sequence[str]],
    write: bool,
) -> int:
    """Show the section ``name`` of what was ``measured``, and so on as :func:`run` does."""
    sys.stdout.write(section(measured))
    if write:
        put(name, section(measured))
        sys.stdout.write(f"\nwritten to {PAGE.relative_to(ROOT)}\n")
    for line in (missed := broken(measured)):
        sys.stdout.write(f"not kept: {line}\n")
    return 1 if missed else 0


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A Markdown table that is one in plain text too; all but the first ``words`` columns stand right."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    rule = ["-" * width if i < words else "-" * (width - 1) + ":" for i, width in enumerate(widths)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            f"{cell:<{widths[i]}}" if i < words else f"{cell:>{widths[i]}}" for i, cell in enumerate(cells)
        )
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, [heads, rule, *rows]))


def prose(text: str) -> str:
    """A paragraph, broken into lines: figures in it have no fixed width."""
    return textwrap.fill(" ".join(text.split()), 110, break_on_hyphens=False, break_long_words=False)


def versions(measured: dict[str, Any]) -> str:
    text = ", ".join(f"{name} {number}" for name, number in measured["versions"].items())
    return text[0].upper() + text[1:]


def put(name: str, text: str) -> None:
    """Put a section in the place of its predecessor; other sections of the page stay."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Benchmarks\n\n"
    before, found, rest = page.partition(begin)
    after = rest.partition(end)[2].removeprefix("\n")
    gap = "" if found or before.endswith("\n\n") else "\n"
    PAGE.write_text(f"{before}{gap}{begin}\n{text}{end}\n{after}", encoding="utf-8")
