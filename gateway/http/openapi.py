"""The OpenAPI document tells of our error shape, where FastAPI would tell of its own."""

from collections.abc import Collection, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel

from gateway.http.problems import PROBLEM_JSON, PROBLEM_RESPONSES, Problem

FASTAPI_ERROR = "#/components/schemas/HTTPValidationError"
SCHEMA_REF = {"$ref": "#/components/schemas/Problem"}
DEFAULT_NAME = "Problem"
INVALID_NAME = "InvalidRequest"


def describe_errors(
    app: FastAPI,
    others: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    bodies: Collection[type[BaseModel]] = (),
) -> None:
    """Make `app.openapi()` list our 422 where a request can be invalid, and our error shape as every default.

    `others` are paths, with their operations, that are answered by something else than a route of `app`. `bodies` are
    the models of requests that a route reads by itself and refers to.
    """
    plain = app.openapi
    app.state.answered_elsewhere = others

    def openapi() -> dict[str, Any]:
        document = plain()
        _list_errors(document)
        for path, operations in others.items():
            document["paths"].setdefault(path, deepcopy(operations))
        return _with_problems(document, bodies)

    vars(app)["openapi"] = openapi  # FastAPI's documented way; as a plain assignment a type checker refuses it


def _list_errors(document: dict[str, Any]) -> None:
    """Name the errors that every route may answer; as FastAPI's `responses` they would be read anew for each route."""
    for path in document.get("paths", {}).values():
        for operation in path.values():
            for status, response in PROBLEM_RESPONSES.items():
                operation["responses"].setdefault(str(status), deepcopy(response))


def _with_problems(document: dict[str, Any], bodies: Collection[type[BaseModel]]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    models: list[type[BaseModel]] = [Problem, *bodies]
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        for name, definition in (*schema.pop("$defs", {}).items(), (model.__name__, schema)):
            schemas.setdefault(name, jsonable_encoder(definition, exclude_none=True))  # as FastAPI writes its own
    components["responses"] = components.get("responses", {}) | {
        DEFAULT_NAME: _response("Anything else that goes wrong, in the same shape"),
        INVALID_NAME: _response("The request is not valid; nothing was stored"),
    }
    for path in document.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                _describe(operation["responses"])
                if {} not in operation.get("security", [{}]):  # another header may do, or in open mode nothing
                    operation["security"] = [{}, *operation["security"]]
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
