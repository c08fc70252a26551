"""Whatever goes wrong, the caller gets the one error shape."""

from typing import Any, Literal

import pytest
import structlog
from fastapi import FastAPI, HTTPException, WebSocket
from pydantic import BaseModel, ConfigDict, field_validator

from gateway.db import DatabaseAway
from gateway.errors import FieldError, GatewayError, NotFound, ServiceUnavailable, Unauthorized, ValidationFailed
from gateway.http.problems import Problem, install_error_handlers
from tests.http.conftest import ClientOf, OpenWebSocket


class Recipient(BaseModel):
    model_config = ConfigDict(extra="forbid")
    phone: str
    variables: dict[str, str] = {}

    @field_validator("phone")
    @classmethod
    def digits(cls, value: str) -> str:
        if not value.isdigit():
            raise ValueError("Only digits, please")
        return value


class Address(BaseModel):
    phone: str


class Sending(BaseModel):
    model_config = ConfigDict(extra="forbid")
    template: str
    recipients: list[str | Recipient]
    delay: float = 0


class RateLimited(GatewayError):
    """Too many requests."""

    status_code = 429
    error_code = "RATE_LIMIT_EXCEEDED"
    retry_after = 11.2


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/send")
    async def send(sending: Sending) -> int:
        return len(sending.recipients)

    @app.get("/raise/{what}")
    async def raise_it(what: str, number: int = 0) -> None:
        raise {
            "not-found": NotFound("No such campaign."),
            "fields": ValidationFailed("Bad.", errors=[FieldError("a.b", "Not \ud800 good", "bad")]),
            "limited": RateLimited(),
            "unavailable": ServiceUnavailable("The database is away."),
            "database": DatabaseAway("connection refused by 192.0.2.1"),
            "unauthorized": Unauthorized(),
            "internal": GatewayError("secret: 1234"),
            "bug": RuntimeError("secret: 1234"),
            "http": HTTPException(503, "Later.", headers={"Retry-After": "7"}),
            "http-object": HTTPException(400, {"secret": "shape"}),
            "teapot": HTTPException(418, "Short and stout."),
        }[what]

    @app.websocket("/ws/{when}")
    async def refuse(websocket: WebSocket, when: Literal["at-once", "later"]) -> None:
        if when == "later":
            await websocket.accept()
        raise Unauthorized

    return app


@pytest.mark.parametrize(
    ("what", "status", "code", "detail"),
    [
        ("not-found", 404, "RESOURCE_NOT_FOUND", "No such campaign."),
        ("fields", 422, "VALIDATION_ERROR", "Bad."),
        ("limited", 429, "RATE_LIMIT_EXCEEDED", "Too many requests."),
        ("unavailable", 503, "SERVICE_UNAVAILABLE", "The database is away."),
        ("unauthorized", 401, "UNAUTHORIZED", "A valid credential is required."),
        ("http", 503, "SERVICE_UNAVAILABLE", "Later."),
        ("http-object", 400, "BAD_REQUEST", "Bad Request"),
        ("teapot", 418, "BAD_REQUEST", "Short and stout."),
    ],
)
async def test_an_error_has_the_one_shape(
    app: FastAPI, client_of: ClientOf, what: str, status: int, code: str, detail: str
) -> None:
    answer = await client_of(app).get(f"/raise/{what}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"detail", "status_code", "error_code", "errors"}
    problem = Problem.model_validate(answer.json())
    assert (problem.status_code, problem.error_code, problem.detail) == (status, code, detail)


@pytest.mark.parametrize("what", ["bug", "internal"])
async def test_a_bug_is_a_500_that_is_logged_and_tells_nothing(app: FastAPI, client_of: ClientOf, what: str) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await client_of(app).get(f"/raise/{what}")
    assert answer.status_code == 500
    assert answer.json()["error_code"] == "INTERNAL_ERROR"
    assert "secret" not in answer.text
    assert [(entry["event"], entry["path"]) for entry in logs] == [("unexpected_error", f"/raise/{what}")]
    assert "1234" in str(logs[0]["exc_info"]), "the operator sees the cause"


async def test_a_database_that_is_away_is_503_and_no_bug(app: FastAPI, client_of: ClientOf) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await client_of(app).get("/raise/database")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "192.0.2.1" not in answer.text
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("database_away", "warning")]


async def test_a_bug_after_half_an_answer_cuts_the_connection(app: FastAPI, client_of: ClientOf) -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("in the middle")

    app.mount("/half", half)
    with pytest.raises(RuntimeError, match="in the middle"):
        await client_of(app).get("/half/")


async def test_an_unknown_path_is_404(app: FastAPI, client_of: ClientOf) -> None:
    answer = await client_of(app).get("/nowhere")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_NOT_FOUND")


async def test_a_wrong_method_is_405_and_says_which_are_right(app: FastAPI, client_of: ClientOf) -> None:
    answer = await client_of(app).delete("/send")
    assert (answer.status_code, answer.json()["error_code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(("what", "seconds"), [("limited", "12"), ("http", "7")])
async def test_a_caller_that_must_wait_is_told_how_long(
    app: FastAPI, client_of: ClientOf, what: str, seconds: str
) -> None:
    assert (await client_of(app).get(f"/raise/{what}")).headers["retry-after"] == seconds


async def test_401_says_how_to_authenticate(app: FastAPI, client_of: ClientOf) -> None:
    assert (await client_of(app).get("/raise/unauthorized")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("accept", "as_problem"),
    [
        ("application/problem+json", True),
        ("application/json, Application/Problem+JSON;q=0.5", True),
        ("application/problem+json;q=0", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
async def test_rfc_9457_is_spoken_to_those_who_ask_for_it(
    app: FastAPI, client_of: ClientOf, accept: str, as_problem: bool
) -> None:
    answer = await client_of(app).get("/raise/not-found", headers={"Accept": accept})
    expected = {
        "detail": "No such campaign.",
        "status_code": 404,
        "error_code": "RESOURCE_NOT_FOUND",
        "errors": [],
    }
    if as_problem:
        expected |= {"type": "about:blank", "title": "Not Found", "status": 404}
    assert answer.headers["content-type"] == ("application/problem+json" if as_problem else "application/json")
    assert answer.json() == expected


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {("template", "missing"), ("recipients", "missing")}),
        ({"template": 1, "recipients": ["1"]}, {("template", "string_type")}),
        (
            {"template": "t", "recipients": ["1", {"phone": "x"}]},
            {("recipients.1", "string_type"), ("recipients.1.phone", "value_error")},
        ),
        (
            {"template": "t", "recipients": [{}]},
            {("recipients.0", "string_type"), ("recipients.0.phone", "missing")},
        ),
        (
            {"template": "t", "recipients": ["1"], "typo": {"a": 1}},
            {("typo", "extra_forbidden")},
        ),
        (
            {"template": "t", "recipients": [{"phone": "1", "variables": {"name": 3}}]},
            {("recipients.0", "string_type"), ("recipients.0.variables.name", "string_type")},
        ),
        ({"template": "t", "recipients": 7}, {("recipients", "list_type")}),
        ([], {("body", "model_attributes_type")}),
        (7, {("body", "model_attributes_type")}),
    ],
)
async def test_every_wrong_field_is_named(
    app: FastAPI, client_of: ClientOf, body: Any, fields: set[tuple[str, str]]
) -> None:
    answer = await client_of(app).post("/send", json=body)
    assert answer.status_code == 422
    problem = Problem.model_validate(answer.json())
    assert problem.error_code == "VALIDATION_ERROR"
    assert {(error.field, error.code) for error in problem.errors} == fields


async def test_a_field_that_each_member_of_a_union_misses_is_named_once(app: FastAPI, client_of: ClientOf) -> None:
    @app.post("/either")
    async def either(body: Recipient | Address) -> str:
        return "never"

    answer = await client_of(app).post("/either", json={})
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("phone", "missing")]
    assert answer.json()["detail"] == "phone: Field required"


async def test_a_wrong_query_parameter_is_named(app: FastAPI, client_of: ClientOf) -> None:
    answer = await client_of(app).get("/raise/bug", params={"number": "many"})
    assert answer.json()["errors"] == [
        {
            "field": "number",
            "message": "Input should be a valid integer, unable to parse string as an integer",
            "code": "int_parsing",
        }
    ]


async def test_a_validators_own_words_are_kept(app: FastAPI, client_of: ClientOf) -> None:
    answer = await client_of(app).post("/send", json={"template": "t", "recipients": [{"phone": "x"}]})
    assert "Only digits, please" in [error["message"] for error in answer.json()["errors"]]


async def test_the_input_is_not_echoed(app: FastAPI, client_of: ClientOf) -> None:
    body = {"template": {"canary": "c" * 10_000}, "recipients": [], "x" * 10_000: 1}
    answer = await client_of(app).post("/send", json=body)
    assert answer.status_code == 422
    assert "canary" not in answer.text
    assert len(answer.text) < 2_000


async def test_a_hundred_wrong_fields_are_listed_and_the_rest_counted(app: FastAPI, client_of: ClientOf) -> None:
    answer = await client_of(app).post("/send", json={"template": "t", "recipients": [None] * 5_000})
    assert len(answer.json()["errors"]) == 100
    assert "first 100" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b'{"template": "\xff"}',
        b"[" * 100_000,
        b"1" * 5_000,
    ],
    ids=["empty", "cut", "words", "not utf-8", "nested", "endless number"],
)
async def test_a_body_that_is_not_json_is_422(app: FastAPI, client_of: ClientOf, body: bytes) -> None:
    answer = await client_of(app).post("/send", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    problem = Problem.model_validate(answer.json())
    assert [error.field for error in problem.errors] == ["body"]


async def test_a_lone_surrogate_does_not_break_the_answer(app: FastAPI, client_of: ClientOf) -> None:
    answer = await client_of(app).get("/raise/fields")
    assert answer.json()["errors"] == [{"field": "a.b", "message": "Not ? good", "code": "bad"}]
    body = b'{"template": "t", "recipients": ["1"], "\\ud800": 1}'
    answer = await client_of(app).post("/send", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


async def test_a_websocket_is_refused_before_it_is_accepted(app: FastAPI, open_websocket: OpenWebSocket) -> None:
    start, body = await open_websocket(app, "/ws/at-once", {})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert Problem.model_validate_json(body["body"]).error_code == "UNAUTHORIZED"


async def test_a_websocket_with_a_wrong_parameter_is_refused_by_name(
    app: FastAPI, open_websocket: OpenWebSocket
) -> None:
    start, body = await open_websocket(app, "/ws/never", {})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 422)
    assert [error.field for error in Problem.model_validate_json(body["body"]).errors] == ["when"]


async def test_an_accepted_websocket_is_closed_with_the_reason(app: FastAPI, open_websocket: OpenWebSocket) -> None:
    accepted, closed = await open_websocket(app, "/ws/later", {})
    assert accepted["type"] == "websocket.accept"
    assert closed == {"type": "websocket.close", "code": 1008, "reason": "UNAUTHORIZED"}
