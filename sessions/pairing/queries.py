"""SQL of opening a pairing."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sessions.queries import sender


async def lock_sender(tx: AsyncConnection, sender_id: int) -> None:
    """Let others wait who would open a pairing of this sender too (on SQLite one writes at a time anyway)."""
    await tx.execute(select(sender.c.id).where(sender.c.id == sender_id).with_for_update())
