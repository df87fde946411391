"""A real Prometheus: from the PATH, or Debian's package unpacked into pytest's cache, which asks for no rights."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock

TO_BE_HAD = sys.platform == "linux" and shutil.which("apt-get") is not None
needed = pytest.mark.skipif(
    not (TO_BE_HAD or (shutil.which("prometheus") and shutil.which("promtool"))), reason="no Prometheus on the PATH"
)


def programs(cache: Path) -> tuple[str, str]:
    """The paths of prometheus and promtool. The package is 19 MB."""
    there = shutil.which("prometheus"), shutil.which("promtool")
    if there[0] and there[1]:
        return there[0], there[1]
    with FileLock(cache / "lock"):
        folder = cache / "usr" / "bin"
        if not (folder / "promtool").exists():
            command = ["apt-get", "download", "--quiet", "prometheus"]
            if subprocess.run(command, cwd=cache, capture_output=True, check=False).returncode:
                subprocess.run(["apt-get", "update", "--quiet"], check=True, capture_output=True)
                subprocess.run(command, cwd=cache, check=True, capture_output=True)
            (package,) = cache.glob("prometheus_*.deb")
            subprocess.run(["dpkg", "--extract", package.name, "."], cwd=cache, check=True)
            package.unlink()
    return str(folder / "prometheus"), str(folder / "promtool")


class Prometheus:
    """One that runs. ``ask`` raises for a query that it does not understand."""

    def __init__(self, address: str) -> None:
        self.address = address

    def data(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.address}/api/v1/{path}", params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def ask(self, query: str) -> list[dict[str, Any]]:
        return self.data("query", query=query)["result"]

    def value(self, query: str) -> float:
        (one,) = self.ask(query)
        return float(one["value"][1])

    def wait(self, query: str, seconds: float = 60) -> None:
        """Until a query that ends in a comparison finds something."""
        self.until(lambda: bool(self.ask(query)), query, seconds)

    @staticmethod
    def until(so: Callable[[], bool], what: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not so():
            assert time.monotonic() < end, f"never: {what}"
            time.sleep(0.1)


@contextmanager
def running(program: str, config: Path, storage: Path) -> Iterator[Prometheus]:
    """Prometheus on a free port, with a configuration; whatever it says stands beside its storage."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={storage}", "--log.level=warn"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    with storage.with_suffix(".log").open("wb") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env=os.environ)
    found = Prometheus(f"http://127.0.0.1:{port}")

    def ready() -> bool:
        assert process.poll() is None, storage.with_suffix(".log").read_text()
        try:
            return httpx.get(f"{found.address}/-/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        found.until(ready, "Prometheus was ready")
        yield found
    finally:
        process.kill()
        process.communicate()
