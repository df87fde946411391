"""Bad deliveries through `ml ingest`: what is said, where they are kept, and that nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from {{cookiecutter.package_name}} import sample_upstream
from {{cookiecutter.package_name}}.clock import now

from conftest import DAY, FIRST, Project

PARCELS = sample_upstream.table("parcels", DAY)
DELIVERIES = sample_upstream.table("deliveries", DAY)
ROW = pl.int_range(pl.len())


def first(rows: int, column: str, value: Any) -> pl.DataFrame:
    """The day's parcels with ``value`` in the first rows of one column."""
    return PARCELS.with_columns(pl.when(rows > ROW).then(value).otherwise(pl.col(column)).alias(column))


@dataclass(frozen=True)
class Case:
    """A broken delivery of parcels, and the one violation it must be refused with. ``rows`` 0: not a matter of rows."""

    broken: Callable[[], pl.DataFrame]
    column: str
    rule: str
    expected: str
    observed: str
    rows: int = 0
    hint: str | None = None
    further: list[tuple[str, str]] = field(default_factory=list)
    """Column and rule of the violations that come with it."""


def moved(hours: int) -> pl.DataFrame:
    return PARCELS.with_columns(pl.col("created_at") + pl.duration(hours=hours))


YESTERDAY = sample_upstream.table("parcels", DAY - timedelta(days=1))
LATE = PARCELS.filter(pl.col("created_at").dt.hour() >= 22).height
CASES = {
    "renamed column": Case(
        lambda: PARCELS.rename({"distance_km": "dist_km"}),
        "distance_km", "column", "a column distance_km", "dist_km", hint="renamed to dist_km?",
    ),
    "missing column": Case(lambda: PARCELS.drop("fragile"), "fragile", "column", "a column fragile", "parcel_id, "),
    "extra column": Case(
        lambda: PARCELS.with_columns(vip=True),
        "vip", "column", "no such column", "an unknown column vip", hint="add it to contract.py",
    ),
    "number as text": Case(
        lambda: PARCELS.with_columns(pl.col("weight_g").cast(pl.String)),
        "weight_g", "type", "Float64", "String, for example '", len(PARCELS), "parse it upstream",
    ),
    "number as integer": Case(
        lambda: PARCELS.with_columns(pl.col("promised_hours").cast(pl.Int32)),
        "promised_hours", "type", "Float64", "Int32, for example ", len(PARCELS),
    ),
    "flag as number": Case(
        lambda: PARCELS.with_columns(pl.col("fragile").cast(pl.Int8)),
        "fragile", "type", "Bool", "Int8", len(PARCELS),
    ),
    "time without zone": Case(
        lambda: PARCELS.with_columns(pl.col("created_at").dt.replace_time_zone(None)),
        "created_at", "type", "UTC", "time_zone=None", len(PARCELS), "which zone",
    ),
    "time in another zone": Case(
        lambda: PARCELS.with_columns(pl.col("created_at").dt.convert_time_zone("Europe/Berlin")),
        "created_at", "type", "UTC", "Europe/Berlin", len(PARCELS), "zone",
    ),
    "null": Case(lambda: first(3, "weight_g", None), "weight_g", "no nulls", "1 to 70000 g", "3 nulls", 3),
    "null time": Case(lambda: first(3, "created_at", None), "created_at", "no nulls", "time with zone", "3 nulls", 3),
    "null level": Case(lambda: first(3, "service", None), "service", "no nulls", "express, standard", "3 nulls", 3),
    "NaN": Case(
        lambda: first(4, "distance_km", float("nan")), "distance_km", "no NaN", "0.1 to 3000 km", "4 NaN", 4,
    ),
    "infinity": Case(
        lambda: first(2, "distance_km", float("inf")), "distance_km", "no infinity", "0.1 to 3000 km", "inf", 2,
        further=[("distance_km", "not above the maximum")],
    ),
    "above its range": Case(
        lambda: first(2, "weight_g", 90_000.0),
        "weight_g", "not above the maximum", "number, 1 to 70000 g", "90000.0 to 90000.0", 2,
    ),
    "below its range": Case(
        lambda: first(2, "customer_age_days", -1.0),
        "customer_age_days", "not below the minimum", "number, 0 to 20000 d or null", "-1.0 to -1.0", 2,
    ),
    "empty text": Case(lambda: first(2, "depot", pl.lit("")), "depot", "min_length", "1 to 40", "", 2),
    "kilograms": Case(
        lambda: PARCELS.with_columns(pl.col("weight_g") / 1000),
        "weight_g", "quantile 0.5", "at least 400 and at most 5000 g", "1.", hint="kilograms as grams?",
        further=[("weight_g", "quantile 0.05")],
    ),
    "kilograms in one row of ten": Case(
        lambda: PARCELS.with_columns(pl.when(ROW % 10 == 0).then(pl.col("weight_g") / 1000).otherwise("weight_g")),
        "weight_g", "quantile 0.05", "at least 30 g", " g",
    ),
    "new level of a closed category": Case(
        lambda: first(5, "service", pl.lit("overnight")),
        "service", "allowed", "one of express, standard, economy", "overnight", 5, "a new level?",
    ),
    "another spelling": Case(
        lambda: PARCELS.with_columns(pl.col("service").str.to_titlecase()),
        "service", "allowed", "one of express", "Standard, ", len(PARCELS), "another spelling of standard?",
    ),
    "unseen levels beyond their share": Case(
        lambda: first(150, "depot", pl.lit("canal")),
        "depot", "unseen", "at most 5.0% of rows outside north", "6.8% of rows, most 'canal'", 150, "add it to known",
    ),
    "local time": Case(
        lambda: moved(2),
        "created_at", "partition", "times on 2026-05-20 UTC", "2026-05-21 00:0", LATE, "local time written as UTC?",
    ),
    "yesterday's file again": Case(
        lambda: YESTERDAY,
        "created_at", "partition", "times on 2026-05-20 UTC", "2026-05-19 ", YESTERDAY.height,
        "the delivery of 2026-05-19 again?",
    ),
    "duplicate keys": Case(
        lambda: pl.concat([PARCELS, PARCELS.head(3)]),
        "parcel_id", "unique", "every key once", "20260520-00000", 6, "delivered twice?",
    ),
    "empty table": Case(lambda: PARCELS.clear(), "", "rows", "at least one row", "an empty table", hint="on no data?"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_broken_delivery_is_refused_whole_and_explained(case: Case, with_day: Project) -> None:
    before = with_day.tree("data/partitions")
    broken = case.broken()
    delivered = with_day.drop("parcels", DAY, broken)

    ran = with_day.ml("ingest", "--date", str(DAY))

    assert ran.code == 3
    assert f"parcels {DAY} breaks contract version 1 ({len(broken)} rows):" in ran.err
    assert "the partition that was there before is untouched" in ran.err
    assert with_day.tree("data/partitions") == before
    report = quarantined(with_day, delivered)
    said = [item for item in report["violations"] if (item["column"], item["rule"]) == (case.column, case.rule)]
    others = [(item["column"], item["rule"]) for item in report["violations"] if item not in said]
    assert len(said) == 1, report["violations"]
    assert others == case.further
    violation = said[0]
    assert case.expected in violation["expected"]
    assert case.observed in violation["observed"]
    assert violation["rows"] == case.rows
    assert (case.hint or "") in (violation["hint"] or "")
    where = f"{case.column}: " if case.column else ""
    count = f" in {case.rows} rows" if case.rows else ""
    assert f"  {where}{case.rule}{count}: expected {violation['expected']}, observed " in ran.err


def quarantined(project: Project, delivered: bytes, table: str = "parcels") -> dict[str, Any]:
    """The report of the one delivery in quarantine, which must hold exactly what was delivered."""
    (folder,) = (project.quarantine / table).iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["delivery.parquet", "report.json"]
    assert (folder / "delivery.parquet").read_bytes() == delivered
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert (report["table"], report["partition"], report["contract_version"]) == (table, str(DAY), "1")
    return report


@pytest.mark.parametrize(
    "content",
    [b"", b"parcel_id,created_at,depot\n1,2026-05-20,north\n", None],
    ids=["no bytes at all", "a text file", "cut off in transfer"],
)
def test_a_delivery_that_is_no_table_is_kept_and_refused(content: bytes | None, with_day: Project) -> None:
    before = with_day.tree("data/partitions")
    if content is None:
        whole = with_day.drop("parcels", DAY, PARCELS)
        content = whole[: len(whole) // 2]
    with_day.drop("parcels", DAY, content)

    ran = with_day.ml("ingest", "--date", str(DAY))

    assert ran.code == 3
    assert "readable: expected a complete file" in ran.err
    assert f"observed {len(content)} bytes" in ran.err
    assert "cut off in transfer?" in ran.err
    assert quarantined(with_day, content)["rows"] == 0
    assert with_day.tree("data/partitions") == before


def test_a_delivery_that_is_not_there_yet_is_late_and_not_bad(project: Project) -> None:
    project.edit("operations.yaml", "sample: true", "sample: false")
    ran = project.ml("ingest", "--date", str(DAY))
    assert ran.code == 4
    assert f"parcels {DAY} is not there yet: looked for data/upstream/parcels/{DAY}.parquet" in ran.err
    assert "retry later, or ask the upstream team" in ran.err
    assert project.tree() == {}


def test_a_day_that_is_not_over_is_late_even_for_the_sample(project: Project) -> None:
    today = now().date()
    ran = project.ml("ingest", "--date", str(today))
    assert ran.code == 4
    assert f"that day ends at {today + timedelta(days=1)} 00:00 UTC" in ran.err


def test_one_table_refused_and_one_late_exits_with_the_refusal(project: Project) -> None:
    project.edit("operations.yaml", "sample: true", "sample: false")
    project.drop("parcels", DAY, PARCELS.clear())
    ran = project.ml("ingest", "--date", str(DAY))
    assert ran.code == 3
    assert "deliveries 2026-05-20 is not there yet" in ran.err


def test_a_refused_table_does_not_keep_the_other_one_out(project: Project) -> None:
    project.drop("parcels", DAY, PARCELS.drop("depot"))
    ran = project.ml("ingest", "--date", str(DAY))
    assert ran.code == 3
    assert "1 partitions in force" in ran.out
    assert not list(project.partitions.glob("parcels/*"))
    assert len(list(project.partitions.glob("deliveries/*.parquet"))) == 1


def test_everything_that_is_wrong_is_said_at_once_each_with_its_own_rows(with_day: Project) -> None:
    broken = first(2, "weight_g", 90_000.0).with_columns(
        distance_km=pl.when(ROW == 5).then(-4.0).otherwise("distance_km"),
        promised_hours=pl.when(ROW == 7).then(None).otherwise("promised_hours"),
    )
    delivered = with_day.drop("parcels", DAY, broken)
    assert with_day.ml("ingest", "--date", str(DAY)).code == 3
    said = {item["column"]: (item["observed"], item["rows"]) for item in quarantined(with_day, delivered)["violations"]}
    assert said == {
        "weight_g": ("90000.0 to 90000.0", 2),
        "distance_km": ("-4.0 to -4.0", 1),
        "promised_hours": ("1 nulls", 1),
    }


def test_unseen_levels_within_their_share_are_taken(with_day: Project) -> None:
    with_day.drop("parcels", DAY, first(100, "depot", pl.lit("canal")))
    assert with_day.ml("ingest", "--date", str(DAY)).code == 0
    assert not with_day.quarantine.exists()


def test_columns_in_another_order_change_nothing(with_day: Project) -> None:
    before = partition_bytes(with_day)
    with_day.drop("parcels", DAY, PARCELS.select(PARCELS.columns[::-1]))
    assert with_day.ml("ingest", "--date", str(DAY)).code == 0
    assert partition_bytes(with_day) == before


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["economy", "express", "standard"])])
def test_categories_encoded_by_upstream_give_the_same_partition(dtype: Any, with_day: Project) -> None:
    before = partition_bytes(with_day)
    with_day.drop("parcels", DAY, PARCELS.with_columns(pl.col("service").cast(dtype)))
    assert with_day.ml("ingest", "--date", str(DAY)).code == 0
    assert partition_bytes(with_day) == before


def partition_bytes(project: Project) -> list[bytes]:
    return [path.read_bytes() for path in sorted(project.partitions.glob("parcels/*.parquet"))]


def too_slow(rows: int) -> pl.DataFrame:
    """Deliveries of which the first rows took longer than the contract allows."""
    return DELIVERIES.with_columns(delivered_hours=pl.when(rows > ROW).then(500.0).otherwise("delivered_hours"))


def test_rows_within_a_tolerated_share_are_set_aside_and_counted(with_day: Project) -> None:
    with_day.drop("deliveries", DAY, too_slow(5))
    ran = with_day.ml("ingest", "--date", str(DAY), "--json")
    assert ran.code == 0
    manifest = next(item for item in ran.json["partitions"] if item["table"] == "deliveries")
    assert manifest["rows_set_aside"] == {"delivered_hours|max": 5}
    assert manifest["rows"] == len(DELIVERIES) - 5
    (aside,) = with_day.quarantine.glob("deliveries/*/rows-set-aside.parquet")
    kept = pl.read_parquet(aside)
    assert kept["parcel_id"].to_list() == DELIVERIES["parcel_id"].head(5).to_list()
    assert kept["broken"].to_list() == [["delivered_hours|max"]] * 5
    assert "5 set aside" in with_day.ml("ingest", "--date", str(DAY)).out


def test_beyond_the_tolerated_share_the_whole_day_is_refused(with_day: Project) -> None:
    before = with_day.tree("data/partitions")
    delivered = with_day.drop("deliveries", DAY, too_slow(20))
    ran = with_day.ml("ingest", "--date", str(DAY))
    assert ran.code == 3
    (violation,) = quarantined(with_day, delivered, "deliveries")["violations"]
    assert (violation["rule"], violation["rows"]) == ("not above the maximum", 20)
    assert with_day.tree("data/partitions") == before


def test_a_rule_that_tolerates_nothing_refuses_beside_one_that_does(with_day: Project) -> None:
    broken = too_slow(5).with_columns(delivered_hours=pl.when(ROW == 9).then(None).otherwise("delivered_hours"))
    delivered = with_day.drop("deliveries", DAY, broken)
    assert with_day.ml("ingest", "--date", str(DAY)).code == 3
    assert [item["rule"] for item in quarantined(with_day, delivered, "deliveries")["violations"]] == ["no nulls"]


def test_a_good_redelivery_after_a_refusal_takes_force_and_the_report_stays(project: Project) -> None:
    delivered = project.drop("parcels", DAY, PARCELS.with_columns(pl.col("weight_g") / 1000))
    assert project.ml("ingest", "--date", str(DAY)).code == 3
    project.drop("parcels", DAY, PARCELS)
    ran = project.ml("ingest", "--date", str(DAY))
    assert ran.code == 0
    assert len(list(project.partitions.glob("parcels/*.parquet"))) == 1
    quarantined(project, delivered)


def test_a_delivery_refused_twice_is_kept_once(with_day: Project) -> None:
    with_day.drop("parcels", DAY, PARCELS.drop("depot"))
    with_day.ml("ingest", "--date", str(DAY))
    once = with_day.tree()
    with_day.ml("ingest", "--date", str(DAY))
    assert with_day.tree() == once


def test_a_refused_day_does_not_keep_the_others_of_a_range_out(project: Project) -> None:
    project.drop("parcels", FIRST, b"")
    ran = project.ml("ingest", "--from", str(FIRST), "--to", str(FIRST + timedelta(days=2)), "--json")
    assert ran.code == 3
    assert len(ran.json["partitions"]) == 5
    (failed,) = ran.json["failed"]
    assert f"parcels {FIRST} breaks contract version 1" in failed["message"]
    assert failed["exit"] == 3
    assert "untouched" in failed["hint"]
