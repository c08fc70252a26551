"""What commands make of a gateway's answers."""

from collections.abc import Callable

import httpx
import pytest

from gateway.cli.api import Api, GatewayRefused, GatewayUnreachable
from gateway.cli.failures import CommandFailed

Answer = Callable[[httpx.Request], httpx.Response]


def api(answer: Answer) -> Api:
    """An API that gives this answer to everything."""
    return Api("http://gateway.test/", {"X-Admin-Token": "secret"}, transport=httpx.MockTransport(answer))


async def test_an_answer_is_its_json_and_the_credentials_go_along() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"a": 1})

    async with api(answer) as client:
        assert await client.post("/x", {"b": 2}, headers={"Idempotency-Key": "k"}) == {"a": 1}

    assert (str(seen[0].url), seen[0].headers["x-admin-token"]) == ("http://gateway.test/x", "secret")
    assert (seen[0].headers["idempotency-key"], seen[0].content) == ("k", b'{"b":2}')


async def test_a_problem_is_one_line_with_its_wrong_fields() -> None:
    errors = [{"field": f"recipients.{n}", "message": "is blank", "code": "x"} for n in range(7)]
    body = {"detail": "7 are wrong", "status_code": 422, "error_code": "VALIDATION_ERROR", "errors": errors}

    async with api(lambda _: httpx.Response(422, json=body)) as client:
        with pytest.raises(GatewayRefused) as refused:
            await client.get("/x")

    assert str(refused.value).startswith("7 are wrong (recipients.0: is blank; ")
    assert str(refused.value).endswith("; and 2 more)")
    assert (refused.value.status, refused.value.code) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize("response", [httpx.Response(200, text="<html>"), httpx.Response(404, json={"error": "no"})])
async def test_an_answer_that_is_no_gateways_is_told(response: httpx.Response) -> None:
    async with api(lambda _: response) as client:
        with pytest.raises(GatewayRefused, match="does not answer like a gateway"):
            await client.get("/x")


@pytest.mark.parametrize(
    ("error", "message"),
    [(httpx.ConnectError("refused"), "start one with: gateway serve"), (httpx.ReadError("cut"), "broke off")],
)
async def test_a_gateway_that_is_not_there_is_told(error: httpx.HTTPError, message: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    async with api(answer) as client:
        with pytest.raises(GatewayUnreachable, match=message):
            await client.get("/x")


@pytest.mark.parametrize("address", ["http://[broken", "nothing", "ftp://host"])
async def test_an_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(CommandFailed):
        async with Api(address) as client:
            await client.get("/x")
