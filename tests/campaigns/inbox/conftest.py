"""An account with a sender on each kind of database, and people who write to it."""

import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import insert, select

from campaigns.inbox.intake import Identified, Incoming, Outcome, Taken, identify, take_in, take_in_all
from campaigns.inbox.tables import contact, conversation, identity, incoming_message
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.tables import campaign, campaign_sender, message
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.ids import make_id
from sessions.queries import ensure_sender
from tests.api.conftest import MakeWorld, empty_database
from tests.api.conftest import make_world as make_api_world

__all__ = ["MakeWorld", "empty_database", "make_api_world"]

ALICE, BERT = "447700900001", "447700900002"
ADA, BEN = "447700900100", "447700900101"
ADA_LID, BEN_LID = "100000000000001@lid", "100000000000002@lid"
NOON = 1_790_000_000.0
DAY = 86_400.0


class SetClock(Clock):
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> float:
        return self.at


class Inbox:
    """The tables of the inbox, and short ways to fill and read them."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = NOON
        self.senders: dict[str, int] = {}
        self._ids = itertools.count(1)
        self._seq = itertools.count()

    async def open(self) -> None:
        """Two senders of the local account."""
        async with self.db.write() as tx:
            self.now = await read_now(tx)
            for number in (ALICE, BERT):
                self.senders[number] = await ensure_sender(tx, number, LOCAL_ACCOUNT, self.now)

    def said(self, text: str = "hello", *, to: str = ALICE, **fields: Any) -> Incoming:
        """A message of Ada's to Alice, unless told otherwise."""
        usual: dict[str, Any] = {
            "account_id": LOCAL_ACCOUNT,
            "sender_id": self.senders[to],
            "sender_number": to,
            "phone": ADA,
            "contact_lid": None,
            "wa_id": f"3EB0{next(self._ids):018X}",
            "text": text,
            "kind": "text",
            "at": self.now - 10,
        }
        return Incoming(**usual | fields)

    async def take(self, incoming: Incoming, **options: Any) -> Taken:
        """Take one message in, in a transaction of its own."""
        async with self.db.write() as tx:
            return await take_in(tx, incoming, **options)

    async def take_all(self, incoming: Sequence[Incoming]) -> list[Taken]:
        """Take messages in, in one transaction."""
        async with self.db.write() as tx:
            return await take_in_all(tx, incoming)

    async def identify(self, lid: str, phone: str) -> Outcome:
        """WAHA has told whose a hidden id is."""
        async with self.db.write() as tx:
            return await identify(tx, [Identified(LOCAL_ACCOUNT, lid, phone)])

    async def sent(
        self, phone: str = ADA, *, by: str = ALICE, ago: float = 60.0, campaign_id: str | None = None, **fields: Any
    ) -> AnyRow:
        """A message that has left, of a campaign of its own unless told otherwise; gives its row."""
        sent = {"state": MessageState.SENT, "sent_at": self.now - ago, "sender_id": self.senders[by]}
        return await self._message(phone, campaign_id or await self.campaign(by=by), sent | fields)

    async def queued(self, phone: str = ADA, *, campaign_id: str, **fields: Any) -> AnyRow:
        """A message that waits."""
        return await self._message(phone, campaign_id, {"state": MessageState.QUEUED} | fields)

    async def campaign(self, *, by: str = ALICE, **fields: Any) -> str:
        """A running campaign without messages; gives its id."""
        usual = {
            "id": make_id(self.now),
            "account_id": LOCAL_ACCOUNT,
            "sender_number": by,
            "template": "Hello",
            "state": CampaignState.RUNNING,
            "created_at": self.now,
        }
        async with self.db.write() as tx:
            await tx.execute(insert(campaign).values(usual | fields))
            place = {"campaign_id": usual["id"], "sender_id": self.senders[by], "position": 0}
            await tx.execute(insert(campaign_sender).values(place))
        return str(usual["id"])

    async def _message(self, phone: str, campaign_id: str, fields: dict[str, Any]) -> AnyRow:
        seq = next(self._seq)
        row = {
            "id": make_id(self.now),
            "campaign_id": campaign_id,
            "seq": seq,
            "phone": phone,
            "wa_id": f"3EB0FFFF{seq:014X}",
            "created_at": self.now - 100,
        }
        counter = campaign.c[f"n_{fields['state']}"]
        async with self.db.write() as tx:
            found: AnyRow = (await tx.execute(insert(message).values(row | fields).returning(message))).one()
            counts = {counter: counter + 1, campaign.c.total: campaign.c.total + 1}
            await tx.execute(campaign.update().where(campaign.c.id == campaign_id).values(counts))
        return found

    async def rows(self, table: Any) -> Sequence[AnyRow]:
        """All rows of a table."""
        async with self.db.read() as connection:
            return (await connection.execute(select(table))).all()

    async def threads(self) -> dict[str, list[str]]:
        """The texts of each thread, in their order, by the number of its contact (or its hidden id)."""
        query = (
            select(conversation.c.sender_id, contact.c.id, contact.c.phone, incoming_message.c.text)
            .join(contact, contact.c.id == conversation.c.contact_id)
            .join(incoming_message, incoming_message.c.conversation_id == conversation.c.id)
            .order_by(incoming_message.c.at, incoming_message.c.id)
        )
        names = {row.contact_id: row.name for row in await self.rows(identity)}
        found: dict[str, list[str]] = {}
        async with self.db.read() as connection:
            for row in (await connection.execute(query)).all():
                found.setdefault(row.phone or names[row.id], []).append(row.text)
        return found


@pytest.fixture
async def inbox(database_url: str) -> AsyncIterator[Inbox]:
    """The inbox on a fresh database of each kind; nothing else runs."""
    db = Database(database_url, SetClock())
    box = Inbox(db)
    await box.open()
    yield box
    await db.close()
