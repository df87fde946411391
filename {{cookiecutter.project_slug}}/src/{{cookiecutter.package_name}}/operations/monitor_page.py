"""A day's monitor as one page: what moved, and under it every monitor; no script, nothing fetched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime

from ..monitoring.report import Finding, Report, Shape
from ..pages.markup import Markup, element, join
from ..pages.style import STYLE
from . import spark
from .codes import TITLES, heading
from .plot import HEIGHT, WIDTH, Axes

MOST = 12
"""Columns that are drawn large. A day on which more moved is one thing, not many."""
STATES = {
    "learning": "Learning, {days} to go: until then only the contract and the row count are held",
    "uncalibrated": "Not calibrated yet, so drift pages nobody: uv run ml calibrate",
    "over budget": "Calibrated, and it would have paged too often, so drift pages nobody: uv run ml calibrate",
    "armed": "Armed: what moves pages",
}
HEADS = ("", "code", "monitor", "this day", "expected", "z", "since")
RIGHT = ("this day", "expected", "z")


def page(report: Report, project: str, asked: datetime) -> str:
    """The whole page; ``project`` and what is in the report may be any text. ``asked`` is when, in UTC."""
    report = Report.model_validate_json(report.model_dump_json())  # as it is kept: what is no number is null
    tone, verdict, said = _verdict(report.findings)
    body = [
        element(
            "header",
            element("p", f"{project}, {report.day:%A %Y-%m-%d}", class_="where"),
            element("h1", element("span", verdict, class_="verdict"), " ", element("span", said)),
            element("p", _state(report), class_="where"),
            class_=tone,
        ),
        *_moved(report),
        *_watched(report.findings),
        _table(report.findings),
        element("footer", f"Written {asked:%Y-%m-%d %H:%M} UTC from the report of {report.day}, by ml monitor --html."),
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("link", rel="icon", href="data:,"),
        element("title", f"{verdict} {report.day} {project}"),
        element("style", Markup(STYLE + spark.STYLE)),
    ]
    return "<!doctype html>\n" + element("html", element("head", *head), element("body", *body), lang="en") + "\n"


def _verdict(findings: Sequence[Finding]) -> tuple[str, str, str]:
    """Tone of the page, its verdict, and which columns that is about."""
    counts = {tier: sum(one.outcome == tier for one in findings) for tier in ("page", "ticket")}
    if not any(counts.values()):
        judged = sum(one.outcome == "ok" for one in findings)
        return "good", "Nothing moved" if judged else "Nothing judged", f"{judged} monitors in their range"
    said = ", ".join(f"{count} {tier}{'s' * (count > 1)}" for tier, count in counts.items() if count)
    columns = dict.fromkeys(one.column or one.table for one in _by_urgency(findings) if one.outcome in spark.TONES)
    return ("bad" if counts["page"] else "soon"), said, ", ".join(columns)


def _by_urgency(findings: Sequence[Finding]) -> list[Finding]:
    order = ("page", "ticket")
    return sorted(findings, key=lambda one: order.index(one.outcome) if one.outcome in order else len(order))


def _state(report: Report) -> str:
    days = f"{report.days_to_go} day{'s' * (report.days_to_go != 1)}"
    said = [STATES[report.state].format(days=days)]
    if report.calibrated:
        said.append(f"calibrated on the days until {report.calibrated}")
    if report.model_version:
        said.append(f"predictions by {report.model_version}")
    if report.holiday:
        said.append(f"a holiday, {report.holiday}: drift is not judged")
    return "; ".join(said) + "."


def _moved(report: Report) -> list[Markup]:
    """A section for each column of which somebody has to know, the most urgent first."""
    columns: dict[tuple[str, str | None], list[Finding]] = {}
    for one in _by_urgency(report.findings):
        if one.outcome in spark.TONES:
            columns.setdefault((one.table, one.column), []).append(one)
    shapes = {shape.column: shape for shape in report.shapes}
    sections = [
        _section(table, column, found, shapes.get(column or ""), report.day)
        for (table, column), found in list(columns.items())[:MOST]
    ]
    if (more := len(columns) - MOST) > 0:
        sections.append(element("p", f"{more} more columns moved: they are marked below.", class_="quiet"))
    return sections


def _section(table: str, column: str | None, findings: list[Finding], shape: Shape | None, day: date) -> Markup:
    parts = [part for one in findings for part in (_words(one, day), _large(one))]
    if shape is not None:
        named = f"shares{f', {shape.unit}' if shape.unit else ''}; bar, this day; tick, the reference"
        parts[0] = element("div", parts[0], element("h4", named), spark.beside(shape))
    title = element("h3", column or table, *([element("span", f" {table}", class_="quiet")] if column else []))
    return element(
        "section", title, element("div", *parts, class_="side"), class_=f"moved {spark.TONES[findings[0].outcome]}"
    )


def _words(one: Finding, day: date) -> Markup:
    since = f"since {one.since:%A %Y-%m-%d}" if one.since and one.since < day else ""
    where = heading(one.code) if one.code in TITLES else ""
    below = "; ".join(part for part in (since, where) if part)
    tier = element("b", f"{one.outcome} {one.code}", class_=spark.TONES[one.outcome])
    said = element("p", tier, f" {one.said}")
    return element("div", said, *([element("p", below, class_="quiet")] if below else []))


def _large(one: Finding) -> Markup:
    """The days with axes; each has its words where the pointer rests."""
    series = spark.drawable(one.series) if one.series else None
    if series is None:
        return Markup()
    known = [value for part in (series.values, series.low, series.high) for value in part if value is not None]
    axes = Axes(series.days, known, zero=False)
    titles, classes = [], []
    for day, value, low, high in zip(series.days, series.values, series.low, series.high, strict=True):
        beside = f", expected {_range(low, high, one.unit)}" if low is not None and high is not None else ""
        titles.append(f"{day:%a %Y-%m-%d}: {measured(value, one.unit, low, high)}{beside}")
        out = value is not None and ((low is not None and value < low) or (high is not None and value > high))
        classes.append("bad" if out else "mark")
    drawn = element(
        "svg",
        axes.grid(),
        element("g", axes.band(series.low, series.high), class_="band"),
        axes.line(series.values, "thread"),
        axes.dots(series.values, titles, classes),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{one.monitor}: {one.said}",
    )
    named = f"{_label(one)}{f', {one.unit}' if one.unit and one.unit != one.measure else ''}; band, what was expected"
    return element("div", element("h4", named), drawn)


def _watched(findings: Sequence[Finding]) -> list[Markup]:
    """A section a table, a row a column, a tile a monitor."""
    tables: dict[str, dict[str | None, list[Finding]]] = {}
    for one in findings:
        tables.setdefault(one.table, {}).setdefault(one.column, []).append(one)
    spans = [len(one.series.days) for one in findings if one.series]
    legend = f"Line: {max(spans)} days. Band: what was expected of each. Last dot: this day." if spans else ""
    sections = []
    for number_of, (table, columns) in enumerate(tables.items()):
        rows = [
            element(
                "div",
                element("h3", column or "as a whole"),
                element("div", *map(_tile, found), class_="tiles"),
                class_="group",
            )
            for column, found in columns.items()
        ]
        quiet = [element("p", legend, class_="quiet legend")] if legend and not number_of else []
        sections.append(element("section", element("h2", table), *quiet, *rows, class_="watched"))
    return sections


def _tile(one: Finding) -> Markup:
    judged = one.outcome in ("ok", *spark.TONES)
    below = _range(one.low, one.high, one.unit) if one.low is not None or one.high is not None else one.said
    return element(
        "div",
        element(
            "p",
            element("span", _label(one).removeprefix("share of ")),
            element("b", measured(one.observed, one.unit, one.low, one.high)),
            class_="head",
        ),
        spark.sparkline(one),
        element("p", below if judged else f"{one.outcome}: {one.said}", class_="quiet"),
        title=one.said,
        class_=f"tile {spark.TONES.get(one.outcome, '')}".strip(),
    )


def _label(one: Finding) -> str:
    return f"{one.measure}, {one.slice}" if one.slice else one.measure


def _table(findings: Sequence[Finding]) -> Markup:
    def row(kind: str, cells: Sequence[str]) -> Markup:
        pairs = zip(HEADS, cells, strict=True)
        return element("tr", *(element(kind, cell, class_="number" if head in RIGHT else None) for head, cell in pairs))

    rows = join([row("td", _cells(one)) for one in _by_urgency(findings)])
    whole = element("table", element("thead", row("th", HEADS)), element("tbody", rows))
    return element("details", element("summary", "As a table"), element("div", whole, class_="wide"))


def _cells(one: Finding) -> list[str]:
    known = one.low is not None or one.high is not None
    return [
        one.outcome,
        one.code,
        one.monitor,
        measured(one.observed, one.unit, one.low, one.high),
        _range(one.low, one.high, one.unit) if known else "",
        "" if one.z is None else number(one.z, -10.0, 10.0),
        f"{one.since}" if one.since else "",
    ]


def _range(low: float | None, high: float | None, unit: str | None) -> str:
    if low is None or high is None:
        only = low if high is None else high
        return f"at {'least' if high is None else 'most'} {measured(only, unit, low, high)}"
    return f"{number(low, low, high)} to {measured(high, unit, low, high)}"


def measured(value: float | None, unit: str | None, low: float | None, high: float | None) -> str:
    """A number with its unit, as precise as its range is wide."""
    if value is None or not math.isfinite(value):
        return ""
    said = number(value, low, high)
    return said + (unit if unit == "%" else f" {unit}" if unit else "")


def number(value: float | None, low: float | None, high: float | None) -> str:
    """Two digits of the range's width: 0.021 within 0.010 to 0.055, and 1,851 within 1,640 to 2,110."""
    if value is None or not math.isfinite(value):
        return "none"
    width = abs(high - low) if low is not None and high is not None else abs(value)
    decimals = min(max(1 - math.floor(math.log10(width)), 0), 6) if width and math.isfinite(width) else 2
    said = f"{value:,.{decimals}f}"
    return said.replace("-", "−") if float(said.replace(",", "")) else said.lstrip("-")
