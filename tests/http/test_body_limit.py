"""A body that is too large is refused, however it comes."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import ASGIApp

from gateway.http.body_limit import BodyLimit
from gateway.http.problems import Problem, install_error_handlers
from gateway.http.strict_json import StrictJson
from tests.http.conftest import ClientOf

LIMIT = 100


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(StrictJson)
    app.add_middleware(BodyLimit, max_bytes=LIMIT)

    @app.post("/json")
    async def take(body: list[int]) -> int:
        return len(body)

    @app.post("/bytes")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/deaf")
    async def deaf() -> str:
        return "not looked at"

    return app


async def in_chunks(size: int, taken: list[int]) -> AsyncGenerator[bytes, None]:
    for number in range(size // 10):
        taken.append(number)
        yield b" " * 10


@pytest.mark.parametrize("path", ["/json", "/bytes", "/deaf", "/nowhere"])
async def test_an_announced_length_over_the_limit_is_413(app: FastAPI, client_of: ClientOf, path: str) -> None:
    answer = await client_of(app).post(path, content=b" " * 101, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 413
    assert Problem.model_validate(answer.json()).error_code == "PAYLOAD_TOO_LARGE"
    assert "100 bytes" in answer.json()["detail"]


@pytest.mark.parametrize(("path", "content_type"), [("/json", "application/json"), ("/bytes", "text/csv")])
async def test_chunks_are_counted_and_no_more_are_taken_than_needed(
    app: FastAPI, client_of: ClientOf, path: str, content_type: str
) -> None:
    taken: list[int] = []
    body = in_chunks(100_000, taken)
    answer = await client_of(app).post(path, content=body, headers={"Content-Type": content_type})
    await body.aclose()
    assert answer.status_code == 413
    assert Problem.model_validate(answer.json()).error_code == "PAYLOAD_TOO_LARGE"
    assert len(taken) == 11


@pytest.mark.parametrize("size", [0, 99, 100])
async def test_a_body_up_to_the_limit_passes(app: FastAPI, client_of: ClientOf, size: int) -> None:
    answer = await client_of(app).post("/bytes", content=b"x" * size)
    assert (answer.status_code, answer.json()) == (200, size)


@pytest.mark.parametrize("length", ["9" * 30, "00000000000000000000000101"])
async def test_a_length_that_lies_does_not_get_more_in(app: FastAPI, client_of: ClientOf, length: str) -> None:
    answer = await client_of(app).post("/bytes", content=b"x" * 101, headers={"Content-Length": length})
    assert answer.status_code == 413


async def test_a_body_that_grows_after_the_answer_began_cuts_the_connection(client_of: ClientOf) -> None:
    async def early(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive()).get("more_body"):
            pass

    app: ASGIApp = BodyLimit(early, max_bytes=LIMIT)
    with pytest.raises(Exception, match="413"):
        await client_of(app).post("/", content=in_chunks(1_000, []))


async def test_the_default_takes_a_hundred_thousand_recipients(client_of: ClientOf) -> None:
    app = FastAPI()
    app.add_middleware(BodyLimit)

    @app.post("/bytes")
    async def raw(request: Request) -> int:
        return len(await request.body())

    recipient = b'{"phone": "+12125550101", "variables": {"name": "A name that is long", "code": "0123456789"}},'
    answer = await client_of(app).post("/bytes", content=recipient * 100_000)
    assert answer.json() == len(recipient) * 100_000
