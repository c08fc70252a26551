"""Gateways over several simulated WAHA servers in virtual time, called through their API with the operator's token."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

import gateway.app
import gateway.web
from campaigns.sending.models import CampaignState
from campaigns.sending.schemas import SendRequest
from campaigns.sending.tables import message
from gateway.db import AnyRow, Database
from gateway.settings import Settings
from gateway.simulator.app import create_app
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.journal import LifecycleCall
from gateway.simulator.server import WahaServer
from gateway.simulator.stored import SessionStore, Status
from sessions.servers import queries
from tests.harness.virtual_time import VirtualClock, VirtualDatabase, VirtualSimClock, virtual_loop
from tests.harness.world import OPEN_CALLER, recipient_numbers

ADMIN = {"X-Admin-Token": "canary-admin-token-4242"}
KEY = "canary-waha-key-4242"
Body = dict[str, Any]


def number_of(index: int) -> str:
    """One of our numbers with its +; there are 100."""
    return f"+4477009000{index:02d}"


class Way(httpx.AsyncBaseTransport):
    """The way to an address: its simulated server, or whatever a test puts there instead.

    `hangs`: connections are accepted, and nothing is ever answered. `refuses`: nobody listens. `answers_with`:
    something else answers. `slow` is in seconds. `asked_at` are the times (of the loop) of all requests.
    """

    def __init__(self, server: WahaServer | None) -> None:
        self.server = server
        self._app: httpx.ASGITransport | None = None
        self.hangs = False
        self.refuses = server is None
        self.slow = 0.0
        self.answers_with: httpx.Response | None = None
        self.asked_at: list[float] = []
        self.closed = False

    def lead_to(self, app: Any) -> None:
        """Have requests answered by this application."""
        self._app = httpx.ASGITransport(app)
        self.refuses = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request, as a network would."""
        self.asked_at.append(virtual_loop().time())
        if self.refuses or (self.server is not None and self.server.dead):
            raise httpx.ConnectError("connection refused", request=request)
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                if self.hangs:
                    await asyncio.Event().wait()
                await asyncio.sleep(self.slow)
                if self.answers_with is not None:
                    return self.answers_with
                assert self._app is not None
                return await self._app.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None

    async def aclose(self) -> None:
        """A client was closed."""
        self.closed = True


class Waha:
    """One simulated server of the fleet."""

    def __init__(self, name: str, store: SessionStore | None, **config: Any) -> None:
        self.name = name
        self.url = f"http://{name}.test"
        usual: dict[str, Any] = {"api_key": KEY, "latency_seconds": 0.1, "latency_jitter": False, "worker_id": name}
        app = create_app(SimulatorConfig(**usual | config), VirtualSimClock(virtual_loop()), store)
        self.server: WahaServer = app.state.waha
        self.way = Way(self.server)
        self.way.lead_to(app)

    def status(self, number: str) -> str:
        """What this server would tell about a session."""
        running = self.server.lifecycle.running.get(number[1:])
        if running is not None:
            return str(running.status)
        return "STOPPED" if number[1:] in self.server.lifecycle.stored else "MISSING"

    def calls(self, number: str) -> list[LifecycleCall]:
        """All lifecycle calls on a session here."""
        return [call for call in self.server.lifecycle.journal.calls if call.session == number[1:]]

    def verbs(self, number: str) -> list[str]:
        """Their verbs."""
        return [call.verb for call in self.calls(number)]

    @property
    def sent(self) -> int:
        """How many messages WhatsApp took from this server."""
        return len(self.server.ledger.transmissions)


class Replica:
    """One gateway, and its API."""

    def __init__(self, settings: Settings, clock: VirtualClock, ways: dict[str, Way]) -> None:
        # what is at no address of ours refuses
        self.gateway = gateway.app.build_gateway(
            settings, clock=clock, transports=lambda url: ways.setdefault(url, Way(None))
        )
        app = gateway.web.create_app(self.gateway)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000", headers=ADMIN
        )

    async def call(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """The JSON of one request; `status` is what must come back (any success if it is not said)."""
        answer = await self.client.request(method, path, json=body)
        expected = answer.is_success if status is None else answer.status_code == status
        assert expected, f"{answer.status_code}: {answer.text}"
        return answer.json()


class FleetWorld:
    """Servers, replicas, and the time that passes for all of them."""

    def __init__(self, database_url: str, folder: Path, stack: AsyncExitStack) -> None:
        self.clock = VirtualClock(virtual_loop())
        self._url = database_url
        self._folder = folder
        self._stack = stack
        self.wahas: list[Waha] = []
        self.ways: dict[str, Way] = {}
        self.replicas: list[Replica] = []
        self.capacities: list[int] = []
        self.extra: dict[str, Body] = {}

    # --- making -------------------------------------------------------------------------------------------------

    def add_waha(self, *, capacity: int = 100, store: SessionStore | None = None, **config: Any) -> Waha:
        """Another simulated server; replicas that are started from now on have it in their settings."""
        waha = self.simulate(f"waha{len(self.wahas) + 1}", store=store, **config)
        self.wahas.append(waha)
        self.capacities.append(capacity)
        return waha

    def simulate(self, name: str, *, store: SessionStore | None = None, **config: Any) -> Waha:
        """A simulated server that is in nobody's settings."""
        waha = Waha(name, store, **config)
        self.ways[waha.url] = waha.way
        self._stack.push_async_callback(waha.server.aclose)
        return waha

    def settings(self) -> Settings:
        """The settings of a replica."""
        servers = [
            {"name": waha.name, "url": waha.url, "api_key": KEY, "capacity": capacity}
            for waha, capacity in zip(self.wahas, self.capacities, strict=True)
        ]
        sections: dict[str, Body] = {
            "database": {"url": self._url, "data_folder": self._folder},
            "auth": {"admin_token": ADMIN["X-Admin-Token"]},
            "waha": {"sweep_seconds": 2, "servers": servers},
            "dispatch": {"message_delay": 0, "sender_switch_delay": 0, "check_numbers": "off"},
            "logging": {"file": ""},
        }
        return Settings.model_validate(
            {**sections, **{name: sections[name] | more for name, more in self.extra.items()}}
        )

    async def start(self, settings: Settings | None = None) -> Replica:
        """Another replica, which runs."""
        replica = Replica(settings or self.settings(), self.clock, self.ways)
        self._stack.push_async_callback(replica.client.aclose)
        self._stack.push_async_callback(replica.gateway.stop)
        await replica.gateway.start()
        self.replicas.append(replica)
        return replica

    async def kill(self, replica: Replica) -> None:
        """End a replica as `kill -9` would: nothing more is written."""
        db = replica.gateway.db
        assert isinstance(db, VirtualDatabase)
        db.dead = True
        await replica.gateway.dispatcher.stop(grace_seconds=0.0)
        await replica.gateway.stop()
        self.replicas.remove(replica)

    # --- doing --------------------------------------------------------------------------------------------------

    async def call(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """The JSON of one request to the first replica."""
        return await self.replicas[0].call(method, path, body, status=status)

    async def pair(self, *numbers: str) -> list[str]:
        """Connect numbers; the names of the servers that they were placed on."""
        placed = []
        for number in numbers:
            placed.append((await self.call("POST", "/api/sessions", {"phone_number": number}))["server"])
            await self.scan(number)
        return placed

    async def scan(self, number: str) -> None:
        """The phone scans the code that is shown, and the gateway hears of it."""
        waha = self.home(number, await self.session(number))
        await self.until(lambda: waha.status(number) == Status.SCAN_QR_CODE)
        waha.server.lifecycle.running[number[1:]].scan(number[1:])
        await self.until_state(number, "CONNECTED")

    def home(self, number: str, session: Body) -> Waha:
        """The server that a session lives on."""
        return next(waha for waha in self.wahas if waha.name == session["server"])

    async def submit(self, senders: Sequence[str], count: int, **fields: Any) -> str:
        """Submit a campaign; its id."""
        request = SendRequest.model_validate(
            {
                "sender_number": senders[0],
                "sender_numbers": list(senders[1:]),
                "template": "hello",
                "recipients": [f"+{phone}" for phone in recipient_numbers(count)],
                **fields,
            }
        )
        answer = await self.replicas[0].gateway.campaigns.submit(OPEN_CALLER, request)
        return str(answer["campaign"]["id"])

    # --- looking ------------------------------------------------------------------------------------------------

    @property
    def db(self) -> Database:
        """The first replica's database."""
        return self.replicas[0].gateway.db

    async def session(self, number: str) -> Body:
        """A session as the API tells it."""
        told: Body = await self.call("GET", f"/api/sessions/{number}")
        return told

    async def history(self, number: str) -> list[str]:
        """A session's history from its beginning: kind and reason of each line."""
        lines, _ = await self.replicas[0].gateway.sessions.history(number[1:], 0, 100)
        return [f"{line.kind}: {line.reason}" for line in reversed(lines)]

    async def server(self, name: str = "waha1") -> Body:
        """A server as the API tells it."""
        told: Body = await self.call("GET", f"/api/admin/servers/{name}")
        return told

    async def row(self, name: str = "waha1") -> AnyRow:
        """A server's row."""
        async with self.db.read() as connection:
            found = await queries.find(connection, name)
        assert found is not None
        return found

    async def messages(self, campaign_id: str) -> Sequence[AnyRow]:
        """A campaign's messages."""
        async with self.db.read() as connection:
            query = select(message).where(message.c.campaign_id == campaign_id).order_by(message.c.seq)
            return (await connection.execute(query)).all()

    async def until(
        self, condition: Callable[[], bool | Awaitable[bool]], within: float = 120.0, every: float = 0.05
    ) -> None:
        """Let time pass until `condition` holds; TimeoutError after `within` seconds."""
        async with asyncio.timeout(within):
            while True:
                holds = condition()
                if await holds if inspect.isawaitable(holds) else holds:
                    return
                await self.clock.sleep(every)

    async def pass_time(self, seconds: float) -> None:
        """Let so many seconds go by."""
        await self.clock.sleep(seconds)

    async def until_state(self, number: str, state: str, within: float = 120.0) -> None:
        """Let time pass until the gateway tells a session to be in `state`."""

        async def told() -> bool:
            return bool((await self.session(number))["status"] == state)

        await self.until(told, within)

    async def until_up(self, name: str = "waha1", *, up: bool = True, within: float = 120.0) -> None:
        """Let time pass until a server is known to be up, because it has answered, or down."""

        async def told() -> bool:
            row = await self.row(name)
            return bool(row.up is up and (row.started_at is not None or not up))

        await self.until(told, within)

    async def finish(self, campaign_id: str, within: float = 7200.0) -> AnyRow:
        """Let time pass until a campaign has ended; its row."""
        open_states = (CampaignState.SCHEDULED, CampaignState.QUEUED, CampaignState.RUNNING, CampaignState.PAUSED)

        async def ended() -> bool:
            row = await self.replicas[0].gateway.steering.get(campaign_id, None)
            return row.state not in open_states

        await self.until(ended, within, every=1.0)
        return await self.replicas[0].gateway.steering.get(campaign_id, None)
