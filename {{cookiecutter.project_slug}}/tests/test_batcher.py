"""Concurrent requests as one batch: nobody waits alone, nobody gets another's answer, nobody falls with another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.serving import batcher
from {{cookiecutter.package_name}}.serving.batcher import Batcher


class Answered:
    def __init__(self, values: np.ndarray) -> None:
        self.values = values


class Doubling:
    """Answers twice what it is asked, notes its batches, and stumbles over a negative number."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self._before = before

    def answer_rows(self, rows: Any) -> Answered:
        self._before()
        self.batches.append(len(rows))
        self.threads.add(threading.current_thread().name)
        values = np.array([row["x"] for row in rows], dtype=float)
        if (values < 0).any():
            raise ValueError("negative")
        return Answered(values * 2)


def rows(*values: float) -> list[dict[str, Any]]:
    return [{"x": value} for value in values]


def run(work: Callable[[Batcher], Awaitable[Any]], wait: float = 0.001) -> Any:
    async def main() -> Any:
        made = Batcher(wait)
        try:
            return await asyncio.wait_for(work(made), 30)
        finally:
            made.close()

    return asyncio.run(main())


def quick(made: Batcher, version: Any) -> None:
    """As after a batch that took no time."""
    made._new(version).seconds = 0.0


def test_a_request_that_is_alone_does_not_wait() -> None:
    version = Doubling()
    # a wait of an hour would run into the limit of the test
    assert run(lambda made: made.predict(version, rows(1, 2)), wait=3600).tolist() == [2, 4]


def test_requests_that_came_together_are_one_batch() -> None:
    version = Doubling()

    async def work(made: Batcher) -> list[Any]:
        quick(made, version)
        return await asyncio.gather(*(made.predict(version, rows(number)) for number in range(20)))

    assert [values.tolist() for values in run(work)] == [[2 * number] for number in range(20)]
    assert version.batches == [20]


def test_a_request_waits_for_one_that_is_arriving_and_no_longer_than_it_may() -> None:
    version = Doubling()

    async def work(made: Batcher) -> None:
        quick(made, version)
        made.arriving = 1  # another request's head is there, its body is not
        first = asyncio.ensure_future(made.predict(version, rows(1)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert version.batches == [] and not first.done()
        made.arriving = 0
        await asyncio.gather(first, made.predict(version, rows(2)))
        assert version.batches == [2]
        made.arriving = 1  # this one never comes
        await made.predict(version, rows(3))

    run(work, wait=0.05)
    assert version.batches == [2, 1]


@pytest.mark.parametrize("known", [True, False], ids=["in the loop", "in the thread"])
def test_a_request_that_fails_takes_no_other_with_it(known: bool) -> None:
    version = Doubling()

    async def work(made: Batcher) -> list[Any]:
        if known:
            quick(made, version)
        asked = [rows(1), rows(-1), rows(2, 3)]
        return await asyncio.gather(*(made.predict(version, some) for some in asked), return_exceptions=True)

    first, failed, last = run(work)
    assert first.tolist() == [2] and last.tolist() == [4, 6]
    assert isinstance(failed, ValueError)


def test_the_server_goes_on_while_a_slow_version_computes() -> None:
    computing, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        computing.set()
        go_on.wait(20)

    version = Doubling(hold)

    async def work(made: Batcher) -> list[float]:
        asked = asyncio.ensure_future(made.predict(version, rows(1)))
        while not computing.is_set():
            await asyncio.sleep(0.001)  # this only comes back if the loop is free
        later = [asyncio.ensure_future(made.predict(version, rows(number))) for number in (2, 3)]
        go_on.set()
        return [(await one).tolist()[0] for one in [asked, *later]]

    assert run(work) == [2, 4, 6]
    assert version.batches == [1, 2], "what came meanwhile went together"
    assert any(name.startswith("predict") for name in version.threads)


def test_a_client_that_has_gone_is_not_computed_for() -> None:
    version = Doubling()

    async def work(made: Batcher) -> None:
        quick(made, version)
        made.arriving = 1
        gone = asyncio.ensure_future(made.predict(version, rows(1)))
        await asyncio.sleep(0)
        gone.cancel()
        made.arriving = 0
        await made.predict(version, rows(2))

    run(work)
    assert version.batches == [1]


def test_a_batch_stays_below_its_limit_and_a_large_request_goes_alone() -> None:
    version = Doubling()
    sizes = [100, 100, 100, 1000, 5]

    async def work(made: Batcher) -> None:
        quick(made, version)
        await asyncio.gather(*(made.predict(version, rows(*range(size))) for size in sizes))

    run(work)
    assert version.batches == [200, 100, 1000, 5]
    assert batcher.MOST == 256


def test_versions_that_left_memory_are_not_kept() -> None:
    versions = [Doubling() for _ in range(3 * batcher.KEPT)]

    async def work(made: Batcher) -> int:
        for version in versions:
            await made.predict(version, rows(1))
        return len(made._queues)

    assert run(work) <= batcher.KEPT


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(-3, 50), min_size=1, max_size=5), st.integers(0, 3)), max_size=30))
def test_everyone_gets_the_answer_to_what_they_asked(asked: list[tuple[list[int], int]]) -> None:
    version = Doubling()

    async def one(made: Batcher, values: list[int], turns: int) -> Any:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await made.predict(version, rows(*values))

    async def work(made: Batcher) -> list[Any]:
        return await asyncio.gather(*(one(made, *some) for some in asked), return_exceptions=True)

    for (values, _), outcome in zip(asked, run(work), strict=True):
        if min(values) < 0:
            assert isinstance(outcome, ValueError)
        else:
            assert outcome.tolist() == [2 * value for value in values]
