"""Users: who may log in, and for which account they act."""

from dataclasses import dataclass
from typing import Any

import structlog

from gateway.auth import queries
from gateway.auth.passwords import Passwords
from gateway.db import AnyRow, Database, read_now
from gateway.errors import DuplicateResource, NotFound
from gateway.ids import make_id

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is changed of a user; None stays as it is."""

    password: str | None = None
    disabled: bool | None = None


class Users:
    """Makes, shows and changes users. Emails are folded before they come here."""

    def __init__(self, db: Database, passwords: Passwords) -> None:
        self._db = db
        self._passwords = passwords

    async def create(self, email: str, password: str, account_id: str) -> AnyRow:
        """A new user of an account, which is made if there is none of this name.

        Raises:
            DuplicateResource: the email is taken.
        """
        password_hash = await self._passwords.hash(password)
        async with self._db.write() as tx:
            now = await read_now(tx)
            await queries.ensure_account(tx, account_id, now)
            values = {"email": email, "password_hash": password_hash, "account_id": account_id, "created_at": now}
            if not await queries.insert_user(tx, {"id": make_id(now), "disabled": False, **values}):
                raise DuplicateResource("there is a user with this email already")
            made = await queries.find_by_email(tx, email)
        assert made is not None
        log.info("user_created", user_id=made.id, account_id=account_id)
        return made

    async def page(self, account_id: str | None, offset: int, limit: int) -> tuple[list[AnyRow], int]:
        """Some users by email, and how many there are; of one account, or of all for None."""
        async with self._db.read() as connection:
            rows, total = await queries.list_users(connection, account_id, offset, limit)
        return list(rows), total

    async def get(self, user_id: str) -> AnyRow:
        """A user; raises `NotFound`."""
        async with self._db.read() as connection:
            found = await queries.find_user(connection, user_id)
        if found is None:
            raise NotFound("there is no such user")
        return found

    async def change(self, user_id: str, change: UserChange) -> AnyRow:
        """Change a user. A new password and being disabled end all their logins at once; raises `NotFound`."""
        values: dict[str, Any] = {}
        if change.password is not None:
            values["password_hash"] = await self._passwords.hash(change.password)
        if change.disabled is not None:
            values["disabled"] = change.disabled
        async with self._db.write() as tx:
            if not await queries.change_user(tx, user_id, values):
                raise NotFound("there is no such user")
            if change.password is not None or change.disabled:
                await queries.end_logins(tx, user_id)
            changed = await queries.find_user(tx, user_id)
        assert changed is not None
        log.info("user_changed", user_id=user_id, changed=sorted(values))
        return changed

    async def delete(self, user_id: str) -> None:
        """Forget a user; their logins end at once, and what belongs to the account stays. Raises `NotFound`."""
        async with self._db.write() as tx:
            if not await queries.delete_user(tx, user_id):
                raise NotFound("there is no such user")
        log.info("user_deleted", user_id=user_id)
