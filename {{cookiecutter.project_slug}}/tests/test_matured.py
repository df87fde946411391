"""Labels that came for a day, however many rows are joined at a time: each row's last one, or none."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from {{cookiecutter.package_name}}.contract import CONTRACT
from {{cookiecutter.package_name}}.data import matured
from {{cookiecutter.package_name}}.data.store import Store

from conftest import DAY, Project

LAST = DAY + timedelta(days=CONTRACT.labels_complete_after)
ABOUT = {"rows_set_aside": {}, "contract_version": "1", "source": "here", "source_sha256": "0"}


@pytest.fixture
def store(ingested: Project) -> Store:
    """Labels of DAY: some came again two days later with another value, and some rows have predictions."""
    store = Store(ingested.paths)
    rows, first, later = (
        store.read(table, day)
        for table, day in (
            ("parcels", DAY),
            ("deliveries", DAY + timedelta(days=1)),
            ("deliveries", DAY + timedelta(days=2)),
        )
    )
    again = first.join(rows, on="parcel_id", how="semi").head(20).with_columns(delivered_hours=pl.lit(100.0))
    assert len(again) == 20
    store.write("deliveries", DAY + timedelta(days=2), pl.concat([again, later]), **ABOUT)
    predictions = rows.select("parcel_id", delivered_hours=pl.int_range(pl.len()).cast(pl.Float64)).head(500)
    store.write("predictions/hours", DAY, predictions, **ABOUT)
    return store


def slowly(store: Store) -> list[tuple[float, float | None, float | None]]:
    """Promised hours, truth and prediction of every row, by dictionaries."""
    truth: dict[str, float] = {}
    for late in range(CONTRACT.labels_complete_after + 1):
        frame = store.read("deliveries", DAY + timedelta(days=late))
        truth |= dict(zip(frame["parcel_id"], frame["delivered_hours"], strict=True))
    made = store.read("predictions/hours", DAY)
    predicted = dict(zip(made["parcel_id"], made["delivered_hours"], strict=True))
    rows = store.read("parcels", DAY)
    keys = zip(rows["parcel_id"], rows["promised_hours"], strict=True)
    return [(promised, truth.get(key), predicted.get(key)) for key, promised in keys]


@pytest.mark.parametrize("at_once", [1_000_000, 300])
def test_every_row_has_the_label_that_came_last_and_its_prediction(
    at_once: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matured, "AT_ONCE", at_once)
    found = matured.matured(
        CONTRACT, DAY, "delivered_hours", store,
        also=["promised_hours"], predictions=("predictions/hours", "delivered_hours"),
    )  # fmt: skip
    assert found.columns == ["promised_hours", matured.TRUTH, matured.PREDICTED]
    wanted = pl.DataFrame(slowly(store), schema=found.schema, orient="row")
    assert found.filter(pl.col(matured.TRUTH) == 100).height == 20
    if at_once < len(found):
        found, wanted = found.sort(pl.all()), wanted.sort(pl.all())
    assert found.rows() == wanted.rows()


def test_a_target_may_need_columns_of_the_row(store: Store) -> None:
    found = matured.matured(CONTRACT, DAY, "late", store)
    wanted = [None if truth is None else truth > promised for promised, truth, _ in slowly(store)]
    assert found[matured.TRUTH].to_list() == wanted


def test_without_any_label_no_row_has_one(store: Store, ingested: Project) -> None:
    for path in ingested.partitions.glob("deliveries/*"):
        path.unlink()
    found = matured.matured(CONTRACT, DAY, "delivered_hours", store)
    assert found[matured.TRUTH].null_count() == len(found) > 0
