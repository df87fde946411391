"""The sample upstream: the same for the same day, learnable, and never perfectly."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from {{cookiecutter.package_name}}.clock import days
from {{cookiecutter.package_name}}.sample_upstream import deliver, table

from conftest import LAST, Project

DAY = date(2026, 5, 18)


@pytest.mark.parametrize("name", ["parcels", "deliveries"])
def test_a_day_is_delivered_with_the_same_bytes_every_time(tmp_path: Path, name: str) -> None:
    for copy in ("first", "second"):
        deliver(name, DAY, tmp_path / copy)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    deliver(name, DAY + timedelta(days=7), tmp_path / "later")
    assert (tmp_path / "later").read_bytes() != (tmp_path / "first").read_bytes()


def test_a_week_has_its_season_and_about_two_thousand_rows_a_day() -> None:
    rows = [table("parcels", day).height for day in days(DAY, DAY + timedelta(days=6))]
    assert 1_800 < sum(rows) / 7 < 2_300
    assert min(rows[:5]) > 1.1 * max(rows[5:]), "depots hand in less on weekends"


def test_every_parcel_is_delivered_once_and_within_five_days() -> None:
    handed_in = set(table("parcels", DAY)["parcel_id"])
    arrivals = [table("deliveries", DAY + timedelta(days=after)) for after in range(7)]
    ours = [frame.filter(pl.col("parcel_id").is_in(handed_in))["parcel_id"].to_list() for frame in arrivals]
    assert sorted(id for day in ours for id in day) == sorted(handed_in)
    assert ours[0] and not ours[6]


def test_there_are_nulls_categories_and_flags_to_handle() -> None:
    frame = table("parcels", DAY)
    assert 0.04 < frame["customer_age_days"].null_count() / frame.height < 0.12
    assert frame["depot"].n_unique() == 6 and frame["service"].n_unique() == 3
    assert 0 < int(frame["fragile"].sum()) < frame.height


def test_a_model_beats_the_promise_clearly_and_stays_far_from_perfect(shared_trained: Project) -> None:
    listed = shared_trained.ml("versions", "--json").json["versions"][0]
    assert listed["window"]["as_of"] == str(LAST)
    assert 0.1 < listed["metrics"]["skill"] < 0.5
    assert listed["metrics"]["mae"] > 5, "noise of 22% on every parcel cannot be learned"
    late = shared_trained.ml("versions", "--model", "late", "--json").json["versions"][0]
    assert 0.6 < late["metrics"]["auc"] < 0.9
