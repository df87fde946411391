"""A FastAPI app as a tutorial writes it: a def endpoint, one data frame a request."""

from fastapi import FastAPI
from rows import Row, frame, load

app = FastAPI()
pipeline = load()


@app.post("/predict")
def predict(row: Row) -> dict[str, list[float]]:
    return {"predictions": pipeline.predict(frame([row.model_dump()])).tolist()}
