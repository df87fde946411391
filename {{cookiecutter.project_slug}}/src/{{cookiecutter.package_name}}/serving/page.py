"""The page at ``/``: what is serving, what is known of it, how it is asked, and a form that asks it.

Nothing is fetched but the server's own answers. What stands on it is escaped where it is made, and its
Content-Security-Policy allows this one script and this one style by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from ..config import OperationsConfig
from ..model.version import ModelVersion
from ..pages import style
from ..pages.markup import Markup, element, join
from ..spec import PRIMARY
from . import form

if TYPE_CHECKING:
    from .shelf import Shelf

STYLE = style.STYLE + form.STYLE
HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


POLICY = (
    f"default-src 'none'; script-src {_hash(form.SCRIPT)}; style-src {_hash(STYLE)}; connect-src 'self'; "
    "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy."""


def page(shelf: Shelf, operations: OperationsConfig, notes: str, base: str, *, needs_key: bool) -> str:
    """The whole page. ``notes`` are the owner's words on the model, ``base`` is the server's address."""
    version, stopped = shelf.champion, shelf.traffic.stopped
    said = ("good", version.name, "serves") if version else ("bad", "Not ready", f": {shelf.waiting_for}")
    if stopped is not None:
        said = ("bad", "Stopped", f": {stopped}")
    body = [_header(operations.project, *said), _state(shelf)]
    if version is not None:
        body = [*body, form.form(version, needs_key), _metrics(version), _card(version, operations, notes)]
    example = version.request.example() if version else {}
    return _whole(f"{said[1]}, {operations.project}", [*body, _routes(base, example, version, needs_key)])


def locked(project: str) -> str:
    """What somebody without a key sees: a field for one."""
    lock = element(
        "form",
        form.key_field(),
        element("div", element("button", "Open", type="submit"), class_="last"),
        id="lock",
        novalidate="",
        autocomplete="off",
    )
    asked = element("section", lock, element("output", id="answer", aria_live="polite"))
    return _whole(project, [_header(project, "soon", "Locked", ": this server asks for an API key"), asked])


def base_of(scheme: str, host: str) -> str:
    """The server's address as its caller wrote it; anything odd is not repeated."""
    return f"{scheme}://{host}" if HOST.fullmatch(host) else "http://127.0.0.1:8000"


def _whole(title: str, body: list[Markup]) -> str:
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(STYLE)),
        element("script", Markup(form.SCRIPT)),
    ]
    return "<!doctype html>\n" + element("html", element("head", *head), element("body", *body), lang="en") + "\n"


def _header(project: str, tone: str, verdict: str, said: str) -> Markup:
    heading = element("h1", element("span", verdict, class_="verdict"), element("span", f" {said}".replace(" :", ":")))
    return element("header", element("p", project, class_="where"), heading, class_=tone)


def _pairs(rows: list[tuple[str, str]]) -> Markup:
    return element("dl", *(Markup(element("dt", name) + element("dd", said)) for name, said in rows if said))


def _state(shelf: Shelf) -> Markup:
    version, traffic = shelf.champion, shelf.traffic
    rows = [("registry", shelf.registry)]
    if version is not None:
        target = version.contract.target
        unit = f", in {target.unit}" if target.unit else ""
        rows = [
            ("version", version.name),
            ("predicts", f"{target.name}: {target.meaning}{unit}"),
            ("since", f"{shelf.since:%Y-%m-%d %H:%M} UTC" if shelf.since else ""),
            ("canary", f"{shelf.canary.name}, {traffic.share:g}% of the requests" if shelf.canary else ""),
            ("shadow", shelf.shadow.name if shelf.shadow else ""),
            ("computed by", version.path),
            *rows,
        ]
    rows += [(f"refused {name}", why) for name, why in sorted(shelf.refused.items())]
    return element("section", element("h2", "What is serving"), _pairs(rows))


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) and value == value else "not defined"


def _metrics(version: ModelVersion) -> Markup:
    measured, intervals = version.facts.get("metrics", {}), version.facts.get("intervals", {})
    first = PRIMARY[version.contract.target.task]
    rows = []
    for name in sorted(measured, key=lambda name: (name != first, name)):
        if name.startswith("baseline_"):
            continue
        interval = " to ".join(map(_number, intervals[name])) if name in intervals else ""
        naive = measured.get(f"baseline_{name}")
        rows.append([name, _number(measured[name]), interval, "" if naive is None else _number(naive)])
    window = version.facts.get("window", {}).get("evaluation", [])
    judged = f"on {' to '.join(window)}, which it was not trained on" if window else ""
    return element(
        "section",
        element("h2", "Metrics"),
        _table(["metric", "value", "90% interval", "naive baseline"], rows),
        element("p", judged, class_="quiet"),
    )


def _table(heads: list[str], rows: list[list[str]]) -> Markup:
    head = element("tr", *(element("th", cell) for cell in heads))
    body = join([element("tr", *(element("td", cell) for cell in row)) for row in rows])
    return element("div", element("table", element("thead", head), element("tbody", body)), class_="wide")


def _card(version: ModelVersion, operations: OperationsConfig, notes: str) -> Markup:
    facts = version.facts
    config, window, rows = facts.get("config", {}), facts.get("window", {}), facts.get("rows", {})
    features, estimator = config.get("features", {}), config.get("estimator", {})
    dirty = ", with changes that were not committed" if facts.get("git_dirty") else ""

    def days(part: str) -> str:
        return f"{' to '.join(window[part])}, {rows.get(part, 0):,} rows" if part in window else ""

    pairs = [
        ("owner", f"{operations.owner.team}, {operations.owner.email}"),
        ("trained on", days("train")),
        ("judged on", days("evaluation")),
        ("features", ", ".join([*features.get("columns", []), *features.get("derived", [])])),
        ("estimator", estimator.get("kind", "")),
        ("contract", f"version {version.contract.version} of table {version.contract.table}"),
        ("dataset", f"sha256 {facts.get('dataset_sha256', 'unknown')}"),
        ("commit", facts.get("git_commit", "") + dirty),
        ("config", f"{facts.get('config_file', '')}, seed {facts.get('seed', '')}"),
        ("uv.lock", f"sha256 {facts.get('lock_sha256', 'unknown')}"),
        ("Python", facts.get("python", "")),
    ]
    words = element("p", notes.strip(), class_="notes") if notes.strip() else Markup()
    more = element("p", "Slices, gate and limits too: ", element("code", f"uv run ml card {version.name}"))
    return element("section", element("h2", "Model card"), _pairs(pairs), words, more)


def _routes(base: str, example: dict[str, Any], version: ModelVersion | None, needs_key: bool) -> Markup:
    key = ' -H "X-API-Key: $KEY"' if needs_key else ""
    sent = f" -d {shlex.quote(json.dumps(example, ensure_ascii=False))}" if version else ""
    one = version.name if version else "VERSION"
    routes = [
        ("POST /predict", "one row, an array of rows, or a column each", f"{key}{sent}"),
        (f"POST /versions/{one}/predict", "the same by one version", f"{key}{sent}"),
        ("GET /version", "what serves, since when, from which commit and data", key),
        ("GET /metrics", "counters for Prometheus", key),
        ("GET /openapi.json", "the API's description", key),
        ("GET /ready", "whether a version is loaded and proven", ""),
        ("GET /health", "whether the process lives", ""),
    ]
    items = []
    for route, what, options in routes:
        line = element("code", f"curl -s {base}{route.partition(' ')[2]}{options}", data_base=base)
        items.append(element("li", element("b", route), f" {what}", line))
    return element("section", element("h2", "Over HTTP"), element("ul", *items, class_="routes"))
