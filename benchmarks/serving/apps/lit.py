"""A LitServe API: one data frame a request, or with an argument one a batch of so many."""

import sys
from typing import Any

import litserve
import pandas as pd
from rows import frame, load


class Hours(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.pipeline = load()

    def decode_request(self, request: dict[str, Any]) -> pd.DataFrame:
        return frame([request])

    def predict(self, x: pd.DataFrame) -> Any:
        return self.pipeline.predict(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


class Batched(Hours):
    def decode_request(self, request: dict[str, Any]) -> Any:
        return request

    def batch(self, inputs: list[Any]) -> pd.DataFrame:
        return frame(inputs)

    def unbatch(self, output: Any) -> Any:
        return list(output)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": [float(output)]}


if __name__ == "__main__":
    port, *batch = map(int, sys.argv[1:])
    api = Batched(max_batch_size=batch[0], batch_timeout=0.005) if batch else Hours()
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False)
