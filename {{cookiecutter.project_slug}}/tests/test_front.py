"""The outermost layer of the server: who comes in, how many, for how long, and what every answer carries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import generate_latest

from {{cookiecutter.package_name}}.config import ServingConfig
from {{cookiecutter.package_name}}.serving.answers import Refused
from {{cookiecutter.package_name}}.serving.exchange import Request
from {{cookiecutter.package_name}}.serving.front import Front
from {{cookiecutter.package_name}}.serving.metrics import Metrics


class Answer:
    """One response as it was sent."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, {}, b""

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]

    @property
    def code(self) -> str:
        return json.loads(self.body)["error"]["code"]


class OneKey:
    required = True

    def holder(self, authorization: str | None, x_api_key: str | None) -> str | None:
        return "ann" if "right" in (authorization, x_api_key) else None


class NoKeys:
    required = False

    def holder(self, authorization: str | None, x_api_key: str | None) -> str | None:
        raise AssertionError("nobody asks for a key")


async def inner(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Stands for FastAPI."""
    if scope["path"] == "/broken":
        raise ValueError("secret detail")
    headers = [(b"content-security-policy", b"its own")] if scope["path"] == "/" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["state"]["id"].encode()})


async def echo(request: Request, version: str | None) -> bytes:
    return await request.body(100)


class Served:
    """A front around ``predict``."""

    def __init__(self, predict: Any = echo, keys: Any = None, **config: Any) -> None:
        self.metrics = Metrics()
        self.front = Front(inner, predict, ServingConfig(**config), self.metrics, keys or NoKeys())

    async def ask(
        self,
        path: str = "/predict",
        *messages: dict[str, Any],
        method: str = "POST",
        client: str = "10.0.0.1",
        **headers: str,
    ) -> Answer:
        """Send a request whose body comes as ``messages``; after the last one nothing comes any more."""
        coming = iter(messages or ({"type": "http.request", "body": b"{}"},))

        async def receive() -> dict[str, Any]:
            for message in coming:
                return message
            await asyncio.Event().wait()
            raise AssertionError

        scope = {"type": "http", "method": method, "path": path, "client": (client, 1), "state": {}}
        scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        answer = Answer()
        await self.front(scope, receive, answer)
        return answer

    def counted(self, route: str, status: int) -> float:
        labels = {"route": route, "status": f"{status}"}
        return self.metrics.registry.get_sample_value("ml_requests_total", labels) or 0.0


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await asyncio.wait_for(work(), 30)

    return asyncio.run(main())


@pytest.mark.parametrize("path", ["/predict", "/versions/hours/3/predict", "/health", "/nowhere", "/broken"])
def test_every_answer_carries_its_request_and_what_a_browser_must_not_do(path: str) -> None:
    answer = run(lambda: Served().ask(path, x_request_id="mine-1"))
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_page_may_have_a_policy_of_its_own() -> None:
    assert run(lambda: Served().ask("/")).headers["content-security-policy"] == "its own"


@pytest.mark.parametrize("given", ["", "ä", "a b", "x" * 65, "a\r\nset-cookie: b"])
def test_a_request_id_that_could_do_harm_is_replaced(given: str) -> None:
    answer = run(lambda: Served().ask("/health", x_request_id=given))
    assert len(answer.headers["x-request-id"]) == 32 and answer.body.decode() == answer.headers["x-request-id"]


def test_a_mistake_of_the_server_says_nothing_of_its_inside(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(request: Request, version: str | None) -> bytes:
        raise ValueError("secret detail")

    for path in ("/predict", "/broken"):
        served = Served(fails)
        answer = run(lambda served=served, path=path: served.ask(path, x_request_id="r1"))
        assert (answer.status, answer.code) == (500, "internal") and b"secret" not in answer.body
    assert "secret detail" in caplog.text and {record.request_id for record in caplog.records} == {"r1"}


def test_the_version_in_the_path_is_handed_on_and_other_methods_are_refused() -> None:
    asked: list[str | None] = []

    async def predict(request: Request, version: str | None) -> bytes:
        asked.append(version)
        return b"{}"

    served = Served(predict)
    for path in ("/predict", "/versions/3/predict", "/versions/hours/3/predict"):
        assert run(lambda path=path: served.ask(path)).status == 200
    assert asked == [None, "3", "hours/3"]
    refused = run(lambda: served.ask("/predict", method="GET"))
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


def test_a_body_is_refused_as_soon_as_it_is_too_long() -> None:
    served = Served()
    piece = {"type": "http.request", "body": b"x" * 60, "more_body": True}
    announced = run(lambda: served.ask("/predict", content_length="100000000"))
    streamed = run(lambda: served.ask("/predict", piece, piece))  # there is no third: nobody may ask for one
    for answer in (announced, streamed):
        assert (answer.status, answer.code, answer.headers["connection"]) == (413, "too_large", "close")


def test_a_body_that_never_ends_is_408_and_a_model_that_never_ends_503() -> None:
    async def forever(request: Request, version: str | None) -> bytes:
        await request.body(100)
        await asyncio.Event().wait()
        raise AssertionError

    begun = {"type": "http.request", "body": b"{", "more_body": True}
    slow = run(lambda: Served(timeout_seconds=0.05).ask("/predict", begun))
    assert (slow.status, slow.code, slow.headers["connection"]) == (408, "too_slow", "close")
    stuck = run(lambda: Served(forever, timeout_seconds=0.05).ask("/predict"))
    assert (stuck.status, stuck.code, stuck.headers["retry-after"]) == (503, "timeout", "2")


def test_a_client_that_goes_is_counted_and_no_error() -> None:
    served = Served()
    run(lambda: served.ask("/predict", {"type": "http.disconnect"}))
    assert served.counted("/predict", 499) == 1


def test_over_its_limit_the_server_says_so_at_once_and_goes_on_afterwards() -> None:
    held = asyncio.Event()

    async def hold(request: Request, version: str | None) -> bytes:
        await held.wait()
        return b"{}"

    served = Served(hold, max_waiting=2)

    async def work() -> list[Answer]:
        asked = [asyncio.ensure_future(served.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        over = await served.ask()
        healthy = await served.ask("/health")
        held.set()
        return [over, healthy, *await asyncio.gather(*asked), await served.ask()]

    over, healthy, *others = run(work)
    assert (over.status, over.code, over.headers["retry-after"]) == (503, "overloaded", "1")
    assert healthy.status == 200, "an orchestrator must not kill a server for having much to do"
    assert [answer.status for answer in others] == [200, 200, 200]
    assert served.metrics.registry.get_sample_value("ml_requests_waiting") == 0


def test_a_rate_is_that_of_a_key_or_else_of_an_address() -> None:
    async def work(served: Served, *headers: dict[str, str]) -> list[int]:
        return [(await served.ask(**one)).status for one in headers]

    addresses = [{"client": who} for who in ("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.1")]
    assert run(lambda: work(Served(requests_per_minute=2), *addresses)) == [200, 200, 200, 429]
    keyed = [{"client": who, "x_api_key": "right"} for who in ("10.0.0.1", "10.0.0.2", "10.0.0.3")]
    assert run(lambda: work(Served(keys=OneKey(), requests_per_minute=2), *keyed)) == [200, 200, 429]
    served = Served(requests_per_minute=1)
    run(served.ask)
    refused = run(served.ask)
    assert refused.code == "too_many_requests" and int(refused.headers["retry-after"]) == 60


def test_without_a_key_only_the_health_of_the_server_is_told() -> None:
    served = Served(keys=OneKey())
    for path in ("/predict", "/versions/1/predict", "/version", "/metrics", "/openapi.json", "/nowhere"):
        refused = run(lambda path=path: served.ask(path, authorization="wrong"))
        assert (refused.status, refused.code) == (401, "no_key") and "www-authenticate" in refused.headers
        assert run(lambda path=path: served.ask(path, authorization="right")).status == 200
    # and the page comes to its own lock, which a browser can show: test_page.py
    for path in ("/health", "/ready", "/", "/docs"):
        assert run(lambda path=path: served.ask(path)).status == 200


def test_a_refusal_is_counted_by_route_and_status() -> None:
    async def refuses(request: Request, version: str | None) -> bytes:
        raise Refused(409, "version_refused", "its proof failed")

    served = Served(refuses)
    assert run(lambda: served.ask("/versions/hours/3/predict")).code == "version_refused"
    assert served.counted("/versions/{version}/predict", 409) == 1
    run(lambda: served.ask("/invented/by/anybody"))
    assert b"invented" not in generate_latest(served.metrics.registry)
