"""WhatsApp's lock on new contacts and its quota of new chats, as the tables keep them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from gateway.db import AnyRow
from gateway.events import SessionNoted
from gateway.waha.schemas import Me, Timelock
from sessions import limits
from sessions.history import Diary, Kind
from tests.harness.books import Books

pytestmark = pytest.mark.virtual_time

HOUR = 3600.0
ME = Me("447700900000@c.us")


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    """One connected sender."""
    books = Books(database_url)
    await books.open(1)
    yield books
    await books.db.close()


async def read(books: Books) -> AnyRow:
    """What a sweep reads of the sender."""
    async with books.db.read() as connection:
        query = select(*limits.LIMIT_COLUMNS).join(limits.session, limits.session.c.sender_id == limits.sender.c.id)
        return (await connection.execute(query)).one()


async def told(books: Books, me: Me) -> list[str]:
    """WAHA tells this about the sender's account; returns what that adds to its history."""
    diary, heard = Diary(), list[str]()
    books.bus.subscribe(SessionNoted, lambda event: heard.append(event.kind))
    row, now = await read(books), books.clock.now()
    would_write = limits.changes(row, me, now)
    async with books.db.write() as tx:
        await limits.note_me(tx, row, me, now, diary)
    assert would_write is (await read(books) != row)
    diary.tell(books.bus)
    return heard


async def refused(books: Books, until: float | None = None) -> float:
    """WhatsApp refuses a message to somebody new; returns for how long the sender is locked then."""
    async with books.db.write() as tx:
        now = books.clock.now()
        end = await limits.lock(tx, books.sender_id(0), books.senders[0], until, "refused", now, Diary())
    return end - now


async def test_locks_without_a_told_end_double_up_to_a_day(books: Books) -> None:
    lengths = []
    for _ in range(7):
        lengths.append(await refused(books))
        await books.rest(lengths[-1])
    assert lengths == [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR, 24 * HOUR, 24 * HOUR]


async def test_a_refusal_while_a_lock_holds_does_not_lengthen_it(books: Books) -> None:
    await refused(books)
    await books.rest(600.0)
    assert await refused(books) == HOUR - 600.0
    assert (await read(books)).lock_strikes == 1


async def test_they_begin_small_again_after_a_send_to_somebody_new_or_a_told_end(books: Books) -> None:
    for _ in range(2):
        await books.rest(await refused(books))
    async with books.db.write() as tx:
        await limits.forgive(tx, [books.sender_id(0)], books.clock.now())
    await books.rest(await refused(books))
    assert (await read(books)).lock_strikes == 1
    await books.rest(await refused(books, until=books.clock.now() + 60.0))
    assert await refused(books) == HOUR


async def test_a_success_that_is_told_late_does_not_forgive_a_lock_that_holds(books: Books) -> None:
    await refused(books)
    async with books.db.write() as tx:
        await limits.forgive(tx, [books.sender_id(0)], books.clock.now())
    assert (await read(books)).lock_strikes == 1


async def test_a_told_end_replaces_a_guessed_one(books: Books) -> None:
    await refused(books)
    end = books.clock.now() + 900.0
    assert await told(books, replace(ME, timelock=Timelock(is_active=True, ends_at=end))) == [Kind.LOCKED]
    row = await read(books)
    assert (row.locked_until, row.lock_strikes) == (end + limits.MARGIN_SECONDS, 0)


async def test_the_same_word_again_writes_nothing(books: Books) -> None:
    lock = Timelock(is_active=True, enforcement="DEFAULT", ends_at=books.clock.now() + 900.0)
    me = replace(ME, timelock=lock, capping={"totalQuota": 50, "usedQuota": 3})
    assert await told(books, me) == [Kind.LOCKED]
    before = await read(books)
    assert await told(books, replace(me, capping={"usedQuota": 3, "totalQuota": 50})) == []
    assert await read(books) == before


async def test_no_word_changes_nothing(books: Books) -> None:
    await refused(books)
    before = await read(books)
    assert await told(books, ME) == []
    assert await read(books) == before


async def test_a_told_lock_ends_when_whatsapp_lifts_it(books: Books) -> None:
    await told(books, replace(ME, timelock=Timelock(is_active=True, ends_at=books.clock.now() + 900.0)))
    assert await told(books, replace(ME, timelock=Timelock(is_active=False))) == [Kind.UNLOCKED]
    assert (await read(books)).locked_until == 0.0


async def test_a_word_that_there_is_no_lock_does_not_end_one_that_only_a_refusal_told(books: Books) -> None:
    await refused(books)
    assert await told(books, replace(ME, timelock=Timelock(is_active=False))) == []
    assert (await read(books)).locked_until == books.clock.now() + HOUR


async def test_a_lock_that_is_active_without_an_end_is_looked_at_again_in_an_hour(books: Books) -> None:
    me = replace(ME, timelock=Timelock(is_active=True))
    assert await told(books, me) == [Kind.LOCKED]
    assert await told(books, me) == []
    await books.rest(HOUR)
    assert await told(books, me) == [Kind.LOCKED]
    assert (await read(books)).locked_until == books.clock.now() + HOUR


async def test_a_lock_whose_told_end_is_over_is_over(books: Books) -> None:
    assert await told(books, replace(ME, timelock=Timelock(is_active=True, ends_at=books.clock.now() - 60.0))) == []
    assert (await read(books)).locked_until == 0.0


async def test_the_quota_is_kept_as_whatsapp_words_it_and_follows_it(books: Books) -> None:
    for used in (3, 4):
        await told(books, replace(ME, capping={"usedQuota": used, "cappingStatus": "NONE"}))
        assert (await read(books)).capping == f'{{"cappingStatus":"NONE","usedQuota":{used}}}'


async def test_a_session_that_is_gone_keeps_its_numbers_lock(books: Books) -> None:
    await refused(books)
    async with books.db.write() as tx:
        await tx.execute(update(limits.session).values(state="STOPPED"))
    assert (await read(books)).locked_until > books.clock.now()
