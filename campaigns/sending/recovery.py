"""At start on SQLite: one process owns the file, so nobody else can hold a lease, and all of them are over."""

from sqlalchemy import update

from campaigns.sending.tables import lane
from gateway.db import Database, read_now


async def expire_leases(db: Database) -> None:
    """Make the lanes that a former process left behind due now; what they sent is reconciled as always."""
    async with db.write() as tx:
        now = await read_now(tx)
        await tx.execute(update(lane).where(lane.c.owner.is_not(None), lane.c.due_at > now).values(due_at=now))
