"""A form to try a row, made from the contract, and the script that sends it.

The script is one constant, so that its hash can stand in the page's Content-Security-Policy. It builds the JSON itself
and puts numbers into it as they were typed: a JavaScript number would round an integer above 2**53.
"""

from __future__ import annotations

from ..model.version import ModelVersion
from ..pages.markup import Markup, element
from ..spec import Column, expected

SCRIPT = """
(() => {
  "use strict";
  const REASONS = { missing: "is missing", unknown: "is no field of the contract", range: "is out of range",
    not_allowed: "is none of the allowed values", type: "is of another kind", json: "is no JSON" };
  const NUMBER = /^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?$/;
  let key = "";
  const find = id => document.getElementById(id);
  const make = (tag, words, name) => {
    const made = document.createElement(tag);
    made.textContent = words;
    if (name) made.className = name;
    return made;
  };
  const ask = (where, body) => {
    const headers = key ? { "X-API-Key": key } : {};
    return fetch(where, body === undefined ? { headers } : { method: "POST", headers, body });
  };
  const say = (out, tone, ...parts) => { out.className = tone; out.replaceChildren(...parts); };
  const away = out => say(out, "bad", make("p", "The server does not answer."));

  const literal = input => {
    const { kind } = input.dataset, text = input.value;
    if (kind === "flag") return text;
    if (kind !== "number" && kind !== "integer") return JSON.stringify(text);
    return NUMBER.test(text) ? text : JSON.stringify(text);
  };
  // not by the form's own properties: a column may be called like one of them
  const fields = () => [...document.querySelectorAll("#row [data-kind]")];
  const row = () => {
    const given = fields().filter(field => field.value !== "" || field.validity.badInput || "full" in field.dataset);
    return "{" + given.map(field => JSON.stringify(field.name) + ": " + literal(field)).join(", ") + "}";
  };
  const answered = (out, said) => {
    const list = document.createElement("dl");
    for (const [name, value] of Object.entries(said.predictions[0])) {
      const unit = name === out.dataset.target && out.dataset.unit ? " " + out.dataset.unit : "";
      const words = typeof value === "number" ? String(Number(value.toPrecision(6))) : value ? "yes" : "no";
      list.append(make("dt", name), make("dd", words + unit, "prediction"));
    }
    if (said.degraded) list.append(make("dt", "answered by a stand-in"), make("dd", said.degraded));
    list.append(make("dt", "version"), make("dd", said.model_version));
    list.append(make("dt", "request ID"), make("dd", said.request_id));
    say(out, "good", list);
  };
  const refused = (out, said) => {
    const lines = [];
    for (const { field, reason, expected } of said.error.fields || []) {
      lines.push(make("p", (field || "the request") + " " + (REASONS[reason] || reason) + ": expected " + expected));
      for (const input of fields()) if (input.name === field) input.setAttribute("aria-invalid", "true");
    }
    if (!lines.length) lines.push(make("p", said.error.message));
    say(out, "bad", ...lines, make("p", "request ID " + said.request_id, "quiet"));
  };
  const send = async event => {
    event.preventDefault();
    const out = find("answer");
    if (find("key")) key = find("key").value.trim();
    for (const input of fields()) input.removeAttribute("aria-invalid");
    try {
      const answer = await ask("predict", row()), said = await answer.json();
      if (answer.ok) answered(out, said); else refused(out, said);
    } catch { away(out); }
  };
  const open = async event => {
    event.preventDefault();
    key = find("key").value.trim();
    const out = find("answer");
    try {
      const answer = await ask("./");
      if (!answer.ok) { say(out, "bad", make("p", "That is no key of this server.")); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.title = page.title;
      document.body.replaceWith(document.adoptNode(page.body));
      start();
    } catch { away(out); }
  };
  const start = () => {
    if (find("row")) find("row").addEventListener("submit", send);
    if (find("lock")) find("lock").addEventListener("submit", open);
    if (find("key") && key) find("key").value = key;
    const here = new URL("./", document.baseURI).href.replace(/[/]$/, "");
    for (const code of document.querySelectorAll("[data-base]"))
      code.textContent = code.textContent.replaceAll(code.dataset.base, here);
  };
  document.addEventListener("DOMContentLoaded", start);
})();
"""
STYLE = """
form { display: grid; gap: .8rem 1.2rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)) }
label { display: grid; gap: .15rem } label b { font-weight: 600 }
input, select, button { font: inherit; width: 100%; padding: .38rem .55rem; border: 1px solid var(--rule);
  border-radius: 6px; background: var(--paper); color: var(--ink) }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 1px }
[aria-invalid] { border-color: var(--bad); background: var(--bad-paper) }
button { background: var(--mark); border-color: var(--mark); color: var(--card); font-weight: 600; cursor: pointer }
form .last { grid-column: 1 / -1; display: grid; gap: .8rem 1.2rem; grid-template-columns: inherit; align-items: end }
output { display: block } output.good, output.bad { padding: .7rem 1rem; border-radius: 8px; margin: .9rem 0 0;
  border-left: 4px solid }
output.good { background: var(--good-paper); border-color: var(--good) }
output.bad { background: var(--bad-paper); border-color: var(--bad) } output p { margin: 0 }
.prediction { font-weight: 700; font-size: 1.1rem } .notes { white-space: pre-wrap; margin: .6rem 0 0 }
.routes { list-style: none; margin: 0; padding: 0 } .routes li { margin: .55rem 0 0 }
.routes code { display: block; margin: .15rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere }
"""


def form(version: ModelVersion, needs_key: bool) -> Markup:
    """A field for each column of the contract, filled with its example; the answer appears below."""
    target = version.contract.target
    fields = [_field(column) for column in version.contract.columns]
    key = [key_field()] if needs_key else []
    return element(
        "section",
        element("h2", "Try a row"),
        element(
            "form",
            *fields,
            element("div", *key, element("button", "Predict", type="submit"), class_="last"),
            id="row",
            novalidate="",
            autocomplete="off",
        ),
        element("output", id="answer", aria_live="polite", data_target=target.name, data_unit=target.unit),
    )


def key_field() -> Markup:
    """Where a person puts an API key; it stays in the page."""
    return element(
        "label",
        element("b", "API key"),
        element("input", id="key", type="password", autocomplete="off", spellcheck="false"),
    )


def _field(column: Column) -> Markup:
    optional = column.nullable or column.kind == "key"
    about = f"{column.meaning}; {expected(column)}{', may be left out' if column.kind == 'key' else ''}"
    return element(
        "label",
        element("b", column.name),
        _input(column, optional),
        element("span", about, class_="quiet"),
    )


def _input(column: Column, optional: bool) -> Markup:
    example = "" if column.example is None else column.example
    if isinstance(example, bool):
        example = "true" if example else "false"
    common = {"name": column.name, "data_kind": column.kind}
    if column.kind == "flag" or column.allowed is not None:
        values = column.allowed or ["true", "false"]
        options = [element("option", value, value=value, selected="" if value == example else None) for value in values]
        none = [element("option", "null", value="", selected="" if example == "" else None)] if optional else []
        return element("select", *none, *options, **common)
    if column.kind in ("number", "integer"):
        return element(
            "input",
            type="number",
            step="1" if column.kind == "integer" else "any",
            min=_bound(column.minimum, column.above),
            max=_bound(column.maximum, column.below),
            value=_bound(example) if isinstance(example, float | int) else example,
            **common,
        )
    # an empty text is a value, and the server says whether it is one of the contract's
    full = None if optional else ""
    known = f"known-{column.name}" if column.known else None
    text = element("input", type="text", value=example, spellcheck="false", list=known, data_full=full, **common)
    options = [element("option", value=value) for value in column.known or []]
    return Markup(text + element("datalist", *options, id=known)) if known else text


def _bound(*values: float | None) -> str | None:
    """A number as JSON writes it, with all its digits: an attribute of a page else has a tenth."""
    found = next((value for value in values if value is not None), None)
    if found is None:
        return None
    return str(int(found)) if float(found).is_integer() and abs(found) < 2**53 else repr(found)
