"""What the tests of events share: a database, listeners, and facts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert, select

from gateway.db import Database
from gateway.notifications.models import EVERYBODY, IDLE
from gateway.notifications.outbox import Fact
from gateway.notifications.tables import event, listener

ALICE = "447700900001"
BERT = "447700900002"


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A migrated database."""
    database = Database(database_url)
    yield database
    await database.close()


async def listen(
    db: Database, account_id: str = EVERYBODY, number: str | None = None, *, until: float = IDLE, key: str = "somebody"
) -> None:
    """Somebody listens."""
    async with db.write() as tx:
        await tx.execute(insert(listener).values(key=key, account_id=account_id, sender_number=number, until=until))


async def told(db: Database) -> list[Any]:
    """The events that were written, in the order of their numbers, and those without one at the end."""
    query = select(event).order_by(event.c.sequence.is_(None), event.c.sequence, event.c.id)
    async with db.read() as connection:
        return list((await connection.execute(query)).all())


def sent(account_id: str = "local", number: str | None = ALICE, **data: Any) -> Fact:
    """A fact."""
    return Fact("message.sent", account_id, data, sender_number=number)
