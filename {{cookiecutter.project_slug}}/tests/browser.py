"""A real browser without a window, driven over its own protocol. The tests that need it are skipped where it is not."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page. ``asked`` are the addresses that it asked for, ``complaints`` what the browser's console has to say."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        target = self._say("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._say("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._say(f"{domain}.enable")

    def _say(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        session = {"sessionId": self._session} if hasattr(self, "_session") else {}
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters, **session}))
        while True:
            said = json.loads(self._socket.recv(timeout=60))
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]
            self._note(said)

    def _note(self, said: dict[str, Any]) -> None:
        about = said.get("params", {})
        if said.get("method") == "Network.requestWillBeSent":
            self.asked.append(about["request"]["url"])
        elif said.get("method") == "Log.entryAdded":
            self.complaints.append(about["entry"]["text"])
        elif said.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(about)[:500])

    def open(self, address: str, *, width: int = 1200, dark: bool = False) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._say("Emulation.setEmulatedMedia", features=[scheme])
        self._say(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self._say("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def print(self) -> None:
        """From here on it is shown as on paper, in the light."""
        light = {"name": "prefers-color-scheme", "value": "light"}
        self._say("Emulation.setEmulatedMedia", media="print", features=[light])

    def do(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        said = self._say("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def wait(self, script: str, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while not self.do(script):
            assert time.monotonic() < until, f"never: {script}\n{self.text('body')}"
            time.sleep(0.02)

    def text(self, where: str) -> str:
        return self.do(f"document.querySelector({json.dumps(where)}).innerText")

    def fill(self, name: str, value: str) -> None:
        """As a person would: the field's value, by its name or ID."""
        where = json.dumps(f'[name="{name}"], #{name}')
        self.do(f"document.querySelector({where}).value = {json.dumps(value)}")

    def click(self, where: str) -> None:
        self.do(f"document.querySelector({json.dumps(where)}).click()")

    def picture(self, path: Path) -> None:
        """A PNG of the whole page."""
        shot = self._say("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browsing(folder: Path) -> Iterator[Page]:
    """A browser with a profile of its own in ``folder``, and one page."""
    assert PROGRAM is not None
    command = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    command += ["--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = next(line for line in process.stderr if line.startswith("DevTools listening on "))
        with connect(said.split()[-1], max_size=2**26, proxy=None) as socket:
            yield Page(socket)
    finally:
        process.kill()
        process.communicate()
