"""Moving a session: stopped on the old server first, never on both, and finished whatever crashes in between."""

import asyncio

import pytest
from sqlalchemy import update

from gateway.db import AnyRow
from gateway.simulator.journal import LifecycleCall
from sessions.lifecycle import Lifecycle
from sessions.models import Desired
from sessions.queries import find_session, session
from sessions.servers.moving import Mover
from tests.harness.virtual_time import VirtualDatabase
from tests.sessions.servers.conftest import MakeFleet
from tests.sessions.servers.fleet_world import FleetWorld, number_of

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(120)]

ALICE = number_of(1)
MOVE = f"/api/admin/sessions/{ALICE}/move"


async def row_of(world: FleetWorld) -> AnyRow:
    """Alice's session."""
    async with world.db.read() as connection:
        row = await find_session(connection, ALICE[1:])
    assert row is not None
    return row


def assert_never_on_both(world: FleetWorld) -> None:
    """No two calls on the session overlapped, and it was stopped on one server before it ran on another."""
    calls = [(waha, call) for waha in world.wahas for call in waha.calls(ALICE)]
    calls.sort(key=lambda pair: pair[1].started_at)
    runs_on, ended_at = None, 0.0
    for waha, call in calls:
        assert call.started_at >= ended_at, f"{call.verb} on {waha.name} began during another call"
        ended_at = _end(call)
        if call.verb in ("create", "start", "restart"):
            assert runs_on in (None, waha.name), f"{call.verb} on {waha.name} while it ran on {runs_on}"
            runs_on = waha.name
        elif call.verb in ("stop", "delete") and runs_on == waha.name:
            runs_on = None


def _end(call: LifecycleCall) -> float:
    assert call.ended_at is not None
    return max(call.ended_at, call.work_ended_at or 0.0)


async def test_to_a_server_with_the_same_store_it_comes_up_without_another_scan(
    make_fleet: MakeFleet, database_url: str
) -> None:
    world = await make_fleet(100, 90, shared=True)
    assert await world.pair(ALICE) == ["waha1"]
    moved = await world.call("POST", MOVE, {"server": "waha2"})
    assert (moved["from_server"], moved["server"], moved["scan_again"]) == ("waha1", "waha2", False)
    await world.until_state(ALICE, "CONNECTED")
    assert [waha.status(ALICE) for waha in world.wahas] == ["STOPPED", "WORKING"]
    told = await world.session(ALICE)
    assert (told["server"], told["requires_auth"]) == ("waha2", False)
    assert_never_on_both(world)
    await world.finish(await world.submit([ALICE], 3))
    assert [waha.sent for waha in world.wahas] == [0, 3]


async def test_to_a_server_with_another_store_the_phone_has_to_scan_again(
    make_fleet: MakeFleet, database_url: str
) -> None:
    world = await make_fleet(100, 90)
    await world.pair(ALICE)
    moved = await world.call("POST", MOVE, {"server": "waha2"})
    assert moved["scan_again"] is True
    assert f"/api/sessions/{ALICE}/qr" in moved["message"]
    await world.until_state(ALICE, "WAITING_FOR_SCAN")
    assert (await world.session(ALICE))["requires_auth"] is True
    await world.scan(ALICE)
    assert [waha.status(ALICE) for waha in world.wahas] == ["STOPPED", "WORKING"]
    assert_never_on_both(world)


async def test_each_step_is_a_line_of_its_history(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 90, shared=True)
    await world.pair(ALICE)
    begin = len(await world.history(ALICE))
    await world.call("POST", MOVE, {"server": "waha2"})
    await world.until_state(ALICE, "CONNECTED")
    assert (await world.history(ALICE))[begin:] == [
        "session.moved: it is being moved from waha1 to waha2",
        "session.stopped: stopped on waha1 to move",
        "session.moved: moved from waha1 to waha2 with its login",
        "session.starting: WAHA says STARTING",
        "session.connected: WAHA says WORKING",
    ]


async def test_without_a_server_it_goes_where_most_places_are_free(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 50, 70)
    await world.pair(ALICE)
    assert (await world.call("POST", MOVE))["server"] == "waha3"


async def test_its_messages_wait_meanwhile_and_go_on_through_the_new_server(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 90, shared=True, settings={"dispatch": {"message_delay": 1}})
    await world.pair(ALICE)
    campaign_id = await world.submit([ALICE], 20)
    await world.until(lambda: world.wahas[0].sent >= 5)
    await world.call("POST", MOVE)
    row = await world.finish(campaign_id)
    assert (row.n_failed, row.n_unconfirmed, row.n_skipped) == (0, 0, 0)
    assert sum(waha.sent for waha in world.wahas) == 20
    assert world.wahas[1].sent >= 10


async def test_a_session_that_is_meant_to_be_stopped_moves_and_stays_stopped(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 90, shared=True)
    await world.pair(ALICE)
    await world.call("POST", f"/api/sessions/{ALICE}/stop")
    moved = await world.call("POST", MOVE)
    assert (moved["server"], moved["status"], moved["scan_again"]) == ("waha2", "STOPPED", False)
    await world.pass_time(300)
    assert [waha.status(ALICE) for waha in world.wahas] == ["STOPPED", "STOPPED"]
    await world.call("POST", f"/api/sessions/{ALICE}/start")
    await world.until_state(ALICE, "CONNECTED")
    assert_never_on_both(world)


# --- what is refused


async def test_a_move_that_makes_no_sense_changes_nothing(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 1, 100)
    await world.pair(ALICE)
    for index in (2, 3):
        await world.call("POST", "/api/sessions", {"phone_number": number_of(index)})
    await world.call("PATCH", "/api/admin/servers/waha2", {"capacity": 1})
    await world.call("POST", f"/api/admin/sessions/{number_of(2)}/move", {"server": "waha2"})
    home = (await world.session(ALICE))["server"]
    await world.call("POST", "/api/admin/servers/waha3/drain")
    other = "waha3" if home == "waha1" else "waha1"
    await world.call("POST", f"/api/admin/servers/{other}/drain")
    calls = sum(len(waha.calls(ALICE)) for waha in world.wahas)
    for body, status in (
        ({"server": home}, 409),
        ({"server": other}, 409),
        ({"server": "waha2"}, 503),
        ({"server": "nobody"}, 404),
        ({"server": 1}, 422),
        ({}, 503),
    ):
        await world.call("POST", MOVE, body, status=status)
    await world.call("POST", f"/api/admin/sessions/{number_of(50)}/move", status=404)
    assert sum(len(waha.calls(ALICE)) for waha in world.wahas) == calls
    assert (await row_of(world)).moving_to is None
    assert (await world.session(ALICE))["status"] == "CONNECTED"


async def test_to_a_server_that_does_not_answer_it_does_not_go(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 90)
    await world.pair(ALICE)
    world.wahas[1].way.refuses = True
    await world.call("POST", MOVE, {"server": "waha2"}, status=503)
    row = await row_of(world)
    assert (row.moving_to, row.server_name, row.state) == (None, "waha1", "CONNECTED")
    assert "given up" in (await world.history(ALICE))[-1]
    assert world.wahas[0].verbs(ALICE) == ["create"]


async def test_from_a_server_that_is_down_it_goes_by_force_only(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 90)
    await world.pair(ALICE)
    world.wahas[0].way.refuses = True
    await world.until_up("waha1", up=False)
    refused = await world.call("POST", MOVE, {"server": "waha2"}, status=503)
    assert '"force": true' in refused["detail"]
    assert (await row_of(world)).moving_to is None
    moved = await world.call("POST", MOVE, {"server": "waha2", "force": True})
    assert (moved["server"], moved["scan_again"]) == ("waha2", True)
    await world.scan(ALICE)
    assert world.wahas[1].status(ALICE) == "WORKING"
    # as soon as the old one is seen again, it is stopped there
    world.wahas[0].way.refuses = False
    await world.until(lambda: world.wahas[0].status(ALICE) == "STOPPED", within=300)
    assert world.wahas[1].status(ALICE) == "WORKING"


async def test_two_moves_of_one_session_do_not_meet(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 90, 80, shared=True)
    await world.pair(ALICE)
    clients = world.replicas[0].client
    answers = await asyncio.gather(*(clients.post(MOVE, json={"server": name}) for name in ("waha2", "waha3")))
    assert all(answer.status_code in (200, 409) for answer in answers)
    await world.until_state(ALICE, "CONNECTED")
    assert [waha.status(ALICE) for waha in world.wahas].count("WORKING") == 1
    assert_never_on_both(world)


# --- crashes


class Crash(BaseException):
    """The process dies here."""


STEPS = {
    "reserved": "_look",
    "looked": "_stop",
    "stopped": "_note_stopped",
    "noted": "_switch",
    "switched": "_bring_up",
}
"""The step that was done last, and the one before which the process dies."""


@pytest.mark.parametrize("shared", [True, False], ids=["one store", "two stores"])
@pytest.mark.parametrize("step", list(STEPS))
async def test_after_a_crash_between_any_two_steps_the_move_is_finished(
    make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch, step: str, shared: bool
) -> None:
    world = await make_fleet(100, 90, shared=shared)
    await world.pair(ALICE)
    replica = world.replicas[0]

    async def die(*_: object, **__: object) -> None:
        assert isinstance(replica.gateway.db, VirtualDatabase)
        replica.gateway.db.dead = True
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Mover, STEPS[step], die)
        with pytest.raises((Crash, ConnectionError)):
            await replica.gateway.mover.move(ALICE[1:], "waha2")
        await world.kill(replica)
    await world.start()
    await world.until(lambda: moved(world, shared), within=600)
    row = await row_of(world)
    assert (row.server_name, row.moving_to) == ("waha2", None)
    assert world.wahas[0].status(ALICE) == "STOPPED"
    assert_never_on_both(world)


async def moved(world: FleetWorld, shared: bool) -> bool:
    """Whether the session lives on the second server and works there, or waits there for its phone."""
    row = await row_of(world)
    works = world.wahas[1].status(ALICE) == "WORKING" and row.state == "CONNECTED"
    return bool(row.server_name == "waha2" and (works if shared else row.requires_auth))


async def test_a_move_that_cannot_be_finished_is_given_up_and_the_session_stays(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 90)
    await world.pair(ALICE)
    target = await world.row("waha2")
    world.wahas[1].way.refuses = True
    async with world.db.write() as tx:  # as a crash would leave it
        await tx.execute(update(session).values(moving_to=target.id))
    gateway = world.replicas[0].gateway
    sender_id = (await row_of(world)).sender_id
    lifecycle = Lifecycle(gateway.db, gateway.fleet, world.clock)
    async with lifecycle.hold(sender_id, "move", patience=60) as held:
        if held.row.moving_to is not None:  # else the keeper was faster
            await gateway.mover.finish(held)
    row = await row_of(world)
    assert (row.moving_to, row.server_name, row.desired) == (None, "waha1", Desired.RUNNING)
    assert world.wahas[0].status(ALICE) == "WORKING"
