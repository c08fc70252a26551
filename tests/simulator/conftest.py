"""A simulated server in the test's own process, its clock so fast that minutes pass in milliseconds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import orjson
import pytest

from gateway.listening import listen
from gateway.simulator.app import create_app
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.events import Subscriber
from gateway.simulator.serve import build_server
from gateway.simulator.server import WahaServer
from gateway.simulator.stored import SessionStore
from tests.harness.virtual_time import VirtualLoop, VirtualSimClock

FAST = 1000.0
SENDER = "447700900123"
RECIPIENT = "12125550101"
CHAT = f"{RECIPIENT}@c.us"
MESSAGE_ID = "3EB0AAAAAAAAAAAAAAAAAA"


class Watch:
    """Reads a server's events in order, so that a test waits for a fact and never for a time."""

    def __init__(self, server: WahaServer, *events: str) -> None:
        self._subscriber = Subscriber("*", events or ["*"])
        server.events.subscribe(self._subscriber)

    async def next(self, event: str, **payload: Any) -> dict[str, Any]:
        """The next event of that name whose payload has those fields; others are passed over."""
        while True:
            body = await self._subscriber.queue.get()
            assert body is not None, "the server ended its event stream"
            envelope: dict[str, Any] = orjson.loads(body)
            told = envelope["payload"]
            if envelope["event"] == event and all(told.get(key) == value for key, value in payload.items()):
                return envelope

    def heard(self) -> list[dict[str, Any]]:
        """Whatever was told until now and not read yet."""
        bodies = [self._subscriber.queue.get_nowait() for _ in range(self._subscriber.queue.qsize())]
        return [orjson.loads(body) for body in bodies if body is not None]


class Simulated:
    """A simulated server, a client of it, and a watch on its events."""

    def __init__(self, server: WahaServer, client: httpx.AsyncClient) -> None:
        self.server = server
        self.client = client
        self.watch = Watch(server)

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request with a JSON body."""
        return await self.client.request(method, path, json=body)

    async def create(self, name: str = SENDER, **config: Any) -> None:
        """Create and start a session, unpaired."""
        answer = await self.call("POST", "/api/sessions", {"name": name, "config": config})
        assert answer.status_code == 201

    async def show_qr(self, name: str = SENDER, **config: Any) -> None:
        """A session that shows its first QR."""
        await self.create(name, **config)
        await self.watch.next("session.status", name=name, status="SCAN_QR_CODE")

    async def scan(self, name: str = SENDER, phone: str = SENDER) -> httpx.Response:
        """Let a phone scan the QR of a session."""
        return await self.call("POST", f"/sim/sessions/{name}/scan", {"phone": phone})

    async def pair(self, name: str = SENDER, phone: str = SENDER, **config: Any) -> None:
        """A session that works."""
        await self.show_qr(name, **config)
        assert (await self.scan(name, phone)).status_code == 200
        await self.watch.next("session.status", name=name, status="WORKING")

    async def send(self, **fields: Any) -> httpx.Response:
        """Send a text, with other fields if told."""
        body = {"session": SENDER, "chatId": CHAT, "text": "hello", "id": MESSAGE_ID, **fields}
        return await self.call("POST", "/api/sendText", {k: v for k, v in body.items() if v is not None})

    async def begin_sending(self) -> asyncio.Task[httpx.Response]:
        """Start a send and return when the server is at work on it."""
        sending = asyncio.create_task(self.send())
        session = self.server.lifecycle.running[SENDER]
        while session.activity_ms is None:
            await self.server.clock.sleep(0.1)
        return sending

    async def act(self, verb: str, name: str = SENDER) -> int:
        """One lifecycle call; its HTTP status."""
        return (await self.call("POST", f"/api/sessions/{name}/{verb}")).status_code

    async def tell(self, path: str, body: Any = None) -> Any:
        """Tell the simulator something under `/sim/`; its answer, which must be a success."""
        answer = await self.call("POST", f"/sim/{path}", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def statuses(self, until: str, *, count: int = 1, name: str = SENDER) -> list[str]:
        """The statuses that a session tells from now on, until one of them was told `count` times."""
        told: list[str] = []
        while told.count(until) < count:
            told.append((await self.watch.next("session.status", name=name))["payload"]["status"])
        return told

    async def listed(self, query: str = "?all=true") -> dict[str, str]:
        """The status of each session that is listed."""
        return {one["name"]: one["status"] for one in (await self.call("GET", f"/api/sessions{query}")).json()}

    async def status(self, name: str = SENDER) -> str:
        """The session's status as the API tells it."""
        return str((await self.call("GET", f"/api/sessions/{name}")).json()["status"])

    async def ledger(self) -> list[dict[str, Any]]:
        """All transmissions."""
        transmissions: list[dict[str, Any]] = (await self.call("GET", "/sim/ledger")).json()["transmissions"]
        return transmissions

    async def refusals(self) -> list[str]:
        """Why sends did not reach WhatsApp, in order."""
        return [one["reason"] for one in (await self.call("GET", "/sim/ledger")).json()["refusals"]]

    async def faults(self, **faults: Any) -> None:
        """Put faults in force."""
        assert (await self.call("PUT", "/sim/faults", faults)).status_code == 200


Simulate = Callable[..., Awaitable[Simulated]]


@pytest.fixture
async def simulate() -> AsyncIterator[Simulate]:
    """Make a simulated server behind an ASGI transport: no latency and a fast clock unless told.

    In a test that is marked `virtual_time` its clock is the loop's. Servers with one `store` share their disk.
    """
    async with AsyncExitStack() as stack:

        async def make(store: SessionStore | None = None, **settings: Any) -> Simulated:
            loop = asyncio.get_running_loop()
            clock = VirtualSimClock(loop) if isinstance(loop, VirtualLoop) else None
            config = SimulatorConfig(**{"speed": FAST, "latency_seconds": 0.0, **settings})
            app = create_app(config, clock, store)
            transport = httpx.ASGITransport(app=app)
            client = httpx.AsyncClient(transport=transport, base_url="http://waha.test")
            await stack.enter_async_context(client)
            stack.push_async_callback(app.state.waha.aclose)
            return Simulated(app.state.waha, client)

        yield make


@pytest.fixture
async def simulate_on_a_port() -> AsyncIterator[Simulate]:
    """Make a simulated server on a real port of the loopback interface."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> Simulated:
            app = create_app(SimulatorConfig(**{"speed": FAST, "latency_seconds": 0.0, **settings}))
            listener = listen("127.0.0.1", 0)
            server = build_server(app)
            running = asyncio.create_task(server.serve(sockets=[listener]))

            async def stop() -> None:
                server.should_exit = True
                await running

            stack.push_async_callback(stop)
            port = listener.getsockname()[1]
            client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)
            await stack.enter_async_context(client)
            return Simulated(app.state.waha, client)

        yield make
