"""`kill -9` between any two steps: what was begun is finished by the next process, or told.

A step is a call to WAHA that changes something (the process dies before it left, or after it was answered) or a
commit. For each verb the process dies at its first step, then at its second, and so on, until the verb gets through.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import httpx
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

import gateway.app
from gateway.clock import Clock
from gateway.db import IDLE_SECONDS, DatabaseAway
from gateway.errors import GatewayError
from sessions.models import Desired, SessionState
from tests.harness.virtual_time import VirtualDatabase
from tests.harness.world import OPEN_CALLER, sender_number
from tests.sessions.keeping.conftest import MINUTE, KeeperWorld, MakeKeeper

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(240)]

FOR_EVER = 1e9
STARTS = 4


@dataclass(slots=True)
class Life:
    """One process: it dies at the `left`-th step from now (None: not at all)."""

    left: int | None = None
    died: asyncio.Event = field(default_factory=asyncio.Event)

    async def step(self) -> None:
        """A step is done: die here if it was the last one."""
        if self.died.is_set():
            await asyncio.sleep(FOR_EVER)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.died.set()
                await asyncio.sleep(FOR_EVER)


class MortalDatabase(VirtualDatabase):
    """The database of a process that may die at any commit; then nothing more of it is written."""

    life: ClassVar[Life]

    def __init__(
        self, url: str, clock: Clock | None = None, *, lease_seconds: float = IDLE_SECONDS, replica: str = ""
    ) -> None:
        super().__init__(url, clock, lease_seconds=lease_seconds, replica=replica)
        self._life = MortalDatabase.life

    @asynccontextmanager
    async def write(self, **how: bool) -> AsyncIterator[AsyncConnection]:
        """As the gateway's; a step when it is committed."""
        self.dead = self._life.died.is_set()
        async with super().write(**how) as connection:
            yield connection
        await self._life.step()


class MortalDoor(httpx.AsyncBaseTransport):
    """The way from a process that may die to a server: before a call leaves, or when it has been answered."""

    def __init__(self, door: httpx.AsyncBaseTransport, life: Life) -> None:
        self._door = door
        self._life = life

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request."""
        if request.method == "GET":
            return await self._door.handle_async_request(request)
        await self._life.step()
        answer = await self._door.handle_async_request(request)
        await self._life.step()
        return answer


async def live(world: KeeperWorld) -> Life:
    """A new process on the same database.

    A killed process holds no lock on its file. What is killed here is a part of this one, whose broken-off transaction
    may keep the lock: then the next process gets what was committed, in a file of its own.
    """
    for attempt in range(STARTS):
        life = MortalDatabase.life = Life()
        world.doors = partial(_mortal_door, world, life)
        world.gateway = world.build()
        try:
            await world.start()
        except DatabaseAway:
            await world.stop()
            _take_what_was_committed(world, attempt)
        else:
            return life
    raise AssertionError("the database stayed locked")


def _take_what_was_committed(world: KeeperWorld, attempt: int) -> None:
    old = make_url(world.settings.database.url).database
    assert old is not None
    new = f"{old}.{attempt}"
    with closing(sqlite3.connect(old)) as source, closing(sqlite3.connect(new)) as target:
        source.backup(target)
    database = world.settings.database.model_copy(update={"url": f"sqlite:///{new}"})
    world.settings = world.settings.model_copy(update={"database": database})


def _mortal_door(world: KeeperWorld, life: Life, url: str) -> MortalDoor:
    return MortalDoor(world.site_of(url).door, life)


async def die_in(world: KeeperWorld, life: Life, verb: Awaitable[object], step: int) -> bool:
    """Do `verb` in a process that dies at this step of it; False if it got through before."""
    life.left = step
    doing = asyncio.ensure_future(verb)
    dying = asyncio.create_task(life.died.wait())
    await asyncio.wait({doing, dying}, return_when=asyncio.FIRST_COMPLETED)
    life.left = None
    dead = life.died.is_set()
    dying.cancel()
    doing.cancel()
    with suppress(asyncio.CancelledError, GatewayError, OSError):
        await doing
    if dead:
        assert isinstance(world.gateway.db, VirtualDatabase)
        world.gateway.db.dead = True
    await world.stop()
    return dead


async def check_settled(world: KeeperWorld, number: str) -> None:
    """A session is what it is meant to be, or it is told why not."""
    running = [site.name for site in world.sites if number in site.waha.lifecycle.running]
    if await world.is_gone(number):
        assert running == []
        assert all(number not in site.waha.lifecycle.stored for site in world.sites)
        return
    row = await world.row(number)
    assert row.moving_to is None
    assert row.busy_by is None or row.busy_until < world.clock.now()
    if row.desired == Desired.STOPPED:
        assert (row.state, running) == (SessionState.STOPPED, [])
        return
    assert row.desired == Desired.RUNNING
    assert running in ([row.server_name], [])
    if row.requires_auth:
        assert row.pairing_until is None
        assert row.reason
        assert row.state in (SessionState.FAILED, SessionState.EXPIRED)
    else:
        assert (row.state, running) == (SessionState.CONNECTED, [row.server_name])


def create(world: KeeperWorld, number: str) -> Awaitable[object]:
    """Open a pairing."""
    return world.gateway.opening.create(OPEN_CALLER, number)


def show(world: KeeperWorld, number: str) -> Awaitable[object]:
    """Ask for the code of a session whose pairing has run out."""
    return world.gateway.pairing.ask(OPEN_CALLER, number)


def stop(world: KeeperWorld, number: str) -> Awaitable[object]:
    """Stop it."""
    return world.gateway.sessions.stop(number)


def start(world: KeeperWorld, number: str) -> Awaitable[object]:
    """Start it again."""
    return world.gateway.sessions.start(number)


def log_out(world: KeeperWorld, number: str) -> Awaitable[object]:
    """Unpair it."""
    return world.gateway.sessions.logout(number)


def delete(world: KeeperWorld, number: str) -> Awaitable[object]:
    """Remove it."""
    return world.gateway.sessions.delete(number)


def move(world: KeeperWorld, number: str) -> Awaitable[object]:
    """Move it to the other server."""
    return world.gateway.mover.move(number)


async def nobody(world: KeeperWorld, number: str) -> None:
    """There is no session before."""


async def paired(world: KeeperWorld, number: str) -> None:
    """A session that works."""
    await world.pair(number)


async def stopped(world: KeeperWorld, number: str) -> None:
    """A session that works, and was stopped."""
    await world.pair(number)
    await world.gateway.sessions.stop(number)


async def run_out(world: KeeperWorld, number: str) -> None:
    """A session that nobody has scanned."""
    await world.gateway.opening.create(OPEN_CALLER, number)
    await world.until_state(number, SessionState.FAILED)


Before = Callable[[KeeperWorld, str], Awaitable[None]]
Verb = Callable[[KeeperWorld, str], Awaitable[object]]


@pytest.mark.parametrize("engine", ["GOWS", pytest.param("NOWEB", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("before", "verb", "steps"),
    [
        (nobody, create, 5),
        (run_out, create, 5),
        (run_out, show, 4),
        (paired, stop, 5),
        (stopped, start, 5),
        (paired, log_out, 6),
        (paired, delete, 7),
        (paired, move, 9),
    ],
    ids=["create", "create again", "show the code", "stop", "start", "log out", "delete", "move"],
)
async def test_whoever_dies_at_any_step_leaves_nothing_that_is_not_finished_or_told(
    make_keeper: MakeKeeper, monkeypatch: pytest.MonkeyPatch, engine: str, before: Before, verb: Verb, steps: int
) -> None:
    world = await make_keeper(servers=2, engine=engine)
    await world.stop()
    monkeypatch.setattr(gateway.app, "Database", MortalDatabase)
    life = await live(world)
    await world.grow_up()
    step, died = 0, True
    while died:
        step += 1
        number = sender_number(step)
        await before(world, number)
        died = await die_in(world, life, verb(world, number), step)
        life = await live(world)
        await world.clock.sleep(6 * MINUTE)
        await check_settled(world, number)
    assert step > steps, "the verb has fewer steps than it was thought to have"
