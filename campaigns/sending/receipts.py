"""Receipts: WhatsApp's word on messages that were sent, taken in batches.

`note` only remembers; one task writes what came (`gateway/batch_writing.py`). One for an id that we do not know (yet)
is kept for a while, because an engine that chooses its own ids may tell a receipt before the answer with that id was
stored.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.sending.lanes import look_at_settled, note_left
from campaigns.sending.receipt_writing import Key, stronger, write_receipts
from gateway.batch_writing import RETRY_SECONDS, Batch, BatchWriter, Fault
from gateway.clock import Clock
from gateway.db import Database
from gateway.events import CampaignFinished, CampaignHalted, EventBus
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent

log = structlog.get_logger()

KEEP_UNKNOWN = 10_000
KEEP_NOTED = 10_000
"""How many receipts may wait for the database before whoever brings more has to wait."""
BATCH = 500
LONGEST_PAUSE_SECONDS = 8.0
KEEP_UNKNOWN_SECONDS = 60.0


class _Batch(Batch):
    """The strongest word on each message."""

    def __init__(self) -> None:
        super().__init__()
        self.acks: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self.acks)

    def add(self, key: Key, ack: int) -> None:
        self.acks[key] = stronger(self.acks.get(key), ack)


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A receipt that is about no message of ours so far; times are monotonic."""

    ack: int
    until: float
    ask_at: float
    pause: float


class Receipts(BatchWriter[_Batch]):
    """Takes receipts, by whatever way they came, and writes them."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock) -> None:
        super().__init__(clock, _Batch, most=KEEP_NOTED, name="receipts")
        self._db = db
        self._bus = bus
        self._unknown: OrderedDict[Key, _Unknown] = OrderedDict()

    def note(self, event: MessageAckEvent | MessageAnyEvent) -> None:
        """Remember what an event says about a message of ours; never waits."""
        ack = event.ack
        if isinstance(event, MessageAnyEvent):
            if not event.from_me:
                return
            ack = max(event.ack or 0, 0)  # WAHA has it; whether WhatsApp took it is for a receipt to say
        self._next.add(Key(event.session, event.message_id), ack or 0)
        self._was_noted()

    def _look_again_after(self) -> float | None:
        return RETRY_SECONDS if self._unknown else None

    async def _write_all(self, batch: _Batch) -> Fault | None:
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
        for campaign_id, state in written.finished:
            log.info("campaign_finished", campaign_id=campaign_id, state=state)
            self._bus.publish(CampaignFinished(campaign_id, state))
        if written.settled or written.left_through:
            async with self._db.write() as tx:  # of its own: lanes are locked before messages, everywhere
                await look_at_settled(tx, written.settled)
                await note_left(tx, written.left_through)
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
