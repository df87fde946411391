"""The rule, beside the same thing written down day by day."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from scipy.stats import t as student

from {{cookiecutter.package_name}}.monitoring.rule import (
    as_normal,
    as_t,
    fires,
    pages,
    scores,
    twice,
)

DAYS = 80
Z = arrays(float, (12, 3), elements=st.one_of(st.floats(-8, 8), st.just(math.nan)))


def by_hand(values: np.ndarray, floors: np.ndarray, usable: np.ndarray, day: int) -> tuple[float, float, int] | None:
    """Expected, spread and degrees of freedom of one monitor's day; None where its history is too short."""
    seen = [at for at in range(day - 62, day - 6) if at >= 0 and usable[at] and np.isfinite(values[at])]
    weekdays = [[at for at in seen if (day - at) % 7 == weekday] for weekday in range(7)]
    same = weekdays[0]
    freedom = sum(len(found) - 1 for found in weekdays if found)
    if len(seen) < 28 or not same:
        return None
    squares = sum(np.var(values[found]) * len(found) for found in weekdays if found)
    usual = np.mean(floors[seen] ** 2)
    variance = max(squares / freedom + floors[day] ** 2 - usual, floors[day] ** 2)
    return float(np.mean(values[same])), math.sqrt(variance * (1 + 1 / len(same))), freedom


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.6), st.floats(0, 0.5), st.floats(-1e6, 1e6))
def test_days_are_judged_by_the_weekdays_of_the_eight_weeks_that_end_a_week_before(
    seed: int, lacking: float, noise: float, level: float
) -> None:
    rng = np.random.default_rng(seed)
    values = level + rng.normal(size=(DAYS, 2))
    values[rng.random((DAYS, 2)) < lacking] = np.nan
    usable, floors = rng.random((DAYS, 2)) > 0.1, noise * rng.random((DAYS, 2))
    said = scores(values, floors, usable)
    for day in range(DAYS):
        for at in range(2):
            wanted = by_hand(values[:, at], floors[:, at], usable[:, at], day)
            if wanted is None:
                assert math.isnan(said.z[day, at])
                continue
            expected, spread, freedom = wanted
            assert said.expected[day, at] == pytest.approx(expected, abs=1e-6)
            assert said.spread[day, at] == pytest.approx(spread, rel=1e-4, abs=1e-6)
            assert said.freedom[day, at] == freedom
            if np.isfinite(values[day, at]) and spread > 1e-3:
                t = (values[day, at] - expected) / spread
                likely = math.copysign(norm.isf(student.sf(abs(t), freedom)), t)
                assert said.z[day, at] == pytest.approx(likely, abs=0.05 + 0.02 * abs(likely))


def test_the_first_day_that_is_judged_is_the_thirty_fifth() -> None:
    z = scores(np.random.default_rng(1).normal(size=(40, 1))).z[:, 0]
    assert np.isnan(z[:34]).all()
    assert np.isfinite(z[34:]).all()


def test_a_step_is_far_out_for_a_week_and_the_new_normal_later() -> None:
    values = np.random.default_rng(2).normal(size=(160, 1))
    values[80:] += 10
    z = scores(values).z[:, 0]
    assert (z[80:87] > 5).all()
    assert np.abs(z[80 + 63 :]).max() < 4


def test_a_weekly_season_is_nothing_to_call_for() -> None:
    season = np.tile([0, 0, 0, 0, 5, 9, 9], 40)[:, None]
    z = scores(season + 0.1 * np.random.default_rng(3).normal(size=season.shape)).z
    assert np.nanmax(np.abs(z)) < 4.5


def test_a_constant_history_knows_its_value_and_nothing_else() -> None:
    values = np.full((70, 3), 5.0)
    values[-1] = [5.0, 5.001, 4.0]
    assert scores(values).z[-1].tolist() == [0.0, 99.0, -99.0]
    # with a sampling sd it is not so sure
    assert 0 < scores(values, 0.5).z[-1, 1] < 0.1


def test_a_day_with_few_rows_is_judged_by_what_few_rows_can_say() -> None:
    rng = np.random.default_rng(4)
    floors = np.full((90, 1), 0.02)
    values = 0.02 * rng.normal(size=(90, 1))
    floors[-1], values[-1] = 1.0, 1.5  # one row
    assert abs(scores(values, floors).z[-1, 0]) < 1.6
    assert abs(scores(values, np.full((90, 1), 0.02)).z[-1, 0]) > 10


def test_holidays_are_in_no_history() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(100, 1))
    usable = np.ones(values.shape, dtype=bool)
    values[60], usable[60] = 5.0, False
    masked, open_day = scores(values, usable=usable), scores(values)
    assert masked.spread[67:, 0].max() < open_day.spread[67:, 0].min()
    assert masked.z[60, 0] > 4  # whoever wants to look


def test_a_broken_day_is_in_no_history_either() -> None:
    values = np.random.default_rng(6).normal(size=(140, 1))
    quiet = scores(values)
    values[[60, 61, 73]] = [[100.0], [80.0], [30.0]]
    said = scores(values)
    assert (said.z[[60, 61, 73], 0] > 10).all()  # the first one hides none of the others
    later = slice(74, None)
    assert said.spread[later, 0] == pytest.approx(quiet.spread[later, 0], rel=0.1)


def test_a_season_that_begins_becomes_normal() -> None:
    values = np.random.default_rng(7).normal(size=(200, 1))
    values[63::7] += 20  # from now on every Sunday
    said = scores(values).z[:, 0]
    assert (said[63:77:7] > 8).all()
    assert np.abs(said[77:]).max() < 6  # twice is a habit
    assert np.abs(said[63 + 9 * 7 :]).max() < 5


@pytest.mark.parametrize("freedom", [15, 21, 30, 49])
def test_z_is_as_likely_as_students_t_was(freedom: int) -> None:
    t = np.array([0.5, 2.0, 3.5, 5.0, 8.0, 20.0])
    assert as_normal(t, freedom) == pytest.approx(norm.isf(student.sf(t, freedom)), abs=0.03)
    assert as_normal(-t, freedom) == pytest.approx(-as_normal(t, freedom))
    for one in (0.5, 3.0, 5.0):
        assert as_normal(as_t(one, np.array(freedom)), freedom) == pytest.approx(one)


@given(Z, st.floats(0.1, 4), st.floats(4, 8), arrays(bool, (12, 3)))
def test_a_monitor_fires_far_out_or_for_the_second_time_in_three_days(
    z: np.ndarray, c2: float, big: float, material: np.ndarray
) -> None:
    said = fires(z, material, c2, big)
    for day in range(12):
        for at in range(3):
            now = z[day, at]
            before = [z[day - back, at] for back in (1, 2) if day >= back]
            second = abs(now) > c2 and any(abs(was) > c2 and was * now > 0 for was in before)
            assert said[day, at] == bool(material[day, at] and (abs(now) > big or second))


def test_thresholds_may_differ_by_monitor() -> None:
    z = np.array([[0.0, 0.0], [6.0, 6.0]])
    assert fires(z, z > 1, np.array([3.0, 8.0]), np.array([5.0, 9.0]))[1].tolist() == [True, False]
    assert twice(np.array([[3.0], [0.0], [-4.0], [-2.0]]))[:, 0].tolist() == [0, 0, 0, 2]


@given(arrays(bool, (40, 2), elements=st.booleans()))
def test_nobody_is_called_twice_within_a_week(fired: np.ndarray) -> None:
    called = np.flatnonzero(pages(fired))
    assert (np.diff(called) >= 7).all()
    for day in np.flatnonzero(fired.any(axis=1)):
        assert any(0 <= day - call < 7 for call in called)


def test_histories_of_whole_weeks_only() -> None:
    with pytest.raises(ValueError, match="whole weeks"):
        scores(np.zeros((90, 1)), history=50)
