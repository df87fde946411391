"""What a daily run is for: read what was delivered, hold it against the contract, compute, predict."""

import importlib
import os
from datetime import date
from pathlib import Path
from typing import Any

AT_ONCE = 100_000


class Useful:
    """That alone: nothing is hashed or written, no proof replayed, no label joined, no record kept."""

    def __init__(self, package: str, root: Path) -> None:
        def ours(module: str) -> Any:
            return importlib.import_module(f"{package}.{module}")

        os.chdir(root)
        self.contract, self.check = ours("contract").CONTRACT, ours("data.validation").check
        self.read, self.from_frame = ours("source").read, ours("model.batch").from_frame
        paths = ours("paths").Paths(root)
        operations = ours("config").load_operations(paths.operations)
        self.upstream = root / operations.source.path
        scoring = ours("operations.score")
        self.model = scoring.opened(scoring.champion(paths, operations), paths, operations)

    def __call__(self, day: date) -> None:
        for name, table in self.contract.tables.items():
            rows = self.read(name, self.upstream / name / f"{day}.parquet").collect()
            good = self.check(rows.lazy(), table, self.contract.version, day).good.collect()
            if table is self.contract.rows:
                for part in good.iter_slices(AT_ONCE):
                    batch = self.from_frame(self.model.contract.features, part)
                    self.model.score(self.model.matrix(batch))
