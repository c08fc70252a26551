"""Which numbers are on WhatsApp, and under which chat id: WhatsApp's answers, kept for 30 days."""

from collections import OrderedDict
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.models import NumberCheck as StoredCheck
from gateway.db import Database, table_of
from gateway.waha.schemas import NumberCheck

number_check = table_of(StoredCheck)

KEEP_SECONDS = 30 * 86_400.0
IN_MEMORY = 10_000
BRAZIL = "55"

Policy = Literal["off", "brazil", "all"]


class CheckedNumbers:
    """The answers that are known, some of them in memory. Times are epoch seconds of the database's clock."""

    def __init__(self, db: Database, policy: Policy) -> None:
        self._db = db
        self._policy = policy
        self._known: OrderedDict[str, tuple[NumberCheck, float]] = OrderedDict()

    def covers(self, phone: str) -> bool:
        """Whether `phone` (digits) is to be checked before anything is sent to it."""
        if self._policy == "brazil":
            return phone.startswith(BRAZIL)
        return self._policy == "all"

    async def find(self, phone: str) -> NumberCheck | None:
        """What is known of a number; None if it was not asked within 30 days."""
        known = await self.find_dated(phone)
        return None if known is None else known[0]

    async def find_dated(self, phone: str) -> tuple[NumberCheck, float] | None:
        """The same, and when that was told."""
        now = self._db.clock.now()
        if phone not in self._known:
            async with self._db.read() as connection:
                row = (await connection.execute(select(number_check).where(number_check.c.phone == phone))).first()
            if row is None:
                return None
            self._remember(phone, NumberCheck(row.exists, row.chat_id), row.checked_at)
        check, checked_at = self._known[phone]
        self._known.move_to_end(phone)
        return (check, checked_at) if now - checked_at < KEEP_SECONDS else None

    async def store(self, tx: AsyncConnection, phone: str, check: NumberCheck, now: float) -> None:
        """Keep an answer that was just given."""
        values = {"exists": check.exists, "chat_id": check.chat_id, "checked_at": now}
        upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
        await tx.execute(
            upsert(number_check)
            .values(phone=phone, **values)
            .on_conflict_do_update(index_elements=["phone"], set_=values)
        )
        self._remember(phone, check, now)

    def _remember(self, phone: str, check: NumberCheck, checked_at: float) -> None:
        self._known[phone] = (check, checked_at)
        self._known.move_to_end(phone)
        while len(self._known) > IN_MEMORY:
            self._known.popitem(last=False)


async def forget_old(tx: AsyncConnection, now: float) -> None:
    """Remove answers that are older than 30 days: numbers come and go."""
    await tx.execute(delete(number_check).where(number_check.c.checked_at < now - KEEP_SECONDS))
