"""Messages on their way: every channel by itself, with a limit of time, another try, and a record of what became of it.

A message that was killed between sending and recording is sent again: at least once, and seldom twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import stamina

from ..clock import stopwatch
from ..errors import ProjectError
from ..serving.outside import Outside, get, refused
from .alert_state import Delivery, Message, Ping

SECONDS = 15.0
"""For one try; a mail server that greets slowly takes most of it."""
ATTEMPTS, NO_TRY_AFTER = 3, 20.0
"""Tries of one message, and the seconds after which none begins: 35 in all at most."""
WAIT = 1.0
"""Seconds before the second try, give or take as many."""
LONGEST = 60.0
"""Seconds after which no further message is begun on a channel; the next run goes on."""


class _Failed(Exception):
    def __init__(self, said: str, again: bool) -> None:
        super().__init__(said)
        self.again = again


def send(messages: Sequence[Message], now: datetime) -> None:
    """Try what waits, oldest first, and note in each message what became of it. A channel that fails is left."""
    names = list(dict.fromkeys(name for message in messages for name in message.waiting))
    if names:
        with ThreadPoolExecutor(len(names), thread_name_prefix="alerts") as pool:
            list(pool.map(lambda name: _channel(name, messages, now), names))


def _channel(name: str, messages: Iterable[Message], now: datetime) -> None:
    begun = stopwatch()
    for message in messages:
        delivery = message.channels.get(name)
        if delivery is None or delivery.sent:
            continue
        if stopwatch() - begun > LONGEST:
            return
        delivery.last = now
        delivery.failed = _persist(name, message.title, message.body, delivery)
        if delivery.failed:
            return
        delivery.sent = now


def _persist(name: str, title: str, body: str, delivery: Delivery) -> str:
    """Empty where it arrived, or what was said the last time."""
    tries = stamina.retry_context(
        on=lambda error: isinstance(error, _Failed) and error.again,
        attempts=ATTEMPTS,
        timeout=NO_TRY_AFTER,
        wait_initial=WAIT,
        wait_jitter=WAIT,
    )
    try:
        for attempt in tries:
            with attempt:
                delivery.tries += 1
                _try(name, title, body)
    except _Failed as failed:
        return str(failed)
    return ""


def _try(name: str, title: str, body: str) -> None:
    module = __name__.rpartition(".")[0] + ".alert_channel"
    asked = json.dumps({"variable": name, "title": title, "body": body})
    try:
        done = subprocess.run(
            [sys.executable, "-m", module], input=asked, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        said = json.loads(done.stdout)
        failed, again = str(said["failed"]), bool(said["again"])
    except subprocess.TimeoutExpired:
        failed, again = f"no answer within {SECONDS:g} s", True
    except (OSError, ValueError, KeyError) as error:
        failed, again = f"its process broke off: {error}", True
    if failed:
        raise _Failed(failed, again)


def ping(variable: str, fine: bool, now: datetime) -> Ping:
    """Tell the dead-man's switch how it went: its address, or /fail below it."""
    address = os.environ.get(variable, "").strip()
    if not address:
        return Ping(at=now, fine=fine, failed=f"{variable} is not set where this runs")
    url = address if fine else f"{address.rstrip('/')}/fail"

    def ask(seconds: float) -> None:
        status, _ = get(url, seconds)
        if not 200 <= status < 300:
            raise refused(status, f"see what {variable} holds")

    try:
        Outside("the dead-man's switch", seconds=5.0).call(ask)
    except ProjectError as error:
        return Ping(at=now, fine=fine, failed=error.message.replace(url, "***").replace(address, "***"))
    return Ping(at=now, fine=fine)
