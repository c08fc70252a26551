"""Opening a pairing: one at a time, one token, and its proof is the scan of a code that nobody else was shown."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from gateway.auth.tokens import sender_token
from gateway.simulator.faults import parse_faults
from gateway.simulator.stored import Status
from sessions.models import SessionState
from tests.sessions.pairing.conftest import MakePairingWorld
from tests.sessions.pairing.world import ALICE, CREATE, OPERATOR, PATH, PairingWorld, Replica

pytestmark = pytest.mark.virtual_time

STRANGERS = 20


async def tokens_of(world: PairingWorld) -> list[bool]:
    """Whether each token of Alice's number is valid."""
    async with world.replicas[-1].gateway.db.read() as connection:
        query = select(sender_token.c.valid).where(sender_token.c.number == ALICE)
        return list((await connection.execute(query)).scalars())


def own(created: dict[str, Any]) -> dict[str, str]:
    """The header with the token that was given."""
    return {"X-Sender-Token": created["sender_token"]}


async def ask_as_a_stranger(replica: Replica, *, token_mode: bool) -> tuple[int, str | None]:
    """Create, then ask for the code with what one got; the status of the creation, and the token."""
    answer = await replica.client.post("/api/sessions", json=CREATE)
    token = answer.json().get("sender_token")
    shown = await replica.client.get(f"{PATH}/qr", headers={"X-Sender-Token": token} if token else {})
    assert shown.status_code == (401 if token_mode and token is None else 200), shown.text
    return answer.status_code, token


async def check_strangers(world: PairingWorld, *, token_mode: bool) -> None:
    """Twenty strangers at once, on all replicas: one pairing, one token, which the scan makes valid."""
    replicas = [world.replicas[index % len(world.replicas)] for index in range(STRANGERS)]
    answers = await asyncio.gather(*(ask_as_a_stranger(one, token_mode=token_mode) for one in replicas))
    assert sorted(status for status, _ in answers) == [201] + [409] * (STRANGERS - 1)
    (token,) = [token for _, token in answers if token is not None]
    assert await tokens_of(world) == [False]
    mine = {"X-Sender-Token": token}
    await world.shows_code(mine)
    assert world.verbs() == ["create"]
    for replica in world.replicas:
        await replica.call("GET", "/api/campaigns", headers=mine, status=401)
    world.scan()
    await world.state(SessionState.CONNECTED)
    assert await tokens_of(world) == [True]
    for replica in world.replicas:
        await replica.call("GET", "/api/campaigns", headers=mine, status=200)


@pytest.mark.parametrize("token_mode", [False, True], ids=["open", "token"])
async def test_twenty_strangers_at_once_are_one_pairing_and_one_token(
    make_pairing_world: MakePairingWorld, token_mode: bool
) -> None:
    world = await make_pairing_world(token_mode=token_mode)
    await check_strangers(world, token_mode=token_mode)


@pytest.mark.postgres
@pytest.mark.parametrize("token_mode", [False, True], ids=["open", "token"])
async def test_twenty_strangers_on_two_replicas_are_one_pairing_and_one_token(
    make_pairing_world: MakePairingWorld, postgres_url: str, token_mode: bool
) -> None:
    world = await make_pairing_world(replicas=2, token_mode=token_mode)
    await check_strangers(world, token_mode=token_mode)


@pytest.mark.postgres
async def test_twenty_strangers_after_a_pairing_ran_out_are_one_new_pairing(
    make_pairing_world: MakePairingWorld, postgres_url: str
) -> None:
    world = await make_pairing_world(replicas=2, token_mode=True)
    await world.api.create()
    await world.run_out()
    replicas = [world.replicas[index % 2] for index in range(STRANGERS)]
    answers = await asyncio.gather(*(one.client.post("/api/sessions", json=CREATE) for one in replicas))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (STRANGERS - 1)
    assert await tokens_of(world) == [False]


async def test_strangers_are_counted_by_their_address(make_pairing_world: MakePairingWorld) -> None:
    world = await make_pairing_world(token_mode=True)
    answers = [await world.api.client.post("/api/sessions", json=CREATE) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [201] + [409] * 29 + [429]
    refused = answers[-1]
    assert refused.json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert int(refused.headers["Retry-After"]) >= 1


async def test_a_connected_number_is_refused_to_everybody_and_nothing_is_done_to_it(token_world: PairingWorld) -> None:
    owner = await token_world.pair()
    calls = token_world.verbs()
    for headers in (None, owner, OPERATOR):
        assert (await token_world.api.create(status=409, headers=headers))["error_code"] == "CONFLICT"
    assert token_world.verbs() == calls
    assert await tokens_of(token_world) == [True]


async def test_a_new_pairing_ends_the_old_token_only_when_it_succeeds(token_world: PairingWorld) -> None:
    world = token_world
    old = await world.pair()
    world.waha.remove_device(world.waha.lifecycle.stored[ALICE])  # the phone ends the login: back at a code
    await world.state(SessionState.EXPIRED, within=600.0)
    new = own(await world.api.create())
    await world.shows_code(new)
    await world.api.call("GET", "/api/campaigns", headers=old, status=200)
    await world.api.call("GET", "/api/campaigns", headers=new, status=401)
    world.scan()
    await world.state(SessionState.CONNECTED)
    await world.api.call("GET", "/api/campaigns", headers=old, status=401)
    await world.api.call("GET", "/api/campaigns", headers=new, status=200)


async def test_a_code_of_an_earlier_pairing_proves_nothing_for_the_next_one(
    make_pairing_world: MakePairingWorld,
) -> None:
    world = await make_pairing_world(token_mode=True, start_seconds=15.0)
    first = own(await world.api.create())
    await world.waha_is(Status.SCAN_QR_CODE)
    await world.clock.sleep(147.0)  # by our count it has run out, and WAHA shows its last code for some seconds more
    assert world.session.status is Status.SCAN_QR_CODE
    shown_before = world.session.qr
    second = own(await world.api.create())
    assert world.verbs()[1:] == ["stop", "start"]
    await world.api.call("GET", PATH, headers=first, status=401)
    await world.waha_is(Status.SCAN_QR_CODE)
    assert world.session.qr != shown_before
    world.scan()
    await world.state(SessionState.CONNECTED)
    await world.api.call("GET", "/api/campaigns", headers=second, status=200)


async def logged_out_by_the_phone(world: PairingWorld) -> dict[str, str]:
    """Alice was paired, and her phone has ended that; her token."""
    owner = await world.pair()
    world.waha.remove_device(world.waha.lifecycle.stored[ALICE])
    await world.state(SessionState.EXPIRED, within=600.0)
    return owner


async def test_a_number_whose_login_is_gone_may_be_paired_by_who_has_lost_its_token(
    make_pairing_world: MakePairingWorld,
) -> None:
    world = await make_pairing_world(token_mode=True, engine="NOWEB")
    lost = await world.pair()
    world.waha.remove_device(world.waha.lifecycle.stored[ALICE])
    await world.state(SessionState.FAILED)

    async def only_the_phone_helps() -> bool:
        return bool((await world.row()).requires_auth)

    await world.until(only_the_phone_helps, within=3600.0, every=5.0)
    world.waha.lifecycle.journal.clear()
    again = own(await world.api.create())
    await world.shows_code(again)
    assert world.verbs() == ["logout"]
    world.scan()
    await world.state(SessionState.CONNECTED)
    await world.api.call("GET", "/api/campaigns", headers=again, status=200)
    await world.api.call("GET", "/api/campaigns", headers=lost, status=401)


async def test_the_owners_scan_proves_nothing_for_a_stranger_who_was_faster(token_world: PairingWorld) -> None:
    world = token_world
    owner = await logged_out_by_the_phone(world)
    stranger = own(await world.api.create())
    await world.shows_code(stranger)
    await world.shows_code(owner)  # the owner asks: from now on a scan is theirs alone
    await world.api.qr(headers=stranger, status=401)
    world.scan()
    await world.state(SessionState.CONNECTED)
    await world.api.call("GET", "/api/campaigns", headers=owner, status=200)
    await world.api.call("GET", "/api/campaigns", headers=stranger, status=401)


async def test_the_operator_is_told_when_a_scan_would_be_a_strangers(token_world: PairingWorld) -> None:
    world = token_world
    stranger = own(await world.api.create())
    await world.shows_code(stranger)
    refused = await world.api.qr(headers=OPERATOR, status=409)
    assert f"POST {PATH}/logout" in refused["detail"]
    assert "qr_code" in await world.api.qr(headers=stranger)
    await world.api.call("POST", f"{PATH}/logout", headers=OPERATOR, status=200)
    await world.api.qr(headers=stranger, status=401)
    assert "qr_code" in await world.shows_code(OPERATOR)


async def test_a_pairing_that_could_not_be_started_is_not_left_open(world: PairingWorld) -> None:
    await world.api.create()
    await world.run_out()
    world.waha.sender.faults = parse_faults({"down": True})
    assert (await world.api.create(status=503))["error_code"] == "SERVICE_UNAVAILABLE"
    world.waha.sender.faults = parse_faults({})
    await world.clock.sleep(40.0)  # WAHA may have taken the call: until then nobody calls again
    await world.api.create()
