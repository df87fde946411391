"""Who meets whom at the gate, and on which rows: a version and the champion, or this checkout and another commit."""

from __future__ import annotations

import sys
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ..clock import days
from ..config import GateConfig, ModelConfig, load_model, load_operations, recorded
from ..contract import CONTRACT
from ..data.dataset import DAY, SPLIT, Dataset, Window, build
from ..data.ingest import ingest_days
from ..data.store import Store
from ..errors import Exit, ProjectError
from ..model import artefact
from ..model.id import VersionId
from ..paths import Paths
from . import gate, provenance
from .base import rebuilt
from .checks import Contender, Rows
from .evaluate import naive, truth_of
from .fit import Report
from .registry import GATE, Registry
from .train import train_into
from .verdict import GateReport, not_run


def of_version(
    registry: Registry,
    challenger: VersionId | Path,
    against: VersionId | Path | None,
    *,
    as_of: date | None,
    report: Report,
) -> GateReport:
    """A trained version against the champion, or ``against``; either is registered, or a folder of `ml train --output`.

    What is said of a registered version is kept beside it. Raises ProjectError for a version that has no gate, that is
    the champion itself, or that cannot be loaded.
    """
    ours = _contender(registry, challenger)
    config, rules = _rules(ours.facts, ours.name)
    today = registry.champion(config.name)
    champion = against or today
    if champion == challenger:
        raise ProjectError(
            f"{ours.name} is what it would meet: compared with itself it always passes",
            hint=f"ml gate {ours.name} --against VERSION, or gate the next one",
        )
    theirs = _contender(registry, champion) if champion else None
    _same_target(ours, theirs)
    try:
        report("freeze the evaluation rows")
        rows = _rows(config, registry.paths, [ours.facts] + ([theirs.facts] if theirs else []), as_of)
    except ProjectError as missing:
        if missing.exit is not Exit.UNAVAILABLE:
            raise
        said = not_run(ours.name, theirs.name if theirs else None, str(missing))
    else:
        report("score")
        said = gate.run(config, rules, ours, theirs, rows, lock=provenance.lock_sha256(registry.paths))
    if isinstance(challenger, VersionId) and champion == today:  # another meeting is no word on a promotion
        registry.remember(challenger, GATE, said.brief())
    return said


def of_checkout(
    config_path: Path, revision: str, paths: Paths, *, as_of: date | None, now: datetime, report: Report
) -> GateReport:
    """What this checkout trains against what commit ``revision`` trains, on the same rows; nothing is registered.

    The commit is rebuilt in a worktree with its own lock. FIRST when it has no such config; NOT RUN when the data are
    not there, or when it cannot be rebuilt.
    """
    config = load_model(config_path)
    rules = _required(config.gate, str(config_path))
    provenance.resolve(paths, revision)
    if not config_path.resolve().is_relative_to(paths.root):
        raise ProjectError(f"{config_path} is not in this project, so {revision} has no such file", hint="see configs/")
    with tempfile.TemporaryDirectory(prefix="ml-head-") as folder:
        try:
            _bring(config, paths, as_of, now, report)
            report("train this checkout")
            _, facts = train_into(Path(folder) / "head", config_path, paths, as_of=as_of, report=report)
            day = date.fromisoformat(facts["window"]["as_of"])
            with rebuilt(revision, config_path, paths, as_of=day, report=report) as base:
                ours = Contender("this checkout", Path(folder) / "head", facts, sys.executable)
                _same_target(ours, base)
                rows = _rows(config, paths, [facts] + ([base.facts] if base else []), day)
                report("score")
                return gate.run(config, rules, ours, base, rows, lock=facts["lock_sha256"])
        except ProjectError as missing:
            if missing.exit is not Exit.UNAVAILABLE:
                raise
            return not_run("this checkout", revision, str(missing))


def _same_target(ours: Contender, theirs: Contender | None) -> None:
    """Refuse (exit 1) two that predict different things: hours beside a probability give a number and no comparison."""
    if theirs is None:
        return
    said = []
    for contender in (ours, theirs):
        target = artefact.contract(contender.folder / artefact.FOLDER).target
        said.append((target.name, target.task, target.unit, target.meaning))
    if said[0] != said[1]:
        ours_said, theirs_said = (f"{name} ({task}, {unit or 'no unit'}, {what})" for name, task, unit, what in said)
        raise ProjectError(
            f"{ours.name} predicts {ours_said}, {theirs.name} predicts {theirs_said}: there is nothing to compare",
            hint="give another target another name: in the config, so that it is a model of its own",
            exit=Exit.SAID_NO,
        )


def _bring(config: ModelConfig, paths: Paths, as_of: date | None, now: datetime, report: Report) -> None:
    """Ingest what the window that ends ``as_of`` lacks. Raises the first refusal, or exit 4 for what is not there."""
    if as_of is None:
        return
    store = Store(paths)
    present = set.intersection(*(set(store.days(table)) for table in CONTRACT.tables))
    first = Window.needed(as_of, config.data, CONTRACT).train_first
    lacking = [day for day in days(first, as_of) if day not in present]
    _, failed = ingest_days(lacking, CONTRACT, load_operations(paths.operations), paths, now, report)
    if failed:
        raise min(failed, key=lambda error: error.exit)


def _required(rules: GateConfig | None, whose: str) -> GateConfig:
    if rules is None:
        raise ProjectError(
            f"{whose} has no gate section: its metrics decide nothing",
            hint="gate: {metric: mae, tolerance: 0.1} in the config, then train again",
        )
    return rules


def _rules(facts: dict[str, Any], name: str) -> tuple[ModelConfig, GateConfig]:
    config = recorded(facts["config"], name)
    return config, _required(config.gate, f"the config of {name}")


def _contender(registry: Registry, which: VersionId | Path) -> Contender:
    if isinstance(which, Path):
        return Contender(which.as_posix(), which, artefact.read(which), sys.executable)
    facts = registry.facts(which)
    return Contender(str(which), registry.fetch(which), facts, sys.executable)


def _rows(config: ModelConfig, paths: Paths, trained: list[dict[str, Any]], as_of: date | None) -> Rows:
    """The latest whole weeks of labelled rows, frozen; days that one of the two was trained on are left out."""
    # the training days are not needed here: one day is the shortest window there is
    frozen: Dataset = build(config.data.model_copy(update={"train_days": 1}), CONTRACT, paths, as_of=as_of)
    last = max(date.fromisoformat(facts["window"]["train"][1]) for facts in trained)
    frame = frozen.split("evaluation").filter(pl.col(DAY) > last).drop(SPLIT)
    if frame.height < config.data.minimum_evaluation_rows:
        raise ProjectError(
            f"{frame.height:,} labelled rows that neither model was trained on (after {last}); "
            f"data.minimum_evaluation_rows wants {config.data.minimum_evaluation_rows:,}",
            hint="ingest newer days, or gate against a version that was trained earlier",
            exit=Exit.UNAVAILABLE,
        )
    return Rows(
        frame=frame,
        sha256=frozen.digest,
        first=str(frame[DAY].min()),
        last=str(frame[DAY].max()),
        truth=truth_of(frame, CONTRACT.targets[config.target].value, config),
        naive=naive(frame, config, trained[0]["target_mean"]),
        groups={name: frame[name].to_numpy() for name in config.slices},
    )
