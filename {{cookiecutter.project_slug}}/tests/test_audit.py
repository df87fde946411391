"""The dependency audit has three answers, and `not run` is never `none found`.

The advisory service is a stand-in on loopback that speaks OSV's protocol; the question and the reading are real.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import ROOT

SEEDED = """
version = 1
requires-python = ">=3.11"

[[package]]
name = "jinja2"
version = "2.10"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "markupsafe" }]
wheels = [{ url = "https://files.pythonhosted.org/Jinja2-2.10-py2.py3-none-any.whl", hash = "sha256:HASH" }]

[[package]]
name = "markupsafe"
version = "1.1.1"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://files.pythonhosted.org/MarkupSafe-1.1.1.tar.gz", hash = "sha256:HASH" }

[[package]]
name = "seeded"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "jinja2" }]

[package.metadata]
requires-dist = [{ name = "jinja2", specifier = "==2.10" }]
""".replace("HASH", "7" * 64)
ADVISORY = {
    "id": "PYSEC-2019-217",
    "aliases": ["CVE-2019-10906"],
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}],
        }
    ],
}


class Service(ThreadingHTTPServer):
    """Knows one advisory. ``status`` and ``body`` make it answer otherwise."""

    status, body = 200, b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: set[str] = set()
        self.url = f"http://127.0.0.1:{self.server_port}/v1/query"


class Answer(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))
        pin = f"{query['package']['name']}=={query['version']}"
        self.server.asked.add(pin)
        body = self.server.body or json.dumps({"vulns": [ADVISORY]} if pin == "jinja2==2.10" else {}).encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class Audited:
    """A project with a vulnerable pin in its lock."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.settings()
        (root / "uv.lock").write_text(SEEDED, encoding="utf-8")
        (root / "ci").mkdir()
        shutil.copyfile(ROOT / "ci" / "audit.py", root / "ci" / "audit.py")

    def settings(self, *ignore: str) -> None:
        project = '[project]\nname = "seeded"\nversion = "1"\nrequires-python = ">=3.11"\n'
        project += 'dependencies = ["jinja2==2.10"]\n'
        audit = f'[tool.durable-ml.audit]\nservice = "{self.url}"\nignore = [{", ".join(ignore)}]\n'
        (self.root / "pyproject.toml").write_text(project + audit, encoding="utf-8")

    def run(self, *options: str) -> tuple[int, str]:
        command = [sys.executable, str(self.root / "ci" / "audit.py"), *options]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, encoding="utf-8", check=False)
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout


@pytest.fixture
def seeded(tmp_path: Path, service: Service) -> Audited:
    return Audited(tmp_path, service.url)


def test_a_vulnerable_pin_fails(seeded: Audited, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = seeded.root / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, said = seeded.run("--not-run-is-a-warning")
    assert code == 1 and "found 1 in 2 packages" in said
    assert any(line.split() == ["jinja2", "2.10", "PYSEC-2019-217", "2.10.1"] for line in said.splitlines())
    assert service.asked == {"jinja2==2.10", "markupsafe==1.1.1"}
    assert summary.read_text(encoding="utf-8") == "Dependency audit: **found 1 in 2 packages**\n\n"


def test_an_advisory_is_ignored_until_its_day_and_with_a_reason(seeded: Audited) -> None:
    seeded.settings('{ id = "CVE-2019-10906", reason = "no template of ours is untrusted", until = 2999-12-31 }')
    code, said = seeded.run()
    assert code == 0 and "none found; 2 packages were asked about" in said
    assert "ignored: CVE-2019-10906 in jinja2: no template of ours is untrusted" in said
    seeded.settings('{ id = "CVE-2019-10906", reason = "no template of ours is untrusted", until = 2026-01-31 }')
    code, said = seeded.run("--not-run-is-a-warning")
    assert code == 1 and "CVE-2019-10906 was ignored until 2026-01-31" in said
    seeded.settings('{ id = "CVE-2019-10906", until = 2999-12-31 }')
    assert seeded.run()[0] == 2
    seeded.settings('{ id = "CVE-2019-10906", reason = " ", until = 2999-12-31 }')
    assert seeded.run()[0] == 2


def test_what_is_ignored_in_vain_is_said(seeded: Audited) -> None:
    seeded.settings(
        '{ id = "PYSEC-2019-217", reason = "a reason", until = 2999-12-31 }',
        '{ id = "PYSEC-2018-1", reason = "a reason", until = 2999-12-31 }',
    )
    code, said = seeded.run()
    assert code == 0 and "no longer reported, remove it from the list: PYSEC-2018-1" in said


@pytest.mark.parametrize("fault", ["away", "broken", "no JSON", "stale lock"])
def test_a_service_that_is_away_is_not_none_found(seeded: Audited, service: Service, fault: str) -> None:
    if fault == "away":
        seeded.url = "http://127.0.0.1:9/v1/query"
        seeded.settings()
    elif fault == "stale lock":
        (seeded.root / "uv.lock").unlink()
    else:
        service.status, service.body = (503, b"{}") if fault == "broken" else (200, b"<html>sign in</html>")
    code, said = seeded.run()
    assert code == 4 and "not run: " in said and "none found" not in said
    code, said = seeded.run("--not-run-is-a-warning")
    assert code == 0 and "::warning title=dependency audit::not run: " in said and "none found" not in said


@pytest.mark.slow
def test_every_package_of_this_project_is_asked_about(service: Service, tmp_path: Path) -> None:
    """Two versions of one package, for two Pythons, included."""
    seeded = Audited(tmp_path, service.url)
    for name in ("pyproject.toml", "uv.lock"):
        text = (ROOT / name).read_text(encoding="utf-8").replace("https://api.osv.dev/v1/query", service.url)
        (tmp_path / name).write_text(text, encoding="utf-8")
    code, said = seeded.run()
    assert (code, said) == (0, f"dependency audit: none found; {len(service.asked)} packages were asked about\n")
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert len(service.asked) == lock.count("[[package]]") - 1
