"""A whole gateway in virtual time, in front of a simulated WAHA, with senders that are connected already.

`World` is what a test holds: it submits campaigns, breaks things, lets time pass and reads the ledger. Everything
between the service and WAHA's door is the product's own code; only the network and the clock are ours.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

import gateway.app
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.schemas import SendRequest
from campaigns.sending.tables import campaign, lane, message
from gateway.auth.access import Caller
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import AnyRow
from gateway.settings import DatabaseSettings, DispatchSettings, Settings, WahaServerSettings, WahaSettings
from gateway.simulator.app import create_app
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.events import Subscriber
from gateway.simulator.faults import parse_faults
from gateway.simulator.ledger import Ledger
from gateway.simulator.server import WahaServer
from gateway.simulator.stored import Status
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent, parse_event
from sessions.models import SessionState
from sessions.queries import ensure_sender, find_session, insert_session
from tests.harness.virtual_time import VirtualClock, VirtualDatabase, VirtualSimClock, virtual_loop

OPEN_CALLER = Caller(account_id=LOCAL_ACCOUNT)
SERVER_URL = "http://waha.test"
HOURS = 3600.0
FINAL = frozenset(
    {CampaignState.COMPLETED, CampaignState.COMPLETED_WITH_ERRORS, CampaignState.FAILED, CampaignState.CANCELLED}
)


def sender_number(index: int) -> str:
    """The digits of one of our numbers; there are 100."""
    return f"4477009000{index:02d}"


def recipient_numbers(count: int, first: int = 0) -> list[str]:
    """The digits of recipients; there are 800."""
    assert first + count <= 800
    return [str(447700900100 + first + index) for index in range(count)]


class Door(httpx.AsyncBaseTransport):
    """The way to a simulated server in this process: a dead one refuses, and a slow one runs into the timeout."""

    def __init__(self, app: Any, server: WahaServer) -> None:
        self._asgi = httpx.ASGITransport(app=app)
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request, as a network would."""
        if self._server.dead:
            raise httpx.ConnectError("connection refused", request=request)
        patience = request.extensions["timeout"]["read"]
        try:
            async with asyncio.timeout(patience):
                return await self._asgi.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None


class World:
    """One gateway, one simulated WAHA, and the senders between them. Made by the fixture `make_world`."""

    def __init__(self, database_url: str, folder: Path, *, waha: dict[str, Any], **dispatch: Any) -> None:
        self.clock = VirtualClock(virtual_loop())
        timeout = dispatch.pop("timeout_seconds", 150.0)
        self.settings = Settings(
            database=DatabaseSettings(url=database_url, data_folder=folder, notify=False),
            waha=WahaSettings(
                timeout_seconds=timeout,
                sweep_seconds=2,
                servers=[WahaServerSettings(name="waha", url=SERVER_URL)],
            ),
            dispatch=DispatchSettings(**{"sender_switch_delay": 0, **dispatch}),
        )
        config = SimulatorConfig(**{"latency_seconds": 0.1, "latency_jitter": False, **waha})
        app = create_app(config, VirtualSimClock(virtual_loop()))
        self.waha: WahaServer = app.state.waha
        self.door: httpx.AsyncBaseTransport = Door(app, self.waha)
        self.senders: list[str] = []
        self.gateway = self.build()
        self.hears = True
        self._events = Subscriber("*", ["message.ack", "message.any"])
        self.waha.events.subscribe(self._events)

    # --- life ---------------------------------------------------------------------------------------------------

    def build(self) -> gateway.app.Gateway:
        """Another replica on the same database; nothing of it runs yet."""
        return gateway.app.build_gateway(self.settings, clock=self.clock, transports=lambda _url: self.door)

    async def open(self, stack: AsyncExitStack, senders: int) -> None:
        """Start everything, with so many connected senders."""
        stack.push_async_callback(self.waha.aclose)
        await self.gateway.start()
        stack.push_async_callback(self._close)
        ears = asyncio.create_task(self._hear())
        stack.callback(ears.cancel)
        for index in range(senders):
            await self.connect(sender_number(index))

    async def _close(self) -> None:
        await self.gateway.stop()

    async def _hear(self) -> None:
        """Carry WAHA's events to the gateway, as the WebSocket would."""
        while (body := await self._events.queue.get()) is not None:
            heard = parse_event(body)
            if self.hears and isinstance(heard, MessageAckEvent | MessageAnyEvent):
                self.gateway.receipts.note(heard)

    async def connect(self, number: str) -> None:
        """Pair a number with the simulator, and store it as the gateway would have."""
        lifecycle = self.waha.lifecycle
        await lifecycle.create(number, {}, apps=None, start=True)
        await self.until(lambda: lifecycle.running[number].scan(number))
        await self.until(lambda: lifecycle.running[number].status is Status.WORKING)
        now = self.clock.now()
        async with self.gateway.db.write() as tx:
            sender_id = await ensure_sender(tx, number, LOCAL_ACCOUNT, now)
            await insert_session(
                tx,
                {
                    "sender_id": sender_id,
                    "server_id": self.gateway.fleet.members[0].id,
                    "name": number,
                    "state": SessionState.CONNECTED,
                    "waha_status": "WORKING",
                    "desired": "RUNNING",
                    "reason": "",
                    "push_name": "",
                    "paired_at": now,
                    "state_at": now,
                    "created_at": now,
                },
            )
        self.senders.append(number)

    async def stop(self) -> None:
        """Stop the gateway in an orderly way; the simulator lives on."""
        await self.gateway.stop()

    async def kill(self) -> None:
        """End the gateway as `kill -9` would: nothing more is written, and nothing in flight is waited for."""
        db = self.gateway.db
        assert isinstance(db, VirtualDatabase)
        db.dead = True
        await self.gateway.dispatcher.stop(grace_seconds=0.0)
        await self.gateway.stop()

    async def start(self) -> None:
        """A new process on the same database."""
        self.gateway = self.build()
        await self.gateway.start()

    # --- what people and WAHA do --------------------------------------------------------------------------------

    async def submit(
        self,
        recipients: int | Sequence[str],
        *,
        senders: Sequence[str] | None = None,
        key: str | None = None,
        **fields: Any,
    ) -> str:
        """Submit a campaign through `senders` (all of them unless told); returns its id."""
        numbers = self.senders if senders is None else senders
        phones = recipient_numbers(recipients) if isinstance(recipients, int) else recipients
        request = SendRequest.model_validate(
            {
                "sender_number": f"+{numbers[0]}",
                "sender_numbers": [f"+{number}" for number in numbers[1:]],
                "template": "hello",
                "recipients": [f"+{phone}" for phone in phones],
                **fields,
            }
        )
        answer = await self.gateway.campaigns.submit(OPEN_CALLER, request, key)
        return str(answer["campaign"]["id"])

    def faults(self, *, session: str | None = None, **faults: object) -> None:
        """Put faults in force at WAHA, of all sends or of one session's; without any all is well again."""
        if session is None:
            self.waha.sender.faults = parse_faults(faults)
        else:
            self.waha.sender.session_faults[session] = parse_faults(faults)

    async def fall(self, number: str) -> None:
        """A session loses its connection, and the gateway hears of it."""
        await self.waha.lifecycle.running[number].force(Status.FAILED)
        await self.until_state(number, SessionState.FAILED)

    async def rise(self, number: str) -> None:
        """It is back, and the gateway hears of it."""
        await self.waha.lifecycle.running[number].force(Status.WORKING)
        await self.until_state(number, SessionState.CONNECTED)

    # --- looking ------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """What WhatsApp took."""
        return self.waha.ledger

    @property
    def sent(self) -> int:
        """How many messages WhatsApp took."""
        return len(self.waha.ledger.transmissions)

    async def campaign(self, campaign_id: str) -> AnyRow:
        """A campaign's row."""
        return await self.gateway.steering.get(campaign_id, None)

    async def messages(self, campaign_id: str) -> Sequence[AnyRow]:
        """A campaign's messages in their order."""
        async with self.gateway.db.read() as connection:
            query = select(message).where(message.c.campaign_id == campaign_id).order_by(message.c.seq)
            return (await connection.execute(query)).all()

    async def states(self, campaign_id: str) -> list[str]:
        """The states of a campaign's messages in their order."""
        return [row.state for row in await self.messages(campaign_id)]

    async def lanes(self) -> Sequence[AnyRow]:
        """All lanes, in the order of their senders."""
        async with self.gateway.db.read() as connection:
            return (await connection.execute(select(lane).order_by(lane.c.sender_id))).all()

    async def until(
        self, condition: Callable[[], bool | Awaitable[bool]], within: float = 60.0, every: float = 0.05
    ) -> None:
        """Let time pass until `condition` holds, looking each `every` seconds; TimeoutError after `within`."""
        async with asyncio.timeout(within):
            while True:
                holds = condition()
                if await holds if inspect.isawaitable(holds) else holds:
                    return
                await asyncio.sleep(every)

    async def until_state(self, number: str, state: SessionState) -> None:
        """Let time pass until the gateway knows a session to be in `state`."""

        async def known() -> bool:
            async with self.gateway.db.read() as connection:
                row = await find_session(connection, number)
            return row is not None and row.state == state

        await self.until(known)

    async def until_sent(self, count: int, within: float = HOURS) -> None:
        """Let time pass until WhatsApp has taken so many messages."""
        await self.until(lambda: self.sent >= count, within)

    async def finish(self, campaign_id: str, within: float = HOURS) -> AnyRow:
        """Let time pass until a campaign has ended; its row."""

        async def ended() -> bool:
            return (await self.campaign(campaign_id)).state in FINAL

        await self.until(ended, within, every=1.0)
        return await self.campaign(campaign_id)

    async def check_counters(self) -> None:
        """Every campaign's counters are what its messages say."""
        async with self.gateway.db.read() as connection:
            campaigns = (await connection.execute(select(campaign))).all()
            messages = (await connection.execute(select(message.c.campaign_id, message.c.state))).all()
        for row in campaigns:
            states = [one.state for one in messages if one.campaign_id == row.id]
            told = {state: row._mapping[f"n_{state}"] for state in MessageState}
            assert told == {state: states.count(state) for state in MessageState}
            assert row.total == len(states)
            assert row.in_flight >= 0
