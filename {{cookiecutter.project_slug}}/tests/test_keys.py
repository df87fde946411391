"""API keys: made, listed, removed and rotated; what the file holds, and that a broken one lets nobody in."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from {{cookiecutter.package_name}}.errors import ProjectError
from {{cookiecutter.package_name}}.log import log
from {{cookiecutter.package_name}}.serving.keys import Keys
from {{cookiecutter.package_name}}.serving.serve import bind

from conftest import Project

PACKAGE = "{{cookiecutter.package_name}}"


class Clock:
    """A stopwatch that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def later(self) -> None:
        self.seconds += 2


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO)
    return caplog


def added(project: Project, name: str) -> str:
    ran = project.ml("keys", "add", name, "--json")
    assert ran.code == 0, ran.out
    return ran.json["key"]


def test_a_key_is_shown_once_and_only_its_hash_is_kept(project: Project) -> None:
    ran = project.ml("keys", "add", "checkout")
    assert ran.code == 0, ran.err
    key = ran.out.splitlines()[1]
    assert key.startswith("ml_") and len(key) == 3 + 43, "256 bits in base64"
    content = project.paths.keys.read_text(encoding="utf-8")
    assert key not in content and key[3:] not in content
    assert [one["sha256"] for one in json.loads(content)] == [hashlib.sha256(key.encode()).hexdigest()]
    listed = project.ml("keys", "list")
    assert "checkout" in listed.out and key not in listed.out
    assert [set(one) for one in project.ml("keys", "--json").json] == [{"name", "created"}]
    assert added(project, "another") != key


@pytest.mark.skipif(os.name == "nt", reason="no such rights there")
def test_the_file_is_its_owners_alone_and_stays_so(project: Project) -> None:
    for name in ("one", "two"):
        added(project, name)
        assert stat.S_IMODE(project.paths.keys.stat().st_mode) == 0o600
    project.ml("keys", "remove", "one")
    assert stat.S_IMODE(project.paths.keys.stat().st_mode) == 0o600
    assert [path.name for path in project.paths.serving.iterdir()] == ["keys.json"], "no draft is left"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add",), "expected a name"),
        (("add", "checkout"), "a key for checkout already"),
        (("add", "Check out"), "no name of a key"),
        (("remove", "nobody"), "no key for nobody"),
        (("remove",), "expected a name"),
    ],
)
def test_a_slip_changes_nothing(arguments: tuple[str, ...], words: str, project: Project) -> None:
    added(project, "checkout")
    before = project.paths.keys.read_bytes()
    ran = project.ml("keys", *arguments)
    assert ran.code == 2 and words in ran.err and "hint" in ran.err
    assert project.paths.keys.read_bytes() == before


def test_a_key_is_taken_from_either_header(project: Project) -> None:
    key, other = added(project, "checkout"), added(project, "nightly")
    keys = Keys.of(project.paths)
    assert keys.required
    for authorization, x_api_key, holder in [
        (f"Bearer {key}", None, "checkout"),
        (f"bearer  {key} ", None, "checkout"),
        (None, other, "nightly"),
        ("Basic dXNlcjpwYXNz", key, "checkout"),
        ("Bearer of-the-proxy", key, "checkout"),
        (None, None, None),
        ("", "", None),
        (key, None, None),
        ("Bearer", None, None),
        (f"Basic {key}", None, None),
        (f"Bearer {key}x", None, None),
        (f"Bearer {key[:-1]}", None, None),
        ("Bearer \udcff\x00ü", "é" * 10_000, None),
        (None, hashlib.sha256(key.encode()).hexdigest(), None),
    ]:
        assert keys.holder(authorization, x_api_key) == holder, (authorization, x_api_key)


def test_every_key_is_compared_whichever_fits(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer says nothing of which key it was, or how much of one was right."""
    import hmac

    first = added(project, "first")
    for name in ("second", "third"):
        added(project, name)
    keys = Keys.of(project.paths)
    compared: list[Any] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *two: compared.append(two) or real(*two))
    for key in (first, "wrong"):
        compared.clear()
        keys.holder(f"Bearer {key}", None)
        assert len(compared) == 3


def test_keys_rotate_without_a_restart(project: Project) -> None:
    clock = Clock()
    old = added(project, "checkout")
    keys = Keys(project.paths.keys, clock=clock)
    assert keys.holder(None, old) == "checkout"
    new = added(project, "checkout-2")
    assert keys.holder(None, new) is None, "looked at once a second at most"
    clock.later()
    assert (keys.holder(None, old), keys.holder(None, new)) == ("checkout", "checkout-2")
    project.ml("keys", "remove", "checkout")
    clock.later()
    assert (keys.holder(None, old), keys.holder(None, new)) == (None, "checkout-2")


def test_without_a_key_nobody_is_asked_until_the_first_is_made(project: Project) -> None:
    clock = Clock()
    keys = Keys(project.paths.keys, clock=clock)
    assert not keys.required
    assert "asks nobody" in project.ml("keys", "list").out
    key = added(project, "checkout")
    clock.later()
    assert keys.required and keys.holder(None, key) == "checkout"


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[",
        b"{}",
        b"\xff",
        b'[{"name": "a"}]',
        b'[{"name": "a", "sha256": "", "created": "2026-06-01T00:00:00Z"}]',
        b"twice",
    ],
)
def test_a_file_that_is_not_whole_lets_nobody_in(
    broken: bytes, project: Project, said: pytest.LogCaptureFixture
) -> None:
    key = added(project, "checkout")
    clock = Clock()
    keys = Keys(project.paths.keys, clock=clock)
    assert keys.holder(None, key)
    whole = project.paths.keys.read_bytes()
    project.paths.keys.write_bytes(json.dumps(json.loads(whole) * 2).encode() if broken == b"twice" else broken)
    for _ in range(5):
        clock.later()
        assert keys.required and keys.holder(None, key) is None
    assert [record.message for record in said.records] == ["nobody gets in"], "logged once"
    fresh = Keys(project.paths.keys)
    assert fresh.required and fresh.holder(None, key) is None, "nor with a server that starts now"
    for arguments in (("list",), ("add", "x"), ("remove", "checkout")):
        ran = project.ml("keys", *arguments)
        assert ran.code == 2 and "cannot be read" in ran.err
    project.paths.keys.write_bytes(whole)
    clock.later()
    assert keys.holder(None, key) == "checkout", "as soon as it is back"


@pytest.mark.parametrize("how", ["removed", "emptied", "a folder"])
def test_a_server_that_asked_for_keys_goes_on_asking(how: str, project: Project) -> None:
    """Taking the last key away, or losing the file, opens nothing."""
    key = added(project, "checkout")
    clock = Clock()
    keys = Keys(project.paths.keys, clock=clock)
    assert keys.required
    if how == "emptied":
        assert project.ml("keys", "remove", "checkout").code == 0
    else:
        project.paths.keys.unlink()
    if how == "a folder":
        project.paths.keys.mkdir()
    clock.later()
    assert keys.required and keys.holder(None, key) is None


def test_a_container_names_its_own_file(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "run" / "keys.json"
    monkeypatch.setenv("ML_API_KEYS_FILE", str(named))
    empty = Keys.of(project.paths)
    assert empty.required and empty.holder(None, None) is None, "a mount that was forgotten opens nothing"
    key = added(project, "checkout")
    assert named.is_file() and not project.paths.keys.exists()
    assert Keys.of(project.paths).holder(None, key) == "checkout"


def test_listening_beyond_this_machine_takes_a_key(project: Project) -> None:
    with pytest.raises(ProjectError, match=r"refusing to listen on 0\.0\.0\.0") as refused:
        bind("0.0.0.0", 0, Keys.of(project.paths))
    assert "ml keys add" in (refused.value.hint or "")
    added(project, "checkout")
    with bind("0.0.0.0", 0, Keys.of(project.paths)) as listening:
        assert listening.getsockname()[0] == "0.0.0.0"
    project.paths.keys.write_bytes(b"[")
    with pytest.raises(ProjectError, match="cannot be read"):
        bind("0.0.0.0", 0, Keys.of(project.paths))
    with bind("127.0.0.1", 0, Keys.of(project.paths)):
        pass
    project.paths.keys.unlink()
    ran = project.ml("serve", "--host", "0.0.0.0", "--port", "0")
    assert ran.code == 2 and "uv run ml keys add" in ran.err


@pytest.mark.slow
def test_a_server_that_listens_to_all_asks_everybody_and_follows_the_keys(project: Project) -> None:
    key = added(project, "checkout")
    command = [sys.executable, "-m", f"{PACKAGE}.cli", "serve", "--host", "0.0.0.0", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=project.paths.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().partition("0.0.0.0:")[2].partition(",")[0]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

            def asked(path: str, **headers: str) -> int:
                return client.get(path, headers=headers).status_code

            assert {asked(path) for path in ("/", "/version", "/metrics", "/openapi.json", "/predict")} == {401}
            assert asked("/version", authorization=f"Bearer {key}") == asked("/", **{"x-api-key": key}) == 200
            assert asked("/health") == 200
            project.paths.keys.write_bytes(b"torn")
            until = time.monotonic() + 30
            while asked("/version", authorization=f"Bearer {key}") == 200:
                assert time.monotonic() < until
                time.sleep(0.05)
            assert asked("/version") == 401 and asked("/health") == 200
    finally:
        process.kill()
        process.communicate()
