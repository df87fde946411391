"""Writing files so that a crash at any moment leaves the old state or the new one, never half of one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any

TEMPORARY = ".tmp-"


def _sync(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut. Windows has no such call, and needs none for NTFS."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary(path: Path) -> Path:
    """A name beside ``path`` that no other process or thread uses."""
    return path.with_name(f"{TEMPORARY}{os.getpid()}-{get_ident()}-{path.name}")


def put(draft: Path, path: Path) -> None:
    """Let the finished file ``draft`` (same file system) take the place of ``path``, and survive a power cut there."""
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def named(error: OSError, path: Path) -> None:
    """Say where: a write that fails names no file, and nobody knows a draft."""
    unnamed = error.filename is None and error.errno is not None
    if unnamed or Path(error.filename or "").name.startswith(TEMPORARY):
        error.filename = str(path)


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A temporary path beside ``path``; what the body wrote there takes the place of ``path`` when it ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = temporary(path)
    try:
        yield draft
        put(draft, path)
    except OSError as error:
        named(error, path)
        raise
    finally:
        draft.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def as_json(value: Any) -> bytes:
    """``value`` as indented JSON with sorted keys: the same value gives the same bytes."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, as_json(value))


def replace_folder(temporary: Path, path: Path) -> None:
    """Put the finished folder ``temporary`` (same file system) in the place of ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        outgoing = path.with_name(f"{TEMPORARY}{os.getpid()}-old-{path.name}")
        path.rename(outgoing)
        temporary.rename(path)
        shutil.rmtree(outgoing)
    else:
        temporary.rename(path)
    _sync(path.parent)


def copy_folder(source: Path, path: Path) -> None:
    """Put a copy of ``source``, from whatever file system, in the place of ``path``: all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-new-{path.name}")
    try:
        shutil.copytree(source, temporary)
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: Path, name: str = "") -> None:
    """Remove drafts that a killed run left in ``folder``, with ``name`` only those of that file.

    Call it under the lock that guards the folder, or the file.
    """
    for leftover in folder.glob(f"{TEMPORARY}*{name}"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
