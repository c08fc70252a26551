"""A user sees their account's numbers, sessions and campaigns, all of them, and nothing of another account's."""

from datetime import UTC, datetime
from typing import Any

import pytest

from campaigns.sending.models import Campaign
from sessions.models import Sender, Session, SessionState
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, CARA, World, recipients, until

pytestmark = pytest.mark.timeout(60)

Headers = dict[str, str]
PASSWORD = "secure_password"
DAN = "+447700900004"


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway in token mode on each kind of database."""
    return await make_world(database_url=database_url, auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})


async def log_in(world: World, account: str, name: str = "user") -> Headers:
    """A new user of an account, logged in."""
    body = {"email": f"{name}@{account}.example", "password": PASSWORD}
    await world.admin("POST", "/api/admin/logins", body | {"account": account}, status=201)
    tokens = await world.post("/api/auth/login", body)
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def scan_when_shown(world: World, headers: Headers, number: str) -> None:
    """The phone of a number scans as soon as there is a code."""

    async def waits_for_a_scan() -> bool:
        session = await world.call("GET", f"/api/sessions/{number}", headers=headers, status=200)
        return bool(session.json()["status"] == "WAITING_FOR_SCAN")

    await until(waits_for_a_scan)
    await world.waha.scan(number)
    await world.state(number, SessionState.CONNECTED)


async def pair(world: World, headers: Headers, *numbers: str) -> dict[str, str]:
    """Connect numbers as this caller; gives their tokens."""
    tokens = {}
    for number in numbers:
        created = await world.call("POST", "/api/sessions", {"phone_number": number}, headers=headers, status=201)
        tokens[number] = created.json()["sender_token"]
        await scan_when_shown(world, headers, number)
    return tokens


async def send(world: World, headers: Headers, number: str, *, status: int = 201, **fields: Any) -> dict[str, Any]:
    """Submit a campaign of a number."""
    body = {"sender_number": number, "template": "Hello", "recipients": recipients(2), **fields}
    answer: dict[str, Any] = (await world.call("POST", "/api/send", body, headers=headers, status=status)).json()
    return answer


async def seen(world: World, headers: Headers, path: str, key: str, **params: Any) -> list[str]:
    """What a list shows."""
    page = (await world.call("GET", path, headers=headers, params=params, status=200)).json()
    assert page["total"] == len(page["items"])
    return sorted(str(item[key]) for item in page["items"])


async def test_lists_without_a_number_show_all_of_the_account_and_nothing_else(world: World) -> None:
    acme, colleague, globex = (
        await log_in(world, "acme"),
        await log_in(world, "acme", "two"),
        await log_in(world, "globex"),
    )
    await pair(world, acme, ALICE, BERT)
    await pair(world, globex, CARA)
    mine = [(await send(world, acme, number))["campaign_id"] for number in (ALICE, BERT)]
    theirs = (await send(world, globex, CARA))["campaign_id"]
    for headers in (acme, colleague):
        assert await seen(world, headers, "/api/sessions", "phone_number") == [ALICE, BERT]
        assert await seen(world, headers, "/api/campaigns", "campaign_id") == sorted(mine)
        assert await seen(world, headers, "/api/campaigns", "campaign_id", sender_number=BERT) == mine[1:]
        assert await seen(world, headers, "/api/campaigns", "campaign_id", sender_number=CARA) == []
        assert await seen(world, headers, "/api/sessions", "phone_number", sender_number=CARA) == []
    assert await seen(world, globex, "/api/sessions", "phone_number") == [CARA]
    assert await seen(world, globex, "/api/campaigns", "campaign_id") == [theirs]
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    assert await seen(world, operator, "/api/campaigns", "campaign_id") == sorted([*mine, theirs])


async def test_anothers_campaign_is_as_unknown_as_none(world: World) -> None:
    acme, globex = await log_in(world, "acme"), await log_in(world, "globex")
    await pair(world, acme, ALICE)
    later = datetime.fromtimestamp(world.gateway.clock.now() + 3600, UTC).isoformat()
    campaign = (await send(world, acme, ALICE, start_at=later))["campaign_id"]
    nobodys = "01890000-0000-7000-8000-000000000000"
    for method, path in (
        ("GET", "/api/status/{}"),
        ("GET", "/api/status/{}?sender_number=447700900001"),
        ("GET", "/api/campaigns/{}/failed"),
        ("POST", "/api/campaigns/{}/pause"),
        ("POST", "/api/campaigns/{}/cancel"),
        ("POST", "/api/campaigns/{}/retry"),
    ):
        refused = await world.call(method, path.format(campaign), headers=globex, status=404)
        unknown = await world.call(method, path.format(nobodys), headers=globex, status=404)
        assert refused.json() == unknown.json()
    status = (await world.call("GET", f"/api/status/{campaign}", headers=acme, status=200)).json()
    assert status["status"] == "scheduled"
    await world.call("POST", f"/api/campaigns/{campaign}/cancel", headers=acme, status=200)


async def test_anothers_session_is_as_unknown_as_none_and_stays_as_it_is(world: World) -> None:
    acme, globex = await log_in(world, "acme"), await log_in(world, "globex")
    await pair(world, acme, ALICE)
    for method, path in (
        ("GET", ""),
        ("GET", "/status"),
        ("GET", "/qr"),
        ("GET", "/qr/stream"),
        ("GET", "/me"),
        ("GET", "/history"),
        ("POST", "/start"),
        ("POST", "/stop"),
        ("POST", "/logout"),
        ("POST", "/code"),
        ("GET", "/passkey"),
        ("POST", "/passkey/confirm"),
    ):
        refused = await world.call(method, f"/api/sessions/{ALICE}{path}", headers=globex, status=404)
        unknown = await world.call(method, f"/api/sessions/{DAN}{path}", headers=globex, status=404)
        assert refused.json() == unknown.json()
    await world.call("POST", "/api/sessions", {"phone_number": ALICE}, headers=globex, status=404)
    session = (await world.call("GET", f"/api/sessions/{ALICE}", headers=acme, status=200)).json()
    assert session["status"] == "CONNECTED"


async def test_nobody_sends_through_anothers_number_alone_or_among_their_own(world: World) -> None:
    acme, globex = await log_in(world, "acme"), await log_in(world, "globex")
    await pair(world, acme, ALICE)
    await pair(world, globex, BERT)
    for queue in (False, True):
        await send(world, globex, ALICE, status=404, queue_if_offline=queue)
        await send(world, globex, BERT, status=404, sender_numbers=[ALICE], queue_if_offline=queue)
        await send(world, globex, DAN, status=404, queue_if_offline=queue)
    body = {"sender_number": ALICE, "template": "Hello", "recipients": recipients(2)}
    await world.call("POST", "/api/send/preview", body, headers=globex, status=404)
    assert await world.count(Campaign) == 0
    assert await world.count(Sender) == 2


async def test_nobody_queues_messages_for_a_number_that_they_have_not_proven(world: World) -> None:
    acme, globex = await log_in(world, "acme"), await log_in(world, "globex")
    await world.call("POST", "/api/sessions", {"phone_number": ALICE}, headers=acme, status=201)
    await send(world, acme, ALICE, status=404, queue_if_offline=True)
    await world.call("POST", "/api/sessions", {"phone_number": ALICE}, headers=globex, status=409)
    await end_pairing(world, acme, ALICE)
    await pair(world, globex, ALICE)
    await send(world, acme, ALICE, status=404, queue_if_offline=True)
    await world.call("GET", f"/api/sessions/{ALICE}", headers=acme, status=404)
    await send(world, globex, ALICE)
    assert await seen(world, globex, "/api/sessions", "phone_number") == [ALICE]


async def test_a_proven_number_stays_with_its_account_when_it_is_logged_out(world: World) -> None:
    acme, globex = await log_in(world, "acme"), await log_in(world, "globex")
    await pair(world, acme, ALICE)
    await world.call("POST", f"/api/sessions/{ALICE}/logout", headers=acme, status=200)
    await world.call("POST", "/api/sessions", {"phone_number": ALICE}, headers=globex, status=404)
    await send(world, acme, ALICE, queue_if_offline=True)
    await pair(world, acme, ALICE)
    assert await seen(world, acme, "/api/sessions", "phone_number") == [ALICE]


async def test_the_operator_helps_with_a_pairing_and_takes_nothing_over(world: World) -> None:
    acme = await log_in(world, "acme")
    await world.call("POST", "/api/sessions", {"phone_number": ALICE}, headers=acme, status=201)
    await end_pairing(world, acme, ALICE)
    await pair(world, {"X-Admin-Token": ADMIN_TOKEN}, ALICE)
    assert await seen(world, acme, "/api/sessions", "phone_number") == [ALICE]


async def test_the_token_of_a_users_pairing_opens_that_number_of_their_account(world: World) -> None:
    acme = await log_in(world, "acme")
    tokens = await pair(world, acme, ALICE, BERT)
    campaign = await send(world, {"X-Sender-Token": tokens[ALICE]}, ALICE)
    assert await seen(world, acme, "/api/campaigns", "campaign_id") == [campaign["campaign_id"]]
    both = acme | {"X-Sender-Token": tokens[ALICE]}  # the narrower one counts
    assert await seen(world, both, "/api/sessions", "phone_number") == [ALICE]
    await world.call("GET", f"/api/sessions/{BERT}", headers=both, status=404)
    everything = both | {"X-Admin-Token": ADMIN_TOKEN}
    assert await seen(world, everything, "/api/sessions", "phone_number") == [ALICE, BERT]


async def test_users_of_the_local_account_see_what_was_paired_without_a_login(world: World) -> None:
    local = await log_in(world, "local")
    created = (await world.call("POST", "/api/sessions", {"phone_number": CARA}, status=201)).json()
    await scan_when_shown(world, {"X-Sender-Token": created["sender_token"]}, CARA)
    assert await seen(world, local, "/api/sessions", "phone_number") == [CARA]
    assert await world.count(Session) == 1


async def end_pairing(world: World, headers: Headers, number: str) -> None:
    """Give an open pairing up."""
    await world.call("POST", f"/api/sessions/{number}/stop", headers=headers, status=200)
