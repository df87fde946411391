"""Rules, dashboard and docs ask for what the server tells, and a real Prometheus understands each of their queries."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import prometheus
import pytest
import reports
import yaml
from fastapi.testclient import TestClient
from prometheus import Prometheus
from servers import point, server, wait_for
from test_page import app_of

from {{cookiecutter.package_name}}.config import load_operations
from {{cookiecutter.package_name}}.monitoring.report import write
from {{cookiecutter.package_name}}.operations.readiness import CHECKS, Line, looked
from {{cookiecutter.package_name}}.operations.subject import Subject
from {{cookiecutter.package_name}}.storage import open_storage

from conftest import ROOT, Project

RULES = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
DOCS = [ROOT / "docs" / name for name in ("serving.md", "dashboards.md")]
NAME = re.compile(r"\bml_[a-z0-9_]+")
ROW = {
    "parcel_id": "p-1", "created_at": "2026-06-01T09:30:00Z", "depot": "north", "service": "standard", "weight_g": 1850,
    "distance_km": 210, "customer_age_days": 40, "fragile": False, "promised_hours": 48,
}  # fmt: skip


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def drawn() -> list[tuple[str, str]]:
    """Title and query of each picture, for the default of each variable."""
    chosen = {"$job": "ml", "$monitor": "parcels.weight_g.mean", "$__rate_interval": "1m", "$__range": "6h"}
    found = []
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for variable, value in chosen.items():
                query = query.replace(variable, value)
            assert "$" not in query, query
            found.append((panel["title"], query))
    return found


def written() -> list[tuple[str, str]]:
    """Queries in the docs: code that names a metric and computes something."""
    return [
        (path.name, code)
        for path in DOCS
        for code in re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8"))
        if NAME.search(code) and "(" in code
    ]


def told(text: str) -> set[str]:
    """Names of the samples on a page of metrics, and of those that appear when they are first counted."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    ends = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + end for name, kind in kinds.items() for end in ("", *ends.get(kind, ()))}


def test_what_is_asked_for_is_what_the_server_tells(trained: Project) -> None:
    storage = open_storage(load_operations(trained.paths.operations).storage.ledger, trained.paths)
    write(reports.report(), storage)
    with TestClient(app_of(trained)) as client:
        prometheus.Prometheus.until(lambda: "ml_monitor_day" in client.get("/metrics").text, "the report is told")
        known = told(client.get("/metrics").text)
    asked = {"rules": [rule["expr"] for rule in rules()], "dashboard": [query for _, query in drawn()]}
    asked |= {path.name: re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8")) for path in DOCS}
    for where, queries in asked.items():
        names = {name for query in queries for name in NAME.findall(re.sub(r'"[^"]*"', "", query))}
        assert names, where
        assert {name for name in names if name not in known} == set(), where
    assert "ml_request_second" not in known and "ml_request_seconds_bucket" in known


def test_each_alert_says_who_acts_and_has_its_place_in_the_docs() -> None:
    text = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
    tests = yaml.safe_load((RULES / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    tried = [one for test in tests for one in test.get("alert_rule_test", [])]
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) > 12
    for rule in alerts:
        name = rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook"] == f"docs/dashboards.md#{name.lower()}"
        assert f"\n### {name}\n" in text, name
        fires = {bool(one["exp_alerts"]) for one in tried if one["alertname"] == name}
        assert fires == {True, False}, f"rules_test.yml does not show {name} both ways"
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == [rule["alert"] for rule in alerts]


def test_promtool_takes_the_groups_in_the_order_of_the_file() -> None:
    """Else it takes them in any: one time in four an alert saw the shares of the minute before."""
    order = yaml.safe_load((RULES / "rules_test.yml").read_text(encoding="utf-8"))["group_eval_order"]
    assert order == [
        group["name"] for group in yaml.safe_load((RULES / "rules.yml").read_text(encoding="utf-8"))["groups"]
    ]


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"] and panel["datasource"]["uid"] == "${datasource}"
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    variables = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert variables == ["datasource", "job", "monitor"]
    assert "http" not in json.dumps(DASHBOARD), "it leads nowhere else"


@pytest.fixture
def programs(pytestconfig: pytest.Config) -> tuple[str, str]:
    """prometheus and promtool."""
    assert pytestconfig.cache is not None
    return prometheus.programs(pytestconfig.cache.mkdir("prometheus"))


def promtool(programs: tuple[str, str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([programs[1], *words], cwd=folder, capture_output=True, text=True, check=False)


@prometheus.needed
@pytest.mark.slow
def test_promtool_finds_the_rules_good_and_their_tests_bite(programs: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(RULES, folder)
    checked = promtool(programs, folder, "check", "config", "--lint-fatal", "prometheus.yml")
    assert checked.returncode == 0 and f"{len(rules())} rules found" in checked.stdout, checked.stderr
    tested = promtool(programs, folder, "test", "rules", "rules_test.yml")
    assert tested.returncode == 0, tested.stderr
    for old, new in (("(48 + 9) * 3600", "(48 + 10) * 3600"), ("> 256", "> 400"), ("[6h])) >= 10", "[6h])) >= 1")):
        text = (RULES / "rules.yml").read_text(encoding="utf-8")
        assert old in text
        (folder / "rules.yml").write_text(text.replace(old, new), encoding="utf-8")
        assert promtool(programs, folder, "test", "rules", "rules_test.yml").returncode != 0, f"{new} goes unseen"


def watching(folder: Path, address: str, key: str) -> Path:
    """The configuration that is shipped, each second, and with the lines for a key in force."""
    shutil.copytree(RULES, folder)
    text = (folder / "prometheus.yml").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:8000", address.removeprefix("http://")),
        ("_interval: 15s", "_interval: 1s"),
        ("# authorization:", "authorization:"),
        ("#   credentials_file: key", "  credentials_file: key"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    (folder / "key").write_text(key, encoding="utf-8")
    return folder / "prometheus.yml"


def latency(project: Project) -> Line:
    (check,) = [check for check in CHECKS if "latency" in check.name]
    return looked(check, Subject(project.paths, datetime.now(UTC)))


@prometheus.needed
@pytest.mark.slow
def test_every_query_finds_something_in_a_prometheus_that_reads_the_server(
    trained: Project, programs: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = load_operations(trained.paths.operations)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    write(reports.report(day=yesterday), open_storage(operations.storage.ledger, trained.paths))
    key = trained.ml("keys", "add", "prometheus", "--json").json["key"]
    point(trained, "1")
    headers = {"x-api-key": key}
    with server(trained) as (address, _):
        wait_for(address, "hours/1")
        config = watching(tmp_path / "prometheus", address, key)
        with (
            prometheus.running(programs[0], config, tmp_path / "data") as watch,
            httpx.Client(base_url=address, headers=headers) as client,
        ):
            watch.wait('up{job="ml"} == 1', 30)

            def asked() -> bool:
                assert client.post("/predict", json=ROW).status_code == 200
                return watch.ask('sum(increase(ml_requests_total{route="/predict"}[1m])) > 20') != []

            watch.until(asked, "requests are counted")
            assert client.post("/predict", json={}).status_code == 422
            every_query_finds_something(watch)
            the_server_is_well(watch)
            assert latency(trained).result == "not yet"
            monkeypatch.setenv("ML_PROMETHEUS_URL", watch.address)
            told = latency(trained)
            assert (told.result, told.next) == ("yes", "") and "LatencyHigh" in told.seen and "on 1 server" in told.seen
    stands_for_nothing = config.with_name("rules.yml")
    stands_for_nothing.write_text("groups: []\n", encoding="utf-8")
    with prometheus.running(programs[0], config, tmp_path / "bare") as watch:
        monkeypatch.setenv("ML_PROMETHEUS_URL", watch.address)
        assert latency(trained).result == "no" and "no rule" in latency(trained).seen
    assert latency(trained).result == "no" and "does not answer" in latency(trained).seen


def every_query_finds_something(watch: Prometheus) -> None:
    assert len(written()) >= 4
    for where, query in [*drawn(), *written()]:
        found = watch.ask(query)
        assert found, f"{where}: {query} finds nothing"
        assert all(one["value"][1] != "NaN" for one in found), f"{where}: {query} is no number"
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            inner = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert inner
            values = {one["metric"][inner[2]] for one in watch.ask(inner[1].replace("$job", "ml"))}
            assert values >= {"job": {"ml"}, "monitor": {"parcels.weight_g.mean"}}[variable["name"]]
    assert watch.value('ml_monitor_observed{monitor="parcels.weight_g.mean"}') == -2.71
    assert watch.value("ml_monitor_pages") == 2


def the_server_is_well(watch: Prometheus) -> None:
    """Each rule is evaluated, and none fires."""

    def evaluated() -> bool:
        found = [rule for group in watch.data("rules")["groups"] for rule in group["rules"]]
        assert len(found) == len(rules()) and not [rule for rule in found if rule["health"] == "err"], found
        return all(rule["health"] == "ok" for rule in found)

    watch.until(evaluated, "every rule was evaluated")
    assert watch.ask('ALERTS{alertstate="firing"}') == []
    assert watch.value("ml:errors:share5m") == 0
