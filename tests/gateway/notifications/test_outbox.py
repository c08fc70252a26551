"""The outbox: a fact is written in its own transaction, and only where somebody listens."""

import orjson
import pytest
from sqlalchemy import insert, select

from gateway.db import Database, read_now
from gateway.ids import make_id
from gateway.notifications.outbox import may_be_heard, tell
from gateway.notifications.tables import event
from tests.gateway.notifications.conftest import ALICE, BERT, listen, sent, told


async def test_nothing_is_written_where_nobody_listens(db: Database) -> None:
    async with db.write() as tx:
        await tell(tx, [sent()])
    assert await told(db) == []
    assert not db.told.is_set()


async def test_a_fact_is_written_for_whoever_listens_to_its_account(db: Database) -> None:
    await listen(db, "local")
    async with db.write() as tx:
        now = await read_now(tx)
        await tell(tx, [sent(text="grüß"), sent("other")])
    [row] = await told(db)
    assert (row.account_id, row.kind, row.sender_number, row.sequence) == ("local", "message.sent", ALICE, None)
    assert orjson.loads(row.data) == {"text": "grüß"}
    assert now <= row.at < now + 60
    assert db.told.is_set()


async def test_an_operator_hears_of_every_account(db: Database) -> None:
    await listen(db)
    async with db.write() as tx:
        await tell(tx, [sent("local"), sent("other")])
    assert [row.account_id for row in await told(db)] == ["local", "other"]


async def test_the_owner_of_a_number_hears_of_that_number_only(db: Database) -> None:
    await listen(db, "", ALICE)
    async with db.write() as tx:
        await tell(tx, [sent(number=ALICE), sent(number=BERT), sent(number=None)])
    assert [row.sender_number for row in await told(db)] == [ALICE]


async def test_a_listener_whose_time_is_over_hears_nothing(db: Database) -> None:
    async with db.read() as connection:
        now = await read_now(connection)
    await listen(db, "local", until=now)
    async with db.write() as tx:
        await tell(tx, [sent()])
    assert await told(db) == []


async def test_what_is_rolled_back_was_never_told(db: Database) -> None:
    await listen(db, "local")

    async def fail() -> None:
        async with db.write() as tx:
            await tell(tx, [sent()])
            raise RuntimeError("on second thought")

    with pytest.raises(RuntimeError, match="on second thought"):
        await fail()
    assert await told(db) == []
    async with db.write() as tx:  # on the same connection of the pool
        await read_now(tx)
    assert not db.told.is_set()


async def test_many_facts_keep_their_order(db: Database) -> None:
    await listen(db, "local")
    async with db.write() as tx:
        await tell(tx, [sent(index=index) for index in range(300)])
    async with db.write() as tx:
        await tell(tx, [sent(index=index) for index in range(300, 310)])
    assert [orjson.loads(row.data)["index"] for row in await told(db)] == list(range(310))


@pytest.mark.parametrize(
    ("account_id", "number", "expected"),
    [("local", None, True), ("*", None, True), ("", ALICE, True), ("other", None, False)],
)
async def test_a_statement_can_ask_whether_anybody_may_listen(
    db: Database, account_id: str, number: str | None, expected: bool
) -> None:
    await listen(db, account_id, number)
    async with db.write() as tx:
        await tx.execute(insert(event).values(id=make_id(0.0), account_id="local", kind="x", at=0.0, data="{}"))
        heard = (await tx.execute(select(may_be_heard(event.c.account_id)).select_from(event))).scalar_one()
    assert bool(heard) is expected
