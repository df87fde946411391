"""Locks in a bucket: one holder at a time, whoever dies, stands still or is slow, and no clock is compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bucket import Server

from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.paths import Paths
from {{cookiecutter.package_name}}.storage import Held, Storage, open_storage
from {{cookiecutter.package_name}}.storage.bucket import Bucket

LOCK = "locks/day"
DEAD = {"held": True, "host": "elsewhere", "pid": 7, "token": "another", "renewals": 3, "lease_seconds": 0.2}


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another thread or process does."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in half a minute")


def changes(server: Server) -> int:
    """How often the lock was written so far."""
    return sum(path.endswith(LOCK) for path in server.changes())


def record(storage: Storage) -> dict[str, object]:
    return json.loads(storage.read(LOCK) or b"{}")


class Inside:
    """Counts who is inside at once."""

    def __init__(self, longer_than: float = 0.005) -> None:
        self.now, self.most, self.times, self.stay = 0, 0, 0, longer_than * 1.3

    def visit(self, storage: Storage, *, wait: bool = True) -> None:
        with storage.locked("day", wait=wait):
            self.now += 1
            self.most = max(self.most, self.now)
            time.sleep(self.stay)
            self.times += 1
            self.now -= 1


@pytest.fixture(params=["folder", "bucket"])
def address(request: pytest.FixtureRequest) -> str:
    return "data" if request.param == "folder" else str(request.getfixturevalue("bucket"))


def test_one_of_many_is_inside(address: str, tmp_path: Path) -> None:
    inside = Inside()
    with ThreadPoolExecutor(6) as pool:
        for visited in [pool.submit(inside.visit, open_storage(address, Paths(tmp_path))) for _ in range(18)]:
            visited.result()
    assert (inside.most, inside.times) == (1, 18)


def test_who_does_not_wait_is_told(address: str, tmp_path: Path) -> None:
    mine, theirs = (opened(address, tmp_path) for _ in range(2))
    with mine.locked("day", wait=False):
        with pytest.raises(Held, match="day"), theirs.locked("day", wait=False):
            pass
        mine.write("x", b"still ours")
    with theirs.locked("day", wait=False):
        pass
    with mine.locked("day", wait=False):
        pass


def opened(address: str, root: Path, lease: float = 0.6) -> Storage:
    return Bucket(address, lease=lease) if "://" in address else open_storage(address, Paths(root))


def test_who_is_told_hears_who_has_it(bucket: str) -> None:
    with Bucket(bucket, lease=0.6).locked("day"):
        with pytest.raises(Held) as held, Bucket(bucket, lease=0.6).locked("day", wait=False):
            pass
        assert held.value.holder.startswith(f"process {os.getpid()} on ")


def test_a_lock_that_is_given_back_is_free_at_once_and_says_so(bucket: str, s3: Server) -> None:
    storage = Bucket(bucket)  # half a minute would be noticed
    for _ in range(3):
        with storage.locked("day", wait=False):
            assert record(storage)["held"] is True
        assert record(storage)["held"] is False
    with pytest.raises(KeyError, match="my own"), storage.locked("day"):
        raise KeyError("my own")
    assert record(storage)["held"] is False


def test_a_living_holder_keeps_it_for_many_leases(bucket: str, s3: Server) -> None:
    came: list[str] = []

    def wait() -> None:
        with Bucket(bucket, lease=0.3).locked("day"):
            came.append("the one who waited")

    waiter = threading.Thread(target=wait)
    with Bucket(bucket, lease=0.3).locked("day"):
        waiter.start()
        until(lambda: changes(s3) > 12)
        came.append("the holder")
    waiter.join()
    assert came == ["the holder", "the one who waited"]


@pytest.mark.parametrize(
    ("left", "wait"),
    [(json.dumps(DEAD).encode(), True), (json.dumps(DEAD).encode(), False)]
    + [(unreadable, True) for unreadable in (b"", b"[]", b'{"held": 1}', b"\xff")],
)
def test_one_of_many_takes_over_from_a_dead_holder(left: bytes, wait: bool, bucket: str) -> None:
    Bucket(bucket).write(LOCK, left)
    inside, told = Inside(longer_than=0.2), []

    def visit(_: int) -> None:
        try:
            inside.visit(Bucket(bucket, lease=0.2), wait=wait)
        except Held as held:
            told.append(held)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(visit, range(3)))
    assert inside.most == 1
    assert inside.times + len(told) == 3
    assert (len(told) == 0) if wait else (inside.times >= 1)


def test_a_lease_lasts_as_long_as_its_holder_said(bucket: str, s3: Server) -> None:
    """Whatever the one who waits would give."""
    storage = Bucket(bucket, lease=0.1)
    storage.write(LOCK, json.dumps(DEAD | {"lease_seconds": 1.2}).encode())
    came = threading.Event()

    def wait() -> None:
        with storage.locked("day"):
            came.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not came.wait(0.6)
    waiter.join()
    assert came.is_set()


def test_who_was_taken_over_writes_and_removes_nothing_more(bucket: str, s3: Server) -> None:
    mine, theirs = Bucket(bucket, lease=0.6), Bucket(bucket)
    mine.write("a/x", b"old")
    with pytest.raises(ProjectError) as given_back, mine.locked("day"):
        theirs.write(LOCK, json.dumps(DEAD).encode())
        before = changes(s3)
        until(lambda: changes(s3) > before)  # a renewal, which is refused
        with mine.draft("a") as draft:
            draft.write_bytes(b"new")
            for change in (
                lambda: mine.write("a/x", b"new"),
                lambda: mine.put(draft, "a/x"),
                lambda: mine.write_json("a/x", "new"),
                lambda: mine.remove("a/x"),
            ):
                with pytest.raises(ProjectError, match=f"the lock {bucket}/{LOCK} was taken over") as refused:
                    change()
                assert refused.value.exit is Exit.UNAVAILABLE
    assert given_back.value.exit is Exit.UNAVAILABLE
    assert mine.read("a/x") == b"old"
    assert record(mine) == DEAD, "the lock is theirs, and stays so"
    mine.write("a/x", b"no lock, no question")


def test_a_holder_asks_again_before_it_writes_when_no_renewal_came_through(bucket: str, s3: Server) -> None:
    mine = Bucket(bucket, lease=0.6, patience=0.4)
    with mine.locked("day"):
        s3.meddle = lambda method, path: ("503 No", "SlowDown") if method == "PUT" and path.endswith(LOCK) else None
        before = changes(s3)
        until(lambda: changes(s3) > before + 3)
        with pytest.raises(ProjectError, match="SlowDown"):
            mine.write("a/x", b"who knows whose turn it is")
        s3.meddle = None
        mine.write("a/x", b"nobody took it")
    assert mine.read("a/x") == b"nobody took it"
    assert record(mine)["held"] is False


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_a_lock_whose_reply_was_lost_is_known_as_ours(lost: int, bucket: str, s3: Server) -> None:
    """The request was carried out; it is sent again, and refused because of itself."""
    Bucket(bucket).write("warm", b"")
    s3.seen.clear()
    s3.meddle = lambda method, path: (
        ("after 500 No", "InternalError") if method == "PUT" and path.endswith(LOCK) and changes(s3) == lost else None
    )
    storage = Bucket(bucket, lease=0.6)
    with storage.locked("day", wait=False):
        until(lambda: changes(s3) > lost + 2)
        storage.write("a/x", b"ours")
    assert record(storage)["held"] is False


def test_who_is_told_of_a_conflict_looks_again(bucket: str, s3: Server) -> None:
    """S3 says so when two ask at once, and then neither has it."""
    conflict = ("409 Conflict", "ConditionalRequestConflict")
    s3.meddle = lambda method, path: conflict if (method, changes(s3)) == ("PUT", 1) else None
    storage = Bucket(bucket, lease=0.6)
    with storage.locked("day"):
        assert record(storage)["held"] is True
    assert record(storage)["held"] is False


def test_a_store_that_ignores_conditions_is_refused_before_anything_is_written(bucket: str, s3: Server) -> None:
    for deaf in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
        s3.deaf = {deaf}
        storage = Bucket(f"{bucket}/{deaf.lower().replace('_', '-')}")
        try:
            with (
                pytest.raises(ProjectError, match="ignores If-None-Match or If-Match") as refused,
                storage.locked("day"),
            ):
                storage.write("x", b"never")
        finally:
            s3.deaf = set()
        assert refused.value.exit is Exit.USAGE
        assert storage.names("") == []


STANDS_STILL = """
import sys
from {{cookiecutter.package_name}}.errors import ProjectError
from {{cookiecutter.package_name}}.storage.bucket import Bucket

storage = Bucket(sys.argv[1], lease=0.6)
try:
    with storage.locked("day"):
        print("inside", flush=True)
        sys.stdin.readline()
        storage.write("commit", b"the one that stood still")
except ProjectError as error:
    print(error.message, flush=True)
    sys.exit(int(error.exit))
"""


@pytest.mark.skipif(os.name == "nt", reason="no process is stopped there")
def test_a_process_that_stood_still_finds_its_lock_gone_and_does_not_commit(bucket: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", STANDS_STILL, bucket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "inside\n"
    child.send_signal(signal.SIGSTOP)
    storage = Bucket(bucket, lease=0.6)
    with storage.locked("day"):
        storage.write("commit", b"the one that took over")
    child.send_signal(signal.SIGCONT)
    said, _ = child.communicate("\n", timeout=60)
    assert (child.returncode, "was taken over" in said) == (4, True), said
    assert storage.read("commit") == b"the one that took over"
