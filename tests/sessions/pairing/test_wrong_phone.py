"""Another phone scans: it is logged out and told, whatever is lost on the way, and its scan proves nothing."""

from contextlib import AsyncExitStack

import httpx
import pytest

from gateway.simulator.stored import Status
from sessions import queries
from sessions.models import SessionState
from tests.sessions.pairing.conftest import MakePairingWorld
from tests.sessions.pairing.world import BERT, PATH, PairingWorld

pytestmark = pytest.mark.virtual_time


async def shows_the_code_to(world: PairingWorld) -> dict[str, str]:
    """A stranger has opened a pairing of Alice's number and sees its code; their token."""
    created = await world.api.create()
    token = {"X-Sender-Token": created["sender_token"]}
    await world.shows_code(token)
    return token


async def check_refused(world: PairingWorld, token: dict[str, str]) -> None:
    """The other phone is out, the reason is told, the token is not valid; then the right one scans."""
    session = await world.api.call("GET", PATH, headers=token, status=200)
    assert "another number scanned" in session["reason"]
    assert (session["requires_auth"], session["paired_at"]) == (True, None)
    await world.api.call("GET", "/api/campaigns", headers=token, status=401)
    shown = await world.shows_code(token)
    assert "another number scanned" in shown["reason"]
    assert world.verbs().count("logout") == 1
    world.scan()
    await world.state(SessionState.CONNECTED)
    await world.api.call("GET", "/api/campaigns", headers=token, status=200)


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_another_phone_is_logged_out_and_told_on_every_engine(
    make_pairing_world: MakePairingWorld, engine: str
) -> None:
    world = await make_pairing_world(token_mode=True, engine=engine)
    token = await shows_the_code_to(world)
    world.scan(BERT)
    await world.waha_is(Status.WORKING)
    await world.waha_is(Status.SCAN_QR_CODE)
    await check_refused(world, token)


async def test_another_phone_is_found_when_all_news_are_lost(token_world: PairingWorld) -> None:
    token = await shows_the_code_to(token_world)
    token_world.lose_events()
    token_world.scan(BERT)
    await token_world.waha_is(Status.WORKING)
    await token_world.waha_is(Status.SCAN_QR_CODE)
    await check_refused(token_world, token)


async def test_another_phone_is_logged_out_after_a_crash_between_noticing_and_doing_it(
    token_world: PairingWorld,
) -> None:
    world = token_world
    token = await shows_the_code_to(world)
    async with world.api.gateway.db.write() as tx:  # somebody else holds the session, so that it cannot be done yet
        until = world.clock.now() + 30.0
        await queries.change(tx, (await world.row()).sender_id, busy_by="another", busy_until=until)
    world.scan(BERT)
    await world.state(SessionState.STARTING)
    assert "logout" not in world.verbs()
    await world.kill()
    async with AsyncExitStack() as stack:
        world.replicas.clear()
        await world.add_replica(stack)
        await world.api.call("GET", "/api/campaigns", headers=token, status=401)
        assert (await world.row()).state != SessionState.CONNECTED
        await world.waha_is(Status.SCAN_QR_CODE)
        await check_refused(world, token)


async def test_a_refused_logout_is_tried_again_and_nothing_counts_as_connected_meanwhile(
    token_world: PairingWorld,
) -> None:
    world = token_world
    token = await shows_the_code_to(world)
    world.eye.refusals["/logout"] = httpx.Response(500, json={"exception": {"message": "bad"}})
    world.scan(BERT)
    await world.state(SessionState.STARTING)
    for _ in range(60):
        await world.clock.sleep(1.0)
        assert (await world.row()).state != SessionState.CONNECTED
        await world.api.call("GET", "/api/campaigns", headers=token, status=401)
    world.eye.refusals.clear()
    await world.waha_is(Status.SCAN_QR_CODE)
    await check_refused(world, token)
