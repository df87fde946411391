"""The benchmark of the gate, in a minute: what the page promises holds, and a broken promise is said."""

import copy
from pathlib import Path
from typing import Any

import page
import pytest
from conftest import ROOT
from gate import run

METRICS = list(run.NAMES)


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return page.measure(Path(run.__file__).with_name("measure.py"), "--quick")


@pytest.mark.slow
def test_the_gate_is_right_where_a_fixed_tolerance_is_not(measured: dict[str, Any]):
    assert sorted(measured["results"]) == sorted(METRICS)
    assert min(measured["pool"].values()) > 100_000
    assert run.broken(measured) == []
    for metric, seen in measured["results"].items():
        assert all(0 <= share <= 1 for cell in seen["blocked"].values() for share in cell.values()), metric
        for times in (1, 2):
            lost = seen["truly"][f"{run.EVERY}, {times} x"] / seen["tolerance"]
            assert lost == pytest.approx(times, rel=0.02), f"{metric}: the true loss is known"
        assert max(seen["luck"].values()) < seen["tolerance"] / 3, f"{metric}: the tolerance is no luck"
        assert run.equal(seen, 200) >= run.equal(seen, 5_000)
        assert 0.3 < run.blocked(seen, f"{run.EVERY}, 1 x", 5_000, "fixed") < 0.7, f"{metric}: a coin"
        assert run.equal(seen, 200, "fixed, other rows") > 0.2, metric
        assert seen["slices"]["equal"]["gate"] <= 0.2 < seen["slices"]["5 x"]["gate"], metric
    limits = measured["limits"]
    assert limits["rare"]["1%"] > limits["rare"]["5%"] > measured["results"]["auc"]["needed"][run.EQUALS[1]]
    assert limits["repeated rows, mae"] > 0.1 and limits["ten tries, mae"] > 0.1


@pytest.mark.slow
def test_a_broken_promise_is_said(measured: dict[str, Any]):
    for case, blocks in [(run.EQUALS[0], 0.1), (f"{run.EVERY}, 1 x", 0.8), (f"{run.SOME}, 2 x", 0.9)]:
        worse = copy.deepcopy(measured)
        worse["results"]["mae"]["blocked"][f"{case}, 5000 rows"]["gate"] = blocks
        assert [line.split(":")[0] for line in run.broken(worse)] == [f"absolute error, {case}"]


@pytest.mark.slow
def test_the_section_has_a_table_for_every_metric(measured: dict[str, Any]):
    text = run.section(measured)
    for name in run.NAMES.values():
        assert text.count(f"\n| {name} ") == 4, name
    assert "scikit-learn" in text and "Again: `make bench-gate`." in text


def test_a_section_replaces_its_predecessor_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    page.put("one", "first\n")
    page.put("two", "second\n")
    page.put("one", "third\n")
    assert page.PAGE.read_text(encoding="utf-8") == (
        "# Benchmarks\n\n<!-- one -->\nthird\n<!-- /one -->\n\n<!-- two -->\nsecond\n<!-- /two -->\n"
    )


def test_the_page_has_the_sections_that_make_writes():
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name in ("one row", "gate"):
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1
