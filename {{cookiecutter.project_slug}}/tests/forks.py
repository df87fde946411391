"""`ml` in processes of their own that cost a tenth of a second: forks of one that has imported everything.

That one has never computed anything, for what polars and OpenMP start does not survive a fork. Processes that the
program starts from its own modules are forks of it as well, and belong to the group that a kill ends.

A boundary is where something below a folder changes from one state into the next: Python announces files, and
SQLAlchemy what it is about to commit. ``at`` says before which one, counted from 1, the whole group gets SIGKILL.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from kill import Moments, listen, watching

PACKAGE = "{{cookiecutter.package_name}}"
EVERYTHING = [f"{PACKAGE}.{name}" for name in ("cli", "operations.daily", "operations.score", "serving.worker")]
EVERYTHING += [f"{PACKAGE}.training.{name}" for name in ("train", "contest", "champion", "scorer")]
EVERYTHING += ["sqlalchemy.dialects.sqlite", "mlflow.store.model_registry.sqlalchemy_store"]
ADDRESS = "FORKS"
"""The environment variable that leads a fork to the process it was forked from."""


@contextmanager
def beside(*program: str) -> Iterator[None]:
    """Forks are of a process that ``program`` started, and looks at."""
    address, server, scratch = _start(*program)
    before = os.environ.get(ADDRESS)
    os.environ[ADDRESS] = address
    try:
        yield
    finally:
        os.environ.pop(ADDRESS) if before is None else os.environ.update({ADDRESS: before})
        server.communicate()
        scratch.cleanup()


def _start(*program: str) -> tuple[str, subprocess.Popen[bytes], tempfile.TemporaryDirectory[str]]:
    """Start a process that forks; its address comes first. It imports for seconds, and ends when its input does."""
    scratch = tempfile.TemporaryDirectory(prefix="forks-")
    address = f"{scratch.name}/socket"
    code = "import sys; sys.path.insert(0, sys.argv[2]); import forks; forks.serve()"
    server = subprocess.Popen(  # one thread each: nothing here is large, and spinning ones cost
        [*program, sys.executable, "-c", code, address, str(Path(__file__).parent)],
        env=os.environ | {ADDRESS: address, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout and server.stdout.readline(), "it did not come up; what it said stands above"
    return address, server, scratch


_started = functools.cache(_start)


def serve() -> None:
    """Fork on request: ``function, arguments`` and three files to be its standard input, output and errors."""
    for name in EVERYTHING:
        importlib.import_module(name)
    importlib.import_module("sqlalchemy.orm").configure_mappers()
    gc.freeze()  # or each fork copies what it only looks through
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen(64)
        os.write(1, b"ready\n")
        while server in select.select([server, 0], [], [])[0]:
            asked, _ = server.accept()
            request, files, _, _ = socket.recv_fds(asked, 1 << 16, 3)
            if os.fork() == 0:
                server.close()
                _attend(asked, request, files)
            for file in (asked.detach(), *files):
                os.close(file)


def _attend(asked: socket.socket, request: bytes, files: list[int]) -> NoReturn:
    """Fork once more, and wait: only a parent learns how a process ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        asked.close()
        _become(request, files)
    for file in files:
        os.close(file)
    try:
        asked.sendall(f"{child}\n".encode())
        asked.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
    finally:
        os._exit(0)


def _become(request: bytes, files: list[int]) -> NoReturn:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    function, arguments = pickle.loads(request)
    code = 1
    try:
        code = function(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Forked:
    """A process that was forked to call ``function``: what the program uses of ``subprocess.Popen``."""

    def __init__(self, function: Callable[..., int], *arguments: Any) -> None:
        self.args = arguments
        self.returncode: int | None = None
        (stdin, ours), (said, stdout), (wrong, stderr) = os.pipe(), os.pipe(), os.pipe()
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(os.environ.get(ADDRESS) or _started()[0])
            socket.send_fds(asked, [pickle.dumps((function, arguments))], [stdin, stdout, stderr])
            self._answers: IO[str] = asked.makefile(encoding="ascii")
        for file in (stdin, stdout, stderr):
            os.close(file)
        self.stdin: IO[str] = os.fdopen(ours, "w", encoding="utf-8")
        self.stdout: IO[str] = os.fdopen(said, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(wrong, encoding="utf-8")
        self.pid = int(self._answers.readline())

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self.communicate()

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Everything that is left to be read, once it has ended."""
        if not self.stdin.closed:
            self.stdin.write(input or "")
            self.stdin.close()
        said = [file.read() for file in (self.stdout, self.stderr) if not file.closed]
        for file in (self.stdout, self.stderr):
            file.close()
        if self.returncode is None:
            self.returncode = int(self._answers.readline())
        return said[0] if said else "", said[1] if said else ""


class Boundaries(Moments):
    """Moments at which something changes, written down in the file ``log``: several processes count together.

    Every other draft that is about to get its name is cut in half at death, as by a kill in mid-write.
    """

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch.root, None, lambda _: None)
        self.last, self.pause = watch.at, watch.pause
        self.log = os.open(watch.log, os.O_RDWR | os.O_APPEND | os.O_CREAT)

    def changing(self, event: str, path: str, arguments: tuple[Any, ...]) -> None:
        there, fails = os.path.lexists(path), not Path(path).parent.is_dir()
        same = {"os.mkdir": there or fails, "os.remove": not there, "os.rmdir": not there}
        if not same.get(event) and not (event == "open" and there and not arguments[2] & os.O_TRUNC):
            self.boundary(event, path)

    def boundary(self, event: str, path: str) -> None:
        os.write(self.log, f"{event} {path.removeprefix(self.folder + os.sep)}\n".encode())
        count = os.pread(self.log, 1 << 20, 0).count(b"\n")
        if count == self.last:
            watching.clear()
            if event == "os.rename" and count % 2 and Path(path).is_file():
                os.truncate(path, Path(path).stat().st_size // 2)
            os.killpg(os.getpgrp(), signal.SIGKILL)
        if event == "os.rename":
            time.sleep(self.pause)

    def committing(self, connection: Any) -> None:
        if connection.connection.dbapi_connection.in_transaction:
            self.boundary("commit", connection.engine.url.database)


@dataclass(frozen=True)
class Watch:
    """What a process and those that it starts are watched with.

    ``pause``: seconds that every renaming waits, so that two that run at once get into each other's way if they can.
    ``setup``: called before anything else.
    """

    root: Path
    log: Path
    at: int | None = None
    pause: float = 0
    setup: Callable[[], object] = int

    def begin(self, group: int) -> None:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        os.setpgid(0, group)
        os.chdir(self.root)
        tempfile.tempdir = str(self.log.parent)  # what a kill leaves there goes with it
        self.setup()
        seen = Boundaries(self)
        listen()
        watching.append(seen)
        event.listen(Engine, "commit", seen.committing)
        subprocess.Popen = functools.partial(_popen, self)  # type: ignore[misc,assignment]


def limited(size: int) -> None:
    """Files cannot grow beyond ``size`` bytes: the kernel refuses the write in the middle, as on a full disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _together(barrier: Path) -> None:
    import fcntl

    with barrier.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)


def light() -> None:
    """Leave out of a training what only computes: drawing, and the gate's stopwatch, no judge on a busy machine."""
    from matplotlib.figure import Figure

    from {{cookiecutter.package_name}}.training import checks, figures

    Figure.savefig = lambda _, path, **__: Path(path).write_bytes(b"")
    figures.draw = lambda *_: {}
    figures.IMPORTANCE_ROWS = 20
    checks.latency = lambda *_: checks.absent("GATE006")


_Popen = subprocess.Popen


def _popen(watch: Watch, command: list[str], *arguments: Any, **about: Any) -> Any:
    """In the place of ``Popen``: our own modules are forked, anything else is started."""
    if command[:2] != [sys.executable, "-m"] or not command[2].startswith(PACKAGE):
        return _Popen(command, *arguments, **about)
    return Forked(_run, watch, os.getpgrp(), command[2], command[3:])


def _run(watch: Watch, group: int, module: str, arguments: list[str]) -> int:
    watch.begin(group)
    return importlib.import_module(module).main(arguments)


@dataclass(frozen=True)
class Ended:
    """``boundaries`` are those that it came to; at the last of them it died, if it did."""

    code: int
    out: str
    err: str
    boundaries: list[str]


class Running:
    """``ml`` in the project at ``root``, started. ``watch``: see :class:`Watch`."""

    def __init__(self, root: Path, *arguments: str, **watch: Any) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="forks-")
        self._log = Path(self._scratch.name) / "boundaries"
        self._process = Forked(_run, Watch(root, self._log, **watch), 0, f"{PACKAGE}.cli", arguments)

    def end(self) -> Ended:
        out, err = self._process.communicate()
        seen = self._log.read_text(encoding="utf-8").splitlines()
        self._scratch.cleanup()
        return Ended(self._process.returncode or 0, out, err, seen)


def ml(root: Path, *arguments: str, **watch: Any) -> Ended:
    """`ml`, from its beginning to its end. ``watch``: see :class:`Watch`."""
    return Running(root, *arguments, **watch).end()


def at_once(root: Path, *commands: tuple[str, ...], pause: float = 0, setup: Callable[[], object] = int) -> list[Ended]:
    """`ml` several times, each in a process that waits until all of them are there."""
    import fcntl

    with tempfile.NamedTemporaryFile() as barrier:
        fcntl.flock(barrier, fcntl.LOCK_EX)
        both = functools.partial(_both, setup, functools.partial(_together, Path(barrier.name)))
        running = [Running(root, *command, pause=pause, setup=both) for command in commands]
        fcntl.flock(barrier, fcntl.LOCK_UN)
        return [one.end() for one in running]


def _both(first: Callable[[], object], second: Callable[[], object]) -> None:
    first()
    second()
