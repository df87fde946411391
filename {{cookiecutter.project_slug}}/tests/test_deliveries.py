"""What may be wrong with a file as such: broken anywhere, written to while it is read, or another day's again."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl
import pytest

from {{cookiecutter.package_name}} import contract, sample_upstream, source
from {{cookiecutter.package_name}}.contract import CONTRACT, Deliveries, Parcels
from {{cookiecutter.package_name}}.data import delivery, ingest, streams
from {{cookiecutter.package_name}}.data.delivery import Delivery
from {{cookiecutter.package_name}}.data.validation import Checked, check
from {{cookiecutter.package_name}}.data.violations import ContractViolated
from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.paths import Paths
from {{cookiecutter.package_name}}.spec import Table

from conftest import DAY, Project

PARCELS = sample_upstream.table("parcels", DAY)
INGEST = ("ingest", "--date", str(DAY))
ROW = pl.int_range(pl.len())


def delivered(path: Path, table: Table = CONTRACT.rows) -> Delivery:
    return Delivery.at(path, table, DAY, Paths(path.parent))


def said(path: Path, table: Table = CONTRACT.rows) -> Checked | ContractViolated:
    try:
        return delivered(path, table).check("1")
    except ContractViolated as refused:
        return refused


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut off, or with some bits or bytes changed anywhere, the footer more often than its size would have it."""
    broken = bytearray(content)
    kind, where = rng.randrange(4), rng.randrange(len(content) - 200)
    if kind == 0:
        return content[:where]
    if kind == 1:
        broken[where : where + 200] = bytes(200)
    for _ in range(3 if kind == 2 else 0):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    if kind == 3:
        broken[-rng.randrange(9, 3_000)] ^= 1 << rng.randrange(8)
    return bytes(broken)


@pytest.mark.slow
def test_a_file_that_is_damaged_anywhere_is_refused_or_makes_no_difference(tmp_path: Path) -> None:
    path, rng, refused = tmp_path / "parcels.parquet", random.Random(5), 0
    PARCELS.write_parquet(path, row_group_size=500)
    whole = path.read_bytes()
    for _ in range(300):
        path.write_bytes(damaged(whole, rng))
        found = said(path)  # and never anything but an answer
        refused += isinstance(found, ContractViolated)
        if isinstance(found, Checked):
            assert found.good.collect().height == PARCELS.height
    assert refused > 150


@pytest.mark.parametrize("panics", [pl.exceptions.PanicException, pl.exceptions.ComputeError, ValueError])
def test_whatever_reading_raises_says_that_the_file_is_broken(
    panics: type[BaseException], with_day: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: str, path: Path) -> pl.LazyFrame:
        raise panics("page 3 is torn")

    monkeypatch.setattr(source, "read", read)
    ran = with_day.ml(*INGEST)
    assert ran.code == 3
    assert "readable: expected a complete file, observed " in ran.err
    assert "page 3 is torn" in ran.err


class Loose(dy.Schema):
    """A column that no rule looks at."""

    free = dy.String(nullable=True)


def test_a_column_without_rules_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "loose.parquet"
    noise = random.Random(5)
    pl.DataFrame({"free": [f"{noise.random()}" for _ in range(5_000)]}).write_parquet(path)
    table = Table("loose", Loose)
    assert isinstance(said(path, table), Checked)
    broken = bytearray(path.read_bytes())
    broken[100:30_000] = bytes(29_900)
    path.write_bytes(broken)
    found = said(path, table)
    assert isinstance(found, ContractViolated)
    assert found.violations[0].rule == "readable"


class Mistaken(Parcels):
    """A rule that polars cannot evaluate."""

    @dy.rule()
    def heavy_depots(cls) -> pl.Expr:
        return pl.col("depot") > pl.col("weight_g")


def test_a_rule_that_cannot_be_evaluated_is_not_blamed_on_the_file(
    with_day: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = replace(CONTRACT.rows, schema=Mistaken)
    monkeypatch.setattr(contract, "CONTRACT", replace(CONTRACT, rows=rows))
    before = with_day.tree()
    ran = with_day.ml(*INGEST)
    assert ran.code == 2
    assert "contract.py: the rules of parcels cannot be evaluated: " in ran.err
    assert with_day.tree() == before


def test_a_mistake_of_ours_is_no_statement_about_the_data(with_day: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "check", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        delivered(with_day.paths.root / "data" / "upstream" / "parcels" / f"{DAY}.parquet").check("1")


def lying(path: Path, frame: pl.DataFrame, truth: datetime, lie: datetime) -> None:
    """Write ``frame`` with a latest time in the file's own statistics that is not the rows'."""
    frame.write_parquet(path, statistics=True)
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    old, new = (struct.pack("<q", round(moment.timestamp() * 1e6)) for moment in (truth, lie))
    assert old in content[footer:]
    path.write_bytes(content[:footer] + content[footer:].replace(old, new))


def test_statistics_of_upstream_s_file_are_not_believed(with_day: Project) -> None:
    late = datetime(2026, 5, 21, 1, tzinfo=UTC)
    moved = PARCELS.with_columns(created_at=pl.when(ROW < 5).then(late).otherwise("created_at"))
    path = with_day.paths.root / "data" / "upstream" / "parcels" / f"{DAY}.parquet"
    lying(path, moved, late, late - timedelta(hours=2))
    assert pl.scan_parquet(path).filter(pl.col("created_at") == late).collect().is_empty(), "polars believes them"
    ran = with_day.ml(*INGEST)
    assert ran.code == 3
    assert "partition in 5 rows: expected times on 2026-05-20 UTC, observed 2026-05-21 01:00 to 2026-05-21" in ran.err


def test_a_file_that_upstream_still_writes_is_not_there_yet(with_day: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = with_day.tree("data/partitions")

    def meanwhile(frame: pl.DataFrame) -> Any:
        def then_replaced(*arguments: Any) -> Checked:
            try:
                return check(*arguments)
            finally:
                with_day.drop("parcels", DAY, PARCELS.head(2_100))

        with_day.drop("parcels", DAY, frame)
        return then_replaced

    for frame in (PARCELS.head(2_000), PARCELS.drop("depot")):
        monkeypatch.setattr(delivery, "check", meanwhile(frame))
        ran = with_day.ml(*INGEST)
        assert ran.code == 4
        assert f"parcels {DAY} changed while it was read: data/upstream/parcels/{DAY}.parquet" in ran.err
        assert with_day.tree("data/partitions") == before
        assert not [path for path in with_day.quarantine.rglob("*") if path.is_file()]

    monkeypatch.undo()
    assert with_day.ml(*INGEST).code == 0


@pytest.fixture
def timeless(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose tables have no time: nothing in a row says which day it is of. DAY is ingested."""
    tables = {"rows": Table("parcels", Parcels), "labels": Table("deliveries", Deliveries)}
    monkeypatch.setattr(contract, "CONTRACT", replace(CONTRACT, **tables))
    assert project.ml(*INGEST).code == 0
    return project


def again(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def reordered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(frame.columns[::-1]).sample(fraction=1, shuffle=True, seed=3)


@pytest.mark.parametrize("changed", [again, reordered])
@pytest.mark.parametrize("distance", [-7, -1, 1, 7])
def test_the_file_of_a_day_nearby_again_is_refused_where_no_column_says_the_day(
    changed: Any, distance: int, timeless: Project
) -> None:
    other = DAY + timedelta(days=distance)
    whole = timeless.tree("data/partitions")
    timeless.drop("parcels", other, changed(PARCELS))
    ran = timeless.ml("ingest", "--date", str(other))
    assert ran.code == 3
    assert f"stale in {len(PARCELS)} rows: expected rows of its own, observed those of {DAY}" in ran.err
    assert f"the delivery of {DAY} again?" in ran.err
    assert len(list(timeless.quarantine.glob(f"parcels/{other}-*/delivery.parquet"))) == 1
    left = timeless.tree("data/partitions")
    assert {name: left[name] for name in left if "/parcels/" in name} == {
        name: whole[name] for name in whole if "/parcels/" in name
    }


def test_a_day_is_not_compared_with_itself_nor_with_days_far_away(timeless: Project) -> None:
    timeless.drop("parcels", DAY, reordered(PARCELS))
    assert timeless.ml(*INGEST).code == 0
    far = DAY + timedelta(days=8)
    timeless.drop("parcels", far, PARCELS)
    assert timeless.ml("ingest", "--date", str(far)).code == 0


def test_once_the_wrong_day_is_mended_its_rows_are_taken_where_they_belong(timeless: Project) -> None:
    other = DAY + timedelta(days=1)
    timeless.drop("parcels", other, PARCELS)
    assert timeless.ml("ingest", "--date", str(other)).code == 3
    timeless.drop("parcels", DAY, sample_upstream.table("parcels", DAY - timedelta(days=1)))
    assert timeless.ml(*INGEST).code == 0
    assert timeless.ml("ingest", "--date", str(other)).code == 0


def test_a_torn_manifest_of_another_day_is_that_day_s_business(timeless: Project) -> None:
    (timeless.partitions / "parcels" / f"{DAY}.json").write_text("{", encoding="utf-8")
    assert timeless.ml("ingest", "--date", str(DAY + timedelta(days=1))).code == 0


def refusal(frame: pl.DataFrame, table: Table = CONTRACT.rows) -> ContractViolated:
    with pytest.raises(ContractViolated) as refused:
        check(frame.lazy(), table, "1", DAY)
    return refused.value


def moved(hours: int) -> pl.DataFrame:
    return PARCELS.with_columns(pl.col("created_at") + pl.duration(hours=hours))


def test_a_refusal_says_whether_it_is_another_day_s_file() -> None:
    for hours, stale in [(24, True), (-24 * 40, True), (2, False), (12 * 24 + 12, False)]:
        assert refusal(moved(hours)).stale is stale, hours
    assert not refusal(PARCELS.drop("depot")).stale


def test_times_that_no_calendar_has_are_refused_in_words() -> None:
    for microseconds in (2**63 - 1, -(2**63) + 1, 2**61):
        strange = pl.lit(microseconds).cast(pl.Datetime("us", "UTC"))
        first = PARCELS.with_columns(created_at=pl.when(ROW < 2).then(strange).otherwise("created_at"))
        (violation,) = refusal(first).violations
        assert (violation.rule, violation.rows) == ("partition", 2)


def test_a_stale_delivery_of_a_table_without_time_says_so(timeless: Project) -> None:
    from {{cookiecutter.package_name}}.config import load_operations

    other = DAY + timedelta(days=1)
    timeless.drop("parcels", other, PARCELS)
    operations = load_operations(timeless.paths.operations)
    with pytest.raises(ContractViolated) as refused:
        ingest.ingest(
            contract.CONTRACT.rows, other, contract.CONTRACT, operations, timeless.paths,
            datetime(2026, 7, 1, tzinfo=UTC),
        )  # fmt: skip
    assert refused.value.stale and refused.value.exit is Exit.REFUSED
    assert isinstance(refused.value, ProjectError)


def test_the_bytes_of_a_partition_do_not_depend_on_how_it_was_delivered(with_day: Project) -> None:
    """By row groups, encodings or the engine's batches; tests/test_order.py has the order and the number of threads."""
    before = {path.name for path in with_day.partitions.glob("parcels/*.parquet")}
    path = with_day.paths.root / "data" / "upstream" / "parcels" / f"{DAY}.parquet"
    for options in (
        {"row_group_size": 7},
        {"compression": "uncompressed"},
        {"statistics": False, "data_page_size": 999},
    ):
        PARCELS.write_parquet(path, **options)
        assert with_day.ml(*INGEST).code == 0
        assert {path.name for path in with_day.partitions.glob("parcels/*.parquet")} == before


def test_a_frame_in_memory_is_saved_as_one_that_streams(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("memory", "stream", "pieces")]
    PARCELS.write_parquet(tmp_path / "upstream", row_group_size=100)
    streams.save(PARCELS, paths[0])
    streams.save(pl.scan_parquet(tmp_path / "upstream"), paths[1])
    streams.save(pl.concat([PARCELS.head(10), PARCELS.slice(10)], rechunk=False), paths[2])
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_day_that_is_named_by_its_file_alone_has_no_time_to_contradict_it(timeless: Project) -> None:
    later = date(2026, 6, 20)
    timeless.drop("parcels", later, PARCELS)
    assert timeless.ml("ingest", "--date", str(later)).code == 0
