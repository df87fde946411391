"""The one way to ask anything outside this process: a time limit, another try, and then a rest.

One thing outside has one :class:`Outside`. A question that fails is asked again after a while that doubles and has
jitter. When whole questions have failed in a row, the thing is left alone for ``rest`` seconds, and every question is
answered at once with what went wrong last; the first question after that decides. Buckets need none of this: their
library does it (storage/objects.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

import stamina
from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitBreakerError, CircuitBreakerListener, CircuitMemoryStorage

from ..clock import now, stopwatch
from ..errors import Exit, ProjectError
from ..log import log

T = TypeVar("T")
FAILURES = 3
"""Questions in a row that fail before the thing is left alone."""
REST = 10.0
"""Seconds that it is left alone."""
WAIT = 0.2
"""Seconds before the second try, give or take the jitter; twice as many before the third."""
LARGEST = 16 * 2**20
"""Bytes of an answer; the registry's are a few thousand."""

# stamina would tell a logger that has no handler here; this module logs itself
stamina.instrumentation.set_on_retry_hooks([])


class Away(Exception):
    """What is asked did not answer, or not as it should; the message continues a sentence that begins with its name."""

    def __init__(self, said: str, *, again: bool = True, hint: str = "retry later") -> None:
        super().__init__(said)
        self.again, self.hint = again, hint


def _away(error: Any) -> bool:
    return isinstance(error, Away) or (isinstance(error, ProjectError) and error.exit is Exit.UNAVAILABLE)


def _worth_a_try(error: Exception) -> bool:
    return _away(error) and getattr(error, "again", True)


class _Steady(CircuitMemoryStorage):
    """When the circuit opened, by the stopwatch: pybreaker goes by the wall clock, and that may be set in between."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(STATE_CLOSED)
        self._clock = clock
        self._since: float | None = None

    @property
    def ago(self) -> float:
        """Seconds since it opened, 0 if it never did."""
        return 0.0 if self._since is None else self._clock() - self._since

    @property
    def opened_at(self) -> datetime | None:
        return None if self._since is None else now() - timedelta(seconds=self.ago)

    @opened_at.setter
    def opened_at(self, datetime: datetime) -> None:
        self._since = self._clock()


class _Told(CircuitBreakerListener):
    def state_change(self, cb: CircuitBreaker, old_state: Any, new_state: Any) -> None:
        if new_state.name == "open" and old_state.name == "closed":
            log.warning("left alone", extra={"what": cb.name, "seconds": cb.reset_timeout})
        elif new_state.name == "closed":
            log.info("answers again", extra={"what": cb.name})


class Outside:
    """Something outside, by the ``name`` that messages call it by. Thread-safe; questions go one after the other.

    ``seconds`` are what one try may take, ``attempts`` how many there are. Whoever asks regularly takes one: the next
    question is the next try.
    """

    def __init__(
        self,
        name: str,
        *,
        seconds: float,
        attempts: int = 3,
        failures: int = FAILURES,
        rest: float = REST,
        wait: float = WAIT,
        clock: Callable[[], float] = stopwatch,
    ) -> None:
        self.name = name
        self._seconds, self._attempts, self._wait = seconds, attempts, wait
        self._steady = _Steady(clock)
        self._last = ""
        self._breaker = CircuitBreaker(
            failures,
            rest,
            exclude=[lambda error: not _away(error)],
            listeners=[_Told()],
            state_storage=self._steady,
            name=name,
            throw_new_error_on_trip=False,
        )

    def call(self, ask: Callable[[float], T]) -> T:
        """What ``ask(seconds)`` returns; it raises :class:`Away`, or a ProjectError. Raises ProjectError (exit 4)."""
        try:
            return self._breaker.call(self._persist, ask)
        except CircuitBreakerError:
            left = max(self._breaker.reset_timeout - self._steady.ago, 0)
            said = f"{self.name} is left alone for {left:.0f} s, for it failed again and again: {self._last}"
            raise ProjectError(said, hint="retry then", exit=Exit.UNAVAILABLE) from None
        except Away as away:
            self._last = str(away)
            raise ProjectError(f"{self.name} {away}", hint=away.hint, exit=Exit.UNAVAILABLE) from away
        except ProjectError as error:
            self._last = error.message
            raise

    def _persist(self, ask: Callable[[float], T]) -> T:
        tries = stamina.retry_context(
            on=_worth_a_try,
            attempts=self._attempts,
            timeout=2 * self._seconds,  # no try begins later than that
            wait_initial=self._wait,
            wait_jitter=self._wait,
            wait_max=10 * self._wait,
        )
        for attempt in tries:
            with attempt:
                if attempt.num > 1:
                    log.info("asked again", extra={"what": self.name, "attempt": attempt.num})
                return ask(self._seconds)
        raise AssertionError("stamina raises what the last try raised")


@cache
def _certificates() -> Any:
    """Whom TLS trusts. Read once: it takes 33 ms, in which a server's requests wait."""
    import httpx

    return httpx.create_ssl_context()


def get(url: str, seconds: float, *, headers: Mapping[str, str] | None = None, auth: Any = None) -> tuple[int, bytes]:
    """Status and body of a GET that is over within ``seconds``, also where the answer drips. Raises Away."""
    import httpx  # 0.3 s of CPU, which a registry on this disk does not need

    until = stopwatch() + seconds
    chunks: list[bytes] = []
    size = 0
    try:
        with (
            httpx.Client(verify=_certificates(), auth=auth, timeout=seconds) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > LARGEST:
                    raise Away(f"answered more than {LARGEST:,} bytes", again=False)
                if stopwatch() > until:
                    raise Away("does not answer: timed out in mid-answer")
                chunks.append(chunk)
            return answer.status_code, b"".join(chunks)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Away(f"does not answer: {error}") from error


def refused(status: int, hint: str) -> Away:
    """A status that is no answer. A server in trouble is asked again; one that wants other keys is not."""
    from http import HTTPStatus

    words = f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)
    mending = status in (408, 429) or status >= 500
    return Away(f"said no: {words}", again=mending, hint="retry later" if mending else hint)
