"""Messages that have times of their own: they cost nothing while they wait, and leave in time. On both databases."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Select, update

from campaigns.sending.claim_statements import EARLIEST, FIRST_TIMED, TIMED_UNDEALT
from campaigns.sending.forecasting import Forecaster
from campaigns.sending.models import CampaignState
from campaigns.sending.outcomes import Claim, Result, Turn
from campaigns.sending.status import StatusReader
from campaigns.sending.tables import campaign, message
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books
from tests.harness.world import recipient_numbers

pytestmark = pytest.mark.virtual_time

HOUR = 3600.0


async def submit_timed(
    books: Books, seconds: Sequence[float], *, max_lateness: float | None = None, **fields: Any
) -> str:
    """A campaign whose messages may leave so many seconds from now, as a schedule in local time stores them."""
    campaign_id = await books.submit(recipient_numbers(len(seconds)), **fields)
    times = sorted(books.clock.now() + one for one in seconds)
    async with books.db.write() as tx:
        for seq, at in enumerate(times):
            await tx.execute(
                update(message)
                .where(message.c.campaign_id == campaign_id, message.c.seq == seq)
                .values(not_before=at, text=str(seq))
            )
        await tx.execute(
            update(campaign).where(campaign.c.id == campaign_id).values(next_at=times[0], max_lateness=max_lateness)
        )
    return campaign_id


async def run(books: Books, seconds: float) -> list[tuple[float, Claim]]:
    """Take turns only when the last one said so; the claims, with when each fires, counted from the start."""
    start, fired, turns = books.clock.now(), [], 0
    turn = await books.turn()
    while turn.look_again_at < start + seconds or turn.claims:
        fired += [(claim.fire_at - start, claim) for claim in turn.claims]
        latest = max((claim.fire_at for claim in turn.claims), default=turn.look_again_at)
        await books.rest(max(0.0, latest - books.clock.now()))
        turn = await books.turn([(claim, books.outcome(Result.SENT)) for claim in turn.claims])
        turns += 1
        assert turns < 1000
    return fired


@pytest.mark.parametrize(
    ("senders", "fields", "switch_delay"),
    [
        (1, {}, 0.0),
        (3, {}, 0.0),
        (3, {"rotation": "fastest"}, 0.0),
        (3, {}, 2.0),
        (3, {"failover": False}, 0.0),
    ],
    ids=["one sender", "shares", "fastest", "in turn", "without failover"],
)
async def test_each_leaves_at_its_time_and_in_that_order(
    open_books: OpenBooks, senders: int, fields: dict[str, Any], switch_delay: float
) -> None:
    books = await open_books(senders=senders, switch_delay=switch_delay)
    waits = [HOUR, HOUR + 40, 2 * HOUR, 2 * HOUR + 0.1, 5 * HOUR, 5 * HOUR + 30, 9 * HOUR]
    campaign_id = await submit_timed(books, waits, **fields)
    fired = await run(books, 10 * HOUR)
    assert sorted(int(claim.text) for _, claim in fired) == list(range(len(waits)))
    late = [at - waits[int(claim.text)] for at, claim in fired]
    assert min(late) >= -1e-6
    assert max(late) <= 1.0 + switch_delay
    assert (await books.campaign(campaign_id)).state == CampaignState.COMPLETED
    await books.check()


async def test_while_all_wait_nobody_looks_at_them(open_books: OpenBooks) -> None:
    books = await open_books(senders=3)
    await submit_timed(books, [6 * HOUR + index for index in range(50)])
    turn = await books.turn()
    assert turn.claims == []
    assert turn.look_again_at == pytest.approx(books.clock.now() + 6 * HOUR, abs=0.2)


async def test_what_waits_keeps_no_other_campaign_of_the_lane_back(open_books: OpenBooks) -> None:
    books = await open_books()
    await submit_timed(books, [HOUR] * 5, priority="urgent")
    await books.submit(2)
    turn = await books.turn()
    assert [claim.text for claim in turn.claims] == ["hello"]


async def test_a_wave_is_paced_as_everything_else(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await submit_timed(books, [100.0] * 3 + [500.0])
    assert [round(at) for at, _ in await run(books, 600.0)] == [100, 110, 120, 500]


async def test_one_that_is_tried_again_goes_at_its_next_try_and_holds_nobody_up(open_books: OpenBooks) -> None:
    books = await open_books()
    await submit_timed(books, [0.0, 60.0, 600.0])
    [claim] = (await books.turn()).claims
    turn = await books.turn([(claim, books.outcome(Result.RETRY, wait_seconds=100.0))])
    start = books.clock.now()
    seen: list[tuple[int, str]] = []
    while len(seen) < 3:
        await books.rest(turn.look_again_at - books.clock.now())
        turn = await books.turn()
        while turn.claims:
            seen += [(round(claim.fire_at - start), claim.text) for claim in turn.claims]
            turn = await books.turn([(claim, books.outcome(Result.SENT)) for claim in turn.claims])
    assert seen == [(60, "1"), (100, "0"), (600, "2")]


async def test_one_that_was_taken_back_goes_next(open_books: OpenBooks) -> None:
    books = await open_books()
    await submit_timed(books, [0.0, HOUR])
    [claim] = (await books.turn()).claims
    await books.turn()  # nothing else is due: the campaign waits for the next one
    turn = await books.turn([(claim, books.outcome(Result.RELEASED))])
    assert [one.message_id for one in turn.claims] == [claim.message_id]


async def test_what_failed_can_be_sent_again_while_others_wait(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await submit_timed(books, [0.0, HOUR])
    [claim] = (await books.turn()).claims
    await books.turn([(claim, books.outcome(Result.FAILED, reason="no"))])
    await books.steering.retry(campaign_id, None)
    assert [one.message_id for one in (await books.turn()).claims] == [claim.message_id]
    await books.check()


async def test_it_says_that_it_waits_for_the_recipients_clock_and_when_all_will_be_done(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    campaign_id = await submit_timed(books, [0.0, 0.0, HOUR, HOUR, 3 * HOUR])
    turn: Turn = await books.turn()
    await books.turn([(turn.claims[0], books.outcome(Result.SENT))])
    reader = StatusReader(books.db, Forecaster(lambda: 0.1), lambda _engine: 160.0)
    row = await books.campaign(campaign_id)
    page, _ = await reader.messages(row, [], 0, 100)
    reasons = [one["waiting"] and one["waiting"]["reason"] for one in page]
    assert reasons == [None, "message_delay", "local_time", "local_time", "local_time"]
    assert page[4]["waiting"]["until"].timestamp() == pytest.approx(books.clock.now() + 3 * HOUR, abs=0.001)
    assert "recipient's clock" in page[4]["waiting"]["message"]
    finish = (await reader.of(row))["estimated_finish"].timestamp() - books.clock.now()
    assert finish == pytest.approx(3 * HOUR + 0.1, abs=1.0)


@pytest.mark.parametrize(
    ("senders", "switch_delay"), [(1, 0.0), (3, 0.0), (3, 2.0)], ids=["one sender", "shares", "in turn"]
)
async def test_whose_time_passed_while_nothing_ran_is_skipped_when_it_was_too_long_ago(
    open_books: OpenBooks, senders: int, switch_delay: float
) -> None:
    books = await open_books(senders=senders, switch_delay=switch_delay)
    campaign_id = await submit_timed(books, [0.0, HOUR, HOUR, 4 * HOUR, 6 * HOUR], max_lateness=HOUR)
    [claim] = (await books.turn()).claims
    await books.turn([(claim, books.outcome(Result.SENT))])
    await books.rest(4.5 * HOUR)
    fired = await run(books, 7 * HOUR)
    assert [claim.text for _, claim in fired] == ["3", "4"]
    told = [(one.state, one.error_code) for one in await books.messages(campaign_id)]
    assert told == [("sent", None), ("skipped", "too_late"), ("skipped", "too_late"), ("sent", None), ("sent", None)]
    row = await books.campaign(campaign_id)
    assert (row.state, row.n_skipped) == (CampaignState.COMPLETED, 2)
    assert "within 60 minutes of its time" in (await books.messages(campaign_id))[1].error
    await books.check()


async def test_where_all_are_too_late_the_campaign_ends(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await submit_timed(books, [HOUR] * 3, max_lateness=HOUR)
    await books.rest(3 * HOUR)
    assert (await books.turn()).claims == []
    row = await books.campaign(campaign_id)
    assert (row.state, row.n_skipped) == (CampaignState.FAILED, 3)
    await books.check()


async def test_a_long_line_makes_nobody_too_late(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=1000.0)
    campaign_id = await submit_timed(books, [0.0] * 10 + [1800.0], max_lateness=HOUR)
    fired = await run(books, 4 * HOUR)
    assert len(fired) == 11
    assert fired[-1][0] == pytest.approx(10_000, abs=10)
    assert (await books.campaign(campaign_id)).state == CampaignState.COMPLETED


async def test_what_was_tried_before_is_tried_again_however_late(open_books: OpenBooks) -> None:
    books = await open_books()
    await submit_timed(books, [0.0, 10 * HOUR], max_lateness=HOUR)
    [claim] = (await books.turn()).claims
    await books.turn([(claim, books.outcome(Result.RETRY, wait_seconds=100.0))])
    await books.rest(5 * HOUR)
    assert [one.message_id for one in (await books.turn()).claims] == [claim.message_id]


async def test_a_campaign_that_waits_says_until_when(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await submit_timed(books, [0.0, HOUR])
    [claim] = (await books.turn()).claims
    await books.turn([(claim, books.outcome(Result.SENT))])
    reader = StatusReader(books.db, Forecaster(lambda: 0.1), lambda _engine: 160.0)
    [wait] = (await reader.of(await books.campaign(campaign_id)))["waiting"]
    assert wait["reason"] == "local_time"
    assert wait["until"].timestamp() == pytest.approx(books.clock.now() + HOUR, abs=0.001)


@pytest.mark.parametrize("statement", [FIRST_TIMED, TIMED_UNDEALT, EARLIEST], ids=["first", "undealt", "earliest"])
async def test_the_first_one_is_found_without_reading_those_that_wait(
    open_books: OpenBooks, statement: Select[Any]
) -> None:
    books = await open_books()
    if not books.db.is_sqlite:
        pytest.skip("PostgreSQL chooses its plans by the size of tables")
    async with books.db.read() as connection:
        compiled = statement.compile(dialect=connection.dialect)
        values = {"campaign": "one", "now": 1.0, "count": 1}
        names = getattr(compiled, "positiontup", None) or []
        rows = await connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {compiled}", tuple(values.get(name, -1) for name in names)
        )
        plans = [str(row.detail).replace("COVERING ", "") for row in rows]
    assert len(plans) == 1
    assert "USING INDEX ix_message_timed (campaign_id=?" in plans[0]
