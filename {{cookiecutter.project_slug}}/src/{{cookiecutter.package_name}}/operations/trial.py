"""A canary or a shadow beside the champion: what both answered so far, and what the gate's rule says of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

import polars as pl

from ..config import OperationsConfig, recorded
from ..data.store import Store
from ..errors import ProjectError
from ..model.id import VersionId
from ..serving.pointer import Pointer
from ..training import comparison
from ..training.comparison import Difference
from .answered import answered, labelled, pairs
from .compared import BEYOND, QUANTILES, Side, difference_of, labels, ratio_of, shift, side

Word = Literal["NOTHING", "NOT YET", "NO RULE", "PASS", "FAIL", "INCONCLUSIVE"]


@dataclass(frozen=True)
class Trial:
    """What is being tried beside the champion, and how it does. ``verdict`` is NOTHING without a trial."""

    verdict: Word
    said: str
    model: str
    champion: str | None = None
    version: str | None = None
    role: str | None = None
    share: float | None = None
    began: datetime | None = None
    who: str = ""
    why: str = ""
    since: datetime | None = None
    """From when on rows are compared: the trial's beginning, or the champion's if that moved later."""
    stopped: str | None = None
    sides: tuple[Side, ...] = ()
    ratio: dict[str, float | None] = field(default_factory=dict)
    """A canary's latencies by the champion's; none for a shadow."""
    slower: bool = False
    """Whether a canary's median request takes longer than ``gate.latency_ratio`` allows."""
    shift: str = ""
    labels: str = ""
    metric: str | None = None
    tolerance: float | None = None
    difference: Difference | None = None
    requests_needed: int | None = None

    @property
    def next(self) -> list[str]:
        """Commands to type next."""
        number = (self.version or "").rpartition("/")[2]
        if self.verdict == "NOTHING":
            return ["ml versions"]
        if self.verdict == "PASS":
            return ["ml canary promote"]
        if self.verdict == "FAIL":
            return ['ml canary end --reason "…"']
        if self.verdict == "INCONCLUSIVE" and self.role == "canary":
            return ["ml canary status", f"ml canary {number} --shadow"]
        return ["ml canary status"]

    def as_facts(self) -> dict[str, Any]:
        facts = {name: value for name, value in asdict(self).items() if name != "difference"}
        facts |= {name: facts[name] and facts[name].isoformat() for name in ("began", "since")}
        if self.difference:
            low, high = self.difference.interval
            facts["difference"] = {"mean": self.difference.mean, "low": low, "high": high}
        return facts | {"next": self.next}


def look(store: Store, pointer: Pointer, operations: OperationsConfig, model: str, now: datetime) -> Trial:
    """Compare what the log holds. Raises ProjectError (exit 4) when registry or storage do not answer."""
    state, champion = pointer.trial(model), pointer.champion(model)
    stopped = state.stopped["why"] if state.stopped else None
    if not state.trial or champion is None or champion.number == state.trial[-1]["version"]:
        who = str(champion) if champion else "nobody: no version was promoted yet"
        return Trial("NOTHING", f"no canary and no shadow: every request goes to {who}", model, stopped=stopped)
    last = state.trial[-1]
    version, role = VersionId(model, last["version"]), str(last["verb"])
    began = datetime.fromisoformat(state.trial[0]["at"])
    moved = [datetime.fromisoformat(move["at"]) for move in pointer.moves(model)[-1:]]
    since = max([began, *moved])
    facts = pointer.facts(version)
    if facts is None:
        raise ProjectError(f"the registry does not know {version}", hint="ml versions")
    config = recorded(facts["config"], str(version))
    frame = answered(champion, version, role, since, now, store)
    steps = [datetime.fromisoformat(turn["at"]) for turn in state.trial]
    sides = tuple(side(frame, *which) for which in (("champion", champion), (role, version)))
    # a shadow waits until nobody else wants to be computed: its times are no answer's
    ratio = {name: ratio_of(sides, name) for name in QUANTILES} if role == "canary" else {}
    middle = ratio.get("p50")
    told: dict[str, Any] = {
        "model": model,
        "champion": str(champion),
        "version": str(version),
        "role": role,
        "share": last["share"],
        "began": began,
        "who": last["who"],
        "why": last["why"],
        "since": since,
        "stopped": stopped,
        "sides": sides,
        "ratio": ratio,
        "slower": bool(config.gate and middle and middle > config.gate.latency_ratio),
    }
    if not operations.serving.log.enabled:
        return Trial("NOT YET", "the prediction log is off (serving.log.enabled): there is nothing to compare", **told)
    if not sides[1].requests and sides[0].requests * (last["share"] or 100) >= 100 * BEYOND:
        words = (
            f"{version} answered none of {sides[0].requests:,} requests: is it refused? /version of a server says why"
        )
        return Trial("NOT YET", words, **told)
    sound = frame.filter(pl.col("degraded").is_null(), pl.col("prediction").is_finite())
    sound = pairs(sound) if role == "shadow" else sound
    told["shift"] = shift(sound, role, steps[-1], config)
    known = labelled(sound, config.target, store)
    told["labels"] = labels(known)
    if config.gate is None:
        return Trial("NO RULE", f"the config of {version} has no gate section: its figures decide nothing", **told)
    told |= {"metric": config.gate.metric, "tolerance": config.gate.tolerance}
    difference, lack = difference_of(known.frame, role, config.gate.metric, config.threshold, steps)
    if difference is None:
        return Trial("NOT YET", f"{lack}{'; ' + known.why if known.why else ''}", **told)
    verdict = comparison.judge(difference, config.gate.tolerance)
    told["difference"] = difference
    loss = f"a loss of {config.gate.tolerance:g} in {config.gate.metric}"
    if verdict is comparison.Verdict.PASS:
        return Trial("PASS", f"{loss} is ruled out", **told)
    if verdict is comparison.Verdict.FAIL:
        return Trial("FAIL", f"it is worse, and {loss} is not ruled out", **told)
    needed = comparison.rows_needed(difference, config.gate.tolerance)
    words = f"{difference.rows:,} labelled requests cannot rule out {loss}; about {needed:,} could"
    return Trial("INCONCLUSIVE", words, requests_needed=needed, **told)
