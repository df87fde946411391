"""Servers as processes: started on their core, paused while others are measured, CPU and memory."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 180.0
"""Seconds to the first answer; `mlflow models serve` takes 5 to 15, and more where neighbours are busy."""


@dataclass(frozen=True)
class Server:
    """How one is started (``{port}`` in the command is its port) and talked to, in its own form."""

    command: Sequence[str]
    path: str
    body: Callable[[list[dict[str, Any]]], Any]
    read: Callable[[Any], list[float]] | None
    """The predictions in an answer; None for one that has no model."""
    slow: bool = True
    """Tens of requests a second: its slice is longer, for as many requests."""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    """Where it is started; None for the project."""


class Running:
    """A server's process tree."""

    def __init__(self, server: Server, core: int, log: Path, cwd: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.server, self.log = server, log
        words = [word.replace("{port}", str(self.port)) for word in server.command]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(core), *words],
                cwd=server.cwd or cwd,
                env={**os.environ, **server.env},
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.server.path}"

    def ask(self, body: bytes, timeout: float = 60) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("POST", self.server.path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def first(self, body: bytes) -> None:
        """Wait for the first answer. Raises RuntimeError with the end of its log where none comes."""
        until = time.monotonic() + PATIENCE
        said = "no answer"
        while time.monotonic() < until and self.process.poll() is None:
            try:
                status, answer = self.ask(body)
                if status == 200:
                    return
                said = f"{status} {answer[:200].decode(errors='replace')}"
                if status not in (404, 500, 503):
                    break
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.01)
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise RuntimeError(f"{said}; {lines[-1] if lines else 'it said nothing'}")

    def tree(self) -> list[int]:
        """It, whoever descends from it, and whoever shares its session."""
        parents: dict[int, int] = {}
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (words := _stat(int(entry.name))):
                parents[int(entry.name)] = int(words[1])
                if int(words[3]) == self.process.pid:
                    found.add(int(entry.name))
        found.add(self.process.pid)
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def cpu(self) -> float:
        """Seconds of CPU of its processes so far."""
        return sum((int(words[11]) + int(words[12])) / TICK for pid in self.tree() if (words := _stat(pid)))

    def quiet(self) -> None:
        """Wait until it has finished what the client left behind: whoever hangs up stops no thread."""
        until, before = time.monotonic() + 30, -1.0
        while time.monotonic() < until and (now := self.cpu()) - before > 0.011:
            before = now
            time.sleep(0.1)

    def megabytes(self) -> dict[str, float]:
        """RSS and PSS of its processes, the launcher's own aside."""
        said = {"Rss": 0.0, "Pss": 0.0}
        for pid in self.tree():
            try:
                if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "uv":
                    continue
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
                    name = line.partition(":")[0]
                    if name in said:
                        said[name] += int(line.split()[1]) / 1024
            except OSError:
                continue
        return {name.lower(): value for name, value in said.items()}

    def signal(self, number: int) -> None:
        for pid in self.tree():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def pause(self) -> None:
        self.quiet()
        self.signal(signal.SIGSTOP)

    def resume(self, body: bytes) -> None:
        """Go on, and answer once: the kernel brings its pages back before the clock runs."""
        self.signal(signal.SIGCONT)
        self.first(body)

    def stop(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on: names of programs may hold spaces."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None


def encoded(server: Server, rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(server.body(rows), separators=(",", ":")).encode()
