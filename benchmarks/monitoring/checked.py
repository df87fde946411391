"""Holds the peers as written in `peers.py` against the packages: `python checked.py evidently` (or nannyml,
scipy).

Runs in an environment that has the package. Prints the largest difference of a statistic, the alerts that
differ, and versions, as one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import numpy as np
import peers
from worlds import COLUMNS, FIRST, HISTORY, LEVELS, WORLDS, Table

ROWS, DAYS = 500, 12
warnings.simplefilter("ignore")


class Checked:
    """A table of the busiest world: reference, history, and days to judge, some of them changed."""

    def __init__(self) -> None:
        table = Table(
            WORLDS["year and holidays"], ROWS, 1, {FIRST + timedelta(days=days) for days in range(0, 900, 30)}
        )
        self.history = {name: [table.values(name, day) for day in range(HISTORY)] for name in COLUMNS}
        self.reference = {
            name: np.concatenate(days)[:: HISTORY * ROWS // 10_000] for name, days in self.history.items()
        }
        self.days = [
            {name: table.values(name, day) for name in COLUMNS} for day in range(HISTORY, HISTORY + DAYS)
        ]
        self.days[0]["weight_g"] = self.days[0]["weight_g"] / 1000
        self.days[1]["temperature"] = self.days[1]["temperature"] + 1
        self.judges = {}
        for name, rows in self.reference.items():
            past = self.history[name]
            self.judges[name] = (
                peers.Category(rows, past, LEVELS[name]) if name in LEVELS else peers.Numeric(rows, past)
            )

    def ours(self, statistic: str) -> np.ndarray:
        at = peers.STATISTICS.index(statistic)
        return np.array(
            [[self.judges[name].statistics(day[name])[at] for name in COLUMNS] for day in self.days]
        )

    def limits(self) -> np.ndarray:
        return np.array([peers.limit(self.judges[name], self.history[name]) for name in COLUMNS])


def frame(values: dict[str, np.ndarray]) -> Any:
    import pandas as pd

    given = {}
    for name, column in values.items():
        if name in LEVELS:
            words = np.array([f"level {number}" for number in range(LEVELS[name])] + [None], dtype=object)
            given[name] = pd.Series(words[column], dtype=object)
        else:
            given[name] = pd.Series(column)
    return pd.DataFrame(given)


def evidently(checked: Checked) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    columns = DataDefinition(
        numerical_columns=[name for name in COLUMNS if name not in LEVELS], categorical_columns=list(LEVELS)
    )
    reference = Dataset.from_pandas(frame(checked.reference), data_definition=columns)
    values, shares = [], []
    for day in checked.days:
        today = Dataset.from_pandas(frame(day), data_definition=columns)
        said = json.loads(Report([DataDriftPreset()]).run(today, reference).json())["metrics"]
        drift = {
            one["config"].get("column"): one["value"] for one in said if "ValueDrift" in one["config"]["type"]
        }
        values.append([drift[name] for name in COLUMNS])
        shares.append(
            next(one["value"]["share"] for one in said if "DriftedColumns" in one["config"]["type"])
        )
    theirs, ours = np.array(values), checked.ours("evidently")
    return theirs, ours, np.array(shares), (ours >= 0.1).mean(axis=1)


def nannyml(checked: Checked) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import pandas as pd
    from nannyml import UnivariateDriftCalculator

    def dated(days: list[dict[str, np.ndarray]], first: str) -> Any:
        frames = [
            frame(day).assign(time=stamp)
            for day, stamp in zip(days, pd.date_range(first, periods=len(days)), strict=True)
        ]
        return pd.concat(frames, ignore_index=True)

    calculator = UnivariateDriftCalculator(
        column_names=list(COLUMNS),
        timestamp_column_name="time",
        treat_as_categorical=list(LEVELS),
        chunk_period="D",
    )
    past = [{name: checked.history[name][day] for name in COLUMNS} for day in range(HISTORY)]
    calculator.fit(dated(past, "2027-01-04"))
    said = calculator.calculate(dated(checked.days, "2027-04-04")).filter(period="analysis").to_df()
    values = np.array([said[(name, "jensen_shannon", "value")].to_numpy(float) for name in COLUMNS]).T
    limits = np.array(
        [said[(name, "jensen_shannon", "upper_threshold")].to_numpy(float)[0] for name in COLUMNS]
    )
    return values, checked.ours("nannyml"), limits, checked.limits()


def scipy(checked: Checked) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    from scipy import stats

    values = []
    for day in checked.days:
        row = []
        for name in COLUMNS:
            one, other = peers.present(checked.reference[name]), peers.present(day[name])
            if name in LEVELS:
                counts = np.stack([np.bincount(few, minlength=LEVELS[name]) for few in (one, other)])
                row.append(stats.chi2_contingency(counts[:, counts.sum(0) > 0]).pvalue)
            else:
                row.append(stats.ks_2samp(one, other, method="asymp").pvalue)
        values.append(row)
    theirs, ours = np.array(values), checked.ours("p")
    return theirs, ours, theirs < 0.05, ours < 0.05


def main() -> None:
    package = sys.argv[1]
    theirs, ours, verdicts, own = globals()[package](Checked())
    said = {
        "values": int(theirs.size),
        "apart": float(np.max(np.abs(theirs - ours))),
        "largest": float(np.max(theirs)),
        "verdicts apart": float(np.max(np.abs(verdicts.astype(float) - own.astype(float)))),
        "versions": {package: version(package)},
    }
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
