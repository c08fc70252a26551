"""Gateways with their API in front of one simulated WAHA server, all in virtual time, and an eye on WAHA's door."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

import gateway.app
import gateway.web
from gateway.db import AnyRow
from gateway.settings import Settings
from gateway.simulator.app import create_app as create_simulator
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.events import Subscriber
from gateway.simulator.server import WahaServer
from gateway.simulator.session import RunningSession
from gateway.simulator.stored import Status
from gateway.waha.events import EventStream
from gateway.waha.schemas import Connected, Event, parse_event
from sessions import queries
from sessions.models import SessionState
from sessions.servers.fleet import Member
from tests.harness.virtual_time import VirtualClock, VirtualDatabase, VirtualSimClock, virtual_loop
from tests.harness.world import Door

ADMIN_TOKEN = "canary-admin-token-4242"
ALICE, BERT = "447700900001", "447700900002"
WAHA_URL = "http://waha.test"
OPERATOR = {"X-Admin-Token": ADMIN_TOKEN}
PATH = f"/api/sessions/+{ALICE}"
CREATE = {"phone_number": f"+{ALICE}"}
Body = dict[str, Any]


class Wire(EventStream):
    """WAHA's WebSocket, without the socket; `cut` loses what is told from now on."""

    def __init__(self, waha: WahaServer) -> None:
        super().__init__(WAHA_URL, "")
        self._waha = waha
        self._subscriber = Subscriber("*", ["session.status"])
        self._begun = False
        self.cut = False

    @property
    def connected(self) -> bool:
        """Always."""
        return True

    async def aclose(self) -> None:
        """Hear nothing more."""
        self._waha.events.unsubscribe(self._subscriber)
        self._subscriber.queue.put_nowait(None)

    async def __anext__(self) -> Event | Connected:
        """What WAHA tells next."""
        if not self._begun:
            self._begun = True
            self._waha.events.subscribe(self._subscriber)
            return Connected()
        while (body := await self._subscriber.queue.get()) is not None:
            if not self.cut and (heard := parse_event(body)) is not None:
                return heard
        raise StopAsyncIteration


class Eye(httpx.AsyncBaseTransport):
    """Sees every call at WAHA's door; `refusals` are answered in WAHA's place, by the end of their path."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.calls: list[str] = []
        self.refusals: dict[str, httpx.Response] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request."""
        path = request.url.path
        self.calls.append(f"{request.method} {path}")
        for end, refusal in self.refusals.items():
            if path.endswith(end):
                return refusal
        return await self._door.handle_async_request(request)

    def count(self, call: str) -> int:
        """How often something was asked."""
        return self.calls.count(call)


class Replica:
    """One gateway and its API."""

    def __init__(self, gateway: gateway.app.Gateway) -> None:
        self.gateway = gateway
        transport = httpx.ASGITransport(gateway_app(gateway))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    async def call(self, method: str, path: str, body: Any = None, *, status: int | None = None, **options: Any) -> Any:
        """The JSON of one answer; `status` is what it must have."""
        if body is not None:
            options["json"] = body
        answer = await self.client.request(method, path, **options)
        assert status is None or answer.status_code == status, f"{answer.status_code}: {answer.text}"
        return answer.json()

    async def create(self, *, status: int = 201, headers: dict[str, str] | None = None) -> Any:
        """POST /api/sessions for Alice."""
        return await self.call("POST", "/api/sessions", CREATE, status=status, headers=headers)

    async def qr(self, *, status: int = 200, headers: dict[str, str] | None = None) -> Any:
        """GET .../qr of Alice's session."""
        return await self.call("GET", f"{PATH}/qr", status=status, headers=headers)


def gateway_app(parts: gateway.app.Gateway) -> Any:
    """The HTTP application of a gateway."""
    return gateway.web.create_app(parts)


class PairingWorld:
    """One WAHA server, and one or more replicas before it."""

    def __init__(self, database_url: str, folder: Path, *, token_mode: bool, waha: dict[str, Any]) -> None:
        self.clock = VirtualClock(virtual_loop())
        self.settings = Settings.model_validate(
            {
                "database": {"url": database_url, "data_folder": folder},
                "auth": {"admin_token": ADMIN_TOKEN, "user_access": "token" if token_mode else "open"},
                "waha": {"sweep_seconds": 2, "servers": [{"name": "waha", "url": WAHA_URL}]},
                "logging": {"file": ""},
            }
        )
        app = create_simulator(SimulatorConfig(**{"start_seconds": 0.5, **waha}), VirtualSimClock(virtual_loop()))
        self.waha: WahaServer = app.state.waha
        self.eye = Eye(Door(app, self.waha))
        self.wires: list[Wire] = []
        self.replicas: list[Replica] = []

    async def open(self, stack: AsyncExitStack, replicas: int) -> None:
        """Start everything."""
        stack.push_async_callback(self.waha.aclose)
        for _ in range(replicas):
            await self.add_replica(stack)

    async def add_replica(self, stack: AsyncExitStack) -> Replica:
        """One more gateway on the same database."""
        parts = gateway.app.build_gateway(
            self.settings, clock=self.clock, transports=lambda _url: self.eye, streams_of=self._wire
        )
        replica = Replica(parts)
        stack.push_async_callback(parts.stop)
        stack.push_async_callback(replica.client.aclose)
        await parts.start()
        await parts.dispatcher.stop()  # nothing is sent here, and it looks at its lanes each second
        self.replicas.append(replica)
        return replica

    def _wire(self, _: Member) -> Wire:
        wire = Wire(self.waha)
        self.wires.append(wire)
        return wire

    @property
    def api(self) -> Replica:
        """The only, or the first, gateway."""
        return self.replicas[0]

    def lose_events(self) -> None:
        """From now on no gateway hears what WAHA tells."""
        for wire in self.wires:
            wire.cut = True

    async def kill(self) -> None:
        """The first gateway ends as by `kill -9`: it writes nothing more."""
        db = self.api.gateway.db
        assert isinstance(db, VirtualDatabase)
        db.dead = True
        await self.api.gateway.stop()

    # --- what people do -----------------------------------------------------------------------------------------

    @property
    def session(self) -> RunningSession:
        """WAHA's engine object of Alice's session."""
        return self.waha.lifecycle.running[ALICE]

    def scan(self, phone: str = ALICE) -> None:
        """A phone scans the code that is shown."""
        assert self.session.scan(phone), f"no code is shown: {self.session.status}"

    async def run_out(self) -> None:
        """The open pairing runs out now, and the gateway hears of it."""
        await self.session.force(Status.FAILED)
        await self.state(SessionState.FAILED)

    async def pair(self, headers: dict[str, str] | None = None) -> dict[str, str]:
        """Connect Alice's number; gives the header with her token."""
        created = await self.api.create(headers=headers)
        token = {"X-Sender-Token": created["sender_token"]}
        await self.shows_code(token)
        self.scan()
        await self.state(SessionState.CONNECTED)
        return token

    async def shows_code(self, headers: dict[str, str] | None = None) -> Body:
        """Ask for the code until there is one."""

        async def code() -> Body | None:
            answer: Body = await self.api.qr(headers=headers)
            return answer if "qr_code" in answer else None

        found: Body = await self.until(code)
        return found

    # --- looking ------------------------------------------------------------------------------------------------

    async def until(self, look: Callable[[], Awaitable[Any]], within: float = 60.0, every: float = 0.25) -> Any:
        """Let time pass until `look` answers something; TimeoutError after `within` seconds."""
        async with asyncio.timeout(within):
            while not (found := await look()):
                await self.clock.sleep(every)
            return found

    async def row(self) -> AnyRow:
        """Alice's session as it is stored."""
        async with self.replicas[-1].gateway.db.read() as connection:
            found = await queries.find_session(connection, ALICE)
        assert found is not None
        return found

    async def state(self, state: SessionState, within: float = 60.0) -> None:
        """Let time pass until Alice's session is stored in this state."""

        async def reached() -> bool:
            return bool((await self.row()).state == state)

        await self.until(reached, within)

    async def waha_is(self, status: Status, within: float = 200.0) -> None:
        """Let time pass until WAHA has this status for Alice's session."""

        async def reached() -> bool:
            running = self.waha.lifecycle.running.get(ALICE)
            return running is not None and running.status is status

        await self.until(reached, within)

    def verbs(self) -> list[str]:
        """The lifecycle calls on Alice's session that WAHA has got, in order."""
        return [call.verb for call in self.waha.lifecycle.journal.calls if call.session == ALICE]
