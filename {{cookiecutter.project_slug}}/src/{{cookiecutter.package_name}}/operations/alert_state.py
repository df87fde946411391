"""What was noticed, who was told, and what somebody answered: one JSON document beside the ledger."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from time import sleep
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..clock import stopwatch
from ..errors import Exit, ProjectError
from ..storage import Held, Storage
from .codes import Tier
from .urgent import Key

KEY, LOCK = "alerts/state.json", "alerts"
TEST = "test alert"
"""The step that `ml alerts test` leaves in the ledger, among rehearsals."""
KEPT, ANSWERED = timedelta(days=60), timedelta(days=400)
"""Alerts of older days are forgotten, and messages that old; what somebody answered is kept for longer."""
BUSY = 60.0
"""Seconds to wait for somebody else who is sending; they take 40 at most for each message."""


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Answer(_Written):
    """Somebody's word on an alert. ``false``: nothing was wrong, and the monitor's threshold rises."""

    at: datetime
    who: str
    why: str
    false: bool


class Alert(_Written):
    """One thing that one day asks somebody to see to. ``monitor`` and ``z`` where a monitor said it.

    ``message`` is the one that told it; ``muted_by`` the alert of a day before that had told the same. ``resolved``:
    a later attempt of the day does not say it any more.
    """

    id: int
    day: date
    code: str
    tier: Tier
    said: str
    step: str
    monitor: str | None = None
    z: float | None = None
    noticed: datetime
    since: date
    message: int | None = None
    muted_by: int | None = None
    resolved: datetime | None = None
    answer: Answer | None = None

    @property
    def key(self) -> Key:
        return self.code, self.monitor or self.step

    @property
    def open(self) -> bool:
        return self.resolved is None and self.answer is None


class Delivery(_Written):
    """How far a message came on one channel."""

    tries: int = 0
    last: datetime | None = None
    sent: datetime | None = None
    failed: str = ""


class Message(_Written):
    """What goes out as one: the channels' names, never their addresses."""

    id: int
    kind: Literal["page", "digest", "test"]
    made: datetime
    title: str
    body: str
    channels: dict[str, Delivery]

    @property
    def waiting(self) -> list[str]:
        """Channels that it has not reached."""
        return [name for name, delivery in self.channels.items() if delivery.sent is None]


class Ping(_Written):
    """The last word to the dead-man's switch."""

    at: datetime
    fine: bool
    failed: str = ""


class State(_Written):
    alerts: list[Alert] = []
    messages: list[Message] = []
    numbered: int = 0
    """The last number that was given to an alert or a message."""
    digested: datetime | None = None
    ping: Ping | None = None
    broke: str = ""
    """Why alerts themselves broke off last time."""

    def number(self) -> int:
        self.numbered += 1
        return self.numbered

    def answered(self, day: date) -> set[Key]:
        """What somebody has answered for, of a day."""
        return {alert.key for alert in self.alerts if alert.day == day and alert.answer}

    @property
    def undelivered(self) -> list[Message]:
        return [message for message in self.messages if message.waiting]

    def trouble(self) -> str:
        """Why somebody may not have been told, in a line; empty where everything went through."""
        if self.broke:
            return f"alerts broke off: {self.broke}"
        if not self.undelivered:
            return ""
        last = self.undelivered[-1]
        said = [f"{name}: {last.channels[name].failed or 'not tried yet'}" for name in last.waiting]
        more = f"; {len(self.undelivered)} messages wait" if len(self.undelivered) > 1 else ""
        return f"the {last.kind} of {last.made:%Y-%m-%d %H:%M} UTC did not get through to {'; '.join(said)}{more}"


def read(storage: Storage) -> State:
    """The state. Raises ProjectError: exit 2 for one that is torn, exit 4 where the storage is away."""
    content = storage.read(KEY)
    if content is None:
        return State()
    try:
        return State.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ProjectError(
            f"{storage.where(KEY)} is no record of alerts: {first['msg']}",
            hint="restore it from a backup; or move it away, and what is still wrong is told once more",
        ) from None


def write(state: State, storage: Storage, now: datetime) -> None:
    """Replace the document, without what is too old to matter."""
    state.alerts = [one for one in state.alerts if now.date() - one.day < (ANSWERED if one.answer else KEPT)]
    state.messages = [message for message in state.messages if now - message.made < KEPT]
    storage.write(KEY, (state.model_dump_json(indent=1, exclude_defaults=True) + "\n").encode())


@contextmanager
def alone(storage: Storage, seconds: float = BUSY) -> Generator[None]:
    """The only one who tells. Raises ProjectError (exit 4) when somebody else is at it for longer than ``seconds``."""
    until = stopwatch() + seconds
    while True:
        try:
            with storage.locked(LOCK, wait=False):
                storage.sweep(*KEY.split("/"))
                yield
                return
        except Held as held:
            if stopwatch() > until:
                raise ProjectError(
                    f"somebody else is sending alerts{held.holder and f', {held.holder}'}",
                    hint="try again in a minute",
                    exit=Exit.UNAVAILABLE,
                ) from None
        sleep(0.2)
