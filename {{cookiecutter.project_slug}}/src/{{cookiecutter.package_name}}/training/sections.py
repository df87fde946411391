"""The sections of a model card, each written from the record of one version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..config import Owner
from ..spec import PRIMARY, ModelContract, expected
from .comparison import ENOUGH
from .verdict import cell, table

SHOWN = 20
"""Levels of one slice column, and features by importance; the run keeps all."""


@dataclass(frozen=True)
class Sources:
    """What a card is made from. ``name`` is None before registration; ``derived`` explains each feature function."""

    name: str | None
    facts: dict[str, Any]
    contract: ModelContract
    derived: dict[str, str]
    slices: list[dict[str, Any]]
    importance: dict[str, float]
    gate: dict[str, Any] | None
    owner: Owner
    notes: str
    notes_file: str

    @property
    def primary(self) -> str:
        return PRIMARY[self.contract.target.task]


def _number(value: float) -> str:
    return f"{value:.4g}" if value == value else "not defined"


def purpose(card: Sources) -> list[str]:
    target = card.contract.target
    answer = f"a number{f' in {target.unit}' if target.unit else ''}"
    if target.task == "classification":
        answer = f"the probability of yes; from {target.threshold:g} the answer is yes"
    rows = [
        ("target", target.name),
        ("meaning", target.meaning),
        ("answer", answer),
        ("asked with", f"a row of {card.contract.table} as in Columns, over `POST /predict`"),
    ]
    return table(["", ""], rows)


def owner(card: Sources) -> list[str]:
    return table(["", ""], [("team", card.owner.team), ("e-mail", card.owner.email)])


def version(card: Sources) -> list[str]:
    facts = card.facts
    rows = [
        ("version", card.name or "not registered yet"),
        ("commit", facts["git_commit"] + (", with changes that were not committed" if facts["git_dirty"] else "")),
        ("config", facts["config_file"]),
        ("seed", facts["seed"]),
        ("uv.lock", f"sha256 {facts['lock_sha256']}"),
        ("Python", facts["python"]),
        ("trained on", f"{facts['cpu']}, {facts['platform']}"),
    ]
    return table(["", ""], rows)


def data(card: Sources) -> list[str]:
    facts, window = card.facts, card.facts["window"]
    rows = [
        ("trained on", f"{' to '.join(window['train'])}, {facts['rows']['train']:,} rows"),
        ("judged on", f"{' to '.join(window['evaluation'])}, {facts['rows']['evaluation']:,} rows"),
        ("labels known on", window["as_of"]),
        ("dataset", f"{facts['dataset']}, {facts['dataset_bytes']:,} bytes"),
        ("sha256", facts["dataset_sha256"]),
        ("contract", f"version {card.contract.version} of table {card.contract.table}"),
    ]
    return table(["", ""], rows)


def columns(card: Sources) -> list[str]:
    return table(
        ["column", "meaning", "accepted"],
        [(column.name, column.meaning, expected(column)) for column in card.contract.features],
    )


def features(card: Sources) -> list[str]:
    config = card.facts["config"]
    chosen, estimator = config["features"], config["estimator"]
    rows = [(name, "the column as it is") for name in chosen["columns"]]
    rows += [(name, card.derived.get(name, "").replace("\n", " ")) for name in chosen["derived"]]
    params = ", ".join(f"{key} {value}" for key, value in estimator["params"].items()) or "scikit-learn's defaults"
    made = [f"categories {chosen['encode']}-encoded"]
    made += [
        words
        for key, words in (("impute", "nulls replaced by medians"), ("scale", "numbers standardised"))
        if chosen[key]
    ]
    return [*table(["feature", "what"], rows), "", f"{', '.join(made)}; {estimator['kind']} ({params})."]


def metrics(card: Sources) -> list[str]:
    measured, intervals = card.facts["metrics"], card.facts["intervals"]
    baseline = card.facts["config"]["baseline"]
    rows = []
    for name in sorted(measured, key=lambda name: (name != card.primary, name)):
        if name.startswith("baseline_"):
            continue
        low_high = " to ".join(_number(bound) for bound in intervals[name]) if name in intervals else ""
        naive = measured.get(f"baseline_{name}")
        rows.append((name, _number(measured[name]), low_high, "" if naive is None else _number(naive)))
    whose = "the mean of the training target" if baseline == "mean" else f"the column {baseline}"
    unit = card.contract.target.unit
    return [
        f"On the days it was judged on, none of which it was trained on{f', errors in {unit}' if unit else ''}. The "
        f"naive baseline answers {whose}; skill is the share of the baseline's {card.primary} that is gone.",
        "",
        *table(["metric", "value", "90% interval", "naive baseline"], rows),
    ]


def slices(card: Sources) -> list[str]:
    names = card.facts["config"]["slices"]
    if not names:
        return ["None: the config names no column to cut by."]
    rows, left = [], 0
    for name in names:
        levels = [item for item in card.slices if item["column"] == name]
        left += max(0, len(levels) - SHOWN)
        rows += [
            (f"{name}={item['level']}", f"{item['rows']:,}", _number(item[card.primary]), _number(item["bias"]))
            for item in levels[:SHOWN]
        ]
    more = ["", f"{left} smaller ones are in slices.json of the run."] if left else []
    return [*table(["slice", "rows", card.primary, "bias"], rows), *more]


def importance(card: Sources) -> list[str]:
    ordered = sorted(card.importance.items(), key=lambda item: -item[1])
    rows = [(name, _number(value)) for name, value in ordered[:SHOWN]]
    return [
        f"How much worse {card.primary} gets when one feature is shuffled. Features that say the same share theirs.",
        "",
        *table(["feature", "loss"], rows),
    ]


def gate(card: Sources) -> list[str]:
    said = card.gate
    if said is None:
        return ["Not gated yet: nothing has compared it with the champion."]
    against = f" against {said['champion']}" if said["champion"] else ""
    if not said["checks"]:
        return [f"**{said['verdict']}**{against}: nothing was compared."]
    return [
        f"**{said['verdict']}**{against}, on {said['rows']:,} rows of {' to '.join(said['window'])}; {said['metric']} "
        f"with a tolerance of {said['tolerance']:g}.",
        "",
        *table(
            ["check", "outcome", "seen"],
            [(f"{check['code']} {check['title']}", check["outcome"], check["said"]) for check in said["checks"]],
        ),
    ]


def limits(card: Sources) -> list[str]:
    """What the record says it cannot be trusted with."""
    window, config = card.facts["window"], card.facts["config"]
    first, last = (date.fromisoformat(day) for day in window["train"])
    days = (last - first).days + 1
    lines = [
        f"It has learned from {days} days, {first} to {last}"
        + (": less than a year, so that it has not seen every season." if days < 365 else ".")
        + f" Nothing after {window['evaluation'][1]} has been looked at.",
        "A value outside the range in Columns is refused, never extrapolated.",
    ]
    for column in card.contract.features:
        if column.allowed is not None:
            lines.append(f"{column.name} is closed: another value than {', '.join(column.allowed)} is refused.")
        elif column.kind == "category":
            known = f" than {', '.join(column.known)}" if column.known else ""
            lines.append(f"{column.name} is open: another value{known} is answered as one never seen.")
    few = [f"{item['column']}={item['level']} ({item['rows']})" for item in card.slices if item["rows"] < ENOUGH]
    if few:
        lines.append(f"Slices with fewer than {ENOUGH} rows, whose figures are noise: {', '.join(few)}.")
    solid = [item for item in card.slices if item["rows"] >= ENOUGH]
    if solid:
        worst = max(solid, key=lambda item: item[card.primary])
        lines.append(
            f"It is worst where {worst['column']} is {worst['level']}: {card.primary} {_number(worst[card.primary])}, "
            f"{_number(card.facts['metrics'][card.primary])} overall."
        )
    cuttable = [column.name for column in card.contract.features if column.kind in ("category", "flag")]
    if uncut := [name for name in cuttable if name not in config["slices"]]:
        lines.append(f"Not evaluated apart: levels of {', '.join(uncut)}.")
    lines.append("The intervals take each row as independent; where whole days go wrong together they are too narrow.")
    lines.append("It says what goes together in these data, and not what would happen if somebody changed a column.")
    return [f"- {cell(line)}" for line in lines]


def notes(card: Sources) -> list[str]:
    """What no record knows: whom it is meant for, what it must not be used for."""
    written = re.sub(r"^#{1,2} ", "### ", card.notes.strip(), flags=re.MULTILINE)
    return [written] if written else [f"Nobody wrote any: they would stand in `{card.notes_file}`."]


def commands(card: Sources) -> list[str]:
    if card.facts["git_commit"] == "none" or card.facts["git_dirty"]:
        again = "- It cannot be made again: what it was trained with was not committed."
    elif card.name:
        again = f"- `uv run ml reproduce {card.name}` makes it again from commit, lock, dataset and seed, and compares."
    else:
        again = "- Once it is registered, `uv run ml reproduce` makes it again from commit, lock, dataset and seed."
    model = card.facts["model"]
    return [again, f"- `uv run ml rollback --model {model}` returns to the version that served before."]
