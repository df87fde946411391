"""Verbs that steer who answers: canary, scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import Exit, ProjectError
from .models import moved, named, open_registry
from .root import MODELS, Json, Model, Why, app

if TYPE_CHECKING:
    from ..operations.trial import Trial
    from ..training.traffic import Turn

EXITS = {"FAIL": Exit.SAID_NO, "NOT YET": Exit.UNAVAILABLE, "INCONCLUSIVE": Exit.UNAVAILABLE}
STYLES = {"PASS": "bold green", "FAIL": "bold red"}


@app.command(rich_help_panel=MODELS)
def canary(
    what: Annotated[
        str, typer.Argument(metavar="VERSION|status|promote|end", help="The version to try, or what to do.")
    ],
    share: Annotated[
        float | None,
        typer.Option("--share", metavar="PERCENT", help="Of the requests; operations.yaml says the default."),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="It predicts for every request, and nobody is told what.")
    ] = False,
    why: Why = "",
    force: Annotated[bool, typer.Option("--force", help="With promote: overrule the gate; takes a --reason.")] = False,
    model: Model = None,
    json: Json = False,
) -> None:
    """Try a version on real requests beside the champion: on some of them as a canary, or on all as a silent shadow.

    Equal request keys meet the same version; given again, the share changes. `status` compares the two (exit 0: PASS,
    1: FAIL, 4: too early to tell), `promote` makes it the champion as `ml promote` does, `end` ends it.
    Example: ml canary 4 --share 10
    Example: ml canary 4 --shadow
    Example: ml canary status
    """
    starts = what not in ("status", "promote", "end")
    unused = [flag for flag, given in (("--share", share is not None), ("--shadow", shadow)) if given and not starts]
    unused += ["--force"] if force and what != "promote" else []
    if unused or (shadow and share is not None):
        raise ProjectError(
            f"ml canary {what} takes no {unused[0]}" if unused else "a shadow answers nobody: it has no --share",
            hint="ml canary --help",
        )
    if share is not None and not 0 < share <= 100:
        raise ProjectError(f"--share {share:g}: expected a percentage above 0, up to 100", hint="ml canary end ends it")
    if what == "status":
        _status(model, json)
    elif what == "promote":
        _promote(model, why, force, json)
    elif what == "end":
        from ..clock import now
        from ..training.traffic import end

        registry, _ = open_registry()
        turn = end(registry, model or registry.operations.model, now=now(), why=why)
        _said(turn, f"{turn.version} is ended: every request goes to the champion", json)
    else:
        _begin(named(what, model), share, shadow, why, json)


def _begin(version: Any, share: float | None, shadow: bool, why: str, json: bool) -> None:
    from ..clock import now
    from ..training.traffic import begin

    registry, verify = open_registry()
    percent = None if shadow else share or registry.operations.serving.canary.share
    with console.working(f"replay the proof of {version}"):
        turn, proof = begin(registry, version, verify, share=percent, now=now(), why=why)
    does = "predicts for every request, and nobody is told" if shadow else f"answers {percent:g}% of the requests"
    _said(turn, f"{version} {does}{'' if turn else ' already'}", json, version=str(version), proof=proof)
    if not json:
        console.facts([("proof", proof)])
        console.following("ml canary status", "ml canary end")


def _promote(model: str | None, why: str, force: bool, json: bool) -> None:
    from ..clock import now
    from ..training.champion import promote
    from ..training.traffic import trying

    registry, verify = open_registry()
    version = trying(registry, model or registry.operations.model)
    with console.working(f"replay the proof of {version}"):
        move, proof = promote(registry, version, verify, now=now(), why=why, force=force)
    moved(move, proof, str(version), json)


def _said(turn: Turn | None, words: str, json: bool, **more: Any) -> None:
    if json:
        version = {"version": str(turn.version)} if turn and turn.version else {}
        console.machine({"changed": turn is not None, "said": words} | version | more)
    else:
        console.say(words, "bold")


def _status(model: str | None, json: bool) -> None:
    from ..clock import now
    from ..config import load_operations
    from ..data.store import Store
    from ..operations.trial import look
    from ..paths import find
    from ..serving.pointer import Pointer

    paths = find()
    operations = load_operations(paths.operations)
    seen = look(Store(paths), Pointer(paths, operations), operations, model or operations.model, now())
    if json:
        console.machine(seen.as_facts())
    else:
        _show(seen)
        console.following(*seen.next)
    raise typer.Exit(int(EXITS.get(seen.verdict, Exit.OK)))


def _show(seen: Trial) -> None:
    if seen.version is None:
        console.say(seen.said)
    else:
        share = f" with {seen.share:g}%" if seen.share is not None else ""
        console.say(
            f"{seen.verdict}  {seen.role} {seen.version}{share} against {seen.champion}",
            STYLES.get(seen.verdict, "bold yellow"),
        )
        console.say(f"  {seen.said}")
    if seen.stopped is not None:
        console.say(f"  scoring is stopped: {seen.stopped}", "bold red")
    if seen.version is None:
        return
    rows = [("began", f"{seen.began:%Y-%m-%d %H:%M} UTC by {seen.who}" + (f": {seen.why}" if seen.why else ""))]
    if seen.since != seen.began:
        rows.append(("compared", f"since {seen.since:%Y-%m-%d %H:%M} UTC, when {seen.champion} became the champion"))
    rows += [("predictions", seen.shift)] if seen.shift else []
    rows += [("labels", seen.labels)] if seen.labels else []
    if seen.difference:
        low, high = seen.difference.interval
        rows.append(
            (
                "gate rule",
                f"{seen.metric} gain {seen.difference.mean:+.4g} (90% interval {low:+.4g} to {high:+.4g}), "
                f"tolerance {seen.tolerance:g}",
            )
        )
    console.facts(rows)
    console.say()
    grid = [
        [side.role, side.version, f"{side.requests:,}", f"{side.rows:,}", f"{side.degraded:,}"]
        + ["too few" if value is None else f"{value:.3g} ms" for value in side.latency.values()]
        for side in seen.sides
    ]
    if seen.ratio:
        times = ["too few" if value is None else f"{value:.2f} times" for value in seen.ratio.values()]
        grid.append(["", "", "", "", "", *times])
    heads = ["", "version", "requests", "rows", "degraded", *seen.sides[0].latency]
    console.table(heads, grid, right=heads[2:])
    if seen.slower:
        console.say()
        console.say("slower than gate.latency_ratio allows", "bold red")


@app.command(rich_help_panel=MODELS)
def scoring(
    what: Annotated[str, typer.Argument(metavar="[stop|start]", help="Nothing: say which of the two it is.")] = "",
    model: Model = None,
    why: Why = "",
    json: Json = False,
) -> None:
    """The switch: let every server of the model refuse to answer, or answer again, without a deployment.

    They look every `serving.follow_seconds`. Callers get 503 with the reason, so that takes one. Batch predictions
    (`ml run`, `ml score`) are made all the same.
    Example: ml scoring stop --reason "prices are wrong"
    Example: ml scoring start
    """
    if what not in ("", "stop", "start"):
        raise ProjectError(f"ml scoring {what}: expected stop, start or nothing", hint='ml scoring stop --reason "…"')
    if not what:
        from ..config import load_operations
        from ..paths import find
        from ..serving.pointer import Pointer

        paths = find()
        operations = load_operations(paths.operations)
        name = model or operations.model
        stopped = Pointer(paths, operations).trial(name).stopped
        words = f"{name} answers"
        if stopped:
            words = f"{name} is stopped since {stopped['at']} by {stopped['who']}: {stopped['why']}"
        if json:
            console.machine({"on": stopped is None, "said": words})
        else:
            console.say(words, "bold red" if stopped else "")
        return
    from ..clock import now
    from ..training.traffic import switch

    registry, _ = open_registry()
    name = model or registry.operations.model
    turn = switch(registry, name, on=what == "start", now=now(), why=why)
    words = f"{name} answers" if what == "start" else f"{name} is stopped"
    _said(turn, words if turn else f"{words} already", json)
    if not json and what == "stop":
        console.following("ml scoring start")
