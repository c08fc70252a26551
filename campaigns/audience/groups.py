"""Groups of recipients, and who is in them.

A group's row is locked while its members are changed, so that two who change them do so one after the other.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience import group_queries as queries
from campaigns.audience.answers import group_created
from campaigns.audience.group_schemas import GROUPS_WITH_MEMBERS, MEMBERS_LISTED, MEMBERS_SHOWN
from campaigns.uses import Uses, UsesOf, refuse_in_use
from gateway.auth.access import Caller
from gateway.db import AnyRow, Database, read_now
from gateway.errors import DuplicateResource, FieldError, NotFound, ValidationFailed
from gateway.folding import fold
from gateway.http.validation import refuse_unknown
from gateway.idempotency.keys import Key, claim, keep
from gateway.ids import make_id


@dataclass(frozen=True, slots=True)
class GroupFound:
    """A group's row, how many members it has, and some of them (columns: id, name, phone)."""

    row: AnyRow
    count: int
    members: Sequence[AnyRow] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a group's members."""

    group: GroupFound
    added: int
    removed: int


Changer: TypeAlias = Callable[[AsyncConnection, str, Sequence[str]], Awaitable[tuple[int, int]]]


class GroupService:
    """An account's groups; `uses_of` knows who refers to one."""

    def __init__(self, db: Database, uses_of: UsesOf) -> None:
        self._db = db
        self._uses_of = uses_of

    async def create(
        self,
        caller: Caller,
        name: str,
        description: str | None,
        recipient_ids: Sequence[str],
        key: Key | None = None,
    ) -> dict[str, Any]:
        """Make a group, and give the answer, a `GroupCreated` as JSON; it is kept under the idempotency key.

        Raises:
            DuplicateResource: the account has a group of this name.
            ValidationFailed: naming each recipient that the account does not have.
        """
        async with self._db.write(bulk=bool(recipient_ids)) as tx:
            await claim(tx, key)
            await _require_recipients(tx, recipient_ids, caller.account_id)
            now = await read_now(tx)
            values = {"id": make_id(now), "account_id": caller.account_id, "created_at": now, "updated_at": now}
            row = await queries.insert_group(tx, {**values, **_values(name, description)})
            if row is None:
                raise _duplicate()
            count = await queries.add_members(tx, row.id, recipient_ids)
            answer = group_created(row, count).model_dump(mode="json")
            await keep(tx, key, answer)
        return answer

    async def page(
        self, caller: Caller, *, with_members: bool, offset: int, limit: int
    ) -> tuple[list[GroupFound], int]:
        """Some of the caller's groups, newest first, and how many there are; on request with their newest members.

        Raises:
            ValidationFailed: members were asked for, of too many groups at once.
        """
        if with_members and limit > GROUPS_WITH_MEMBERS:
            message = f"with include_recipients a page has at most {GROUPS_WITH_MEMBERS} groups"
            raise ValidationFailed(message, errors=[FieldError("include_recipients", message, "page_too_long")])
        async with self._db.read() as connection:
            rows, total = await queries.list_groups(connection, caller.account_scope, offset, limit)
            counts = await queries.count_members(connection, [row.id for row in rows])
            members: dict[str, Sequence[AnyRow]] = {}
            for row in rows if with_members else ():
                # a query for each: one for all would rank every member of groups that may have 100,000
                members[row.id] = await queries.newest_members(connection, row.id, MEMBERS_LISTED)
        return [GroupFound(row, counts[row.id], members.get(row.id, ())) for row in rows], total

    async def get(self, caller: Caller, group_id: str) -> tuple[GroupFound, Uses]:
        """One group with its newest members and its uses; raises `NotFound`."""
        async with self._db.read() as connection:
            row = await queries.find_group(connection, group_id, caller.account_scope)
            if row is None:
                raise _not_found()
            found = await _counted(connection, row)
            members = await queries.newest_members(connection, group_id, MEMBERS_SHOWN)
            return GroupFound(row, found.count, members), await self._uses_of(connection, group_id)

    async def rename(self, caller: Caller, group_id: str, name: str, description: str | None) -> GroupFound:
        """Replace name and description; raises `NotFound` and `DuplicateResource`."""
        try:
            async with self._db.write() as tx:
                values = {**_values(name, description), "updated_at": await read_now(tx)}
                row = await queries.update_group(tx, group_id, caller.account_scope, **values)
                if row is None:
                    raise _not_found()
                return await _counted(tx, row)
        except IntegrityError as error:
            raise _duplicate() from error

    async def replace(self, caller: Caller, group_id: str, recipient_ids: Sequence[str]) -> Change:
        """Have these recipients be the group's members; raises `NotFound`, and `ValidationFailed` as `create` does."""
        return await self._change(caller, group_id, recipient_ids, _replace)

    async def add(self, caller: Caller, group_id: str, recipient_ids: Sequence[str]) -> Change:
        """Add members, some of whom may be there already; raises as `replace` does."""
        return await self._change(caller, group_id, recipient_ids, _add)

    async def remove(self, caller: Caller, group_id: str, recipient_ids: Sequence[str]) -> Change:
        """Take members out, some of whom may not be there; raises as `replace` does."""
        return await self._change(caller, group_id, recipient_ids, _remove)

    async def remove_one(self, caller: Caller, group_id: str, recipient_id: str) -> None:
        """Take one member out; raises `NotFound` also where the recipient is not a member."""
        async with self._db.write() as tx:
            await self._lock(tx, caller, group_id)
            if not await queries.remove_members(tx, group_id, [recipient_id]):
                raise NotFound("this recipient is not in the group")
            await queries.update_group(tx, group_id, caller.account_scope, updated_at=await read_now(tx))

    async def delete(self, caller: Caller, group_id: str) -> None:
        """Remove a group; its members stay recipients.

        Raises:
            NotFound: there is none, or it is another's.
            InUse: naming who uses it.
        """
        async with self._db.write(bulk=True) as tx:
            await self._lock(tx, caller, group_id, remove=True)
            refuse_in_use("group", await self._uses_of(tx, group_id))
            await queries.delete_group(tx, group_id)

    async def _change(self, caller: Caller, group_id: str, recipient_ids: Sequence[str], changer: Changer) -> Change:
        async with self._db.write(bulk=True) as tx:
            group = await self._lock(tx, caller, group_id)
            await _require_recipients(tx, recipient_ids, group.account_id)
            added, removed = await changer(tx, group_id, recipient_ids)
            row = await queries.update_group(tx, group_id, caller.account_scope, updated_at=await read_now(tx))
            assert row is not None  # it is locked
            return Change(await _counted(tx, row), added, removed)

    async def _lock(self, tx: AsyncConnection, caller: Caller, group_id: str, *, remove: bool = False) -> AnyRow:
        row = await queries.lock_group(tx, group_id, caller.account_scope, remove=remove)
        if row is None:
            raise _not_found()
        return row


async def _replace(tx: AsyncConnection, group_id: str, recipient_ids: Sequence[str]) -> tuple[int, int]:
    removed = await queries.remove_other_members(tx, group_id, recipient_ids)
    return await queries.add_members(tx, group_id, recipient_ids), removed


async def _add(tx: AsyncConnection, group_id: str, recipient_ids: Sequence[str]) -> tuple[int, int]:
    return await queries.add_members(tx, group_id, recipient_ids), 0


async def _remove(tx: AsyncConnection, group_id: str, recipient_ids: Sequence[str]) -> tuple[int, int]:
    return 0, await queries.remove_members(tx, group_id, recipient_ids)


async def _counted(connection: AsyncConnection, row: AnyRow) -> GroupFound:
    return GroupFound(row, (await queries.count_members(connection, [row.id]))[row.id])


async def _require_recipients(tx: AsyncConnection, recipient_ids: Sequence[str], account_id: str) -> None:
    refuse_unknown(
        "recipient_ids", "recipient", recipient_ids, await queries.lock_recipients(tx, recipient_ids, account_id)
    )


def _values(name: str, description: str | None) -> dict[str, str | None]:
    return {"name": name, "folded_name": fold(name), "description": description}


def _duplicate() -> DuplicateResource:
    message = "there is a group of this name already"
    return DuplicateResource(message, errors=[FieldError("name", message, "duplicate")])


def _not_found() -> NotFound:
    return NotFound("there is no such group, or it is not yours")
