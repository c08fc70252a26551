"""Lists stay fast with 100,000 recipients: what is looked through is an index, and no more of it than is needed."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from campaigns.audience import queries
from campaigns.audience.tables import group_member, recipient, recipient_group
from campaigns.sending.models import Campaign, Message
from campaigns.sending.sent_to import MOST, sent_to
from gateway.db import Database, table_of
from gateway.ids import make_id, make_ids
from tests.harness.accounts import add_other_account
from tests.harness.databases import sqlite_url

PEOPLE = 2_000
Statements = list[tuple[str, Any]]


@pytest.fixture
async def db(sqlite_folder: Path) -> AsyncIterator[Database]:
    """A database with many recipients, half of them in a group, and another account's."""
    database = Database(sqlite_url(sqlite_folder))
    ids = make_ids(1.0, PEOPLE)
    await add_other_account(database)
    async with database.write(bulk=True) as tx:
        await tx.execute(insert(recipient), [person(one, n) for n, one in enumerate(ids)])
        await tx.execute(
            insert(recipient_group).values(
                id=GROUP, account_id="local", name="Half", folded_name="half", created_at=1.0, updated_at=1.0
            )
        )
        await tx.execute(insert(group_member), [{"group_id": GROUP, "recipient_id": one} for one in ids[::2]])
    yield database
    await database.close()


GROUP = make_id(1.0)


def person(recipient_id: str, n: int) -> dict[str, Any]:
    """One of many; every fourth is another account's."""
    return {
        "id": recipient_id,
        "account_id": "local" if n % 4 != 3 else "other",
        "name": f"P{n}",
        "phone": f"44770090{n:04d}",
        "grade": "possible",
        "created_at": 1.0,
        "updated_at": 1.0,
        "search_text": f"p{n}\n44770090{n:04d}",
        "variables": '{"note": "' + "x" * 500 + '"}',
    }


def watch(db: Database) -> Statements:
    """Every statement from now on, with its parameters."""
    statements: Statements = []

    @event.listens_for(db.engine.sync_engine, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    return statements


async def plans(db: Database, statements: Statements) -> list[str]:
    """How SQLite carries each of them out, in its own words."""
    told = []
    async with db.read() as connection:
        for statement, parameters in list(statements):
            rows = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).all()
            told.append("; ".join(row.detail for row in rows))
    return told


async def listed(db: Database, **wanted: Any) -> tuple[Sequence[Any], int, list[str]]:
    """A page of the local account's recipients, how many there are, and the plans of what was asked."""
    usual: dict[str, Any] = {"folded_search": "", "phone_search": [], "group_id": None, "offset": 0, "limit": 10}
    statements = watch(db)
    async with db.read() as connection:
        rows, total = await queries.list_recipients(connection, "local", **usual | wanted)
    return rows, total, await plans(db, statements)


async def test_a_page_is_read_off_the_index_and_counted_in_it(db: Database) -> None:
    rows, total, told = await listed(db)
    assert (len(rows), total) == (10, PEOPLE * 3 // 4)
    assert told[0] == "SEARCH recipient USING INDEX ix_recipient_search (account_id=?)"
    assert told[1].startswith("SEARCH recipient USING COVERING INDEX")


async def test_a_search_that_finds_little_looks_through_the_list_once(db: Database) -> None:
    rows, total, told = await listed(db, folded_search="p10\n")
    assert ([row.name for row in rows], total) == (["P10"], 1)
    assert told == ["SEARCH recipient USING INDEX ix_recipient_search (account_id=?)"]


async def test_a_search_that_finds_much_is_counted_in_the_index_alone(db: Database) -> None:
    rows, total, told = await listed(db, folded_search="p1", phone_search=["4477"])
    assert (len(rows), total) == (10, PEOPLE * 3 // 4)
    assert told[1] == "SEARCH recipient USING COVERING INDEX ix_recipient_search (account_id=?)"


async def test_who_is_not_found_is_looked_for_in_the_index_alone(db: Database) -> None:
    """The rows, with their long variables, are read for those that are found only: so few pages are touched."""
    statements = watch(db)
    async with db.read() as connection:
        await queries.list_recipients(
            connection, "local", folded_search="nobody", phone_search=[], group_id=None, offset=0, limit=10
        )
        [(statement, parameters)] = statements
        rows = (await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)).all()
    steps = [row.opcode for row in rows]
    assert "DeferredSeek" in steps, "SQLite goes to the row only where a column of it is needed"


async def test_a_groups_page_is_read_off_its_members_and_counted_there(db: Database) -> None:
    rows, total, told = await listed(db, group_id=GROUP)
    assert (len(rows), total) == (10, PEOPLE // 2)
    assert "USE TEMP B-TREE" not in told[0]
    assert "recipient USING INDEX ix_recipient_search" not in told[0]
    assert "recipient " not in told[1].replace("recipient_group", ""), "the members alone are counted"


@pytest.mark.parametrize("count", [1, 500])
async def test_a_page_asks_as_many_questions_whatever_it_has(db: Database, count: int) -> None:
    statements = watch(db)
    async with db.read() as connection:
        rows, _ = await queries.list_recipients(
            connection, "local", folded_search="", phone_search=[], group_id=None, offset=0, limit=count
        )
        found = await queries.groups_of(connection, [row.id for row in rows])
    assert len(statements) == 3
    assert len(found) == count


async def test_a_recipient_in_very_many_groups_is_shown_with_some(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "GROUPS_SHOWN", 3)
    ids = make_ids(2.0, 5)
    async with db.write() as tx:
        recipient_id = (await tx.execute(text("SELECT id FROM recipient LIMIT 1 OFFSET 1"))).scalar_one()
        for n, one in enumerate(ids):
            name = f"g{9 - n}"
            await tx.execute(
                insert(recipient_group).values(
                    id=one, account_id="local", name=name, folded_name=name, created_at=1.0, updated_at=1.0
                )
            )
        await tx.execute(insert(group_member), [{"group_id": one, "recipient_id": recipient_id} for one in ids])
        found = await queries.groups_of(tx, [recipient_id])
    assert [row.name for row in found[recipient_id]] == ["g5", "g6", "g7"]


# --- what somebody was sent


async def store_messages(db: Database, account_id: str, phone: str, times: Sequence[float | None]) -> None:
    """A campaign with messages to one number, which left at these times."""
    campaign_id = make_id(1.0)
    row = Campaign(id=campaign_id, account_id=account_id, sender_number="447700900001", template="", created_at=1.0)
    messages = [
        Message(id=make_id(1.0), campaign_id=campaign_id, seq=seq, phone=phone, created_at=1.0, sent_at=at)
        for seq, at in enumerate(times)
    ]
    async with db.write(bulk=True) as tx:
        await tx.execute(insert(table_of(Campaign)).values(row.model_dump()))
        await tx.execute(insert(table_of(Message)), [one.model_dump() for one in messages])


async def test_what_somebody_was_sent_is_found_in_an_index_of_what_has_left(db: Database) -> None:
    await store_messages(db, "local", "447700900100", [3.0, None, 5.0])
    await store_messages(db, "local", "447700900100", [4.0])
    await store_messages(db, "local", "447700900101", [9.0])
    await store_messages(db, "other", "447700900100", [8.0])
    statements = watch(db)
    async with db.read() as connection:
        assert await sent_to(connection, "local", "447700900100") == (3, 5.0)
        assert await sent_to(connection, "other", "447700900100") == (1, 8.0)
        assert await sent_to(connection, "local", "447700900102") == (0, None)
    [told, *_] = await plans(db, statements)
    assert "message USING INDEX ix_message_left (phone=?" in told
    assert "campaign USING INDEX sqlite_autoindex_campaign_1 (id=?)" in told
    assert "TEMP B-TREE" not in told


async def test_of_a_number_that_was_sent_very_much_the_last_messages_are_counted(db: Database) -> None:
    await store_messages(db, "local", "447700900100", [float(n) for n in range(1, MOST + 6)])
    async with db.read() as connection:
        assert await sent_to(connection, "local", "447700900100") == (MOST, MOST + 5.0)
