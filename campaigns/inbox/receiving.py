"""Messages that somebody posts, instead of WAHA telling them: in a plain form, or as WAHA's own event.

Who posts has shown that they may: by a credential, for their own numbers, or by WAHA's signature, for all of them.
"""

from dataclasses import dataclass
from uuid import uuid4

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.correspondents import Correspondents
from campaigns.inbox.hearing import Hearing, Noted
from campaigns.inbox.intake import Incoming, take_in
from campaigns.inbox.models import Kind
from campaigns.inbox.queries import lines_named
from campaigns.inbox.wishes import Wishes
from gateway.auth.access import Caller
from gateway.db import AnyRow, Database, read_now
from gateway.errors import NotFound, ServiceUnavailable
from gateway.events import CampaignFinished, EventBus
from gateway.waha.schemas import MessageAnyEvent
from sessions.news.intake import Intake
from sessions.ownership import require_senders
from sessions.queries import ensure_sender, sender
from sessions.servers.fleet import Fleet

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Posted:
    """A message in the plain form: digits of both numbers. Without an id each post is a message of its own."""

    sender: str
    receiver: str
    content: str
    wa_id: str | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ReceivingParts:
    """What receiving stands on."""

    db: Database
    bus: EventBus
    fleet: Fleet
    intake: Intake
    hearing: Hearing
    correspondents: Correspondents
    reply_days: float
    wishes: Wishes


class Receiving:
    """Takes posted messages; when it returns they are stored. `caller` is None where WAHA has signed."""

    def __init__(self, parts: ReceivingParts) -> None:
        self._parts = parts

    async def take(self, caller: Caller | None, posted: Posted) -> float:
        """Take a message in the plain form; gives the time that it is stored with.

        Raises:
            NotFound: the receiver is no number of the caller's.
        """
        parts = self._parts
        if caller is not None:
            await require_senders(parts.db, caller, [posted.receiver])
        async with parts.db.write() as tx:
            now = await read_now(tx)
            row = await _sender(tx, caller, posted.receiver, now)
            at = now if posted.at is None else min(posted.at, now)
            incoming = Incoming(
                account_id=row.account_id,
                sender_id=row.id,
                sender_number=posted.receiver,
                phone=posted.sender,
                contact_lid=None,
                wa_id=posted.wa_id or f"posted-{uuid4()}",
                text=posted.content,
                kind=Kind.TEXT,
                at=at,
            )
            taken = await take_in(tx, incoming, reply_days=parts.reply_days, hear=parts.wishes.hear)
        for campaign_id, state in taken.ended:
            parts.bus.publish(CampaignFinished(campaign_id, state))
        await parts.wishes.confirm_all(taken.confirmable)
        return at

    async def hear(
        self, caller: Caller | None, server_id: str | None, event: MessageAnyEvent
    ) -> tuple[Noted, str] | None:
        """Take an event of WAHA's; what it says that came in, and to which number of ours (digits); None where to none.

        Raises:
            NotFound: the number is not the caller's.
            ServiceUnavailable: it cannot be taken now.
        """
        parts = self._parts
        async with parts.db.read() as connection:
            lines = await lines_named(connection, event.session)
        lines = [row for row in lines if server_id in (None, row.server_id)]
        if len(lines) != 1:
            log.debug("posted_event_passed_over", reason="not one session of ours", session=event.session)
            return None
        if caller is not None:
            await require_senders(parts.db, caller, [lines[0].number])
        member = parts.fleet.member(lines[0].server_id)
        if member is None or parts.intake.is_full:
            raise ServiceUnavailable("it cannot be taken just now; tell it again in some seconds")
        noted = parts.hearing.read(member.id, event)
        if caller is None:
            await parts.intake.accept(member, event)
        elif noted is not None:  # of the rest only WAHA's own word counts
            parts.correspondents.note(member, event)
            parts.hearing.note(member, event)
            await parts.hearing.written()
        return None if noted is None else (noted, lines[0].number)


async def _sender(tx: AsyncConnection, caller: Caller | None, number: str, now: float) -> AnyRow:
    """The sender with a number: one that its caller may use is made if it was not there."""
    if caller is not None:
        await ensure_sender(tx, number, caller.account_id, now)
    row: AnyRow | None = (
        await tx.execute(select(sender.c.id, sender.c.account_id).where(sender.c.number == number))
    ).first()
    if row is None:
        raise NotFound("the receiver is no number of ours")
    return row
