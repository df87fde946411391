"""A BentoML service: rows validated by pydantic, one data frame a request."""

from __future__ import annotations

import bentoml
from rows import Row, frame, load


@bentoml.service(workers=1, traffic={"timeout": 60})
class Hours:
    def __init__(self) -> None:
        self.pipeline = load()

    @bentoml.api
    def predict(self, rows: list[Row]) -> list[float]:
        return self.pipeline.predict(frame([row.model_dump() for row in rows])).tolist()
