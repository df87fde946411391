"""What a daily run is for: read what was delivered, hold it against the contract, compute, predict."""

import importlib
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

AT_ONCE = 100_000


class Useful:
    """That alone: nothing is hashed or written, no label joined, no record kept, the model open already."""

    def __init__(self, package: str, root: Path) -> None:
        def ours(module: str) -> Any:
            return importlib.import_module(f"{package}.{module}")

        os.chdir(root)
        self.contract, self.check = ours("contract").CONTRACT, ours("data.validation").check
        self.read, self.from_frame = ours("source").read, ours("model.batch").from_frame
        paths = ours("paths").Paths(root)
        operations = ours("config").load_operations(paths.operations)
        self.paths, self.operations, self.store = paths, operations, ours("data.store").Store(paths)
        self.scoring, self.realised = ours("operations.score"), ours("operations.realised").realised
        self.upstream = root / operations.source.path

    def open(self, rows: int) -> None:
        """The champion as a day of so many rows asks for it, from disk, its proof replayed."""
        version = self.scoring.champion(self.paths, self.operations)
        self.model = self.scoring.opened(version, self.paths, self.operations, rows)

    def judge(self, day: date) -> None:
        """Join the labels that are complete with ``day`` with their predictions."""
        due = day - timedelta(days=self.contract.labels_complete_after)
        self.realised(due, self.operations, self.store, self.model)

    def __call__(self, day: date) -> None:
        for name, table in self.contract.tables.items():
            rows = self.read(name, self.upstream / name / f"{day}.parquet").collect()
            good = self.check(rows.lazy(), table, self.contract.version, day).good.collect()
            if table is self.contract.rows:
                for part in good.iter_slices(AT_ONCE):
                    batch = self.from_frame(self.model.contract.features, part)
                    self.model.score(self.model.matrix(batch))
