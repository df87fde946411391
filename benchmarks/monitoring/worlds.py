"""Simulated tables, row by row: twelve columns, four worlds in which nothing is wrong, seven things that go
wrong.

A numeric column is a rising function of a normal score; a category is drawn by softmax. A world moves the
scores and the logits of a day, in units of one standard deviation between rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from scipy import special

HISTORY, YEAR, FOLLOWED = 90, 365, 14
"""Days before the first that is judged, days judged in a replicate, and how long an injection is followed."""
FIRST, LAST = date(2027, 1, 4), date(2029, 12, 31)
"""Between these lies every replicate."""
DAY, TAIL, SEASON, ANNUAL, HOLIDAY = 0.06, 4, 0.2, 0.15, 0.6
"""Standard deviation of day effects, degrees of freedom of heavy ones, largest weekly swing, height of the
annual cycle, what a holiday moves."""
PHI, SHARED = 0.6, 0.5
"""Lag-1 correlation of day effects, and the share of their variance that all columns have in common."""
FESTIVE = ("weight_g", "percent", "heavy", "service")
"""Columns that a holiday moves."""


def counted(score: np.ndarray) -> np.ndarray:
    return np.floor(np.exp(1 + 0.6 * score))


def often_nothing(score: np.ndarray) -> np.ndarray:
    return np.where(score < -0.4, 0.0, np.exp(0.8 * score))


def bimodal(score: np.ndarray) -> np.ndarray:
    return score + 1.5 * np.tanh(3 * score)


SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "temperature": lambda score: 20 + 5 * score,
    "weight_g": lambda score: 400 * np.exp(0.5 * score),
    "waiting": lambda score: 30 * (-special.log_ndtr(-score)) ** (1 / 1.5),
    "percent": lambda score: 100 * special.ndtr(score),
    "two_humps": bimodal,
    "heavy": lambda score: np.sinh(1.2 * score),
    "items": counted,
    "fee": often_nothing,
}
LEVELS = {"yes_no": 2, "service": 5, "depot": 12, "route": 30}
COLUMNS = (*SHAPES, *LEVELS)
NULLS = {"waiting": 0.02, "two_humps": 0.05, "fee": 0.2, "depot": 0.01}
"""Share of nulls; of every other column none."""
CONTINUOUS = ("temperature", "weight_g", "waiting", "percent", "two_humps")
SPREAD = {
    name: float(np.std(SHAPES[name](special.ndtri((np.arange(20_000) + 0.5) / 20_000))))
    for name in CONTINUOUS
}


def weights(levels: int) -> np.ndarray:
    """Logits: 30 and 70 percent of two, of more the n-th level 1/n as frequent as the first."""
    return np.log([0.7, 0.3]) if levels == 2 else -np.log(np.arange(1.0, levels + 1))


@dataclass(frozen=True)
class World:
    """What moves from day to day though nothing is wrong."""

    name: str
    day: float = 0.0
    phi: float = 0.0
    heavy: bool = False
    season: float = 0.0
    annual: float = 0.0
    holiday: float = 0.0


WORLDS = {
    world.name: world
    for world in (
        World("iid"),
        World("week and AR(1)", day=DAY, phi=PHI, season=SEASON),
        World("t(4) days", day=DAY, heavy=True, season=SEASON),
        World("year and holidays", day=DAY, phi=PHI, season=SEASON, annual=ANNUAL, holiday=HOLIDAY),
    )
}


def correlated(rng: np.random.Generator, days: int, series: int, world: World) -> np.ndarray:
    """Day effects [days, series] of standard deviation 1, half of their variance in common."""
    noise = (
        rng.standard_t(TAIL, (days + 50, series + 1)) / 2**0.5
        if world.heavy
        else rng.standard_normal((days + 50, series + 1))
    )
    for day in range(1, len(noise)):
        noise[day] = world.phi * noise[day - 1] + (1 - world.phi**2) ** 0.5 * noise[day]
    common, own = noise[50:, :1], noise[50:, 1:]
    return SHARED**0.5 * common + (1 - SHARED) ** 0.5 * own


class Table:
    """A replicate: every day's rows, the same whenever they are asked for.

    ``holidays`` are days on which four columns move; whether a monitor knows of them is its own matter.
    """

    def __init__(self, world: World, rows: int, seed: int, holidays: Collection[date] = ()) -> None:
        self.rows, self.seed = rows, seed
        rng = np.random.default_rng([seed, rows, *world.name.encode()])
        first = FIRST + timedelta(days=int(rng.integers(365)))
        self.days = [first + timedelta(days=number) for number in range(HISTORY + YEAR)]
        self.holiday = np.array([day in holidays for day in self.days])
        self.codes = {name: (*world.name.encode(), 256 + number) for number, name in enumerate(COLUMNS)}
        weekday = np.array([day.weekday() for day in self.days])
        phase = np.array([day.toordinal() for day in self.days]) * 2 * np.pi / 365.25
        widths = [1] * len(SHAPES) + list(LEVELS.values())
        nullable = list(NULLS)
        moves = correlated(rng, len(self.days), sum(widths) + len(nullable), world) * world.day
        moves += rng.uniform(-world.season, world.season, (7, moves.shape[1]))[weekday] / 2
        moves += world.annual * np.sin(phase[:, None] + rng.uniform(0, 2 * np.pi, moves.shape[1]))
        own = np.split(moves, np.cumsum(widths), axis=1)
        sign = rng.choice([-1, 1], len(COLUMNS))
        self.moves = dict(zip(COLUMNS, own, strict=False))
        self.null_moves = dict(zip(nullable, own[-1].T, strict=True))
        for number, name in enumerate(COLUMNS):
            if name in FESTIVE:
                self.moves[name][self.holiday, 0] += sign[number] * world.holiday

    def values(self, column: str, day: int) -> np.ndarray:
        """The day's values: floats, NaN for null; of a category the number of the level, -1 for null."""
        rng = np.random.default_rng([self.seed, self.rows, day, *self.codes[column]])
        moves = self.moves[column][day]
        if column in SHAPES:
            values = SHAPES[column](moves[0] + rng.standard_normal(self.rows))
        else:
            logits = weights(LEVELS[column]) + moves
            shares = special.softmax(logits)
            values = np.repeat(np.arange(len(shares)), rng.multinomial(self.rows, shares))
        if column in NULLS:
            share = special.expit(special.logit(NULLS[column]) + self.null_moves[column][day])
            values = with_nulls(values, rng, share)
        return values


def with_nulls(values: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    values[rng.random(len(values)) < share] = -1 if values.dtype.kind == "i" else np.nan
    return values


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def moved(column: str, spreads: float) -> Change:
    return lambda values, rng: values + spreads * SPREAD[column]


def kilograms(share: float) -> Change:
    return lambda values, rng: np.where(rng.random(len(values)) < share, values / 1000, values)


def nulls(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return with_nulls(values.copy(), rng, 0.05)


def mixed(column: str) -> Change:
    """Ten points of all rows go from the most frequent level to another: of two the other, of more the
    third."""
    shares = special.softmax(weights(LEVELS[column]))
    share, other = 0.1 / shares[0], min(2, len(shares) - 1)
    return lambda values, rng: np.where((values == 0) & (rng.random(len(values)) < share), other, values)


INJECTIONS: dict[str, dict[str, Change]] = {
    "0.25 sd": {name: moved(name, 0.25) for name in CONTINUOUS},
    "0.5 sd": {name: moved(name, 0.5) for name in CONTINUOUS},
    "1 sd": {name: moved(name, 1.0) for name in CONTINUOUS},
    "g to kg": {"weight_g": kilograms(1.0)},
    "g to kg, 10%": {"weight_g": kilograms(0.1)},
    "nulls 5%": dict.fromkeys(("temperature", "percent", "service"), nulls),
    "mix 10 points": {name: mixed(name) for name in LEVELS},
}
"""What goes wrong, and in which columns, which take turns."""


def injected(table: Table, injection: str, column: str, day: int) -> np.ndarray:
    rng = np.random.default_rng([table.seed, table.rows, day, *injection.encode()])
    return INJECTIONS[injection][column](table.values(column, day), rng)
