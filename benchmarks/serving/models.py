"""The champion of the sample, and the same estimator behind pandas features in every form that peers want."""

from __future__ import annotations

import importlib
import json
import pickle
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import joblib
import mlflow
import numpy as np
import pandas as pd
import polars as pl
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas_pipeline

FIRST, LAST = date(2026, 4, 20), date(2026, 5, 31)


def champion(package: str, root: Path) -> Any:
    """Train ``configs/v1.yaml`` on the sample and promote it, as a user does. Returns the version, opened."""
    for arguments in (
        ["ingest", "--from", f"{FIRST}", "--to", f"{LAST}"],
        ["train", "--config", "configs/v1.yaml"],
        ["promote", "1", "--force", "--reason", "to be measured"],
    ):
        command = [sys.executable, "-m", f"{package}.cli", *arguments]
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)

    def ours(module: str) -> Any:
        return importlib.import_module(f"{package}.{module}")

    return ours("serving.worker").open_placed(
        ours("model.id").parse("hours/1", ""), ours("paths").Paths(root)
    )[0]


def write(version: Any, root: Path, made: Path) -> None:
    """The pipeline as pickle, MLflow model and MLServer model; the project's own artefact beside them."""
    frame = pl.read_parquet(root / version.facts["dataset"]).filter(pl.col("split") == "train")
    frame = frame.select(pandas_pipeline.COLUMNS).with_columns(
        pl.col("created_at").dt.replace_time_zone(None)
    )
    training = frame.to_pandas()
    pipeline = pandas_pipeline.pipeline(version.pipeline.steps[-1][1])
    pipeline[:-1].fit(training)  # the estimator is the champion's own
    (made / "pipeline.pkl").write_bytes(pickle.dumps(pipeline))
    mlflow.sklearn.save_model(
        pipeline,
        str(made / "mlflow"),
        serialization_format="cloudpickle",
        signature=mlflow.models.infer_signature(training, pipeline.predict(training.head())),
        code_paths=[pandas_pipeline.__file__],
        pip_requirements=[],
    )
    shutil.copytree(root / "var" / "serving" / "hours" / "1" / "artefact", made / "own")
    (made / "mlserver").mkdir()
    joblib.dump(
        Pipeline([("typed", FunctionTransformer(pandas_pipeline.typed)), *pipeline.steps]),
        made / "mlserver" / "model.joblib",
    )
    settings = {"host": "127.0.0.1", "grpc_port": 0, "metrics_endpoint": None, "parallel_workers": 0}
    model = {
        "name": "hours",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib"},
    }
    (made / "mlserver" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (made / "mlserver" / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")


def rows(version: Any, root: Path, count: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """So many requests from the weeks that the version was judged on, and its own predictions of them."""
    frame = pl.read_parquet(root / version.facts["dataset"]).filter(pl.col("split") == "evaluation")
    frame = frame.sample(count, seed=7).select([column.name for column in version.contract.columns])
    frame = frame.with_columns(pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
    bodies = frame.to_dicts()
    values = np.concatenate([version.answer(json.dumps(body).encode()).values for body in bodies])
    assert pd.isna([body["customer_age_days"] for body in bodies]).any(), "nulls are among them"
    return bodies, values
