"""Partitions on disk: what is torn is told apart and mended, and a reader never meets half a partition."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from {{cookiecutter.package_name}} import files
from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.errors import Exit, ProjectError

from conftest import DAY, Project

ABOUT = {"rows_set_aside": {}, "contract_version": "1", "source": "here", "source_sha256": "0"}


@pytest.fixture
def store(project: Project) -> Store:
    return Store(project.paths)


def numbers(first: int) -> pl.DataFrame:
    return pl.DataFrame({"a": range(first, first + 100)})


def data_file(project: Project) -> Path:
    (path,) = project.partitions.glob("parcels/*.parquet")
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "which", "said", "code"),
    [
        (cut, "data", "expected sha256", Exit.REFUSED),
        (flip, "data", "expected sha256", Exit.REFUSED),
        (Path.unlink, "data", "is missing", Exit.REFUSED),
        (cut, "manifest", "is not a manifest", Exit.REFUSED),
        (lambda path: path.write_bytes(b""), "manifest", "is not a manifest", Exit.REFUSED),
        (lambda path: path.write_text('{"rows": 3}'), "manifest", "is not a manifest", Exit.REFUSED),
        (Path.unlink, "manifest", f"no partition parcels {DAY}", Exit.UNAVAILABLE),
    ],
    ids=["cut", "one bit", "no data", "cut manifest", "empty manifest", "wrong manifest", "no manifest"],
)
def test_what_is_torn_is_told_apart_and_the_command_shown_mends_it(
    damage: Any, which: str, said: str, code: Exit, with_day: Project
) -> None:
    whole = with_day.tree("data/partitions")
    store = Store(with_day.paths)
    path = data_file(with_day) if which == "data" else with_day.partitions / "parcels" / f"{DAY}.json"
    damage(path)
    with pytest.raises(ProjectError) as torn:
        store.read("parcels", DAY)
    assert said in torn.value.message
    assert torn.value.exit is code
    assert torn.value.hint == f"ml ingest --date {DAY}"
    if which == "data":
        assert with_day.paths.relative(path) in torn.value.message

    assert with_day.ml(*torn.value.hint.split()[1:]).code == 0
    assert with_day.tree("data/partitions") == whole


def test_a_manifest_says_what_the_partition_is(with_day: Project) -> None:
    store = Store(with_day.paths)
    manifest = store.manifest("parcels", DAY)
    assert manifest is not None
    assert manifest.rows == len(store.read("parcels", DAY))
    assert manifest.file == data_file(with_day).name
    assert (manifest.contract_version, manifest.source) == ("1", f"data/upstream/parcels/{DAY}.parquet")


def test_days_are_listed_oldest_first_and_other_files_are_not_days(store: Store, project: Project) -> None:
    for day in (DAY, DAY.replace(day=3), DAY.replace(day=11)):
        store.write("t", day, numbers(0), **ABOUT)
    (project.partitions / "t" / ".tmp-1-2026-01-01.json").write_text("{}")
    assert [day.day for day in store.days("t")] == [3, 11, DAY.day]
    assert store.days("never") == []


def test_a_write_replaces_and_leaves_nothing_of_the_old(store: Store, project: Project) -> None:
    store.write("t", DAY, numbers(0), **ABOUT)
    store.write("t", DAY, numbers(5), **ABOUT)
    assert store.read("t", DAY).equals(numbers(5))
    assert len(list((project.partitions / "t").iterdir())) == 2


def test_what_a_killed_run_left_is_swept_by_the_next_write(store: Store, project: Project) -> None:
    store.write("t", DAY, numbers(0), **ABOUT)
    folder = project.partitions / "t"
    (folder / ".tmp-99999-x.parquet").write_bytes(b"half")
    (folder / f"{DAY}-0123456789ab.parquet").write_bytes(b"whole, but its manifest never came")
    store.write("t", DAY, numbers(0), **ABOUT)
    assert len(list(folder.iterdir())) == 2


def test_a_reader_that_meets_a_writer_gets_one_of_the_two_partitions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("t", DAY, numbers(0), **ABOUT)
    seen, manifest = [], Store.manifest

    def then_replaced(self: Store, table: str, day: Any) -> Any:
        found = manifest(self, table, day)
        if not seen:
            seen.append(found)
            self.write(table, day, numbers(5), **ABOUT)
        return found

    monkeypatch.setattr(Store, "manifest", then_replaced)
    assert store.read("t", DAY).equals(numbers(5))


def test_writers_at_once_leave_one_partition_that_is_whole(store: Store, project: Project) -> None:
    failed: list[Exception] = []

    def write(first: int) -> None:
        try:
            for _ in range(5):
                Store(project.paths).write("t", DAY, numbers(first), **ABOUT)
        except Exception as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 5, 10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    assert store.read("t", DAY)["a"][0] in (0, 5, 10)
    assert len(list((project.partitions / "t").iterdir())) == 2


def test_content_is_on_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        happened.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")  # noqa: PTH112
        fsync(handle)

    def noted_replace(self: Path, target: Path) -> Path:
        happened.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    files.write_bytes(tmp_path / "x", b"content")
    if Path("/proc/self/fd").exists():
        assert happened == ["file", "rename", "folder"]
    else:
        assert happened[:2] == ["file", "rename"]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x"
    files.write_bytes(target, b"old")
    with pytest.raises(OSError, match="full"), files.replacing(target) as temporary:
        temporary.write_bytes(b"ha")
        raise OSError("disk full")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_folder_is_replaced_as_one(tmp_path: Path) -> None:
    old, new = tmp_path / "v", tmp_path / ".tmp-1-new"
    for folder, text in ((old, "old"), (new, "new")):
        folder.mkdir()
        (folder / text).write_text(text)
    files.replace_folder(new, old)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["v", "v/new"]


def test_equal_values_give_equal_json(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a", {"b": 1, "a": {"d": "ü", "c": DAY}})
    files.write_json(tmp_path / "b", {"a": {"c": DAY, "d": "ü"}, "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_digests_are_told_by_names_and_by_the_manifest_where_names_leave_doubt(with_day: Project) -> None:
    store = Store(with_day.paths)
    manifest = store.manifest("parcels", DAY)
    assert manifest is not None
    assert store.digests("parcels") == {DAY: manifest.sha256[:12]}
    folder = with_day.partitions / "parcels"
    for stray in (f"{DAY}-{'0' * 12}.parquet", "2026-05-19-000000000000.parquet", "notes.json", "x-y.parquet"):
        (folder / stray).write_bytes(b"")
    assert store.digests("parcels") == {DAY: manifest.sha256[:12]}, "a killed write's file is no partition"
    assert store.days("parcels") == [DAY]
