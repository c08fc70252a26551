"""All SQL about clients and their keys, but for what is metered (`campaigns/metering`)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.clients.models import ApiKey, Client
from gateway.db import AnyRow, table_of

client = table_of(Client)
api_key = table_of(ApiKey)

IS_THERE = client.c.removed_at.is_(None)


# --- clients --------------------------------------------------------------------------------------------------------


async def insert_client(tx: AsyncConnection, values: dict[str, Any]) -> bool:
    """Store a new client; False if its name is taken."""
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    new = upsert(client).values(**values).on_conflict_do_nothing(index_elements=["folded_name"], index_where=IS_THERE)
    return bool((await tx.execute(new)).rowcount == 1)


async def find_client(connection: AsyncConnection, client_id: str, *, lock: bool = False) -> AnyRow | None:
    """A client that was not removed; with `lock` it stays as it is until the transaction ends."""
    query = select(client).where(client.c.id == client_id, IS_THERE)
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def client_of_account(connection: AsyncConnection, account_id: str, *, lock: bool = False) -> AnyRow | None:
    """The client whose account this is, if it is a client's."""
    query = select(client).where(client.c.account_id == account_id)
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def list_clients(connection: AsyncConnection, offset: int, limit: int) -> tuple[Sequence[AnyRow], int]:
    """A page of clients by name, and how many there are."""
    query = select(client).where(IS_THERE).order_by(client.c.folded_name).offset(offset).limit(limit)
    total = await connection.execute(select(func.count()).select_from(client).where(IS_THERE))
    return (await connection.execute(query)).all(), total.scalar_one()


async def change_client(tx: AsyncConnection, client_id: str, values: dict[str, Any]) -> None:
    """Write some columns of a client."""
    await tx.execute(update(client).where(client.c.id == client_id).values(**values))


async def is_taken(connection: AsyncConnection, folded_name: str, client_id: str) -> bool:
    """Whether another client has this name."""
    other = select(client.c.id).where(client.c.folded_name == folded_name, client.c.id != client_id, IS_THERE)
    return (await connection.execute(other)).first() is not None


# --- keys -----------------------------------------------------------------------------------------------------------


async def insert_key(tx: AsyncConnection, values: dict[str, Any]) -> None:
    """Store a new key."""
    await tx.execute(insert(api_key).values(**values))


async def find_holder(connection: AsyncConnection, key_hash: str) -> AnyRow | None:
    """A key with the client that has it, and the database's time as `read_at`; None for one that never was."""
    query = (
        select(
            api_key.c.id,
            api_key.c.scopes,
            api_key.c.expires_at,
            api_key.c.revoked_at,
            api_key.c.last_used_at,
            client.c.id.label("client_id"),
            client.c.name,
            client.c.account_id,
            or_(client.c.disabled, client.c.removed_at.is_not(None)).label("disabled"),
            func.gateway_now().label("read_at"),
        )
        .join(client, client.c.id == api_key.c.client_id)
        .where(api_key.c.key_hash == key_hash)
    )
    return (await connection.execute(query)).first()


async def note_use(tx: AsyncConnection, key_id: str, now: float, unless_since: float) -> None:
    """Write that a key was used, unless that was written since then."""
    stale = or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at <= unless_since)
    await tx.execute(update(api_key).where(api_key.c.id == key_id, stale).values(last_used_at=now))


async def find_key(connection: AsyncConnection, client_id: str, key_id: str) -> AnyRow | None:
    """One key of a client."""
    query = select(api_key).where(api_key.c.id == key_id, api_key.c.client_id == client_id)
    return (await connection.execute(query)).first()


async def list_keys(
    connection: AsyncConnection, client_id: str, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of a client's keys, newest first, and how many there are."""
    query = select(api_key).where(api_key.c.client_id == client_id).order_by(api_key.c.id.desc())
    total = await connection.execute(select(func.count()).select_from(api_key).where(api_key.c.client_id == client_id))
    return (await connection.execute(query.offset(offset).limit(limit))).all(), total.scalar_one()


async def revoke_key(tx: AsyncConnection, client_id: str, key_id: str, now: float) -> bool:
    """End a key; False if it has ended, or is none of this client."""
    lives = (api_key.c.id == key_id, api_key.c.client_id == client_id, api_key.c.revoked_at.is_(None))
    return (await tx.execute(update(api_key).where(*lives).values(revoked_at=now))).rowcount == 1


async def revoke_keys(tx: AsyncConnection, client_id: str, now: float) -> None:
    """End all keys of a client."""
    lives = (api_key.c.client_id == client_id, api_key.c.revoked_at.is_(None))
    await tx.execute(update(api_key).where(*lives).values(revoked_at=now))
