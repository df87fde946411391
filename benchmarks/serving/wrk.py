"""The client: wrk, pinned to a core. Where it is not installed, Debian's package is unpacked to use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")


@dataclass(frozen=True)
class Wrk:
    program: Path
    libraries: str
    core: int

    @classmethod
    def found(cls, scratch: Path, core: int) -> Wrk:
        """wrk from the path; else unpacked below ``scratch``, which asks for no rights."""
        if there := shutil.which("wrk"):
            return cls(Path(there), "", core)
        assert shutil.which("apt-get"), "no wrk here: install it, its package is called wrk nearly everywhere"
        scratch.mkdir(parents=True, exist_ok=True)
        command = ["apt-get", "download", "--quiet", *PACKAGES]
        if subprocess.run(command, cwd=scratch, capture_output=True, check=False).returncode:
            subprocess.run(["apt-get", "update", "--quiet"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(command, cwd=scratch, check=True, capture_output=True)
        for package in scratch.glob("*.deb"):
            subprocess.run(["dpkg", "--extract", str(package), str(scratch)], check=True)
        library = next(scratch.rglob("libluajit-5.1.so.2"))
        return cls(scratch / "usr" / "bin" / "wrk", str(library.parent), core)

    @property
    def version(self) -> str:
        """wrk ends with 1 after saying it."""
        said = subprocess.run(
            [self.program, "-v"], env=self._env, capture_output=True, text=True, check=False
        )
        return said.stdout.split()[1].removeprefix("debian/")

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "LD_LIBRARY_PATH": self.libraries} if self.libraries else {**os.environ}

    def load(
        self, url: str, bodies: Path, seconds: int, *, connections: int, count: bool = False
    ) -> dict[str, Any]:
        """Requests, times in seconds, errors by kind; with ``count`` also answers by status.

        A request counts as timed out after 30 s, and goes on being waited for.
        """
        command = [
            "taskset",
            "-c",
            str(self.core),
            str(self.program),
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
        ]
        command += ["--timeout", "30s", "-s", str(HERE / "bodies.lua"), url, "--", str(bodies)]
        if count:
            command.append("count")
        done = subprocess.run(command, env=self._env, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.splitlines()[-1])
