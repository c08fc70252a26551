"""Asking for the code: one look and one start for all who ask, and WAHA is asked no more than needed."""

import asyncio

import pytest

from gateway.simulator.stored import Status
from sessions import queries
from sessions.models import SessionState
from sessions.pairing.qr_codes import draw_png
from tests.sessions.pairing.conftest import MakePairingWorld
from tests.sessions.pairing.world import ALICE, OPERATOR, PATH, PairingWorld

pytestmark = pytest.mark.virtual_time

GET_QR = f"GET /api/{ALICE}/auth/qr"
LOOK = f"GET /api/sessions/{ALICE}"


async def test_twenty_callers_share_one_start_one_code_and_one_picture(world: PairingWorld) -> None:
    await world.api.create()
    await world.waha_is(Status.SCAN_QR_CODE)
    await world.api.call("POST", f"{PATH}/stop", status=200)
    world.waha.lifecycle.journal.clear()
    world.eye.calls.clear()
    answers = await asyncio.gather(*(world.api.qr() for _ in range(20)))
    assert {answer["status"] for answer in answers} == {"WAITING_FOR_SCAN"}
    assert {answer["qr_code"] for answer in answers} == {draw_png(world.session.qr or "")}
    assert world.verbs() == ["start"]
    assert world.eye.count(GET_QR) == 1


async def test_a_code_is_not_asked_for_again_while_it_is_shown(world: PairingWorld) -> None:
    await world.api.create()
    first = await world.shows_code()
    await world.api.qr()  # the news of the first code may have come after it was read
    world.eye.calls.clear()
    for _ in range(20):
        await world.clock.sleep(1.0)
        assert await world.api.qr() == first
    assert world.eye.count(GET_QR) == world.eye.count(LOOK) == 0


async def test_every_new_code_that_waha_tells_is_read_once(world: PairingWorld) -> None:
    await world.api.create()
    codes = [await world.shows_code()]
    await world.api.qr()
    world.eye.calls.clear()
    for _ in range(130):
        await world.clock.sleep(1.0)
        answer = await world.api.qr()
        if answer["qr_code"] != codes[-1]["qr_code"]:
            codes.append(answer)
            assert answer["qr_code"] == draw_png(world.session.qr or "")
    assert len(codes) == 5
    assert world.eye.count(GET_QR) == 4


async def test_without_news_a_code_is_read_again_when_its_time_is_over(world: PairingWorld) -> None:
    await world.api.create()
    first = await world.shows_code()
    world.lose_events()
    world.eye.calls.clear()
    await world.clock.sleep(62.0)
    second = await world.api.qr()
    assert second["qr_code"] == draw_png(world.session.qr or "")
    assert second["qr_code"] != first["qr_code"]
    assert world.eye.count(GET_QR) == 1


async def test_a_connected_session_is_never_asked_for_a_code(world: PairingWorld) -> None:
    await world.pair()
    world.eye.calls.clear()
    before = world.clock.monotonic()
    assert await world.api.qr() == {"status": "CONNECTED"}
    assert world.clock.monotonic() - before < 0.1
    assert world.eye.count(GET_QR) == world.eye.count(LOOK) == 0


async def test_a_scan_between_the_look_and_the_code_keeps_nobody_waiting(world: PairingWorld) -> None:
    await world.api.create()
    await world.waha_is(Status.SCAN_QR_CODE)
    world.lose_events()
    asking = asyncio.create_task(world.api.qr())
    await world.clock.sleep(0)
    world.scan()
    before = world.clock.monotonic()
    assert (await asking)["status"] in ("CONNECTED", "WAITING_FOR_SCAN")
    assert world.clock.monotonic() - before <= 5.0
    assert await world.api.qr() == {"status": "CONNECTED"}


async def test_a_slow_restart_goes_on_when_the_callers_seconds_are_over(make_pairing_world: MakePairingWorld) -> None:
    world = await make_pairing_world(engine="WEBJS", start_seconds=4.0)
    await world.api.create()
    await world.waha_is(Status.SCAN_QR_CODE)
    await world.run_out()
    world.waha.lifecycle.journal.clear()
    before = world.clock.monotonic()
    answer = await world.api.qr()
    assert world.clock.monotonic() - before <= 5.0
    assert answer == {"status": "STARTING"}
    assert "qr_code" in await world.shows_code()
    (call,) = world.waha.lifecycle.journal.calls
    assert (call.verb, call.error) == ("restart", None)


async def test_a_caller_who_goes_away_does_not_cut_the_restart_off(make_pairing_world: MakePairingWorld) -> None:
    world = await make_pairing_world(engine="WEBJS")
    await world.api.create()
    await world.waha_is(Status.SCAN_QR_CODE)
    await world.run_out()
    world.waha.lifecycle.journal.clear()
    asking = asyncio.create_task(world.api.qr())
    await world.until(lambda: _is(bool(world.verbs())))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await world.waha_is(Status.SCAN_QR_CODE)
    (call,) = world.waha.lifecycle.journal.calls
    assert (call.verb, call.error) == ("restart", None)


async def _is(fact: bool) -> bool:
    return fact


async def test_a_pairing_that_ran_out_is_begun_anew_when_it_is_asked_for_and_not_before(world: PairingWorld) -> None:
    await world.api.create()
    await world.shows_code()
    await world.state(SessionState.FAILED, within=200.0)
    world.waha.lifecycle.journal.clear()
    await world.clock.sleep(60.0)
    assert world.verbs() == []
    assert (await world.row()).reason == "the QR codes ran out; ask for a new one"
    assert "qr_code" in await world.api.qr()
    assert world.verbs() == ["restart"]


async def test_a_login_that_is_gone_for_good_is_logged_out_to_get_a_code(make_pairing_world: MakePairingWorld) -> None:
    world = await make_pairing_world(engine="NOWEB")
    await world.pair()
    world.waha.remove_device(world.waha.lifecycle.stored[ALICE])
    await world.state(SessionState.FAILED)
    await world.until(lambda: _requires_auth(world), within=3600.0, every=5.0)
    world.waha.lifecycle.journal.clear()
    assert "qr_code" in await world.shows_code()
    assert world.verbs() == ["logout"]
    world.scan()
    await world.state(SessionState.CONNECTED)


async def _requires_auth(world: PairingWorld) -> bool:
    return bool((await world.row()).requires_auth)


async def test_a_paired_session_that_fails_is_restarted_once_however_often_its_code_is_asked_for(
    make_pairing_world: MakePairingWorld,
) -> None:
    world = await make_pairing_world(engine="NOWEB")
    await world.pair()
    world.waha.lifecycle.stored[ALICE].login_spoiled = True
    await world.session.force(Status.FAILED)
    await world.state(SessionState.FAILED)
    world.waha.lifecycle.journal.clear()
    for _ in range(10):
        assert (await world.api.qr())["status"] in ("FAILED", "STARTING")
        await world.clock.sleep(0.5)
    assert world.verbs().count("restart") <= 1
    assert "logout" not in world.verbs()


async def expire(world: PairingWorld) -> None:
    """The session's calendar has run out, while WAHA says that it works."""
    row = await world.row()
    async with world.api.gateway.db.write() as tx:
        assert await queries.transition(tx, row, SessionState.EXPIRED, requires_auth=True)
    world.waha.lifecycle.journal.clear()


async def test_an_expired_session_that_says_it_works_is_logged_out_for_its_owner(token_world: PairingWorld) -> None:
    owner = await token_world.pair()
    await expire(token_world)
    assert "qr_code" in await token_world.shows_code(owner)
    assert token_world.verbs() == ["logout"]
    token_world.scan()
    await token_world.state(SessionState.CONNECTED)
    await token_world.api.call("GET", "/api/campaigns", headers=owner, status=200)


@pytest.mark.parametrize("who", [OPERATOR, None])
async def test_an_expired_session_is_logged_out_for_the_operator_and_in_open_mode(
    make_pairing_world: MakePairingWorld, who: dict[str, str] | None
) -> None:
    world = await make_pairing_world(token_mode=who is not None)
    await world.pair()
    await expire(world)
    assert "qr_code" in await world.shows_code(who)
    assert world.verbs() == ["logout"]


async def test_an_expired_session_that_says_it_works_is_not_logged_out_for_a_stranger(
    token_world: PairingWorld,
) -> None:
    await token_world.pair()
    await expire(token_world)
    refused = await token_world.api.create(status=409)
    assert "paired already" in refused["detail"]
    await token_world.api.qr(status=401)
    assert token_world.verbs() == []
    assert token_world.session.status is Status.WORKING


async def test_while_another_call_is_under_way_the_code_is_answered_as_starting(world: PairingWorld) -> None:
    await world.api.create()
    await world.waha_is(Status.SCAN_QR_CODE)
    await world.run_out()
    async with world.api.gateway.db.write() as tx:
        until = world.clock.now() + 20.0
        await queries.change(tx, (await world.row()).sender_id, busy_by="another", busy_until=until)
    before = world.clock.monotonic()
    assert await world.api.qr() == {"status": "STARTING"}
    assert world.clock.monotonic() - before <= 5.0
    assert "qr_code" in await world.shows_code()


async def test_a_session_that_waha_has_forgotten_is_made_again_for_its_code(world: PairingWorld) -> None:
    await world.api.create()
    await world.waha_is(Status.SCAN_QR_CODE)
    await world.waha.lifecycle.delete(ALICE)
    assert "qr_code" in await world.shows_code()
    assert world.verbs()[-1] == "create"


async def test_numbers_may_be_written_in_any_way(world: PairingWorld) -> None:
    await world.api.create()
    answer = await world.api.call("GET", "/api/sessions/+44 (0)7700 900001/qr", status=200)
    assert answer["status"] in ("STARTING", "WAITING_FOR_SCAN")
