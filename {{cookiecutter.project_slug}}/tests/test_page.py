"""The page at /: what it says, to whom, that nothing breaks out of it, and that it works in a real browser."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import browser
import pytest
import uvicorn
from fastapi.testclient import TestClient

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.model.id import VersionId
from {{cookiecutter.package_name}}.serving.app import create_app
from {{cookiecutter.package_name}}.serving.front import Front
from {{cookiecutter.package_name}}.serving.keys import add
from {{cookiecutter.package_name}}.serving.page import page
from {{cookiecutter.package_name}}.serving.shelf import Shelf
from {{cookiecutter.package_name}}.serving.traffic import Traffic
from {{cookiecutter.package_name}}.serving.worker import open_placed
from {{cookiecutter.package_name}}.spec import Column, ModelContract, TargetSpec
from {{cookiecutter.package_name}}.training.registry import Registry

from conftest import Project

NOW = datetime(2026, 6, 3, 6, tzinfo=UTC)
HOSTILE = """</script></style><script>alert(1)</script><img src=x onerror=alert(1)>"'&<b> ☃"""


def app_of(project: Project, name: str = "hours") -> Front:
    """The server as it is when version 1 of a model serves."""
    Registry(project.paths).fetch(VersionId(name, 1))
    operations = load_operations(project.paths.operations)
    shelf = Shelf(project.paths, operations)
    shelf.champion, shelf.since = open_placed(VersionId(name, 1), project.paths)[0], NOW
    return create_app(shelf, project.paths, operations, follow=False)


class Seen(HTMLParser):
    """A page as a browser takes it apart: elements with their attributes, and the text of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open, []).append(data)

    def fields(self) -> dict[str, dict[str, str | None]]:
        return {str(with_["name"]): {"tag": tag, **with_} for tag, with_ in self.elements if "data-kind" in with_}


def self_contained(seen: Seen, policy: str) -> None:
    """One script and one style, both named in the policy by their hash, and nothing from elsewhere."""
    for tag in ("script", "style"):
        assert [one for one, _ in seen.elements].count(tag) == 1
        digest = base64.b64encode(hashlib.sha256("".join(seen.texts[tag]).encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for _, attributes in seen.elements:
        assert not {"src", "style", "action"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "data:,") == "data:,"
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy


def test_the_page_says_what_serves_and_has_a_form_made_from_the_contract(trained: Project) -> None:
    trained.paths.card_notes("hours").parent.mkdir(exist_ok=True)
    trained.paths.card_notes("hours").write_text("Not for *air freight*.\n", encoding="utf-8")
    answer = TestClient(app_of(trained)).get("/")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    seen = Seen(answer.text)
    self_contained(seen, answer.headers["content-security-policy"])
    for words in ("hours/1", "2026-06-03 06:00 UTC", "hours from handing in to delivery", "Not for *air freight*."):
        assert words in answer.text
    assert {"mae", "skill", "dataset", "commit", "owner"} <= {word for part in seen.texts.values() for word in part}
    fields = seen.fields()
    assert list(fields) == [
        *("parcel_id", "created_at", "depot", "service", "weight_g"),
        *("distance_km", "customer_age_days", "fragile", "promised_hours"),
    ]
    weight = fields["weight_g"]
    assert (weight["type"], weight["min"], weight["max"], weight["value"]) == ("number", "1", "70000", "1850")
    assert fields["distance_km"]["min"] == "0.1" and fields["service"]["tag"] == "select"
    assert {"express", "standard", "economy", "true", "false"} <= set(seen.texts["option"])
    assert "road distance to the addressee; number, 0.1 to 3000 km" in seen.texts["span"]
    assert any(line.startswith("curl -s http://testserver/predict -d ") for line in seen.texts["code"])


def test_docs_leads_to_the_page_and_both_can_be_switched_off(trained: Project) -> None:
    led = TestClient(app_of(trained)).get("/docs", follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (307, "./")
    trained.edit("operations.yaml", "  docs: true", "  docs: false")
    client = TestClient(app_of(trained))
    for path in ("/", "/docs", "/openapi.json"):
        assert client.get(path).json()["error"]["code"] == "no_such_route"
    assert client.get("/version").status_code == 200


def test_without_a_key_the_page_says_nothing_but_that_one_is_needed(trained: Project) -> None:
    key = add(trained.paths, "somebody", NOW)
    client = TestClient(app_of(trained))
    for headers in ({}, {"x-api-key": "ml_wrong"}):
        answer = client.get("/", headers=headers)
        assert answer.status_code == 401
        self_contained(Seen(answer.text), answer.headers["content-security-policy"])
        assert 'type="password"' in answer.text
        for secret in ("hours/1", "weight_g", "mae", "curl", "ml-team"):
            assert secret not in answer.text, secret
    assert client.get("/docs").status_code == 401
    assert client.get("/version").status_code == client.get("/openapi.json").status_code == 401
    whole = client.get("/", headers={"x-api-key": key})
    assert whole.status_code == 200 and "weight_g" in whole.text and key not in whole.text
    assert "X-API-Key: $KEY" in whole.text


def test_before_the_first_version_the_page_says_what_is_missing(project: Project) -> None:
    operations = load_operations(project.paths.operations)
    shelf = Shelf(project.paths, operations)
    shelf.follow()
    answer = TestClient(create_app(shelf, project.paths, operations, follow=False)).get("/")
    assert answer.status_code == 200
    assert "Not ready" in answer.text and "uv run ml promote 1" in answer.text and "<form" not in answer.text


@pytest.mark.parametrize("host", ["evil.example/<script>", "a b", "x" * 300, "'; rm -rf ~; '"])
def test_an_odd_host_is_not_repeated(host: str, project: Project) -> None:
    operations = load_operations(project.paths.operations)
    app = create_app(Shelf(project.paths, operations), project.paths, operations, follow=False)
    answer = TestClient(app).get("/", headers={"host": host})
    assert host not in answer.text and "curl -s http://127.0.0.1:8000/version" in answer.text


def hostile_version() -> Any:
    """A version whose every word tries to break out."""
    columns = [
        Column(name="text", kind="category", meaning=HOSTILE, example=HOSTILE, known=[HOSTILE]),
        Column(name="choice", kind="category", meaning=HOSTILE, allowed=[HOSTILE, "other"], example=HOSTILE),
        Column(
            name="number", kind="number", meaning="m", unit=HOSTILE, above=0.1, below=1e30, example=0.30000000000000004
        ),
        Column(name="whole", kind="integer", meaning="m", maximum=2.0**60, nullable=True),
        Column(name="flag", kind="flag", meaning="m", nullable=True),
    ]
    target = TargetSpec(name="y", task="regression", meaning=HOSTILE, unit=HOSTILE)
    facts = {"metrics": {HOSTILE: 1.0, "mae": float("nan")}, "config": {"features": {"columns": [HOSTILE]}}}
    return SimpleNamespace(
        name=HOSTILE,
        path=HOSTILE,
        contract=ModelContract(version=HOSTILE, table=HOSTILE, columns=columns, target=target),
        facts=facts | {"git_commit": HOSTILE, "python": HOSTILE},
        request=SimpleNamespace(example=lambda: {column.name: column.example for column in columns}),
    )


def test_nothing_breaks_out_of_the_page(project: Project) -> None:
    operations = load_operations(project.paths.operations)
    version = hostile_version()
    shelf = SimpleNamespace(
        champion=version,
        canary=version,
        shadow=version,
        since=NOW,
        registry=HOSTILE,
        refused={HOSTILE: HOSTILE},
        traffic=Traffic(share=5.0, stopped=HOSTILE),
    )
    text = page(shelf, operations, HOSTILE, "http://127.0.0.1:1", needs_key=True)  # type: ignore[arg-type]
    seen = Seen(text)
    tags = [tag for tag, _ in seen.elements]
    assert tags.count("script") == 1 and "img" not in tags
    assert not [attributes for _, attributes in seen.elements if "onerror" in attributes or "src" in attributes]
    fields = seen.fields()
    assert fields["text"]["value"] == HOSTILE, "and it is still there, to the letter"
    assert HOSTILE in [attributes.get("value") for tag, attributes in seen.elements if tag == "option"]
    assert fields["number"]["value"] == "0.30000000000000004" and fields["number"]["min"] == "0.1"
    assert fields["whole"]["max"] == repr(2.0**60)


@contextmanager
def listening(app: Front) -> Iterator[str]:
    """The server on a free port, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, server_header=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


in_a_browser = pytest.mark.skipif(browser.PROGRAM is None, reason="no Chromium on the PATH")


def complaints(seen: browser.Page) -> list[str]:
    """What the console says, but for the refusals that were asked for."""
    return [words for words in seen.complaints if not re.search("status of (401|422)", words)]


@in_a_browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)], ids=["desk", "phone in the dark"])
def test_a_person_tries_a_row_in_a_browser(trained: Project, tmp_path: Path, width: int, dark: bool) -> None:
    with listening(app_of(trained)) as address, browser.browsing(tmp_path / "profile") as seen:
        seen.open(f"{address}/docs", width=width, dark=dark)
        assert seen.do("location.pathname") == "/" and "hours/1 serves" in seen.text("header")
        seen.click("#row button")
        seen.wait("document.querySelector('#answer').className === 'good'")
        words = seen.text("#answer")
        assert re.search(r"delivered_hours\s+[0-9.]+ h", words) and "hours/1" in words and "request ID" in words
        assert f"curl -s {address}/version" in seen.text(".routes")

        # what the contract refuses is said by the server, in words, and the field is marked
        seen.fill("weight_g", "99999999")
        seen.fill("depot", "")
        seen.click("#row button")
        seen.wait("document.querySelector('#answer').className === 'bad'")
        assert "weight_g is out of range: expected number, 1 to 70000 g" in seen.text("#answer")
        marked = seen.do("[...document.querySelectorAll('[aria-invalid]')].map(input => input.name).join()")
        assert marked == "depot,weight_g"
        seen.fill("weight_g", "")
        seen.fill("depot", "</script><b>moon")
        seen.click("#row button")
        seen.wait("document.querySelector('#answer').innerText.includes('weight_g is missing')")
        seen.fill("weight_g", "1850")
        seen.fill("customer_age_days", "")
        seen.click("#row button")
        seen.wait("document.querySelector('#answer').className === 'good'")
        assert seen.do("document.querySelectorAll('[aria-invalid]').length") == 0

        assert seen.do("document.documentElement.scrollWidth") <= width, "nothing to scroll sideways"
        paper = [int(part) for part in re.findall(r"\d+", seen.do("getComputedStyle(document.body).backgroundColor"))]
        assert (max(paper) < 64) if dark else (min(paper) > 192)
        assert {one.partition(address)[0] for one in seen.asked} == {""}, "it asks nobody else"
        assert complaints(seen) == [], "nothing that its own policy forbids"


@in_a_browser
@pytest.mark.slow
def test_a_person_with_a_key_opens_the_page_and_one_without_does_not(trained: Project, tmp_path: Path) -> None:
    key = add(trained.paths, "somebody", NOW)
    with listening(app_of(trained, "late")) as address, browser.browsing(tmp_path / "profile") as seen:
        seen.open(address)
        assert "asks for an API key" in seen.text("header") and "late" not in seen.text("body")
        seen.fill("key", "ml_wrong")
        seen.click("#lock button")
        seen.wait("document.querySelector('#answer').innerText.includes('no key of this server')")
        seen.fill("key", key)
        seen.click("#lock button")
        seen.wait("document.querySelector('#row') !== null")
        assert seen.do("document.title").startswith("late/1")
        seen.click("#row button")
        seen.wait("document.querySelector('#answer').className === 'good'")
        assert re.search(r"late\s+(yes|no)\s+late_probability\s+0\.[0-9]+", seen.text("#answer"))
        seen.fill("key", "ml_wrong")
        seen.click("#row button")
        seen.wait("document.querySelector('#answer').innerText.includes('expected a valid API key')")
        assert key not in seen.do("location.href + document.cookie + JSON.stringify(localStorage)")
        assert complaints(seen) == []
