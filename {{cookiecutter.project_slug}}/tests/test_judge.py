"""What is said of a day: pages, tickets and the rest, in words, with the picture's data."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest

from {{cookiecutter.package_name}}.monitoring.evidence import (
    REACH,
    SHOWN,
    Thresholds,
    Values,
    evidence,
)
from {{cookiecutter.package_name}}.monitoring.judge import judge
from {{cookiecutter.package_name}}.monitoring.monitor import Monitor, Observed
from {{cookiecutter.package_name}}.monitoring.report import Finding

DAY = date(2026, 5, 20)
THRESHOLDS = Thresholds(3.0, 5.0)
MEAN = Monitor(
    name="t.weight.mean", code="DRIFT001", table="t", measure="mean", scale="sigma", column="weight", slow=True
)
NULLS = Monitor(name="t.age.nulls", code="DRIFT003", table="t", measure="nulls", scale="nulls", column="age", slow=True)
SHARE = Monitor(
    name="t.depot.share=north", code="DRIFT004", table="t", measure="share of north", scale="share", column="depot"
)
SPREAD = Monitor(name="t.weight.spread", code="DRIFT002", table="t", measure="spread", scale="spread", column="weight")
ERROR = Monitor(
    name="hours.mae", code="PERF001", table="hours", measure="mae", scale="plain", unit="h", floor=0.1, worse=True
)


def series(monitor: Monitor, *last: float, sd: float = 0.05, days: int = REACH, level: float = 0.0) -> Values:
    """``days`` quiet days up to DAY, then the ``last`` of them as given."""
    quiet = level + sd * np.random.default_rng(days).normal(size=days - len(last))
    return {
        DAY - timedelta(days=days - 1 - back): {monitor.name: Observed(float(value), 0.01)}
        for back, value in enumerate([*quiet, *last])
    }


def said(monitor: Monitor, observed: Values, *, armed: bool = True, **options: object) -> list[Finding]:
    masked = options.pop("masked", None)
    return judge(evidence(DAY, [monitor], observed, THRESHOLDS, masked), armed=armed, **options)


def test_a_quiet_day_is_ok_and_shows_what_was_expected() -> None:
    (found,) = said(MEAN, series(MEAN, 0.01))
    assert (found.outcome, found.code, found.monitor, found.since) == ("ok", "DRIFT001", "t.weight.mean", None)
    assert found.low < found.observed < found.high
    assert found.unit == "σ"
    assert found.said.startswith("weight mean +0.01 σ, expected -0.")
    assert len(found.series.days) == SHOWN == len(found.series.values) == len(found.series.low)
    assert found.series.days[-1] == DAY
    assert None not in found.series.low


@pytest.mark.parametrize(
    ("last", "outcome", "since"),
    [
        ([0.8], "page", 0),  # once, and far
        ([0.22], "ok", 0),  # once, and not far enough
        ([0.22, 0.22], "page", 1),
        ([0.22, 0.0, 0.22], "page", 0),
        ([0.22, -0.22], "ok", 0),  # not on the same side
        ([0.22, 0.0], "ok", None),  # over
        ([0.22, 0.22, 0.22], "page", 2),
    ],
)
def test_out_far_or_for_the_second_time(last: list[float], outcome: str, since: int | None) -> None:
    (found,) = said(MEAN, series(MEAN, *last))
    assert found.outcome == outcome
    assert found.since == (None if since is None else DAY - timedelta(days=since))


def test_what_is_certain_and_does_not_matter_is_ok() -> None:
    (found,) = said(MEAN, series(MEAN, 0.05, sd=0.001))
    assert found.z is not None
    assert found.z > 4
    assert found.outcome == "ok"
    assert found.high >= 0.1 - 0.01  # the range that people see says so, too


def test_an_unarmed_pager_makes_tickets() -> None:
    (found,) = said(MEAN, series(MEAN, 0.8), armed=False)
    assert found.outcome == "ticket"


def test_shares_and_spreads_are_told_in_percent() -> None:
    (nulls,) = said(NULLS, series(NULLS, math.sqrt(0.05), sd=0.01, level=math.sqrt(0.01)))
    assert nulls.outcome == "page"
    assert nulls.observed == pytest.approx(5.0)
    assert nulls.said.startswith("age nulls 5.0%, expected 0.")
    (north,) = said(SHARE, series(SHARE, math.asin(math.sqrt(0.4)), sd=0.01, level=math.asin(math.sqrt(0.3))))
    assert (north.outcome, north.unit) == ("page", "%")
    assert north.said.startswith("depot share of north 40.0%, expected 2")
    (spread,) = said(SPREAD, series(SPREAD, math.log(0.01), sd=0.03))
    assert spread.outcome == "page"
    assert spread.said.startswith("weight spread 1.0%, expected ")


def test_an_error_pages_only_when_it_grows() -> None:
    (worse,) = said(ERROR, series(ERROR, 9.0, sd=0.1, level=7.0), version="hours/3")
    assert (worse.outcome, worse.unit, worse.low, worse.model_version) == ("page", "h", None, "hours/3")
    assert worse.said.startswith("mae 9 h, expected up to 7.")
    (better,) = said(ERROR, series(ERROR, 5.0, sd=0.1, level=7.0))
    assert better.outcome == "ok"


def test_words_that_people_know_stand_beside_the_figure() -> None:
    observed = dict(series(MEAN, -3.0))
    observed[DAY] = {MEAN.name: Observed(-3.0, 0.01, "median 1.85 g")}
    week_ago = DAY - timedelta(days=7)
    observed[week_ago] = {MEAN.name: Observed(0.0, 0.01, "median 1,850 g")}
    (found, *_) = said(MEAN, observed)
    assert "(median 1.85 g), expected" in found.said
    assert found.said.endswith(f"; median 1,850 g on {week_ago}")


def test_a_young_monitor_is_learning_and_says_how_long() -> None:
    (found,) = said(MEAN, series(MEAN, days=20))
    assert (found.outcome, found.z) == ("learning", None)
    assert found.said.endswith("learning, 15 days to go")
    (found,) = said(MEAN, series(MEAN, days=34))
    assert found.said.endswith("learning, 1 days to go")
    assert said(MEAN, series(MEAN, days=35))[0].outcome == "ok"


def test_a_holiday_is_not_judged_and_is_in_no_history() -> None:
    holiday = {DAY: "Ascension Day"}
    (found,) = said(MEAN, series(MEAN, 5.0), masked=holiday)
    assert found.outcome == "not applicable"
    assert found.said.endswith("not judged: Ascension Day")
    yesterday = {DAY - timedelta(days=1): "a strike"}
    (found,) = said(MEAN, series(MEAN, 0.22, 0.22), masked=yesterday)
    assert found.outcome == "ok"  # the first time, on a day that counts


def test_a_monitor_without_a_figure_is_a_ticket_of_its_column() -> None:
    observed = dict(series(MEAN))
    observed[DAY] = {}
    lost, ticket = said(MEAN, observed)
    assert lost.outcome == "not applicable"
    assert (ticket.code, ticket.outcome, ticket.monitor, ticket.column) == ("MON001", "ticket", "t.weight", "weight")
    assert "no figure for mean" in ticket.said
    never = {day: {} for day in observed}
    assert [found.outcome for found in said(MEAN, never)] == ["not applicable"]


def test_infinities_are_no_figures() -> None:
    observed = dict(series(MEAN))
    observed[DAY] = {MEAN.name: Observed(math.inf, 0.01)}
    assert [found.code for found in said(MEAN, observed)] == ["DRIFT001", "MON001"]


def test_a_history_with_gaps_judges_with_what_there_is() -> None:
    gaps = {day: row for day, row in series(MEAN, 0.8).items() if day == DAY or day.toordinal() % 3}
    (found,) = said(MEAN, gaps)
    assert found.outcome == "page"
    assert None in found.series.values
    sparse = {day: row for day, row in series(MEAN, 0.8).items() if day == DAY or day.toordinal() % 3 == 0}
    assert said(MEAN, sparse)[0].outcome == "learning"


def test_a_false_page_raises_its_monitors_thresholds() -> None:
    raised = Thresholds(3.0, 5.0, {MEAN.name: (12.0, 20.0)})
    observed = series(MEAN, 0.8)
    assert judge(evidence(DAY, [MEAN], observed, THRESHOLDS), armed=True)[0].outcome == "page"
    assert judge(evidence(DAY, [MEAN], observed, raised), armed=True)[0].outcome == "ok"


def test_slow_drift_is_told_by_the_reference() -> None:
    """A hundredth of an sd a day stands out on no day, and is a third of an sd after a month."""
    slow = {day: {MEAN.name: Observed(0.004 * at, 0.05)} for at, day in enumerate(sorted(series(MEAN)))}
    daily, ticket = said(MEAN, slow, references={MEAN.name: 0.0})
    assert (ticket.code, ticket.outcome, ticket.monitor) == ("DRIFT007", "ticket", "t.weight.mean.28d")
    assert ticket.said == "weight mean: +0.42 σ on average of 28 days, +0.00 σ in the reference"
    assert daily.outcome != "page"
    assert len(said(MEAN, slow, references={MEAN.name: 0.4})) == 1
    assert len(said(MEAN, slow)) == 1


def test_nothing_watched_is_nothing_said() -> None:
    assert judge(evidence(DAY, [], {}, THRESHOLDS), armed=True) == []
