"""Who may do what: every route of the API against every kind of caller, in open mode and in token mode."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest

from campaigns.sending.models import Campaign
from gateway.app import build_gateway
from gateway.settings import Settings, SettingsError
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, CARA, World, recipients

pytestmark = pytest.mark.timeout(60)

Verdict = Literal["yes", 401, 404]
Row = tuple[Verdict, Verdict, Verdict, Verdict, Verdict]

ANYBODY: Row = ("yes", "yes", "yes", "yes", "yes")
THE_SENDER: Row = ("yes", 404, "yes", "yes", 401)
OPERATOR: Row = (401, 401, 401, "yes", 401)
WAHA_ALONE: Row = (401, 401, 401, 401, 401)
"""By its signature, which no caller here has."""

SERVER_PREFIXES = ("/api/admin/servers", "/api/admin/workers")


def server_routes(prefix: str) -> list[tuple[str, str]]:
    """The routes about WAHA servers under one of their two names."""
    verbs = [("post", "/{name}/drain"), ("post", "/{name}/undrain"), ("delete", "/{name}")]
    routes = [("get", ""), ("post", ""), ("get", "/{name}"), ("patch", "/{name}"), *verbs]
    return [(method, prefix + path) for method, path in routes]


#: What none, another sender, the sender, the operator and a wrong operator get in open mode, of Alice's data. In token
#: mode only the first column differs: 401, but for what is anybody's. The order is that of the calls: what ends a
#: session comes last.
TABLE: dict[tuple[str, str], Row] = {
    ("get", "/health"): ANYBODY,
    ("post", "/api/webhook/waha"): WAHA_ALONE,
    ("post", "/api/send"): THE_SENDER,
    ("post", "/api/send/preview"): THE_SENDER,
    ("get", "/api/status/{campaign_id}"): THE_SENDER,
    ("get", "/api/campaigns"): THE_SENDER,
    ("get", "/api/campaigns/{campaign_id}/failed"): THE_SENDER,
    ("get", "/api/campaigns/{campaign_id}/messages/{message_id}"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/pause"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/resume"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/cancel"): THE_SENDER,
    ("get", "/api/admin/metrics"): OPERATOR,
    ("get", "/api/admin/users"): OPERATOR,
    ("get", "/api/admin/campaigns"): OPERATOR,
    ("get", "/api/admin/sessions"): OPERATOR,
    ("get", "/api/admin/delays"): OPERATOR,
    ("post", "/api/admin/delays"): OPERATOR,
    ("get", "/api/admin/user-delays"): OPERATOR,
    ("post", "/api/admin/user-delays"): OPERATOR,
    **{route: OPERATOR for prefix in SERVER_PREFIXES for route in server_routes(prefix)},
    ("post", "/api/admin/sessions/{phone_number}/move"): OPERATOR,
    ("post", "/api/sessions"): THE_SENDER,
    ("get", "/api/sessions"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}"): THE_SENDER,
    ("get", "/api/sessions/{sender_number}/status"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/qr"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/qr/stream"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/code"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/passkey"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/passkey"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/passkey/confirm"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/me"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/history"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/stop"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/start"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/logout"): THE_SENDER,
    ("delete", "/api/sessions/{sender_number}"): OPERATOR,
}

ANOTHER_SERVER = {"name": "waha9", "url": "http://127.0.0.1:9", "check": False}
SEND = {"sender_number": ALICE, "template": "Hello", "recipients": recipients(2)}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/api/send"): SEND,
    ("post", "/api/send/preview"): SEND,
    ("post", "/api/sessions"): {"phone_number": ALICE},
    ("post", "/api/sessions/{phone_number}/passkey"): {
        "id": "AbCd",
        "rawId": "AbCd",
        "type": "public-key",
        "response": {"clientDataJSON": "eyJ9", "authenticatorData": "SZYN", "signature": "MEUC"},
    },
    ("post", "/api/admin/delays"): {"MESSAGE_DELAY": 3600, "SENDER_SWITCH_DELAY": 0},
    ("post", "/api/admin/user-delays"): {"sender_number": ALICE, "MESSAGE_DELAY": 3600},
    **{("post", prefix): ANOTHER_SERVER for prefix in SERVER_PREFIXES},
    **{("patch", f"{prefix}/{{name}}"): {"capacity": 100} for prefix in SERVER_PREFIXES},
    ("post", "/api/admin/sessions/{phone_number}/move"): {"server": "waha1"},
}
NAMING_ALICE = {"/api/campaigns", "/api/sessions", "/api/admin/user-delays"}


def routes(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every operation of an OpenAPI document."""
    for path, operations in document["paths"].items():
        for method in operations:
            yield method, path


@pytest.fixture(params=["open", "token"])
async def mode_world(request: pytest.FixtureRequest, make_world: MakeWorld) -> World:
    """A gateway in each mode."""
    auth = {"admin_token": ADMIN_TOKEN, "user_access": request.param}
    waha = {"webhook_secret": "a secret that no caller has"}
    return await make_world(auth=auth, dispatch={"message_delay": 3600}, waha=waha)


async def pair_as_operator(world: World, *numbers: str) -> dict[str, str]:
    """Connect numbers in any mode; gives their tokens."""
    world.client.headers["X-Admin-Token"] = ADMIN_TOKEN
    tokens = await world.pair(*numbers)
    del world.client.headers["X-Admin-Token"]
    return tokens


async def test_every_route_lets_in_whom_the_table_says(mode_world: World) -> None:
    world = mode_world
    is_open = world.gateway.settings.auth.user_access == "open"
    document = (await world.call("GET", "/openapi.json", status=200)).json()
    assert set(routes(document)) == set(TABLE), "a new route needs a row here"
    tokens = await pair_as_operator(world, ALICE, BERT)
    own = {"X-Sender-Token": tokens[ALICE]}
    campaign = (await world.call("POST", "/api/send", SEND, headers=own, status=201)).json()
    details = await world.call("GET", f"/api/status/{campaign['campaign_id']}?details=true", headers=own, status=200)
    names = {
        "campaign_id": campaign["campaign_id"],
        "message_id": details.json()["messages"]["items"][0]["id"],
        "phone_number": ALICE,
        "sender_number": ALICE,
        "name": "waha1",
    }
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    callers = [{}, {"X-Sender-Token": tokens[BERT]}, own, operator, operator | {"X-Admin-Token": "wrong" * 8}]
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    for (method, path), _ in TABLE.items():
        params = {"sender_number": ALICE} if path in NAMING_ALICE and (method, path) not in BODIES else None
        got: dict[int, Any] = {}
        for column in (0, 1, 4, 3, 2):  # the sender last: a logout ends its token
            answer = await world.call(
                method, path.format(**names), BODIES.get((method, path)), params=params, headers=callers[column]
            )
            got[column] = answer.status_code if answer.status_code in (401, 403, 404) else "yes"
            assert answer.status_code < 500, answer.text
        found[method, path] = tuple(got[column] for column in range(5))
    expected = {route: row if is_open or row == ANYBODY else (401, *row[1:]) for route, row in TABLE.items()}
    expected["post", "/api/sessions"] = THE_SENDER  # to open a pairing is anybody's: only the phone's owner can scan
    expected["post", "/api/sessions/{phone_number}/logout"] = (
        *expected["post", "/api/sessions/{phone_number}/logout"][:2],
        401,
        "yes",
        401,
    )
    assert found == expected


async def test_without_a_right_nothing_changes_and_nothing_is_told(mode_world: World) -> None:
    world = mode_world
    tokens = await pair_as_operator(world, ALICE, BERT)
    own, other = ({"X-Sender-Token": tokens[number]} for number in (ALICE, BERT))
    campaign = (await world.call("POST", "/api/send", SEND, headers=own, status=201)).json()
    path = f"/api/campaigns/{campaign['campaign_id']}"
    nobodys = "/api/campaigns/01890000-0000-7000-8000-000000000000"
    refused = await world.call("POST", f"{path}/cancel", headers=other, status=404)
    unknown = await world.call("POST", f"{nobodys}/cancel", headers=other, status=404)
    assert refused.json() == unknown.json()
    status = (await world.call("GET", f"/api/status/{campaign['campaign_id']}", headers=own, status=200)).json()
    assert status["status"] in ("queued", "running")
    await world.call("POST", "/api/send", SEND, headers=other, status=404)
    await world.call(
        "POST", "/api/send", SEND | {"sender_number": BERT, "sender_numbers": [ALICE]}, headers=other, status=404
    )
    assert await world.count(Campaign) == 1
    listed = (await world.call("GET", "/api/campaigns", headers=other, status=200)).json()
    assert listed["items"] == []
    sessions = (await world.call("GET", "/api/sessions", headers=other, status=200)).json()
    assert [item["phone_number"] for item in sessions["items"]] == [BERT]


async def test_in_open_mode_the_id_is_enough_and_a_number_that_comes_with_it_must_match(world: World) -> None:
    campaign = await world.send(queue_if_offline=True)
    path = f"/api/status/{campaign['campaign_id']}"
    await world.get(path)
    await world.get(path, sender_number="+44 7700 900001")
    for route in (path, f"/api/campaigns/{campaign['campaign_id']}/failed"):
        await world.call("GET", route, params={"sender_number": BERT}, status=404)
    for verb in ("pause", "resume", "cancel"):
        route = f"/api/campaigns/{campaign['campaign_id']}/{verb}"
        await world.call("POST", route, params={"sender_number": BERT}, status=404)
    assert (await world.get(path))["status"] == "queued"


async def test_in_open_mode_a_list_needs_a_number_and_shows_no_others(world: World) -> None:
    await world.send(queue_if_offline=True)
    for path in ("/api/campaigns", "/api/sessions"):
        refused = (await world.call("GET", path, status=422)).json()
        assert [error["field"] for error in refused["errors"]] == ["sender_number"]
    assert (await world.get("/api/campaigns", sender_number=BERT))["items"] == []
    everybody = (await world.admin("GET", "/api/campaigns", status=200)).json()
    assert [item["sender_number"] for item in everybody["items"]] == [ALICE]


async def test_a_401_says_what_to_send_in_the_one_shape(make_world: MakeWorld) -> None:
    world = await make_world(auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    for headers, named in (
        ({}, "X-Sender-Token"),
        ({"X-Sender-Token": "wgs_wrong"}, "X-Sender-Token is not valid"),
        ({"X-Admin-Token": "wrong"}, "X-Admin-Token is not valid"),
        ({"X-Admin-Token": ""}, "X-Admin-Token is not valid"),
    ):
        answer = await world.call("GET", f"/api/sessions/{ALICE}", headers=headers, status=401)
        error = answer.json()
        assert (error["status_code"], error["error_code"], error["errors"]) == (401, "UNAUTHORIZED", [])
        assert named in error["detail"]
        assert answer.headers["www-authenticate"]


async def test_a_token_is_stored_as_its_hash_only(world: World) -> None:
    token = (await world.pair(ALICE))[ALICE]
    await world.gateway.stop()
    path = world.db.path
    assert path is not None
    stored = b"".join(file.read_bytes() for file in path.parent.glob("gateway.db*"))
    assert token.encode() not in stored
    assert ADMIN_TOKEN.encode() not in stored


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"])
async def test_open_mode_refuses_what_came_through_a_proxy(module_world: World, header: str) -> None:
    refused = (await module_world.call("GET", f"/api/sessions/{ALICE}", headers={header: "x"}, status=403)).json()
    assert refused["error_code"] == "PROXY_NOT_ALLOWED"
    assert 'auth.user_access = "token"' in refused["detail"]


async def test_token_mode_stands_behind_a_proxy(make_world: MakeWorld) -> None:
    world = await make_world(auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Admin-Token": ADMIN_TOKEN}
    await world.call("GET", "/api/admin/metrics", headers=headers, status=200)


async def test_a_page_of_another_origin_may_not_call(module_world: World) -> None:
    headers = {"Origin": "https://elsewhere.example.org"}
    refused = (
        await module_world.call("POST", "/api/sessions", {"phone_number": CARA}, headers=headers, status=403)
    ).json()
    assert refused["error_code"] == "ORIGIN_NOT_ALLOWED"


def settings_for(host: str, **auth: Any) -> Settings:
    """Settings of a gateway that listens on `host`."""
    return Settings.model_validate({"server": {"host": host}, "auth": auth, "database": {"url": "sqlite:///:memory:"}})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "gateway.example.org"])
def test_open_mode_is_not_served_where_others_can_reach_it(host: str) -> None:
    with pytest.raises(SettingsError, match=r"auth\.user_access") as error:
        build_gateway(settings_for(host))
    assert host in str(error.value)
    assert "auth.allow_open_on_network" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "auth"),
    [
        ("127.0.0.1", {}),
        ("::1", {}),
        ("localhost", {}),
        ("0.0.0.0", {"user_access": "token"}),
        ("0.0.0.0", {"allow_open_on_network": True}),
    ],
)
def test_other_addresses_are_served_when_it_is_safe_or_was_asked_for(
    host: str, auth: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    build_gateway(settings_for(host, **auth))
