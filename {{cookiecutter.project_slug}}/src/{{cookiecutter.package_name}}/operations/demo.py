"""`ml demo`: the whole story in one go, every step real, every step timed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from datetime import date
from pathlib import Path
from time import sleep
from typing import Any

import httpx

from .. import console
from ..clock import days as every_day
from ..clock import now, stopwatch
from ..config import load_operations
from ..errors import Exit, ProjectError
from ..paths import Paths, browsing

FIRST, LAST, BROKEN = date(2026, 4, 20), date(2026, 5, 31), date(2026, 6, 1)
CONFIG = Path("configs") / "v1.yaml"
PATIENCE = 120.0
"""Seconds to wait for the server; it needs about ten on an idle machine."""


class Story:
    """Numbers and times the steps, and remembers them for ``--json``."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.steps: list[dict[str, Any]] = []
        self._begun = stopwatch()

    @contextmanager
    def step(self, title: str) -> Generator[list[str]]:
        """Run one step; what the body appends to the yielded list is printed below its title."""
        lines: list[str] = []
        begun = stopwatch()
        with nullcontext() if self.quiet else console.working(title):
            yield lines
        seconds = stopwatch() - begun
        self.steps.append({"step": title, "seconds": round(seconds, 2), "said": lines})
        if not self.quiet:
            console.say(f"{len(self.steps):>2}  {title:<58}{seconds:>6.1f} s", "bold")
            for line in lines:
                console.say(f"    {line}")

    def end(self, *commands: str) -> None:
        seconds = stopwatch() - self._begun
        if self.quiet:
            console.machine({"steps": self.steps, "seconds": round(seconds, 2)})
            return
        console.say()
        console.say(f"done in {seconds:.0f} s; everything above is still here to look at", "bold green")
        console.following(*commands)


def run(paths: Paths, *, quiet: bool = False) -> None:
    """Tell the story in the project at ``paths``. Running it again adds versions and changes no partition."""
    story = Story(quiet)
    _data(paths, story)
    with story.step("import MLflow and scikit-learn"):
        from ..model.id import VersionId
        from ..serving import worker
        from ..training.champion import promote, rollback
        from ..training.contest import of_version
        from ..training.registry import Registry
        from ..training.train import train

    operations = load_operations(paths.operations)
    trained = []
    for title, as_of in (("train configs/v1.yaml and register it", LAST), ("train again, one day later", BROKEN)):
        with story.step(title) as said:
            version, result, _ = train(paths.root / CONFIG, paths, as_of=as_of)
            metrics = result.metrics
            mae, naive = metrics["mae"], metrics["baseline_mae"]
            said.append(f"version {version}: mae {mae:.2f} h, naive {naive:.2f} h, {metrics['skill']:.0%} better")
            said.append(f"proof: {result.verdict}")
            trained.append(version)
    registry = Registry(paths)

    def verify(version: VersionId) -> str:
        registry.fetch(version)
        return worker.verify(version, paths)

    for version, why in zip(trained, ("first version", "fresher data"), strict=True):
        with story.step(f"gate {version}: champion and challenger on the same rows") as said:
            verdict = of_version(registry, version, None, as_of=BROKEN, report=lambda _: None)
            said.append(f"{verdict.verdict}{f' against {verdict.champion}' if verdict.champion else ''}")
            said += [f"{check.title}: {check.said}" for check in verdict.checks if check.code in ("GATE001", "GATE002")]
        with story.step(f"promote {version}, after its proof in a process of its own"):
            promote(registry, version, verify, now=now(), why=why)
    with _server(paths) as address:
        request = _example(paths, trained[-1])
        with story.step("serve: ml serve, following the champion") as said:
            _wait_for(address, str(trained[-1]))
            said.append(f"{address}/ready says ready")
        with story.step("predict over HTTP: POST /predict") as said:
            said.append(_predict(address, request))
        with story.step("roll back; the server follows without a restart") as said:
            rollback(registry, operations.model, trained[0], verify, now=now(), why="demo")
            _wait_for(address, str(trained[0]))
            said.append(_predict(address, request))
    story.end("ml versions", "ml serve", "ml train --config configs/late.yaml", *browsing())


def _data(paths: Paths, story: Story) -> None:
    """Ingest, again, and once from a delivery that is broken."""
    import polars as pl

    from ..contract import CONTRACT
    from ..data.ingest import ingest, ingest_days
    from ..files import write_bytes
    from ..sample_upstream import deliver

    operations = load_operations(paths.operations)
    if not operations.source.sample:
        raise ProjectError(
            "the demo plays with the sample's parcels, and operations.yaml says source.sample: false",
            hint="run it in a project of its own: uvx cookiecutter …",
        )
    with story.step(f"ingest {FIRST} to {LAST} under the contract") as said:
        done, failed = ingest_days(list(every_day(FIRST, LAST)), CONTRACT, operations, paths, now())
        if failed:
            raise failed[0]
        said.append(f"{len(done)} partitions, {sum(item.manifest.rows for item in done):,} rows")
    with story.step(f"ingest {LAST} once more: nothing changes") as said:
        again, _ = ingest_days([LAST], CONTRACT, operations, paths, now())
        said.append(
            ", ".join(
                f"{item.manifest.table} sha256 {item.manifest.sha256[:12]} {'CHANGED' if item.changed else 'unchanged'}"
                for item in again
            )
        )
    drop = paths.root / operations.source.path / CONTRACT.rows.name / f"{BROKEN}.parquet"
    with story.step(f"{BROKEN}: upstream delivers kilograms instead of grams") as said:
        deliver(CONTRACT.rows.name, BROKEN, drop)
        good = drop.read_bytes()
        with_kilograms = pl.read_parquet(drop).with_columns(pl.col("weight_g") / 1000)
        with_kilograms.write_parquet(drop)
        try:
            ingest(CONTRACT.rows, BROKEN, CONTRACT, operations, paths, now())
        except ProjectError as error:
            said += [f"refused, exit {int(error.exit)}:", *error.message.splitlines()[1:]]
        else:
            raise ProjectError("the contract let kilograms through", exit=Exit.SAID_NO)
        finally:
            write_bytes(drop, good)
    with story.step(f"{BROKEN}: upstream mends it and delivers again") as said:
        mended, failed = ingest_days([BROKEN], CONTRACT, operations, paths, now())
        if failed:
            raise failed[0]
        said.append(f"{sum(item.manifest.rows for item in mended):,} rows in force")


@contextmanager
def _server(paths: Paths) -> Generator[str]:
    """`ml serve` as a user would start it, on a free port, stopped at the end."""
    command = [sys.executable, "-m", f"{__name__.split('.')[0]}.cli", "serve", "--port", "0"]
    log = paths.root / "var" / "demo-server.log"
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(command, cwd=paths.root, stdout=subprocess.PIPE, stderr=stderr, text=True)
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "listening on " not in line:
                raise ProjectError(f"the server did not start; see {paths.relative(log)}", exit=Exit.UNAVAILABLE)
            yield line.partition("listening on ")[2].partition(",")[0].strip()
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def _example(paths: Paths, version: Any) -> dict[str, Any]:
    """The request that the version's own contract gives as an example."""
    from ..model.artefact import FOLDER, contract
    from ..model.request import RequestModel

    return RequestModel(contract(paths.serving / version.folder / FOLDER)).example()


def _wait_for(address: str, version: str) -> None:
    until = stopwatch() + PATIENCE
    while stopwatch() < until:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{address}/ready", timeout=5).json().get("model_version") == version:
                return
        sleep(0.2)
    raise ProjectError(f"the server did not take up {version}", hint="see var/demo-server.log", exit=Exit.UNAVAILABLE)


def _predict(address: str, request: dict[str, Any]) -> str:
    answer = httpx.post(f"{address}/predict", json=request, timeout=10)
    answer.raise_for_status()
    said = answer.json()
    return f"{said['predictions'][0]} by {said['model_version']}, request {said['request_id'][:8]}"
