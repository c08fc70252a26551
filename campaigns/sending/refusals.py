"""Refusals that come as a receipt: some engines answer well, and tell later that WhatsApp refused, but not why.

Where the session's account is locked by then, that was why. So WAHA is asked after such receipts; if there is a lock,
the sender is locked, and what was refused waits for another sender or for the end of the lock, under a new id: the old
one may be told of again. A campaign that has ended stays ended; its message then says why it failed.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.lanes import wake_campaign
from campaigns.sending.models import OPEN_STATES, MessageState
from campaigns.sending.receipt_writing import REFUSED_CODE
from campaigns.sending.tables import campaign, correspondent, lane, message, sender, session
from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.events import EventBus, WorkAdded
from gateway.waha.errors import WahaError
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent
from sessions import limits
from sessions.history import Diary
from sessions.servers.fleet import Member

log = structlog.get_logger()

ASK_SECONDS = 1.0
"""How long after a refusal WAHA is asked: by then the receipt is written, and the lock is told."""
TRIES = 5
KEEP_IN_MEMORY = 10_000
LOCKED_CODE = "number_lock"
LOCKED = "WhatsApp refused it: it does not let this number write to new contacts for now"

_REFUSED = (
    select(
        message.c.id,
        message.c.campaign_id,
        message.c.sender_id,
        message.c.attempts,
        sender.c.number,
        campaign.c.failover,
        campaign.c.state.in_(OPEN_STATES).label("open"),
        exists(
            select(correspondent.c.phone).where(
                correspondent.c.sender_id == message.c.sender_id, correspondent.c.phone == message.c.phone
            )
        ).label("wrote_to_us"),
    )
    .select_from(
        message.join(sender, sender.c.id == message.c.sender_id)
        .join(session, session.c.sender_id == message.c.sender_id)
        .join(campaign, campaign.c.id == message.c.campaign_id)
    )
    .where(
        message.c.state == MessageState.FAILED,
        message.c.error_code == REFUSED_CODE,
        # while a lane still waits for the answer to this send, the answer must find the message as it is
        ~exists(select(lane.c.sender_id).where(lane.c.message_id == message.c.id)),
    )
    .order_by(message.c.campaign_id, message.c.id)
    .with_for_update(of=(message, campaign))
)
_CAMPAIGNS = (
    select(message.c.campaign_id)
    .distinct()
    .where(message.c.wa_id.in_(bindparam("ids", expanding=True)))
    .order_by(message.c.campaign_id)
)


@dataclass(slots=True)
class _Refused:
    """The ids of one session's refused messages, each with how often it was looked for."""

    member: Member
    session: str
    ids: dict[str, int]


class Refusals:
    """Takes refusals from the event streams, and finds out whether they were about a lock."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._heard: OrderedDict[tuple[str, str], _Refused] = OrderedDict()
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note(self, member: Member, event: MessageAckEvent | MessageAnyEvent) -> None:
        """Remember a refusal; never waits."""
        if not isinstance(event, MessageAckEvent) or event.ack >= 0:
            return
        refused = self._heard.setdefault((member.id, event.session), _Refused(member, event.session, {}))
        if len(refused.ids) < KEEP_IN_MEMORY:
            refused.ids.setdefault(event.message_id, 0)
        self._wake.set()

    def start(self) -> None:
        """Begin to ask, on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="refusals")

    async def stop(self) -> None:
        """End; what was not found out stays failed."""
        self._stopped.set()
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopped.is_set():
            await self._clock.wait(self._wake, None)
            self._wake.clear()
            await self._clock.wait(self._stopped, ASK_SECONDS)
            heard, self._heard = self._heard, OrderedDict()
            for refused in heard.values():
                if not self._stopped.is_set():
                    await self._find_out(refused)

    async def _find_out(self, refused: _Refused) -> None:
        try:
            me = await refused.member.client.get_me(refused.session)
            until = limits.told_end(me.timelock, self._clock.now()) if me is not None else None
            if until is None:
                return  # not about a lock, as far as anybody tells
            found = await self._put_back(refused, until)
        except (WahaError, SQLAlchemyError, OSError) as error:
            log.warning("refusal_not_explained", session=refused.session, error=str(error))
            found = False
        if not found:
            self._look_again(refused)

    def _look_again(self, refused: _Refused) -> None:
        """Some are not written yet, or nobody answered: a few times more."""
        left = {wa_id: tries + 1 for wa_id, tries in refused.ids.items() if tries + 1 < TRIES}
        if left:
            kept = self._heard.setdefault(
                (refused.member.id, refused.session), _Refused(refused.member, refused.session, {})
            )
            kept.ids |= left
            self._wake.set()

    async def _put_back(self, refused: _Refused, until: float) -> bool:
        """Lock the sender and have its refused messages wait; whether all of them were there."""
        diary = Diary()
        async with self._db.write() as tx:
            # lanes are locked before messages, everywhere; that they are looked at once too often does no harm
            for campaign_id in (await tx.execute(_CAMPAIGNS, {"ids": list(refused.ids)})).scalars().all():
                await wake_campaign(tx, campaign_id)
            now = await read_now(tx)
            rows = (
                await tx.execute(
                    _REFUSED.where(
                        message.c.wa_id.in_(list(refused.ids)),
                        session.c.server_id == refused.member.id,
                        session.c.name == refused.session,
                    )
                )
            ).all()
            for row in rows[:1]:
                await limits.lock(tx, row.sender_id, row.number, until, LOCKED, now, diary)
            again = await _queue_again(tx, rows)
        diary.tell(self._bus)
        if again:
            self._bus.publish(WorkAdded())
        return len(rows) >= len(refused.ids)


async def _queue_again(tx: AsyncConnection, rows: Sequence[AnyRow]) -> bool:
    """Queue what may go through another sender or later; the others say why they failed. Whether there was any.

    Somebody who wrote to this sender is no new contact, and was refused all the same: that is not tried again.
    """
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        values: dict[str, object] = {"error_code": LOCKED_CODE, "error": LOCKED}
        if row.open and not row.wrote_to_us:
            counts[row.campaign_id] += 1
            values |= {
                "state": MessageState.QUEUED,
                "sender_id": None if row.failover else row.sender_id,
                "attempts": row.attempts - 1,
                **dict.fromkeys(("wa_id", "ack", "sent_at", "finished_at", "uncertain_at")),
            }
        await tx.execute(update(message).where(message.c.id == row.id).values(**values))
    for campaign_id in sorted(counts):
        await tx.execute(
            update(campaign)
            .where(campaign.c.id == campaign_id)
            .values(
                n_failed=campaign.c.n_failed - counts[campaign_id],
                n_queued=campaign.c.n_queued + counts[campaign_id],
                next_at=campaign.c.next_at * 0.0,  # found anew, where messages have times of their own
            )
        )
    return bool(counts)
