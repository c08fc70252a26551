"""Two replicas on one PostgreSQL, whose chores fall on the same moment: each thing is done and told once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import structlog

import gateway.app
from gateway.app import Gateway
from gateway.db import read_now
from gateway.simulator.stored import Status
from sessions.history import forget_old
from sessions.keeping.keeper import Keeper
from sessions.models import SessionState
from sessions.news.watch import Swept
from tests.harness.fleet import DAY, HOUR, FleetWorld
from tests.harness.virtual_time import VirtualDatabase

pytestmark = [pytest.mark.virtual_time, pytest.mark.postgres]

ANN, BEN, CAT = "447700900001", "447700900002", "447700900003"


class Replicas:
    """A fleet's own gateway, and another on the same database."""

    def __init__(self, fleet: FleetWorld, other: Gateway) -> None:
        self.fleet = fleet
        self.both = (fleet.gateway, other)

    async def chores(self) -> None:
        """What the scheduler does once an hour, on both at the same moment."""
        await asyncio.gather(*(self._chores(replica) for replica in self.both))

    async def _chores(self, replica: Gateway) -> None:
        async with replica.db.read() as connection:
            now = await read_now(connection)
        await replica.keepalive.sweep.run(now)
        await forget_old(replica.db, now)


@pytest.fixture
async def replicas(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replicas]:
    """Two replicas that watch one server with three connected sessions; whatever one keeper sees, both see."""
    monkeypatch.setattr(gateway.app, "Database", VirtualDatabase)
    keepers: list[Keeper] = []
    see = Keeper.after_sweep

    def show_both(_: Keeper, swept: Swept) -> None:
        for keeper in keepers:
            see(keeper, swept)

    monkeypatch.setattr(Keeper, "after_sweep", show_both)
    async with AsyncExitStack() as stack:
        fleet = FleetWorld(postgres_url, tmp_path, ["GOWS"])
        await fleet.open(stack)
        other = fleet.build()
        stack.push_async_callback(other.stop)
        await other.fleet.load([])
        other.manager.start()
        keepers += [fleet.gateway.keeper, other.keeper]
        await fleet.connect(fleet.sites[0], [ANN, BEN, CAT])
        yield Replicas(fleet, other)


async def test_sweeps_at_one_moment_plan_one_ping_and_it_is_made_once(replicas: Replicas) -> None:
    fleet = replicas.fleet
    await fleet.age(ANN, last_active=13)
    await replicas.chores()
    assert (await fleet.row(ANN)).ping_at is not None
    for _ in range(3):
        await fleet.rest(HOUR)
        await replicas.chores()
    assert [ping.session for ping in fleet.sites[0].gate.pings] == [ANN]
    assert (await fleet.history(ANN)).count("keepalive.pinged") == 1


async def test_a_warning_that_both_would_give_is_told_once(replicas: Replicas) -> None:
    fleet = replicas.fleet
    await fleet.gateway.sessions.stop(BEN)
    await fleet.age(BEN, last_active=13)
    await fleet.age(CAT, phone_last_seen=13)
    for _ in range(3):
        await replicas.chores()
        await fleet.rest(HOUR)
    assert (await fleet.history(BEN)).count("session.expiring") == 1
    assert (await fleet.history(CAT)).count("session.phone_unseen") == 1


async def test_a_session_that_both_keepers_find_ill_is_restarted_once(replicas: Replicas) -> None:
    fleet = replicas.fleet
    await fleet.age(ANN, paired_at=2)
    lifecycle = fleet.sites[0].waha.lifecycle
    before = len(lifecycle.journal.calls)
    with structlog.testing.capture_logs() as logs:
        await lifecycle.running[ANN].force(Status.FAILED)
        await fleet.until(lambda: lifecycle.running[ANN].status is Status.WORKING, within=DAY)
    await fleet.rest(2 * HOUR)
    assert [call.session for call in list(lifecycle.journal.calls)[before:]] == [ANN]
    assert "not_kept" in [entry["event"] for entry in logs], "the other one tried, and found the session taken"
    assert (await fleet.row(ANN)).state == SessionState.CONNECTED
