"""Who is measured: every server's command, the form of its requests, and where its predictions stand."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from names import BATCHED, BENTOML, FASTAPI, LITSERVE, MLFLOW, MLSERVER, NAIVE, OURS, OWN, RAW, UNLOGGED
from servers import Server

APPS = Path(__file__).parent / "apps"
VERSIONS = {"bentoml": "1.4.39", "litserve": "0.2.19", "mlserver": "1.7.1"}
"""Of BentoML, the newest that resolves when releases of the last week are left aside."""
Row = dict[str, Any]


def naive_time(row: Row) -> Row:
    """The key is no feature, and MLflow's datetime knows no zone."""
    return {name: value for name, value in row.items() if name != "parcel_id"} | {
        "created_at": row["created_at"].removesuffix("Z")
    }


def split(rows: list[Row]) -> Any:
    few = [naive_time(row) for row in rows]
    return {"dataframe_split": {"columns": list(few[0]), "data": [list(row.values()) for row in few]}}


def v2(rows: list[Row]) -> Any:
    """The Open Inference Protocol, a tensor a column, which MLServer makes a data frame of."""
    inputs = []
    for name, example in naive_time(rows[0]).items():
        kind = {bool: "BOOL", str: "BYTES"}.get(type(example), "FP64")
        tensor = {"name": name, "shape": [len(rows), 1], "datatype": kind}
        if kind == "BYTES":
            tensor["parameters"] = {"content_type": "str"}
        inputs.append(tensor | {"data": [naive_time(row)[name] for row in rows]})
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


def one(rows: list[Row]) -> Any:
    return rows[0] if len(rows) == 1 else rows


def by_columns(rows: list[Row]) -> Any:
    return {"columns": {name: [row[name] for row in rows] for name in rows[0]}}


def predictions(said: Any) -> list[float]:
    return said["predictions"]


def ours(said: Any) -> list[float]:
    """An array of rows, or for columns a column."""
    given = said["predictions"]
    return given["delivered_hours"] if isinstance(given, dict) else [one["delivered_hours"] for one in given]


def elsewhere(*packages: str) -> list[str]:
    """Python in an environment with ``packages`` and the project's own versions of what computes."""
    command = [os.environ.get("UV", "uv"), "run", "--quiet", "--no-project", "--python", sys.executable]
    same = [f"{name}=={version(name)}" for name in ("numpy", "scipy", "scikit-learn", "pandas", "joblib")]
    for package in (*packages, *same):
        command += ["--with", package]
    return command


def unlogged(root: Path, made: Path) -> Path:
    """The project once more, all by links but an ``operations.yaml`` that keeps no prediction log."""
    place = made / "unlogged"
    place.mkdir()
    for entry in root.iterdir():
        if entry.name != "operations.yaml":
            (place / entry.name).symlink_to(entry)
    text = (root / "operations.yaml").read_text(encoding="utf-8")
    logged = "  log:                # the prediction log\n    enabled: true\n"
    assert text.count(logged) == 1
    text = text.replace(logged, logged.replace("true", "false"))
    (place / "operations.yaml").write_text(text, encoding="utf-8")
    return place


def uvicorn(app: str, *options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "uvicorn",
        f"{app}:app",
        "--app-dir",
        str(APPS),
        "--port",
        "{port}",
        *options,
    ]


def everybody(package: str, made: Path) -> dict[str, Server]:
    """``made`` holds what :mod:`models` wrote: the pipeline in every form."""
    fitted = {
        "BENCH_PIPELINE": str(made / "pipeline.pkl"),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(made / "bento"),
        "PYTHONPATH": os.pathsep.join((str(APPS), str(APPS.parent.parent))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    contract = {"BENCH_PACKAGE": package, "BENCH_CONTRACT": str(made / "own/extra_files/contract.json")}
    bento = elsewhere(f"bentoml=={VERSIONS['bentoml']}")
    lit = [*elsewhere(f"litserve=={VERSIONS['litserve']}"), "python", str(APPS / "lit.py"), "{port}"]
    seldon = elsewhere(*(f"{name}=={VERSIONS['mlserver']}" for name in ("mlserver", "mlserver-sklearn")))

    def mlflow(folder: str) -> Server:
        options = ["--port", "{port}", "--env-manager", "local", "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(made / folder), *options]
        return Server(
            command,
            "/invocations",
            lambda rows: {"dataframe_records": [naive_time(row) for row in rows]},
            predictions,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
        )

    quiet = "--no-access-log"
    serve = [sys.executable, "-m", f"{package}.cli", "serve", "--port", "{port}"]
    return {
        RAW: Server(uvicorn("echo", quiet), "/predict", one, None, slow=False),
        FASTAPI: Server(uvicorn("fastapi_echo", quiet), "/predict", one, None, slow=False, env=contract),
        OURS: Server(serve, "/predict", one, ours, slow=False),
        UNLOGGED: Server(serve, "/predict", one, ours, slow=False, cwd=unlogged(Path.cwd(), made)),
        OWN: mlflow("own"),
        MLFLOW: mlflow("mlflow"),
        BENTOML: Server(
            [*bento, "bentoml", "serve", "bento:Hours", "--port", "{port}", "--working-dir", str(APPS)],
            "/predict",
            lambda rows: {"rows": rows},
            lambda said: said,
            env=fitted,
        ),
        LITSERVE: Server(lit, "/predict", one, predictions, env=fitted),
        BATCHED: Server([*lit, "64"], "/predict", one, predictions, env=fitted),
        MLSERVER: Server(
            [*seldon, "sh", "-c", f"MLSERVER_HTTP_PORT={{port}} exec mlserver start {made / 'mlserver'}"],
            "/v2/models/hours/infer",
            v2,
            lambda said: said["outputs"][0]["data"],
            env=fitted,
        ),
        NAIVE: Server(uvicorn("naive"), "/predict", one, predictions, env=fitted),
    }
