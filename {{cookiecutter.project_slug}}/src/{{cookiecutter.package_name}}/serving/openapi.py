"""The API's description, with fields and examples from the contract of the version that is serving."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ..model.version import ModelVersion

HEADERS = [
    {
        "name": "X-Request-ID",
        "in": "header",
        "description": "Comes back with the answer and stands in every log; made up unless given",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    {
        "name": "X-Routing-Key",
        "in": "header",
        "description": "Equal keys are answered by the same of champion and canary; the row's key unless given",
        "schema": {"type": "string"},
    },
]
VERSION = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "A number of this model's, or name/number",
    "schema": {"type": "string"},
}
REFUSALS = {
    "401": "No valid API key, where the server asks for one",
    "404": "No such version",
    "408": "The request did not come to its end in time",
    "409": "The version failed its proof",
    "413": "Too many bytes or rows",
    "422": "The request breaks the contract; fields are named",
    "429": "Too many requests from this key or address; Retry-After says how long to wait",
    "503": "Not ready, overloaded, stopped, too slow, or no prediction; the code says which",
}
BY_ID = ("404", "409")
"""Answers that only a version asked for by its ID can have."""


def describe(app: FastAPI, champion: ModelVersion | None) -> dict[str, Any]:
    """OpenAPI of the routes as they are now; made anew on each call, since the contract changes with the champion."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["bearer"] = {"type": "http", "scheme": "bearer", "description": "A key of `ml keys add`"}
    schemes["header"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    schemas = document["components"].setdefault("schemas", {})
    schemas |= _schemas(champion)
    rows = {"$ref": "#/components/schemas/Row"}
    body = {
        "oneOf": [
            rows,
            {"type": "array", "items": rows, "minItems": 1},
            {"$ref": "#/components/schemas/Columns"},
        ]
    }
    content: dict[str, Any] = {"schema": body}
    if champion is not None:
        example = champion.request.example()
        content["examples"] = {
            "one row": {"value": example},
            "rows": {"value": [example]},
            "columns": {"value": {"columns": {name: [value] for name, value in example.items()}}},
        }
    predict = {
        "requestBody": {"required": True, "content": {"application/json": content}},
        "security": [{}, {"bearer": []}, {"header": []}],
    }
    document["paths"] |= {
        "/predict": {
            "post": {
                "summary": "Predict one row, or many, with the champion",
                "operationId": "predict",
                "parameters": HEADERS,
                "responses": _responses(*(status for status in REFUSALS if status not in BY_ID)),
            }
            | predict
        },
        "/versions/{version}/predict": {
            "post": {
                "summary": "Predict with one version, by its ID",
                "operationId": "predict_by_version",
                "parameters": [VERSION, *HEADERS],
                "responses": _responses(*REFUSALS),
            }
            | predict
        },
    }
    return document


def _responses(*statuses: str) -> dict[str, Any]:
    def content(name: str) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}

    answer = {"description": "Predictions in the order of the rows"} | content("Answer")
    return {"200": answer} | {status: {"description": REFUSALS[status]} | content("Error") for status in statuses}


def _schemas(champion: ModelVersion | None) -> dict[str, Any]:
    text = {"type": "string"}
    about = {"code": text, "message": text, "fields": {"type": "array", "items": {"type": "object"}}}
    error = {"type": "object", "required": ["code", "message"], "properties": about}
    said: dict[str, Any] = {
        "Row": {"type": "object"},
        "Columns": {"type": "object", "required": ["columns"]},
        "Answer": {"type": "object"},
        "Error": {
            "type": "object",
            "required": ["error", "request_id"],
            "properties": {"error": error, "request_id": {"type": "string"}},
        },
    }
    if champion is None:
        return said
    row = champion.request.row.model_json_schema()
    row.pop("title", None)
    columns = {
        "type": "object",
        "additionalProperties": False,
        "required": row.get("required", []),
        "properties": {name: {"type": "array", "items": about} for name, about in row["properties"].items()},
    }
    target = champion.contract.target
    one: dict[str, Any] = {
        target.name: {"type": "number" if target.task == "regression" else "boolean", "description": target.meaning}
    }
    if target.task == "classification":
        one[f"{target.name}_probability"] = {"type": "number", "minimum": 0, "maximum": 1}
    by_row = {"type": "array", "items": {"type": "object", "properties": one, "required": list(one)}}
    by_column = {
        "type": "object",
        "properties": {name: {"type": "array", "items": about} for name, about in one.items()},
        "required": list(one),
    }
    said["Row"] = row
    said["Columns"] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["columns"],
        "description": "One array a field, all of one length: the quickest form for many rows",
        "properties": {"columns": columns},
    }
    said["Answer"] = {
        "type": "object",
        "required": ["predictions", "model_version", "request_id"],
        "properties": {
            "predictions": {"oneOf": [by_row, by_column]},
            "model_version": {"type": "string", "examples": [champion.name]},
            "request_id": {"type": "string"},
            "degraded": {"type": "string", "enum": ["last_good", "baseline"]},
        },
    }
    return said
