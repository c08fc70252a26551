"""Whether servers answer: the circuit of each, who asks, how often, and what is told about it."""

import itertools
from typing import Any

import httpx
import pytest

from gateway.simulator.server import Boot
from gateway.waha.errors import WahaUnreachable
from sessions.news.watch import MINIMUM_LEASE_SECONDS
from sessions.servers.fleet import YOUNG_SECONDS
from tests.sessions.servers.conftest import MakeFleet
from tests.sessions.servers.fleet_world import Way, number_of

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(120)]


async def test_a_server_that_answers_is_told_with_version_engine_and_uptime(make_fleet: MakeFleet) -> None:
    world = await make_fleet(engine="NOWEB")
    await world.pass_time(100)
    told = await world.server()
    assert (told["up"], told["engine"], told["version"]) == (True, "NOWEB", "2026.7.1")
    assert told["uptime_seconds"] == pytest.approx(100, abs=1)
    assert told["last_error"] == ""
    assert told["next_ask_at"] is None
    assert told["watched_by"]


async def test_a_server_that_is_down_is_asked_less_and_less_up_to_once_a_minute(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    way = world.wahas[0].way
    await world.until_up()
    way.refuses = True
    await world.until_up(up=False)
    begin = len(way.asked_at)
    await world.pass_time(600)
    pauses = [after - before for before, after in itertools.pairwise(way.asked_at[begin:])]
    assert max(pauses) <= 62
    assert min(pauses[6:]) >= 30
    told = await world.server()
    assert "cannot be reached" in told["last_error"]
    assert told["failures"] == len(way.asked_at[begin:]) + 1
    assert told["next_ask_at"] is not None
    assert told["uptime_seconds"] is None


async def test_it_is_up_again_with_its_first_answer(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    way = world.wahas[0].way
    way.refuses = True
    await world.until_up(up=False)
    way.refuses = False
    await world.until_up(within=5)
    told = await world.server()
    assert (told["failures"], told["last_error"], told["next_ask_at"]) == (0, "", None)


@pytest.mark.parametrize("fault", ["down", "reset"])
async def test_connections_that_break_make_it_down(make_fleet: MakeFleet, fault: str) -> None:
    world = await make_fleet()
    await world.until_up()
    world.wahas[0].server.sender.faults.down = True
    setattr(world.wahas[0].server.sender.faults, fault, True)
    await world.until_up(up=False, within=10)


async def test_a_wrong_key_makes_it_down_and_is_told(make_fleet: MakeFleet) -> None:
    world = await make_fleet(api_key="another")
    await world.until_up(up=False)
    assert "does not take our API key" in (await world.server())["last_error"]
    await world.call("PATCH", "/api/admin/servers/waha1", {"api_key": "another"})
    await world.until_up()
    await world.pass_time(10)
    assert (await world.server())["last_error"] == ""


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"status": "healthy"}),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(200, text="<html>Welcome</html>"),
        httpx.Response(302, headers={"Location": "http://elsewhere.test/"}),
        httpx.Response(502, text="Bad Gateway"),
    ],
    ids=["json", "404", "html", "redirect", "proxy"],
)
async def test_something_else_at_the_address_makes_it_down_and_is_told(
    make_fleet: MakeFleet, answer: httpx.Response
) -> None:
    world = await make_fleet()
    await world.until_up()
    world.wahas[0].way.answers_with = answer
    await world.until_up(up=False)
    assert "does not answer as a WAHA" in (await world.server())["last_error"]


async def test_a_server_that_hangs_is_down_its_watch_is_kept_and_others_are_not_delayed(
    make_fleet: MakeFleet, postgres_url: str
) -> None:
    world = await make_fleet(100, 100, replicas=2)
    await world.until_up("waha1")
    await world.until_up("waha2")
    watcher = (await world.row("waha1")).listener
    other = world.wahas[1].way
    begin = len(other.asked_at)
    world.wahas[0].way.hangs = True
    end = world.clock.monotonic() + 300
    while world.clock.monotonic() < end:
        row = await world.row("waha1")
        assert (row.listener, row.listener_until > world.clock.now()) == (watcher, True)
        await world.pass_time(5)
    assert (await world.server("waha1"))["up"] is False
    assert (await world.server("waha2"))["up"] is True
    assert max(after - before for before, after in itertools.pairwise(other.asked_at[begin:])) < 3


async def test_a_server_that_answers_slowly_keeps_its_watch_and_is_not_taken_for_restarted(
    make_fleet: MakeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await make_fleet()
    await world.until_up()
    started_at = (await world.row()).started_at
    world.wahas[0].way.slow = 14.0
    lapses = 0
    for _ in range(60):
        await world.pass_time(5)
        row = await world.row()
        lapses += row.listener_until <= world.clock.now()
        assert row.up
    assert lapses == 0
    assert row.started_at == pytest.approx(started_at, abs=1)
    assert "waha_server_restarted" not in capsys.readouterr().out


async def test_a_restart_is_noticed_and_the_server_is_young_for_a_while(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    await world.pass_time(YOUNG_SECONDS + 10)
    [member] = world.replicas[0].gateway.fleet.members
    assert not member.is_young(world.clock.now())
    await world.wahas[0].server.restart(Boot(down_seconds=5.0))
    await world.pass_time(40)
    assert member.is_young(world.clock.now())
    await world.pass_time(YOUNG_SECONDS)
    assert not member.is_young(world.clock.now())


async def test_a_replica_that_does_not_watch_knows_that_a_server_is_down_and_back(
    make_fleet: MakeFleet, postgres_url: str
) -> None:
    world = await make_fleet(replicas=2)
    await world.until_up()
    members = [replica.gateway.fleet.members[0] for replica in world.replicas]
    world.wahas[0].way.refuses = True
    await world.until(lambda: not any(member.up for member in members), within=10)
    world.wahas[0].way.refuses = False
    await world.until(lambda: all(member.up for member in members), within=10)


async def test_one_failure_that_two_replicas_notice_counts_once(make_fleet: MakeFleet, postgres_url: str) -> None:
    world = await make_fleet(replicas=2)
    await world.until_up()
    fleets = [replica.gateway.fleet for replica in world.replicas]
    gone = WahaUnreachable("WAHA cannot be reached: refused")
    first, second = [await fleet.note_failure(fleet.members[0], gone) for fleet in fleets]
    assert (await world.row()).failures == 1
    assert 0.5 <= first <= 1
    assert second == pytest.approx(first, abs=0.01)


async def test_a_watch_passes_to_another_replica_when_its_own_dies(make_fleet: MakeFleet, postgres_url: str) -> None:
    world = await make_fleet(replicas=2)
    await world.until_up()
    first = (await world.server())["watched_by"]
    watching = next(replica for replica in world.replicas if has_watch(replica, first))
    await world.kill(watching)

    async def passed() -> bool:
        return (await world.server())["watched_by"] not in (None, first)

    await world.until(passed, within=MINIMUM_LEASE_SECONDS + 5)


async def test_a_client_is_closed_only_when_every_call_through_it_must_be_over(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    elsewhere = Way(None)
    world.ways["http://moved.test"] = elsewhere
    before = world.wahas[0].way
    await world.call("PATCH", "/api/admin/servers/waha1", {"url": "http://moved.test", "check": False})
    await world.pass_time(150)
    assert not before.closed
    await world.pass_time(10)
    assert before.closed


async def test_ghosts_are_told_and_left_alone(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 100, shared=True)
    await world.pair(number_of(1))
    lifecycle = world.wahas[0].server.lifecycle
    await lifecycle.create("somebody-elses", {}, apps=None, start=True)

    async def told() -> bool:
        return bool((await world.server("waha1"))["ghosts"])

    await world.until(told)
    # a session of ours on the server beside it, with which it shares its store, is none
    assert (await world.server("waha1"))["ghosts"] == ["somebody-elses"]
    await world.pass_time(60)
    assert [call.verb for call in lifecycle.journal.calls if call.session == "somebody-elses"] == ["create"]


def has_watch(replica: Any, listener: str) -> bool:
    """Whether this replica is the one with that id."""
    manager = replica.gateway.manager
    return bool(manager._parts.replica == listener)
