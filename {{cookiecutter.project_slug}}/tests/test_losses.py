"""What predictions were off by, day by day and slice by slice: kept, and worked out anew when it has changed."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from {{cookiecutter.package_name}} import sample_upstream
from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.operations import losses
from {{cookiecutter.package_name}}.operations.ledger import Ledger
from {{cookiecutter.package_name}}.operations.losses import Losses
from {{cookiecutter.package_name}}.operations.score import champion, opened

from conftest import LAST, Project

D = LAST + timedelta(days=1)
DUE = D - timedelta(days=5)
"""The day whose labels are complete with those of D."""


def off_by(project: Project, day: date) -> Losses:
    operations = load_operations(project.paths.operations)
    version = champion(project.paths, operations)
    assert version is not None
    loaded = opened(version, project.paths, operations)
    return losses.losses(day, operations, Store(project.paths), loaded, Ledger(project.paths, operations).storage)


@pytest.fixture
def matured(promoted: Project) -> Project:
    """A project whose run of D has judged DUE."""
    for day in (DUE, D):
        assert promoted.ml("run", "--date", str(day)).code == 0
    return promoted


def test_they_are_the_mean_of_what_each_row_was_off_by(matured: Project) -> None:
    store = Store(matured.paths)
    truth = pl.concat(store.read("deliveries", DUE + timedelta(days=n)) for n in range(6))
    rows = store.read("parcels", DUE).join(truth, on="parcel_id")
    rows = rows.join(store.read("predictions/hours", DUE), on="parcel_id", suffix="_predicted")
    rows = rows.with_columns(off=(pl.col("delivered_hours") - pl.col("delivered_hours_predicted")).abs())
    said = off_by(matured, DUE)
    assert (said.metric, said.model_version) == ("mae", "hours/1")
    by_slice = {loss.slice: loss for loss in said.losses}
    assert by_slice[None].rows == rows.height
    assert by_slice[None].mean == pytest.approx(rows["off"].mean())
    assert by_slice[None].sd == pytest.approx(rows["off"].std(ddof=0))
    quick = rows.filter(pl.col("service") == "express")
    assert by_slice["service=express"].rows == quick.height
    assert by_slice["service=express"].mean == pytest.approx(quick["off"].mean())
    assert {name.partition("=")[0] for name in by_slice if name} == {"service"}


def test_labels_that_come_again_change_them(matured: Project) -> None:
    """Upstream corrects what it delivered for the day after: everything took ten hours longer."""
    before = off_by(matured, DUE)
    day = DUE + timedelta(days=1)
    matured.edit("operations.yaml", "sample: true", "sample: false")
    longer = (pl.col("delivered_hours") + 10).clip(upper_bound=119).alias("delivered_hours")
    matured.drop("parcels", day, sample_upstream.table("parcels", day))
    matured.drop("deliveries", day, sample_upstream.table("deliveries", day).with_columns(longer))
    assert matured.ml("run", "--date", str(day)).code == 0
    after = off_by(matured, DUE)
    assert abs(after.losses[0].mean - before.losses[0].mean) > 1


def test_what_cannot_be_read_is_worked_out_anew(matured: Project) -> None:
    before = off_by(matured, DUE)
    kept = matured.paths.root / "var" / "ledger" / "monitor" / "losses" / f"{DUE}.json"
    assert kept.exists()
    kept.write_text("{", encoding="utf-8")
    assert off_by(matured, DUE) == before


def test_a_day_that_nothing_was_predicted_for_has_none(matured: Project) -> None:
    assert off_by(matured, DUE + timedelta(days=1)).losses == []


def test_a_day_whose_labels_are_under_way_has_none_yet_and_keeps_nothing(matured: Project) -> None:
    assert off_by(matured, D).losses == []
    assert not (matured.paths.root / "var" / "ledger" / "monitor" / "losses" / f"{D}.json").exists()
