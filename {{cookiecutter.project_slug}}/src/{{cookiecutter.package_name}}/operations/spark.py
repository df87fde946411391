"""Small pictures of a monitor: its last days as a line in a band, and a distribution beside its reference."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..monitoring.report import Finding, Series, Shape
from ..pages.markup import Markup, element, join

WIDTH, HEIGHT, MARGIN = 160.0, 36.0, 4.0
"""In the units of the drawing. It is as wide as the place it is put in."""
TONES = {"page": "bad", "ticket": "soon"}
"""Classes of outcomes that ask somebody to do something."""
STYLE = """
.watched { position: relative } .legend { position: absolute; top: 1rem; right: 1.1rem; margin: 0 }
.group { display: grid; grid-template-columns: 9.5rem minmax(0, 1fr); gap: .4rem 1.2rem; padding: .8rem 0 .9rem;
  border-top: 1px solid var(--rule); break-inside: avoid }
.group h3 { font-weight: 500; font-size: .88rem; line-height: 1.3; margin: 0 }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.4rem, 1fr)); gap: .9rem 1.3rem }
.tile .head { display: flex; justify-content: space-between; gap: .5rem; align-items: baseline; margin: 0;
  font-size: .86rem; line-height: 1.3 }
.tile .head span { color: var(--quiet) } .tile .head b { font-weight: 500; white-space: nowrap }
.tile .quiet { margin: 0; font-size: .76rem }
.tile.bad b { color: var(--bad); font-weight: 700 } .tile.soon b { color: var(--soon); font-weight: 700 }
.moved h3 { font-size: 1rem; font-weight: 600 } .moved p { margin: .15rem 0 .5rem }
.moved b.bad { color: var(--bad) } .moved b.soon { color: var(--soon) }
section.bad { border-left: 3px solid var(--bad) } section.soon { border-left: 3px solid var(--soon) }
.moved .side { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .8rem 2rem }
.moved .side h4 { margin: 0 0 .3rem; font-size: .82rem; font-weight: 500; color: var(--quiet) }
.bins { display: grid; grid-template-columns: max-content minmax(0, 1fr) max-content; gap: .1rem .7rem;
  align-items: center; font-size: .82rem; font-variant-numeric: tabular-nums }
.bins span { color: var(--quiet) } .bins .number { text-align: right } .bins svg { height: .72rem }
svg .run { fill: none; stroke: var(--mark); stroke-width: 1.1; stroke-linejoin: round; stroke-linecap: round }
svg .soon { fill: var(--soon) } svg .out { fill: var(--bad); opacity: .75 }
svg .track { fill: var(--rule); opacity: .45 } svg .there { fill: var(--mark) }
svg .was { stroke: var(--ink); stroke-width: 2; vector-effect: non-scaling-stroke }
@media (max-width: 46rem) { .group { grid-template-columns: minmax(0, 1fr) }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .8rem 1rem }
  .moved .side { grid-template-columns: minmax(0, 1fr) } .legend { position: static; margin: 0 0 .5rem } }
@media print { svg { font-size: 11px } .group { grid-template-columns: 8.5rem minmax(0, 1fr) }
  .tiles { grid-template-columns: repeat(4, minmax(0, 1fr)) } .moved .side { grid-template-columns: 1fr 1fr }
  .watched { break-inside: auto } details:not([open]) { display: none } }
"""


LARGEST, SMALLEST = 1e15, 1e-15
"""Beyond these a number is no day's figure, and a scale that holds it shows nothing else."""


def drawable(series: Series) -> Series | None:
    """The series to nine digits, without what no scale can hold; None where nothing is left."""
    parts = {"values": series.values, "low": series.low, "high": series.high}
    known = {
        name: [None if value is None or abs(value) > LARGEST else value for value in part]
        for name, part in parts.items()
    }
    most = max((abs(value) for part in known.values() for value in part if value is not None), default=0.0)
    digits = 9 - math.floor(math.log10(max(most, SMALLEST)))
    rounded = {
        name: [None if value is None else round(value, digits) for value in part] for name, part in known.items()
    }
    return series.model_copy(update=rounded) if any(value is not None for value in rounded["values"]) else None


class _Scale:
    def __init__(self, series: Series) -> None:
        known = [value for part in (series.values, series.low, series.high) for value in part if value is not None]
        self._low, high = min(known, default=0.0), max(known, default=1.0)
        self._span = (high - self._low) or 1.0
        self._step = (WIDTH - 2 * MARGIN) / max(len(series.days) - 1, 1)

    def x(self, position: int) -> float:
        return MARGIN + position * self._step

    def y(self, value: float) -> float:
        return MARGIN + (1 - (value - self._low) / self._span) * (HEIGHT - 2 * MARGIN)


def sparkline(finding: Finding) -> Markup:
    """The days as a line, what was expected as a band, days outside it and the last day as dots."""
    series = drawable(finding.series) if finding.series else None
    if series is None:
        return Markup()
    scale = _Scale(series)
    outside, last = [], Markup()
    for n, (value, low, high) in enumerate(zip(series.values, series.low, series.high, strict=True)):
        if value is None:
            continue
        x, y = scale.x(n), scale.y(value)
        if n == len(series.values) - 1:
            last = element("circle", cx=x, cy=y, r=2.6, class_=TONES.get(finding.outcome, "mark"))
        elif (low is not None and value < low) or (high is not None and value > high):
            outside.append(element("circle", cx=x, cy=y, r=1.3, class_="out"))
    return element(
        "svg",
        element("path", d=_band(series, scale), class_="band"),
        element("path", d=_line(series.values, scale), class_="run"),
        *outside,
        last,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_label=f"{finding.monitor}: {finding.said}",
    )


def _line(values: Sequence[float | None], scale: _Scale) -> str:
    """A path from day to day; a day without a value breaks it, and one alone between two such is a dot."""
    path, pen = [], "M"
    for n, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        path.append(f"{pen}{scale.x(n):.1f} {scale.y(value):.1f}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return " ".join(path)


def _band(series: Series, scale: _Scale) -> str:
    """One closed path for every stretch of days whose range is known."""
    path: list[str] = []
    stretch: list[tuple[float, float, float]] = []
    for n, (low, high) in enumerate([*zip(series.low, series.high, strict=True), (None, None)]):
        if low is not None and high is not None:
            stretch.append((scale.x(n), scale.y(low), scale.y(high)))
        elif stretch:
            there = " ".join(f"{x:.1f} {high:.1f}" for x, _, high in stretch)
            back = " ".join(f"{x:.1f} {low:.1f}" for x, low, _ in reversed(stretch))
            path.append(f"M{there} {back}Z")
            stretch = []
    return " ".join(path)


def beside(shape: Shape) -> Markup:
    """A bar a bin for today, and a tick where the reference ends."""
    shares = shape.model_dump(include={"today", "reference"})
    most = max(*shares["today"], *shares["reference"], 0.01)
    rows = []
    for name, today, reference in zip(shape.bins, shares["today"], shares["reference"], strict=True):
        at = min(max(100 * reference / most, 0.5), 99.5)
        drawn = element(
            "svg",
            element("rect", x=0, y=3, width=100, height=4, class_="track"),
            element("rect", x=0, y=1, width=100 * today / most, height=8, class_="there"),
            element("line", x1=at, x2=at, y1=0, y2=10, class_="was"),
            viewBox="0 0 100 10",
            preserveAspectRatio="none",
            role="img",
            aria_label=f"{name}: {today:.1%} on the day, {reference:.1%} in the reference",
        )
        rows += [element("span", name), drawn, element("span", f"{today:.1%}", class_="number")]
    return element("div", join(rows), class_="bins")
