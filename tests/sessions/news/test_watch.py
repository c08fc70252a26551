"""Which replica listens to a server, and who takes over when it is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import select

from gateway.app import Gateway, build_gateway
from sessions.models import SessionState
from sessions.queries import find_session, server
from sessions.servers.fleet import Fleet, Lease, Member
from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, PATIENCE_SECONDS, Waha, World, until

LEASE_SECONDS = 3.0

pytestmark = [pytest.mark.timeout(90), pytest.mark.postgres]


class Pair:
    """Two replicas on one database; the first one watches."""

    def __init__(self, world: World, second: Gateway) -> None:
        self.world = world
        self.first = world.gateway
        self.second = second

    async def listener(self) -> str | None:
        """The replica that watches."""
        async with self.second.db.read() as connection:
            listener: str | None = (await connection.execute(select(server.c.listener))).scalar_one()
        return listener

    async def state(self) -> str:
        """Alice's state, as the second replica finds it."""
        async with self.second.db.read() as connection:
            row = await find_session(connection, ALICE[1:])
        assert row is not None
        return str(row.state)

    async def until_taken_over(self, since: float) -> float:
        """Wait until another socket listens; seconds after `since`."""

        async def listened_to() -> bool:
            return await self.listener() is not None and sockets_of(self.world.waha) == 1

        await until(listened_to)
        return asyncio.get_running_loop().time() - since


def sockets_of(waha: Waha) -> int:
    """How many sockets listen to a simulated server."""
    return len(waha.server.events._subscribers)


@pytest.fixture
async def pair(make_world: MakeWorld, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    """Two replicas with a short lease, and Alice connected."""
    monkeypatch.setattr("sessions.news.watch.MINIMUM_LEASE_SECONDS", LEASE_SECONDS)
    async with AsyncExitStack() as stack:
        world = await make_world(database_url=postgres_url)
        await world.pair(ALICE)
        second = build_gateway(world.gateway.settings)
        stack.push_async_callback(second.stop)
        await second.start()
        yield Pair(world, second)


async def looked_in_vain(pair: Pair) -> None:
    """Wait until the second replica has asked for the watch some times more."""
    asked: asyncio.Queue[None] = asyncio.Queue()
    hold = Fleet.hold

    async def telling(self: Fleet, member: Member, replica: str, seconds: float) -> Lease | None:
        lease = await hold(self, member, replica, seconds)
        if self is pair.second.fleet:
            assert lease is None
            asked.put_nowait(None)
        return lease

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fleet, "hold", telling)
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(3):
                await asked.get()


async def test_of_two_replicas_one_listens(pair: Pair) -> None:
    first = await pair.listener()
    await looked_in_vain(pair)
    assert sockets_of(pair.world.waha) == 1
    assert await pair.listener() == first


async def test_when_the_listening_replica_stops_another_one_takes_over_at_once(pair: Pair) -> None:
    await looked_in_vain(pair)
    await pair.first.stop()
    stopped = asyncio.get_running_loop().time()
    assert await pair.until_taken_over(stopped) < LEASE_SECONDS


async def test_when_the_listening_replica_dies_another_one_takes_over_and_finds_what_was_not_heard(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await looked_in_vain(pair)

    async def never(self: Fleet, member: Member, replica: str) -> None:
        """A dead process gives nothing back."""

    with monkeypatch.context() as patch:
        patch.setattr(Fleet, "release", never)
        await pair.first.stop()
    died = asyncio.get_running_loop().time()
    dead = await pair.listener()
    assert dead is not None
    await pair.world.waha.tell("POST", f"/sessions/{ALICE[1:]}/status", {"status": "FAILED"})
    assert await pair.until_taken_over(died) < LEASE_SECONDS + 10.0  # the lease, a look a second, and a busy machine
    assert await pair.listener() != dead

    async def is_known() -> bool:
        return await pair.state() != SessionState.CONNECTED

    await until(is_known)
