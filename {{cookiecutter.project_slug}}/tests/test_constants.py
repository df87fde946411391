"""Thresholds: they follow from the project's own days, and keep the budget on days like those."""

from __future__ import annotations

import numpy as np
import pytest

from {{cookiecutter.package_name}}.monitoring.constants import Constants, derive
from {{cookiecutter.package_name}}.monitoring.rule import fires, pages, scores

SMALL = 400_000


def world(days: int, monitors: int, *, phi: float = 0.0, freedom: float = 0.0, seed: int = 0) -> np.ndarray:
    """Days of variance 1 that never change but for a weekly season."""
    rng = np.random.default_rng(seed)
    shape = (days, monitors)
    noise = rng.standard_t(freedom, shape) * np.sqrt((freedom - 2) / freedom) if freedom else rng.normal(size=shape)
    for day in range(1, days):
        noise[day] = phi * noise[day - 1] + np.sqrt(1 - phi**2) * noise[day]
    return noise + 2 * rng.normal(size=(7, monitors))[np.arange(days) % 7]


def quick(values: np.ndarray, floor: float = 0.0, **options: float) -> Constants:
    return derive(values, floor, amount=SMALL, **options)


def test_the_same_history_gives_the_same_thresholds() -> None:
    values = world(90, 20)
    assert quick(values) == quick(values)


def test_more_monitors_more_dependence_heavier_tails_and_a_smaller_budget_ask_for_more() -> None:
    few = quick(world(90, 10))
    assert (few.monitors, few.days, few.drift) == (10, 90, 0.0)
    assert 2.4 < few.c2 < 3.2
    assert 3.8 < few.big < 5.0
    assert quick(world(90, 200)).c2 > few.c2
    assert quick(world(90, 10, phi=0.6)).c2 > few.c2 + 0.4
    assert quick(world(90, 10, freedom=3)).big > few.big + 2
    assert quick(world(90, 10), budget=0.05).c2 > few.c2


def test_what_the_number_of_rows_explains_is_no_move_of_the_day() -> None:
    """Sampling noise is normal. Heavy tails of what little else there is matter less than if all were heavy."""
    values = world(90, 30)
    assert quick(values, 1.0).big < quick(world(90, 30, freedom=4)).big


def test_a_normal_that_moves_slowly_is_seen_in_ninety_days() -> None:
    rng = np.random.default_rng(7)
    season = 2.5 * np.sin(2 * np.pi * (np.arange(90)[:, None] / 365 + rng.random(40)))
    moving = quick(world(90, 40) + season)
    assert moving.drift > 0.2
    assert moving.c2 > quick(world(90, 40)).c2 + 0.2


@pytest.mark.parametrize("days", [35, 50, 120])
def test_few_days_are_enough_and_say_so(days: int) -> None:
    said = quick(world(days, 20))
    assert said.days == days
    assert 2.4 < said.c2 < 4.5
    assert 3.8 < said.big < 8.0


def test_monitors_that_never_move_count_for_nothing() -> None:
    values = world(90, 10)
    assert quick(np.hstack([values, np.zeros((90, 5))])).monitors == 10
    with pytest.raises(ValueError, match="28 days with values that differ"):
        quick(np.zeros((90, 5)))
    with pytest.raises(ValueError, match="28 days"):
        quick(np.full((90, 5), np.nan))


def test_gaps_and_holidays_are_no_obstacle() -> None:
    values = world(120, 20)
    values[40:55] = np.nan
    values[::13, 3] = np.nan
    usable = np.ones(values.shape, dtype=bool)
    values[70], usable[70] = 50.0, False
    said = derive(values, 0.0, usable, amount=SMALL)
    assert said.days == 104
    assert said.big < 6.5


@pytest.mark.slow
@pytest.mark.parametrize(("phi", "freedom", "most"), [(0.0, 0.0, 1.2), (0.5, 0.0, 1.2), (0.0, 4.0, 2.4)])
def test_quiet_years_page_as_often_as_the_budget_allows(phi: float, freedom: float, most: float) -> None:
    """Eight projects of 50 monitors, calibrated on 90 days, for ten years each: expected once a year, or less."""
    paged = 0
    for seed in range(8):
        values = world(90 + 3650, 50, phi=phi, freedom=freedom, seed=seed)
        said = derive(values[:90], amount=2_000_000)
        z = scores(values).z
        paged += pages(fires(z, np.isfinite(z), said.c2, said.big)[90:]).sum()
    assert 0.1 < paged / 80 < most
