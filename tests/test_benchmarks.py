"""The benchmarks, made small: what the page promises holds, or it is said."""

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import page
import pytest
from conftest import ROOT
from daily import run as daily
from gate import run
from monitoring import run as monitoring
from serving import names
from serving import run as serving

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


@pytest.fixture(scope="module")
def day() -> dict[str, Any]:
    return page.measure(Path(daily.__file__).with_name("measure.py"), "--quick")


@pytest.mark.slow
@pytest.mark.xdist_group("two cores")
def test_a_check_costs_little_beside_the_others(day: dict[str, Any]):
    for seen in day["checks"].values():
        ratios = seen["ratios"]
        assert min(ratios["rows in hand"], ratios["streamed"]) > 1
        assert max(ratios["rows in hand"], ratios["streamed"]) < min(ratios["dataframely"], ratios["pandera"])


@pytest.mark.slow
@pytest.mark.xdist_group("two cores")
def test_a_bigger_day_costs_no_more_a_row(day: dict[str, Any]):
    sizes = [seen["rows"] for seen in day["days"]]
    assert sizes == sorted(sizes) and len(sizes) == 3
    assert all(seen["useful"] < seen["whole"] for seen in day["days"])
    assert day["days"][-1]["whole"] / day["days"][-2]["whole"] < sizes[-1] / sizes[-2]
    assert [line for line in daily.broken(day) if not line.startswith("check")] == []
    text = daily.section(day)
    assert text.count("\n| ") == 2 + 2 + 2 + 4 and "Again: `make bench-daily`." in " ".join(text.split())


@pytest.mark.slow
@pytest.mark.xdist_group("two cores")
def test_a_broken_promise_of_the_daily_run_is_said(day: dict[str, Any]):
    worse = copy.deepcopy(day)
    for seen in worse["checks"].values():
        seen["ratios"] |= {"rows in hand": 1.9, "streamed": 1.9}
    assert daily.broken(worse) == []
    worse["checks"]["every bit"]["ratios"]["streamed"] = 2.1
    worse["shuffled"]["megabytes"] = 1_501.0
    worse["exponents"]["last"] = 1.06
    said = [line.split(":")[0] for line in daily.broken(worse)]
    assert said == ["check streamed, every bit", "memory, shuffled", "growth, last"]


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    if not (shutil.which("wrk") or shutil.which("apt-get")) or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("no wrk here, or one core")
    return page.measure(Path(serving.__file__).with_name("measure.py"), "--quick")


@pytest.mark.slow
@pytest.mark.xdist_group("two cores")
def test_every_server_gives_our_predictions_and_ours_more_of_them(served: dict[str, Any]):
    assert served["missing"] == {}, "every peer runs beside today's packages"
    assert served["apart"] <= 1e-9
    single = served["single"]
    everybody = {value for name, value in vars(names).items() if name.isupper()}
    assert set(single) == everybody
    assert single[names.RAW]["rate"] > single[names.FASTAPI]["rate"] > single[names.OURS]["rate"] / 2
    for name in everybody - {names.RAW, names.FASTAPI, names.OURS, names.UNLOGGED}:
        assert single[name]["by rate"][1] > 2, f"ours is quicker than {name}"
        assert single[name]["cpu"] > single[names.OURS]["cpu"]
    said = " ".join(serving.broken(served))
    for kept in ("5xx", "refused", "memory"):
        assert kept not in said, said


@pytest.mark.slow
@pytest.mark.xdist_group("two cores")
def test_a_broken_promise_of_the_server_is_said(served: dict[str, Any]):
    best, columns = copy.deepcopy(served), f"{names.UNLOGGED}, columns"
    best["single"][names.MLFLOW]["by rate"][1] = 60
    best["single"][names.OWN]["by rate"][1] = 10
    best["single"][names.FASTAPI] |= {"by rate": [0.7, 0.7, 0.7], "by p99": [2, 2, 2]}
    best["single"][names.OURS]["rss"] = 300
    best["thousand"]["ratios"] |= {f"{names.UNLOGGED}, JSON rows": 4, columns: 8}
    best["crowd"] |= {"slowest": best["crowd"]["limit"], "statuses": {"200": 9, "503": 1, "429": 1}}
    best["crowd"] |= {"connect": 0, "read": 0, "write": 0, "timeout": 0}
    best["starts"][names.MLFLOW]["ratio"] = 0.5
    assert serving.broken(best) == []
    worse = copy.deepcopy(best)
    worse["single"][names.MLFLOW]["by rate"][1] = 59
    worse["single"][names.FASTAPI]["by p99"][1] = 2.1
    del worse["single"][names.OWN]
    for part in ("ratios", "rates"):
        del worse["thousand"][part][columns]
    worse["thousand"]["skipped"] = {columns: "answered 422"}
    worse["crowd"] |= {"slowest": worse["crowd"]["limit"] + 0.1, "statuses": {"500": 1, "504": 1, "503": 1}}
    assert serving.broken(worse) == [
        f"requests/s, by {names.MLFLOW}: 59 x of 60 x",
        f"requests/s, by {names.OWN}: not measured",
        f"p99, by {names.FASTAPI}: 2.10 x of 2.00 x",
        f"rows/s of 1,000-row requests, columns, log off, by {names.MLFLOW}: not measured",
        "256 connections, slowest answer by the time limit: 1.02 x of 1.00 x",
        "256 connections, 5xx other than 503: 2 of 0",
    ]
    text = serving.section(worse)
    assert (
        text.count("not measured") == 3
        and "answered 422" in text
        and "Again: `make bench-serving`." in " ".join(text.split())
    )


@pytest.fixture(scope="module")
def watched() -> dict[str, Any]:
    return page.measure(Path(monitoring.__file__).with_name("measure.py"), "--quick")


@pytest.mark.slow
@pytest.mark.xdist_group("two cores")
def test_the_monitor_calls_seldom_and_soon(watched: dict[str, Any]):
    assert [(one["world"], one["rows"]) for one in watched["cells"]] == [
        (world, 1_000) for world in monitoring.PAGES
    ]
    assert monitoring.broken(watched) == []
    ours, evidently, nannyml = monitoring.OURS, "Evidently, any column", "NannyML, daily chunks"
    for one in watched["cells"]:
        quiet = {rule: monitoring.mean(one, rule, "days") for rule in monitoring.rules(watched)}
        assert quiet[ours] < 8 < quiet[nannyml], one["world"]
        if one["world"] != "iid":
            assert quiet[evidently] > 180, "a week is drift to it"
        assert monitoring.seen(one, ours, "g to kg") == [1] * 8, one["world"]
    shown = monitoring.cell(watched, monitoring.SHOWN, monitoring.ROWS)
    blind = monitoring.seen(shown, "PSI > 0.2", "nulls 5%")
    assert min(blind) > monitoring.WITHIN, "it leaves nulls out"
    assert max(monitoring.seen(shown, ours, "nulls 5%")) <= 2


@pytest.mark.slow
@pytest.mark.xdist_group("two cores")
def test_a_broken_promise_of_the_monitor_is_said(watched: dict[str, Any]):
    worse = copy.deepcopy(watched)
    for one in worse["cells"]:
        for year in one["years"]:
            year["rules"][monitoring.OURS]["pages"] = 5
            year["rules"][monitoring.OURS]["seen"] |= {"0.25 sd": [4] * 4, "1 sd": [2] * 4}
    few = [line.split(":")[0] for line in monitoring.broken(worse)]
    late = [
        f"days until {name} is seen, {world}"
        for world in list(monitoring.PAGES)[:2]
        for name in ("0.25 sd", "1 sd")
    ]
    pages = {world: f"pages a year, {world}, 1,000 rows" for world in monitoring.PAGES}
    assert sorted(few) == sorted([*late, pages["iid"], pages["week and AR(1)"]]), "two years may be bad luck"
    worse["years"] = monitoring.YEARS
    worse["checked"] = {"nannyml": {"apart": 1e-3, "verdicts apart": 0.0}}
    all_of_it = [line.split(":")[0] for line in monitoring.broken(worse)]
    assert sorted(all_of_it) == sorted([*late, *pages.values(), "our form of nannyml"])
    text = monitoring.section(watched)
    assert text.count("\n| ") == 2 * 3 + 4 + len(monitoring.rules(watched)) + 4
    assert "Again: `make bench-monitoring`." in " ".join(text.split())


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
    for name in ("one row", "gate", "daily", "serving", "monitoring"):
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1
