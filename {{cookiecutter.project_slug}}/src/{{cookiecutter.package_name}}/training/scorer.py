"""A process that holds one version: it proves it, scores rows with it, and is timed, in whatever environment it has.

Challenger and champion each get one, so that they may have different locks (a base commit's versions of the libraries)
and so that what a bad artefact does, it does there. ``python -m …training.scorer FOLDER ROWS`` reads one JSON request a
line and answers each with one line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, NoReturn

from ..errors import Exit, ProjectError, lacking

SOURCE = Path(__file__).parents[2]
TRUTH = "\N{BULLET}truth"
"""Column of the rows with what was to be predicted: a name that no contract can hold, for it is no Python name."""


class Scorer:
    """The parent's end: starts the process, asks, and ends it. Use it in a ``with``.

    ``said`` is what the version's proof found, empty before :meth:`ready`. Raises ProjectError when the version is
    refused or the process dies.
    """

    def __init__(self, name: str, folder: Path, rows: Path, python: str = sys.executable) -> None:
        self.name = name
        self.said = ""
        # our source in the other's environment: the libraries are the version's own, the way of asking is this one
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "PYTHONPATH": str(SOURCE)}
        self._process = subprocess.Popen(
            [python, "-m", __name__, str(folder), str(rows)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ready(self) -> None:
        """Wait until the version is loaded and its proof replayed."""
        self.said = str(self._answer()["said"])

    def score(self, output: Path) -> dict[str, Any]:
        """Write predictions of all rows, float64 (n,), to ``output`` (.npy). Returns the leaks that were found."""
        return self._ask(do="score", output=str(output))

    def seconds(self, rows: int, calls: int) -> float:
        """Median seconds of a call with ``rows`` rows through the request path."""
        return float(self._ask(do="time", rows=rows, calls=calls)["seconds"])

    def _ask(self, **request: Any) -> dict[str, Any]:
        if self._process.stdin is None:
            self._died()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            self._died()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        try:
            said = json.loads(line)
        except ValueError:
            self._died()
        if "error" in said:
            raise ProjectError(f"{self.name}: {said['error']}", hint=said["hint"], exit=Exit(said["exit"]))
        return said

    def _died(self) -> NoReturn:
        self._process.kill()
        _, stderr = self._process.communicate()
        last = (stderr.strip().splitlines() or ["without a word"])[-1]
        raise ProjectError(f"{self.name}: its process ended: {last}", exit=Exit.UNAVAILABLE)


class _Held:
    """The child's end: the version, the rows, and what can be asked of them."""

    def __init__(self, folder: Path, rows: Path) -> None:
        import polars as pl

        from ..model import artefact
        from ..model.batch import from_frame
        from ..model.proof import Proof, replay

        facts = artefact.read(folder)
        self.version = artefact.load(folder / artefact.FOLDER, facts)
        proof = Proof.read(folder / artefact.FOLDER / artefact.PROOF)
        verdict = replay(self.version, proof)
        if not verdict.holds:
            raise ProjectError(
                f"refused: {verdict}",
                hint="the libraries here do not compute what it computed in training: compare requirements.txt",
                exit=Exit.SAID_NO,
            )
        self.said = str(verdict)
        self.bodies = proof.requests
        self.names = proof.feature_names
        frame = pl.read_parquet(rows)
        wanted = self.version.contract.features
        if missing := [column.name for column in wanted if column.name not in frame.columns]:
            raise ProjectError(
                f"it reads {', '.join(missing)}, which the evaluation rows no longer have",
                hint="the contract moved: there is nothing to compare on; promote by hand, with --force --reason",
                exit=Exit.SAID_NO,
            )
        self.batch = from_frame(wanted, frame)
        self.frame = frame

    def score(self, output: str) -> dict[str, Any]:
        import numpy as np

        from .leakage import determining

        matrix = self.version.matrix(self.batch)
        np.save(output, self.version.plain_score(matrix))
        truth = self.frame[TRUTH].to_numpy()
        return {"leaks": determining(matrix, self.names, truth, self.version.contract.target.task)}

    def time(self, rows: int, calls: int) -> dict[str, Any]:
        from ..clock import stopwatch

        bodies = [json.dumps(request).encode() for request in self.bodies]
        if rows > 1:
            bodies = [b"[" + b",".join(islice(cycle(bodies), rows)) + b"]"]
        took = []
        for body in islice(cycle(bodies), calls):
            started = stopwatch()
            self.version.answer(body)
            took.append(stopwatch() - started)
        return {"seconds": median(took)}


def main(arguments: list[str]) -> int:
    # whatever a library prints must not be taken for an answer
    answers, sys.stdout = sys.stdout, sys.stderr

    def say(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        held = _Held(Path(arguments[0]), Path(arguments[1]))
        say({"said": held.said})
        for line in sys.stdin:
            request = json.loads(line)
            say({"score": held.score, "time": held.time}[request.pop("do")](**request))
    except (ProjectError, ModuleNotFoundError) as raised:
        error = lacking(raised) if isinstance(raised, ModuleNotFoundError) else raised
        say({"error": error.message, "hint": error.hint, "exit": int(error.exit)})
        return int(error.exit)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
