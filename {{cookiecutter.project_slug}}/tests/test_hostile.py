"""Clients that mean harm or know no better, over sockets, against a server as it runs: it says no, and goes on."""

from __future__ import annotations

import json
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from conftest import Project

PACKAGE = "{{cookiecutter.package_name}}"
SECONDS = 2.0
"""The time limit of the server here; the default of 5 would only make the tests longer."""
SLACK = 15.0
"""A machine under load is late; without the limit none of these connections would ever end."""
SECRET = "marzipan"
"""Stands in whatever is sent, and in no answer and no line of the log."""
MEGABYTE = 2**20
RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing resets the connection instead of saying goodbye."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


class Attacked:
    """A running `ml serve`, a row that it answers, and the prediction of that row."""

    def __init__(
        self, address: str, process: subprocess.Popen[bytes], log: Path, row: dict[str, Any], ready: int
    ) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self.at, self.address = (host, int(port)), address
        self.process, self.log, self.row = process, log, row
        self.read = 0  # bytes of the log that a test before has answered for
        self.body = json.dumps(row).encode()
        until = time.monotonic() + 120
        while self.ask("GET", "/ready").status != ready:
            assert time.monotonic() < until, "it never served"
            time.sleep(0.1)
        self.first = self.ask("POST", "/predict", self.body).json.get("predictions")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = HTTPConnection(*self.at, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): said for name, said in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connect(self, timeout: float = SECONDS + SLACK) -> socket.socket:
        return socket.create_connection(self.at, timeout=timeout)

    def raw(self, *parts: bytes) -> bytes:
        """Everything that comes back for these bytes until the server closes the connection, as it must."""
        with self.connect() as client:
            try:
                for part in parts:
                    client.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all of it was sent
            return until_closed(client)

    def request(self, body: bytes, *lines: str, path: str = "/predict", version: str = "1.1") -> bytes:
        head = [f"POST {path} HTTP/{version}", "Host: x", *lines, "", ""]
        return "\r\n".join(head).encode("latin-1") + body

    def settled(self) -> float:
        """Memory now, in MB; the most that it held is counted anew from here."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")
        return self.memory()

    def memory(self) -> float:
        """The most that it held, in MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024

    def well(self) -> None:
        """It lives, answers as it did at first, and told nobody what it was sent."""
        assert self.process.poll() is None, "it died"
        answer = self.ask("POST", "/predict", self.body)
        assert (answer.status, answer.json["predictions"]) == (200, self.first)
        said = self.log.read_bytes()
        new, self.read = said[self.read :].decode(errors="replace"), len(said)
        assert "Traceback" not in new, new[-3000:]
        assert SECRET not in new, new[-3000:]
        assert '"level": "error"' not in new, new[-3000:]


def until_closed(client: socket.socket) -> bytes:
    """What arrives before the server closes. A reset is a close; a server that keeps silent fails the test."""
    got = bytearray()
    try:
        while chunk := client.recv(65536):
            got += chunk
    except ConnectionResetError:
        pass
    return bytes(got)


def statuses(answers: bytes) -> list[int]:
    """The statuses of pipelined answers."""
    found = []
    stream = BytesIO(answers)
    while line := stream.readline():
        assert line.startswith(b"HTTP/1.1 "), line
        found.append(int(line.split()[1]))
        length = 0
        while (header := stream.readline().strip()) != b"":
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        stream.read(length)
    return found


@contextmanager
def served(project: Project, scratch: Path, *edits: str, ready: int = 200) -> Iterator[Attacked]:
    """`ml serve` in ``project`` with lines of ``serving:`` in operations.yaml replaced, once /ready says ``ready``."""
    path = project.paths.root / "operations.yaml"
    said = path.read_text(encoding="utf-8").partition("\nserving:\n")
    names = [edit.partition(":")[0] + ":" for edit in edits]
    kept = [line for line in said[2].splitlines() if not line.strip().startswith(tuple(names))]
    path.write_text("\n".join([said[0], "serving:", *(f"  {edit}" for edit in edits), *kept, ""]), encoding="utf-8")
    contract = json.loads(next(project.paths.root.rglob("contract.json")).read_bytes())
    row = {column["name"]: column["example"] for column in contract["columns"]}
    log = scratch / "server.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{PACKAGE}.cli", "serve", "--port", "0"],
            cwd=project.paths.root,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        yield Attacked(line.partition("listening on ")[2].partition(",")[0], process, log, row, ready)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def _attacked(_promoted: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    scratch = tmp_path_factory.mktemp("attacked")
    with served(_promoted.copy(scratch / "project"), scratch, f"timeout_seconds: {SECONDS}") as server:
        yield server


@pytest.fixture
def attacked(_attacked: Attacked) -> Iterator[Attacked]:
    """One server for all of them: each finds it well after the one before, and leaves it so."""
    yield _attacked
    _attacked.well()


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at the server through /proc"),
]


def refused(answer: Answer, *codes: str) -> None:
    """A refusal in the API's form that repeats nothing."""
    assert answer.code in codes, answer.body[:300]
    assert set(answer.json) == {"error", "request_id"}
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert SECRET not in answer.body.decode() and len(answer.body) < 10_000


DEEP = 100_000
MALFORMED = {
    "nothing": b"",
    "spaces": b" " * 10_000,
    "a word": SECRET.encode(),
    "zeros": b"\0" * 1000,
    "an open string": b'{"depot": "' + SECRET.encode(),
    "two of them": b"{}{}",
    "a comment": b'{"depot": "x" /* ' + SECRET.encode() + b" */}",
    "single quotes": b"{'depot': 'marzipan'}",
    "a comma too much": b'{"depot": "marzipan",}',
    "open arrays": b"[" * DEEP,
    "arrays in arrays": b"[" * DEEP + b"]" * DEEP,
    "open objects": b'{"a":' * DEEP,
    "objects in objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "columns in columns": b'{"columns":' * (DEEP // 2) + b"1" + b"}" * (DEEP // 2),
    "many unknown fields": json.dumps({f"x{number}": SECRET for number in range(20_000)}).encode(),
    "an unknown field with a long name": json.dumps({"x" * 500_000: 1}).encode(),
    "many wrong rows": b"[" + b",".join([b"{}"] * 300_000) + b"]",
    "many numbers": b"[" + b",".join([b"1"] * 400_000) + b"]",
    "UTF-16": json.dumps({"depot": SECRET}).encode("utf-16"),
    "UTF-16 without a mark": json.dumps({"depot": SECRET}).encode("utf-16-le"),
    "UTF-32": json.dumps({"depot": SECRET}).encode("utf-32"),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(range(256)),
}


@pytest.mark.parametrize("name", [name for name in MALFORMED])
def test_what_is_no_request_is_refused(attacked: Attacked, name: str) -> None:
    answer = attacked.ask("POST", "/predict", MALFORMED[name])
    assert answer.status == 422
    refused(answer, "contract")


HOSTILE = {
    "1e400": "1e400",
    "-1e400": "-1e400",
    "an exponent of a million digits": "1e" + "9" * 900_000,
    "400 digits": "1" * 400,
    "900,000 digits": "7" * 900_000,
    "400 digits and a point": "1" * 400 + ".5",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "nan as text": '"nan"',
    "leading zeros": "0001",
    "hexadecimal": "0x10",
    "a plus": "+1",
    "an array": "[" * 5000 + "]" * 5000,
    "an object": '{"$ref": "marzipan"}',
    "text": '"marzipan"',
}


@pytest.mark.parametrize("field", ["weight_g", "created_at", "fragile", "depot"])
@pytest.mark.parametrize("form", ["row", "rows", "columns"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_value_that_is_none_is_refused_with_its_field(attacked: Attacked, name: str, form: str, field: str) -> None:
    if field == "depot" and HOSTILE[name].startswith('"'):
        pytest.skip("a depot may be called that")
    given = HOSTILE[name]
    members = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in attacked.row.items() if key != field]
    if form == "columns":
        members = [f"{json.dumps(key)}: [{json.dumps(value)}]" for key, value in attacked.row.items() if key != field]
        given = f"[{given}]"
    body = "{" + ", ".join([*members, f"{json.dumps(field)}: {given}"]) + "}"
    body = {"row": body, "rows": f"[{body}]", "columns": '{"columns": ' + body + "}"}[form]
    answer = attacked.ask("POST", "/predict", body.encode())
    assert answer.status == 422
    refused(answer, "contract")
    assert answer.json["error"]["fields"][0]["field"] in ("", field)


COLUMNS: dict[str, Any] = {
    "none": {},
    "null": None,
    "a number": 3,
    "an array": [[1], [2]],
    "null for a column": {"weight_g": None},
    "a number for a column": {"weight_g": 1.0},
    "text for a column": {"weight_g": SECRET},
    "an object for a column": {"weight_g": {"0": 1.0}},
    "a column nobody asked for": {"colour": [SECRET]},
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_that_are_none_are_refused(attacked: Attacked, name: str) -> None:
    given = COLUMNS[name]
    if given:
        given = {key: [value] for key, value in attacked.row.items()} | (given if isinstance(given, dict) else {})
    answer = attacked.ask("POST", "/predict", json.dumps({"columns": given}).encode())
    if isinstance(COLUMNS[name], int | list):
        answer = attacked.ask("POST", "/predict", json.dumps({"columns": COLUMNS[name]}).encode())
    assert answer.status == 422
    refused(answer, "contract")


def test_columns_of_different_lengths_are_refused_and_too_long_ones_too(attacked: Attacked) -> None:
    columns = {name: [value] * 3 for name, value in attacked.row.items()}
    for length in (0, 2, 4):
        uneven = columns | {"depot": ["north"] * length}
        answer = attacked.ask("POST", "/predict", json.dumps({"columns": uneven}).encode())
        assert answer.status == 422
        refused(answer, "contract")
    columns = {name: [value] * 1001 for name, value in attacked.row.items()}
    answer = attacked.ask("POST", "/predict", json.dumps({"columns": columns}).encode())
    assert answer.status == 413
    refused(answer, "too_many_rows")


def test_columns_are_answered_as_rows_are_and_leave_no_error(attacked: Attacked) -> None:
    columns = {name: [value] * 3 for name, value in attacked.row.items()}
    answer = attacked.ask("POST", "/predict", json.dumps({"columns": columns}).encode())
    (row,) = attacked.first
    assert answer.json["predictions"] == {name: [value] * 3 for name, value in row.items()}
    attacked.well()


TEXTS = {
    "a byte order mark": b"\xef\xbb\xbf%s",
    "Latin-1": b"\xe9",
    "a surrogate in bytes": b"\xed\xa0\x80",
    "an overlong slash": b"\xc0\xaf",
    "a lone byte": b"\x80",
    "beyond Unicode": b"\xf5\x80\x80\x80",
    "a lone surrogate": rb"\ud800",
    "surrogates in the wrong order": rb"\udc00\ud800",
    "half an escape": rb"\u12",
    "a control character": b"\x01",
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_that_is_no_utf8_is_refused(attacked: Attacked, name: str) -> None:
    given = TEXTS[name]
    if b"%s" in given:
        body = given.replace(b"%s", attacked.body)
    else:
        body = attacked.body.replace(b'"north"', b'"' + given + b'"')
        assert body != attacked.body
    answer = attacked.ask("POST", "/predict", body)
    assert answer.status == 422
    refused(answer, "contract")


@pytest.mark.parametrize("text", [r"\u0000", r"\ud83d\ude80", "\u202e", "\ufeff", "'; DROP TABLE x; --", "${7*7}"])
def test_odd_text_that_is_text_is_a_category_like_others(attacked: Attacked, text: str) -> None:
    body = attacked.body.replace(b'"north"', f'"{text}"'.encode())
    assert attacked.ask("POST", "/predict", body).status == 200


def test_of_a_key_given_twice_the_last_counts_or_the_row_is_refused(attacked: Attacked) -> None:
    slower = json.dumps(attacked.row | {"promised_hours": 96.0}).encode()
    expected = attacked.ask("POST", "/predict", slower).json["predictions"]
    assert expected != attacked.first
    answer = attacked.ask("POST", "/predict", attacked.body[:-1] + b', "promised_hours": 96.0}')
    if answer.status == 200:
        assert answer.json["predictions"] == expected
    else:
        refused(answer, "contract")


def test_a_request_cut_short_anywhere_is_refused(attacked: Attacked) -> None:
    for end in range(len(attacked.body)):
        answer = attacked.ask("POST", "/predict", attacked.body[:end])
        assert answer.status == 422, attacked.body[:end]
        refused(answer, "contract")


def test_a_request_with_broken_bytes_is_answered_or_refused(attacked: Attacked) -> None:
    drawn = random.Random(7)
    connection = HTTPConnection(*attacked.at, timeout=60)
    for _ in range(1_500):
        body = bytearray(attacked.body)
        for _ in range(drawn.randint(1, 6)):
            at = drawn.randrange(len(body))
            match drawn.randrange(3):
                case 0:
                    body[at] = drawn.randrange(256)
                case 1:
                    del body[at : at + drawn.randint(1, 20)]
                case _:
                    body[at:at] = drawn.choice([b"}", b"{", b'"', b"[", b",", b":", b"1e999", b"\\", b"null", b"\xff"])
        connection.request("POST", "/predict", bytes(body))
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status in (200, 422), (bytes(body), said)
        if answer.status == 422:
            assert json.loads(said)["error"]["code"] == "contract", said
    connection.close()


@pytest.mark.parametrize("path", ["/predict", "/versions/hours/1/predict"])
def test_a_hundred_megabytes_are_refused_when_they_are_announced(attacked: Attacked, path: str) -> None:
    before = attacked.settled()
    head = attacked.request(b"{", f"Content-Length: {100 * MEGABYTE}", path=path)
    with attacked.connect() as client:
        client.sendall(head)  # and not a byte more: it is refused by what it says
        assert statuses(until_closed(client)) == [413]
    assert attacked.memory() - before < 30


@pytest.mark.parametrize("announced", [True, False])
def test_a_hundred_megabytes_that_stream_are_cut_off(attacked: Attacked, announced: bool) -> None:
    before, sent = attacked.settled(), 0
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    line = "Transfer-Encoding: chunked"
    if announced:
        chunk, line = b" " * 0x10000, f"Content-Length: {100 * MEGABYTE}"
    with attacked.connect() as client:
        try:
            client.sendall(attacked.request(b"", line))
            while sent < 100 * MEGABYTE:
                client.sendall(chunk)
                sent += 0x10000
        except (BrokenPipeError, ConnectionResetError):
            pass
        until_closed(client)
    assert sent < 20 * MEGABYTE, "what is in the sockets' buffers, and no more"
    assert attacked.memory() - before < 30


def test_twenty_that_stream_at_once_take_no_memory_and_no_turn(attacked: Attacked) -> None:
    before = attacked.settled()
    clients = [attacked.connect() for _ in range(20)]
    for client in clients:
        client.sendall(attacked.request(b"f0000\r\n" + b" " * 0xF0000 + b"\r\n", "Transfer-Encoding: chunked"))
    attacked.well()
    for client in clients:
        with client:
            until_closed(client)
    assert attacked.memory() - before < 60, "each may send a megabyte"


LIES = {
    "two lengths": ["Content-Length: 3", "Content-Length: 4"],
    "a length and chunks": ["Content-Length: 3", "Transfer-Encoding: chunked"],
    "a negative length": ["Content-Length: -1"],
    "a length in words": ["Content-Length: three"],
    "a length beyond counting": ["Content-Length: " + "9" * 100],
    "an unknown encoding": ["Transfer-Encoding: marzipan"],
    "chunks that are no last": ["Transfer-Encoding: chunked, marzipan"],
}


@pytest.mark.parametrize("name", LIES)
def test_lengths_that_smuggle_are_refused_and_the_connection_closed(attacked: Attacked, name: str) -> None:
    """Whatever follows must not be taken for a second request: a proxy may have read another length."""
    hidden = b"0\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = statuses(attacked.raw(attacked.request(hidden, *LIES[name])))
    assert len(answers) == 1 and 400 <= answers[0] < 500, answers


@pytest.mark.parametrize("size", [b"g", b"-1", b"ffffffffffffffffffffffff", b"5;" + b"x" * 200_000])
def test_a_chunk_without_a_proper_size_ends_the_connection(attacked: Attacked, size: bytes) -> None:
    begun = time.monotonic()
    answer = attacked.raw(attacked.request(size + b"\r\nabcde\r\n0\r\n\r\n", "Transfer-Encoding: chunked"))
    assert all(400 <= status < 500 for status in statuses(answer))
    assert time.monotonic() - begun < SECONDS + SLACK


GARBAGE = {
    "noise": bytes(range(256)) * 8,
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\0" * 160,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /predict\r\n",
    "another protocol": b"SSH-2.0-marzipan\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "a header without a name": b"GET /health HTTP/1.1\r\nHost: x\r\n: marzipan\r\n\r\n",
    "a header with a zero": b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
    "a folded header": b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\r\n\tb: c\r\n d\r\n\r\n",
    "a method nobody knows": b"BREW /predict HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_the_connection_and_nothing_else(attacked: Attacked, name: str) -> None:
    said = attacked.raw(GARBAGE[name])
    assert all(400 <= status < 500 or (status == 200 and "folded" in name) for status in statuses(said)), said
    assert SECRET.encode() not in said


@pytest.mark.parametrize("name", [name for name in GARBAGE if name != "HTTP/0.9"])
def test_garbage_behind_a_request_is_the_senders_own_loss(attacked: Attacked, name: str) -> None:
    """The connection ends while his first request is computed; the server has nothing to report of that."""
    good = attacked.request(attacked.body, f"Content-Length: {len(attacked.body)}")
    said = statuses(attacked.raw(good + good + GARBAGE[name]))
    assert all(status in (200, 400, 405, 408) for status in said), said
    attacked.well()


def test_the_log_stays_json_whatever_is_sent(attacked: Attacked) -> None:
    attacked.raw(GARBAGE["noise"])
    attacked.well()
    for line in attacked.log.read_text(encoding="utf-8").splitlines()[-20:]:
        assert json.loads(line)["event"]


def test_pipelined_requests_are_answered_in_their_order(attacked: Attacked) -> None:
    bodies = [json.dumps(attacked.row | {"promised_hours": 1.0 + number}).encode() for number in range(50)]
    alone = [attacked.ask("POST", "/predict", body).json["predictions"] for body in bodies]
    lines = [attacked.request(body, f"Content-Length: {len(body)}") for body in bodies]
    with attacked.connect() as client:
        client.sendall(b"".join(lines))
        stream = client.makefile("rb")
        together = []
        for _ in bodies:
            assert stream.readline().startswith(b"HTTP/1.1 200")
            length = 0
            while (header := stream.readline().strip().lower()) != b"":
                if header.startswith(b"content-length:"):
                    length = int(header.partition(b":")[2])
            together.append(json.loads(stream.read(length))["predictions"])
    assert together == alone


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/predict", "/versions/hours/1/predict"])
def test_other_methods_are_405_with_the_one_that_is_allowed(attacked: Attacked, method: str, path: str) -> None:
    answer = attacked.ask(method, path, Origin="https://example.com", Access_Control_Request_Method="POST")
    assert answer.status == 405 and answer.headers["allow"] == "POST"
    assert not [name for name in answer.headers if name.startswith("access-control")], "CORS is off"


TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "x" * 5000]
TYPES += ["application/json; charset=utf-16", "application/json, text/html", "application/vnd.apache.arrow.stream"]


@pytest.mark.parametrize("kind", TYPES)
def test_a_wrong_content_type_is_no_reason_to_break(attacked: Attacked, kind: str) -> None:
    answer = attacked.ask("POST", "/predict", attacked.body, Content_Type=kind)
    assert answer.status in (200, 415)
    if answer.status == 200:
        assert answer.json["predictions"] == attacked.first
    assert attacked.ask("POST", "/predict", b"depot=marzipan&x=1", Content_Type=kind).status in (415, 422)


@pytest.mark.parametrize("keep", [False, True])
def test_http_1_0_is_answered(attacked: Attacked, keep: bool) -> None:
    lines = [f"Content-Length: {len(attacked.body)}", *(["Connection: keep-alive"] if keep else [])]
    with attacked.connect() as client:
        client.sendall(attacked.request(attacked.body, *lines, version="1.0"))
        said = until_closed(client)  # where it is kept alive, until nothing more comes
    assert statuses(said)[0] == 200
    assert json.loads(said.partition(b"\r\n\r\n")[2])["predictions"] == attacked.first


FLOODS = {
    "ten thousand headers": [f"X-{number}: marzipan" for number in range(10_000)],
    "a header of a megabyte": ["X-A: " + "x" * MEGABYTE],
    "a name of a megabyte": ["x" * MEGABYTE + ": 1"],
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_headers_is_cut_off(attacked: Attacked, name: str) -> None:
    before = attacked.settled()
    said = attacked.raw(attacked.request(b"", "Content-Length: 0", *FLOODS[name]))
    assert all(status in (400, 408, 413, 431) for status in statuses(said)), said[:200]
    assert attacked.memory() - before < 30


def test_a_head_without_end_is_cut_off(attacked: Attacked) -> None:
    before, sent = attacked.settled(), 0
    with attacked.connect() as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n")
        try:
            while sent < 100 * MEGABYTE:
                client.sendall(b"X-A: " + b"x" * 65_536 + b"\r\n")
                sent += 65_536
        except (BrokenPipeError, ConnectionResetError):
            pass
        until_closed(client)
    assert sent < 20 * MEGABYTE
    assert attacked.memory() - before < 30


IDS = ["9" * 30, "-1", "1e3", "%00", "%F0%9F", "..%2f..%2f..%2fetc%2fpasswd", "hours%2F1%2F..", "%D9%A1", "x" * 20_000]
IDS += ["hours/" + "9" * 400, "'%20OR%201=1--", "hours//1", "hours/1/predict/versions/1", "%0d%0aX-A:%20marzipan"]


@pytest.mark.parametrize("version", IDS)
def test_an_odd_version_is_none(attacked: Attacked, version: str) -> None:
    answer = attacked.ask("POST", f"/versions/{version}/predict", attacked.body)
    assert answer.status == 404, answer.body[:300]
    assert SECRET not in json.dumps(answer.headers)


def test_a_url_of_a_megabyte_is_cut_off(attacked: Attacked) -> None:
    said = attacked.raw(b"GET /" + b"x" * MEGABYTE + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert all(status in (400, 404, 408, 414, 431) for status in statuses(said)), said[:200]


def test_whoever_sends_nothing_or_half_a_head_is_hung_up_on_and_others_are_served(attacked: Attacked) -> None:
    begun = time.monotonic()
    clients = [attacked.connect() for _ in range(60)]
    for number, client in enumerate(clients):
        client.sendall([b"", b"PO", b"POST /predict HTTP/1.1\r\nHost: x\r\nX-A: "][number % 3])
    attacked.well()
    for client in clients:
        with client:
            assert set(statuses(until_closed(client))) <= {408}
    assert time.monotonic() - begun < SECONDS + SLACK


def drip(client: socket.socket, head: bytes, byte: bytes) -> tuple[float, bytes]:
    """Send a byte every fifth of a second until the server has had enough. Seconds that took, and what it said."""
    begun, got = time.monotonic(), bytearray()
    client.sendall(head)
    client.settimeout(0.2)
    while time.monotonic() - begun < SECONDS + SLACK:
        try:
            client.sendall(byte)
            if not (chunk := client.recv(65536)):
                return time.monotonic() - begun, bytes(got)
            got += chunk
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return time.monotonic() - begun, bytes(got)
    raise AssertionError(f"after {time.monotonic() - begun:.0f} s it still listens")


DRIPS = {
    "a header": b"POST /predict HTTP/1.1\r\nHost: x\r\nX-A: ",
    "a request line": b"POST /",
    "a body": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n{",
    "a body for a version": b"POST /versions/1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n{",
    "a body where none is asked for": b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n",
    "a body for nobody": b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n",
    "a body behind a refusal": b"PUT /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n",
}


@pytest.mark.parametrize("name", [name for name in DRIPS])
def test_whoever_sends_a_byte_now_and_then_is_hung_up_on(attacked: Attacked, name: str) -> None:
    with attacked.connect() as client:
        seconds, said = drip(client, DRIPS[name], b"x")
    assert seconds < SECONDS + SLACK
    assert set(statuses(said)) <= {200, 404, 405, 408}
    if name in ("a body", "a body for a version"):
        assert statuses(said) == [408]


def test_a_trickle_of_chunks_is_hung_up_on(attacked: Attacked) -> None:
    with attacked.connect() as client:
        _, said = drip(client, attacked.request(b"", "Transfer-Encoding: chunked"), b"1\r\n \r\n")
    assert statuses(said) == [408]


def test_whoever_never_reads_is_hung_up_on(attacked: Attacked) -> None:
    """Answers that nobody fetches fill the sockets' buffers; then the server waits for him, and not for ever."""
    before = attacked.settled()
    body = json.dumps({"columns": {name: [value] * 900 for name, value in attacked.row.items()}}).encode()
    ask = attacked.request(body, f"Content-Length: {len(body)}")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(1.0)
    client.connect(attacked.at)
    with client:
        until, hung_up = time.monotonic() + SECONDS + SLACK, False
        while time.monotonic() < until and not hung_up:
            try:
                client.sendall(ask)
            except TimeoutError:
                # it reads no further while nobody reads its answers; others are served
                assert attacked.ask("POST", "/predict", attacked.body).status == 200
            except (BrokenPipeError, ConnectionResetError):
                hung_up = True
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    assert hung_up
    assert attacked.memory() - before < 120, "a full queue of the prediction log among it"
    attacked.well()


def test_clients_that_vanish_leave_nothing_behind(attacked: Attacked) -> None:
    before = len(list(Path(f"/proc/{attacked.process.pid}/fd").iterdir()))
    for number in range(300):
        client = attacked.connect()
        sent = attacked.request(attacked.body, f"Content-Length: {len(attacked.body)}")
        client.sendall(sent[: len(sent) - number % 40])
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
    attacked.well()
    until = time.monotonic() + SECONDS + SLACK
    while len(list(Path(f"/proc/{attacked.process.pid}/fd").iterdir())) > before + 5:
        assert time.monotonic() < until, "connections stay open"
        time.sleep(0.1)


def test_odd_headers_come_back_to_nobody(attacked: Attacked) -> None:
    for given in ["a" * 65, "a b", "<script>", "%0d%0aSet-Cookie: x", "\xe9", "", "marzipan!"]:
        answer = attacked.ask("POST", "/predict", attacked.body, X_Request_ID=given)
        assert answer.status == 200 and len(answer.headers["x-request-id"]) == 32
    assert attacked.ask("POST", "/predict", attacked.body, X_Routing_Key="x" * 8000).status == 200


def test_a_crowd_of_all_kinds_at_once(attacked: Attacked) -> None:
    """The slow, the large and the silent together, while one who means well is answered rightly each time."""
    clients = []
    for number in range(150):
        client = attacked.connect()
        client.sendall(list(DRIPS.values())[number % len(DRIPS)])
        clients.append(client)
    for _ in range(50):
        attacked.well()
    for client in clients:
        client.close()


def test_the_description_and_the_server_agree(attacked: Attacked) -> None:
    """schemathesis makes requests that the description allows and that it does not: no 5xx but a documented 503."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis import checks

    schema = schemathesis.openapi.from_url(f"{attacked.address}/openapi.json")
    names = ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
    chosen = checks.CHECKS.get_by_names(names)
    seen: set[tuple[str, int]] = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:

            @seed(7)
            @settings(
                max_examples=60,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def agrees(case: Any) -> None:
                response = case.call(base_url=attacked.address, timeout=60)
                assert response.status_code < 500 or response.status_code == 503, response.text
                case.validate_response(response, checks=chosen)
                seen.add((case.operation.path, response.status_code))

            try:
                agrees()
            except Unsatisfiable:  # a route without parameters cannot be asked wrongly
                assert operation.method == "get" and mode is schemathesis.GenerationMode.NEGATIVE
    assert ("/predict", 200) in seen and ("/predict", 422) in seen
    assert ("/versions/{version}/predict", 404) in seen


def test_every_documented_status_is_reached_and_no_other(attacked: Attacked, trained: Project, tmp_path: Path) -> None:
    """A second server has keys, a rate and no champion, and the files of its versions are corrupt."""
    seen: dict[str, set[int]] = {"/predict": set(), "/versions/{version}/predict": {404}}
    assert attacked.ask("POST", "/versions/99/predict", attacked.body).status == 404
    many = json.dumps([attacked.row] * 1001).encode()
    for route, found in seen.items():
        path = route.replace("{version}", "hours/1")
        found |= {attacked.ask("POST", path, body).status for body in (attacked.body, b"{}", many)}
        with attacked.connect() as client:
            client.sendall(attacked.request(b"{", "Content-Length: 10", path=path))
            found |= set(statuses(until_closed(client)))

    for pickle in trained.paths.registry.rglob("model.pkl"):
        pickle.write_bytes(pickle.read_bytes() + b"x")
    shutil.rmtree(trained.paths.serving, ignore_errors=True)
    key = trained.ml("keys", "add", "tests", "--json").json["key"]
    edits = ("requests_per_minute: 90", f"timeout_seconds: {SECONDS}")
    with served(trained, tmp_path, *edits, ready=503) as late:
        for route, found in seen.items():
            path, until = route.replace("{version}", "hours/1"), time.monotonic() + 60
            found.add(late.ask("POST", path, late.body).status)
            while True:  # 503 while there is no champion, or the version is being fetched; then 409
                found.add(status := late.ask("POST", path, late.body, X_API_Key=key).status)
                if status != 503 or "version" not in route or time.monotonic() > until:
                    break
                time.sleep(0.5)
        for route, found in seen.items():
            path = route.replace("{version}", "hours/1")
            while (status := late.ask("POST", path, late.body, X_API_Key=key).status) in (409, 503):
                pass
            found.add(status)
    paths = attacked.ask("GET", "/openapi.json").json["paths"]
    assert seen == {route: {int(status) for status in paths[route]["post"]["responses"]} for route in seen}
