"""The document's list of endpoints, against the API's own description: paths, methods, parameters, statuses, pages."""

import re
from typing import Any

import pytest

from tests.api.world import World
from tests.seed_002.seed import Seed

pytestmark = pytest.mark.timeout(60)

LISTS = ("List Messages", "List Recipients", "List Groups", "List Scheduled Messages")
TYPES = {
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
}


async def read_document(world: World) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = await world.get("/openapi.json")
    return document


def kinds(schema: dict[str, Any], document: dict[str, Any]) -> list[dict[str, Any]]:
    """What a value may be, without null: each with its type and its format, if it has one."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return [kind for one in schema["anyOf"] if one != {"type": "null"} for kind in kinds(one, document)]
    return [schema]


async def test_the_interactive_documentation_is_where_it_says(world: World, seed: Seed) -> None:
    found = re.findall(r"- \*\*(.+?)\*\*: `(/.+?)`", seed.text("Interactive Documentation"))
    assert [name for name, _ in found] == ["Swagger UI", "ReDoc", "OpenAPI Schema"]
    for name, path in found:
        answer = await world.call("GET", path, status=200)
        if name == "OpenAPI Schema":
            assert answer.json()["openapi"].startswith("3.")
        else:
            assert answer.headers["content-type"].startswith("text/html")


async def test_every_request_that_it_shows_is_an_operation(world: World, seed: Seed) -> None:
    paths = (await read_document(world))["paths"]
    shown = [heading for heading in seed.headings("http") if heading != "Rate Limiting"]  # which shows headers
    requests = [seed.request(heading) for heading in shown]
    assert len({(request.method, request.path) for request in requests}) == 28
    missing = [one for one in requests if one.method.lower() not in paths.get(one.path, {})]
    assert missing == []


@pytest.mark.parametrize("heading", LISTS)
async def test_query_parameters_have_its_types_and_defaults(world: World, seed: Seed, heading: str) -> None:
    document = await read_document(world)
    operation = document["paths"][seed.request(heading).path]["get"]
    described = {one["name"]: one for one in operation["parameters"] if one["in"] == "query"}
    for name, (kind, _, default) in seed.table(heading).items():
        schema = described[name]["schema"]
        assert not described[name].get("required", False), name
        assert any(TYPES[kind].items() <= one.items() for one in kinds(schema, document)), (name, schema)
        if default != "-" and name not in ("skip", "limit"):  # which are known as page and per_page too
            assert str(schema["default"]).lower() == default, name


async def test_every_status_that_it_lists_is_documented_somewhere(world: World, seed: Seed) -> None:
    """But the one that has nothing to do with an operation: for the gateway's own bugs."""
    paths = (await read_document(world))["paths"]
    documented = {
        status
        for path in paths.values()
        for operation in path.values()
        if isinstance(operation, dict)
        for status in operation["responses"]
    }
    assert set(seed.table("HTTP Status Codes")) - documented == {"500"}
