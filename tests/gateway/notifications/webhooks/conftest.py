"""Webhooks on a database of each kind, in virtual time, with real HTTP to receivers on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver
from sqlalchemy import select

from gateway.auth.access import Caller
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import AnyRow
from gateway.events import EventBus
from gateway.guarded import Rules
from gateway.limits.meter import Meter
from gateway.limits.windows import MemoryWindows
from gateway.notifications.numbering import Numbering
from gateway.notifications.outbox import Fact, tell
from gateway.notifications.webhooks.deliverer import Deliverer
from gateway.notifications.webhooks.fanning import fan_out
from gateway.notifications.webhooks.posting import Poster
from gateway.notifications.webhooks.schemas import WebhookIn
from gateway.notifications.webhooks.service import WebhookService
from gateway.notifications.webhooks.serving import ServingParts
from gateway.notifications.webhooks.tables import delivery, endpoint
from gateway.vault import Vault
from tests.harness.receiver import SECRET, Receiver, Say
from tests.harness.virtual_time import VirtualClock, VirtualDatabase, virtual_loop

OWNER = Caller(account_id=LOCAL_ACCOUNT)
OPERATOR = Caller(account_id=LOCAL_ACCOUNT, is_admin=True)
CAMPAIGN = "01a1fb76-b031-7b43-9d8e-a57d616216a1"
ANYWHERE = Rules(True, (), "")


class Replica:
    """One process's share of webhooks: it makes them, numbers events, and delivers."""

    def __init__(self, url: str, folder: Path, name: str, rules: Rules, resolver: AbstractResolver | None) -> None:
        clock = VirtualClock(virtual_loop())
        self._loop: asyncio.Task[None] | None = None
        self.bus = EventBus()
        self.db = VirtualDatabase(url, clock)
        self.numbering = Numbering(self.db, self.bus, clock, [fan_out])
        poster = Poster(clock, rules, resolver_of=None if resolver is None else lambda: resolver)
        parts = ServingParts(self.db, clock, Vault(folder), poster, name)
        self.deliverer = Deliverer(parts, self.bus, poll_seconds=300)
        self.service = WebhookService(parts, rules, self.deliverer, Meter(MemoryWindows(clock), clock, {}))

    def start(self) -> None:
        self._loop = asyncio.create_task(self._number())
        self.deliverer.start()

    async def _number(self) -> None:
        """As the numbering's own loop, but that it never looks without being told: a day has 86,400 seconds."""
        while True:
            await self.db.told.wait()
            self.db.told.clear()
            if not await self.numbering.number():
                self.db.told.set()
            await asyncio.sleep(0.03)

    async def kill(self) -> None:
        """As `kill -9`: nothing more is written, and nobody says goodbye."""
        self.db.dead = True
        await self.stop()

    async def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await self.deliverer.stop()
        await self.db.close()


class Stage:
    """Replicas on one database, and receivers."""

    def __init__(self, stack: AsyncExitStack, url: str, folder: Path) -> None:
        self._stack = stack
        self._url = url
        self._folder = folder
        self._told = 0
        self.replicas: list[Replica] = []

    async def replica(
        self, *, running: bool = True, rules: Rules = ANYWHERE, resolver: AbstractResolver | None = None
    ) -> Replica:
        """One process more."""
        replica = Replica(self._url, self._folder, f"replica {len(self.replicas)}", rules, resolver)
        self.replicas.append(replica)
        self._stack.push_async_callback(replica.stop)
        if running:
            replica.start()
        return replica

    @property
    def first(self) -> Replica:
        return self.replicas[0]

    async def receiver(self, says: Callable[[int], Say] | None = None) -> Receiver:
        """A receiver that listens, without an endpoint."""
        receiver = Receiver() if says is None else Receiver(says)
        return await self._stack.enter_async_context(receiver.listening())

    async def endpoint(self, url: str, caller: Caller = OWNER, **fields: Any) -> str:
        """An endpoint at this address; gives its id."""
        body = WebhookIn.model_validate({"url": url, "events": ["*"], "secret": SECRET, **fields})
        return str((await self.first.service.create(caller, body))["id"])

    async def tell(
        self,
        count: int = 1,
        *,
        kind: str = "message.sent",
        account_id: str = LOCAL_ACCOUNT,
        campaign: str | None = CAMPAIGN,
    ) -> None:
        """So many facts in one transaction, with a number `n` that goes on."""
        numbers = range(self._told, self._told + count)
        self._told += count
        async with self.first.db.write() as tx:
            await tell(tx, [Fact(kind, account_id, {"n": n}, campaign_id=campaign) for n in numbers])
        await asyncio.sleep(0.001)  # events of one moment have no order

    async def deliveries(self, endpoint_id: str) -> list[AnyRow]:
        """All deliveries of an endpoint, in order."""
        query = select(delivery).where(delivery.c.endpoint_id == endpoint_id).order_by(delivery.c.event_id)
        async with self.first.db.read() as connection:
            return list((await connection.execute(query)).all())

    async def settled(self, endpoint_id: str) -> list[AnyRow]:
        """All deliveries of an endpoint, once each was tried."""
        async with asyncio.timeout(86_400):
            while True:
                rows = await self.deliveries(endpoint_id)
                if rows and all(row.attempts for row in rows):
                    return rows
                await asyncio.sleep(1)

    async def row(self, endpoint_id: str) -> AnyRow:
        """An endpoint's row."""
        async with self.first.db.read() as connection:
            return (await connection.execute(select(endpoint).where(endpoint.c.id == endpoint_id))).one()


MakeStage = Callable[[], Awaitable[Stage]]


@pytest.fixture
async def make_stage(database_url: str, tmp_path: Path) -> AsyncIterator[MakeStage]:
    """A stage without a replica."""
    async with AsyncExitStack() as stack:

        async def make() -> Stage:
            return Stage(stack, database_url, tmp_path)

        yield make


@pytest.fixture
async def stage(make_stage: MakeStage) -> Stage:
    """A stage with one replica that runs."""
    made = await make_stage()
    await made.replica()
    return made
