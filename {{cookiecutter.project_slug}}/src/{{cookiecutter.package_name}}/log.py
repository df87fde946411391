"""The one logger. Commands log to stderr for people; the server logs one JSON object a line for machines."""

from __future__ import annotations

import json
import logging
import sys

log = logging.getLogger("ml")

_PLAIN = set(vars(logging.makeLogRecord({})))


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(*, machine: bool = False, level: int = logging.WARNING) -> None:
    """Send the package's log to stderr, as JSON lines when ``machine``. Calling it again replaces the handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if machine else logging.Formatter("%(levelname)s %(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
    if machine:  # what the HTTP server says of broken requests, in the same form
        others = logging.getLogger("uvicorn")
        others.handlers[:], others.propagate = [handler], False
        others.setLevel(logging.WARNING)
