"""The API's description, with fields and examples from the contract of the version that is serving."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ..model.version import ModelVersion


def describe(app: FastAPI, champion: ModelVersion | None) -> dict[str, Any]:
    """OpenAPI of the routes as they are now; made anew on each call, since the contract changes with the champion."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    if champion is None:
        return document
    row = champion.request.row.model_json_schema()
    row.pop("title", None)
    target = champion.contract.target
    one: dict[str, Any] = {
        target.name: {"type": "number" if target.task == "regression" else "boolean", "description": target.meaning}
    }
    if target.task == "classification":
        one[f"{target.name}_probability"] = {"type": "number", "minimum": 0, "maximum": 1}
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Row"] = row
    schemas["Answer"] = {
        "type": "object",
        "required": ["predictions", "model_version", "request_id"],
        "properties": {
            "predictions": {"type": "array", "items": {"type": "object", "properties": one, "required": list(one)}},
            "model_version": {"type": "string", "examples": [champion.name]},
            "request_id": {"type": "string"},
        },
    }
    schemas["Error"] = {
        "type": "object",
        "required": ["error", "request_id"],
        "properties": {"error": {"type": "object", "required": ["code", "message"]}, "request_id": {"type": "string"}},
    }
    reference = {"$ref": "#/components/schemas/Row"}
    body = {"oneOf": [reference, {"type": "array", "items": reference, "minItems": 1}]}
    example = champion.request.example()
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    for path, operations in document["paths"].items():
        if path.endswith("/predict"):
            operations["post"]["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": body, "examples": {"one row": {"value": example}}}},
            }
            answer = {
                "description": "Predictions in the order of the rows",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
            }
            operations["post"]["responses"] = {"200": answer} | {
                status: {"description": words} | error
                for status, words in (
                    ("404", "No such version"),
                    ("409", "The version failed its proof"),
                    ("413", "Too many bytes or rows"),
                    ("422", "The request breaks the contract; fields are named"),
                    ("503", "Not ready"),
                )
            }
    return document
