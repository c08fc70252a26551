"""All SQL of the keeper."""

from collections.abc import Sequence

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sessions.history import Kind, session_event
from sessions.models import Desired, SessionState
from sessions.queries import sender, session


async def count_attempt(
    tx: AsyncConnection, sender_id: int, repairs: int, now: float, next_at: float, rejections: int
) -> None:
    """One more attempt at a session is under way."""
    counted = {"repairs": repairs, "repaired_at": now, "repair_at": next_at, "rejections": rejections}
    await tx.execute(update(session).where(session.c.sender_id == sender_id).values(**counted))


async def forgive(tx: AsyncConnection, sender_ids: Sequence[int]) -> None:
    """The troubles of these sessions are over, unless they have fallen again since that was found."""
    well = or_(session.c.state == SessionState.CONNECTED, session.c.desired == Desired.STOPPED)
    await tx.execute(
        update(session).where(session.c.sender_id.in_(sender_ids), well).values(repairs=0, repair_at=0.0, rejections=0)
    )


async def last_noted(connection: AsyncConnection, sender_id: int, kind: Kind) -> float | None:
    """When a line of this kind was last written into a session's history."""
    mine = (session_event.c.sender_id == sender_id, session_event.c.kind == kind)
    newest: float | None = (await connection.execute(select(func.max(session_event.c.at)).where(*mine))).scalar_one()
    return newest


async def number_of(connection: AsyncConnection, sender_id: int) -> str:
    """The number (digits) of a sender that is there."""
    return str((await connection.execute(select(sender.c.number).where(sender.c.id == sender_id))).scalar_one())
