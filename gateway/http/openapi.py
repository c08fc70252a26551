"""The OpenAPI document tells of our error shape, where FastAPI would tell of its own."""

from collections.abc import Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI

from gateway.http.problems import PROBLEM_JSON, Problem

FASTAPI_ERROR = "#/components/schemas/HTTPValidationError"
SCHEMA_REF = {"$ref": "#/components/schemas/Problem"}
DEFAULT_NAME = "Problem"
INVALID_NAME = "InvalidRequest"


def describe_errors(app: FastAPI, others: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> None:
    """Make `app.openapi()` list our 422 where a request can be invalid, and our error shape as every default.

    `others` are paths, with their operations, that are answered by something else than a route of `app`.
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        for path, operations in others.items():
            document["paths"].setdefault(path, deepcopy(operations))
        return _with_problems(document)

    vars(app)["openapi"] = openapi  # FastAPI's documented way; as a plain assignment a type checker refuses it


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, definition in (*schema.pop("$defs").items(), ("Problem", schema)):
        schemas.setdefault(name, definition)
    components["responses"] = components.get("responses", {}) | {
        DEFAULT_NAME: _response("Anything else that goes wrong, in the same shape"),
        INVALID_NAME: _response("The request is not valid; nothing was stored"),
    }
    for path in document.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                _describe(operation["responses"])
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    return document


def _describe(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {})
    if content.get("application/json", {}).get("schema", {}).get("$ref") == FASTAPI_ERROR:
        responses["422"] = {"$ref": f"#/components/responses/{INVALID_NAME}"}
    responses.setdefault("default", {"$ref": f"#/components/responses/{DEFAULT_NAME}"})


def _response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": SCHEMA_REF}, PROBLEM_JSON: {"schema": SCHEMA_REF}},
    }
