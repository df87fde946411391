"""A day's monitor as a page: what it says, that nothing breaks out of it, and how a real browser shows it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import browser
import pytest
import reports
from hypothesis import given
from hypothesis import strategies as st
from test_page import HOSTILE, Seen, in_a_browser

from {{cookiecutter.package_name}}.monitoring.report import (
    Finding,
    Report,
    Series,
    Shape,
)
from {{cookiecutter.package_name}}.operations.monitor_page import MOST, measured, page

ASKED = datetime(2026, 6, 3, 6, 4, tzinfo=UTC)


def shown(report: Report, project: str = "Parcel ETA") -> str:
    return page(report, project, ASKED)


def tiles(text: str) -> list[str]:
    return re.findall(r'class="(tile(?: [a-z]+)?)"', text)


def drawings(text: str) -> list[ElementTree.Element]:
    """Every picture, as well-formed XML."""
    found = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    return [ElementTree.fromstring(drawn) for drawn in found]  # noqa: S314 - we wrote it


def finding(**more: Any) -> Finding:
    plain = {"monitor": "t.x.mean", "code": "DRIFT001", "outcome": "ok", "table": "t", "column": "x", "measure": "mean"}
    return Finding.model_validate(plain | {"said": "as ever"} | more)


def test_what_moved_stands_above_everything_else() -> None:
    report = reports.report()
    text = shown(report)
    assert "2 pages, 4 tickets" in text and 'class="bad"' in text
    assert "Armed" in text and "2026-05-21" in text and "hours/3" in text
    order = [text.index(f"<h3>{column}") for column in ("weight_g", "customer_age_days", "depot", "prediction")]
    assert order == sorted(order), "the most urgent first"
    assert "median 1.9 g on 2026-06-02, expected 1,640 to 2,110 g on a Tuesday" in text
    assert "since Sunday 2026-05-31" in text
    assert len(tiles(text)) == len(report.findings)
    assert tiles(text).count("tile bad") == 2 and tiles(text).count("tile soon") == 4
    assert "below 0.5: 99.8% on the day, 8.0% in the reference" in text
    assert "Tue 2026-06-02: 100.0%, expected 3.8 to 8.2%" in text, "each day has its words where the pointer rests"
    assert "not applicable: no value on this day" in text
    assert text.count("<tr>") == len(report.findings) + 1
    assert drawings(text)
    assert not re.search("nan|: none", re.sub("<style>.*</style>", "", text, flags=re.DOTALL).lower())


def test_a_day_on_which_nothing_moved_is_quiet() -> None:
    text = shown(reports.report(moved=False))
    assert "Nothing moved" in text and '<header class="good">' in text
    assert 'class="moved' not in text and set(tiles(text)) == {"tile"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"state": "learning", "days_to_go": 12, "calibrated": None}, "Learning, 12 days to go"),
        ({"state": "learning", "days_to_go": 1, "calibrated": None}, "Learning, 1 day to go"),
        ({"state": "uncalibrated", "calibrated": None}, "drift pages nobody: uv run ml calibrate"),
        ({"state": "over budget"}, "paged too often"),
        ({"holiday": "Corpus Christi"}, "a holiday, Corpus Christi: drift is not judged"),
    ],
)
def test_it_says_in_which_state_the_monitor_is(more: dict[str, Any], words: str) -> None:
    assert words in shown(reports.report(moved=False, **more))


def test_a_day_of_which_nothing_is_known_is_no_good_news() -> None:
    text = shown(Report(day=reports.DAY, state="learning", days_to_go=35, findings=[]))
    assert "Nothing judged" in text and "Nothing moved" not in text
    one = finding(outcome="learning", said="12 days to go", observed=3.0)
    assert "learning: 12 days to go" in shown(Report(day=reports.DAY, state="learning", findings=[one]))


def test_nothing_breaks_out_of_it() -> None:
    days = [reports.DAY]
    one = finding(
        monitor=HOSTILE, code=HOSTILE, column=HOSTILE, table=HOSTILE, measure=HOSTILE, said=HOSTILE, unit=HOSTILE,
        slice=HOSTILE, model_version=HOSTILE, outcome="page", observed=1.0, low=0.0, high=0.5,
        series=Series(days=days, values=[1.0], low=[0.0], high=[0.5]),
    )  # fmt: skip
    shape = Shape(column=HOSTILE, unit=HOSTILE, bins=[HOSTILE], today=[1.0], reference=[0.5])
    text = shown(Report(day=reports.DAY, state="armed", holiday=HOSTILE, findings=[one], shapes=[shape]), HOSTILE)
    seen = Seen(text)
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in seen.elements}
    for _, attributes in seen.elements:
        assert not {"src", "style", "onerror", "action"} & set(attributes)
        assert attributes.get("href", "data:,") == "data:,"
    assert "☃" in text and drawings(text)


numbers = st.none() | st.floats()


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8), numbers, numbers, numbers)
def test_any_series_is_drawn(
    days: list[tuple[float | None, float | None, float | None]],
    observed: float | None,
    low: float | None,
    high: float | None,
) -> None:
    series = Series(
        days=[reports.DAY + timedelta(days=n) for n in range(len(days))],
        values=[day[0] for day in days],
        low=[day[1] for day in days],
        high=[day[2] for day in days],
    )
    one = finding(outcome="page", observed=observed, low=low, high=high, series=series)
    for drawn in drawings(shown(Report(day=reports.DAY, state="armed", findings=[one]))):
        for part in drawn.iter():
            for name in ("cx", "cy", "x", "y", "width", "height", "d"):
                assert not re.search("nan|inf", part.get(name, "")), part.attrib


def test_a_day_on_which_everything_moved_stays_readable() -> None:
    many = [finding(column=f"c{n}", outcome="page") for n in range(40)]
    text = shown(Report(day=reports.DAY, state="armed", findings=many))
    assert text.count('class="moved') == MOST and f"{40 - MOST} more columns moved" in text and len(tiles(text)) == 40


@pytest.mark.parametrize(
    ("value", "unit", "low", "high", "words"),
    [
        (1851.3, "g", 1640, 2110, "1,851 g"),
        (0.0213, "σ", 0.01, 0.055, "0.021 σ"),
        (-2.71, "σ", -0.05, 0.17, "−2.71 σ"),
        (-0.0001, "σ", -0.05, 0.17, "0.00 σ"),
        (100.0, "%", 3.8, 8.2, "100.0%"),
        (7.0, None, 7.0, 7.0, "7.00"),
        (7.0, "h", None, None, "7.0 h"),
        (3.0e9, "rows", 1e9, 2e9, "3,000,000,000 rows"),
        (None, "g", 1.0, 2.0, ""),
        (float("nan"), "g", 1.0, 2.0, ""),
    ],
)
def test_numbers_are_as_people_read_them(
    value: float | None, unit: str | None, low: float | None, high: float | None, words: str
) -> None:
    assert measured(value, unit, low, high) == words


@in_a_browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)], ids=["desk", "phone in the dark"])
def test_it_is_seen_in_a_browser(tmp_path: Path, width: int, dark: bool) -> None:
    file = tmp_path / "monitor.html"
    file.write_text(shown(reports.report()), encoding="utf-8")
    with browser.browsing(tmp_path / "profile") as seen:
        seen.open(file.as_uri(), width=width, dark=dark)
        assert seen.text("h1").startswith("2 pages, 4 tickets")
        assert seen.do("document.documentElement.scrollWidth") <= width, "nothing to scroll sideways"
        # every picture is drawn, inside its place, and wide enough to see a day of 56
        boxes = seen.do("[...document.querySelectorAll('.tile svg')].map(s => [s.clientWidth, s.clientHeight])")
        assert len(boxes) > 20 and min(box[0] for box in boxes) >= 112 and min(box[1] for box in boxes) >= 20
        side = seen.do(
            "(() => { const [a, b] = document.querySelectorAll('.tile');"
            " return a.getBoundingClientRect().top < b.getBoundingClientRect().top })()"
        )
        assert side, "a row a column"
        marked = seen.do("getComputedStyle(document.querySelector('.tile.bad b')).color")
        plain = seen.do("getComputedStyle(document.querySelector('.tile:not(.bad) b')).color")
        assert marked != plain
        seen.click("summary")
        assert "parcels.weight_g.mean" in seen.text("details")
        assert seen.do("document.documentElement.scrollWidth") <= width
        assert seen.asked == [file.as_uri()], "it asks nobody"
        assert seen.complaints == []


@in_a_browser
@pytest.mark.slow
def test_it_prints_without_cutting_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "monitor.html"
    file.write_text(shown(reports.report()), encoding="utf-8")
    with browser.browsing(tmp_path / "profile") as seen:
        seen.open(file.as_uri(), width=720)
        seen.print()
        assert seen.do("getComputedStyle(document.querySelector('.tiles')).gridTemplateColumns.split(' ').length") == 4
        assert (
            seen.do("getComputedStyle(document.querySelector('.moved .side')).gridTemplateColumns.split(' ').length")
            == 2
        )
        kept = seen.do("[...document.querySelectorAll('.moved, .group')].map(e => getComputedStyle(e).breakInside)")
        assert set(kept) == {"avoid"}
        assert seen.do("getComputedStyle(document.querySelector('details')).display") == "none"
        ink = [int(part) for part in re.findall(r"\d+", seen.do("getComputedStyle(document.body).backgroundColor"))]
        assert min(ink) == 255, "white paper"
