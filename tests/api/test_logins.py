"""Users over HTTP: made by the operator, logging in, and what their tokens open."""

import json
from typing import Any

import pytest

from gateway.auth.passwords import MAX_LENGTH
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, World

pytestmark = pytest.mark.timeout(60)

EMAIL, PASSWORD = "user@example.com", "canary secure password"
AUTH = {"admin_token": ADMIN_TOKEN, "user_access": "token"}


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """A gateway in token mode."""
    return await make_world(auth=AUTH)


async def make_user(world: World, email: str = EMAIL, **fields: Any) -> dict[str, Any]:
    """A user, made by the operator."""
    body = {"email": email, "password": PASSWORD, **fields}
    made: dict[str, Any] = (await world.admin("POST", "/api/admin/logins", body, status=201)).json()
    return made


async def log_in(world: World, email: str = EMAIL, password: str = PASSWORD, *, status: int = 200) -> dict[str, Any]:
    """What a login answers."""
    body = {"email": email, "password": password}
    answer: dict[str, Any] = (await world.call("POST", "/api/auth/login", body, status=status)).json()
    return answer


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    """The header of an access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_a_user_logs_in_refreshes_and_logs_out(world: World) -> None:
    await make_user(world)
    first = await log_in(world, " User@EXAMPLE.com ")
    assert (first["token_type"], first["expires_in"]) == ("bearer", 3600)
    await world.call("GET", "/api/campaigns", headers=bearer(first), status=200)
    second = await world.post("/api/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert sorted(second) == sorted(first)
    for tokens in (first, second):
        await world.call("GET", "/api/campaigns", headers=bearer(tokens), status=200)
    for _ in range(2):
        gone = await world.call("POST", "/api/auth/logout", {"refresh_token": second["refresh_token"]}, status=204)
        assert gone.content == b""
    for tokens in (first, second):
        await world.call("GET", "/api/campaigns", headers=bearer(tokens), status=401)
        await world.call("POST", "/api/auth/refresh", {"refresh_token": tokens["refresh_token"]}, status=401)


async def test_the_answer_with_tokens_is_kept_by_no_cache(world: World) -> None:
    await make_user(world)
    answer = await world.call("POST", "/api/auth/login", {"email": EMAIL, "password": PASSWORD}, status=200)
    assert answer.headers["cache-control"] == "no-store"


async def test_an_unknown_email_and_a_wrong_password_get_the_same_answer(world: World) -> None:
    user = await make_user(world)
    answers = [await log_in(world, "nobody@example.com", status=401), await log_in(world, EMAIL, "wrong", status=401)]
    await world.admin("PATCH", f"/api/admin/logins/{user['id']}", {"disabled": True}, status=200)
    answers.append(await log_in(world, status=401))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["error_code"] == "UNAUTHORIZED"


@pytest.mark.parametrize("open_mode", [True, False])
@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Bearer wgk_unknown", "Basic dXNlcjpwYXNz", "x", "Bearer \xfc"],
)
async def test_a_wrong_bearer_is_refused_in_the_one_shape_in_both_modes(
    make_world: MakeWorld, header: str, open_mode: bool
) -> None:
    world = await make_world(auth=AUTH | {"user_access": "open" if open_mode else "token"})
    for method, path, body in (
        ("GET", "/api/campaigns?sender_number=447700900001", None),
        ("GET", "/api/sessions/447700900001/qr", None),
        ("POST", "/api/sessions", {"phone_number": "447700900001"}),
    ):
        answer = await world.call(method, path, body, headers={b"Authorization": header.encode("latin-1")}, status=401)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert sorted(answer.json()) == ["detail", "error_code", "errors", "status_code"]
        assert "wgk_unknown" not in answer.text


async def test_two_authorization_headers_are_refused(world: World) -> None:
    await make_user(world)
    header = ("Authorization", bearer(await log_in(world))["Authorization"])
    await world.call("GET", "/api/campaigns", headers=[header], status=200)
    await world.call("GET", "/api/campaigns", headers=[header, header], status=401)


async def test_a_user_is_no_operator(world: World) -> None:
    await make_user(world)
    tokens = await log_in(world)
    await world.call("GET", "/api/admin/logins", headers=bearer(tokens), status=401)


async def test_too_many_logins_are_told_when_to_come_again(make_world: MakeWorld) -> None:
    world = await make_world(auth=AUTH, limits={"logins_per_minute": 2})
    await make_user(world)
    for _ in range(2):
        await log_in(world, EMAIL.upper(), "wrong", status=401)
    answer = await world.call("POST", "/api/auth/login", {"email": EMAIL, "password": PASSWORD}, status=429)
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    assert answer.json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    await log_in(world, "other@example.com", status=401)


# --- what is not valid


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/auth/login", {"email": EMAIL, "password": "x" * (MAX_LENGTH + 1)}, "password"),
        ("/api/auth/login", {"email": EMAIL, "password": ""}, "password"),
        ("/api/auth/login", {"email": EMAIL, "password": ["canary secret"]}, "password"),
        ("/api/auth/login", {"email": "canary secret", "password": PASSWORD}, "email"),
        ("/api/auth/login", {"email": "a\x00@canary secret", "password": PASSWORD}, "email"),
        ("/api/auth/login", {"email": "x" * 100_000, "password": PASSWORD}, "email"),
        ("/api/auth/refresh", {"refresh_token": "canary secret" * 1000}, "refresh_token"),
        ("/api/admin/logins", {"email": EMAIL, "password": "canary"}, "password"),
        ("/api/admin/logins", {"email": EMAIL, "password": PASSWORD, "account": "canary secret"}, "account"),
        ("/api/admin/logins", {"email": EMAIL, "password": PASSWORD, "canary secret": 1}, "canary secret"),
    ],
)
async def test_what_is_wrong_is_named_and_not_repeated(world: World, path: str, body: Any, field: str) -> None:
    answer = await world.admin("POST", path, body, status=422)
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    told = json.dumps(answer.json()).replace(f'"{field}', "").replace(f"{field}:", "")
    assert "canary" not in told
    assert "xxx" not in told


async def test_no_secret_is_logged(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    user = await make_user(world)
    tokens = await log_in(world)
    await log_in(world, password="canary wrong password", status=401)
    await world.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    await world.call("POST", "/api/auth/refresh", {"refresh_token": tokens["refresh_token"]}, status=401)
    written = "".join(capsys.readouterr()) + caplog.text
    assert user["id"] in written
    for secret in ("canary", EMAIL, tokens["refresh_token"], tokens["access_token"]):
        assert secret not in written


# --- the operator's side


async def test_the_operator_makes_lists_changes_and_removes_users(world: World) -> None:
    made = await make_user(world, " User@Example.com", account="acme")
    assert (made["email"], made["account"], made["disabled"], made["last_login_at"]) == (EMAIL, "acme", False, None)
    assert "password" not in json.dumps(made)
    other = await make_user(world, "other@example.com")
    assert other["account"] == "local"
    taken = {"email": EMAIL, "password": PASSWORD}
    refused = (await world.admin("POST", "/api/admin/logins", taken, status=409)).json()
    assert refused["error_code"] == "DUPLICATE_RESOURCE"
    listed = (await world.admin("GET", "/api/admin/logins", status=200)).json()
    assert ([item["email"] for item in listed["items"]], listed["total"]) == (["other@example.com", EMAIL], 2)
    of_acme = (await world.admin("GET", "/api/admin/logins?account=acme", status=200)).json()
    assert of_acme["items"] == [made]

    path = f"/api/admin/logins/{made['id']}"
    tokens = await log_in(world)
    assert (await world.admin("GET", path, status=200)).json()["last_login_at"].endswith("Z")
    changed = (await world.admin("PATCH", path, {"password": "another password"}, status=200)).json()
    assert changed["disabled"] is False
    await world.call("GET", "/api/campaigns", headers=bearer(tokens), status=401)
    await log_in(world, status=401)
    tokens = await log_in(world, password="another password")
    assert (await world.admin("PATCH", path, {"disabled": True}, status=200)).json()["disabled"] is True
    await world.call("GET", "/api/campaigns", headers=bearer(tokens), status=401)
    await world.admin("PATCH", path, {}, status=422)
    await world.admin("DELETE", path, status=204)
    for method, body in (("GET", None), ("PATCH", {"disabled": False}), ("DELETE", None)):
        await world.admin(method, path, body, status=404)


async def test_the_document_describes_the_bearer_as_one_way_among_others(world: World) -> None:
    document = (await world.call("GET", "/openapi.json", status=200)).json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    paths = document["paths"]
    assert paths["/api/campaigns"]["get"]["security"] == [{}, {"bearer": []}]
    assert "security" not in paths["/api/auth/login"]["post"]
    assert "security" not in paths["/api/admin/logins"]["get"]


async def test_a_password_that_is_too_short_or_too_long_is_told_in_characters(world: World) -> None:
    for password, told in (("short", "at least 8 characters"), ("x" * 5000, "at most")):
        body = {"email": EMAIL, "password": password}
        error = (await world.admin("POST", "/api/admin/logins", body, status=422)).json()
        (wrong,) = error["errors"]
        assert (wrong["field"], told in wrong["message"], "characters" in wrong["message"]) == ("password", True, True)
