"""One row in process: the project's way against pandas features and a ColumnTransformer.

Runs in a generated project's environment, where pandas is because MLflow brings it. Prints one JSON object.
"""

from __future__ import annotations

import gc
import importlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas_pipeline

ROUNDS, ROWS = 15, 40
"""Every variant takes the same rows in every round: a slow moment of the machine hits all of them."""
FIRST, LAST = date(2026, 4, 20), date(2026, 5, 31)
MODELS: dict[str, dict[str, Any]] = {
    "HistGradientBoosting, 100 trees": {},
    "linear (Ridge)": {"encode": "onehot", "impute": True, "scale": True},
}


def one_row_frame(body: bytes) -> pd.DataFrame:
    """A request as a one-row frame with the types of training."""
    return pandas_pipeline.typed(pd.DataFrame([json.loads(body)]))


def cpu_microseconds(call: Callable[[Any], Any], rows: list[Any]) -> float:
    begun = time.process_time()
    for row in rows:
        call(row)
    return (time.process_time() - begun) / len(rows) * 1e6


def compare(variants: dict[str, tuple[Callable[[Any], Any], list[Any]]]) -> dict[str, float]:
    """Median CPU microseconds a row of every variant, over interleaved rounds."""
    seen: dict[str, list[float]] = {name: [] for name in variants}
    for call, rows in variants.values():
        cpu_microseconds(call, rows[:5])
    gc.collect()
    gc.freeze()
    for _ in range(ROUNDS):
        for name, (call, rows) in variants.items():
            seen[name].append(cpu_microseconds(call, rows))
    return {name: float(np.median(values)) for name, values in seen.items()}


def measure(package: str, root: Path) -> dict[str, Any]:
    def ours(module: str) -> Any:
        return importlib.import_module(f"{package}.{module}")

    paths, contract = ours("paths").Paths(root), ours("contract").CONTRACT
    operations = ours("config").load_operations(paths.operations)
    days = list(ours("clock").days(FIRST, LAST))
    _, failed = ours("data.ingest").ingest_days(days, contract, operations, paths, ours("clock").now())
    assert not failed, failed
    config = ours("config").load_model(root / "configs" / "v1.yaml")
    frozen = ours("data.dataset").build(config.data, contract, paths)
    results = {}
    for name, features in MODELS.items():
        linear = bool(features)
        update: dict[str, Any] = {"features": config.features.model_copy(update=features)}
        if linear:
            update["estimator"] = config.estimator.model_copy(update={"kind": "linear", "params": {}})
        with tempfile.TemporaryDirectory() as scratch:
            trained = ours("training.fit").fit(
                config.model_copy(update=update), contract, paths, lambda: frozen, scratch=Path(scratch)
            )
        model = trained.version
        frame = trained.dataset.split("train").to_pandas()
        estimator = model.pipeline.steps[-1][1]
        peer = pandas_pipeline.pipeline(clone(estimator), linear).fit(frame, frame[config.target].to_numpy())

        bodies = [json.dumps(request).encode() for request in trained.proof.requests[:ROWS]]
        columns = model.contract.features
        batches = [ours("model.batch").from_rows(columns, model.request.parse(body)) for body in bodies]
        frames = [one_row_frame(body) for body in bodies]
        here = np.array([model.answer(body).values[0] for body in bodies])
        there = np.array([peer.predict(one)[0] for one in frames])
        apart = float(np.max(np.abs(here - there) / np.abs(there)))
        assert apart <= 1e-9, f"{name}: the two differ by {apart:.2e}"
        results[name] = {"apart": apart} | compare(
            {
                "our pipeline": (lambda batch, m=model: m.score(m.matrix(batch)), batches),
                "our request path": (model.answer, bodies),
                "peer pipeline": (peer.predict, frames),
                "peer request path": (lambda body, p=peer: p.predict(one_row_frame(body)), bodies),
            }
        )
    libraries = ("numpy", "scikit-learn", "pandas", "pydantic", "polars")
    return {
        "results": results,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in libraries},
        "cpu": ours("training.provenance").cpu(),
        "rounds": ROUNDS,
        "rows": ROWS,
    }


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        json.dump(measure(sys.argv[1], Path.cwd()), sys.stdout)
