"""Receipts: WhatsApp's word on messages that were sent, taken in batches.

`note` only remembers; one task writes what came, many at a time. A receipt moves a message forward and never
back; a repeated one changes nothing. One for an id that we do not know (yet) is kept for a while, because an
engine that chooses its own ids may tell a receipt before the answer with that id was stored.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.lanes import look_at_settled
from campaigns.sending.models import MESSAGE_TRANSITIONS, MessageState
from campaigns.sending.tables import campaign, message
from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent

log = structlog.get_logger()

KEEP_UNKNOWN = 10_000
BATCH = 500
RETRY_SECONDS = 1.0
KEEP_UNKNOWN_SECONDS = 60.0

_STATE_OF_ACK = {
    1: MessageState.SENT,
    2: MessageState.DELIVERED,
    3: MessageState.READ,
    4: MessageState.READ,
}
_STRENGTH = {level: strength for strength, level in enumerate((0, -1, 1, 2, 3, 4))}
_LOCK = (
    select(message.c.id, message.c.campaign_id, message.c.wa_id, message.c.state, message.c.ack, message.c.uncertain_at)
    .where(message.c.wa_id.in_(bindparam("ids", expanding=True)))
    .order_by(message.c.id)
    .with_for_update()
)
_MOVE = (
    update(message)
    .where(message.c.id == bindparam("b_id"))
    .values(
        state=bindparam("b_state"),
        ack=bindparam("b_ack"),
        sent_at=func.coalesce(message.c.sent_at, bindparam("b_sent_at")),
        delivered_at=func.coalesce(message.c.delivered_at, bindparam("b_delivered_at")),
        read_at=func.coalesce(message.c.read_at, bindparam("b_read_at")),
        finished_at=func.coalesce(bindparam("b_finished_at"), message.c.finished_at),
        error_code=bindparam("b_error_code"),
        error=bindparam("b_error"),
    )
)
_COUNTERS = tuple(f"n_{state}" for state in MessageState)
_COUNT = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"))
    .values({name: campaign.c[name] + bindparam(f"b_{name}") for name in _COUNTERS})
)


def after_receipt(state: MessageState, ack: int, known: int | None, *, uncertain: bool) -> MessageState | None:
    """The state that a receipt moves a message to; None if it stays.

    A receipt proves that WhatsApp has the message, so it also settles one that was uncertain. An error counts only
    if nothing better was ever heard. A message in flight is moved by `sent` only if nobody waits for its answer. Level
    0 says only that WAHA has handed the message over, as its 201 does.
    """
    unsettled = state is MessageState.UNCONFIRMED or (state is MessageState.SENDING and uncertain)
    if ack == 0:
        return MessageState.SENT if unsettled else None
    if ack < 0:
        refused = state in (MessageState.SENT, MessageState.SENDING, MessageState.UNCONFIRMED)
        return MessageState.FAILED if refused and (known is None or known < 1) else None
    after = _STATE_OF_ACK.get(ack)
    if after is None or after not in MESSAGE_TRANSITIONS[state]:
        return None
    if after is MessageState.SENT and state is MessageState.SENDING and not uncertain:
        return None  # its answer is on its way and says the same, with the time
    return after


class Receipts:
    """Takes receipts from the event streams and writes them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._acks: dict[str, int] = {}
        self._unknown: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._ask_again_at = 0.0
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def note(self, event: MessageAckEvent | MessageAnyEvent) -> None:
        """Remember what an event says about a message of ours; never waits."""
        ack = event.ack
        if isinstance(event, MessageAnyEvent):
            if not event.from_me:
                return
            ack = max(event.ack or 0, 0)  # WAHA has it; whether WhatsApp took it is for a receipt to say
        self._acks[event.message_id] = stronger(self._acks.get(event.message_id), ack or 0)
        self._wake.set()

    def start(self) -> None:
        """Begin to write, on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="receipts")

    async def stop(self) -> None:
        """Write what was noted, and end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping:
            await self._clock.wait(self._wake, RETRY_SECONDS if self._unknown or self._acks else None)
            self._wake.clear()
            await self._flush()
        await self._flush()

    async def _flush(self) -> None:
        """Write all that is noted; what the database refuses is kept for the next time."""
        pending, self._acks = self._acks, {}
        now = self._clock.monotonic()
        asking = now >= self._ask_again_at
        if asking:
            self._ask_again_at = now + RETRY_SECONDS
        for key, (ack, _) in self._unknown.items():
            if asking or key in pending:
                pending[key] = stronger(pending.get(key), ack)
        keys = list(pending)
        for start in range(0, len(keys), BATCH):
            batch = {key: pending[key] for key in keys[start : start + BATCH]}
            try:
                ours = await self._write(batch)
            except (SQLAlchemyError, OSError) as error:
                log.error("receipts_failed", error=str(error), count=len(keys) - start)
                for key in keys[start:]:
                    self._acks[key] = stronger(self._acks.get(key), pending[key])
                return
            self._remember(batch, ours, now)

    async def _write(self, acks: Mapping[str, int]) -> set[str]:
        async with self._db.write() as tx:
            written = await write_receipts(tx, acks)
        if written.settled:
            async with self._db.write() as tx:  # of its own: lanes are locked before messages, everywhere
                await look_at_settled(tx, written.settled)
        return written.ours

    def _remember(self, batch: Mapping[str, int], ours: set[str], now: float) -> None:
        for key, ack in batch.items():
            _, until = self._unknown.pop(key, (0, now + KEEP_UNKNOWN_SECONDS))
            if key not in ours and now < until:
                self._unknown[key] = (ack, until)
        while len(self._unknown) > KEEP_UNKNOWN:
            self._unknown.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Written:
    """What receipts were about: WhatsApp ids that are ours, and messages that they settled."""

    ours: set[str]
    settled: list[str]


def stronger(known: int | None, ack: int) -> int:
    """The level that says more: an error says more than "handed over", and any proof of arrival says more than it."""
    return ack if known is None or _STRENGTH[ack] > _STRENGTH[known] else known


async def write_receipts(tx: AsyncConnection, acks: Mapping[str, int]) -> Written:
    """Move the messages that `acks` (by WhatsApp id) are about."""
    now = await read_now(tx)
    rows = (await tx.execute(_LOCK, {"ids": list(acks)})).all()
    changes: list[dict[str, Any]] = []
    settled: list[str] = []
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys((f"b_{name}" for name in _COUNTERS), 0))
    for row in rows:
        before = MessageState(row.state)
        ack = acks[row.wa_id]
        after = after_receipt(before, ack, row.ack, uncertain=row.uncertain_at is not None)
        best = stronger(row.ack, ack)
        if after is None and best == row.ack:
            continue
        after = after or before
        changes.append(_change(row, after, best, now))
        if before is MessageState.SENDING and after is not before and row.uncertain_at is not None:
            settled.append(row.id)
        if after is not before:
            counts[row.campaign_id][f"b_n_{before}"] -= 1
            counts[row.campaign_id][f"b_n_{after}"] += 1
    if changes:
        await tx.execute(_MOVE, changes)
    if counts:
        await tx.execute(_COUNT, [{"b_id": key, **counts[key]} for key in sorted(counts)])
    return Written({row.wa_id for row in rows}, settled)


def _change(row: AnyRow, after: MessageState, ack: int, now: float) -> dict[str, Any]:
    arrived = after in (MessageState.DELIVERED, MessageState.READ)
    failed = after is MessageState.FAILED
    return {
        "b_id": row.id,
        "b_state": after,
        "b_ack": ack,
        "b_sent_at": now if arrived or after is MessageState.SENT else None,
        "b_delivered_at": now if arrived else None,
        "b_read_at": now if after is MessageState.READ else None,
        "b_finished_at": now if failed else None,
        "b_error_code": "refused_by_whatsapp" if failed else None,
        "b_error": "WhatsApp refused it after WAHA had taken it" if failed else None,
    }
