"""SQL of opt-outs, and the one place that says whom an account may not write to.

`suppressed` is that as a condition, for statements that claim; `find_suppressed` tells doors whom, and why.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, case, delete, exists, func, insert, or_, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.optouts.models import EVERY_ACCOUNT, Action, Source
from campaigns.audience.optouts.people import person_of
from campaigns.audience.optouts.tables import account, frequency_cap, history, suppression
from campaigns.paging import fetch_page
from gateway.batch import is_among, pack_values
from gateway.db import AnyRow, Database
from gateway.folding import contains

OPTED_OUT = "opted_out"
"""The code of a message that was skipped because of this."""


def suppressed(person: ColumnElement[str], *accounts: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether somebody (`person_of` their number) may not be written to by these accounts, or by nobody."""
    return exists(
        select(suppression.c.id).where(
            suppression.c.person == person, suppression.c.account_id.in_((EVERY_ACCOUNT, *accounts))
        )
    )


_FIND = select(suppression).where(
    is_among(suppression.c.account_id, "accounts", String()), is_among(suppression.c.person, "people", String())
)


async def find_suppressed(
    connection: AsyncConnection, accounts: Collection[str], phones: Collection[str]
) -> dict[str, str]:
    """Those of the numbers (digits) that these accounts may not write to, with the reason for a person."""
    people = {phone: person_of(phone) for phone in phones}
    rows = await connection.execute(
        _FIND,
        {
            "accounts": pack_values(sorted({EVERY_ACCOUNT, *accounts})),
            "people": pack_values(sorted(set(people.values()))),
        },
    )
    why = {row.person: reason_of(row) for row in rows}
    return {phone: why[person] for phone, person in people.items() if person in why} if why else {}


def reason_of(row: AnyRow) -> str:
    """Why a message to somebody is skipped, by their row of the table `suppression`."""
    day = datetime.fromtimestamp(row.created_at, UTC).date().isoformat()
    if row.source == Source.KEYWORD:
        told = f"they wrote {row.said!r} on {day}"
    else:
        told = f"on the suppression list since {day}"
        told += f": {row.reason}" if row.reason else ""
    return f"opted out ({told})" if row.account_id != EVERY_ACCOUNT else f"opted out of all accounts ({told})"


DOOR_SLICE = 5_000
"""So many numbers are asked about in one statement."""


async def opted_out_among(db: Database, accounts: Collection[str], phones: Sequence[str]) -> dict[str, str]:
    """As `find_suppressed`, for a door: of any number of numbers, some at a time."""
    ours = select(suppression.c.id).where(suppression.c.account_id.in_((EVERY_ACCOUNT, *accounts)))
    async with db.read() as connection:
        if (await connection.execute(ours.limit(1))).first() is None:
            return {}
    found: dict[str, str] = {}
    for start in range(0, len(phones), DOOR_SLICE):
        async with db.read() as connection:
            found |= await find_suppressed(connection, accounts, phones[start : start + DOOR_SLICE])
    return found


async def insert_suppressions(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> list[AnyRow]:
    """Store opt-outs; gives the rows of those that were not there. Whoever stores the same one is waited for.

    Rows are locked in the order given: let it be that of `person`.
    """
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = (
        upsert(suppression).on_conflict_do_nothing(index_elements=["account_id", "person"]).returning(suppression)
    )
    return list((await tx.execute(statement, list(rows))).all())


async def insert_history(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add steps to the history."""
    if rows:
        await tx.execute(insert(history), list(rows))


async def delete_suppression(tx: AsyncConnection, account_id: str, person: str) -> AnyRow | None:
    """Remove an opt-out; gives its row, None where there is none."""
    statement = (
        delete(suppression)
        .where(suppression.c.account_id == account_id, suppression.c.person == person)
        .returning(suppression)
    )
    row: AnyRow | None = (await tx.execute(statement)).first()
    return row


async def lock_suppression(tx: AsyncConnection, account_id: str, person: str) -> None:
    """Wait for whoever changes an opt-out just now, and let nobody else do it before this transaction has ended."""
    query = select(suppression.c.id).where(suppression.c.account_id == account_id, suppression.c.person == person)
    await tx.execute(query.with_for_update())


async def last_heard_at(connection: AsyncConnection, account_id: str, person: str) -> float | None:
    """When somebody wrote the last word that was heeded, by WhatsApp's clock; None where there was none."""
    query = select(func.max(history.c.said_at)).where(history.c.account_id == account_id, history.c.person == person)
    found: float | None = (await connection.execute(query)).scalar()
    return found


async def was_confirmed_since(connection: AsyncConnection, account_id: str, person: str, since: float) -> bool:
    """Whether somebody's opt-out was to be confirmed after then."""
    query = select(history.c.id).where(
        history.c.account_id == account_id,
        history.c.person == person,
        history.c.action == Action.OPTED_OUT,
        history.c.confirmed,
        history.c.at > since,
    )
    return (await connection.execute(query.limit(1))).first() is not None


def _seen_by(table: Any, account_id: str | None) -> ColumnElement[bool]:
    """What an account sees: its own, and what an operator has decided for all; None is everybody's."""
    return true() if account_id is None else table.c.account_id.in_((account_id, EVERY_ACCOUNT))


async def find_suppressions(connection: AsyncConnection, account_id: str | None, person: str) -> Sequence[AnyRow]:
    """What is stored of a person that an account sees: what holds for all accounts first, then the oldest."""
    query = select(suppression).where(suppression.c.person == person, _seen_by(suppression, account_id))
    first = case((suppression.c.account_id == EVERY_ACCOUNT, 0), else_=1)
    return (await connection.execute(query.order_by(first, suppression.c.id))).all()


def _list(
    account_id: str | None, folded_search: str, phone_search: Sequence[str], sources: Sequence[str]
) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = select(suppression).where(_seen_by(suppression, account_id))
    if sources:
        query = query.where(suppression.c.source.in_(sources))
    if texts := dict.fromkeys(text for text in (folded_search, *phone_search) if text):
        query = query.where(or_(*(contains(suppression.c.search_text, text) for text in texts)))
    return query


async def list_suppressions(
    connection: AsyncConnection,
    account_id: str | None,
    *,
    folded_search: str,
    phone_search: Sequence[str],
    sources: Sequence[str],
    offset: int,
    limit: int,
) -> tuple[Sequence[AnyRow], int]:
    """A page of the opt-outs that an account sees, newest first, and how many there are."""
    query = _list(account_id, folded_search, phone_search, sources)
    return await fetch_page(connection, query.order_by(suppression.c.id.desc()), offset, limit)


async def suppressions_after(
    connection: AsyncConnection,
    account_id: str | None,
    *,
    folded_search: str,
    phone_search: Sequence[str],
    sources: Sequence[str],
    after: str | None,
    limit: int,
) -> Sequence[AnyRow]:
    """The rows of the same list that follow one (an id; None: from the first one on), oldest first."""
    query = _list(account_id, folded_search, phone_search, sources)
    if after is not None:
        query = query.where(suppression.c.id > after)
    return (await connection.execute(query.order_by(suppression.c.id).limit(limit))).all()


async def history_of(
    connection: AsyncConnection, account_id: str | None, person: str, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of what happened to somebody's wish, newest first, and how many steps there are."""
    query = select(history).where(history.c.person == person, _seen_by(history, account_id))
    return await fetch_page(connection, query.order_by(history.c.id.desc()), offset, limit)


async def is_account(connection: AsyncConnection, account_id: str) -> bool:
    """Whether there is such an account."""
    return (await connection.execute(select(account.c.id).where(account.c.id == account_id))).first() is not None


async def find_cap(connection: AsyncConnection, account_id: str) -> AnyRow | None:
    """How often an account may write to the same person; None: there is no limit."""
    return (await connection.execute(select(frequency_cap).where(frequency_cap.c.account_id == account_id))).first()


async def put_cap(tx: AsyncConnection, account_id: str, cap: Mapping[str, int] | None) -> None:
    """Set how often an account may write to the same person; None takes the limit away."""
    if cap is None:
        await tx.execute(delete(frequency_cap).where(frequency_cap.c.account_id == account_id))
        return
    upsert = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(frequency_cap)
    statement = upsert.values(account_id=account_id, **cap)
    await tx.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=dict(cap)))
