"""/docs, /redoc and /openapi.json: every route with its fields, its examples and its errors, without the internet."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from campaigns.audience.importing.router import XLSX
from tests.api.world import ADMIN_TOKEN, World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

PROMISED_ROUTES = {
    "post /api/send",
    "get /api/status/{campaign_id}",
    "get /api/campaigns",
    "get /api/sessions/{sender_number}/status",
    "delete /api/sessions/{phone_number}",
    "post /api/sessions",
    "get /api/sessions/{phone_number}/qr",
    "get /api/sessions/{phone_number}",
    "get /api/admin/metrics",
    "get /api/admin/users",
    "get /api/admin/campaigns",
    "get /api/admin/sessions",
    "post /api/admin/delays",
    "get /api/admin/delays",
    "get /api/messages",
    "post /api/messages",
    "get /api/messages/{message_id}",
    "put /api/messages/{message_id}",
    "delete /api/messages/{message_id}",
    "get /api/recipients",
    "post /api/recipients",
    "get /api/recipients/{recipient_id}",
    "delete /api/recipients/{recipient_id}",
    "get /api/recipients/groups",
    "post /api/recipients/groups",
    "get /api/recipients/groups/{group_id}",
    "put /api/recipients/groups/{group_id}/recipients",
    "delete /api/recipients/groups/{group_id}",
    "get /api/schedules",
    "post /api/schedules",
    "get /api/schedules/{schedule_id}",
    "put /api/schedules/{schedule_id}/cancel",
    "post /api/schedules/{schedule_id}/send-now",
    "put /api/schedules/{schedule_id}/archive",
    "delete /api/schedules/{schedule_id}",
}
NOBODY = "01890000-0000-7000-8000-000000000000"
Operation = tuple[str, dict[str, Any]]


async def read_document(world: World) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = await world.get("/openapi.json")
    return document


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Every operation by its method and path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def schema_of(document: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """The schema of a JSON body, with whatever it refers to; of an optional body what it is if there is one."""
    schema = content["application/json"]["schema"]
    schema = next((one for one in schema.get("anyOf", []) if "$ref" in one), schema)
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"].get(name, schema)
    return found


def let_nulls_be_left_out(document: dict[str, Any]) -> None:
    """What may be null need not be in an example: FastAPI leaves nulls out of the examples in its document."""
    for schema in document["components"]["schemas"].values():
        properties = schema.get("properties", {})
        nullable = [name for name, one in properties.items() if {"type": "null"} in one.get("anyOf", [])]
        schema["required"] = [name for name in schema.get("required", []) if name not in nullable]


async def test_every_promised_route_is_there(module_world: World) -> None:
    assert {name for name, _ in operations(await read_document(module_world))} >= PROMISED_ROUTES


async def test_every_route_says_what_it_does_takes_and_gives(module_world: World) -> None:
    for name, operation in operations(await read_document(module_world)):
        assert operation["summary"], name
        assert operation["description"].endswith("."), name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description") or parameter["schema"].get("description"), (name, parameter["name"])


async def test_every_route_shows_the_one_error_shape(module_world: World) -> None:
    document = await read_document(module_world)
    for name, operation in operations(document):
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}, name
    assert set(document["components"]["schemas"]["Problem"]["required"]) == {
        "detail",
        "status_code",
        "error_code",
        "errors",
    }
    assert "HTTPValidationError" not in str(document)


async def test_every_json_body_and_every_answer_has_examples_that_fit_its_schema(module_world: World) -> None:
    document = await read_document(module_world)
    let_nulls_be_left_out(document)
    for name, operation in operations(document):
        bodies = [operation["requestBody"]["content"]] if "requestBody" in operation else []
        bodies += [
            response["content"] for status, response in operation["responses"].items() if status in ("200", "201")
        ]
        streams = [content.pop("text/event-stream") for content in bodies if "text/event-stream" in content]
        assert all(stream["example"].endswith("\n\n") and "event: " in stream["example"] for stream in streams), name
        files = [content.pop("text/csv") for content in bodies if "text/csv" in content]
        for content in bodies:
            for raw in ("multipart/form-data", XLSX):
                content.pop(raw, None)
        for file in files:
            columns, *rows = csv.reader(io.StringIO(file["example"], newline=""), strict=True)
            assert rows, name
            assert {len(row) for row in rows} == {len(columns)}, name
        bodies = [content for content in bodies if content]
        for content in bodies:
            schema = schema_of(document, content)
            if "items" in schema.get("properties", {}):  # a page shows its items' examples
                schema = schema_of(document, {"application/json": {"schema": schema["properties"]["items"]["items"]}})
            assert schema.get("examples"), (name, schema.get("title"))
            validator = Draft202012Validator(schema | {"components": document["components"]})
            for example in schema["examples"]:
                wrong = [error.message for error in validator.iter_errors(example)]
                assert wrong == [], (name, schema["title"])


async def test_every_example_of_a_request_is_understood(module_world: World) -> None:
    document = await read_document(module_world)
    tried = 0
    for name, operation in operations(document):
        if "requestBody" in operation:
            method, path = name.split()
            if "text/csv" in operation["requestBody"]["content"]:
                file = operation["requestBody"]["content"]["text/csv"]["example"]
                headers = {"X-Admin-Token": ADMIN_TOKEN, "Content-Type": "text/csv"}
                answer = await module_world.call(method, path, content=file, headers=headers)
                assert answer.is_success, (name, answer.text)
            if "application/json" not in operation["requestBody"]["content"]:
                continue
            for example in schema_of(document, operation["requestBody"]["content"])["examples"]:
                path = re.sub(r"\{\w+_id\}", NOBODY, path.replace("{phone_number}", "+447700900001"))
                answer = await module_world.call(method, path, example, headers={"X-Admin-Token": ADMIN_TOKEN})
                # in the body, and the example's is nobody's
                own_credential = path.startswith(("/api/auth/", "/send-message/"))
                refused = (400, 415, 422) if own_credential else (400, 401, 415, 422)
                assert answer.status_code not in refused, (name, answer.text)
                tried += 1
    assert tried >= 6


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_the_pages_load_nothing_from_elsewhere(module_world: World, page: str) -> None:
    html = (await module_world.call("GET", page, status=200)).text
    assets = re.findall(r"(?:src|href)=\"([^\"]+)\"", html)
    assert assets
    for asset in assets:
        assert not re.match(r"(https?:)?//", asset)
        if not asset.startswith("data:"):
            await module_world.call("GET", asset, status=200)
