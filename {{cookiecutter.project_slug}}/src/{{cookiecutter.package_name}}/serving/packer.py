"""From spools to Parquet objects, in a process of its own: polars takes 100 MB and a second that no server can spare.

An object is named after its spool, and the spool is removed once the object is there: killed in between, the same
object is written again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from ..clock import stopwatch
from ..config import OperationsConfig
from ..errors import plain
from ..log import log
from ..paths import Paths
from .spool import handed_over, left_behind

TIMEOUT = 600.0
"""Seconds after which a process that does not end is killed; a bucket that does not answer is given up after 20."""
LONGEST = 300.0
"""Seconds after which it looks for no more; what comes then is the next one's."""
FIRST, LAST = 5.0, 300.0
"""Seconds until a packing that failed is tried again, and what the doubling of them ends at."""


class Packer:
    """Starts the process when it is asked to, one at a time, and never waits for it but in :meth:`finish`."""

    def __init__(self, paths: Paths, operations: OperationsConfig) -> None:
        self._root = paths.root
        self._job = json.dumps({"data": operations.storage.data, "redact": operations.serving.log.redact})
        self._process: subprocess.Popen[str] | None = None
        self._wanted = False
        self._started = self._not_before = 0.0
        self._pause = FIRST
        self.failed = 0

    def ask(self) -> None:
        """There is something to pack."""
        self._wanted = True

    def look(self) -> None:
        """See whether the process has ended, and whether the next one is due."""
        if self._process is not None:
            if self._process.poll() is None and stopwatch() - self._started < TIMEOUT:
                return
            self._end(self._process)
        if self._wanted and stopwatch() >= self._not_before:
            self._begin()

    def finish(self, until: float) -> None:
        """Pack what is there, as long as the stopwatch is below ``until``; then the process is stopped."""
        for _ in range(2):  # what runs now may have begun before the last spool was handed over
            self._not_before = 0.0
            self.look()
            while self._process is not None:
                try:
                    self._process.wait(max(0.0, until - stopwatch()))
                except subprocess.TimeoutExpired:
                    log.warning("the prediction log is packed at the next start", extra={"reason": "no time left"})
                    self._process.kill()
                    self._process.communicate()
                    return
                self.look()
            if not self._wanted:
                return

    def _begin(self) -> None:
        self._wanted, self._started = False, stopwatch()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.packer", self._job],
                cwd=self._root,
                env=os.environ | {"PYTHONUTF8": "1", "POLARS_MAX_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is meant for the server, which then waits for this
            )
        except OSError as error:
            self._again(str(error))

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.kill()  # if it has not ended by itself
        said = process.communicate()[0].strip().splitlines() or [f"it ended with code {process.returncode}"]
        self._process = None
        try:
            done = json.loads(said[-1])
            reason = done.get("error")
        except (ValueError, AttributeError):
            done, reason = {}, said[-1]
        if reason is not None:
            self._again(reason)
            return
        self._pause = FIRST
        log.info("prediction log packed", extra=done)

    def _again(self, reason: str) -> None:
        self.failed += 1
        self._wanted = True
        self._not_before = stopwatch() + self._pause
        log.warning("the prediction log waits to be packed", extra={"reason": reason, "seconds": self._pause})
        self._pause = min(self._pause * 2, LAST)


def pack(paths: Paths, data: str, redacted: list[str]) -> dict[str, int]:
    """Turn every spool here that nobody writes any more into objects of the storage ``data``, and remove it.

    So are those that come meanwhile, for ``LONGEST`` seconds: under load the second that it takes to start is spent
    once. Returns how many spools and rows, and how many lines were no request: the last of a machine that lost power.
    Raises ProjectError (exit 4) or OSError when the storage says no; what was not packed stays.
    """
    from ..data.requests import save_spool
    from ..storage import open_storage

    done = {"spools": 0, "rows": 0, "broken_lines": 0}
    if not left_behind(paths.journal):
        return done
    storage = open_storage(data, paths)
    paths.locks.mkdir(parents=True, exist_ok=True)
    until = stopwatch() + LONGEST
    with FileLock(paths.locks / "journal.lock"):
        while stopwatch() < until and (spools := handed_over(paths.journal)):
            for spool in spools:
                rows, broken = save_spool(spool, storage, paths, redacted)
                spool.unlink()
                done["spools"] += 1
                done["rows"] += rows
                done["broken_lines"] += broken
    return done


def main(arguments: list[str]) -> int:
    if hasattr(os, "nice"):
        os.nice(10)  # requests first
    job = json.loads(arguments[0])
    try:
        said = pack(Paths(Path.cwd()), job["data"], job["redact"])
    except Exception as raised:
        error = plain(raised)
        if error is None:
            raise
        said = {"error": error.message}
    sys.stdout.write(json.dumps(said) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
