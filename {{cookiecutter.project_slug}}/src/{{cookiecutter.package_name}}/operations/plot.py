"""Plots of one value a day, as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date

from ..pages.markup import Markup, element, join

WIDTH, HEIGHT = 480, 168
LEFT, RIGHT, TOP, BOTTOM = 46, 6, 8, 22
"""Room for the numbers of the left and lower axis."""
LABELS = 6
"""Days that are named on the lower axis, at most."""
Values = Sequence[float | None]


class Axes:
    """Days from left to right, values from ``low`` to ``high`` and a little beyond, up to round numbers."""

    def __init__(self, days: Sequence[date], values: Iterator[float] | Sequence[float], *, zero: bool = True) -> None:
        self.days = days
        known = list(values) or [0.0, 1.0]
        low, high = (min(0.0, *known) if zero else min(known)), max(known)
        self.tick = _round((high - low or abs(high) or 1) / 3)
        self.low = math.floor(low / self.tick) * self.tick
        self.high = max(math.ceil(high / self.tick), self.low / self.tick + 1) * self.tick
        self.step = (WIDTH - LEFT - RIGHT) / max(len(days), 1)

    def x(self, position: float) -> float:
        """Where the day at ``position`` begins; half a position later is its middle."""
        return LEFT + position * self.step

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def grid(self) -> Markup:
        """Lines and numbers of the axes: round values, and Mondays."""
        count = round((self.high - self.low) / self.tick)
        decimals = max(0, -math.floor(math.log10(self.tick)))
        parts = []
        for number in range(count + 1):
            value = self.low + number * self.tick
            y = self.y(value)
            parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
            parts.append(element("text", f"{value:,.{decimals}f}", x=LEFT - 6, y=y + 4, class_="left"))
        mondays = [position for position, day in enumerate(self.days) if day.weekday() == 0] or [0]
        for position in mondays[:: math.ceil(len(mondays) / LABELS)]:
            if position < len(self.days):
                day = self.days[position]
                label = f"{day.day} {day:%b}"
                x = min(max(self.x(position + 0.5), LEFT + 16.0), WIDTH - 24.0)
                parts.append(element("text", label, x=x, y=HEIGHT - 6, class_="below"))
        return join(parts)

    def band(self, lows: Values, highs: Values) -> Markup:
        """What is normal: a box a day, from its low to its high."""
        return join(
            [
                element("rect", x=self.x(n), y=self.y(high), width=self.step, height=self.y(low) - self.y(high))
                for n, (low, high) in enumerate(zip(lows, highs, strict=True))
                if low is not None and high is not None
            ]
        )

    def bars(self, values: Values, titles: Sequence[str], classes: Sequence[str]) -> Markup:
        width = max(self.step * 0.72, 1.0)
        return join(
            [
                element(
                    "rect",
                    element("title", title),
                    x=self.x(n + 0.5) - width / 2,
                    y=self.y(value),
                    width=width,
                    height=max(self.y(self.low) - self.y(value), 0.5),
                    rx=min(width / 4, 2.0),
                    class_=name,
                )
                for n, (value, title, name) in enumerate(zip(values, titles, classes, strict=True))
                if value is not None
            ]
        )

    def dots(self, values: Values, titles: Sequence[str], classes: Sequence[str]) -> Markup:
        radius = min(max(self.step * 0.3, 1.8), 4.0)
        return join(
            [
                element("circle", element("title", title), cx=self.x(n + 0.5), cy=self.y(value), r=radius, class_=name)
                for n, (value, title, name) in enumerate(zip(values, titles, classes, strict=True))
                if value is not None
            ]
        )

    def line(self, values: Values, name: str) -> Markup:
        """A line from day to day; a day without a value breaks it."""
        path, pen = [], "M"
        for n, value in enumerate(values):
            if value is None:
                pen = "M"
                continue
            path.append(f"{pen}{self.x(n + 0.5):.1f} {self.y(value):.1f}")
            pen = "L"
        return element("path", d=" ".join(path), class_=name) if path else Markup()

    def missing(self, days: Sequence[bool], titles: Sequence[str]) -> Markup:
        """A cross at the foot of each day that has nothing to show and should have."""
        y, arm = self.y(self.low) - 6, 3.0
        return join(
            [
                element(
                    "path",
                    element("title", title),
                    d=f"M{x - arm:.1f} {y - arm:.1f}l6 6m0 -6l-6 6",
                    class_="cross",
                )
                for x, missing, title in (
                    (self.x(n + 0.5), *pair) for n, pair in enumerate(zip(days, titles, strict=True))
                )
                if missing
            ]
        )


def figure(title: str, caption: str, axes: Axes, *layers: Markup) -> Markup:
    """A plot with its title above and what the marks mean below."""
    drawn = element(
        "svg",
        axes.grid(),
        *layers,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
    )
    return element("figure", element("h3", title), drawn, element("figcaption", caption))


def _round(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor for factor in (1, 2, 5, 10) if factor * power >= value * 0.999) * power
