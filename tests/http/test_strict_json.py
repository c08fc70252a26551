"""A body must be strict JSON, whatever the route makes of it."""

from typing import Annotated, Any

import pytest
from fastapi import Body, FastAPI, Request
from starlette.types import Message

from gateway.http.problems import Problem, install_error_handlers
from gateway.http.strict_json import StrictJson
from tests.http.conftest import ClientOf

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(StrictJson, raw_paths=["/raw"])

    @app.post("/any")
    async def take(body: Annotated[Any, Body()] = None) -> Any:
        return body

    @app.post("/raw")
    async def raw(request: Request) -> str:
        return (await request.body()).decode("latin-1")

    return app


@pytest.mark.parametrize(
    "body",
    [
        b'{"delay": NaN}',
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"1" * 400 + b".5",
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        '{"delay": NaN}'.encode("utf-16"),
        '"x"'.encode("utf-32"),
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{'a': 1}",
        b"[1,]",
        b"// 1",
        b" ",
    ],
)
async def test_what_is_not_strict_json_is_422(app: FastAPI, client_of: ClientOf, body: bytes) -> None:
    answer = await client_of(app).post("/any", content=body, headers=JSON)
    assert answer.status_code == 422
    problem = Problem.model_validate(answer.json())
    assert [(error.field, error.code) for error in problem.errors] == [("body", "json_invalid")]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"text": "\\ud83d\\ude00 caf\\u00e9 \xf0\x9f\x98\x80"}', {"text": "😀 café 😀"}),
        (b"[1e300, -0.0, 12345678901234567]", [1e300, -0.0, 12345678901234567]),
        (b'"NaN and Infinity and 1e999"', "NaN and Infinity and 1e999"),
        (b" [ ] ", []),
        (b"", None),
    ],
)
async def test_strict_json_arrives_whole(app: FastAPI, client_of: ClientOf, body: bytes, value: Any) -> None:
    answer = await client_of(app).post("/any", content=body, headers=JSON)
    assert (answer.status_code, answer.json()) == (200, value)


async def test_a_raw_path_gets_the_bytes_as_they_came(app: FastAPI, client_of: ClientOf) -> None:
    answer = await client_of(app).post("/raw", content=b'{"text": "\\ud800"}', headers=JSON)
    assert answer.json() == '{"text": "\\ud800"}'


async def test_other_content_is_left_alone(app: FastAPI, client_of: ClientOf) -> None:
    answer = await client_of(app).post("/raw", content=b"NaN", headers={"Content-Type": "text/csv"})
    assert answer.json() == "NaN"


async def test_a_caller_that_hangs_up_is_still_seen_as_gone() -> None:
    seen: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())

    incoming: list[Message] = [
        {"type": "http.request", "body": b'{"half', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError("nobody is there to hear an answer")

    scope = {"type": "http", "method": "POST", "path": "/any", "headers": [(b"content-type", b"application/json")]}
    await StrictJson(app)(scope, receive, send)
    assert seen == [{"type": "http.disconnect"}]
