"""What the kernel was asked to change, by strace: to see that Python's announcements leave nothing out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CALLS = "open,openat,creat,write,pwrite64,writev,pwritev,sendfile,copy_file_range,splice,ftruncate,truncate,fallocate,"
CALLS += "rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,mmap"
STRACE = ["strace", "-f", "-y", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o"]
"""The file to write to follows."""
EVENTS = {"rename": "os.rename", "mkdir": "os.mkdir", "rmdir": "os.rmdir", "unlink": "os.remove"}
"""What Python calls a call that begins like this."""
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
OPENED = re.compile(r"(?:AT_FDCWD|\d+)<(.*?)>")
"""A file that is open, by its path."""


def calls(trace: Path) -> Iterator[tuple[str, str, str]]:
    """Every call that ended well: its name, its arguments, its result. One that had to wait stands on two lines."""
    begun: dict[str, str] = {}
    for line in trace.read_text("utf-8", errors="replace").splitlines():
        process, _, said = line.partition(" ")
        said = said.strip()
        if said.endswith("<unfinished ...>"):
            begun[process] = said.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", said):
            said = begun.pop(process) + said[resumed.end() :]
        whole = re.match(r"(\w+)\((.*)\)\s+= (.*)", said)
        if whole and not whole[3].startswith("-1"):
            yield whole[1], whole[2], whole[3]


def changes(trace: Path) -> Iterator[tuple[str, str]]:
    """What was changed, as Python would announce it: ``("os.rename", the old path)``; of each write the opening."""
    for name, arguments, result in calls(trace):
        opened, strings = OPENED.findall(arguments), [_text(found) for found in STRING.findall(arguments)]
        event = next((EVENTS[begin] for begin in EVENTS if name.startswith(begin)), "open")
        if event != "open":
            removed = "os.rmdir" if "AT_REMOVEDIR" in arguments else event
            yield removed, str(Path(opened[0] if opened else "/", strings[0]))
        elif name.startswith("open"):
            if "O_CREAT" in arguments or "O_TRUNC" in arguments:
                yield "open", OPENED.findall(result)[0]
        elif name in ("copy_file_range", "splice"):
            yield "open", opened[1]
        elif name != "mmap" or ("PROT_WRITE" in arguments and "MAP_SHARED" in arguments):
            yield from (("open", path) for path in opened[:1] or strings[-1:])


def commits(trace: Path) -> int:
    """How often SQLite committed in its write-ahead log: a page's header says so in its second word."""
    headers = (
        _bytes(STRING.findall(arguments)[0])
        for name, arguments, _ in calls(trace)
        if name == "pwrite64" and "-wal>" in arguments and ", 24, " in arguments
    )
    return sum(header[4:8] != bytes(4) for header in headers)


def _bytes(escaped: str) -> bytes:
    return ast.literal_eval(f'b"{escaped}"')


def _text(escaped: str) -> str:
    return _bytes(escaped).decode(errors="replace") if escaped.isascii() else escaped
