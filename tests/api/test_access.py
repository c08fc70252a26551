"""Who may do what: every route of the API against every kind of caller, in open mode and in token mode."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from string import Formatter
from typing import Any, Literal

import pytest

from campaigns.audience.models import Recipient, RecipientGroup
from campaigns.audience.optouts.models import Suppression
from campaigns.doors.messaging.ids import make_message_id
from campaigns.sending.models import Campaign
from gateway.app import build_gateway
from gateway.settings import Settings, SettingsError
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, CARA, World, recipients

pytestmark = pytest.mark.timeout(180)

Verdict = Literal["yes", 401, 403, 404]
Row = tuple[Verdict, Verdict, Verdict, Verdict, Verdict, Verdict, Verdict]

ANYBODY: Row = ("yes", "yes", "yes", "yes", "yes", "yes", "yes")
THE_SENDER: Row = ("yes", 404, "yes", "yes", 401, "yes", 404)
A_LIST: Row = ("yes", 404, "yes", "yes", 401, "yes", "yes")
"""As the sender's, but to a user of another account the list is empty."""
THE_ACCOUNT: Row = ("yes", 403, 403, "yes", 401, "yes", 404)
ACCOUNT_LIST: Row = ("yes", 403, 403, "yes", 401, "yes", "yes")
"""What no sender owns; in lists, and in what is made, each account meets its own."""
OPERATOR: Row = (401, 401, 401, "yes", 401, 401, 401)
ANYBODY_BUT_LIARS: Row = ("yes", "yes", "yes", "yes", 401, "yes", "yes")
WAHA_ALONE: Row = (401, 401, 401, 401, 401, 401, 401)
"""By its signature, which no caller here has."""

PASSWORD_ALONE: Row = WAHA_ALONE
"""By what is in the body, which is wrong here whoever sends it."""

SERVER_PREFIXES = ("/api/admin/servers", "/api/admin/workers")


def server_routes(prefix: str) -> list[tuple[str, str]]:
    """The routes about WAHA servers under one of their two names."""
    verbs = [("post", "/{name}/drain"), ("post", "/{name}/undrain"), ("delete", "/{name}")]
    routes = [("get", ""), ("post", ""), ("get", "/{name}"), ("patch", "/{name}"), *verbs]
    return [(method, prefix + path) for method, path in routes]


UPLOADS = "/api/upload"
CLIENTS = "/api/admin/clients"
GROUPS = "/api/recipients/groups"
IMPORT = "/api/recipients/import"
HOOK = "/api/webhooks/{webhook_id}"
SCHEDULES = "/api/schedules"
SUPPRESSIONS = "/api/suppressions"
MESSAGING = "/api/messaging"
CONTACTS = "/api/contacts/read"
ACCOUNT_ROUTES: dict[tuple[str, str], Row] = {
    **{(verb, path): ACCOUNT_LIST for path in ("/api/messages", "/api/recipients", GROUPS) for verb in ("post", "get")},
    ("get", "/api/recipients/export"): ACCOUNT_LIST,
    ("post", UPLOADS): ANYBODY_BUT_LIARS,
    ("post", CONTACTS): ANYBODY_BUT_LIARS,
    ("get", UPLOADS): ACCOUNT_LIST,
    **{(verb, f"{UPLOADS}/{{file_id}}"): THE_ACCOUNT for verb in ("get", "delete")},
    ("post", IMPORT): ACCOUNT_LIST,
    ("get", IMPORT): ACCOUNT_LIST,
    **{("get", f"{IMPORT}/{{import_id}}{part}"): THE_ACCOUNT for part in ("", "/rows", "/rows/export")},
    **{
        (verb, path): THE_ACCOUNT
        for path in ("/api/messages/{message_id}", "/api/recipients/{recipient_id}", f"{GROUPS}/{{group_id}}")
        for verb in ("get", "put", "delete")
    },
    **{(verb, f"{GROUPS}/{{group_id}}/recipients"): THE_ACCOUNT for verb in ("put", "post", "delete")},
    ("delete", f"{GROUPS}/{{group_id}}/recipients/{{recipient_id}}"): THE_ACCOUNT,
    **{(verb, "/api/webhooks"): ACCOUNT_LIST for verb in ("post", "get")},
    **{(verb, HOOK): THE_ACCOUNT for verb in ("get", "put", "patch", "delete")},
    ("get", f"{HOOK}/deliveries"): THE_ACCOUNT,
    **{("post", f"{HOOK}/{verb}"): THE_ACCOUNT for verb in ("test", "rotate-secret")},
    ("post", f"{HOOK}/deliveries/{{delivery_id}}/replay"): THE_ACCOUNT,
    **{(verb, SUPPRESSIONS): ACCOUNT_LIST for verb in ("post", "get")},
    ("get", f"{SUPPRESSIONS}/export"): ACCOUNT_LIST,
    ("post", f"{SUPPRESSIONS}/import"): ACCOUNT_LIST,
    ("get", f"{SUPPRESSIONS}/{{phone_number}}/history"): ACCOUNT_LIST,
    ("get", f"{SUPPRESSIONS}/{{phone_number}}"): THE_ACCOUNT,
    ("delete", f"{SUPPRESSIONS}/{{phone_number}}"): THE_ACCOUNT,
    **{(verb, "/api/frequency-cap"): ACCOUNT_LIST for verb in ("get", "put", "delete")},
    **{(verb, "/api/quiet-hours"): ACCOUNT_LIST for verb in ("get", "put", "delete")},
    ("get", SCHEDULES): ACCOUNT_LIST,
    ("post", SCHEDULES): THE_ACCOUNT,
    **{(verb, f"{SCHEDULES}/{{schedule_id}}"): THE_ACCOUNT for verb in ("get", "delete")},
    **{("put", f"{SCHEDULES}/{{schedule_id}}/{step}"): THE_ACCOUNT for step in ("cancel", "archive")},
    ("post", f"{SCHEDULES}/{{schedule_id}}/send-now"): THE_ACCOUNT,
}


#: What none, another sender, the sender, the operator, a wrong operator, a user of the same account and one of another
#: account get in open mode, of Alice's data. In token mode only the first column differs: 401, but for what is
#: anybody's. The order is that of the calls: what ends a session comes last.
TABLE: dict[tuple[str, str], Row] = {
    ("get", "/health"): ANYBODY,
    **{("get", f"/health/{part}"): ANYBODY for part in ("db", "redis", "celery", "dispatcher", "detailed")},
    ("get", "/health/waha"): ANYBODY_BUT_LIARS,
    ("post", "/api/webhook/waha"): WAHA_ALONE,
    ("post", "/api/auth/login"): PASSWORD_ALONE,
    ("post", "/api/auth/refresh"): PASSWORD_ALONE,
    ("post", "/api/auth/logout"): ANYBODY,
    ("post", "/api/send"): THE_SENDER,
    ("post", "/api/send/preview"): THE_SENDER,
    ("get", "/api/status/{campaign_id}"): THE_SENDER,
    ("get", "/api/campaigns"): A_LIST,
    ("get", "/api/campaigns/{campaign_id}/failed"): THE_SENDER,
    ("get", "/api/campaigns/{campaign_id}/export"): THE_SENDER,
    ("get", "/api/campaigns/{campaign_id}/report"): THE_SENDER,
    ("get", "/api/campaigns/{campaign_id}/messages/{message_id}"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/pause"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/resume"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/cancel"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/retry"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/messages/{message_id}/resend"): THE_SENDER,
    ("post", "/api/campaigns/{campaign_id}/messages/{message_id}/accept"): THE_SENDER,
    **{("post", f"/api/campaigns/{{campaign_id}}/unconfirmed/{verb}"): THE_SENDER for verb in ("resend", "accept")},
    ("get", "/api/conversations"): A_LIST,
    ("get", "/api/conversations/{conversation_id}"): THE_SENDER,
    ("get", "/api/conversations/{conversation_id}/messages"): THE_SENDER,
    ("post", "/api/conversations/{conversation_id}/reply"): THE_SENDER,
    ("post", "/api/conversations/{conversation_id}/read"): THE_SENDER,
    ("post", "/api/send-message/"): THE_SENDER,
    ("post", "/send-message/"): PASSWORD_ALONE,
    ("get", "/send-message/{entry_id}"): THE_ACCOUNT,
    ("post", f"{MESSAGING}/send-message/"): ACCOUNT_LIST,
    ("post", f"{MESSAGING}/send-bulk/"): ACCOUNT_LIST,
    ("post", f"{MESSAGING}/validate-phone/"): ACCOUNT_LIST,
    ("post", f"{MESSAGING}/create-campaign-send/"): ACCOUNT_LIST,
    ("get", f"{MESSAGING}/account/balance/"): ACCOUNT_LIST,
    ("get", f"{MESSAGING}/stats/"): ACCOUNT_LIST,
    ("get", f"{MESSAGING}/message/{{message_id}}/status/"): THE_ACCOUNT,
    ("post", "/api/webhook/"): THE_SENDER,
    **ACCOUNT_ROUTES,
    ("get", "/api/admin/metrics"): OPERATOR,
    ("post", "/api/admin/console-link"): OPERATOR,
    ("post", "/api/admin/actions"): OPERATOR,
    ("get", "/api/admin/actions"): OPERATOR,
    ("get", "/api/admin/users"): OPERATOR,
    ("get", "/api/admin/campaigns"): OPERATOR,
    ("get", "/api/admin/sessions"): OPERATOR,
    ("get", "/api/admin/delays"): OPERATOR,
    ("post", "/api/admin/delays"): OPERATOR,
    ("get", "/api/admin/delays/effect"): OPERATOR,
    ("get", "/api/admin/settings"): OPERATOR,
    ("get", "/api/admin/user-delays"): OPERATOR,
    ("post", "/api/admin/user-delays"): OPERATOR,
    ("post", "/api/admin/logins"): OPERATOR,
    ("get", "/api/admin/logins"): OPERATOR,
    ("get", "/api/admin/logins/{user_id}"): OPERATOR,
    ("patch", "/api/admin/logins/{user_id}"): OPERATOR,
    ("delete", "/api/admin/logins/{user_id}"): OPERATOR,
    ("post", CLIENTS): OPERATOR,
    ("get", CLIENTS): OPERATOR,
    **{(verb, f"{CLIENTS}/{{client_id}}"): OPERATOR for verb in ("get", "patch")},
    ("post", f"{CLIENTS}/{{client_id}}/credit"): OPERATOR,
    **{(verb, f"{CLIENTS}/{{client_id}}/keys"): OPERATOR for verb in ("get", "post")},
    ("post", f"{CLIENTS}/{{client_id}}/keys/{{key_id}}/rotate"): OPERATOR,
    ("delete", f"{CLIENTS}/{{client_id}}/keys/{{key_id}}"): OPERATOR,
    ("delete", f"{CLIENTS}/{{client_id}}"): OPERATOR,
    ("get", "/api/admin/senders/{phone_number}"): OPERATOR,
    ("patch", "/api/admin/senders/{phone_number}"): OPERATOR,
    **{route: OPERATOR for prefix in SERVER_PREFIXES for route in server_routes(prefix)},
    ("post", "/api/admin/sessions/{phone_number}/move"): OPERATOR,
    ("post", "/api/sessions"): THE_SENDER,
    ("get", "/api/sessions"): A_LIST,
    ("get", "/api/sessions/{phone_number}"): THE_SENDER,
    ("get", "/api/sessions/{sender_number}/status"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/qr"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/qr/stream"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/code"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/pair-link"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/passkey"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/passkey"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/passkey/confirm"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/me"): THE_SENDER,
    ("get", "/api/sessions/{phone_number}/history"): THE_SENDER,
    ("get", "/api/senders"): A_LIST,
    ("post", "/api/sessions/{phone_number}/restart"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/stop"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/start"): THE_SENDER,
    ("post", "/api/sessions/{phone_number}/logout"): THE_SENDER,
    ("delete", "/api/sessions/{phone_number}"): OPERATOR,
}

ANOTHER_SERVER = {"name": "waha9", "url": "http://127.0.0.1:9", "check": False}
SEND = {"sender_number": ALICE, "template": "Hello", "recipients": recipients(2)}
TEMPLATE = {"title": "Welcome", "content": "Hello {{name}}!"}
LIST = f"phone\n{CARA}\n".encode()
PERSON = {"name": "Ada", "phone_number": CARA}
WEBHOOK = {"url": "http://127.0.0.1:9/", "events": ["webhook.disabled"]}
BODIES: dict[tuple[str, str], Any] = {
    **{
        (verb, path): TEMPLATE
        for verb, path in ACCOUNT_ROUTES
        if path.startswith("/api/messages") and verb in ("post", "put")
    },
    ("post", "/api/recipients"): PERSON,
    ("put", "/api/recipients/{recipient_id}"): PERSON,
    ("post", GROUPS): {"name": "VIP"},
    ("put", f"{GROUPS}/{{group_id}}"): {"name": "VIP"},
    **{(verb, f"{GROUPS}/{{group_id}}/recipients"): {"recipient_ids": []} for verb in ("put", "post", "delete")},
    ("post", SUPPRESSIONS): {"phone_number": CARA},
    ("put", "/api/frequency-cap"): {"messages": 1000, "days": 1},
    ("put", "/api/quiet-hours"): {"timezone": "UTC"},
    ("post", "/api/webhooks"): WEBHOOK,
    ("put", HOOK): WEBHOOK,
    ("patch", HOOK): {"description": "The shop"},
    ("post", "/api/send"): SEND,
    ("post", "/api/send/preview"): SEND,
    ("post", "/api/conversations/{conversation_id}/reply"): {"text": "hello"},
    ("post", "/send-message/"): {
        "client_name": "infinity",
        "api_key": "wgk_wrong",
        "phone": CARA,
        "name": "Cara",
        "text": "hello",
    },
    ("post", f"{MESSAGING}/send-message/"): {"phone_number": CARA, "message": "hello"},
    ("post", f"{MESSAGING}/send-bulk/"): {"messages": [{"phone_number": CARA, "message": "hello"}]},
    ("post", f"{MESSAGING}/validate-phone/"): {"phone_number": CARA},
    ("post", f"{MESSAGING}/create-campaign-send/"): {"phone_numbers": [CARA], "message_template": "hello"},
    ("post", "/api/send-message/"): {"sender": ALICE, "receiver": CARA, "content": "hello"},
    ("post", "/api/webhook/"): {"sender": CARA, "receiver": ALICE, "content": "hello"},
    ("post", "/api/sessions"): {"phone_number": ALICE},
    ("post", "/api/sessions/{phone_number}/passkey"): {
        "id": "AbCd",
        "rawId": "AbCd",
        "type": "public-key",
        "response": {"clientDataJSON": "eyJ9", "authenticatorData": "SZYN", "signature": "MEUC"},
    },
    ("post", "/api/auth/login"): {"email": "user@example.com", "password": "a wrong password"},
    ("post", "/api/auth/refresh"): {"refresh_token": "wgr_wrong"},
    ("post", "/api/auth/logout"): {"refresh_token": "wgr_wrong"},
    ("post", "/api/admin/logins"): {"email": "new@example.com", "password": "secure_password"},
    ("patch", "/api/admin/logins/{user_id}"): {"disabled": True},
    ("post", CLIENTS): {"name": "Another"},
    ("post", "/api/admin/actions"): {  # of the first sender; it has no such state
        "table": "session",
        "row": "1",
        "action": "stop",
        "state": "EXPIRED",
        "reason": "it is tried out",
    },
    ("patch", f"{CLIENTS}/{{client_id}}"): {"daily_limit": 500},
    ("post", f"{CLIENTS}/{{client_id}}/credit"): {"amount": "1.00"},
    ("post", f"{CLIENTS}/{{client_id}}/keys"): {"scopes": ["read"]},
    ("post", "/api/admin/delays"): {"MESSAGE_DELAY": 3600, "SENDER_SWITCH_DELAY": 0},
    ("post", "/api/admin/user-delays"): {"sender_number": ALICE, "MESSAGE_DELAY": 3600},
    ("patch", "/api/admin/senders/{phone_number}"): {"daily_cap": 500},
    **{("post", prefix): ANOTHER_SERVER for prefix in SERVER_PREFIXES},
    **{("patch", f"{prefix}/{{name}}"): {"capacity": 100} for prefix in SERVER_PREFIXES},
    ("post", "/api/admin/sessions/{phone_number}/move"): {"server": "waha1"},
}
FILES = {("post", IMPORT), ("post", f"{SUPPRESSIONS}/import"), ("post", UPLOADS), ("post", CONTACTS)}
NAMING_ALICE = {"/api/campaigns", "/api/conversations", "/api/senders", "/api/sessions", "/api/admin/user-delays"}


def routes(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every operation of an OpenAPI document."""
    for path, operations in document["paths"].items():
        for method in operations:
            yield method, path


@pytest.fixture(params=["open", "token"])
async def mode_world(request: pytest.FixtureRequest, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> World:
    """A gateway in each mode, in which one account may have as many webhooks as this test makes."""
    monkeypatch.setattr("gateway.notifications.webhooks.service.MOST_ENDPOINTS", 1_000)
    monkeypatch.setattr("gateway.notifications.webhooks.service.TESTS_PER_MINUTE", 0)
    webhooks = {"allow_private_addresses": True}
    auth = {"admin_token": ADMIN_TOKEN, "user_access": request.param}
    waha = {"webhook_secret": "a secret that no caller has"}
    return await make_world(auth=auth, dispatch={"message_delay": 3600}, waha=waha, webhooks=webhooks)


async def pair_as_operator(world: World, *numbers: str) -> dict[str, str]:
    """Connect numbers in any mode; gives their tokens."""
    world.client.headers["X-Admin-Token"] = ADMIN_TOKEN
    tokens = await world.pair(*numbers)
    del world.client.headers["X-Admin-Token"]
    return tokens


async def own_things(world: World, route: tuple[str, str]) -> dict[str, str]:
    """What an account may own, made anew, as far as the path or the body of this route of its names it."""
    path = route[1]
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    wanted = {name for _, name, _, _ in Formatter().parse(path) if name}
    owned: dict[str, str] = {}
    if wanted & {"message_id", "schedule_id"} or route == ("post", SCHEDULES):
        owned["message_id"] = (await world.post("/api/messages", TEMPLATE, headers=operator))["id"]
    if wanted & {"recipient_id", "group_id", "schedule_id"} or route == ("post", SCHEDULES):
        person = {"name": "Bert", "phone_number": f"+44770090{await world.count(Recipient) + 1000}"}
        owned["recipient_id"] = (await world.post("/api/recipients", person, headers=operator))["id"]
        name = f"Group {await world.count(RecipientGroup)} of many"
        group = {"name": name, "recipient_ids": [owned["recipient_id"]]}
        owned["group_id"] = (await world.post(GROUPS, group, headers=operator))["id"]
    if "schedule_id" in wanted:
        # at a time of its own, so that the schedule that a caller makes of the same parts is none too many
        parts = {name: owned[name] for name in ("message_id", "group_id")} | {"scheduled_time": in_days(30)}
        owned["schedule_id"] = (await world.post(SCHEDULES, parts, headers=operator))["id"]
    for name, door in (("import_id", IMPORT), ("file_id", UPLOADS)):
        if name in wanted:
            answer = await world.call("POST", door, files={"file": LIST}, headers=operator, status=201)
            owned[name] = answer.json()["id"]
    if wanted & {"webhook_id", "delivery_id"}:
        owned["webhook_id"] = (await world.post("/api/webhooks", WEBHOOK, headers=operator))["id"]
        test = await world.post(f"/api/webhooks/{owned['webhook_id']}/test", headers=operator)
        owned["delivery_id"] = test["id"]
    if path.startswith(SUPPRESSIONS):
        owned["phone_number"] = f"+4477009{await world.count(Suppression) + 10000:05d}"
        await world.post(SUPPRESSIONS, {"phone_number": owned["phone_number"]}, headers=operator)
    return owned


def in_days(days: int) -> str:
    """A time to come."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def body_of(route: tuple[str, str], owned: dict[str, str]) -> Any:
    """What is sent to a route; a schedule is made of what the account owns."""
    if route == ("post", SCHEDULES):
        return {name: owned[name] for name in ("message_id", "group_id")} | {"scheduled_time": in_days(60)}
    return BODIES.get(route)


async def user_of(world: World, account: str) -> dict[str, str]:
    """The header of a user of an account who has logged in."""
    email, password = f"user@{account}.example", "secure_password"
    await world.gateway.identity.users.create(email, password, account)
    tokens = await world.post("/api/auth/login", {"email": email, "password": password})
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def conversation_of(world: World, own: dict[str, str]) -> str:
    """Somebody has written to the sender with these credentials."""
    said = {"sender": CARA, "receiver": ALICE, "content": "hello"}
    await world.call("POST", "/api/webhook/", said, headers=own, status=200)
    (found,) = (await world.call("GET", "/api/conversations", headers=own, status=200)).json()["items"]
    return str(found["id"])


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
        "entry_id": details.json()["messages"]["items"][0]["id"],
        "conversation_id": await conversation_of(world, own),
        "phone_number": ALICE,
        "sender_number": ALICE,
        "name": "waha1",
        "user_id": (await world.gateway.identity.users.create("old@example.com", "secure_password", "local")).id,
    }
    client = (await world.admin("POST", CLIENTS, {"name": "infinity"}, status=201)).json()
    keys = (await world.admin("GET", f"{CLIENTS}/{client['id']}/keys", status=200)).json()
    names |= {"client_id": client["id"], "key_id": keys["items"][0]["id"]}
    message = details.json()["messages"]["items"][0]
    told = {f"{MESSAGING}/message/{{message_id}}/status/": make_message_id(message["recipient"][1:], message["id"])}
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    wrong = {"X-Admin-Token": "wrong" * 8}
    users = [await user_of(world, "local"), await user_of(world, "acme")]
    callers = [{}, {"X-Sender-Token": tokens[BERT]}, own, operator, wrong, *users]
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    for (method, path), _ in TABLE.items():
        params = {"sender_number": ALICE} if path in NAMING_ALICE and (method, path) not in BODIES else None
        params = {"reason": "asked for it"} if path.startswith(SUPPRESSIONS) and method == "delete" else params
        got: dict[int, Any] = {}
        for column in (0, 1, 4, 6, 5, 3, 2):  # the sender last: a logout ends its token
            owned = await own_things(world, (method, path)) if (method, path) in ACCOUNT_ROUTES else {}
            file: dict[str, Any] = {"files": {"file": LIST}} if (method, path) in FILES else {}
            answer = await world.call(
                method,
                path.format(**names | owned | ({"message_id": told[path]} if path in told else {})),
                body_of((method, path), owned),
                params=params,
                headers=callers[column],
                **file,
            )
            got[column] = answer.status_code if answer.status_code in (401, 403, 404) else "yes"
            assert answer.status_code < 500, answer.text
        found[method, path] = tuple(got[column] for column in range(7))
    public = (ANYBODY, ANYBODY_BUT_LIARS)
    expected = {route: row if is_open or row in public else (401, *row[1:]) for route, row in TABLE.items()}
    for path in (UPLOADS, CONTACTS):
        expected["post", path] = (("yes" if is_open else 401), *ANYBODY_BUT_LIARS[1:])
    expected["post", "/api/sessions"] = THE_SENDER  # to open a pairing is anybody's: only the phone's owner can scan
    expected["post", "/api/sessions/{phone_number}/logout"] = (
        *expected["post", "/api/sessions/{phone_number}/logout"][:2],
        401,
        *expected["post", "/api/sessions/{phone_number}/logout"][3:],
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
    for verb in ("pause", "resume", "cancel", "retry"):
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
