"""One row, side by side: `make bench`. Measures in a generated project, writes docs/benchmarks.md."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import page

TARGETS = {"HistGradientBoosting, 100 trees": 7, "linear (Ridge)": 50}
VARIANTS = ("our pipeline", "our request path", "peer pipeline", "peer request path")


def table(measured: dict[str, Any]) -> str:
    """Microseconds of CPU a row, and how often ours fits into the peer's."""
    rows = []
    for model, seen in measured["results"].items():
        ratios = [
            seen["peer pipeline"] / seen["our pipeline"],
            seen["peer request path"] / seen["our request path"],
        ]
        numbers = [f"{seen[variant]:,.0f}" for variant in VARIANTS]
        rows.append([model, *numbers, *(f"{ratio:.1f} x" for ratio in ratios), f"{TARGETS[model]} x"])
    return page.aligned(["µs of CPU for one row", *VARIANTS, "pipeline", "request path", "target"], rows)


def section(measured: dict[str, Any]) -> str:
    apart = max(seen["apart"] for seen in measured["results"].values())
    return f"""## One row in process

{table(measured)}

*Pipeline*: from a column batch, or a one-row DataFrame, to the prediction. *Request path*: from the bytes
of a JSON body to the prediction; ours validates it against the contract, the peer only parses it. The peer
is the same estimator with the same parameters behind pandas features and a scikit-learn ColumnTransformer,
fitted on the same rows.
Largest relative difference between the two: {apart:.1e}.

Medians of {measured["rounds"]} interleaved rounds of {measured["rows"]} rows, one thread, {measured["cpu"]}.
{page.versions(measured)}. Again: `make bench`.
"""


def main() -> int:
    measured = page.measure(Path(__file__).with_name("measure.py"))
    page.put("one row", section(measured))
    sys.stdout.write(f"{section(measured)}\nwritten to {page.PAGE.relative_to(page.ROOT)}\n")
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
