"""The model card says what is recorded, of a version and of a folder, and a card that lacks a piece is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.training.card import PIECES, missing
from {{cookiecutter.package_name}}.training.registry import GATE, Registry

from conftest import Project


@pytest.fixture(scope="module")
def text(_trained: Project) -> str:
    ran = _trained.ml("card", "hours/1")
    assert ran.code == 0, ran.err
    return ran.out


def test_a_card_says_what_is_recorded(shared_trained: Project, text: str) -> None:
    facts = shared_trained.ml("versions", "--json").json["versions"][0]
    for said in (
        facts["dataset_sha256"],
        facts["lock_sha256"],
        " to ".join(facts["window"]["train"]),
        f"{facts['rows']['evaluation']:,} rows",
        f"{facts['metrics']['mae']:.4g}",
        f"{facts['metrics']['baseline_mae']:.4g}",
        " to ".join(f"{bound:.4g}" for bound in facts["intervals"]["mae"]),
        "service=express",
        "Square root of the distance",
        "number, 1 to 70000 g",
        "Not gated yet",
        load_operations(shared_trained.paths.operations).owner.email,
    ):
        assert said in text, said
    assert missing(text) == []


def test_the_most_important_feature_is_named_first(text: str) -> None:
    body = text.split("## Most important features")[1].split("## ")[0]
    losses = [float(value) for value in re.findall(r"\| (-?\d[\d.e-]*) \|$", body, re.MULTILINE)]
    assert len(losses) > 5 and losses == sorted(losses, reverse=True)


def test_a_classifier_has_a_card_too(shared_trained: Project) -> None:
    ran = shared_trained.ml("card", "late/1", "--json")
    assert ran.code == 0, ran.err
    assert "from 0.5 the answer is yes" in ran.json["text"] and "| log_loss |" in ran.json["text"]


def test_a_folder_has_a_card_before_it_is_registered(trained: Project) -> None:
    trained.ml("train", "--config", "configs/hours.yaml", "--output", "build/model")
    ran = trained.ml("card", "build/model", "--output", "docs/model_card.md")
    assert ran.code == 0, ran.err
    written = (trained.paths.root / "docs" / "model_card.md").read_text(encoding="utf-8")
    assert "| version | not registered yet |" in written
    report = trained.paths.root / "build" / "model" / "report" / "model_card.md"
    assert report.read_text(encoding="utf-8") == written, "training wrote the same"


def test_the_run_keeps_the_card(shared_trained: Project) -> None:
    registry = Registry(shared_trained.paths)
    run = registry.client.get_model_version(registry.operations.registered("hours"), "1").run_id
    assert run and "model_card.md" in [item.path for item in registry.client.list_artifacts(run)]


def test_the_verdict_of_the_gate_is_in_it(trained: Project) -> None:
    said = {
        "verdict": "PASS",
        "champion": "hours/7",
        "metric": "mae",
        "tolerance": 0.25,
        "rows": 14_000,
        "window": ["2026-05-22", "2026-05-28"],
        "checks": [{"code": "GATE001", "title": "metric", "outcome": "ok", "said": "better | by 0.1"}],
    }
    Registry(trained.paths).remember(VersionId("hours", 1), GATE, said)
    text = trained.ml("card", "1").out
    assert "**PASS** against hours/7, on 14,000 rows of 2026-05-22 to 2026-05-28" in text
    assert r"| GATE001 metric | ok | better \| by 0.1 |" in text and "Not gated yet" not in text


def test_what_people_add_survives_and_breaks_nothing(trained: Project) -> None:
    notes = trained.paths.card_notes("hours")
    notes.parent.mkdir()
    notes.write_text("# Who it is for\nDispatchers. Not for refunds.\n\n## Metrics\nA heading of their own.\n", "utf-8")
    text = trained.ml("card", "1").out
    assert "### Who it is for\nDispatchers. Not for refunds." in text
    assert text.count("\n## Metrics\n") == 1 and missing(text) == []
    assert "Dispatchers" not in trained.ml("card", "late/1").out


def test_a_card_that_would_not_be_complete_is_refused(trained: Project) -> None:
    trained.edit("operations.yaml", load_operations(trained.paths.operations).owner.team, "")
    notes = trained.paths.card_notes("hours")
    notes.parent.mkdir()
    notes.write_text("Limits: TODO\n", "utf-8")
    ran = trained.ml("card", "1", "--output", "docs/model_card.md")
    assert ran.code == 1 and "Owner: team says nothing" in ran.err
    assert "In the owner's words: a placeholder is left: TODO" in ran.err
    assert not (trained.paths.root / "docs" / "model_card.md").exists()


@pytest.mark.parametrize("heading", PIECES)
def test_a_section_that_is_gone_or_empty_is_named(text: str, heading: str) -> None:
    section = re.compile(rf"^## {heading}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    assert missing(section.sub("", text)) == [f"{heading}: the section is not there"]
    assert missing(section.sub(f"## {heading}\n\n", text)) == [f"{heading}: the section is empty"]


@pytest.mark.parametrize("heading", [heading for heading, (_, rows) in PIECES.items() if rows])
def test_a_table_without_rows_is_named(text: str, heading: str) -> None:
    before, rest = text.split(f"## {heading}\n")
    body, mark, after = rest.partition("\n## ")
    rows = [line for line in body.splitlines() if line.startswith("|")][2:]
    emptied = "\n".join(line for line in body.splitlines() if line not in rows)
    assert missing(f"{before}## {heading}\n{emptied}{mark}{after}") == [f"{heading}: the section is empty"]


ROWS = [(heading, label) for heading, (_, rows) in PIECES.items() for label in rows if label != ".+"]


@pytest.mark.parametrize(("heading", "label"), ROWS)
def test_a_row_that_is_gone_or_says_nothing_is_named(text: str, heading: str, label: str) -> None:
    before, rest = text.split(f"## {heading}\n")
    row = re.compile(rf"^\| ({label}) \|.*$\n", re.MULTILINE)
    assert row.search(rest)
    named = f"{heading}: {label.replace('|', ' or ')} is not there, or not whole"
    for instead in ("", r"| \1 |  |" + "\n"):
        changed = row.sub(instead, rest, count=1)
        assert named in missing(f"{before}## {heading}\n{changed}")


def test_an_interval_that_is_gone_is_named(text: str) -> None:
    without = re.sub(r"^(\| mae \| [^|]* \|) [^|]* \|", r"\1  |", text, flags=re.MULTILINE)
    assert missing(without) == ["Metrics: mae or log_loss is not there, or not whole"]


def test_a_column_without_meaning_and_a_feature_without_docstring_are_named(text: str) -> None:
    bare = text.replace("| weight on the depot's scale |", "|  |")
    bare = bare.replace("| Hours since midnight UTC, with fraction. |", "|  |")
    assert missing(bare) == ["Columns: weight_g says nothing", "Features: hour_of_day says nothing"]


def test_a_level_that_looks_like_a_placeholder_is_none(text: str) -> None:
    assert missing(text.replace("service=express", "service=TODO")) == []


def test_a_report_that_is_gone_is_exit_4(trained: Project) -> None:
    for path in trained.paths.registry.rglob("slices.json"):
        path.unlink()
    ran = trained.ml("card", "1")
    assert ran.code == 4 and "slices.json of the run of version hours/1" in ran.err and "Traceback" not in ran.err
    trained.ml("train", "--config", "configs/hours.yaml", "--output", "build/model")
    (trained.paths.root / "build" / "model" / "report" / "slices.json").unlink()
    ran = trained.ml("card", "build/model")
    assert ran.code == 2 and "is not whole" in ran.err


def test_what_is_neither_version_nor_folder_is_refused(shared_trained: Project, tmp_path: Path) -> None:
    ran = shared_trained.ml("card", str(tmp_path))
    assert ran.code == 2 and "is not a version ID" in ran.err
    assert shared_trained.ml("card", "9").code == 2
