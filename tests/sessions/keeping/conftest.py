"""A gateway that keeps sessions on simulated servers, in virtual time, with the servers' events.

Everything from the API's services down to WAHA's door is the product's own, but for what sends messages: it runs only
where a test starts it.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

import gateway.app
import gateway.schema
from gateway.db import AnyRow
from gateway.settings import DatabaseSettings, DispatchSettings, Settings, WahaServerSettings, WahaSettings
from gateway.simulator.app import create_app
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.events import Subscriber
from gateway.simulator.journal import LifecycleCall
from gateway.simulator.server import Boot, WahaServer
from gateway.simulator.stored import SessionStore, Status
from gateway.waha.events import EventStream
from sessions import history, queries
from sessions.models import SessionState
from sessions.servers.fleet import YOUNG_SECONDS, Member
from tests.harness.databases import sqlite_url
from tests.harness.virtual_time import VirtualClock, VirtualDatabase, VirtualSimClock, virtual_loop
from tests.harness.world import OPEN_CALLER, Door

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


class Socket:
    """One end of a server's event stream."""

    def __init__(self, waha: WahaServer) -> None:
        self._waha = waha
        self._subscriber = Subscriber("*", ["session.status", "message.ack", "message.any"])
        waha.events.subscribe(self._subscriber)

    async def recv(self) -> bytes:
        """The next frame."""
        body = await self._subscriber.queue.get()
        if body is None:
            self._waha.events.unsubscribe(self._subscriber)
            raise ConnectionClosedError(None, None)
        return body

    async def close(self) -> None:
        """End it; whoever waits for a frame is told."""
        self._subscriber.queue.put_nowait(None)


class VirtualStream(EventStream):
    """The product's event stream without a network."""

    def __init__(self, member: Member, waha: WahaServer) -> None:
        super().__init__(member.url, member.api_key, jitter=lambda: 0.0)
        self._waha = waha

    async def _connect(self) -> ClientConnection:
        if self._waha.dead:
            raise ConnectionRefusedError
        return cast(ClientConnection, Socket(self._waha))


@dataclass(slots=True)
class Site:
    """One server: the simulator, and the door that leads to it."""

    name: str
    waha: WahaServer
    door: Door

    @property
    def url(self) -> str:
        """Where the gateway finds it."""
        return f"http://{self.name}.test"

    def calls(self, number: str, *, by_itself: bool = False) -> list[str]:
        """The lifecycle calls on a session so far, without (or with) the server's own."""
        calls = [call for call in self.waha.lifecycle.journal.calls if call.session == number]
        return [call.verb for call in calls if by_itself or call.verb != "autostart"]


class KeeperWorld:
    """A gateway, its servers, and what people and WhatsApp do to them."""

    def __init__(
        self, database_url: str, folder: Path, sites: list[Site], sweep_seconds: float, dispatch: dict[str, Any]
    ) -> None:
        self.clock = VirtualClock(virtual_loop())
        self.sites = sites
        self.settings = Settings(
            database=DatabaseSettings(url=database_url, data_folder=folder),
            waha=WahaSettings(
                sweep_seconds=sweep_seconds,
                servers=[WahaServerSettings(name=site.name, url=site.url, capacity=1000) for site in sites],
            ),
            dispatch=DispatchSettings(**{"sender_switch_delay": 0, "message_delay": 2, **dispatch}),
        )
        self.doors: Callable[[str], httpx.AsyncBaseTransport] = self._door
        self.gateway = self.build()

    # --- life ---------------------------------------------------------------------------------------------------

    def build(self) -> gateway.app.Gateway:
        """Another process on the same database; nothing of it runs yet."""
        return gateway.app.build_gateway(
            self.settings, clock=self.clock, transports=self.doors, streams_of=self._open_stream
        )

    async def start(self) -> None:
        """Begin to watch the servers."""
        await gateway.schema.prepare(self.gateway.db)
        await self.gateway.fleet.load(self.settings.waha.servers)
        self.gateway.manager.start()

    async def stop(self) -> None:
        """Stop the gateway; the servers live on."""
        await self.gateway.stop()

    def site_of(self, url: str) -> Site:
        """The server behind an address."""
        return next(site for site in self.sites if url.startswith(site.url))

    def _door(self, url: str) -> httpx.AsyncBaseTransport:
        return self.site_of(url).door

    def _open_stream(self, member: Member) -> EventStream:
        return VirtualStream(member, self.site_of(member.url).waha)

    # --- what people and WAHA do --------------------------------------------------------------------------------

    @property
    def waha(self) -> WahaServer:
        """The only, or the first, server."""
        return self.sites[0].waha

    async def pair(self, *numbers: str) -> None:
        """Open a session for each number, and scan its code."""
        for number in numbers:
            await self.gateway.opening.create(OPEN_CALLER, number)
            await self.scan(number)

    async def scan(self, number: str) -> None:
        """The phone of `number` scans the code as soon as one is shown, and the gateway hears of it."""
        row = await self.row(number)
        running = next(site for site in self.sites if site.name == row.server_name).waha.lifecycle.running
        await self.until(lambda: number in running and running[number].scan(number))
        await self.until_state(number, SessionState.CONNECTED)

    async def grow_up(self) -> None:
        """Let time pass until no server is young any more."""
        await self.clock.sleep(YOUNG_SECONDS + MINUTE)

    async def reboot(self, **plan: Any) -> None:
        """The first server dies, and comes back as told after half a minute."""
        await self.waha.restart(Boot(**{"down_seconds": 30.0, **plan}))

    def log_out(self, number: str) -> None:
        """The phone removes the linked device."""
        self.waha.remove_device(self.waha.lifecycle.stored[number])

    # --- looking ------------------------------------------------------------------------------------------------

    async def row(self, number: str) -> AnyRow:
        """What is stored of a session."""
        async with self.gateway.db.read() as connection:
            row = await queries.find_session(connection, number)
        assert row is not None
        return row

    async def is_gone(self, number: str) -> bool:
        """Whether nothing is stored of a session."""
        async with self.gateway.db.read() as connection:
            return await queries.find_session(connection, number) is None

    async def lines(self, number: str) -> list[tuple[str, str]]:
        """The history of a session, oldest first: kinds and reasons."""
        row = await self.row(number)
        async with self.gateway.db.read() as connection:
            found, _ = await history.page(connection, row.sender_id, 0, 1000)
        return [(line.kind, line.reason) for line in reversed(found)]

    async def done(self, number: str) -> list[str]:
        """What the keeper has done with a session, oldest first."""
        return [kind.removeprefix("keeper.") for kind, _ in await self.lines(number) if kind.startswith("keeper.")]

    async def until(
        self, condition: Callable[[], bool | Awaitable[bool]], within: float = 10 * MINUTE, every: float = 0.5
    ) -> None:
        """Let time pass until `condition` holds, looking each `every` seconds; TimeoutError after `within`."""
        async with asyncio.timeout(within):
            while True:
                holds = condition()
                if holds if isinstance(holds, bool) else await holds:
                    return
                await self.clock.sleep(every)

    async def until_state(self, number: str, state: SessionState, within: float = 10 * MINUTE) -> None:
        """Let time pass until the gateway knows a session to be in `state`."""

        async def known() -> bool:
            return bool((await self.row(number)).state == state)

        await self.until(known, within)

    def working(self, numbers: list[str]) -> bool:
        """Whether all these sessions say WORKING at the first server."""
        running = self.waha.lifecycle.running
        return all(number in running and running[number].status is Status.WORKING for number in numbers)

    def check_no_two_calls_met(self) -> None:
        """No two lifecycle calls of ours on one session were under way at one time."""
        for site in self.sites:
            calls = [call for call in site.waha.lifecycle.journal.calls if call.verb != "autostart"]
            for name in {call.session for call in calls}:
                mine = sorted((call for call in calls if call.session == name), key=lambda call: call.started_at)
                for former, later in itertools.pairwise(mine):
                    assert _end_of(former) <= later.started_at, f"{former} meets {later}"


def _end_of(call: LifecycleCall) -> float:
    ends = [end for end in (call.ended_at, call.work_ended_at) if end is not None]
    return max(ends, default=0.0)


MakeKeeper = Callable[..., Awaitable[KeeperWorld]]


@pytest.fixture
async def make_keeper(
    tmp_path: Path, sqlite_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeKeeper]:
    """Make a `KeeperWorld` with `servers` servers; `simulator` is told to each. Needs `virtual_time`.

    At the end it is checked that no two lifecycle calls on one session met.
    """
    monkeypatch.setattr(gateway.app, "Database", VirtualDatabase)
    worlds: list[KeeperWorld] = []
    async with AsyncExitStack() as stack:

        async def make(
            *,
            servers: int = 1,
            store: SessionStore | None = None,
            sweep_seconds: float = 10.0,
            dispatch: dict[str, Any] | None = None,
            **simulator: Any,
        ) -> KeeperWorld:
            sites = []
            for index in range(1, servers + 1):
                name = f"waha{index}"
                usual = {"worker_id": name, "latency_seconds": 0.1, "latency_jitter": False}
                app = create_app(SimulatorConfig(**{**usual, **simulator}), VirtualSimClock(virtual_loop()), store)
                stack.push_async_callback(app.state.waha.aclose)
                sites.append(Site(name, app.state.waha, Door(app, app.state.waha)))
            world = KeeperWorld(sqlite_url(sqlite_folder), tmp_path, sites, sweep_seconds, dispatch or {})
            worlds.append(world)
            stack.push_async_callback(world.stop)
            await world.start()
            return world

        yield make
        for world in worlds:
            world.check_no_two_calls_met()
