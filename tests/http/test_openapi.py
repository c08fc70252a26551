"""The OpenAPI document describes our errors, not FastAPI's."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from gateway.http.openapi import describe_errors
from gateway.http.problems import PROBLEM_RESPONSES, Problem


class Thing(BaseModel):
    name: str


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()

    @app.post("/things")
    async def add(thing: Thing) -> Thing:
        return thing

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    @app.put("/own", responses={422: {"description": "Its own", "model": Thing}, "default": {"description": "Own"}})
    async def own(thing: Thing) -> Thing:
        return thing

    describe_errors(app)
    return app


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        reference: str = node["$ref"]
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    return node


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("post", "/things", "422"),
        ("post", "/things", "409"),
        ("post", "/things", "default"),
        ("get", "/ping", "default"),
    ],
)
def test_an_error_is_described_by_our_shape(app: FastAPI, method: str, path: str, status: str) -> None:
    document = app.openapi()
    answer = resolved(document, document["paths"][path][method]["responses"][status])
    schema = resolved(document, answer["content"]["application/json"]["schema"])
    assert set(schema["properties"]) == {"detail", "status_code", "error_code", "errors"}


def test_a_listed_error_has_an_example_that_is_true_to_the_shape(app: FastAPI) -> None:
    for status, response in PROBLEM_RESPONSES.items():
        example = Problem.model_validate(response["content"]["application/json"]["example"])
        assert example.status_code == status
    described = app.openapi()["paths"]["/things"]["post"]["responses"]["409"]
    assert described["content"]["application/json"]["example"]["error_code"] == "SESSION_NOT_CONNECTED"


def test_fastapis_own_error_shape_is_gone_and_no_reference_dangles(app: FastAPI) -> None:
    document = app.openapi()
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    for reference in text.split('"$ref": "')[1:]:
        assert resolved(document, {"$ref": reference.partition('"')[0]})


def test_what_a_route_says_itself_stays(app: FastAPI) -> None:
    responses = app.openapi()["paths"]["/own"]["put"]["responses"]
    assert responses["422"]["description"] == "Its own"
    assert responses["default"]["description"] == "Own"


def test_a_route_added_later_is_described_too(app: FastAPI) -> None:
    app.openapi()

    @app.post("/later")
    async def later(thing: Thing) -> Thing:
        return thing

    assert app.openapi()["paths"]["/later"]["post"]["responses"]["422"] == {
        "$ref": "#/components/responses/InvalidRequest"
    }
