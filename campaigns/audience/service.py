"""Recipients: the people that an account writes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience import queries
from campaigns.audience.answers import recipient_out
from campaigns.audience.phone_search import digits_meant
from campaigns.audience.schemas import RecipientIn
from campaigns.audience.variables import check_variables
from campaigns.sending.sent_to import sent_to
from gateway.auth.access import Caller, PhoneReader
from gateway.db import AnyRow, Database, read_now
from gateway.errors import DuplicateResource, FieldError, InvalidNumber, NotFound
from gateway.folding import fold
from gateway.http.validation import fields_failed, refuse_unknown, unknown_ids
from gateway.idempotency.keys import Key, claim, keep
from gateway.ids import make_id
from gateway.phone import InvalidPhoneNumber


@dataclass(frozen=True, slots=True)
class RecipientFound:
    """A recipient's row with the groups that it is in (columns: id, name, description)."""

    row: AnyRow
    groups: Sequence[AnyRow]


@dataclass(frozen=True, slots=True)
class Written:
    """How many messages have left to somebody, and when the last one did (epoch seconds)."""

    count: int
    last_at: float | None


class RecipientService:
    """An account's recipients."""

    def __init__(self, db: Database, phones: PhoneReader) -> None:
        self._db = db
        self._phones = phones

    async def create(self, caller: Caller, body: RecipientIn, key: Key | None = None) -> dict[str, Any]:
        """Store a recipient, and give the answer, a `RecipientOut` as JSON; it is kept under the idempotency key.

        Raises:
            InvalidNumber, ValidationFailed: naming each wrong field, and each group that the account does not have.
            DuplicateResource: the account has the number.
        """
        await self._refuse_wrong(body, caller.account_id)
        values = self._values(body)
        group_ids = _ids(body.group_ids or [])
        async with self._db.write() as tx:
            await claim(tx, key)
            await _require_groups(tx, group_ids, caller.account_id)
            now = await read_now(tx)
            values |= {"id": make_id(now), "account_id": caller.account_id, "created_at": now, "updated_at": now}
            row = await queries.insert_recipient(tx, values)
            if row is None:
                raise _duplicate()
            await queries.put_in_groups(tx, row.id, group_ids)
            found = await _with_groups(tx, row)
            answer = recipient_out(found.row, found.groups).model_dump(mode="json")
            await keep(tx, key, answer)
        return answer

    async def with_number(self, account_id: str, phone: str) -> AnyRow | None:
        """The row of an account's recipient with this number (digits); None if there is none."""
        async with self._db.read() as connection:
            return await queries.find_by_phone(connection, account_id, phone)

    async def make_or_find(self, caller: Caller, body: RecipientIn) -> AnyRow:
        """The row of the account's recipient with this number: as it is, or made from `body` where there is none.

        Raises:
            InvalidNumber, ValidationFailed: naming each wrong field.
        """
        await self._refuse_wrong(body, caller.account_id)
        values = self._values(body)
        async with self._db.write() as tx:
            now = await read_now(tx)
            made = values | {"id": make_id(now), "account_id": caller.account_id, "created_at": now, "updated_at": now}
            row = await queries.insert_recipient(tx, made)
            row = row or await queries.find_by_phone(tx, caller.account_id, values["phone"])
        assert row is not None, "it was there a moment ago, or is there now"
        return row

    async def page(
        self, caller: Caller, *, search: str, group_id: str | None, offset: int, limit: int
    ) -> tuple[list[RecipientFound], int]:
        """Some of the caller's recipients, newest first, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.list_recipients(
                connection,
                caller.account_scope,
                folded_search=fold(search),
                phone_search=digits_meant(search, self._phones.read),
                group_id=group_id,
                offset=offset,
                limit=limit,
            )
            groups = await queries.groups_of(connection, [row.id for row in rows])
        return [RecipientFound(row, groups[row.id]) for row in rows], total

    async def get(self, caller: Caller, recipient_id: str) -> tuple[RecipientFound, Written]:
        """One recipient and what they were sent; raises `NotFound`."""
        async with self._db.read() as connection:
            row = await queries.find_recipient(connection, recipient_id, caller.account_scope)
            if row is None:
                raise _not_found()
            written = Written(*await sent_to(connection, row.account_id, row.phone))
            return await _with_groups(connection, row), written

    async def change(self, caller: Caller, recipient_id: str, body: RecipientIn) -> RecipientFound:
        """Replace what is known of a recipient; groups that are not named stay as they are. Raises as `create` does."""
        await self._refuse_wrong(body, caller.account_scope)
        values = self._values(body)
        try:
            async with self._db.write() as tx:
                values["updated_at"] = await read_now(tx)
                row = await queries.update_recipient(tx, recipient_id, caller.account_scope, values)
                if row is None:
                    raise _not_found()
                if body.group_ids is not None:
                    group_ids = _ids(body.group_ids)
                    await _require_groups(tx, group_ids, row.account_id)
                    await queries.put_in_groups(tx, row.id, group_ids)
                return await _with_groups(tx, row)
        except IntegrityError as error:  # the groups are locked: it can only be the number
            raise _duplicate() from error

    async def delete(self, caller: Caller, recipient_id: str) -> None:
        """Remove a recipient, also from its groups; raises `NotFound`. What was sent to the number stays."""
        async with self._db.write() as tx:
            if not await queries.delete_recipient(tx, recipient_id, caller.account_scope):
                raise _not_found()

    def misread(self, number: str) -> FieldError | None:
        """What is wrong with a `phone_number`; None if it can be read."""
        try:
            self._phones.read(number)
        except InvalidPhoneNumber as error:
            return FieldError("phone_number", str(error), "invalid_format")
        return None

    async def _refuse_wrong(self, body: RecipientIn, account_id: str | None) -> None:
        """Stop where the number or a variable is wrong, naming also unknown groups where the account is known."""
        misread = self.misread(body.phone_number)
        errors = [*([misread] if misread else []), *check_variables(body.given_variables())]
        if not errors:
            return
        if account_id is not None and (group_ids := _ids(body.group_ids or [])):
            async with self._db.read() as connection:
                errors += unknown_ids(
                    "group_ids", "group", group_ids, await queries.groups_among(connection, group_ids, account_id)
                )
        told = fields_failed(errors)
        raise InvalidNumber(told.detail, errors=told.errors) if misread else told

    def _values(self, body: RecipientIn) -> dict[str, Any]:
        given = body.given_variables()
        number = self._phones.read(body.phone_number)
        return {
            "name": body.name,
            "phone": number.digits,
            "grade": number.grade,
            "search_text": f"{fold(body.name)}\n{number.digits}",
            "variables": orjson.dumps({one.name: one.value for one in given}).decode(),
        }


async def _require_groups(tx: AsyncConnection, group_ids: Sequence[str], account_id: str) -> None:
    if not group_ids:
        return
    refuse_unknown("group_ids", "group", group_ids, await queries.lock_groups(tx, group_ids, account_id))


async def _with_groups(connection: AsyncConnection, row: AnyRow) -> RecipientFound:
    return RecipientFound(row, (await queries.groups_of(connection, [row.id]))[row.id])


def _ids(given: Sequence[object]) -> list[str]:
    return [str(one) for one in given]


def _duplicate() -> DuplicateResource:
    message = "there is a recipient with this number already"
    return DuplicateResource(message, errors=[FieldError("phone_number", message, "duplicate")])


def _not_found() -> NotFound:
    return NotFound("there is no such recipient, or it is not yours")
