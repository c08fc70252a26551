"""Who wrote to us: people whom a sender may answer also while WhatsApp lets it write to nobody new.

`note` only remembers; one task writes what came, many at a time. WhatsApp often names people by a hidden id (`@lid`)
only: then WAHA is asked for the number, a few times at most. Nothing waits for any of this, and what is lost by a crash
costs at most a message that waits longer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy import case, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.models import Correspondent
from gateway.clock import Clock
from gateway.db import Database, table_of
from gateway.waha.errors import WahaError
from gateway.waha.ids import ChatKind, parse_chat_id
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent
from sessions.models import Session
from sessions.servers.fleet import Member

K = TypeVar("K")
V = TypeVar("V")

log = structlog.get_logger()
correspondent = table_of(Correspondent)
session = table_of(Session)

KEEP_IN_MEMORY = 10_000
BATCH = 500
ASK_AT_ONCE = 8
RETRY_SECONDS = 5.0
TRIES = 5
FRESH_SECONDS = 3600.0
"""Who wrote within this time is not written again: it matters that somebody did, not when to the minute."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One session's chat with one person, by the digits of the number or by the hidden id."""

    server_id: str
    session: str
    who: str


@dataclass(slots=True)
class _Question:
    """A hidden id to be resolved."""

    member: Member
    wrote_at: float
    tries: int = 0
    ask_at: float = 0.0


class Correspondents:
    """Takes incoming messages from the event streams and writes who sent them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._heard: OrderedDict[_Line, float] = OrderedDict()
        self._hidden: OrderedDict[_Line, _Question] = OrderedDict()
        self._phones: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._fresh: OrderedDict[_Line, float] = OrderedDict()
        self._told: list[Callable[[Member, str, str, str], None]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def on_phone(self, told: Callable[[Member, str, str, str], None]) -> None:
        """From now on call `told` with the session, the hidden id and its number (digits) whenever WAHA tells one."""
        self._told.append(told)

    def phone_of(self, server_id: str, lid: str) -> str | None:
        """The number (digits) behind a hidden id, if a server has told it lately."""
        return self._phones.get((server_id, lid))

    def note(self, member: Member, event: MessageAckEvent | MessageAnyEvent) -> None:
        """Remember who wrote to a session; never waits. What we sent, receipts, groups and channels are passed over."""
        if not isinstance(event, MessageAnyEvent) or event.from_me is not False:
            return
        chat = parse_chat_id(event.chat_id)
        if chat is None or event.chat_id is None or chat.kind is ChatKind.GROUP:
            return
        now = self._clock.now()
        wrote_at = min(event.timestamp / 1000, now) if event.timestamp else now
        if chat.kind is ChatKind.PHONE:
            self._hear(_Line(member.id, event.session, chat.digits), wrote_at)
            return
        if phone := self._phones.get((member.id, event.chat_id)):
            self._hear(_Line(member.id, event.session, phone), wrote_at)
            return
        line = _Line(member.id, event.session, event.chat_id)
        self._hidden.setdefault(line, _Question(member, wrote_at)).wrote_at = wrote_at
        _trim(self._hidden)
        self._wake.set()

    def start(self) -> None:
        """Begin to write, on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="correspondents")

    async def stop(self) -> None:
        """Write what was heard, and end; hidden ids that are not resolved yet are given up."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    # --- the task -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            await self._clock.wait(self._wake, RETRY_SECONDS if self._heard or self._hidden else None)
            self._wake.clear()
            await self._flush()
            await self._resolve()
        await self._flush()

    def _hear(self, line: _Line, wrote_at: float) -> None:
        if wrote_at - self._fresh.get(line, 0.0) < FRESH_SECONDS:
            return
        self._heard[line] = max(wrote_at, self._heard.get(line, 0.0))
        _trim(self._heard)
        self._wake.set()

    async def _flush(self) -> None:
        """Write all that was heard; what the database refuses is kept for the next time."""
        heard, self._heard = self._heard, OrderedDict()
        lines = list(heard)
        for start in range(0, len(lines), BATCH):
            batch = {line: heard[line] for line in lines[start : start + BATCH]}
            try:
                async with self._db.write() as tx:
                    await write_correspondents(tx, [(*_key(line), wrote_at) for line, wrote_at in batch.items()])
            except (SQLAlchemyError, OSError) as error:
                log.error("correspondents_failed", error=str(error), count=len(lines) - start)
                for line in lines[start:]:
                    self._heard.setdefault(line, heard[line])
                return
            self._fresh |= batch
            _trim(self._fresh)

    async def _resolve(self) -> None:
        """Ask WAHA for the numbers behind the hidden ids that are due, some at a time."""
        now = self._clock.monotonic()
        due = [line for line, question in self._hidden.items() if question.ask_at <= now][:ASK_AT_ONCE]
        if due:
            await asyncio.gather(*(self._ask(line, self._hidden[line]) for line in due))
            self._wake.set()  # to write what was told, and to ask for the next ones

    async def _ask(self, line: _Line, question: _Question) -> None:
        question.tries += 1
        question.ask_at = self._clock.monotonic() + RETRY_SECONDS * 2**question.tries
        phone = self._phones.get((line.server_id, line.who))  # another session may have been told meanwhile
        if phone is None:
            phone = await self._phone_of(line, question)
        if phone is not None:
            self._phones[line.server_id, line.who] = phone
            _trim(self._phones)
            self._hear(_Line(line.server_id, line.session, phone), question.wrote_at)
            for told in self._told:
                told(question.member, line.session, line.who, phone)
        elif question.tries < TRIES:
            return
        else:
            log.warning("hidden_id_unknown", session=line.session, tries=question.tries)
        self._hidden.pop(line, None)

    async def _phone_of(self, line: _Line, question: _Question) -> str | None:
        """The number that WAHA has for a hidden id; None where it knows none, or does not answer."""
        try:
            return await question.member.client.phone_of_lid(line.session, line.who)
        except WahaError as error:
            log.info("hidden_id_unanswered", session=line.session, tries=question.tries, error=str(error))
            return None


async def write_correspondents(tx: AsyncConnection, heard: Sequence[tuple[str, str, str, float]]) -> None:
    """Store who wrote: entries of server id, session name, digits, and when; unknown sessions are passed over."""
    senders = await _senders(tx, {(server_id, name) for server_id, name, _, _ in heard})
    rows: dict[tuple[int, str], float] = {}
    for server_id, name, phone, wrote_at in heard:
        sender_id = senders.get((server_id, name))
        if sender_id is not None:
            for spelling in spellings(phone):
                rows[sender_id, spelling] = max(wrote_at, rows.get((sender_id, spelling), 0.0))
    if not rows:
        return
    upsert = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(correspondent)
    known, told = correspondent.c.wrote_at, upsert.excluded.wrote_at
    await tx.execute(
        upsert.on_conflict_do_update(
            index_elements=["sender_id", "phone"], set_={"wrote_at": case((told > known, told), else_=known)}
        ),
        [{"sender_id": key[0], "phone": key[1], "wrote_at": rows[key]} for key in sorted(rows)],
    )


async def _senders(tx: AsyncConnection, wanted: set[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
    rows = await tx.execute(
        select(session.c.server_id, session.c.name, session.c.sender_id).where(
            session.c.server_id.in_({key[0] for key in wanted}), session.c.name.in_({key[1] for key in wanted})
        )
    )
    return {(row.server_id, row.name): row.sender_id for row in rows}


def spellings(phone: str) -> Iterator[str]:
    """The numbers under which one person may be in our lists: in Brazil with and without the ninth digit."""
    yield phone
    if phone.startswith("55") and len(phone) == 12 and phone[4] in "6789":  # a mobile number as before 2012
        yield f"{phone[:4]}9{phone[4:]}"
    elif phone.startswith("55") and len(phone) == 13 and phone[4] == "9":
        yield phone[:4] + phone[5:]


def _key(line: _Line) -> tuple[str, str, str]:
    return line.server_id, line.session, line.who


def _trim(kept: OrderedDict[K, V]) -> None:
    while len(kept) > KEEP_IN_MEMORY:
        kept.popitem(last=False)
