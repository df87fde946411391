"""A short-lived process that sends one message over one channel, so that nothing there can hold up or break a run.

It reads JSON on stdin (``variable``, ``title``, ``body``) and prints one line of JSON: ``failed``, empty where the
message is on its way, and whether trying ``again`` may help. The address comes from the environment and leaves this
process only towards the channel.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from urllib.parse import unquote, urlsplit

SHORT = 4
"""Pieces of an address that are no longer than this are told: a port, a path of one letter."""

WITH_HOST = ("json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos")
"""Kinds of address that name a server. Those of a service begin with a token where its host would be."""


class _Words(logging.Handler):
    """What the library has to say; why something failed it tells its logger only, and the cause as a detail."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.causes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if record.levelno >= logging.WARNING:
            self.said.append(said)
        elif "Exception: " in said:  # errors around errors, of which the innermost is the last
            self.causes.append(said.partition("Exception: ")[2].rpartition(": ")[2].strip("()'\""))

    def __str__(self) -> str:
        return " ".join([*self.said[:1], *(f"({cause})" for cause in self.causes[:1])])


def send(variable: str, title: str, body: str) -> tuple[str, bool]:
    """Why it failed, empty if it did not, and whether another try may help."""
    address = os.environ.get(variable, "").strip()
    if not address:
        return f"{variable} is not set where this runs", False
    try:
        import apprise
    except ModuleNotFoundError:
        return "apprise is not installed here: uv sync", False
    words = _Words()
    logger = logging.getLogger("apprise")
    logger.handlers[:], logger.propagate = [words], False
    logger.setLevel(logging.DEBUG)
    channel = apprise.Apprise.instantiate(address)
    if not isinstance(channel, apprise.NotifyBase):
        return f"{variable} holds no address that apprise knows", False
    try:
        arrived = channel.notify(body=body, title=title, notify_type=apprise.NotifyType.WARNING, body_format="text")
    except Exception as error:  # a plugin's own mistake must be told like any other failure
        arrived = False
        words.said.append(f"{type(error).__name__}: {error}")
    said = redacted(str(words), address) or "it was not accepted"
    return ("" if arrived else said), True


def redacted(text: str, address: str) -> str:
    """``text`` without the pieces of an address that may be secrets: all but a host, where it begins with one."""
    parts = urlsplit(address)
    host = (parts.hostname or "").lower() if parts.scheme.lower() in WITH_HOST else ""
    pieces = {address, *re.split(r"[/:@?&=,#]+", address)}
    pieces |= {unquote(piece) for piece in pieces}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) > SHORT and piece.lower() != host:
            text = text.replace(piece, "***")
    return " ".join(text.split())[:300]


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    why, again = send(asked["variable"], asked["title"], asked["body"])
    sys.stdout.write(json.dumps({"failed": why, "again": again}))
