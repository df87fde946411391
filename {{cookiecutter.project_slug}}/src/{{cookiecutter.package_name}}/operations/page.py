"""A status as one page: no script, nothing fetched, readable on a phone, in the dark and on paper."""

from __future__ import annotations

from datetime import date, datetime

from ..clock import days as every_day
from ..pages.markup import Markup, element, join
from ..pages.style import STYLE
from .day import Day
from .plot import Axes, figure
from .report import lines
from .status import Status
from .strip import HEADS, RIGHT, SIGNS, colour, legend, table

HINTS = {"green": "good", "yellow": "soon", "red": "bad"}
"""Colours of the terminal, as classes of the page."""


def page(status: Status, project: str, now: datetime) -> str:
    """The whole page; ``project`` and what is in the ledger may be any text."""
    tone = "good" if status.verdict == "OK" else "soon" if status.fine else "bad"
    body = [
        element(
            "header",
            element("p", f"{project}, {status.day.date:%A %Y-%m-%d}", class_="where"),
            element("h1", element("span", status.verdict, class_="verdict"), " ", element("span", status.said)),
            class_=tone,
        ),
        *_to_do(status),
        element("div", _facts(status), _calendar(status.days), class_="columns"),
        element("div", *_plots(status.days), class_="plots"),
        _table(status.days),
        element("footer", f"Written {now:%Y-%m-%d %H:%M} UTC from the ledger, by ml status --html."),
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{status.verdict} {status.day.date} {project}"),
        element("style", Markup(STYLE)),
    ]
    return "<!doctype html>\n" + element("html", element("head", *head), element("body", *body), lang="en") + "\n"


def _to_do(status: Status) -> list[Markup]:
    items = []
    for action in status.actions:
        about = "" if action.day == status.day.date else f"{action.day}: "
        said = element("span", element("b", f"{action.tier} {action.code}"), f" {about}{action.said}")
        where = element("span", action.heading, class_="quiet")
        items.append(_item(said, action.command, where, "bad" if action.tier == "page" else "soon"))
    for words in status.others:
        said, _, command = words.rpartition(": ")
        known = command.startswith("ml ")
        items.append(_item(element("span", said if known else words), command if known else "", Markup(), ""))
    return [element("section", element("h2", "To do"), element("ul", *items, class_="todo"))] if items else []


def _item(said: Markup, command: str, where: Markup, name: str) -> Markup:
    code = element("code", f"uv run {command}") if command else Markup()
    return element("li", said, code, where, class_=name or None)


def _facts(status: Status) -> Markup:
    pairs = [element("dt", name) + element("dd", said) for name, said in lines(status)]
    return element("section", element("h2", "The day"), element("dl", *map(Markup, pairs)))


def _short(day: date) -> str:
    return f"{day.day} {day:%B}"


def _calendar(days: list[Day]) -> Markup:
    """A week a row, Monday to Sunday."""
    heads = [element("span", name, class_="quiet") for name in ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")]
    cells = [element("span")] * days[0].date.weekday()
    for day in days:
        sign, meaning = SIGNS[day.state]
        cells.append(
            element(
                "span",
                element("i", str(day.date.day)),
                element("b", "✓" if day.state == "ok" else sign),
                title=f"{day.date:%a %Y-%m-%d}: {meaning}",
                class_=HINTS[colour(day)],
            )
        )
    grid = element("div", *heads, *cells, class_="calendar")
    named = legend(days).replace(". fine", "✓ fine", 1)
    return element(
        "section",
        element("h2", f"{_short(days[0].date)} to {_short(days[-1].date)}"),
        grid,
        element("p", named, class_="quiet"),
    )


def _plots(days: list[Day]) -> list[Markup]:
    dates = [day.date for day in days]
    names = [f"{day.date:%a %Y-%m-%d}" for day in days]
    gone = [day.rows is None and not day.fine for day in days]
    why = [f"{name}: {SIGNS[day.state][1]}" for name, day in zip(names, days, strict=True)]
    return [
        _rows(days, dates, gone, why),
        _scored(days, dates, names, why),
        _metric(days),
        _took(days, dates, names),
    ]


def _rows(days: list[Day], dates: list[date], gone: list[bool], why: list[str]) -> Markup:
    lows = [day.normal["low"] if day.normal else None for day in days]
    highs = [day.normal["high"] if day.normal else None for day in days]
    rows: list[float | None] = [day.rows for day in days]
    axes = Axes(dates, [value for value in (*lows, *highs, *rows) if value is not None], zero=False)
    classes, titles = [], []
    for day, low, high in zip(days, lows, highs, strict=True):
        odd = day.rows is not None and low is not None and high is not None and not low <= day.rows <= high
        classes.append("bad" if odd else "mark")
        beside = f", normal is {low:,.0f} to {high:,.0f}" if low is not None and high is not None else ""
        titles.append(f"{day.date:%a %Y-%m-%d}: {day.rows or 0:,} rows{beside}")
    return figure(
        "Rows a day",
        "dot: rows in force; band: what is normal for the weekday; cross: nothing came in",
        axes,
        element("g", axes.band(lows, highs), class_="band"),
        axes.line(rows, "thread"),
        axes.dots(rows, titles, classes),
        axes.missing(gone, why),
    )


def _scored(days: list[Day], dates: list[date], names: list[str], why: list[str]) -> Markup:
    scored: list[float | None] = [day.scored for day in days]
    axes = Axes(dates, [value for value in scored if value is not None])
    versions = list(dict.fromkeys(day.version for day in days if day.version))
    classes = [f"mark v{versions.index(day.version) % 3}" if day.version else "mark" for day in days]
    titles = [f"{name}: {day.scored or 0:,} rows by {day.version}" for name, day in zip(names, days, strict=True)]
    swatches = [element("span", "■ ", class_=f"v{n % 3}") + element("span", f"{v} ") for n, v in enumerate(versions)]
    missing = [day.scored is None and not day.fine for day in days]
    return figure(
        "Scored rows",
        element("span", *map(Markup, swatches), "cross: not scored"),
        axes,
        axes.bars(scored, titles, classes),
        axes.missing(missing, why),
    )


def _metric(days: list[Day]) -> Markup:
    """Realised on labels that matured: it belongs to the day that was predicted, not to the day it was measured on."""
    found = {}
    for day in days:
        step = day.step("labels", lambda step: "value" in step.facts and "day" in step.facts)
        if step:
            found[date.fromisoformat(step.facts["day"])] = step.facts
    if not found:
        return figure("Realised error", "no labels have matured yet", Axes([day.date for day in days], []))
    dates = list(every_day(min(found), max(found)))
    metric = found[max(found)]["metric"]
    told = [found.get(day) if found.get(day, {}).get("metric") == metric else None for day in dates]
    values = [facts["value"] if facts else None for facts in told]
    baseline = [facts.get("baseline") if facts else None for facts in told]
    axes = Axes(dates, [value for value in (*values, *baseline) if value is not None])
    titles = [f"{day:%a %Y-%m-%d}: {metric} {value or 0:.4g}" for day, value in zip(dates, values, strict=True)]
    return figure(
        f"Realised {metric}",
        "on the day that was predicted, once its labels were complete; dashed: the naive baseline",
        axes,
        axes.line(baseline, "baseline"),
        axes.line(values, "thread"),
        axes.dots(values, titles, ["mark"] * len(dates)),
    )


def _took(days: list[Day], dates: list[date], names: list[str]) -> Markup:
    seconds: list[float | None] = [day.seconds for day in days]
    axes = Axes(dates, [value for value in seconds if value is not None])
    titles = [f"{name}: {day.seconds or 0:.0f} s, {day.state}" for name, day in zip(names, days, strict=True)]
    classes = ["mark" if day.fine else "bad" for day in days]
    return figure(
        "Seconds a run took",
        "the last attempt of each day; red: it did not end well",
        axes,
        axes.bars(seconds, titles, classes),
    )


def _table(days: list[Day]) -> Markup:
    def row(kind: str, cells: list[str] | tuple[str, ...]) -> Markup:
        return element(
            "tr",
            *(
                element(kind, cell, class_="number" if head in RIGHT else None)
                for head, cell in zip(HEADS, cells, strict=True)
            ),
        )

    rows = join([row("td", cells) for cells in table(days)])
    whole = element("table", element("thead", row("th", HEADS)), element("tbody", rows))
    return element("details", element("summary", "Day by day"), element("div", whole, class_="wide"))
