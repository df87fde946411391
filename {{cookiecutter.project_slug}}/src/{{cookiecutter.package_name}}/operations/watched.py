"""The readiness list's line on latency: whether a Prometheus evaluates the rule, on servers that it can read."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ..serving.outside import Away, Outside, get, refused
from .subject import NO, NOT_APPLICABLE, NOT_YET, YES, Seen, Subject

ADDRESS = "ML_PROMETHEUS_URL"
"""The environment variable that names the Prometheus which watches the servers."""
SECONDS = 5.0
METRIC = "ml_request_seconds"
"""What a rule about latency looks at."""
SERVER = "ml_requests_waiting"
"""What every server tells, whether anybody has asked it anything or not."""


def latency(subject: Subject) -> Seen:
    """A rule in a file watches nothing: the one asked for is loaded, evaluated, and has servers to look at."""
    served = subject.paths.serving / subject.operations.model / "champion.json"
    if not served.is_file():
        return NOT_APPLICABLE, "no server has followed the champion in this folder"
    address = os.environ.get(ADDRESS, "").rstrip("/")
    if not address:
        return NOT_YET, f"{ADDRESS} names no Prometheus"
    named = re.sub("//[^/]*@", "//***@", address)
    prometheus = Outside(f"Prometheus at {named}", seconds=SECONDS)
    groups = _ask(prometheus, address, "rules?type=alert")["groups"]
    rules = [rule for group in groups for rule in group["rules"] if METRIC in rule["query"]]
    if not rules:
        return NO, f"{named} has no rule that asks for {METRIC}"
    rule = rules[0]
    if rule["health"] != "ok":
        return NOT_YET, f"{rule['name']} at {named} was not evaluated: {rule.get('lastError') or rule['health']}"
    read = _ask(prometheus, address, f"query?query={quote(f'count({SERVER})')}")["result"]
    if not read:
        return NO, f"{rule['name']} at {named} has nothing to look at: it reads no server"
    servers = int(read[0]["value"][1])
    at = datetime.fromisoformat(rule["lastEvaluation"])
    said = f"{rule['name']} at {named}, evaluated {at:%Y-%m-%d %H:%M} UTC on {servers} server{'s' * (servers != 1)}"
    return YES, said + ("; it fires" if rule["state"] == "firing" else "")


def _ask(prometheus: Outside, address: str, path: str) -> Any:
    """The data of an answer of Prometheus' HTTP API. Raises ProjectError (exit 4) where there is none."""

    def ask(seconds: float) -> Any:
        status, body = get(f"{address}/api/v1/{path}", seconds)
        if status != 200:
            raise refused(status, f"check {ADDRESS}")
        try:
            return json.loads(body)["data"]
        except (ValueError, LookupError, TypeError):
            raise Away("answers, but not as Prometheus does", again=False, hint=f"check {ADDRESS}") from None

    return prometheus.call(ask)
