"""The runbook and the codes are one set: each code is raised and has its heading, and what stands below it works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from channels import Hook, hook

from {{cookiecutter.package_name}} import operations
from {{cookiecutter.package_name}}.operations.codes import NEXT, TITLES, heading

from conftest import ROOT, Project

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\S+ .+?)\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
PARTS = ("Symptom", "First look", "Fix", "Escalation")
UNSURE = ("calibrate", "gate", "monitor", "promote", "ready", "rollback")
"""Verbs that may say no where nothing is broken: it is their verdict."""


def typed(text: str) -> list[list[str]]:
    """Every `ml` command in code, block or line, as its words."""
    code = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) + re.findall(r"`(uv run ml [^`]+)`", text)
    return [shlex.split(line)[3:] for line in "\n".join(code).splitlines() if line.startswith("uv run ml ")]


def test_codes_and_headings_are_the_same_set() -> None:
    assert list(SECTIONS) == [f"{code} {title}" for code, title in TITLES.items()]


def test_a_code_leads_to_the_anchor_that_its_heading_has() -> None:
    anchors = {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in SECTIONS}
    assert {heading(code) for code in TITLES} == {f"docs/runbook.md#{anchor}" for anchor in anchors}


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_says_what_is_seen_what_to_look_at_what_to_do_and_whom_to_ask(title: str) -> None:
    assert re.findall(r"^- \*\*(.+?)\.\*\*", SECTIONS[title], re.MULTILINE) == list(PARTS)
    assert len(typed(SECTIONS[title])) >= 1
    first = NEXT[title.split()[0]].split()[1]
    assert first in {words[0] for words in typed(SECTIONS[title])}, "ml status names another command first"


def test_every_code_is_raised_somewhere() -> None:
    package = Path(operations.__file__).parent.parent
    sources = [path for path in package.rglob("*.py") if path.name != "codes.py"]
    said = set(re.findall(r'"([A-Z]{3,}\d{3})"', "".join(path.read_text(encoding="utf-8") for path in sources)))
    assert set(TITLES) - said == set()


@pytest.fixture
def told(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """Pages of the project go there."""
    trained.edit("operations.yaml", "  page: [] ", "  page: [ML_ALERT_PAGE] ")
    with hook() as listening:
        monkeypatch.setenv("ML_ALERT_PAGE", listening.address)
        yield listening


@pytest.mark.slow
def test_every_command_works(trained: Project, told: Hook) -> None:
    """First the section on a project without a champion, from there on all others."""
    configs = trained.paths.root / "configs"
    small = (configs / "hours.yaml").read_text(encoding="utf-8")
    (configs / "v1.yaml").write_text(re.sub(r"seed: \d+", "seed: 77", small), encoding="utf-8")
    for words in typed(SECTIONS["SCORE001 no champion yet"]):
        ran = trained.ml(*words)
        assert ran.code == 0, f"{words}: {ran.err}"
    assert trained.overrule("1").code == 0  # so that there is a version to return to
    done = []
    for words in typed(RUNBOOK):
        if words not in done:
            done.append(words)
            if words[0] in ("gate", "promote"):
                trained.overrule("1")  # which a command before may have taken the place of
            ran = trained.ml(*words)
            dated = words[0] != "status" or "--date" in words
            allowed = (0,) if dated and words[0] not in UNSURE else (0, 1)
            assert ran.code in allowed, f"{words}: {ran.code} {ran.out} {ran.err}"
    assert len(done) >= 15
    assert len(told.posted) == 1, "the test alert; the days are long past"


@pytest.mark.slow
def test_a_record_that_cannot_be_read_is_mended_as_the_runbook_says(promoted: Project) -> None:
    run = typed(SECTIONS["RUN004 a record that cannot be read"])[-1]
    assert promoted.ml(*run).code == 0
    record = promoted.paths.root / "var" / "ledger" / "daily" / f"{run[-1]}.json"
    record.write_text('{"half":', encoding="utf-8")
    assert promoted.ml(*run).code == promoted.ml("status", "--date", run[-1]).code == 2
    assert record.read_text(encoding="utf-8") == '{"half":'
    record.rename(record.with_suffix(".torn"))
    before = promoted.tree("data")
    assert promoted.ml(*run).code == promoted.ml("status", "--date", run[-1]).code == 0
    assert promoted.tree("data") == before
