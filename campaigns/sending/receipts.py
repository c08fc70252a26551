"""Receipts: WhatsApp's word on messages that were sent, taken in batches.

`note` only remembers; one task writes what came, many at a time: whatever is noted while a batch is written is the
next one. Who has to know that it is on disk waits for it (`written`), and who brings more than the database takes is
held up (`room`). One for an id that we do not know (yet) is kept for a while, because an engine that chooses its own
ids may tell a receipt before the answer with that id was stored.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.sending.lanes import look_at_settled
from campaigns.sending.receipt_writing import Key, stronger, write_receipts
from gateway.clock import Clock
from gateway.db import Database, DatabaseAway
from gateway.events import CampaignHalted, EventBus
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent

log = structlog.get_logger()

KEEP_UNKNOWN = 10_000
KEEP_NOTED = 10_000
"""How many receipts may wait for the database before whoever brings more has to wait."""
BATCH = 500
RETRY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 8.0
KEEP_UNKNOWN_SECONDS = 60.0


@dataclass(slots=True)
class _Batch:
    """What is written together, and how that ended."""

    acks: dict[Key, int] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: SQLAlchemyError | OSError | None = None

    def add(self, key: Key, ack: int) -> None:
        self.acks[key] = stronger(self.acks.get(key), ack)

    def end(self, error: SQLAlchemyError | OSError | None = None) -> None:
        self.error = error
        self.ended.set()


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A receipt that is about no message of ours so far; times are monotonic."""

    ack: int
    until: float
    ask_at: float
    pause: float


class Receipts:
    """Takes receipts, by whatever way they came, and writes them."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._next = _Batch()
        self._writing: _Batch | None = None
        self._unknown: OrderedDict[Key, _Unknown] = OrderedDict()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note(self, event: MessageAckEvent | MessageAnyEvent) -> None:
        """Remember what an event says about a message of ours; never waits."""
        ack = event.ack
        if isinstance(event, MessageAnyEvent):
            if not event.from_me:
                return
            ack = max(event.ack or 0, 0)  # WAHA has it; whether WhatsApp took it is for a receipt to say
        self._next.add(Key(event.session, event.message_id), ack or 0)
        self._wake.set()
        if self.is_full:
            self._room.clear()

    @property
    def is_full(self) -> bool:
        """Whether more is noted than should be kept in memory."""
        return len(self._next.acks) >= KEEP_NOTED

    async def room(self) -> None:
        """Wait while more is noted than should be kept in memory."""
        await self._room.wait()

    async def written(self) -> None:
        """Wait until all that was noted before is committed.

        Raises:
            SQLAlchemyError, OSError: it could not be written now; it is kept and tried again.
        """
        batch = self._next if self._next.acks else self._writing
        if batch is None:
            return
        if self._stopped.is_set() and batch is self._next:
            raise DatabaseAway("the gateway is stopping")
        await batch.ended.wait()
        if batch.error is not None:
            raise batch.error

    def start(self) -> None:
        """Begin to write, on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="receipts")

    async def stop(self) -> None:
        """Write what was noted, and end."""
        self._stopped.set()
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopped.is_set():
            await self._clock.wait(self._wake, RETRY_SECONDS if self._unknown else None)
            self._wake.clear()
            if not await self._flush():
                await self._clock.wait(self._stopped, RETRY_SECONDS)
                self._wake.set()
        await self._flush()
        self._next.end(DatabaseAway("the gateway has stopped"))

    async def _flush(self) -> bool:
        """Write all that is noted; what the database refuses is kept for the next time. Whether all went well."""
        batch, self._next = self._next, _Batch()
        self._writing = batch
        self._room.set()
        error = await self._write_all(batch)
        self._writing = None
        batch.end(error)
        if self.is_full:
            self._room.clear()
        return error is None

    async def _write_all(self, batch: _Batch) -> SQLAlchemyError | OSError | None:
        now = self._clock.monotonic()
        for key, unknown in self._unknown.items():
            if key in batch.acks or now >= unknown.ask_at:
                batch.add(key, unknown.ack)
        keys = list(batch.acks)
        for start in range(0, len(keys), BATCH):
            some = {key: batch.acks[key] for key in keys[start : start + BATCH]}
            try:
                ours = await self._write(some)
            except (SQLAlchemyError, OSError) as error:
                log.error("receipts_failed", error=str(error), count=len(keys) - start)
                for key in keys[start:]:
                    self._next.add(key, batch.acks[key])
                return error
            self._remember(some, ours, now)
        return None

    async def _write(self, acks: Mapping[Key, int]) -> set[Key]:
        async with self._db.write() as tx:
            written = await write_receipts(tx, acks)
        for campaign_id in written.paused:
            log.warning("campaign_paused_itself", campaign_id=campaign_id, reason="WhatsApp refused its first messages")
            self._bus.publish(CampaignHalted(campaign_id))
        if written.settled:
            async with self._db.write() as tx:  # of its own: lanes are locked before messages, everywhere
                await look_at_settled(tx, written.settled)
        return written.ours

    def _remember(self, acks: Mapping[Key, int], ours: set[Key], now: float) -> None:
        """Keep what is about no message of ours, to be asked again after more and more time, for a while."""
        for key, ack in acks.items():
            before = self._unknown.pop(key, None)
            if key in ours:
                continue
            if before is None:
                log.debug("receipt_of_no_message_of_ours", session=key.session, level=ack)
                self._unknown[key] = _Unknown(ack, now + KEEP_UNKNOWN_SECONDS, now + RETRY_SECONDS, RETRY_SECONDS)
            elif now < before.ask_at:
                self._unknown[key] = replace(before, ack=ack)
            elif now < before.until:
                pause = min(before.pause * 2, LONGEST_PAUSE_SECONDS)
                self._unknown[key] = _Unknown(ack, before.until, now + pause, pause)
        while len(self._unknown) > KEEP_UNKNOWN:
            self._unknown.popitem(last=False)
