"""What FastAPI costs without a model: our request model in, an answer of our form out."""

import importlib
import os
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

PACKAGE = os.environ["BENCH_PACKAGE"]
spec, request = (importlib.import_module(f"{PACKAGE}.{name}") for name in ("spec", "model.request"))
contract = spec.ModelContract.model_validate_json(Path(os.environ["BENCH_CONTRACT"]).read_bytes())


class Row(request.RequestModel(contract).row):
    model_config = ConfigDict(
        strict=False
    )  # FastAPI parses JSON itself: strict, it would refuse the time's text


class Prediction(BaseModel):
    delivered_hours: float


class Answer(BaseModel):
    predictions: list[Prediction]
    model_version: str
    request_id: str


app = FastAPI()


@app.post("/predict")
async def predict(row: Row) -> Answer:
    said = Prediction(delivered_hours=row.promised_hours)  # pyrefly: ignore
    return Answer(predictions=[said], model_version="hours/1", request_id="0" * 32)
