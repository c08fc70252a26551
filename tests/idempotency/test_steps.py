"""Work that is no single transaction, with a key: done once, its answer given again, and never stuck."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.db import Database
from gateway.errors import Conflict, ValidationFailed
from gateway.idempotency.keys import Key, idempotency_key
from gateway.idempotency.steps import RESERVED_SECONDS, Steps

KEY = Key("step:local:", "k", "digest")


class Work:
    """What a request does; `go_on` holds it up, `fault` makes it fail."""

    def __init__(self) -> None:
        self.done = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fault: Exception | None = None

    async def __call__(self) -> dict[str, Any]:
        self.begun.set()
        await self.go_on.wait()
        self.done += 1
        if self.fault is not None:
            raise self.fault
        return {"done": self.done}


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """Each kind of database."""
    db = Database(database_url)
    yield db
    await db.close()


@pytest.fixture
def work() -> Work:
    """Some work."""
    return Work()


async def rows(db: Database) -> list[Any]:
    """All keys."""
    async with db.read() as connection:
        return list((await connection.execute(select(idempotency_key))).all())


async def test_the_same_key_again_is_answered_and_nothing_done(db: Database, work: Work) -> None:
    assert await Steps(db).once(KEY, work) == {"done": 1}
    assert await Steps(db).once(KEY, work) == {"done": 1}
    assert work.done == 1


async def test_another_key_or_another_scope_is_another_request(db: Database, work: Work) -> None:
    steps = Steps(db)
    for number, key in enumerate((KEY, Key(KEY.scope, "l", "digest"), Key("step:other:", "k", "digest")), start=1):
        assert await steps.once(key, work) == {"done": number}


async def test_the_key_of_another_request_is_refused(db: Database, work: Work) -> None:
    await Steps(db).once(KEY, work)
    with pytest.raises(ValidationFailed, match="another request") as error:
        await Steps(db).once(Key(KEY.scope, KEY.key, "other"), work)
    assert [one.code for one in error.value.errors] == ["key_reused"]
    assert work.done == 1


async def test_what_failed_is_not_kept_and_may_be_tried_again(db: Database, work: Work) -> None:
    work.fault = Conflict("not now")
    with pytest.raises(Conflict, match="not now"):
        await Steps(db).once(KEY, work)
    assert await rows(db) == []
    work.fault = None
    assert await Steps(db).once(KEY, work) == {"done": 2}


async def test_of_many_at_the_same_moment_one_works_and_all_get_its_answer(db: Database, work: Work) -> None:
    steps = Steps(db)
    work.go_on.clear()
    running = [asyncio.create_task(steps.once(KEY, work)) for _ in range(5)]
    await work.begun.wait()
    work.go_on.set()
    assert await asyncio.gather(*running) == [{"done": 1}] * 5
    assert work.done == 1


async def test_on_another_replica_it_is_asked_again_later(db: Database, work: Work) -> None:
    work.go_on.clear()
    running = asyncio.create_task(Steps(db).once(KEY, work))
    await work.begun.wait()
    with pytest.raises(Conflict, match="under way"):
        await Steps(db).once(KEY, work)
    with pytest.raises(ValidationFailed):
        await Steps(db).once(Key(KEY.scope, KEY.key, "other"), work)
    work.go_on.set()
    assert await running == {"done": 1}
    assert await Steps(db).once(KEY, work) == {"done": 1}


async def test_what_a_process_that_died_has_reserved_runs_out(db: Database, work: Work) -> None:
    work.go_on.clear()
    dead = asyncio.create_task(Steps(db).once(KEY, work))
    await work.begun.wait()
    dead.cancel()
    await asyncio.gather(dead, return_exceptions=True)
    work.go_on.set()
    with pytest.raises(Conflict, match="under way"):
        await Steps(db).once(KEY, work)
    async with db.write() as tx:
        earlier = idempotency_key.c.created_at - RESERVED_SECONDS - 1
        await tx.execute(update(idempotency_key).values(created_at=earlier))
    assert await Steps(db).once(KEY, work) == {"done": 1}


async def test_who_comes_back_late_overwrites_nothing(db: Database, work: Work) -> None:
    work.go_on.clear()
    late = asyncio.create_task(Steps(db).once(KEY, work))
    await work.begun.wait()
    async with db.write() as tx:
        earlier = idempotency_key.c.created_at - RESERVED_SECONDS - 1
        await tx.execute(update(idempotency_key).values(created_at=earlier))
    other = Work()
    other.done = 10
    assert await Steps(db).once(KEY, other) == {"done": 11}
    work.go_on.set()
    assert await late == {"done": 1}
    assert await Steps(db).once(KEY, work) == {"done": 11}
