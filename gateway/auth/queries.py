"""All SQL about users and their logins."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.models import Account, Login, RefreshToken, User
from gateway.db import AnyRow, table_of

account = table_of(Account)
user = table_of(User)
login = table_of(Login)
refresh_token = table_of(RefreshToken)


def _upsert(tx: AsyncConnection) -> Any:
    return postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert


# --- users ----------------------------------------------------------------------------------------------------------


async def ensure_account(tx: AsyncConnection, account_id: str, now: float) -> None:
    """Make the account, where there is none of this name."""
    values = {"id": account_id, "name": account_id, "created_at": now}
    await tx.execute(_upsert(tx)(account).values(**values).on_conflict_do_nothing(index_elements=["id"]))


async def insert_user(tx: AsyncConnection, values: dict[str, Any]) -> bool:
    """Store a new user; False if the email is taken."""
    new = _upsert(tx)(user).values(**values).on_conflict_do_nothing(index_elements=["email"])
    return bool((await tx.execute(new)).rowcount == 1)


async def find_user(connection: AsyncConnection, user_id: str) -> AnyRow | None:
    """A user by id."""
    return (await connection.execute(select(user).where(user.c.id == user_id))).first()


async def find_by_email(connection: AsyncConnection, email: str) -> AnyRow | None:
    """A user by folded email."""
    return (await connection.execute(select(user).where(user.c.email == email))).first()


async def list_users(
    connection: AsyncConnection, account_id: str | None, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of users by email, and how many there are; of one account, or of all for None."""
    where = [user.c.account_id == account_id] if account_id is not None else []
    rows = await connection.execute(select(user).where(*where).order_by(user.c.email).offset(offset).limit(limit))
    total = await connection.execute(select(func.count()).select_from(user).where(*where))
    return rows.all(), total.scalar_one()


async def change_user(tx: AsyncConnection, user_id: str, values: dict[str, Any]) -> bool:
    """Write some columns of a user; False if there is none."""
    return (await tx.execute(update(user).where(user.c.id == user_id).values(**values))).rowcount == 1


async def delete_user(tx: AsyncConnection, user_id: str) -> bool:
    """Forget a user, and with them their logins; False if there is none."""
    return (await tx.execute(delete(user).where(user.c.id == user_id))).rowcount == 1


# --- logins ---------------------------------------------------------------------------------------------------------


async def lock_user(tx: AsyncConnection, user_id: str) -> AnyRow | None:
    """A user whom nobody else changes until the end of the transaction."""
    return (await tx.execute(select(user).where(user.c.id == user_id).with_for_update())).first()


async def insert_login(tx: AsyncConnection, values: dict[str, Any]) -> None:
    """Store a new login."""
    await tx.execute(insert(login).values(**values))


async def find_caller(connection: AsyncConnection, user_id: str, login_id: str) -> AnyRow | None:
    """The `email` and `account_id` of the user of a login, and the database's time as `read_at`; None once it ended."""
    return (
        await connection.execute(
            select(user.c.email, user.c.account_id, func.gateway_now().label("read_at"))
            .select_from(login.join(user, user.c.id == login.c.user_id))
            .where(login.c.id == login_id, user.c.id == user_id, ~user.c.disabled)
        )
    ).first()


async def login_of(tx: AsyncConnection, token_hash: str) -> str | None:
    """The login that a refresh token belongs to, used or not; it is locked until the end of the transaction."""
    found = select(refresh_token.c.login_id).where(refresh_token.c.token_hash == token_hash)
    login_id = (await tx.execute(found)).scalar_one_or_none()
    if login_id is None:
        return None
    return (await tx.execute(select(login.c.id).where(login.c.id == login_id).with_for_update())).scalar_one_or_none()


async def insert_refresh_token(tx: AsyncConnection, token_hash: str, login_id: str, now: float) -> None:
    """Store a new refresh token of a login."""
    await tx.execute(insert(refresh_token).values(token_hash=token_hash, login_id=login_id, created_at=now))


async def use_refresh_token(tx: AsyncConnection, token_hash: str, now: float) -> bool:
    """Use up a refresh token by compare-and-set; False if it was used before."""
    unused = update(refresh_token).where(refresh_token.c.token_hash == token_hash, refresh_token.c.used_at.is_(None))
    return (await tx.execute(unused.values(used_at=now))).rowcount == 1


async def prolong_login(tx: AsyncConnection, login_id: str, now: float, expires_at: float) -> AnyRow | None:
    """Move a login's end on; gives its user, or None where it is over or the user is disabled."""
    lives = (login.c.id == login_id, login.c.expires_at > now)
    user_id = (
        await tx.execute(update(login).where(*lives).values(expires_at=expires_at).returning(login.c.user_id))
    ).scalar_one_or_none()
    if user_id is None:
        return None
    return (await tx.execute(select(user).where(user.c.id == user_id, ~user.c.disabled))).first()


async def end_login(tx: AsyncConnection, login_id: str) -> None:
    """End a login: none of its tokens is of any use from now on."""
    await tx.execute(delete(login).where(login.c.id == login_id))


async def end_logins(tx: AsyncConnection, user_id: str) -> None:
    """End all logins of a user."""
    await tx.execute(delete(login).where(login.c.user_id == user_id))


async def forget_old(tx: AsyncConnection, now: float, used_before: float) -> None:
    """Remove logins that are over, and tokens that were used so long ago that they would be over too."""
    await tx.execute(delete(login).where(login.c.expires_at <= now))
    await tx.execute(delete(refresh_token).where(refresh_token.c.used_at < used_before))
