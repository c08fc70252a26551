"""Hearing: what people write, from the event streams into the inbox.

`note` only remembers; one task takes in what came (`gateway/batch_writing.py`). Where WhatsApp tells a hidden id only,
the message is stored under that; `audience/correspondents.py` asks WAHA for the number, and tells it here.

What the database refuses for now is kept and tried again. A message that it refuses for good would hold up all others:
such a batch is taken in one by one, and what fails then is logged and left out.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.inbox.intake import NOTHING, Identified, Incoming, Outcome, Taken, identify, take_in_all
from campaigns.inbox.models import MAX_TEXT, Kind
from campaigns.inbox.queries import Line, find_lines
from campaigns.inbox.wishes import Wishes
from gateway.batch_writing import Batch, BatchWriter, Fault
from gateway.clock import Clock
from gateway.db import AnyRow, Database, DatabaseAway
from gateway.events import CampaignFinished, EventBus
from gateway.waha.ids import ChatKind, make_lid, parse_chat_id
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent, MessageContent
from sessions.servers.fleet import Member

T = TypeVar("T")
Storing = Callable[[AsyncConnection, Sequence[T]], Awaitable[Outcome | Taken]]

log = structlog.get_logger()

KEEP_NOTED = 10_000
"""How many messages may wait for the database before whoever brings more has to wait."""
BATCH = 250
GATHER_SECONDS = 0.01
"""How long to wait for more where more than one came: many at once cost little more than one, for us and the disk."""
MAX_PHONE = 15


@dataclass(frozen=True, slots=True)
class Noted:
    """A message as an event told it; `phone` are digits, `at` is epoch seconds."""

    line: Line
    phone: str | None
    lid: str | None
    wa_id: str
    text: str = field(repr=False)
    kind: str
    at: float
    quoted_wa_id: str | None
    push_name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Revealed:
    """WAHA has told a session whose a hidden id is; `phone` are digits."""

    line: Line
    lid: str
    phone: str


class _Batch(Batch):
    """Messages, and what was revealed of those who wrote them."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Noted] = []
        self.revealed: list[Revealed] = []

    def __len__(self) -> int:
        return len(self.noted) + len(self.revealed)


class Hearing(BatchWriter[_Batch]):
    """Takes incoming messages, by whatever way they came, into the inbox.

    `phone_of` gives the number behind a hidden id at a server, where that is known already, and `wishes` hears who
    opts out.
    """

    def __init__(
        self,
        db: Database,
        bus: EventBus,
        clock: Clock,
        phone_of: Callable[[str, str], str | None],
        wishes: Wishes,
        *,
        reply_days: float,
    ) -> None:
        super().__init__(clock, _Batch, most=KEEP_NOTED, name="inbox")
        self._wishes = wishes
        self._db = db
        self._bus = bus
        self._phone_of = phone_of
        self._reply_days = reply_days

    def note(self, member: Member, event: MessageAckEvent | MessageAnyEvent) -> None:
        """Remember a message that came in; never waits. Ours, receipts, groups, status and channels are passed over."""
        if isinstance(event, MessageAnyEvent) and (noted := self.read(member.id, event)) is not None:
            self._next.noted.append(noted)
            self._was_noted()

    def read(self, server_id: str, event: MessageAnyEvent) -> Noted | None:
        """What an event says of a message that came in; None where it is about none."""
        chat = parse_chat_id(event.chat_id)
        if event.from_me is not False or event.content is None or chat is None or chat.kind is ChatKind.GROUP:
            return None
        phone, lid = (chat.digits, None) if chat.kind is ChatKind.PHONE else (None, make_lid(chat.digits))
        if lid is not None:
            phone = self._phone_of(server_id, lid)
        if phone is not None and len(phone) > MAX_PHONE:
            log.info("incoming_passed_over", reason="no number is that long", session=event.session)
            return None
        return Noted(
            line=Line(server_id, event.session),
            phone=phone,
            lid=lid,
            wa_id=event.message_id,
            text=event.content.text[:MAX_TEXT],
            kind=_kind(event.content),
            at=_written_at(event, self._clock.now()),
            quoted_wa_id=event.content.quoted_id,
            push_name=event.content.push_name or "",
        )

    def reveal(self, member: Member, session: str, lid: str, phone: str) -> None:
        """A hidden id turned out to be a number (digits); never waits."""
        self._next.revealed.append(Revealed(Line(member.id, session), lid, phone))
        self._was_noted()

    # --- the task -----------------------------------------------------------------------------------------------

    async def _gather(self) -> None:
        if self._last_size > 1 and len(self._next.noted) < BATCH:
            await self._clock.wait(self._stopped, GATHER_SECONDS)

    async def _write_all(self, batch: _Batch) -> Fault | None:
        """Some at a time, messages before what was revealed of those who wrote them."""
        noted, revealed = list(batch.noted), list(batch.revealed)
        try:
            await self._store_some(noted, self._take)
            await self._store_some(revealed, self._identify)
        except (DatabaseAway, OSError) as error:
            log.error("inbox_waits", error=str(error), count=len(noted))
            self._next.noted[:0] = noted
            self._next.revealed[:0] = revealed
            return error
        return None

    async def _store_some(self, rest: list[T], store: Storing[T]) -> None:
        """Store from the front of a list until it is empty; what is stored is taken off."""
        while rest:
            await self._in_turn(rest[:BATCH], store)
            del rest[:BATCH]

    async def _in_turn(self, items: Sequence[T], store: Storing[T]) -> None:
        """Store some together; where that fails for good, one by one, without those that fail again."""
        try:
            await self._write(items, store)
        except DatabaseAway:
            raise
        except SQLAlchemyError:
            if len(items) == 1:
                log.exception("incoming_left_out")
                return
            for item in items:
                await self._in_turn([item], store)

    async def _write(self, items: Sequence[T], store: Storing[T]) -> None:
        async with self._db.write() as tx:
            outcome = await store(tx, items)
        for campaign_id, state in outcome.ended:
            self._bus.publish(CampaignFinished(campaign_id, state))
        await self._wishes.confirm_all(outcome.confirmable)

    async def _take(self, tx: AsyncConnection, noted: Sequence[Noted]) -> Outcome | Taken:
        lines = await find_lines(tx, {one.line for one in noted})
        incoming = [_incoming(one, lines[one.line]) for one in noted if one.line in lines]
        if len(incoming) < len(noted):
            log.debug("incoming_passed_over", reason="not a session of ours", count=len(noted) - len(incoming))
        if not incoming:
            return NOTHING
        taken = await take_in_all(tx, incoming, reply_days=self._reply_days, hear=self._wishes.hear)
        return taken[0]

    async def _identify(self, tx: AsyncConnection, revealed: Sequence[Revealed]) -> Outcome:
        lines = await find_lines(tx, {one.line for one in revealed})
        known = [Identified(lines[one.line].account_id, one.lid, one.phone) for one in revealed if one.line in lines]
        return await identify(tx, known, reply_days=self._reply_days, hear=self._wishes.hear) if known else NOTHING


def _incoming(one: Noted, sender: AnyRow) -> Incoming:
    return Incoming(
        account_id=sender.account_id,
        sender_id=sender.sender_id,
        sender_number=sender.number,
        phone=one.phone,
        contact_lid=one.lid,
        wa_id=one.wa_id,
        text=one.text,
        kind=one.kind,
        at=one.at,
        quoted_wa_id=one.quoted_wa_id,
        push_name=one.push_name,
    )


def _kind(content: MessageContent) -> Kind:
    if content.has_media:
        return Kind.MEDIA
    if content.has_location:
        return Kind.LOCATION
    if content.has_contact:
        return Kind.CONTACT
    return Kind.TEXT if content.text else Kind.OTHER


def _written_at(event: MessageAnyEvent, now: float) -> float:
    """When it was written: WhatsApp tells whole seconds, and the event's own time the order within one."""
    told = event.timestamp / 1000 if event.timestamp else now
    written = event.content.written_at if event.content else None
    return told if written is None else min(max(told, written), written + 0.999)
