"""All SQL about servers: which there are, what is on them, who watches them, whether they answer."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, bindparam, delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import AnyRow, table_of
from sessions.models import Sender, Server, ServerSeed, Session

server = table_of(Server)
server_seed = table_of(ServerSeed)
session = table_of(Session)
sender = table_of(Sender)


async def lock_all(tx: AsyncConnection) -> None:
    """Let nobody else add or change a server until the end of this transaction; reading goes on."""
    if tx.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        await tx.execute(text("LOCK TABLE server IN SHARE ROW EXCLUSIVE MODE"))


async def all_servers(connection: AsyncConnection) -> Sequence[AnyRow]:
    """Every server."""
    return (await connection.execute(select(server))).all()


async def page(connection: AsyncConnection, offset: int, limit: int) -> tuple[Sequence[AnyRow], int]:
    """Some servers by name, and how many there are."""
    rows = await connection.execute(select(server).order_by(server.c.name).offset(offset).limit(limit))
    total = (await connection.execute(select(func.count()).select_from(server))).scalar_one()
    return rows.all(), total


async def find(connection: AsyncConnection, name: str) -> AnyRow | None:
    """One server by its name, or None."""
    return (await connection.execute(select(server).where(server.c.name == name))).first()


async def find_by_id(connection: AsyncConnection, server_id: str) -> AnyRow | None:
    """One server by its id, or None."""
    return (await connection.execute(select(server).where(server.c.id == server_id))).first()


async def lock(tx: AsyncConnection, *, name: str | None = None, id_: str | None = None) -> AnyRow | None:
    """One server by name or id, locked until the end of the transaction: no session comes or goes meanwhile."""
    wanted = server.c.name == name if name is not None else server.c.id == id_
    return (await tx.execute(select(server).where(wanted).with_for_update())).first()


async def find_by_url(connection: AsyncConnection, url: str) -> AnyRow | None:
    """The server at this address, or None."""
    return (await connection.execute(select(server).where(server.c.url == url))).first()


async def add(tx: AsyncConnection, values: dict[str, Any]) -> None:
    """Store a new server."""
    await tx.execute(insert(server).values(**values))


async def change(tx: AsyncConnection, server_id: str, **values: Any) -> bool:
    """Write columns of a server; False if it is gone."""
    return (await tx.execute(update(server).where(server.c.id == server_id).values(**values))).rowcount == 1


async def remove(tx: AsyncConnection, server_id: str) -> None:
    """Forget a server that has no sessions."""
    await tx.execute(delete(server).where(server.c.id == server_id))


# --- what is on them --------------------------------------------------------------------------------------------


async def count_sessions(connection: AsyncConnection) -> dict[str, dict[str, int]]:
    """How many sessions are in each state on each server, by the server's id."""
    counts = select(session.c.server_id, session.c.state, func.count()).group_by(session.c.server_id, session.c.state)
    found: dict[str, dict[str, int]] = {}
    for row in await connection.execute(counts):
        found.setdefault(row[0], {})[row[1]] = row[2]
    return found


async def count_arriving(connection: AsyncConnection) -> dict[str, int]:
    """How many sessions are moving to each server, by the server's id."""
    counts = select(session.c.moving_to, func.count()).where(session.c.moving_to.is_not(None))
    return {row[0]: row[1] for row in await connection.execute(counts.group_by(session.c.moving_to))}


async def count_placed(connection: AsyncConnection, server_id: str) -> int:
    """How many places of a server are taken: a session that is moving takes one on either server."""
    there = or_(session.c.server_id == server_id, session.c.moving_to == server_id)
    return int((await connection.execute(select(func.count()).select_from(session).where(there))).scalar_one())


async def sessions_of(connection: AsyncConnection, server_id: str) -> Sequence[AnyRow]:
    """The sessions that live on a server or are moving to it: sender_id, number, name, server_id, moving_to."""
    columns = (sender.c.number, session.c.sender_id, session.c.name, session.c.server_id, session.c.moving_to)
    there = or_(session.c.server_id == server_id, session.c.moving_to == server_id)
    joined = session.join(sender, sender.c.id == session.c.sender_id)
    return (await connection.execute(select(*columns).select_from(joined).where(there).order_by(sender.c.number))).all()


async def forget_stores(tx: AsyncConnection, server_id: str, now: float) -> None:
    """The server has another address: what its sessions have sent may be missing in the stores that are there.

    So they count as paired anew.
    """
    there = (session.c.server_id == server_id, session.c.paired_at.is_not(None))
    await tx.execute(update(session).where(*there).values(paired_at=now))


async def names_of_ours(connection: AsyncConnection, names: Sequence[str]) -> set[str]:
    """Which of these names are sessions of ours, on whatever server."""
    return set((await connection.execute(select(session.c.name).where(session.c.name.in_(names)))).scalars())


# --- who watches, and whether they answer -----------------------------------------------------------------------


CLOCK_GRACE_SECONDS = 300.0
"""By so much the leases of replicas with other settings may be longer."""
_HOLD = (  # built once: each sweep begins with it
    update(server)
    .where(
        server.c.id == bindparam("b_id"),
        or_(
            server.c.listener.is_(None),
            server.c.listener == bindparam("b_replica"),
            server.c.listener_until <= func.gateway_now(),
            # no lease is that long: it was taken before the clock was set back
            server.c.listener_until > func.gateway_now() + bindparam("b_seconds", type_=Float) + CLOCK_GRACE_SECONDS,
        ),
    )
    .values(
        listener=bindparam("b_replica"),
        listener_until=func.gateway_now() + bindparam("b_seconds", type_=Float),
        last_seen_at=func.coalesce(bindparam("b_seen", type_=Float), server.c.last_seen_at),
    )
    .returning(server, func.gateway_now().label("now"))
)


async def hold(
    tx: AsyncConnection, server_id: str, replica: str, seconds: float, seen_at: float | None
) -> AnyRow | None:
    """Take or renew the watch over a server; its row, or None while another replica has it or if it is gone.

    `seen_at` is when the server answered last, None where that is stored already; the row's `now` is the present time.
    """
    values = {"b_id": server_id, "b_replica": replica, "b_seconds": seconds, "b_seen": seen_at}
    row: AnyRow | None = (await tx.execute(_HOLD, values)).first()
    return row


async def release(tx: AsyncConnection, server_id: str, replica: str) -> None:
    """Give the watch back, if it is ours."""
    mine = (server.c.id == server_id, server.c.listener == replica)
    await tx.execute(update(server).where(*mine).values(listener=None, listener_until=0.0))


async def note_failure(tx: AsyncConnection, server_id: str, error: str, now: float) -> int | None:
    """It is down: how many failures in a row these are now.

    None if this one is counted already (somebody else has noticed, and its time to be asked again has not come), or if
    the server is gone.
    """
    news = (server.c.id == server_id, or_(server.c.up, server.c.ask_at <= now))
    failed = update(server).where(*news).values(up=False, failures=server.c.failures + 1, last_error=error)
    failures: int | None = (await tx.execute(failed.returning(server.c.failures))).scalar_one_or_none()
    return failures


async def ask_at(connection: AsyncConnection, server_id: str) -> float | None:
    """When a server is to be asked again; None if it is gone."""
    found: float | None = (
        await connection.execute(select(server.c.ask_at).where(server.c.id == server_id))
    ).scalar_one_or_none()
    return found


# --- what the settings said -------------------------------------------------------------------------------------


async def seeds(connection: AsyncConnection) -> dict[str, str]:
    """What the settings said last about each server, encrypted, by name."""
    return {row.name: row.values_encrypted for row in await connection.execute(select(server_seed))}


async def keep_seed(tx: AsyncConnection, name: str, values_encrypted: str) -> None:
    """Remember what the settings say about a server."""
    await tx.execute(delete(server_seed).where(server_seed.c.name == name))
    await tx.execute(insert(server_seed).values(name=name, values_encrypted=values_encrypted))
