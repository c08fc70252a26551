"""SQL of the keepalive. Every write compares with what was read, so that all replicas may do the same at once."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import AnyRow
from gateway.waha.schemas import WahaStatus
from sessions.models import Desired, SessionState
from sessions.queries import sender, server, session

_active_at = func.coalesce(session.c.last_active, session.c.paired_at)
_seen_at = func.coalesce(session.c.phone_last_seen, session.c.paired_at)
_COLUMNS = (
    session.c.sender_id,
    session.c.server_id,
    session.c.name,
    session.c.state,
    session.c.waha_status,
    session.c.desired,
    session.c.paired_at,
    session.c.last_active,
    session.c.phone_last_seen,
    session.c.ping_at,
    session.c.ping_failures,
    session.c.warned_at,
    session.c.phone_warned_at,
    sender.c.number,
    server.c.up.label("server_up"),
)


async def quiet(connection: AsyncConnection, active_before: float, seen_before: float) -> Sequence[AnyRow]:
    """Sessions that were idle, or whose phone was unseen, since then, and those whose last ping failed.

    Those at which there is nothing to do any more are left out; in the order of their servers.
    """
    paired = (session.c.paired_at.is_not(None), session.c.desired != Desired.DELETED)
    query = (
        select(*_COLUMNS)
        .select_from(
            session.join(sender, sender.c.id == session.c.sender_id).join(server, server.c.id == session.c.server_id)
        )
        .where(*paired, or_(_active_at <= active_before, _seen_at <= seen_before, session.c.ping_failures > 0))
        .order_by(session.c.server_id, session.c.sender_id)
    )
    return (await connection.execute(query)).all()


async def plan_pings(tx: AsyncConnection, planned: Sequence[tuple[int, float]]) -> None:
    """Give sessions (by sender) their time, where nobody else has."""
    statement = (
        update(session)
        .where(session.c.sender_id == bindparam("b_id"), session.c.ping_at.is_(None))
        .values(ping_at=bindparam("b_at"))
    )
    await tx.execute(statement, [{"b_id": sender_id, "b_at": at} for sender_id, at in planned])


async def mark_warned(tx: AsyncConnection, row: AnyRow, column: str, now: float) -> bool:
    """Note in `warned_at` or `phone_warned_at` that it was told; False if somebody else has told it."""
    told = session.c[column]
    as_it_was = told.is_(None) if row._mapping[column] is None else told == row._mapping[column]
    result = await tx.execute(
        update(session).where(session.c.sender_id == row.sender_id, as_it_was).values({column: now})
    )
    return result.rowcount == 1


async def settle_ping(tx: AsyncConnection, row: AnyRow, **values: Any) -> bool:
    """Write what came of the ping that was due at `row.ping_at`; False if it is not that one any more."""
    result = await tx.execute(
        update(session)
        .where(
            session.c.sender_id == row.sender_id,
            session.c.server_id == row.server_id,
            session.c.ping_at == row.ping_at,
        )
        .values(**values)
    )
    return result.rowcount == 1


async def note_activity(tx: AsyncConnection, server_id: str, times: Iterable[tuple[int, float]]) -> None:
    """Sessions (by sender) have sent something at these times: that proves them, as a ping would."""
    statement = (
        update(session)
        .where(
            session.c.sender_id == bindparam("b_id"),
            session.c.server_id == server_id,
            session.c.state == SessionState.CONNECTED,
            session.c.waha_status == WahaStatus.WORKING,
            func.coalesce(session.c.last_active, 0.0) < bindparam("b_at"),
        )
        .values(last_active=bindparam("b_at"), ping_at=None, ping_failures=0)
    )
    await tx.execute(statement, [{"b_id": sender_id, "b_at": at} for sender_id, at in times])


async def note_phones(tx: AsyncConnection, sightings: Iterable[tuple[str, str, float]]) -> None:
    """Phones were seen at these times: server, WAHA's name of the session, time."""
    seen = func.coalesce(session.c.phone_last_seen, 0.0)
    statement = (
        update(session)
        .where(
            and_(session.c.server_id == bindparam("b_server"), session.c.name == bindparam("b_name")),
            session.c.paired_at.is_not(None),
            seen < bindparam("b_at"),
        )
        .values(phone_last_seen=bindparam("b_at"))
    )
    await tx.execute(statement, [{"b_server": server, "b_name": name, "b_at": at} for server, name, at in sightings])
