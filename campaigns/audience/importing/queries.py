"""SQL of imports: the job, its report, and recipients by the slice."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Float, Integer, Select, String, Text, bindparam, delete, insert, literal, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.importing.models import ImportProblem, ImportState, RecipientImport, RecipientImportRow
from campaigns.audience.tables import recipient
from campaigns.paging import fetch_page
from gateway.auth.owned import owned
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, AnyRow, table_of

job = table_of(RecipientImport)
report = table_of(RecipientImportRow)

_people = batch(
    "b_people", id=ID, phone=String(), grade=String(), called=String(), search_text=Text(), variables=Text()
)
_report = batch("b_report", line=Integer(), fate=String(), phone=String(), called=String(), reason=Text())
_COLUMNS = ("id", "phone", "grade", "name", "search_text", "variables")
_RUNNING = job.c.state == ImportState.RUNNING


async def insert_job(tx: AsyncConnection, **values: Any) -> None:
    """Store a new import."""
    await tx.execute(insert(job).values(**values))


async def find_job(connection: AsyncConnection, import_id: str, account_id: str | None) -> AnyRow | None:
    """One import."""
    query = select(job).where(job.c.id == import_id, owned(job, account_id))
    return (await connection.execute(query)).first()


async def list_jobs(
    connection: AsyncConnection, account_id: str | None, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of imports, newest first, and how many there are."""
    query = select(job).where(owned(job, account_id)).order_by(job.c.id.desc())
    return await fetch_page(connection, query, offset, limit)


async def update_job(tx: AsyncConnection, import_id: str, **values: Any) -> bool:
    """Change an import that runs; False where it does not run any more."""
    statement = update(job).where(job.c.id == import_id, _RUNNING).values(**values)
    return (await tx.execute(statement)).rowcount == 1


async def add_counts(tx: AsyncConnection, import_id: str, counts: Mapping[str, int], now: float) -> bool:
    """Add to the counts of an import that runs, by the names of the fates; False where it does not run any more."""
    more = {name: job.c[name] + count for name, count in counts.items()}
    return await update_job(tx, import_id, **more, beat_at=now)


async def any_silent(connection: AsyncConnection, before: float) -> bool:
    """Whether there is an import that runs, and whose process was not heard of since `before`."""
    query = select(job.c.id).where(_RUNNING, job.c.beat_at < before).limit(1)
    return (await connection.execute(query)).first() is not None


async def fail_silent(tx: AsyncConnection, before: float, now: float, error: str) -> int:
    """End the imports whose process was not heard of since `before`; returns how many there were."""
    statement = update(job).where(_RUNNING, job.c.beat_at < before)
    told = {"error_code": ImportProblem.INTERRUPTED, "error": error}
    return (await tx.execute(statement.values(state=ImportState.FAILED, finished_at=now, **told))).rowcount


async def old_jobs(connection: AsyncConnection, before: float) -> Sequence[str]:
    """The ids of the imports that began earlier, and have ended."""
    return (await connection.execute(select(job.c.id).where(job.c.created_at < before, ~_RUNNING))).scalars().all()


async def delete_rows(tx: AsyncConnection, import_id: str, count: int) -> int:
    """Remove some rows of a report; returns how many."""
    some = select(report.c.line).where(report.c.import_id == import_id).limit(count)
    return (await tx.execute(delete(report).where(report.c.import_id == import_id, report.c.line.in_(some)))).rowcount


async def delete_job(tx: AsyncConnection, import_id: str) -> None:
    """Remove an import."""
    await tx.execute(delete(job).where(job.c.id == import_id))


# --- the report ---


async def insert_rows(tx: AsyncConnection, import_id: str, rows: Iterable[Sequence[Any]]) -> None:
    """Add to a report: line, fate, phone, name and reason of each row."""
    names = ["import_id", "line", "fate", "phone", "name", "reason"]
    source = select(literal(import_id, type_=ID), *_report.c)
    await tx.execute(insert(report).from_select(names, source), {"b_report": pack(rows)})


async def list_rows(
    connection: AsyncConnection, import_id: str, fates: Sequence[str], offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of a report by line, of these fates or of all, and how many rows that are."""
    return await fetch_page(connection, _rows(import_id, fates), offset, limit)


async def rows_after(
    connection: AsyncConnection, import_id: str, fates: Sequence[str], after: int, limit: int
) -> Sequence[AnyRow]:
    """The rows of the same list that follow a line."""
    query = _rows(import_id, fates).where(report.c.line > after).limit(limit)
    return (await connection.execute(query)).all()


def _rows(import_id: str, fates: Sequence[str]) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = select(report).where(report.c.import_id == import_id)
    if fates:
        query = query.where(report.c.fate.in_(fates))
    return query.order_by(report.c.line)


# --- recipients ---


async def insert_people(
    tx: AsyncConnection, account_id: str, now: float, people: Iterable[Sequence[Any]]
) -> dict[str, str]:
    """Store those whose number the account does not have; gives their ids by their digits.

    A row is id, digits, grade, name, search text and variables.
    """
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    source = select(
        *_people.c,
        bindparam("b_account", type_=String()).label("account_id"),
        bindparam("b_now", type_=Float(53)).label("created_at"),
        bindparam("b_now", type_=Float(53)).label("updated_at"),
    ).where(true())  # without a WHERE, SQLite takes ON CONFLICT for the ON of a join
    statement = (
        upsert(recipient)
        .from_select([*_COLUMNS, "account_id", "created_at", "updated_at"], source)
        .on_conflict_do_nothing(index_elements=["account_id", "phone"])
        .returning(recipient.c.phone, recipient.c.id)
    )
    rows = await tx.execute(statement, {"b_people": pack(people), "b_account": account_id, "b_now": now})
    return {row.phone: row.id for row in rows}


async def find_people(
    connection: AsyncConnection, account_id: str, phones: Sequence[str], *, lock: bool
) -> dict[str, AnyRow]:
    """Those of the account who have these digits, by them; with `lock` they stay as they are in this transaction."""
    query = (
        select(recipient.c.id, recipient.c.phone, recipient.c.name, recipient.c.variables)
        .where(recipient.c.account_id == account_id, is_among(recipient.c.phone, "b_phones", String()))
        .order_by(recipient.c.phone)
    )
    if lock:
        query = query.with_for_update(key_share=True)
    rows = await connection.execute(query, {"b_phones": pack_values(phones)})
    return {row.phone: row for row in rows}


async def update_people(tx: AsyncConnection, now: float, people: Iterable[Sequence[Any]]) -> None:
    """Change recipients who are locked; rows as those of `insert_people`."""
    statement = (
        update(recipient)
        .where(recipient.c.id == _people.c.id)
        .values(
            name=_people.c.called,
            search_text=_people.c.search_text,
            variables=_people.c.variables,
            updated_at=bindparam("b_now", type_=Float(53)),
        )
    )
    await tx.execute(statement, {"b_people": pack(people), "b_now": now})
