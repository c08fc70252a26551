"""What is asked for every message that comes in is found through an index, however much was ever sent."""

from typing import Any

import pytest
from sqlalchemy import Select, text
from sqlalchemy.dialects import sqlite

from campaigns.inbox import replies
from gateway.db import Database
from tests.harness.databases import sqlite_url


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (replies._LAST, "ix_message_left (phone=? AND sent_at>? AND sent_at<?)"),
        (replies._TO_SKIP, "ix_message_stoppable (phone=?)"),
        (replies._QUOTED, "uq_message_wa_id (wa_id=?)"),
    ],
)
async def test_messages_of_ours_are_found_through_an_index(sqlite_folder: Any, query: Select[Any], index: str) -> None:
    db = Database(sqlite_url(sqlite_folder))
    compiled = query.compile(dialect=sqlite.dialect(paramstyle="named"))
    values = {name: "[]" if value is None else value for name, value in compiled.params.items()}
    async with db.read() as connection:
        plan = (await connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"), values)).all()
    await db.close()
    assert any(row[3].endswith(index) for row in plan), plan
    assert not any(row[3].startswith("SCAN message") for row in plan)
