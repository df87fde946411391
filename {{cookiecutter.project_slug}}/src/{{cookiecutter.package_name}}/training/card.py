"""The model card: a page on one version, rendered from its record, and held against what a card must say."""

from __future__ import annotations

import ast
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..config import OperationsConfig, load_operations
from ..errors import ProjectError
from ..model import artefact
from ..model.id import VersionId
from ..paths import Paths
from . import sections
from .registry import GATE, Registry
from .sections import Sources

ANY = ".+"
DIGITS = r"\d"
HASH = "[0-9a-f]{64}"
RANGE = r"\d.* to .*\d"
PIECES: dict[str, tuple[Callable[[Sources], list[str]], dict[str, str]]] = {
    "What it predicts": (sections.purpose, {"target": r"\S", "meaning": r"\S", "answer": r"\S", "asked with": r"\S"}),
    "Owner": (sections.owner, {"team": r"\S", "e-mail": "@"}),
    "Version": (
        sections.version,
        {"version": r"\S", "commit": "[0-9a-f]{40}|none", "uv.lock": HASH, "Python": DIGITS, "seed": DIGITS},
    ),
    "Data": (
        sections.data,
        {"trained on": RANGE, "judged on": RANGE, "dataset": r"\S", "sha256": HASH, "contract": r"\S"},
    ),
    "Columns": (sections.columns, {ANY: r"\S"}),
    "Features": (sections.features, {ANY: r"\S"}),
    "Metrics": (sections.metrics, {"mae|log_loss": rf"{RANGE}.*\d", "skill": DIGITS}),
    "Slices": (sections.slices, {}),
    "Most important features": (sections.importance, {ANY: DIGITS}),
    "Gate": (sections.gate, {}),
    "Limits": (sections.limits, {}),
    "In the owner's words": (sections.notes, {}),
    "Reproduce and roll back": (sections.commands, {}),
}
"""Each section: who writes it, and the rows its table must have, with what their values look like."""
PLACEHOLDER = re.compile(r"\b(?:TODO|TBD|FIXME|XXX|[Ll]orem ipsum)\b|\{\{|\}\}")
OF_DATA = ("Slices", "Most important features", "Gate", "Limits")
"""Sections with words from the data, where XXX may be an airport."""


def of_version(registry: Registry, version: VersionId) -> Sources:
    """What the registry, the artefact and the run say of a version. Raises ProjectError."""
    facts = registry.facts(version)
    with tempfile.TemporaryDirectory(prefix="ml-card-") as scratch:
        folder = registry.fetch(version, Path(scratch))
        return _sources(
            str(version),
            facts,
            folder / artefact.FOLDER,
            registry.report(version, "slices.json")["slices"],
            registry.report(version, "permutation_importance.json"),
            registry.recall(version, GATE),
            registry.paths,
            registry.operations,
        )


def of_folder(folder: Path, paths: Paths) -> Sources:
    """The same of what ``ml train --output`` wrote, which no gate has seen. Raises ProjectError."""
    facts = artefact.read(folder)
    report = folder / artefact.REPORT
    try:
        slices, importance = (
            json.loads((report / name).read_text(encoding="utf-8"))
            for name in ("slices.json", "permutation_importance.json")
        )
    except (OSError, ValueError) as error:
        raise ProjectError(f"the report in {report} is not whole: {error}", hint="train again") from None
    place, operations = folder / artefact.FOLDER, load_operations(paths.operations)
    return _sources(None, facts, place, slices["slices"], importance, None, paths, operations)


def _sources(
    name: str | None,
    facts: dict[str, Any],
    place: Path,
    slices: list[dict[str, Any]],
    importance: dict[str, float],
    gate: dict[str, Any] | None,
    paths: Paths,
    operations: OperationsConfig,
) -> Sources:
    notes = paths.card_notes(facts["model"])
    return Sources(
        name=name,
        facts=facts,
        contract=artefact.contract(place),
        derived=_docstrings(place),
        slices=slices,
        importance=importance,
        gate=gate,
        owner=operations.owner,
        notes=notes.read_text(encoding="utf-8") if notes.is_file() else "",
        notes_file=paths.relative(notes),
    )


def _docstrings(place: Path) -> dict[str, str]:
    """What each feature function says of itself, read from the source that travels with the version."""
    said = {}
    for path in sorted((place / artefact.CODE).glob("*/features.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                said[node.name] = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return said


def render(sources: Sources) -> str:
    """The card as Markdown. The same record gives the same text: no clock, no machine of the reader's."""
    contract = sources.contract
    parts = [f"# Model card: {sources.facts['model']}, which predicts {contract.target.name}", ""]
    for heading, (write, _) in PIECES.items():
        parts += [f"## {heading}", "", *write(sources), ""]
    return "\n".join(parts)


def missing(text: str) -> list[str]:
    """What a card lacks, in words: sections and rows that are not there or empty, and placeholders left in it."""
    found = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    bodies = {heading.strip(): body for heading, body in zip(found[1::2], found[2::2], strict=True)}
    lacks = []
    for heading, (_, rows) in PIECES.items():
        lines = [line for line in bodies.get(heading, "").splitlines() if line.strip()]
        table = [_cells(line) for line in lines if line.startswith("|")]
        if not lines or 0 < len(table) < 3:
            lacks.append(f"{heading}: the section is {'empty' if heading in bodies else 'not there'}")
            continue
        lacks += [f"{heading}: {row[0]} says nothing" for row in table[2:] if not row[1]]
        for label, value in rows.items():
            said = [" | ".join(row[1:]) for row in table[2:] if re.fullmatch(label, row[0])]
            if not any(re.search(value, words) for words in said):
                what = "a table" if label == ANY else label.replace("|", " or ")
                lacks.append(f"{heading}: {what} is not there, or not whole")
        if heading not in OF_DATA:
            people = [line for line in lines if not line.startswith("|")] + [" ".join(row[:2]) for row in table]
            lacks += [f"{heading}: a placeholder is left: {left}" for left in PLACEHOLDER.findall("\n".join(people))]
    return lacks


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
