"""A gateway in this process, with connected senders and campaigns that are queued for a sink."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr
from sqlalchemy import func, insert, select

from bench.databases import database_url
from bench.filling import lengthen
from bench.numbers import RECIPIENTS, recipient_number, sender_number
from bench.sinks import RunningSink, running_sink
from campaigns.sending.schemas import SendRequest
from campaigns.sending.tables import campaign, message, server, session
from gateway import schema
from gateway.app import Gateway, build_gateway
from gateway.auth.access import Caller
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import read_now
from gateway.events import CampaignFinished
from gateway.heap import settle_heap
from gateway.settings import (
    DatabaseSettings,
    DispatchSettings,
    LimitsSettings,
    Settings,
    WahaServerSettings,
    WahaSettings,
)
from sessions.models import SessionState
from sessions.queries import ensure_sender

SHAPES = ("pool", "lanes")
"""One campaign through all senders, or one campaign for each sender."""
WEBHOOK_SECRET = "the secret of a benchmark"
LOOK_SECONDS = 0.05
SINK = "sink"
"""The name of the server that is none."""
UNLIMITED = {"pairings_per_minute": 0, "sends_per_hour": 0, "reads_per_minute": 0, "writes_per_minute": 0}
"""The limits per time that a benchmark would run into, switched off."""
TEXT = "Your parcel is on its way and will be with you today."


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: `messages` in all, through `senders`, paced by `message_delay` seconds."""

    messages: int
    senders: int
    message_delay: float
    shape: str

    @property
    def shape_in_words(self) -> str:
        """How a report tells it."""
        return "one campaign" if self.shape == "pool" else "a campaign for each"

    def campaigns(self) -> list[SendRequest]:
        """The requests that submit this load."""
        senders = [sender_number(index) for index in range(self.senders)]
        if self.shape == "pool":
            recipients = [recipient_number(index) for index in range(self.messages)]
            return [_request(senders, recipients)]
        share, more = divmod(self.messages, self.senders)
        counts = [share + (index < more) for index in range(self.senders)]
        return [
            _request([number], [recipient_number(index) for index in range(count)])
            for number, count in zip(senders, counts, strict=True)
            if count
        ]


def _request(senders: list[str], recipients: list[str]) -> SendRequest:
    return SendRequest(
        sender_number=f"+{senders[0]}",
        sender_numbers=[f"+{number}" for number in senders[1:]],
        recipients=[f"+{number}" for number in recipients],
        template=TEXT,
    )


@dataclass(frozen=True, slots=True)
class Spent:
    """What something took: from `started_at` (monotonic), in seconds by the clock and of this process's CPU."""

    started_at: float
    seconds: float
    cpu_seconds: float


class Stopwatch:
    """Counts from when it was made."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._cpu = time.process_time()

    def read(self) -> Spent:
        """What it took so far."""
        return Spent(self._started_at, time.monotonic() - self._started_at, time.process_time() - self._cpu)


@dataclass(slots=True)
class Stage:
    """A gateway that is ready to start, with its load queued; and the sink that it will send to."""

    sink: RunningSink
    gateway: Gateway
    campaigns: int

    async def run(self) -> Spent:
        """Start the gateway and wait until every campaign has ended; counts from when the dispatcher started.

        Raises:
            RuntimeError: the dispatcher has stopped before.
        """
        left, ended = self.campaigns, asyncio.Event()

        def count(_: CampaignFinished) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                ended.set()

        self.gateway.bus.subscribe(CampaignFinished, count)
        await self._start()
        watch = Stopwatch()
        while not await self.gateway.clock.wait(ended, 1.0):
            if not self.gateway.dispatcher.running:
                raise RuntimeError("the dispatcher has stopped before its work was done")
        return watch.read()

    async def run_for(self, messages: int) -> tuple[int, Spent]:
        """Start the gateway, wait until so many messages are on disk as sent, and stop sending.

        Returns how many were there, and what they took.

        Raises:
            RuntimeError: the dispatcher has stopped before.
        """
        before = done = await self.sent()
        await self._start()
        watch = Stopwatch()
        while done - before < messages:
            if not self.gateway.dispatcher.running:
                raise RuntimeError("the dispatcher has stopped before its work was done")
            await self.gateway.clock.sleep(LOOK_SECONDS)
            done = await self.sent()
        spent = watch.read()
        await self.gateway.dispatcher.stop()
        return done - before, spent

    async def until_settled(self, messages: int) -> None:
        """Wait until this gateway has settled so many, while `run` runs it and sees to it that it lives."""
        while self.gateway.dispatcher.settled < messages:
            await self.gateway.clock.sleep(LOOK_SECONDS)

    async def _start(self) -> None:
        settle_heap()  # as `gateway serve` does
        await self.gateway.start()

    async def sent(self) -> int:
        """How many messages the campaigns count as sent."""
        async with self.gateway.db.read() as connection:
            return int((await connection.execute(select(func.sum(campaign.c.n_sent)))).scalar_one())

    async def states(self) -> dict[str, int]:
        """How many messages the database has in each state."""
        async with self.gateway.db.read() as connection:
            rows = await connection.execute(
                select(message.c.state, func.count().label("messages")).group_by(message.c.state)
            )
            return {row.state: row.messages for row in rows}

    async def stored_ids(self) -> set[str]:
        """The WhatsApp ids of all messages that the database calls sent."""
        async with self.gateway.db.read() as connection:
            rows = await connection.execute(select(message.c.wa_id).where(message.c.state == "sent"))
            return set(rows.scalars())


@dataclass(frozen=True, slots=True)
class Prepared:
    """A load in a database, and the sink that it will be sent to."""

    sink: RunningSink
    settings: Settings
    campaigns: int

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[Stage]:
        """A gateway for what is queued; it is stopped after the block, and what it left can be staged again."""
        gateway = _build(self.settings)
        try:
            yield Stage(self.sink, gateway, self.campaigns)
        finally:
            await gateway.stop()


@asynccontextmanager
async def prepared(load: Load, database: str, latency: float = 0.0, queued: int = 0) -> AsyncIterator[Prepared]:
    """Sink and database for `load`; all of it is gone after the block.

    The load is queued by a gateway that sends nothing. With `queued` its campaigns are made longer behind its back,
    until there are so many messages: see `filling`.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="waha-gateway-bench-")))
        url = await stack.enter_async_context(database_url(database, folder))
        sink = await stack.enter_async_context(running_sink(load.senders, latency))
        settings = settings_for(load, url, folder, sink.url)
        requests = load.campaigns()
        await fill(settings, requests, load)
        if queued > load.messages:
            await lengthen(url, queued)
        yield Prepared(sink, settings, len(requests))


@asynccontextmanager
async def set_stage(load: Load, database: str, latency: float = 0.0) -> AsyncIterator[Stage]:
    """Sink, database and gateway for `load`; all of it is gone after the block.

    The load is queued by one gateway and sent by another one, as after a restart: so nothing leaves while it is
    still being submitted.
    """
    async with prepared(load, database, latency) as ready, ready.stage() as stage:
        yield stage


def settings_for(load: Load, url: str, folder: Path, sink_url: str) -> Settings:
    """The settings of a gateway that sends `load` to a sink."""
    return Settings(
        database=DatabaseSettings(url=url, data_folder=folder),
        waha=WahaSettings(
            servers=[WahaServerSettings(name=SINK, url=sink_url, capacity=load.senders)],
            webhook_secret=SecretStr(WEBHOOK_SECRET),
        ),
        dispatch=DispatchSettings(message_delay=load.message_delay, sender_switch_delay=0),
        limits=LimitsSettings(recipients_per_campaign=RECIPIENTS, **UNLIMITED),
    )


def _build(settings: Settings) -> Gateway:
    # the network it is, but without the event stream, which the sink does not speak
    return build_gateway(settings, transports=lambda _url: None)


async def fill(settings: Settings, requests: Sequence[SendRequest], load: Load, *, paused: bool = False) -> list[str]:
    """Connect the senders and submit `requests` by a gateway that sends nothing; gives the campaigns' ids."""
    gateway = _build(settings)
    try:
        await schema.migrate(gateway.db)
        await gateway.fleet.load(settings.waha.servers)
        await _connect_senders(gateway, [sender_number(index) for index in range(load.senders)])
        answers = [await gateway.campaigns.submit(Caller(account_id=LOCAL_ACCOUNT), request) for request in requests]
        campaigns = [str(answer["campaign"]["id"]) for answer in answers]
        if paused:
            for campaign_id in campaigns:
                await gateway.steering.pause(campaign_id, None)
        return campaigns
    finally:
        await gateway.stop()


async def _connect_senders(gateway: Gateway, numbers: Sequence[str]) -> None:
    """Store a session for each number, connected as the sink says that it is."""
    async with gateway.db.write() as tx:
        now = await read_now(tx)
        server_id = (await tx.execute(select(server.c.id))).scalar_one()
        ids = [await ensure_sender(tx, number, LOCAL_ACCOUNT, now) for number in numbers]
        rows = [_session(sender_id, name, server_id, now) for sender_id, name in zip(ids, numbers, strict=True)]
        await tx.execute(insert(session), rows)


def _session(sender_id: int, name: str, server_id: str, now: float) -> Mapping[str, object]:
    return {
        "sender_id": sender_id,
        "server_id": server_id,
        "name": name,
        "state": SessionState.CONNECTED,
        "waha_status": "WORKING",
        "desired": "RUNNING",
        "reason": "",
        "push_name": "bench",
        "requires_auth": False,
        "paired_at": now,
        "state_at": now,
        "created_at": now,
    }
