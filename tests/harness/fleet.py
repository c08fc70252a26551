"""Several simulated servers and a gateway that keeps their sessions alive, in virtual time.

Everything from the watch of each server down to WAHA's door is the product's own. What sends messages does not run: it
looks at its lanes each second, and here months pass.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx
import pytest
from starlette.applications import Starlette

import gateway.app
import gateway.schema
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import AnyRow, read_now
from gateway.settings import DatabaseSettings, SessionsSettings, Settings, WahaServerSettings, WahaSettings
from gateway.simulator.app import create_app
from gateway.simulator.config import EngineName, SimulatorConfig
from gateway.simulator.server import Boot, WahaServer
from gateway.simulator.stored import Status
from sessions import history, queries
from sessions.lifecycle import Lifecycle
from sessions.models import SessionState
from tests.harness.databases import sqlite_url
from tests.harness.inline_sqlite import run_inline
from tests.harness.virtual_time import VirtualClock, VirtualDatabase, VirtualSimClock, virtual_loop

HOUR = 3600.0
DAY = 86_400.0
LOOK_UP = b"/api/contacts/check-exists"
TIMED_OUT = {"statusCode": 500, "exception": {"message": "Timed Out", "name": "Error"}}


@dataclass(slots=True)
class Ping:
    """A look-up of a number at WAHA's door; `status` is None while it is not answered, and if it never is."""

    session: str
    at: float
    phone: str
    status: int | None = None


class Gate(httpx.AsyncBaseTransport):
    """The way to one server, which writes down what is asked of WhatsApp. A dead server refuses.

    `broken` are sessions that say WORKING and get no answer from WhatsApp.
    It does what `httpx.ASGITransport` does for requests that are small and answers that are whole, in a third of the
    time: there are some ten thousands of them in a month.
    """

    def __init__(self, app: Starlette, server: WahaServer, clock: VirtualClock) -> None:
        self._app = app
        self._server = server
        self._clock = clock
        self.pings: list[Ping] = []
        self.broken: set[str] = set()
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request."""
        self.calls += 1
        if self._server.dead:
            raise httpx.ConnectError("connection refused", request=request)
        path, _, query = request.url.raw_path.partition(b"?")
        if path != LOOK_UP:
            return await self._carry(request, path, query)
        asked = parse_qs(query.decode())
        ping = Ping(asked["session"][0], self._clock.now(), asked["phone"][0])
        self.pings.append(ping)
        if ping.session in self.broken:
            ping.status = 500
            return httpx.Response(500, json=TIMED_OUT, request=request)
        answer = await self._carry(request, path, query)
        ping.status = answer.status_code
        return answer

    async def _carry(self, request: httpx.Request, path: bytes, query: bytes) -> httpx.Response:
        body = await request.aread()
        told: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            told.append(message)

        scope = {
            "type": "http",
            "method": request.method,
            "path": unquote(path.decode()),
            "raw_path": path,
            "query_string": query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 1),
        }
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                await self._app(scope, receive, send)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        content = b"".join(part.get("body", b"") for part in told[1:])
        return httpx.Response(told[0]["status"], headers=told[0]["headers"], content=content, request=request)


@dataclass(slots=True)
class Site:
    """One server: its name, the simulator behind it, and the gate before it."""

    name: str
    waha: WahaServer
    gate: Gate
    numbers: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the gateway finds it."""
        return f"http://{self.name}.test"

    def works(self, number: str) -> bool:
        """Whether a session of it says WORKING to whoever asks."""
        session = self.waha.lifecycle.running.get(number)
        return not self.waha.dead and session is not None and session.status is Status.WORKING


class FleetWorld:
    """A gateway and its servers, one for each of `engines`. Made by `fleets`."""

    def __init__(
        self,
        database_url: str,
        folder: Path,
        engines: Sequence[EngineName],
        *,
        sweep_seconds: float = 600.0,
        sessions: SessionsSettings | None = None,
    ) -> None:
        self.clock = VirtualClock(virtual_loop())
        self.sites = [self._build_site(f"waha{index}", engine) for index, engine in enumerate(engines, 1)]
        self.settings = Settings(
            database=DatabaseSettings(url=database_url, data_folder=folder),
            sessions=sessions or SessionsSettings(),
            waha=WahaSettings(
                sweep_seconds=sweep_seconds,
                servers=[WahaServerSettings(name=site.name, url=site.url, capacity=1000) for site in self.sites],
            ),
        )
        self._gates = {site.url: site.gate for site in self.sites}
        self.gateway = self.build()
        self._hours: asyncio.Task[None] | None = None

    def _build_site(self, name: str, engine: EngineName) -> Site:
        config = SimulatorConfig(engine=engine, worker_id=name, latency_seconds=0.3, latency_jitter=False)
        app = create_app(config, VirtualSimClock(virtual_loop()))
        return Site(name, app.state.waha, Gate(app, app.state.waha, self.clock))

    # --- life ---------------------------------------------------------------------------------------------------

    def build(self) -> gateway.app.Gateway:
        """Another replica on the same database; nothing of it runs yet."""
        return gateway.app.build_gateway(self.settings, clock=self.clock, transports=self._gates.__getitem__)

    async def open(self, stack: AsyncExitStack) -> None:
        """Start everything; nobody is paired yet."""
        for site in self.sites:
            stack.push_async_callback(site.waha.aclose)
        stack.push_async_callback(self.stop)
        await self.start()

    async def start(self) -> None:
        """Begin to watch the servers, with a sweep of the keepalive now and each hour."""
        await gateway.schema.prepare(self.gateway.db)
        await self.gateway.fleet.load(self.settings.waha.servers)
        self.gateway.manager.start()
        self._hours = asyncio.create_task(self._sweep_hourly())

    async def stop(self) -> None:
        """Stop the gateway; the servers live on."""
        if self._hours is not None:
            self._hours.cancel()
            await asyncio.gather(self._hours, return_exceptions=True)
        await self.gateway.stop()

    async def restart(self) -> None:
        """Another process on the same database."""
        await self.stop()
        self.gateway = self.build()
        await self.start()

    async def _sweep_hourly(self) -> None:
        while True:
            await self.sweep()
            await self.clock.sleep(HOUR)

    async def sweep(self) -> None:
        """What the scheduler does once an hour."""
        async with self.gateway.db.read() as connection:
            now = await read_now(connection)
        await self.gateway.keepalive.sweep.run(now)

    # --- what people and WAHA do --------------------------------------------------------------------------------

    async def connect(self, site: Site, numbers: Sequence[str]) -> None:
        """Pair numbers with a server, and store them as the gateway would have."""
        lifecycle = site.waha.lifecycle
        member = next(one for one in self.gateway.fleet.members if one.name == site.name)
        for number in numbers:
            await lifecycle.create(number, self._config(member.id, number), apps=None, start=True)
        await self.until(lambda: all(lifecycle.running[number].scan(number) for number in numbers))
        await self.until(lambda: all(lifecycle.running[number].status is Status.WORKING for number in numbers))
        now = self.clock.now()
        async with self.gateway.db.write() as tx:
            for number in numbers:
                values = {"server_id": member.id, "name": number, "created_at": now, **_connected(now)}
                sender_id = await queries.ensure_sender(tx, number, LOCAL_ACCOUNT, now)
                await queries.insert_session(tx, {"sender_id": sender_id, **values})
        site.numbers.extend(numbers)

    def _config(self, server_id: str, number: str) -> dict[str, Any]:
        """What a session of ours has in its configuration at WAHA."""
        row: Any = SimpleNamespace(server_id=server_id, number=number)
        return Lifecycle(self.gateway.db, self.gateway.fleet, self.clock).wanted_config(row)

    async def restart_server(self, site: Site, down_seconds: float, start_delay_seconds: float = 1.0) -> None:
        """A server dies, is away, and brings its sessions back one by one."""
        await site.waha.restart(Boot(down_seconds=down_seconds, start_delay_seconds=start_delay_seconds))

    def log_out(self, site: Site, number: str) -> None:
        """The phone removes the linked device."""
        site.waha.remove_device(site.waha.lifecycle.stored[number])

    # --- looking ------------------------------------------------------------------------------------------------

    async def row(self, number: str) -> AnyRow:
        """What is stored of a session."""
        async with self.gateway.db.read() as connection:
            row = await queries.find_session(connection, number)
        assert row is not None
        return row

    async def rows(self) -> dict[str, AnyRow]:
        """All that is stored of sessions, by number."""
        async with self.gateway.db.read() as connection:
            found, _ = await queries.list_sessions(connection, None, [], 0, 10_000)
        return {row.number: row for row in found}

    async def history(self, number: str) -> list[str]:
        """The kinds of the lines of a session's history, oldest first."""
        row = await self.row(number)
        async with self.gateway.db.read() as connection:
            lines, _ = await history.page(connection, row.sender_id, 0, 1000)
        return [line.kind for line in reversed(lines)]

    async def age(self, number: str, **days: float) -> None:
        """Let columns of a session be so many days old, such as `last_active=13`."""
        row, now = await self.row(number), self.clock.now()
        async with self.gateway.db.write() as tx:
            await queries.change(tx, row.sender_id, **{name: now - age * DAY for name, age in days.items()})

    async def rest(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.sleep(seconds)

    async def until(self, condition: Callable[[], bool], within: float = HOUR) -> None:
        """Let time pass until `condition()` holds; TimeoutError after `within` seconds."""
        async with asyncio.timeout(within):
            while not condition():
                await self.clock.sleep(1.0)


def _connected(now: float) -> dict[str, object]:
    return {
        "state": SessionState.CONNECTED,
        "waha_status": "WORKING",
        "requires_auth": False,
        "paired_at": now,
        "last_active": now,
        "phone_last_seen": now,
        "state_at": now,
    }


MakeFleet = Callable[..., Awaitable[FleetWorld]]


@asynccontextmanager
async def fleets(folder: Path, data_folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[MakeFleet]:
    """Gives what makes a gateway with one simulated server for each engine that is named.

    `folder` has a migrated database. Needs `virtual_time`.
    """
    patch.setattr(gateway.app, "Database", VirtualDatabase)
    run_inline(patch)
    async with AsyncExitStack() as stack:

        async def make(*engines: EngineName, **options: Any) -> FleetWorld:
            fleet = FleetWorld(sqlite_url(folder), data_folder, engines, **options)
            await fleet.open(stack)
            return fleet

        yield make
