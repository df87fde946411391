"""One row, side by side: `make bench`. Measures in a generated project, writes docs/benchmarks.md."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- one row -->", "<!-- /one row -->"
TARGETS = {"HistGradientBoosting, 100 trees": 7, "linear (Ridge)": 50}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
VARIANTS = ("our pipeline", "our request path", "peer pipeline", "peer request path")


def measure(scratch: Path) -> dict[str, Any]:
    """Bake a default project, install what its lock says, and run measure.py in it."""
    project = Path(cookiecutter(str(ROOT), no_input=True, output_dir=str(scratch), default_config=True))
    package = next((project / "src").iterdir()).name
    uv = os.environ.get("UV", "uv")
    inside = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"} | ONE_THREAD
    subprocess.run([uv, "sync", "--locked", "--quiet"], cwd=project, env=inside, check=True)
    command = [uv, "run", "--no-sync", "python", str(HERE / "measure.py"), package]
    done = subprocess.run(command, cwd=project, env=inside, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(measured: dict[str, Any]) -> str:
    """Aligned Markdown: microseconds of CPU a row, and how often ours fits into the peer's."""
    heads = ["µs of CPU for one row", *VARIANTS, "pipeline", "request path", "target"]
    rows = []
    for model, seen in measured["results"].items():
        ratios = [
            seen["peer pipeline"] / seen["our pipeline"],
            seen["peer request path"] / seen["our request path"],
        ]
        numbers = [f"{seen[variant]:,.0f}" for variant in VARIANTS]
        rows.append([model, *numbers, *(f"{ratio:.1f} x" for ratio in ratios), f"{TARGETS[model]} x"])
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]

    def line(cells: list[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return f"| {first[0]:<{first[1]}} | " + " | ".join(f"{cell:>{width}}" for cell, width in rest) + " |"

    rule = "| " + "-" * widths[0] + " | " + " | ".join("-" * (width - 1) + ":" for width in widths[1:]) + " |"
    return "\n".join([line(heads), rule, *map(line, rows)])


def section(measured: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in measured["versions"].items())
    apart = max(seen["apart"] for seen in measured["results"].values())
    return f"""{BEGIN}
## One row in process

{table(measured)}

*Pipeline*: from a column batch, or a one-row DataFrame, to the prediction. *Request path*: from the bytes
of a JSON body to the prediction; ours validates it against the contract, the peer only parses it. The peer
is the same estimator with the same parameters behind pandas features and a scikit-learn ColumnTransformer,
fitted on the same rows.
Largest relative difference between the two: {apart:.1e}.

Medians of {measured["rounds"]} interleaved rounds of {measured["rows"]} rows, one thread, {measured["cpu"]}.
{versions[0].upper()}{versions[1:]}. Again: `make bench`.
{END}
"""


def write(text: str) -> None:
    """Put the section in the place of its predecessor; other sections of the page stay."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Benchmarks\n\n"
    before, found, rest = page.partition(BEGIN)
    after = rest.partition(END)[2].removeprefix("\n") if found else ""
    PAGE.write_text(before + text + after, encoding="utf-8")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        measured = measure(Path(scratch))
    write(section(measured))
    sys.stdout.write(f"{section(measured)}\nwritten to {PAGE.relative_to(ROOT)}\n")
    slow = [
        model
        for model, seen in measured["results"].items()
        if seen["peer pipeline"] / seen["our pipeline"] < TARGETS[model]
    ]
    if slow:
        sys.stdout.write(f"below target: {', '.join(slow)}\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
