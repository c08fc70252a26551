"""A long campaign is stored in slices: others get their turns between, and it comes to be whole or not at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import submitting
from campaigns.sending.queries import Filters, left_over, list_campaigns
from campaigns.sending.retention import LEFT_OVER_SECONDS, forget_old
from campaigns.sending.submitting import STORING_SECONDS
from campaigns.sending.tables import campaign, lane, message
from gateway.db import DatabaseAway
from gateway.errors import GatewayError, InvalidNumber, ServiceUnavailable
from gateway.ids import first_id
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books
from tests.harness.virtual_time import virtual_loop
from tests.harness.world import OPEN_CALLER, recipient_numbers

pytestmark = pytest.mark.virtual_time

SLICE = 10
Step = Callable[[int], Awaitable[None]]


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "SLICE", SLICE)


@pytest.fixture
def before_each_write(monkeypatch: pytest.MonkeyPatch) -> Callable[[Books, Step], None]:
    """Have a step taken before each transaction that writes, with its number (from 1); it may raise."""

    def install(books: Books, step: Step) -> None:
        write, count = books.db.write, 0

        @asynccontextmanager
        async def watched(*, bulk: bool = False) -> AsyncIterator[AsyncConnection]:
            nonlocal count
            count += 1
            await step(count)
            async with write(bulk=bulk) as tx:
                yield tx

        monkeypatch.setattr(books.db, "write", watched)

    return install


async def stored(books: Books) -> tuple[int, int]:
    """How many campaigns and messages there are in the tables."""
    async with books.db.read() as connection:
        counts = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (campaign, message)
        ]
    return counts[0], counts[1]


async def fail_at(books: Books, number: int, error: Exception, install: Callable[[Books, Step], None]) -> None:
    """Submit 95 recipients, with the transaction of this number failing."""

    async def step(count: int) -> None:
        if count == number:
            raise error

    install(books, step)
    with pytest.raises(type(error)):
        await books.submit(95)


async def die_in_the_middle(books: Books, install: Callable[[Books, Step], None]) -> None:
    """Submit 95 recipients in a process that ends after six slices."""
    here, never = asyncio.Event(), asyncio.Event()

    async def step(count: int) -> None:
        if count == 7:
            here.set()
            await never.wait()

    install(books, step)
    task = asyncio.create_task(books.submit(95))
    await here.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- turns --------------------------------------------------------------------------------------------------------


async def test_another_write_goes_through_between_two_slices(
    open_books: OpenBooks, before_each_write: Callable[[Books, Step], None]
) -> None:
    books = await open_books()
    seen: list[tuple[int, int]] = []
    others: list[asyncio.Task[None]] = []

    async def other() -> None:
        async with write() as tx:
            await tx.execute(update(lane).values(extra_delay=0.0))
            rows = select(
                select(func.count(message.c.id)).scalar_subquery(), select(func.count(campaign.c.id)).scalar_subquery()
            )
            messages, campaigns = (await tx.execute(rows)).one()
            seen.append((campaigns, messages))

    async def step(count: int) -> None:
        others.append(asyncio.create_task(other()))

    write = books.db.write
    before_each_write(books, step)
    await books.submit(95)
    await asyncio.gather(*others)
    between = {messages for campaigns, messages in seen if campaigns == 0}
    assert len(others) == 10
    assert len(between) >= 2
    assert all(messages in (0, 95) or messages % SLICE == 0 for _, messages in seen)


async def test_a_turn_of_the_dispatcher_in_the_middle_claims_nothing_of_it(
    open_books: OpenBooks, before_each_write: Callable[[Books, Step], None]
) -> None:
    books = await open_books()
    claimed: list[int] = []

    async def step(count: int) -> None:
        if count == 5:
            claimed.append(len((await books.turn()).claims))
            async with books.db.read() as connection:
                claimed.append((await list_campaigns(connection, Filters(), 0, 10))[1])

    before_each_write(books, step)
    await books.submit(95)
    assert claimed == [0, 0]
    assert len((await books.turn()).claims) == 1


async def test_a_short_campaign_takes_one_transaction(
    open_books: OpenBooks, before_each_write: Callable[[Books, Step], None]
) -> None:
    books = await open_books()
    counts: list[int] = []

    async def step(count: int) -> None:
        counts.append(count)

    before_each_write(books, step)
    await books.submit(SLICE)
    assert counts == [1]


# --- what is stored ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE, 95])
async def test_all_messages_are_there_in_the_order_of_the_request(open_books: OpenBooks, count: int) -> None:
    books = await open_books()
    campaign_id = await books.submit(count)
    rows = await books.messages(campaign_id)
    assert [row.phone for row in rows] == recipient_numbers(count)
    assert [row.seq for row in rows] == list(range(count))
    ids = [row.id for row in rows]
    assert ids == sorted(set(ids))
    row = await books.campaign(campaign_id)
    assert (row.total, row.n_queued, {message.created_at for message in rows}) == (count, count, {row.created_at})
    await books.check()


async def test_a_number_goes_once_wherever_it_is_repeated(open_books: OpenBooks) -> None:
    books = await open_books()
    numbers = recipient_numbers(35)
    request = books.request(
        [*numbers[:5], numbers[2], *numbers[5:30], numbers[0], numbers[29], *numbers[30:], numbers[34]]
    )
    answer = await books.campaigns.submit(OPEN_CALLER, request)
    assert answer["duplicates"] == 4
    assert [row.phone for row in await books.messages(answer["campaign"]["id"])] == numbers


async def test_a_bad_number_in_the_last_place_is_named_and_nothing_is_stored(open_books: OpenBooks) -> None:
    books = await open_books()
    with pytest.raises(InvalidNumber) as refused:
        await books.campaigns.submit(OPEN_CALLER, books.request([*recipient_numbers(94), "letters"]))
    assert [error.field for error in refused.value.errors] == ["recipients.94"]
    assert await stored(books) == (0, 0)


async def test_the_same_request_twice_at_once_leaves_one_campaign(open_books: OpenBooks) -> None:
    books = await open_books()
    request = books.request(95)
    answers = await asyncio.gather(*(books.campaigns.submit(OPEN_CALLER, request, "key") for _ in range(3)))
    assert len({answer["campaign"]["id"] for answer in answers}) == 1
    assert await stored(books) == (1, 95)
    assert await books.campaigns.submit(OPEN_CALLER, books.request(95), "key") == answers[0]


async def test_a_key_stands_for_one_request_down_to_its_last_recipient(open_books: OpenBooks) -> None:
    books = await open_books()
    numbers = recipient_numbers(95)
    await books.campaigns.submit(OPEN_CALLER, books.request(numbers), "key")
    with pytest.raises(GatewayError, match="another request"):
        await books.campaigns.submit(OPEN_CALLER, books.request([*numbers[:-1], "447700900999"]), "key")
    assert await stored(books) == (1, 95)


# --- when it fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 5, 10])
async def test_a_submit_that_fails_leaves_nothing(
    open_books: OpenBooks, before_each_write: Callable[[Books, Step], None], number: int
) -> None:
    books = await open_books()
    await fail_at(books, number, RuntimeError("a bug"), before_each_write)
    assert await stored(books) == (0, 0)


async def test_a_submit_that_took_so_long_that_it_may_be_taken_for_dead_is_refused(
    open_books: OpenBooks, before_each_write: Callable[[Books, Step], None]
) -> None:
    books = await open_books()

    async def step(count: int) -> None:
        if count == 5:
            virtual_loop().jump(STORING_SECONDS + 1.0)

    before_each_write(books, step)
    with pytest.raises(ServiceUnavailable):
        await books.submit(95)
    assert await stored(books) == (0, 0)
    assert STORING_SECONDS < LEFT_OVER_SECONDS


async def test_where_the_database_went_away_nothing_is_removed_before_it_is_known_what_it_has(
    open_books: OpenBooks, before_each_write: Callable[[Books, Step], None]
) -> None:
    books = await open_books()
    await fail_at(books, 10, DatabaseAway("gone"), before_each_write)
    assert await stored(books) == (0, 90)


async def test_what_a_dead_process_left_is_removed_after_an_hour_and_nothing_else(
    open_books: OpenBooks, before_each_write: Callable[[Books, Step], None]
) -> None:
    books = await open_books()
    before = await books.submit(15)
    await books.rest(1.0)
    await die_in_the_middle(books, before_each_write)
    await books.rest(1.0)
    after = await books.submit(25)
    assert await stored(books) == (2, 15 + 60 + 25)
    await books.rest(LEFT_OVER_SECONDS - 60.0)
    await forget_old(books.db, books.clock.now())
    assert await stored(books) == (2, 15 + 60 + 25)
    await books.rest(120.0)
    await forget_old(books.db, books.clock.now())
    assert await stored(books) == (2, 15 + 25)
    assert [len(await books.messages(campaign_id)) for campaign_id in (before, after)] == [15, 25]


async def test_looking_for_what_was_left_finds_nothing_in_an_empty_database(open_books: OpenBooks) -> None:
    books = await open_books()
    async with books.db.read() as connection:
        assert list(await left_over(connection, first_id(books.clock.now()))) == []


async def test_a_campaign_that_exists_loses_no_message_to_a_removal(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(25)
    await submitting.remove_messages(books.db, campaign_id)
    assert await stored(books) == (1, 25)


async def test_a_key_gives_the_same_answer_and_no_second_campaign(open_books: OpenBooks) -> None:
    books = await open_books()
    service = books.campaigns
    request = books.request(3)
    answers = await asyncio.gather(*(service.submit(OPEN_CALLER, request, "key") for _ in range(5)))
    assert len({answer["campaign"]["id"] for answer in answers}) == 1
    assert len(await books.messages(answers[0]["campaign"]["id"])) == 3
    assert len(await books.send_all(3)) == 3
