"""Data in a bucket: the same promises as in a folder, held by the same commands. What a bucket says no to: one line."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bucket import KEYS, InBucket, Server
from test_ingest import DELIVERIES, INGEST, PARCELS, TABLES, redeliver
from test_store import ABOUT, numbers

from {{cookiecutter.package_name}}.data.store import Store
from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.storage import Storage, open_storage
from {{cookiecutter.package_name}}.storage import bucket as module
from {{cookiecutter.package_name}}.storage.bucket import Bucket

from conftest import DAY, FIRST, LAST, ROOT, Project, write_configs
from kill import SHORT, Killed, requests


@pytest.fixture
def with_day_in_bucket(in_bucket: InBucket) -> InBucket:
    """A project in which DAY is ingested into a bucket."""
    ran = in_bucket.ml(*INGEST)
    assert ran.code == 0, ran.err
    return in_bucket


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, project: Project) -> Storage:
    address = "data" if request.param == "folder" else f"{request.getfixturevalue('bucket')}/data"
    return open_storage(address, project.paths)


def test_both_keep_the_same_promises(storage: Storage) -> None:
    assert storage.read("a/x.json") is None
    assert storage.names("a") == []
    for key in ("a/y.json", "a/x.json", "a/b/z.json", "ab/w.json"):
        storage.write(key, key.encode())
    assert storage.names("a") == ["x.json", "y.json"], "direct children, sorted"
    storage.write("a/x.json", b"new")
    assert storage.read("a/x.json") == b"new"
    with storage.file("a/x.json") as path:
        assert path.read_bytes() == b"new"
    for _ in range(2):
        storage.remove("a/x.json")
        assert storage.names("a") == ["y.json"]
    with pytest.raises(FileNotFoundError), storage.file("a/x.json"):
        pass
    with storage.draft("a") as draft:
        draft.write_bytes(b"drafted")
        assert storage.names("a") == ["y.json"]
        storage.put(draft, "a/x.json")
    with storage.draft("a") as draft:
        draft.write_bytes(b"given up")
    assert not draft.exists()
    assert (storage.names("a"), storage.read("a/x.json")) == (["x.json", "y.json"], b"drafted")
    assert storage.where("a/x.json").endswith("data/a/x.json")


def test_a_long_list_comes_in_pages(bucket: str, s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    storage = Bucket(bucket)
    for n in range(10):
        storage.write(f"a/{n}", b"")
        storage.write(f"a/b/{n}", b"")
    s3.seen.clear()
    assert storage.names("a") == [str(n) for n in range(10)]
    assert len(s3.seen) > 3


def test_a_store_without_bulk_removal_will_do(bucket: str, s3: Server) -> None:
    storage = Bucket(bucket)
    storage.write("a", b"")
    s3.meddle = lambda method, _: ("501 Not Implemented", "NotImplemented") if method == "POST" else None
    storage.remove("a")
    assert storage.read("a") is None


def test_a_file_in_parts_is_no_object_before_it_is_whole(bucket: str, s3: Server) -> None:
    content = os.urandom(40_000_000)
    storage = Bucket(bucket, patience=2)
    with storage.draft("a") as draft:
        draft.write_bytes(content)
        s3.meddle = lambda method, _: ("500 No", "InternalError") if method == "PUT" and len(s3.seen) > 2 else None
        with pytest.raises(ProjectError, match="InternalError"):
            storage.put(draft, "a/big")
        assert storage.names("a") == []
        s3.meddle = None
        storage.put(draft, "a/big")
    with storage.file("a/big") as path:
        assert path.read_bytes() == content
        assert not path.is_relative_to(ROOT)
    assert not path.exists()


def test_ingest_leaves_the_bytes_that_a_folder_would_hold(with_day_in_bucket: InBucket, with_day: Project) -> None:
    assert with_day_in_bucket.objects() == with_day.tree("data/partitions")
    assert not (with_day_in_bucket.paths.root / "data" / "partitions").exists()
    assert not with_day_in_bucket.paths.locks.exists()


def test_the_manifest_is_put_after_the_data_that_it_names(with_day_in_bucket: InBucket) -> None:
    put = [path for path in with_day_in_bucket.server.changes() if "/locks/" not in path]
    assert [path.rpartition(".")[2] for path in put] == ["parquet", "json"] * 2


def test_twice_gives_the_same_objects(with_day_in_bucket: InBucket) -> None:
    once = with_day_in_bucket.objects("")
    ran = with_day_in_bucket.ml(*INGEST)
    assert (ran.code, "0 changed" in ran.out) == (0, True)
    assert with_day_in_bucket.objects("") == once


def test_a_reordered_delivery_gives_the_same_partition(with_day_in_bucket: InBucket) -> None:
    before = with_day_in_bucket.objects()
    for name, frame in (("parcels", PARCELS), ("deliveries", DELIVERIES)):
        with_day_in_bucket.drop(name, DAY, frame.sample(fraction=1, shuffle=True, seed=5))
    assert with_day_in_bucket.ml(*INGEST).code == 0
    after = with_day_in_bucket.objects()
    assert sorted(name for name in after if before.get(name) != after[name]) == [
        f"data/partitions/{table}/{DAY}.json" for table in ("deliveries", "parcels")
    ]


def test_a_redelivered_day_replaces_its_partition_and_leaves_no_orphan(with_day_in_bucket: InBucket) -> None:
    before = with_day_in_bucket.objects()
    with_day_in_bucket.drop("parcels", DAY, PARCELS.head(2_000))
    ran = with_day_in_bucket.ml(*INGEST, "--json")
    assert {item["table"]: item["changed"] for item in ran.json["partitions"]} == {"parcels": True, "deliveries": False}
    assert len(Store(with_day_in_bucket.paths).read("parcels", DAY)) == 2_000
    assert len(with_day_in_bucket.objects()) == len(before) == 4


def test_a_refused_delivery_goes_to_quarantine_in_the_bucket(with_day_in_bucket: InBucket) -> None:
    before = with_day_in_bucket.objects("data/partitions/")
    delivered = with_day_in_bucket.drop("parcels", DAY, PARCELS.drop("depot"))
    ran = with_day_in_bucket.ml(*INGEST)
    assert ran.code == 3
    folder = f"data/quarantine/parcels/{DAY}-"
    assert f"see {with_day_in_bucket.address}/{folder}" in ran.err
    assert with_day_in_bucket.objects("data/partitions/") == before
    kept = with_day_in_bucket.objects(folder)
    assert [name.rpartition("/")[2] for name in kept] == ["delivery.parquet", "report.json"]
    again = with_day_in_bucket.ml(*INGEST)
    assert (again.code, with_day_in_bucket.objects(folder)) == (3, kept)
    assert hashlib.sha256(delivered).hexdigest() == next(iter(kept.values()))


def test_a_torn_partition_is_said_with_its_address_and_mended(with_day_in_bucket: InBucket) -> None:
    whole = with_day_in_bucket.objects()
    store = Store(with_day_in_bucket.paths)
    manifest = store.manifest("parcels", DAY)
    assert manifest is not None
    key = f"partitions/parcels/{manifest.file}"
    for damage in (lambda: store.storage.write(key, b"PAR1"), lambda: store.storage.remove(key)):
        damage()
        with pytest.raises(ProjectError, match=f"{with_day_in_bucket.address}/data/{key}") as torn:
            store.read("parcels", DAY)
        assert torn.value.exit is Exit.REFUSED and torn.value.hint is not None
        assert with_day_in_bucket.ml(*torn.value.hint.split()[1:]).code == 0
        assert with_day_in_bucket.objects() == whole


def test_a_reader_that_meets_a_writer_gets_one_of_the_two_partitions(
    in_bucket: InBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(in_bucket.paths)
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


@pytest.mark.slow
@pytest.mark.parametrize("bad", [False, True], ids=["a good delivery", "a refused one"])
def test_killed_before_any_request_the_old_state_stands_and_the_next_run_completes(
    bad: bool, with_day_in_bucket: InBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Bucket", SHORT)
    undisturbed = with_day_in_bucket.copy(tmp_path / "undisturbed")
    redeliver(undisturbed, bad=bad)
    with requests() as watch:
        code = undisturbed.ml(*INGEST).code
    assert code == (3 if bad else 0)
    assert watch.count > 10
    made = (with_day_in_bucket, undisturbed)
    good = {table: [len(Store(project.paths).read(table, DAY)) for project in made] for table in TABLES}

    for moment in range(1, watch.count + 1):
        project = with_day_in_bucket.copy(tmp_path / str(moment))
        redeliver(project, bad=bad)
        with pytest.raises(Killed), requests(at=moment):
            project.ml(*INGEST)
        for table in TABLES:
            assert len(Store(project.paths).read(table, DAY)) in good[table], (moment, table)
        assert project.ml(*INGEST).code == code, moment
        assert project.objects() == undisturbed.objects(), moment


@pytest.mark.slow
def test_kill_9_before_any_request_of_a_first_ingest(
    in_bucket: InBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Bucket", SHORT)
    undisturbed = in_bucket.copy(tmp_path / "undisturbed")
    with requests() as watch:
        assert undisturbed.ml(*INGEST).code == 0
    for moment in range(1, watch.count + 1):
        died = in_bucket.copy(tmp_path / str(moment))
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "kill.py"), "s3://", str(moment), *INGEST],
            cwd=died.paths.root, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == -9 or os.name == "nt", (moment, done.stderr)
        assert died.ml(*INGEST).code == 0, moment
        assert died.objects() == undisturbed.objects(), moment


@pytest.mark.slow
def test_two_ingests_of_a_day_at_once_leave_one_outcome(with_day_in_bucket: InBucket) -> None:
    before = with_day_in_bucket.objects()
    root = with_day_in_bucket.paths.root
    slowly = [sys.executable, str(ROOT / "tests" / "kill.py"), "s3://", "0", *INGEST]
    both = [subprocess.Popen(slowly, cwd=root, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert with_day_in_bucket.objects() == before


@pytest.mark.slow
def test_training_and_gate_see_the_dataset_that_a_folder_gives(in_bucket: InBucket, trained: Project) -> None:
    write_configs(in_bucket)
    assert in_bucket.ml("ingest", "--from", str(FIRST), "--to", str(LAST)).code == 0
    ran = in_bucket.ml("train", "--config", "configs/hours.yaml")
    assert ran.code == 0, ran.err
    here, there = (
        made.ml("versions", "--model", "hours", "--json").json["versions"][0] for made in (in_bucket, trained)
    )
    assert here["dataset_sha256"] == there["dataset_sha256"]
    frozen = f"data/datasets/{here['dataset_sha256'][:16]}.parquet"
    assert in_bucket.objects("data/datasets/")[frozen] == here["dataset_sha256"]
    gates = [made.ml("gate", "hours/1", "--json") for made in (in_bucket, trained)]
    assert [ran.code for ran in gates] == [0, 0], [ran.err for ran in gates]
    assert gates[0].json["rows_sha256"] == gates[1].json["rows_sha256"]


@pytest.mark.slow
def test_a_day_in_a_bucket_leaves_what_it_leaves_in_a_folder(
    trained: Project, in_bucket: InBucket, tmp_path: Path
) -> None:
    """The same objects, run after run, and one more attempt in the ledger."""
    moved = InBucket.at(trained.copy(tmp_path / "moved"), in_bucket.address, in_bucket.server)
    run = ("run", "--date", str(LAST))
    for project in (trained, moved):
        assert project.overrule("hours/1").code == 0
        assert project.ml("ingest", "--from", str(FIRST), "--to", str(LAST)).code == 0
        ran = project.ml(*run)
        assert ran.code == 0, ran.err + ran.out
    once = moved.objects("data/p")
    assert f"data/predictions/hours/{LAST}.json" in once
    assert once == trained.tree("data/partitions") | trained.tree("data/predictions")
    assert moved.ml(*run).code == 0
    assert moved.objects("data/p") == once
    ledger = json.loads(open_storage(f"{moved.address}/ledger", moved.paths).read(f"daily/{LAST}.json") or b"")
    assert [(attempt["attempt"], attempt["outcome"]) for attempt in ledger["attempts"]] == [(1, "ok"), (2, "ok")]
    said = moved.ml("status", "--date", str(LAST))
    assert said.code == 0 and "OK" in said.out.splitlines()[0], said.out
    assert not (moved.paths.root / "var" / "ledger").exists()


def test_a_storage_that_is_away_is_no_delivery_that_is_late(in_bucket: InBucket) -> None:
    in_bucket.edit("operations.yaml", f"data: {in_bucket.address}", "data: s3://no-such-bucket")
    ran = in_bucket.ml("run", "--date", str(DAY), "--json")
    assert ran.code == 4
    said = {check["code"]: check["said"] for step in ran.json["steps"] for check in step["checks"]}
    assert set(said) <= {"RUN002", "SCORE001"} and "NoSuchBucket" in said["RUN002"]


def test_a_range_stops_where_the_storage_does(in_bucket: InBucket) -> None:
    """Each day would wait for the same answer."""
    in_bucket.edit("operations.yaml", f"data: {in_bucket.address}", "data: s3://no-such-bucket")
    ran = in_bucket.ml("ingest", "--from", str(FIRST), "--to", str(LAST), "--json")
    assert (ran.code, len(ran.json["failed"]), len(ran.json["partitions"])) == (4, 1, 0)


def test_the_status_of_a_ledger_that_does_not_answer_says_so(
    in_bucket: InBucket, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", silent)
    ran = in_bucket.ml("status", "--date", str(DAY))
    assert ran.code == 4
    assert f"the storage {in_bucket.address}/ledger does not answer at {silent}" in ran.err


def said_by(server: Server, status: str, code: str, storage: Storage) -> ProjectError:
    server.meddle = lambda *_: (status, code)
    with pytest.raises(ProjectError) as refused:
        storage.read("a")
    server.meddle = None
    return refused.value


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        ("403 Forbidden", "AccessDenied", "AWS_ACCESS_KEY_ID"),
        ("403 Forbidden", "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        ("403 Forbidden", "SignatureDoesNotMatch", "AWS_ACCESS_KEY_ID"),
        ("400 Bad Request", "ExpiredToken", "AWS_ACCESS_KEY_ID"),
        ("400 Bad Request", "AuthorizationHeaderMalformed", "AWS_REGION"),
        ("301 Moved Permanently", "", "AWS_REGION"),
        ("404 Not Found", "NoSuchBucket", "make the bucket"),
        ("404 Not Found", "", "AWS_ENDPOINT_URL"),
        ("409 Conflict", "OperationAborted", "retry"),
        ("412 Precondition Failed", "PreconditionFailed", "retry"),
        ("501 Not Implemented", "NotImplemented", "If-None-Match"),
        ("503 Slow Down", "SlowDown", "retry"),
        ("500 No", "InternalError", "retry"),
    ],
)
def test_what_the_store_refuses_is_said_in_a_line_with_what_to_do(
    status: str, code: str, hint: str, bucket: str, s3: Server
) -> None:
    error = said_by(s3, status, code, Bucket(bucket, patience=1))
    assert error.exit is Exit.UNAVAILABLE
    assert error.message.startswith(f"the storage {bucket} said no: ") and code in error.message
    assert len(error.message) < 300 and "\n" not in error.message
    assert error.hint is not None and hint in error.hint


def test_no_key_is_ever_repeated(bucket: str, s3: Server) -> None:
    for secret in KEYS.values():
        said = said_by(s3, "403 Forbidden", f"AccessDenied for {secret}", Bucket(bucket, patience=1))
        assert "***" in str(said) and secret not in str(said)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of somebody who takes every call and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def calls(storage: Storage) -> dict[str, Callable[[], object]]:
    return {
        "read": lambda: storage.read("a"),
        "write": lambda: storage.write("a", b""),
        "remove": lambda: storage.remove("a"),
        "names": lambda: storage.names("a"),
        "file": lambda: storage.file("a").__enter__(),
        "locked": lambda: storage.locked("a").__enter__(),
    }


@pytest.mark.parametrize("call", ["read", "write", "remove", "names", "file", "locked"])
def test_a_store_that_is_away_or_silent_is_said_to_be(
    call: str, bucket: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for endpoint in ("http://127.0.0.1:9", silent, "http://no-such-host.invalid"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(ProjectError, match=f"does not answer at {endpoint}") as away:
            calls(Bucket(bucket, patience=0.5))[call]()
        assert away.value.exit is Exit.UNAVAILABLE


@pytest.mark.parametrize("call", ["read", "write", "remove", "names", "file", "locked"])
def test_a_bucket_that_is_not_there_is_no_empty_one(call: str, bucket: str) -> None:
    with pytest.raises(ProjectError, match="NoSuchBucket") as missing:
        calls(Bucket("s3://no-such-bucket", patience=1))[call]()
    assert missing.value.exit is Exit.UNAVAILABLE


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (["AWS_ACCESS_KEY_ID"], "AWS_ACCESS_KEY_ID"),
        (["AWS_SECRET_ACCESS_KEY"], "AWS_ACCESS_KEY_ID"),
        (list(KEYS), "AWS_ACCESS_KEY_ID"),
        (["AWS_ALLOW_HTTP"], "AWS_ALLOW_HTTP=true"),
    ],
)
def test_a_variable_that_lacks_is_named(
    lacking: list[str], said: str, in_bucket: InBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    for name in lacking:
        monkeypatch.delenv(name)
    ran = in_bucket.ml(*INGEST, "--json")
    assert ran.code == 4, ran.err
    assert said in ran.json["failed"][0]["hint"], ran.json


def test_the_command_says_it_in_two_lines(in_bucket: InBucket) -> None:
    in_bucket.edit("operations.yaml", in_bucket.address, "s3://no-such-bucket")
    ran = in_bucket.ml(*INGEST)
    assert ran.code == 4
    assert "the storage s3://no-such-bucket/data said no: NoSuchBucket" in ran.err
    assert len(ran.err.splitlines()) < 10 and "Traceback" not in ran.err


WRONG = "s3:// s3:/bucket s3:bucket s4://bucket gs://bucket S3://bucket s3://My_Bucket s3://ab s3://bucket//x "
WRONG += "s3://bucket/../x s3://bucket?x=1 s3://bucket#x https://bucket.s3.amazonaws.com/x"


@pytest.mark.parametrize("address", WRONG.split())
def test_an_address_that_is_none_is_refused_and_no_folder_made(address: str, with_day: Project) -> None:
    before = with_day.tree("")
    with_day.edit("operations.yaml", "  data: data ", f'  data: "{address}" ')
    ran = with_day.ml(*INGEST)
    assert ran.code == 2, ran.err
    assert f"storage: {address}" in ran.err and "s3://name/prefix" in ran.err
    after = with_day.tree("")
    assert {name for name in after if after[name] != before.get(name)} == {"operations.yaml"}


def test_an_address_with_keys_in_it_is_refused_without_repeating_them(with_day: Project) -> None:
    with_day.edit("operations.yaml", "  data: data ", "  data: s3://AKIA123:verysecret@bucket/x ")
    ran = with_day.ml(*INGEST)
    assert ran.code == 2
    assert "s3://***@bucket/x" in ran.err and "verysecret" not in ran.err and "AKIA123" not in ran.err


@pytest.mark.parametrize("address", ["s3://my-bucket", "s3://my.bucket/", "s3://my-bucket/a/b.c=d_1/"])
def test_an_address_may_end_with_a_slash(address: str, bucket: str) -> None:
    assert Bucket(address).where("x") == f"{address.rstrip('/')}/x"


def test_a_variable_that_is_set_to_nothing_is_not_set(in_bucket: InBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """As CI passes a secret that nobody gave it: obstore would panic on the address."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT"):
        monkeypatch.setenv(name, "")
    ran = in_bucket.ml("ingest", "--date", str(DAY))
    assert ran.code == 0, ran.err
