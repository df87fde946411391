"""The daily run: `make bench-daily`. Measures in a generated project, writes docs/benchmarks.md."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import page
from page import prose

CHECK, MEGABYTES, EXPONENT = 2.0, 1_500, 1.05
"""What is promised: of a check by the bare read, of a day of 5 million rows, of growth."""
VARIANTS = {
    "rows in hand": "ours, rows in hand",
    "streamed": "ours, streamed",
    "dataframely": "dataframely",
    "pandera": "pandera",
}
FILES = {"as the sample": "rounded, as the sample's", "every bit": "every bit of a float"}


def broken(measured: dict[str, Any]) -> list[str]:
    """Promises that the figures do not keep."""
    said = []
    for name, seen in measured["checks"].items():
        for variant in ("rows in hand", "streamed"):
            if seen["ratios"][variant] > CHECK:
                said.append(f"check {variant}, {name}: {seen['ratios'][variant]:.2f} of {CHECK}")
    for kind, day in (("in order", measured["days"][-1]), ("shuffled", measured["shuffled"])):
        if day["megabytes"] > MEGABYTES:
            said.append(f"memory, {kind}: {day['megabytes']:.0f} of {MEGABYTES} MB")
    for name, exponent in measured["exponents"].items():
        if exponent > EXPONENT:
            said.append(f"growth, {name}: {exponent:.3f} of {EXPONENT}")
    return said


def checks_table(measured: dict[str, Any]) -> str:
    rows = []
    for name, seen in measured["checks"].items():
        rows.append(
            [
                FILES[name],
                f"{seen['bytes']:.0f}",
                f"{seen['read'] * 1e9 / measured['checked']:.0f} ns",
                *(f"{seen['ratios'][variant]:.2f} x" for variant in VARIANTS),
            ]
        )
    heads = ["measurements", "bytes a row", "read, a row", *VARIANTS.values()]
    return page.aligned(heads, rows)


def days_table(measured: dict[str, Any]) -> str:
    rows = []
    for day in [*measured["days"], measured["shuffled"]]:
        name = f"{day['rows']:,}" + (", shuffled" if day is measured["shuffled"] else "")
        peak = day["megabytes"] if isinstance(day["megabytes"], float) else day["megabytes"][-1]
        rows.append(
            [
                name,
                f"{day['whole']:.2f} s",
                f"{day['whole'] / day['rows'] * 1e6:.1f} µs",
                f"{day['useful']:.2f} s",
                f"{day['whole'] / day['useful']:.2f} x",
                f"{day['whole'] / day['opened']:.2f} x",
                f"{peak:,.0f} MB",
            ]
        )
    return page.aligned(
        ["rows", "daily run", "a row", "its useful work", "ratio", "opened and judged", "peak of memory"],
        rows,
    )


def section(measured: dict[str, Any]) -> str:
    growth, sizes = measured["exponents"], [day["rows"] for day in measured["days"]]
    about = prose(f"""CPU of reading a partition of {measured["checked"]:,} rows and 9 columns and holding it
        against the contract, by that of `pl.read_parquet` alone, which gives all columns. *Rows in hand*:
        read, then checked. *Streamed*: checked while it is read, and no row kept. Ours has every rule of the
        contract: types, bounds, levels, unique key, the day, quantiles, unseen levels. dataframely's own
        `filter` and pandera have types, bounds, levels and key. Each after a bare read that is not counted;
        medians of {measured["rounds"]} interleaved rounds; pandera in an environment of its own, by its own
        reading. Promised: {CHECK:.0f} x.""")
    whole = prose("""`ml run` of a day: ingest as many parcels and as many deliveries, score, join as many
        labels with as many predictions, monitor, record. Imports are paid for before; the memory has them.
        *Useful work*: read, check, features and prediction alone, in the same process, the model already
        open, predicting by the server's short cut where the run asks the estimator itself; *opened and
        judged*: the ratio where opening the champion, its proof replayed, and joining the matured labels
        count as useful too. Rows in order of time and key stream from file to file; shuffled ones are
        sorted.""")
    grows = prose(f"""CPU grows with rows to the power of {growth["all"]:.2f} from {sizes[1]:,} to
        {sizes[-1]:,}, and of {growth["last"]:.2f} over the last tenfold; promised is {EXPONENT}, and
        {MEGABYTES:,} MB. A run of the sample's own size is mostly what every run pays once, 0.1 to 0.2 s
        after imports of seconds: opening the champion and replaying its proof, hashing and writing three
        partitions, joining the labels of a matured day, the monitor, and a record after each step.""")
    how = prose(f"""One thread, {measured["cpu"]}. {page.versions(measured)}. Again: `make bench-daily`.""")
    parts = ["## The daily run", about, checks_table(measured), whole, days_table(measured), grows, how]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(page.run("daily", Path(__file__).with_name("measure.py"), section, broken))
