"""SQL of the console's logins."""

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.console.models import ConsoleLink, ConsoleLogin
from gateway.db import AnyRow, table_of

console_login = table_of(ConsoleLogin)
console_link = table_of(ConsoleLink)


async def insert_login(
    tx: AsyncConnection, token_hash: str, now: float, user_id: str | None, login_id: str | None
) -> None:
    """Store a login that begins now."""
    values = {"token_hash": token_hash, "user_id": user_id, "login_id": login_id, "created_at": now, "seen_at": now}
    await tx.execute(insert(console_login).values(**values))


async def find_login(connection: AsyncConnection, token_hash: str) -> AnyRow | None:
    """The login of a cookie, over or not."""
    return (await connection.execute(select(console_login).where(console_login.c.token_hash == token_hash))).first()


async def see(tx: AsyncConnection, token_hash: str, now: float) -> None:
    """Note that somebody has clicked."""
    await tx.execute(update(console_login).where(console_login.c.token_hash == token_hash).values(seen_at=now))


async def remove_login(tx: AsyncConnection, token_hash: str) -> None:
    """End a login."""
    await tx.execute(delete(console_login).where(console_login.c.token_hash == token_hash))


async def insert_link(tx: AsyncConnection, code_hash: str, now: float, expires_at: float) -> None:
    """Store a link that lets in once."""
    await tx.execute(insert(console_link).values(code_hash=code_hash, created_at=now, expires_at=expires_at))


async def use_link(tx: AsyncConnection, code_hash: str, now: float) -> bool:
    """Whether a link lets in; of two who come with the same one, it does so for one."""
    alive = (console_link.c.code_hash == code_hash) & (console_link.c.expires_at > now)
    return (await tx.execute(delete(console_link).where(alive))).rowcount == 1


async def forget_old(tx: AsyncConnection, *, seen_before: float, created_before: float, now: float) -> None:
    """Remove logins and links that are over."""
    over = or_(console_login.c.seen_at < seen_before, console_login.c.created_at < created_before)
    await tx.execute(delete(console_login).where(over))
    await tx.execute(delete(console_link).where(console_link.c.expires_at <= now))
