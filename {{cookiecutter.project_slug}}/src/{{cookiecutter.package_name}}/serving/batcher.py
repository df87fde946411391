"""Concurrent requests of a version, predicted as one batch.

A boosting model takes 100 us for one row and 0.5 ms for 32. A request that is alone is predicted at once; only where
others have begun to arrive does it wait for them, and never longer than ``wait``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..clock import stopwatch
from ..model.columnar import ColumnRows
from ..model.version import ModelVersion
from .traces import CURRENT, Traces

MOST = 256
"""Rows of a batch, unless one request alone has more."""
QUICK = 0.005
"""Seconds. What a version takes longer for is computed in a thread, so that the server goes on reading and answering;
a hop there and back costs 0.1 ms, as much as a prediction."""
FEW = 64
"""Rows up to which a batch tells how quick a version is."""

KEPT = 8
"""Versions that have a queue; an idle one costs nothing to make again."""

Rows = Sequence[dict[str, Any]]
Waiting = tuple[Rows, "asyncio.Future[np.ndarray]", Any]
"""A request's rows, what waits for their predictions, and the request's span where somebody traces."""
Predict = Callable[[ModelVersion, "list[Rows]"], "list[np.ndarray | Exception]"]
Observe = Callable[[ModelVersion, int, float], None]
"""Told of every batch: its version, rows and seconds."""


@dataclass
class _Queue:
    """What waits for one version. ``seconds`` is what a small batch took lately, None before the first."""

    waiting: deque[Waiting] = field(default_factory=deque)
    timer: asyncio.Handle | None = None
    busy: bool = False
    seconds: float | None = None


class Batcher:
    """Belongs to one event loop. ``arriving`` is counted up by who reads a request, and down by :meth:`predict`."""

    def __init__(self, wait: float, observe: Observe = lambda *_: None, traces: Traces | None = None) -> None:
        self.arriving = 0
        self._traces = traces
        self._wait = wait
        self._observe = observe
        self._queues: dict[ModelVersion, _Queue] = {}
        # one: a second batch at the same time would take turns with the first
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")
        self._later = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shadow")

    async def predict(self, version: ModelVersion, rows: Rows, *, hurry: bool = True) -> np.ndarray:
        """Predictions of ``rows``, shape (n,). Raises what the model raised for these rows.

        Without ``hurry`` in the thread, however quick the version is: nobody waits for these.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[np.ndarray] = loop.create_future()
        if not hurry:
            (outcome,) = await loop.run_in_executor(self._later, _predict, version, [rows])
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        queue = self._queues.get(version) or self._new(version)
        queue.waiting.append((rows, future, CURRENT.get()))
        if not queue.busy:
            if self.arriving <= 0:
                # after what is ready to run in this turn of the loop: requests that came in together
                self._at_once(queue, version, loop)
            elif queue.timer is None:
                queue.timer = loop.call_later(self._wait, self._flush, queue, version)
        return await future

    def close(self) -> None:
        for thread in (self._thread, self._later):
            thread.shutdown(wait=False, cancel_futures=True)

    def _new(self, version: ModelVersion) -> _Queue:
        """A queue for ``version``. Those of versions that left memory must not keep them there."""
        if len(self._queues) >= KEPT:
            self._queues = {of: queue for of, queue in self._queues.items() if queue.waiting or queue.busy}
        queue = self._queues[version] = _Queue()
        return queue

    def _at_once(self, queue: _Queue, version: ModelVersion, loop: asyncio.AbstractEventLoop) -> None:
        if isinstance(queue.timer, asyncio.TimerHandle):
            queue.timer.cancel()
            queue.timer = None
        if queue.timer is None:
            queue.timer = loop.call_soon(self._flush, queue, version)

    def _flush(self, queue: _Queue, version: ModelVersion) -> None:
        queue.timer = None
        if queue.busy:
            return
        taken: list[Waiting] = []
        count = 0
        while queue.waiting and (not taken or count + len(queue.waiting[0][0]) <= MOST):
            rows, future, span = queue.waiting.popleft()
            if not future.done():  # its client has gone, or its time is over
                taken.append((rows, future, span))
                count += len(rows)
        if not taken:
            return
        requests = [rows for rows, _, _ in taken]
        predict, ended = self._begin(version, taken, count)
        if queue.seconds is not None and queue.seconds < QUICK and count <= FEW:
            started = stopwatch()
            outcomes = predict(version, requests)
            ended()
            self._done(queue, version, taken, outcomes, stopwatch() - started)
            return
        queue.busy = True
        loop = asyncio.get_running_loop()
        started = stopwatch()
        running = loop.run_in_executor(self._thread, predict, version, requests)

        def finished(done: asyncio.Future[list[np.ndarray | Exception]]) -> None:
            queue.busy = False
            ended()
            outcomes: list[np.ndarray | Exception] = [RuntimeError("the server is stopping")] * len(taken)
            if not done.cancelled():
                outcomes = done.result()
            self._done(queue, version, taken, outcomes, stopwatch() - started)

        running.add_done_callback(finished)

    def _begin(self, version: ModelVersion, taken: list[Waiting], count: int) -> tuple[Predict, Callable[[], None]]:
        """What predicts a batch, and what is to be called after it: with spans around them where somebody traces."""
        if self._traces is None:
            return _predict, lambda: None
        batch = self._traces.batch([span for _, _, span in taken], version.name, count)
        return partial(batch.predicting, _predict), batch.end

    def _done(
        self,
        queue: _Queue,
        version: ModelVersion,
        taken: list[Waiting],
        outcomes: list[np.ndarray | Exception],
        seconds: float,
    ) -> None:
        count = sum(len(rows) for rows, _, _ in taken)
        if count <= FEW:
            queue.seconds = seconds if queue.seconds is None else 0.9 * queue.seconds + 0.1 * seconds
        for (_, future, _), outcome in zip(taken, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        self._observe(version, count, seconds)
        if queue.waiting and queue.timer is None:
            self._at_once(queue, version, asyncio.get_running_loop())


def _predict(version: ModelVersion, requests: list[Rows]) -> list[np.ndarray | Exception]:
    """Predictions of each request, all rows as one batch; where that fails, each on its own, so that one request
    that a model stumbles over takes no other with it. Columns are many rows already, and are left as they are."""
    if len(requests) > 1 and any(isinstance(rows, ColumnRows) for rows in requests):
        return [outcome for rows in requests for outcome in _predict(version, [rows])]
    try:
        together = requests[0] if len(requests) == 1 else [row for rows in requests for row in rows]
        values = version.answer_rows(together).values
        ends = np.cumsum([len(rows) for rows in requests])[:-1]
        return list(np.split(values, ends)) if len(requests) > 1 else [values]
    except Exception as error:
        if len(requests) == 1:
            return [error]
        return [outcome for rows in requests for outcome in _predict(version, [rows])]
