"""docs/your-data.md, followed to the letter on a table unlike the sample's: churn, no time, the label in the row."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

from {{cookiecutter.package_name}} import source
from {{cookiecutter.package_name}}.config import SourceConfig
from {{cookiecutter.package_name}}.errors import Exit, ProjectError
from {{cookiecutter.package_name}}.files import replacing
from {{cookiecutter.package_name}}.paths import Paths

from recipe import BLOCK, ROOT, Copy, Step, steps

pytestmark = pytest.mark.slow
DOCUMENT = ROOT / "docs" / "your-data.md"
FIRST, DAYS, ROWS = date(2026, 3, 1), 42, 120


def customers(day: date) -> pl.DataFrame:
    """What upstream delivers: calls and a short time with us make people leave."""
    rng = np.random.default_rng([7, day.toordinal()])
    plan = rng.choice(["basic", "plus", "family"], ROWS, p=[0.5, 0.3, 0.2])
    months = rng.integers(1, 120, ROWS)
    calls = rng.poisson(1.2, ROWS)
    leaning = -1.5 + 0.9 * calls - 0.03 * months + 0.8 * (plan == "basic")
    login = np.round(rng.gamma(1.5, 12, ROWS))
    return pl.DataFrame(
        {
            "customer_id": [f"c-{day:%m%d}{i:03d}" for i in range(ROWS)],
            "plan": plan,
            "region": rng.choice(["north", "south", "islands"], ROWS),
            "monthly_fee_eur": np.round(rng.normal(25, 6, ROWS).clip(5, 90), 2),
            "months_with_us": months,
            "support_calls": calls,
            "days_since_login": pl.Series(login).set(pl.Series(rng.random(ROWS) < 0.1), None),
            "paperless": rng.random(ROWS) < 0.6,
            "churned": rng.random(ROWS) < 1 / (1 + np.exp(-leaning)),
        }
    )


def deliver(project: Copy, day: date, frame: pl.DataFrame) -> Path:
    path = project.root / "data" / "upstream" / "customers" / f"{day}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path)
    return path


@contextmanager
def serving(project: Copy, line: str) -> Iterator[str]:
    """The document's `ml serve`, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = project.command(f"{line} --port {port}")
    process = subprocess.Popen(
        command, cwd=project.root, env=project.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            time.sleep(0.2)
            assert process.poll() is None, "the server ended"
            try:
                if httpx.get(f"{address}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                continue
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def test_the_page_leads_from_a_fresh_project_to_a_served_prediction(tmp_path: Path):
    project = Copy(tmp_path / "project")
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        deliver(project, day, customers(day))
    todo = iter(steps(DOCUMENT.read_text(encoding="utf-8")))
    said: dict[str, str] = {}

    def follow_until(command: str) -> Step | None:
        for step in todo:
            if step.text.startswith(command):
                return step
            said[step.text or step.path] = project.follow(step)
        return None

    serve = follow_until("uv run ml serve")
    assert serve is not None
    assert "42 partitions in force, 42 changed, 5,040 rows" in "".join(said.values())
    skill = re.search(r"([\d.]+)% better", "".join(said.values()))
    assert skill is not None and float(skill[1]) > 5, "the model learns something"
    assert "champion churn/1" in said['uv run ml promote 1 --reason "first version on our own data"']
    with serving(project, serve.text) as address:
        ask = follow_until("uv run python -c")
        assert ask is not None
        answer = json.loads(project.run(ask.text.replace("http://127.0.0.1:8000", address)))
    assert answer["model_version"] == "churn/1"
    assert answer["predictions"][0]["churned"] is True
    assert 0.8 < answer["predictions"][0]["churned_probability"] < 1
    assert follow_until("nothing") is None, "the last page"

    assert "6 passed" in said["uv run pytest"]
    project.run("uv run ruff format --check src tests/test_customers.py")

    path = deliver(project, FIRST, customers(FIRST).with_columns(pl.col("monthly_fee_eur") * 100))
    assert "monthly_fee_eur: quantile 0.5" in project.run(f"uv run ml ingest --date {FIRST}", code=3)
    path.write_text("no table at all", encoding="utf-8")
    assert "breaks contract version 2" in project.run(f"uv run ml ingest --date {FIRST}", code=3)
    project.run(f"uv run ml ingest --date {FIRST - timedelta(days=1)}", code=4)


def test_the_query_of_the_page_delivers_a_file(tmp_path: Path):
    (block,) = (
        found[2] for found in BLOCK.finditer(DOCUMENT.read_text(encoding="utf-8")) if "read_database" in found[2]
    )
    names = vars(source) | {"closing": closing, "sqlite3": sqlite3, "replacing": replacing}
    exec(block, names)  # noqa: S102
    with closing(sqlite3.connect(tmp_path / "warehouse.db")) as warehouse:
        warehouse.execute("CREATE TABLE customers (customer_id TEXT, plan TEXT, churned INTEGER, renewal TEXT)")
        warehouse.execute("INSERT INTO customers VALUES ('c-1', 'plus', 1, ?), ('c-2', 'plus', 0, ?)", [str(FIRST), ""])
        warehouse.commit()
    wanted = ("customers", FIRST, SourceConfig(path="."), Paths(tmp_path), datetime(2026, 4, 1, tzinfo=UTC))
    path = names["fetch"](*wanted)
    assert path == tmp_path / "customers" / f"{FIRST}.parquet"
    assert source.read("customers", path).collect().rows() == [("c-1", "plus", True)]
    with pytest.raises(ProjectError, match="is not there yet") as late:
        names["fetch"]("customers", FIRST + timedelta(days=1), *wanted[2:])
    assert late.value.exit is Exit.UNAVAILABLE
