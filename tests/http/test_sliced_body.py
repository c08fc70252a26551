"""A body that is read in slices: the same values and the same errors as FastAPI's own way gives behind StrictJson."""

import json
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Message

from gateway.background import politely
from gateway.errors import ValidationFailed
from gateway.http import sliced_body
from gateway.http.body_limit import BodyLimit
from gateway.http.problems import install_error_handlers
from gateway.http.sliced_body import SlicedBody
from gateway.http.strict_json import StrictJson
from tests.http.conftest import ClientOf

JSON = {"Content-Type": "application/json"}
MOST = 50


class Item(BaseModel):
    """An item with fields."""

    model_config = ConfigDict(extra="forbid")
    phone: Annotated[str, Field(min_length=1)]
    age: int = 0


class Order(BaseModel):
    """A body with a long list."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=10)
    items: list[str | Item] = Field(min_length=1)
    more: Any = None


READER = SlicedBody(Order, "items", max_items=MOST)


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced_body, "SLICE", 3)


def make_app(*, sliced: bool) -> FastAPI:
    """A route that gives back what it understood, in one way or the other."""
    app = FastAPI()
    install_error_handlers(app)
    if sliced:

        @app.post("/orders")
        async def take(body: Annotated[Order, Depends(READER)]) -> Any:
            return body.model_dump()

    else:

        @app.post("/orders")
        async def take_whole(body: Order) -> Any:
            return body.model_dump()

    app.add_middleware(StrictJson, raw_paths=["/orders"] if sliced else [])
    app.add_middleware(BodyLimit, max_bytes=1_000_000)
    return app


SLICED, WHOLE = make_app(sliced=True), make_app(sliced=False)


async def both(client_of: ClientOf, body: bytes) -> tuple[httpx.Response, httpx.Response]:
    """The answers of both ways."""
    sliced = await client_of(SLICED).post("/orders", content=body, headers=JSON)
    return sliced, await client_of(WHOLE).post("/orders", content=body, headers=JSON)


GOOD = {"name": "Ada", "items": ["a", {"phone": "b"}, {"phone": "c", "age": 3}, "d", "e", "f", "g"]}
SPACED = b' \n\t{ "items" : [ "a" , "b" ,\r\n "c", "d" ] , "name" : "\\u0041da" , "more" : [ 1 , { "x" : [ ] } ] } \n'
BODIES = {
    "good": json.dumps(GOOD).encode(),
    "spaces everywhere": SPACED,
    "no spaces": json.dumps(GOOD, separators=(",", ":")).encode(),
    "one item": b'{"name": "x", "items": ["a"]}',
    "exactly one slice": b'{"name": "x", "items": ["a", "b", "c"]}',
    "exactly two slices": b'{"name": "x", "items": ["a", "b", "c", "d", "e", "f"]}',
    "list first": b'{"items": ["a", "b", "c", "d"], "name": "x"}',
    "list twice, the last one counts": b'{"items": ["a", 1, "c", "d", 2], "name": "x", "items": ["e", "f", "g", "h"]}',
    "name twice": b'{"items": ["a"], "name": "x", "name": "y"}',
    "escaped name of the list": b'{"\\u0069tems": ["a", "b", "c", "d"], "name": "x"}',
    "the list's name deeper": b'{"items": ["a"], "name": "x", "more": {"items": [NaN]}}',
    "large integers": b'{"items": [{"phone": "a", "age": 123456789012345678901234}], "name": "x"}',
    "large integer elsewhere": b'{"items": ["a"], "name": "x", "more": 123456789012345678901234}',
    "emoji": '{"items": ["\U0001f600", "b", "c", "d\U0001f600"], "name": "\u00e9"}'.encode(),
    "half a surrogate in a late item": b'{"name": "x", "items": ["a", "b", "c", "d", "\\ud800"]}',
    "half a surrogate outside": b'{"name": "\\ud800", "items": ["a"]}',
    "NaN in a late item": b'{"name": "x", "items": ["a", "b", "c", "d", {"phone": "e", "age": NaN}]}',
    "NaN outside": b'{"name": "x", "items": ["a"], "more": NaN}',
    "1e999 outside": b'{"name": "x", "items": ["a"], "more": 1e999}',
    "a comma too many in the list": b'{"name": "x", "items": ["a", "b", "c", "d",]}',
    "a comma too many after the first slice": b'{"name": "x", "items": ["a", "b", "c",]}',
    "a comma too many in the object": b'{"name": "x", "items": ["a"],}',
    "no comma in the list": b'{"name": "x", "items": ["a" "b"]}',
    "no comma between slices": b'{"name": "x", "items": ["a", "b", "c" "d"]}',
    "no comma in the object": b'{"name": "x" "items": ["a"]}',
    "no colon": b'{"name" "x", "items": ["a"]}',
    "a name without quotes": b'{name: "x", "items": ["a"]}',
    "the list not closed": b'{"name": "x", "items": ["a", "b", "c", "d"',
    "the object not closed": b'{"name": "x", "items": ["a"]',
    "more after the end": b'{"name": "x", "items": ["a"]} {}',
    "not UTF-8": b'{"name": "\xff", "items": ["a"]}',
    "UTF-16": '{"name": "x", "items": ["a"]}'.encode("utf-16"),
    "a mark before it": b'\xef\xbb\xbf{"name": "x", "items": ["a"]}',
    "deep in the list": b'{"name": "x", "items": [' + b"[" * 100_000,
    "deep elsewhere": b'{"more": ' + b'{"a":' * 100_000,
    "only spaces": b"  ",
    "nothing": b"",
    "null": b"null",
    "a list": b'["a"]',
    "a text": b'"items"',
    "a number that nothing holds": b'{"more": ' + b"9" * 5000 + b', "name": "x", "items": ["a"]}',
    "empty object": b"{}",
    "empty list": b'{"name": "x", "items": []}',
    "no list": b'{"name": "x"}',
    "a text for the list": b'{"name": "x", "items": "abc"}',
    "null for the list": b'{"name": "x", "items": null}',
    "an object for the list": b'{"name": "x", "items": {"0": "a"}}',
    "wrong items in each slice": b'{"name": "x", "items": [1, "b", "c", null, "e", {"phone": ""}, {"age": "x"}, []]}',
    "wrong fields of late items": b'{"name": "x", "items": ["a", "b", "c", "d", {"phone": "e", "nom": 1, "age": "x"}]}',
    "wrong items and wrong fields": b'{"name": 5, "items": ["a", "b", "c", 4, 5], "nom": 1}',
    "wrong fields only": b'{"name": "longer than ten", "items": ["a", "b", "c", "d", "e"], "nom": 1}',
    "a wrong item and then no JSON": b'{"name": "x", "items": ["a", "b", "c", 4, 5}',
    "a hundred and more wrong items": b'{"name": "x", "items": [%s]}' % b",".join([b"1"] * 40),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_what_comes_out_is_what_fastapi_makes_of_it(client_of: ClientOf, body: bytes) -> None:
    sliced, whole = await both(client_of, body)
    assert sliced.status_code == whole.status_code
    if sliced.status_code == 200:
        assert sliced.json() == whole.json()
        return
    told, expected = sliced.json(), whole.json()
    if expected["errors"][0]["code"] == "json_invalid":
        assert told["errors"][0]["code"] == "json_invalid"
        return
    assert sorted(told["errors"], key=str) == sorted(expected["errors"], key=str)
    assert told["detail"].split(":")[0] == expected["detail"].split(":")[0]


async def test_where_json_is_broken_is_told_as_for_every_other_route(client_of: ClientOf) -> None:
    sliced, whole = await both(client_of, b'{"name": "x", "items": ["a", "b", "c", "d", "e" "f"]}')
    assert sliced.json() == whole.json()
    assert "at character" in sliced.json()["detail"]


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
items = st.lists(scalars | st.fixed_dictionaries({}, optional={"phone": scalars, "age": scalars}), max_size=12)


@given(
    value=st.fixed_dictionaries({}, optional={"name": scalars, "items": items, "more": scalars, "else": scalars}),
    indent=st.sampled_from([None, 1]),
)
@settings(
    max_examples=150,
    deadline=None,  # a busy machine is no failure
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_object_is_read_as_pydantic_reads_it(value: dict[str, Any], indent: int | None) -> None:
    body = json.dumps(value, indent=indent).encode()
    try:
        expected = Order.model_validate_json(body) if _is_strict(body) else None
    except ValueError:
        expected = None
    try:
        read = READER.read(body)
    except ValidationFailed:
        read = None
    assert read == expected


def _is_strict(body: bytes) -> bool:
    return b"\\ud8" not in body.lower()


async def test_a_list_that_is_too_long_is_counted_and_not_kept(client_of: ClientOf) -> None:
    good = json.dumps({"name": "x", "items": ["a"] * MOST}).encode()
    assert (await client_of(SLICED).post("/orders", content=good, headers=JSON)).status_code == 200
    body = json.dumps({"name": "x", "items": ["a"] * (MOST + 13)}).encode()
    answer = await client_of(SLICED).post("/orders", content=body, headers=JSON)
    assert answer.status_code == 422
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("items", "too_long")]
    assert "at most 50 items, here are 63" in answer.json()["detail"]


async def test_between_slices_others_get_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    slices: list[int] = []

    def noting(items: Any) -> Any:
        for item in politely(items):
            slices.append(len(item))
            yield item

    monkeypatch.setattr(sliced_body, "politely", noting)
    READER.read(json.dumps(GOOD).encode())
    assert slices == [3, 3, 1]


async def test_a_body_over_the_limit_is_413(client_of: ClientOf) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    answer = await client_of(SLICED).post("/orders", content=chunks(), headers=JSON)
    assert answer.status_code == 413


async def test_a_caller_that_hangs_up_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    incoming: list[Message] = [
        {"type": "http.request", "body": b'{"half', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "POST", "path": "/orders", "query_string": b"", "headers": headers}
    await SLICED(scope, receive, send)
    assert sent[0]["status"] == 400


def test_the_body_is_described_by_its_model() -> None:
    schema = READER.openapi["requestBody"]["content"]["application/json"]["schema"]  # type: ignore[index]
    assert schema == {"$ref": "#/components/schemas/Order"}
