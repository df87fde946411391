"""The frozen dataset: which days are in it, what refuses to be frozen, and that it is the same when built again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import date, timedelta

import dataframely as dy
import polars as pl
import pytest

from {{cookiecutter.package_name}}.config import DataConfig
from {{cookiecutter.package_name}}.contract import CONTRACT, Parcels
from {{cookiecutter.package_name}}.data.dataset import Dataset, Window, build, latest
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.spec import Contract

from conftest import FIRST, LAST, Project
from kill import Killed, moments

CONFIG = DataConfig(train_days=7, evaluation_weeks=1, minimum_evaluation_rows=1000)
DELAY = timedelta(days=CONTRACT.labels_complete_after)


def frozen(project: Project, contract: Contract = CONTRACT, as_of: date | None = None, **config: float) -> Dataset:
    return build(CONFIG.model_copy(update=config), contract, project.paths, as_of=as_of)


def refusal(project: Project, contract: Contract = CONTRACT, **arguments: float) -> ProjectError:
    before = project.tree("data/datasets")
    with pytest.raises(ProjectError) as refused:
        frozen(project, contract, **arguments)
    assert project.tree("data/datasets") == before
    return refused.value


def test_the_window_ends_when_labels_are_complete_and_train_ends_before_evaluation(ingested: Project) -> None:
    made = frozen(ingested)
    train, evaluation = made.split("train")["partition"], made.split("evaluation")["partition"]
    assert (evaluation.max(), evaluation.n_unique()) == (LAST - DELAY, 7)
    assert (train.min(), train.n_unique()) == (FIRST, 7)
    assert train.max() == evaluation.min() - timedelta(days=1)
    assert len(made.split("train")) + len(made.split("evaluation")) == len(made.frame)


@pytest.mark.parametrize(("train_days", "weeks"), [(1, 1), (28, 1), (10, 3)])
def test_the_two_stretches_adjoin_and_never_overlap(train_days: int, weeks: int) -> None:
    window = Window.ending(LAST, DataConfig(train_days=train_days, evaluation_weeks=weeks))
    assert (window.last - window.evaluation_first).days + 1 == 7 * weeks
    assert (window.evaluation_first - window.train_first).days == train_days


def test_a_row_is_in_the_split_of_the_day_it_was_made_on(ingested: Project) -> None:
    made = frozen(ingested)
    boundary = date.fromisoformat(made.origin["evaluation"][0])
    early = made.frame["created_at"].dt.date() < boundary
    assert (early == (made.frame["split"] == "train")).all()


def test_labels_that_arrived_after_the_day_asked_for_are_not_used(ingested: Project, tmp_path: str) -> None:
    as_of = LAST - timedelta(days=1)
    store = Store(ingested.paths)
    narrow = CONFIG.model_copy(update={"train_days": 6})
    known = build(narrow, CONTRACT, ingested.paths, as_of=as_of)
    assert known.origin["as_of"] == str(as_of)
    later = store.read("deliveries", LAST)
    assert known.frame.join(later, on="parcel_id", how="semi").is_empty()
    used = {item["partition"] for item in known.origin["partitions"] if item["table"] == "deliveries"}
    assert max(used) == str(as_of)


def test_a_label_delivered_twice_counts_as_delivered_last(ingested: Project) -> None:
    store = Store(ingested.paths)
    first = store.read("deliveries", FIRST + timedelta(days=3))
    row = first.filter(pl.col("parcel_id").str.starts_with(f"{FIRST:%Y%m%d}")).head(1)
    day = LAST - timedelta(days=1)
    corrected = row.with_columns(
        delivered_hours=pl.lit(77.0), delivered_at=pl.datetime(day.year, day.month, day.day, 3, time_zone="UTC")
    )
    ingested.drop("deliveries", day, pl.concat([store.read("deliveries", day), corrected]))
    assert ingested.ml("ingest", "--date", str(day)).code == 0
    made = frozen(ingested).frame.filter(pl.col("parcel_id") == row["parcel_id"][0])
    assert made["delivered_hours"].to_list() == [77.0]


def test_built_again_it_is_the_same_file(ingested: Project) -> None:
    once = frozen(ingested)
    files = ingested.tree("data/datasets")
    again = frozen(ingested)
    assert again.digest == once.digest
    assert ingested.tree("data/datasets") == files
    content = (ingested.paths.root / once.address).read_bytes()
    assert hashlib.sha256(content).hexdigest() == once.digest
    assert pl.read_parquet(ingested.paths.root / once.address).equals(once.frame)


def test_the_record_beside_it_names_every_partition_and_its_bytes(ingested: Project) -> None:
    made = frozen(ingested)
    record = json.loads((ingested.paths.root / made.address).with_suffix(".json").read_text(encoding="utf-8"))
    store = Store(ingested.paths)
    assert record["sha256"] == made.digest
    assert record["rows"] == len(made.frame)
    assert len(record["partitions"]) == 14 + 19
    for item in record["partitions"]:
        manifest = store.manifest(item["table"], date.fromisoformat(item["partition"]))
        assert manifest is not None
        assert manifest.sha256 == item["sha256"]


@pytest.mark.parametrize("table", ["parcels", "deliveries"])
def test_a_partition_that_changes_changes_the_digest(table: str, ingested: Project) -> None:
    before = frozen(ingested).digest
    day = FIRST + timedelta(days=3)
    frame = Store(ingested.paths).read(table, day)
    ingested.drop(table, day, frame.head(len(frame) - 1))
    assert ingested.ml("ingest", "--date", str(day)).code == 0
    assert frozen(ingested).digest != before


def test_days_that_are_missing_are_named_with_the_command_that_brings_them(ingested: Project) -> None:
    gaps = [FIRST + timedelta(days=n) for n in (2, 4)]
    for gap in gaps:
        (ingested.partitions / "parcels" / f"{gap}.json").unlink()
    error = refusal(ingested)
    assert error.exit is Exit.UNAVAILABLE
    assert error.message == f"2 partitions of the window are missing: parcels {gaps[0]}, parcels {gaps[1]}"
    assert error.hint == f"ml ingest --from {gaps[0]} --to {gaps[1]}"
    assert ingested.ml(*error.hint.split()[1:]).code == 0
    assert frozen(ingested)


def test_many_missing_days_are_counted(ingested: Project) -> None:
    error = refusal(ingested, train_days=28)
    assert "42 partitions of the window are missing" in error.message
    assert "and 38 more" in error.message
    assert error.exit is Exit.UNAVAILABLE


def test_without_data_the_first_command_is_shown(project: Project) -> None:
    with pytest.raises(ProjectError) as refused:
        latest(Store(project.paths), CONTRACT)
    assert refused.value.exit is Exit.UNAVAILABLE
    ran = project.ml("train", "--config", "configs/smoke.yaml")
    assert ran.code == 4
    assert "no data yet: no partition of deliveries" in ran.err
    assert "uv run ml ingest --from" in ran.err


def test_labels_that_stayed_away_refuse_the_training(ingested: Project) -> None:
    day = FIRST + timedelta(days=4)
    ingested.drop("deliveries", day, Store(ingested.paths).read("deliveries", day).head(100))
    assert ingested.ml("ingest", "--date", str(day)).code == 0
    error = refusal(ingested)
    assert error.exit is Exit.REFUSED
    assert "rows have no label though all were due by 2026-06-02: expected at most 5%" in error.message
    assert "data.unlabelled_share" in error.message
    made = frozen(ingested, unlabelled_share=0.5)
    assert made.origin["rows_without_label"] > 1_000
    assert made.frame["delivered_hours"].null_count() == 0


def test_too_few_rows_to_judge_on_is_a_matter_of_the_config(ingested: Project) -> None:
    error = refusal(ingested, minimum_evaluation_rows=50_000)
    assert error.exit is Exit.USAGE
    assert "labelled rows to evaluate on, data.minimum_evaluation_rows wants 50000" in error.message
    assert "raise data.evaluation_weeks" in (error.hint or "")


class Light(Parcels):
    """The contract of tomorrow, which takes light parcels only."""

    weight_g = dy.Float64(min=1, max=10_000)


def test_an_old_partition_that_breaks_the_contract_of_today_is_refused(ingested: Project) -> None:
    rows = dataclasses.replace(CONTRACT.rows, schema=Light)
    error = refusal(ingested, dataclasses.replace(CONTRACT, version="2", rows=rows))
    assert error.exit is Exit.REFUSED
    assert f"parcels {FIRST} breaks contract version 2" in error.message
    assert "weight_g: not above the maximum in " in error.message


def test_a_torn_partition_is_refused_with_the_command_that_mends_it(ingested: Project) -> None:
    path = next(ingested.partitions.glob(f"parcels/{FIRST}-*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    error = refusal(ingested)
    assert error.exit is Exit.REFUSED
    assert error.hint == f"ml ingest --date {FIRST}"


@pytest.mark.slow
def test_killed_at_any_moment_the_next_build_completes(ingested: Project, tmp_path) -> None:
    undisturbed = ingested.copy(tmp_path / "undisturbed")
    with moments(undisturbed.paths.root) as watch:
        frozen(undisturbed, train_days=1)
    assert watch.count >= 6
    for moment in range(1, watch.count + 1):
        died = ingested.copy(tmp_path / str(moment))
        with pytest.raises(Killed), moments(died.paths.root, at=moment):
            frozen(died, train_days=1)
        frozen(died, train_days=1)
        assert died.tree() == undisturbed.tree(), moment
