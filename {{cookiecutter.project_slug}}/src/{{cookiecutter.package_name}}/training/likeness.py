"""How like its record a rebuilt version is: bit for bit, within the proof's rule, or not; and the likely cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import Exit
from ..model.artefact import FOLDER, PROOF
from ..model.proof import RELATIVE, Proof, compare_features, compare_predictions

Outcome = Literal["identical", "equal", "differs"]
SURROUNDINGS = {
    "lock_sha256": "the lock: the one it was trained with is not the one of its commit",
    "python": "another Python",
    "platform": "another platform",
    "cpu": "another CPU",
}
"""Facts that may move predictions though code, data and config are the same; the likeliest first."""


@dataclass(frozen=True)
class Likeness:
    """What a comparison found. ``largest`` is the largest |difference| of a prediction, in the target's unit."""

    outcome: Outcome
    rows: int
    rows_differing: int
    largest: float
    metrics: dict[str, tuple[float | None, float | None]]
    """Recorded and rebuilt."""
    differences: list[str]
    """What is further away than the rule allows."""
    causes: list[str]
    files: dict[str, bool]
    """Files of the artefact, and whether their bytes are the same: for information, MLmodel holds a clock time."""

    @property
    def exit(self) -> Exit:
        return Exit.SAID_NO if self.outcome == "differs" else Exit.OK

    @property
    def said(self) -> str:
        """The verdict in a sentence."""
        if self.outcome == "identical":
            return f"identical: {self.rows} proof rows and {len(self.metrics)} metrics, bit for bit"
        if self.outcome == "equal":
            return (
                f"equal within the proof's rule ({RELATIVE:g}): {self.rows_differing} of {self.rows} predictions "
                f"differ, at most by {self.largest:.2g}"
            )
        return f"differs in {len(self.differences)} points"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"said": self.said, "exit": int(self.exit)}


def compare(
    recorded: Mapping[str, Any], recorded_folder: Path, rebuilt: Mapping[str, Any], rebuilt_folder: Path
) -> Likeness:
    """Hold what was rebuilt against the record: facts, and the proof in each folder's artefact."""
    old, new = (Proof.read(folder / FOLDER / PROOF) for folder in (recorded_folder, rebuilt_folder))
    differences = _configs(recorded["config"], rebuilt["config"])
    differences += [
        f"{name} rows: {rebuilt['rows'].get(name)} instead of {rows}"
        for name, rows in recorded["rows"].items()
        if rebuilt["rows"].get(name) != rows
    ]
    further, exact = _metrics(recorded["metrics"], rebuilt["metrics"], old.scale)
    differences += further
    moved, largest = 0, 0.0
    if (old.requests, old.refusals, old.feature_names) != (new.requests, new.refusals, new.feature_names):
        differences.append("the proof holds other rows or features, so that no prediction can be compared")
    else:
        apart = np.abs(new.predictions - old.predictions)
        moved = int((new.predictions.view(np.int64) != old.predictions.view(np.int64)).sum())
        largest = float(np.max(apart, initial=0.0))
        differences += compare_features(old, new.features, "rebuilt")
        differences += compare_predictions(old, new.predictions, apart, "rebuilt")
    names = sorted({*recorded["metrics"], *rebuilt["metrics"]})
    outcome: Outcome = "differs" if differences else "identical" if exact and not moved else "equal"
    return Likeness(
        outcome=outcome,
        rows=len(old.requests),
        rows_differing=moved,
        largest=largest,
        metrics={name: (recorded["metrics"].get(name), rebuilt["metrics"].get(name)) for name in names},
        differences=differences,
        causes=[] if outcome == "identical" else _causes(recorded, rebuilt),
        files={
            name: recorded["files"].get(name) == rebuilt["files"].get(name)
            for name in sorted({*recorded["files"], *rebuilt["files"]})
        },
    )


def _configs(recorded: Any, rebuilt: Any, where: str = "") -> list[str]:
    if isinstance(recorded, dict) and isinstance(rebuilt, dict):
        keys = sorted({*recorded, *rebuilt})
        return [line for key in keys for line in _configs(recorded.get(key), rebuilt.get(key), f"{where}.{key}")]
    if recorded == rebuilt:
        return []
    return [f"config {where.lstrip('.')}: {rebuilt!r} in the commit, {recorded!r} in the record"]


def _metrics(recorded: Mapping[str, float], rebuilt: Mapping[str, float], scale: float) -> tuple[list[str], bool]:
    """Metrics beyond the rule that predictions follow, and whether all are the same to the last bit."""
    further, exact = [], True
    for name in sorted({*recorded, *rebuilt}):
        old, new = recorded.get(name), rebuilt.get(name)
        if old is None or new is None:
            further.append(f"metric {name}: {new} instead of {old}")
        elif old != new and (old == old or new == new):
            exact = False
            if not abs(new - old) <= RELATIVE * max(abs(old), scale):
                share = f", {abs(new - old) / abs(old):.1e} of it" if old else ""
                further.append(f"metric {name}: {new:.10g} instead of {old:.10g}{share}")
    return further, exact


def _causes(recorded: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> list[str]:
    causes = []
    if recorded["config"] != rebuilt["config"]:
        causes.append("the config: the record and the commit do not say the same; one of them was changed afterwards")
    for name, what in SURROUNDINGS.items():
        if recorded[name] != rebuilt[name]:
            shown = [str(facts[name])[:12] if name == "lock_sha256" else facts[name] for facts in (recorded, rebuilt)]
            causes.append(f"{what} ({shown[0]} then, {shown[1]} now)")
    if recorded["rows"] != rebuilt["rows"]:
        causes.append("the rows: the code of the commit reads another number of them from the same dataset")
    if not causes:
        causes.append(
            "nothing that is recorded: commit, lock, Python, platform, CPU, dataset and config are the same; so an "
            "estimator that does not obey the seed, or a record that was changed after training"
        )
    return causes
