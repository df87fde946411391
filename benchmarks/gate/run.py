"""The gate's false alarms and misses beside a fixed tolerance: `make bench-gate`. Writes docs/benchmarks.md.

Leaves with 1 when the gate does not keep LIMITS. `--quick` is for a look: smaller models, few repeats, writes
nothing.
"""

import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import page

ROWS = (200, 1_000, 5_000)
EQUALS = ("other seed", "a quarter of the rows new")
FRESH = "all rows new"
EVERY, SOME = "all rows a little worse", "some rows quite wrong"
NAMES = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "log_loss": "log loss",
    "mae": "absolute error",
    "mse": "squared error",
}
LIMITS = {"equal": 0.01, "1 x": 0.05, "2 x": 0.001}
"""With 5,000 rows: equals blocked at most, missed at most at exactly the tolerance, and at twice it."""
TOO_HEAVY = {("mse", f"{SOME}, 1 x")}
"""Not held, and the page says so: too few rows carry the loss for a mean of 5,000 to settle."""


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def blocked(seen: dict[str, Any], case: str, rows: int, rule: str = "gate") -> float:
    return seen["blocked"][f"{case}, {rows} rows"][rule]


def equal(seen: dict[str, Any], rows: int, rule: str = "gate") -> float:
    return sum(blocked(seen, kind, rows, rule) for kind in EQUALS) / len(EQUALS)


def broken(measured: dict[str, Any]) -> list[str]:
    """What is above its limit by more than three standard errors of the simulation itself."""
    said = []
    for metric, seen in measured["results"].items():
        shares = {(kind, "equal"): blocked(seen, kind, ROWS[-1]) for kind in EQUALS} | {
            (f"{how}, {times}", times): 1 - blocked(seen, f"{how}, {times}", ROWS[-1])
            for how in (EVERY, SOME)
            for times in ("1 x", "2 x")
            if (metric, f"{how}, {times}") not in TOO_HEAVY
        }
        for (case, kind), share in shares.items():
            limit = LIMITS[kind]
            if share > limit + 3 * math.sqrt(limit * (1 - limit) / seen["repeats"]):
                said.append(f"{NAMES[metric]}, {case}: {share:.1%}, allowed {limit:.1%}")
    return said


def rules_table(results: dict[str, Any]) -> str:
    names = {
        "any drop": "any drop blocks",
        "fixed": "fixed tolerance",
        "fixed, other rows": "fixed, champion's number from other rows",
        "gate": "**the gate**",
    }
    heads = ["metric", "rule", *(f"{rows:,} rows" for rows in ROWS)]
    rows = [
        [
            NAMES[metric] if rule == "any drop" else "",
            name,
            *(
                " / ".join(
                    [percent(equal(seen, n, rule))]
                    + [percent(1 - blocked(seen, f"{EVERY}, {times}", n, rule)) for times in ("1 x", "2 x")]
                )
                for n in ROWS
            ),
        ]
        for metric, seen in results.items()
        for rule, name in names.items()
    ]
    return page.aligned(heads, rows, words=2)


def gate_table(results: dict[str, Any]) -> str:
    heads = [
        "5,000 rows",
        "tolerance",
        *EQUALS,
        FRESH,
        *(f"{how}, {n}" for how in (EVERY, SOME) for n in ("1 x", "2 x")),
    ]
    rows = []
    for metric, seen in results.items():
        share = metric in ("accuracy", "auc")
        tolerance = (
            f"{100 * seen['tolerance']:g} point" if share else f"{seen['tolerance'] / seen['held']:.1%}"
        )
        equals = [
            f"{percent(blocked(seen, kind, ROWS[-1]))} ({seen['needed'][kind]:,})"
            for kind in (*EQUALS, FRESH)
        ]
        missed = [percent(1 - blocked(seen, head, ROWS[-1])) for head in heads[5:]]
        rows.append([NAMES[metric], tolerance, *equals, *missed])
    return page.aligned(heads, rows)


def verdicts_table(results: dict[str, Any]) -> str:
    cases = {f"equal, {n:,} rows": (EQUALS, n) for n in ROWS} | {
        f"{times} tolerance, 5,000 rows": ((f"{EVERY}, {times}",), ROWS[-1]) for times in ("1 x", "2 x")
    }
    rows = []
    for metric, seen in results.items():
        cells = []
        for kinds, n in cases.values():
            stopped = sum(blocked(seen, kind, n) for kind in kinds) / len(kinds)
            failed = sum(blocked(seen, kind, n, "FAIL") for kind in kinds) / len(kinds)
            cells.append(f"{percent(1 - stopped)} / {percent(stopped - failed)} / {percent(failed)}")
        rows.append([NAMES[metric], *cells])
    return page.aligned(["PASS / INCONCLUSIVE / FAIL", *cases], rows)


def slices_table(results: dict[str, Any]) -> str:
    heads = ["ten slices of 500 rows", "the gate", "not corrected", "fixed, twice the tolerance"]
    rows = [
        [
            NAMES[metric],
            *(
                " / ".join(percent(seen["slices"][case][rule]) for case in ("equal", "5 x", "10 x"))
                for rule in ("gate", "uncorrected", "fixed")
            ),
        ]
        for metric, seen in results.items()
    ]
    return page.aligned(heads, rows)


def section(measured: dict[str, Any]) -> str:
    results, limits, prose = measured["results"], measured["limits"], page.prose
    repeats = {name: seen["repeats"] for name, seen in results.items()}
    chance = {name: f"{100 * math.sqrt(0.05 * 0.95 / count):.1f}" for name, count in repeats.items()}
    relative = {name: f"{seen['tolerance'] / seen['held']:.1%}" for name, seen in results.items()}
    kinds = (*EQUALS, FRESH)
    apart = max(seen["truly"][kind] / seen["tolerance"] for seen in results.values() for kind in kinds)
    luck = max(seen["luck"][kind] / seen["tolerance"] for seen in results.values() for kind in kinds)
    said = {name: percent(share) for name, share in limits.items() if name != "rare"}
    rare = [f"{results['auc']['needed'][EQUALS[1]]:,}", *(f"{rows:,}" for rows in limits["rare"].values())]
    about = prose(f"""Shares in percent. Real models (HistGradientBoosting with the parameters of
        `configs/v1.yaml`) on the sample's data, judged by the generated project's own
        `training/comparison.py`. Rows are drawn from a pool of {min(measured["pool"].values()):,}, which is
        the population, so every true difference is known: of equals it is at most {apart:.0%} of the
        tolerance, and every pair is compared both ways, so that they are equal on average. A challenger that
        loses exactly the tolerance, or twice it, is a retrain made worse: *{EVERY}* by blending in a model
        that lost its columns of distance, depot and time, *{SOME}* by giving them another parcel's
        prediction.""")
    rules = prose("""Equals blocked / missed at exactly the tolerance / missed at twice it, where equals
        differ by the seed or by a quarter of the training rows, and of the others all rows are a little
        worse:""")
    tolerances = prose(f"""Tolerances: one point of accuracy and of AUC, {relative["log_loss"]} of the
        champion's log loss, {relative["mae"]} of its absolute error ({60 * results["mae"]["tolerance"]:.0f}
        minutes) and {relative["mse"]} of its squared error. Retraining alone moves the true metric by at
        most {luck:.2f} tolerances (standard deviation). The gate alone: equals blocked, and in brackets the
        rows that it asks for, (3.3 sd / tolerance)²; then what it misses:""")
    promise = prose(f"""Promised with 5,000 rows, where seed or a quarter of the rows differ: at most 1% of
        equals blocked, at most 5% missed at the tolerance, none at twice it. The 5% are what the rule aims
        at, and the simulation measures them give or take a standard error of {chance["mae"]} points, of AUC
        {chance["auc"]}; `make bench-gate` fails when a share is above its limit by three. Where the rows
        asked for come near those there are, up to 5% of equals are blocked: for 1% have 1.45 times as many,
        or a wider tolerance. The column where all training rows are new shows it. Not promised for squared
        error when few rows carry the loss: one that is wrong by 60 hours counts 3,600, and the mean of 5,000
        such rows has not settled.""")
    slices = prose(f"""Slices, equals blocked by any of ten / caught where one slice loses 5 / 10 tolerances
        in some of its rows ({results["mae"]["slice_repeats"]:,} repeats, AUC
        {results["auc"]["slice_repeats"]:,}).
        A fixed drop of twice the tolerance does better here, for slices of this size and models that differ
        this much; the corrected rule blocks equals with about 5% at any size, and pays with slower sight:""")
    end = prose(f"""Where the promise ends, with challengers that lose exactly the tolerance on 5,000 rows.
        Every row there five times, as a customer who comes again: {said["repeated rows, accuracy"]}% pass
        (accuracy), {said["repeated rows, mae"]}% (absolute error). The loss in five rows:
        {said["few rows"]}% pass (absolute error). Ten such challengers tried on the same rows: at least one
        passes in {said["ten tries, accuracy"]}% (accuracy), {said["ten tries, mae"]}% (absolute error). Rare
        positives: one point of AUC asks for {rare[0]} rows here, where a third is a yes, for {rare[1]} when
        5% are, and for {rare[2]} when 1% are.""")
    how = prose(f"""{repeats["mae"]:,} repeats of 5,000 rows (AUC {repeats["auc"]:,}),
        {min(repeats["mae"], 1_000):,} of fewer, fixed seeds, one thread, {measured["cpu"]}.
        {page.versions(measured)}. Again: `make bench-gate`.""")
    verdicts = "What the gate says of equals, and where all rows are a little worse:"
    parts = [
        *("## The gate", about, rules, rules_table(results), tolerances, gate_table(results), promise),
        *(verdicts, verdicts_table(results), slices, slices_table(results), end, how),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(page.run("gate", Path(__file__).with_name("measure.py"), section, broken))
