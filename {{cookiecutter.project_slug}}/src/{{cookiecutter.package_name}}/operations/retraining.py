"""What `ml run` trains by itself: whether it is due, and how far a challenger gets without a person."""

from __future__ import annotations

from datetime import date, timedelta

from ..config import WEEKDAYS, ModelConfig, OperationsConfig, load_model
from ..errors import ProjectError
from ..model.id import VersionId
from ..paths import Paths
from ..serving.pointer import Pointer
from .attempt import Job, Run
from .codes import MONITORED
from .ledger import Said, Step

WINDOW, VIOLATIONS = 5, 2
"""On drift: in two of the last five days, today among them. One bad day is as often upstream's as the world's."""
REST = timedelta(days=7)
"""After a training it takes so long until drift calls for another: the new version needs days to be judged on."""
REASON = "ml run {day}: "
"""How the history's reason begins where a day's run promoted."""


def check(operations: OperationsConfig, paths: Paths) -> None:
    """Refuse a policy that names a config which cannot be read, before anything is touched."""
    if operations.retraining.when == "never":
        return
    config = load_model(paths.root / operations.retraining.config)
    if config.name != operations.model:
        raise ProjectError(
            f"retraining.config is {operations.retraining.config}, which makes {config.name}; "
            f"the model that serves and scores is {operations.model}",
            hint="name a config whose name: is the model of operations.yaml",
        )
    if config.gate is None:
        raise ProjectError(
            f"retraining.config is {operations.retraining.config}, which has no gate: section, so nothing it makes "
            "can be promoted",
            hint="gate: {metric: mae, tolerance: 0.1} in the config; docs/gate.md says how to choose them",
        )


def due(day: date, operations: OperationsConfig, run: Run) -> str | None:
    """Why ``day`` trains a challenger, None when it does not."""
    policy = operations.retraining
    if policy.when == "weekly":
        return f"every {policy.weekday}" if day.weekday() == WEEKDAYS.index(policy.weekday) else None
    if policy.when == "never":
        return None
    drifted, today = [], day
    for back in range(WINDOW):
        today = day - timedelta(days=back)
        attempt = run.attempt if back == 0 else run.before(today)
        codes = sorted({c.code for c in attempt.checks if c.code.startswith(MONITORED)}) if attempt else []
        drifted += [f"{today} ({', '.join(codes)})"] if codes else []
        if back == 0 and not codes:
            return None
    if len(drifted) < VIOLATIONS or any(_trained(run, day - timedelta(days=back)) for back in range(1, REST.days)):
        return None
    return f"drift on {', '.join(drifted)}"


def unmoved(day: date, champion: VersionId | None, paths: Paths, operations: OperationsConfig) -> VersionId | None:
    """The version that scores ``day``. What a day's own run promotes serves from the next day on.

    Otherwise the day, run again, would be scored by what it trained, and its predictions would be others.
    """
    moves = Pointer(paths, operations).moves(operations.model)
    if champion is None or not moves or not moves[-1]["why"].startswith(REASON.format(day=day)):
        return champion
    before = moves[-1]["previous"]
    return champion if before is None or moves[-1]["version"] != champion.number else VersionId(champion.model, before)


def _trained(run: Run, day: date) -> bool:
    attempt = run.before(day)
    step = attempt.step("retrain") if attempt else None
    return step is not None and "version" in step.facts


def retrain(step: Step, job: Job) -> None:
    """Train, gate and promote as the policy says. A challenger of this day that is registered already is taken up."""
    day, operations, paths = job.day, job.operations, job.paths
    why = due(day, operations, job.run)
    if why is None:
        step.outcome, step.said = "not due", f"retraining: {operations.retraining.when}"
        return
    from ..serving import worker
    from ..training.champion import history, promote
    from ..training.contest import of_version
    from ..training.registry import Registry
    from ..training.train import train

    path = paths.root / operations.retraining.config
    registry = Registry(paths, new=True)
    champion = registry.champion(operations.model)
    if champion and (until := registry.facts(champion)["window"]["as_of"]) > day.isoformat():
        step.outcome, step.said = "not due", f"{champion} knows the labels until {until}: one of {day} would be older"
        return
    version = _made_before(registry.versions(operations.model), load_model(path), day, job.run)
    if version is None:
        version, _, _ = train(path, paths, as_of=day)
    step.facts = {"why": why, "version": str(version)}
    moves = history(registry, operations.model)
    if champion == version or version in [move.version for move in moves[:-1]]:
        step.said = f"{version} was trained and promoted already"
        step.said += "" if champion == version else f"; since then {moves[-1].who} has moved on to {champion}"
        step.facts["promoted"] = True
        return
    said = of_version(registry, version, None, as_of=day, report=lambda _: None)
    step.facts |= {"gate": said.verdict, "promoted": False}
    step.said = f"{version} ({why}): gate {said.verdict}" + (f" against {said.champion}" if said.champion else "")
    if said.exit:
        failed = "; ".join(f"{check.title}: {check.said}" for check in said.checks if check.outcome == "failed")
        text = f"{step.said}{f': {failed}' if failed else ''}{f': {said.reason}' if said.reason else ''}"
        step.checks.append(Said(code="TRAIN002", tier="ticket", said=text))
        return
    if operations.retraining.promotion == "by_person":
        step.checks.append(Said(code="TRAIN003", tier="ticket", said=f"{step.said}; it waits for a person"))
        return

    def verify(which: VersionId) -> str:
        registry.fetch(which)
        return worker.verify(which, paths)

    promote(registry, version, verify, now=job.at, why=REASON.format(day=day) + why)
    step.facts["promoted"] = True
    step.said += "; promoted"


def _made_before(listed: list, config: ModelConfig, day: date, run: Run) -> VersionId | None:
    """A version that an earlier attempt of this day registered, from the same commit, lock and config."""
    wanted = (day.isoformat(), run.attempt.git_commit, run.attempt.lock_sha256, config.model_dump(mode="json"))
    for item in listed:
        facts = item.facts
        window = facts.get("window", {})
        seen = (window.get("as_of"), facts.get("git_commit"), facts.get("lock_sha256"), facts.get("config"))
        if seen == wanted:
            return item.id
    return None
