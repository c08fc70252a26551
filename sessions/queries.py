"""All SQL about sessions. Reads return rows with the columns of `SESSION_COLUMNS`: `read_at` is the database's time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, Select, String, and_, bindparam, func, insert, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.access import Scope
from gateway.batch import batch, pack
from gateway.db import SECONDS, AnyRow, table_of
from sessions.models import TRANSITIONS, Desired, Sender, Server, Session, SessionState

sender = table_of(Sender)
session = table_of(Session)
server = table_of(Server)

SESSION_COLUMNS = (
    sender.c.id.label("sender_id"),
    sender.c.number,
    sender.c.account_id,
    sender.c.locked_until,
    sender.c.lock_strikes,
    sender.c.lock_reason,
    *(column for column in session.c if column.name != "sender_id"),
    server.c.name.label("server_name"),
    server.c.up.label("server_up"),
    server.c.last_seen_at.label("server_seen_at"),
    select(func.gateway_now()).scalar_subquery().label("read_at"),
)


def _sessions() -> Select[*tuple[Any, ...]]:
    return select(*SESSION_COLUMNS).select_from(
        sender.join(session, session.c.sender_id == sender.c.id).join(server, server.c.id == session.c.server_id)
    )


# built once: a sweep asks them every few seconds, and building them takes longer than asking
_SESSIONS_ON = _sessions().where(session.c.server_id == bindparam("b_server"))
_EVENT_TIMES = select(session.c.sender_id, session.c.event_at).where(
    session.c.server_id == bindparam("b_server"), session.c.event_at > 0
)

_active = batch("active", sender_id=Integer(), server_id=String(), status_at=SECONDS, event_at=SECONDS, at=SECONDS)
NOTE_ACTIVITIES = (
    update(session)
    .where(
        session.c.sender_id == _active.c.sender_id,
        session.c.server_id == _active.c.server_id,
        session.c.state == SessionState.CONNECTED,
        # both only grow, by more than what a time may lose on its way through JSON
        session.c.status_at < _active.c.status_at + 0.0001,
        session.c.event_at < _active.c.event_at + 0.0001,
        session.c.ping_at.is_(None),
    )
    .values(last_active=_active.c.at)
)


async def find_session(connection: AsyncConnection, number: str) -> AnyRow | None:
    """The session of `number`, or None."""
    return (await connection.execute(_sessions().where(sender.c.number == number))).first()


async def find_by_sender(connection: AsyncConnection, sender_id: int) -> AnyRow | None:
    """The session of one sender, or None."""
    return (await connection.execute(_sessions().where(sender.c.id == sender_id))).first()


async def find_by_name(connection: AsyncConnection, server_id: str, name: str) -> AnyRow | None:
    """The session that WAHA calls `name` on this server, or None: it is not ours."""
    return (
        await connection.execute(_sessions().where(session.c.server_id == server_id, session.c.name == name))
    ).first()


async def sessions_on(connection: AsyncConnection, server_id: str) -> Sequence[AnyRow]:
    """All our sessions on one server."""
    return (await connection.execute(_SESSIONS_ON, {"b_server": server_id})).all()


async def event_times(connection: AsyncConnection, server_id: str) -> dict[int, float]:
    """WAHA's own time of the last status that was taken, by sender; those on this server that had one."""
    rows = await connection.execute(_EVENT_TIMES, {"b_server": server_id})
    return {row.sender_id: row.event_at for row in rows}


async def list_sessions(
    connection: AsyncConnection, scope: Scope | None, states: Sequence[str], offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of sessions by number, and how many there are; those of a scope, or all for None."""
    where = []
    if scope is not None and scope.number is not None:
        where.append(sender.c.number == scope.number)
    if scope is not None and scope.account_id is not None:
        where.append(sender.c.account_id == scope.account_id)
    if states:
        where.append(session.c.state.in_(states))
    condition = and_(True, *where)
    total = select(func.count()).select_from(sender.join(session, session.c.sender_id == sender.c.id)).where(condition)
    rows = await connection.execute(_sessions().where(condition).order_by(sender.c.number).offset(offset).limit(limit))
    return rows.all(), (await connection.execute(total)).scalar_one()


async def ensure_sender(tx: AsyncConnection, number: str, account_id: str, now: float) -> int:
    """The id of the sender of `number`, made if it was not there."""
    values = {"number": number, "account_id": account_id, "proven": False, "created_at": now}
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    await tx.execute(upsert(sender).values(**values).on_conflict_do_nothing(index_elements=["number"]))
    return int((await tx.execute(select(sender.c.id).where(sender.c.number == number))).scalar_one())


async def accounts_of_senders(connection: AsyncConnection, numbers: Sequence[str]) -> set[str]:
    """The accounts that have these numbers, of those that are known."""
    query = select(sender.c.account_id).where(sender.c.number.in_(numbers))
    return set((await connection.execute(query)).scalars())


async def place(tx: AsyncConnection, *, besides: str | None = None) -> AnyRow | None:
    """The reachable, non-draining server with the most free capacity; None if all are full or away.

    `besides` is the id of one that does not count. The rows are locked until the end of the transaction, always in the
    same order, so that two sessions do not take the last place. One that is moving takes a place on either server.
    """
    there = or_(session.c.server_id == server.c.id, session.c.moving_to == server.c.id)
    taken = select(func.count()).select_from(session).where(there).correlate(server).scalar_subquery()
    candidates = select(server.c.id).where(server.c.up, ~server.c.draining).order_by(server.c.id).with_for_update()
    ids = [id_ for id_ in (await tx.execute(candidates)).scalars() if id_ != besides]
    return (
        await tx.execute(
            select(server.c.id, server.c.name)
            .where(server.c.id.in_(ids), server.c.capacity > taken)
            .order_by((server.c.capacity - taken).desc(), server.c.name)
            .limit(1)
        )
    ).first()


async def insert_session(tx: AsyncConnection, values: dict[str, Any]) -> None:
    """Store a new session."""
    await tx.execute(insert(session).values(**values))


async def delete_session(tx: AsyncConnection, sender_id: int) -> None:
    """Forget a session; its sender stays."""
    await tx.execute(session.delete().where(session.c.sender_id == sender_id))


async def transition(tx: AsyncConnection, row: AnyRow, after: SessionState, **values: Any) -> bool:
    """Move a session's state by compare-and-set; False if it has moved, or WAHA was heard of, since `row` was read."""
    before = SessionState(row.state)
    if before != after and after not in TRANSITIONS[before]:
        return False
    as_it_was = (
        session.c.sender_id == row.sender_id,
        session.c.state == before,
        session.c.status_at == row.status_at,
        session.c.event_at == row.event_at,
        session.c.server_id == row.server_id,
    )
    result = await tx.execute(update(session).where(*as_it_was).values(state=after, **values))
    return result.rowcount == 1


async def note_activities(tx: AsyncConnection, activities: Sequence[tuple[AnyRow, float]]) -> None:
    """Write when connected sessions were last active, as WAHA says; not where one was heard of since it was read."""
    rows = sorted((row.sender_id, row.server_id, row.status_at, row.event_at, at) for row, at in activities)
    await tx.execute(NOTE_ACTIVITIES, {"active": pack(rows)})


async def change(tx: AsyncConnection, sender_id: int, **values: Any) -> None:
    """Write other columns of a session."""
    await tx.execute(update(session).where(session.c.sender_id == sender_id).values(**values))


async def want(
    tx: AsyncConnection, sender_id: int, desired: Desired, *, only_if: str | None = None, **values: Any
) -> bool:
    """Store what a session is meant to be, and other columns; False for one that is being removed: that stays so.

    With `only_if` False for one in another state, too.
    """
    stays = session.c.desired != Desired.DELETED if desired is not Desired.DELETED else true()
    same = session.c.state == only_if if only_if is not None else true()
    wanted = update(session).where(session.c.sender_id == sender_id, stays, same)
    return (await tx.execute(wanted.values(desired=desired, **values))).rowcount == 1


async def count_by_state(connection: AsyncConnection) -> dict[str, int]:
    """How many sessions are in each state."""
    rows = await connection.execute(select(session.c.state, func.count()).group_by(session.c.state))
    return {row[0]: row[1] for row in rows}
