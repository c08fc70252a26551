"""The suppression list of an account, as people and programs keep it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.optouts import queries
from campaigns.audience.optouts.answers import suppression_out
from campaigns.audience.optouts.models import EVERY_ACCOUNT, Action, Source
from campaigns.audience.optouts.people import person_of
from campaigns.audience.optouts.schemas import SuppressionIn
from campaigns.audience.optouts.stops import Stops
from campaigns.audience.optouts.storing import Change, add_history, opt_in, opt_out
from campaigns.audience.phone_search import digits_meant
from campaigns.paging import SLICE, in_slices
from campaigns.sending.schemas import CapIn
from gateway.auth.access import Caller, PhoneReader
from gateway.db import AnyRow, Database, read_now
from gateway.errors import DuplicateResource, FieldError, Forbidden, NotFound, ValidationFailed
from gateway.folding import fold
from gateway.http.csv_stream import Cell
from gateway.idempotency.keys import Key, claim, keep

COLUMNS = ("phone", "reason", "source", "said", "sender", "created_at")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows of the list are meant."""

    search: str = ""
    sources: Sequence[str] = ()
    account: str | None = None


class SuppressionService:
    """An account's suppression list. What holds for all accounts everybody sees, and only an operator changes."""

    def __init__(self, db: Database, phones: PhoneReader, stops: Stops) -> None:
        self._db = db
        self._phones = phones
        self.stops = stops

    async def add(self, caller: Caller, body: SuppressionIn, key: Key | None = None) -> dict[str, Any]:
        """Have somebody not written to; gives the answer, a `SuppressionOut` as JSON.

        Raises:
            Forbidden: it is said for all accounts or another one, by somebody else than an operator.
            ValidationFailed: there is no such account, or it is said for one and for all.
            InvalidNumber: it is no number.
            DuplicateResource: it is on the list.
        """
        if body.all_accounts and not caller.is_admin:
            raise Forbidden("only an operator can stop a number for all accounts")
        if body.all_accounts and body.account is not None:
            raise _wrong_account("name one account, or say that it is for all")
        account_id = EVERY_ACCOUNT if body.all_accounts else _account(caller, body.account)
        phone = self._phones.digits(body.phone_number, "phone_number")
        change = Change(phone, Source(body.source), by(caller), body.reason.strip())
        async with self._db.write() as tx:
            await claim(tx, key)
            if body.account is not None and not await queries.is_account(tx, body.account):
                raise _wrong_account("there is no such account")
            now = await read_now(tx)
            added = await opt_out(tx, self.stops, account_id, [change], now)
            if not added:
                raise DuplicateResource("the number is on the suppression list")
            await add_history(tx, account_id, Action.OPTED_OUT, [change], now)
            answer = suppression_out(added[0]).model_dump(mode="json")
            await keep(tx, key, answer)
        return answer

    async def page(self, caller: Caller, filters: Filters, offset: int, limit: int) -> tuple[Sequence[AnyRow], int]:
        """Some of the list, newest first, and how long it is."""
        async with self._db.read() as connection:
            return await queries.list_suppressions(
                connection, _scope(caller, filters.account), **self._wanted(filters), offset=offset, limit=limit
            )

    async def export(self, caller: Caller, filters: Filters) -> AsyncIterator[list[list[Cell]]]:
        """The list as rows of a file, oldest first, in slices."""

        async def fetch(connection: AsyncConnection, last: AnyRow | None) -> Sequence[AnyRow]:
            return await queries.suppressions_after(
                connection,
                _scope(caller, filters.account),
                **self._wanted(filters),
                after=None if last is None else last.id,
                limit=SLICE,
            )

        async for rows in in_slices(self._db, fetch):
            yield [_cells(row) for row in rows]

    def _wanted(self, filters: Filters) -> dict[str, Any]:
        return {
            "folded_search": fold(filters.search),
            "phone_search": digits_meant(filters.search, self._phones.read),
            "sources": filters.sources,
        }

    async def get(self, caller: Caller, phone_number: str, account: str | None = None) -> AnyRow:
        """Why a number is not written to: what holds for all accounts first; raises `NotFound` where it is."""
        person = person_of(self._phones.digits(phone_number, "phone_number"))
        async with self._db.read() as connection:
            rows = await queries.find_suppressions(connection, _scope(caller, account), person)
        if not rows:
            raise _not_listed()
        return rows[0]

    async def history(
        self, caller: Caller, phone_number: str, account: str | None, offset: int, limit: int
    ) -> tuple[Sequence[AnyRow], int]:
        """What happened to somebody's wish, newest first; none where nothing is known."""
        person = person_of(self._phones.digits(phone_number, "phone_number"))
        async with self._db.read() as connection:
            return await queries.history_of(connection, _scope(caller, account), person, offset, limit)

    async def remove(
        self,
        caller: Caller,
        phone_number: str,
        reason: str,
        *,
        all_accounts: bool,
        account: str | None,
        source: Source,
    ) -> None:
        """Write to somebody again.

        Raises:
            NotFound: they are not on the list.
            Forbidden: it is said for all accounts or another one, by somebody else than an operator.
        """
        phone = self._phones.digits(phone_number, "phone_number")
        if all_accounts and not caller.is_admin:
            raise Forbidden("only an operator can change what holds for all accounts")
        account_id = EVERY_ACCOUNT if all_accounts else _account(caller, account)
        async with self._db.write() as tx:
            change = Change(phone, source, by(caller), reason)
            row = await opt_in(tx, self.stops, account_id, change, await read_now(tx))
        if row is None:
            raise _not_listed()

    async def cap(self, caller: Caller) -> AnyRow | None:
        """How often the account may write to the same person; None: as often as it likes."""
        async with self._db.read() as connection:
            return await queries.find_cap(connection, caller.account_id)

    async def set_cap(self, caller: Caller, cap: CapIn | None) -> None:
        """Limit it from now on, for what is submitted later; None: no limit."""
        async with self._db.write() as tx:
            await queries.put_cap(tx, caller.account_id, None if cap is None else cap.model_dump())


def by(caller: Caller) -> str:
    """Who it is, in the history."""
    return "operator" if caller.is_admin else caller.user or "account"


def _scope(caller: Caller, account: str | None) -> str | None:
    """Whose rows are meant; None: everybody's. Raises `Forbidden` where it is not the caller's to name an account."""
    if account is None:
        return caller.account_scope
    if not caller.is_admin and account != caller.account_id:
        raise Forbidden("only an operator names an account")
    return account


def _account(caller: Caller, account: str | None) -> str:
    """The account whose list changes; raises `Forbidden` as `_scope` does."""
    return _scope(caller, account) or caller.account_id


def _cells(row: AnyRow) -> list[Cell]:
    """One row, in the order of `COLUMNS`."""
    at = datetime.fromtimestamp(row.created_at, UTC)
    return [row.phone, row.reason, row.source, row.said, row.sender_number, at]


def _wrong_account(message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError("account", message, "unknown")])


def _not_listed() -> NotFound:
    return NotFound("the number is not on the suppression list")
