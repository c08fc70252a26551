"""What a receipt does to a message, and that none is lost on its way into the database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import receipts
from campaigns.sending.counting import FIRST_FAILURES
from campaigns.sending.models import MESSAGE_TRANSITIONS, CampaignState, MessageState
from campaigns.sending.outcomes import Claim, Result
from campaigns.sending.receipt_writing import Key, Written, after_receipt, stronger, write_receipts
from campaigns.sending.receipts import Receipts
from campaigns.sending.status import StatusReader
from gateway.events import CampaignHalted
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent
from sessions.queries import delete_session
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books
from tests.harness.world import sender_number

S = MessageState
levels = st.integers(-1, 4)


@pytest.mark.parametrize(
    ("state", "ack", "known", "uncertain", "after"),
    [
        (S.SENDING, 1, None, False, None),  # its answer is on its way
        (S.SENDING, 1, None, True, S.SENT),
        (S.SENDING, 0, None, False, None),
        (S.SENDING, 0, None, True, S.SENT),
        (S.SENDING, 2, None, False, S.DELIVERED),
        (S.SENDING, 3, None, True, S.READ),
        (S.SENDING, -1, None, False, S.FAILED),
        (S.SENT, 1, 1, False, None),
        (S.SENT, 2, 1, False, S.DELIVERED),
        (S.SENT, 4, 1, False, S.READ),
        (S.SENT, -1, None, False, S.FAILED),
        (S.SENT, -1, 0, False, S.FAILED),
        (S.SENT, -1, 1, False, None),  # WhatsApp had it
        (S.DELIVERED, 1, 2, False, None),
        (S.DELIVERED, -1, 2, False, None),
        (S.DELIVERED, 3, 2, False, S.READ),
        (S.READ, 2, 3, False, None),
        (S.UNCONFIRMED, 0, None, False, S.SENT),
        (S.UNCONFIRMED, 1, None, False, S.SENT),
        (S.UNCONFIRMED, 2, None, False, S.DELIVERED),
        (S.UNCONFIRMED, -1, None, False, S.FAILED),
        (S.FAILED, 2, -1, False, S.DELIVERED),
        (S.QUEUED, 0, None, False, S.SENT),  # it was not found, and had left
        (S.QUEUED, 2, None, False, S.DELIVERED),
        (S.QUEUED, -1, None, False, None),
        (S.CANCELLED, 2, None, False, None),
    ],
)
def test_where_a_receipt_moves_a_message(
    state: S, ack: int, known: int | None, uncertain: bool, after: S | None
) -> None:
    assert after_receipt(state, ack, known, uncertain=uncertain) is after


@given(st.sampled_from(list(S)), levels, st.none() | levels, st.booleans())
def test_a_receipt_only_moves_along_the_transitions(state: S, ack: int, known: int | None, uncertain: bool) -> None:
    after = after_receipt(state, ack, known, uncertain=uncertain)
    assert after is None or after in MESSAGE_TRANSITIONS[state]


@given(st.lists(levels, min_size=1))
def test_the_order_of_receipts_does_not_matter(acks: list[int]) -> None:
    def merged(values: list[int]) -> int | None:
        known: int | None = None
        for ack in values:
            known = stronger(known, ack)
        return known

    assert merged(acks) == merged(sorted(acks)) == merged(sorted(acks, reverse=True))


# --- on their way into the database -----------------------------------------------------------------------------


def ack_of(claim_or_id: Claim | str, ack: int, session: str = sender_number(0)) -> MessageAckEvent:
    """A receipt as the event stream gives it."""
    wa_id = claim_or_id if isinstance(claim_or_id, str) else claim_or_id.wa_id
    return MessageAckEvent("event", session, wa_id, None, ack, from_me=True, timestamp=None)


@asynccontextmanager
async def running(books: Books) -> AsyncIterator[Receipts]:
    """Receipts at work on these books."""
    taker = Receipts(books.db, books.bus, books.clock)
    taker.start()
    yield taker
    await taker.stop()


async def sent(books: Books, count: int) -> list[Claim]:
    """So many messages, sent and settled."""
    await books.submit(count)
    claims: list[Claim] = []
    while len(claims) < count:
        turn = await books.turn()
        claims += turn.claims
        await books.turn([(claim, books.outcome(Result.SENT)) for claim in turn.claims], claiming=False)
    return claims


@pytest.mark.virtual_time
async def test_what_is_noted_is_written_at_once_and_only_moves_forward(open_books: OpenBooks) -> None:
    books = await open_books()
    (claim,) = await sent(books, 1)
    async with running(books) as taker:
        for ack, state in ((2, "delivered"), (1, "delivered"), (3, "read"), (2, "read"), (-1, "read")):
            taker.note(ack_of(claim, ack))
            await books.rest(0.01)
            assert (await books.message(claim.message_id)).state == state
            await books.check()


@pytest.mark.virtual_time
async def test_a_refusal_is_heard_although_waha_has_shown_the_message_before(open_books: OpenBooks) -> None:
    books = await open_books()
    claims = await sent(books, 2)
    async with running(books) as taker:
        for claim, pause in zip(claims, (0.0, 0.5), strict=True):
            taker.note(
                MessageAnyEvent(
                    "e", sender_number(0), claim.wa_id, None, from_me=True, source="api", ack=0, timestamp=None
                )
            )
            await books.rest(pause)
            taker.note(ack_of(claim, -1))
            await books.rest(0.01)
            assert (await books.message(claim.message_id)).state == "failed"
    await books.check()


@pytest.mark.virtual_time
async def test_a_message_of_somebody_else_says_nothing(open_books: OpenBooks) -> None:
    books = await open_books()
    (claim,) = await sent(books, 1)
    async with running(books) as taker:
        taker.note(
            MessageAnyEvent(
                "e", sender_number(0), claim.wa_id, None, from_me=False, source="app", ack=3, timestamp=None
            )
        )
    assert (await books.message(claim.message_id)).state == "sent"


def failing(times: int) -> Callable[[AsyncConnection, Mapping[Key, int]], object]:
    """Writing receipts, which the database refuses so many times first."""
    left = times
    real = write_receipts

    async def write(tx: AsyncConnection, acks: Mapping[Key, int]) -> Written:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ConnectionError("the database is away")
        return await real(tx, acks)

    return write


@pytest.mark.virtual_time
async def test_receipts_that_the_database_refused_are_written_when_it_is_back(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "write_receipts", failing(2))
    monkeypatch.setattr(receipts, "BATCH", 2)
    books = await open_books()
    claims = await sent(books, 5)
    async with running(books) as taker:
        for claim in claims:
            taker.note(ack_of(claim, 3))
        await books.rest(0.1)
        taker.note(ack_of(claims[0], 2))
        await books.rest(5.0)
        assert {row.state for row in await books.messages(claims[0].campaign_id)} == {"read"}
    await books.check()


@pytest.mark.virtual_time
async def test_a_receipt_of_an_id_that_is_not_known_yet_waits_for_it(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    (claim,) = (await books.turn()).claims
    async with running(books) as taker:
        taker.note(ack_of("ENGINE", 3))
        for level in (1, 2) * 50:
            taker.note(ack_of("ENGINE", level))
            taker.note(ack_of(f"STRANGER{level}", 1))
            await books.rest(0.1)
        await books.settle(claim, Result.SENT, wa_id="ENGINE")
        await books.rest(8.0)
        assert (await books.message(claim.message_id)).state == "read"


@pytest.mark.virtual_time
async def test_a_receipt_of_a_stranger_is_forgotten_after_a_minute(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    (claim,) = (await books.turn()).claims
    async with running(books) as taker:
        taker.note(ack_of("ENGINE", 3))
        await asyncio.sleep(70.0)
        await books.settle(claim, Result.SENT, wa_id="ENGINE")
        await books.rest(2.0)
        assert (await books.message(claim.message_id)).state == "sent"


@pytest.mark.virtual_time
async def test_a_receipt_frees_the_lane_of_an_uncertain_message_at_once(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    (claim,) = (await books.turn()).claims
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=100.0)
    async with running(books) as taker:
        taker.note(ack_of(claim, 2))
        await books.rest(0.1)
        assert (await books.lane()).due_at <= books.clock.now()


@pytest.mark.virtual_time
async def test_a_receipt_of_another_session_than_the_message_left_through_changes_nothing(
    open_books: OpenBooks,
) -> None:
    books = await open_books(senders=2)
    await books.submit(1, senders=[0])
    (claim,) = (await books.turn()).claims
    await books.settle(claim, Result.SENT)
    before = await books.message(claim.message_id)
    async with running(books) as taker:
        for session in (sender_number(1), "a-session-that-is-not-ours"):
            taker.note(ack_of(claim, 3, session))
            await books.rest(2.0)
    assert await books.message(claim.message_id) == before


@pytest.mark.virtual_time
async def test_a_late_receipt_of_a_session_that_was_deleted_still_counts(open_books: OpenBooks) -> None:
    books = await open_books()
    (claim,) = await sent(books, 1)
    async with books.db.write() as tx:
        await delete_session(tx, books.sender_id(0))
    async with running(books) as taker:
        taker.note(ack_of(claim, 3))
    assert (await books.message(claim.message_id)).state == "read"


# --- what it does to the campaign -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acks", "state"),
    [
        ([2, 3], "completed"),
        ([2, -1], "completed_with_errors"),
        ([-1, -1], "failed"),  # nobody got anything
    ],
)
@pytest.mark.virtual_time
async def test_a_refusal_after_the_end_of_a_campaign_changes_how_it_has_ended(
    open_books: OpenBooks, acks: list[int], state: str
) -> None:
    books = await open_books()
    claims = await sent(books, 2)
    ended = await books.campaign(claims[0].campaign_id)
    assert ended.state == "completed"
    async with running(books) as taker:
        for claim, ack in zip(claims, acks, strict=True):
            taker.note(ack_of(claim, ack))
            await books.rest(0.1)
    row = await books.campaign(claims[0].campaign_id)
    assert (row.state, row.finished_at, row.n_failed) == (state, ended.finished_at, acks.count(-1))
    await books.check()


@pytest.mark.virtual_time
async def test_a_refusal_says_what_is_known_of_it(open_books: OpenBooks) -> None:
    books = await open_books()
    (claim,) = await sent(books, 1)
    async with running(books) as taker:
        taker.note(ack_of(claim, -1))
    row = await books.message(claim.message_id)
    assert (row.state, row.ack, row.error_code) == ("failed", -1, "refused_by_whatsapp")
    assert "WhatsApp refused it" in row.error
    assert row.finished_at is not None


@pytest.mark.virtual_time
async def test_proof_of_arrival_takes_back_the_error_of_an_ended_campaign(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    (first,) = (await books.turn()).claims
    await books.settle(first, Result.UNCONFIRMED)
    (second,) = (await books.turn()).claims
    await books.settle(second, Result.SENT)
    assert (await books.campaign(first.campaign_id)).state == "completed_with_errors"
    assert await books.receipts({first.wa_id: 2}) == {first.wa_id}
    assert (await books.campaign(first.campaign_id)).state == "completed"
    await books.check()


@pytest.mark.virtual_time
async def test_a_receipt_that_moves_nothing_keeps_the_reason_of_a_failure(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    (claim,) = (await books.turn()).claims
    await books.settle(claim, Result.FAILED, code="no_such_number", reason="not on WhatsApp")
    await books.receipts({claim.wa_id: 0})
    row = await books.message(claim.message_id)
    assert (row.state, row.error_code, row.error) == ("failed", "no_such_number", "not on WhatsApp")


# --- waiting for the database -----------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_who_waits_for_a_receipt_finds_it_committed(open_books: OpenBooks) -> None:
    books = await open_books()
    claims = await sent(books, 3)
    async with running(books) as taker:

        async def take(claim: Claim) -> str:
            taker.note(ack_of(claim, 2))
            await taker.written()
            return str((await books.message(claim.message_id)).state)

        assert await asyncio.gather(*(take(claim) for claim in claims)) == ["delivered"] * 3
        await taker.written()  # nothing is left to wait for


@pytest.mark.virtual_time
async def test_what_comes_in_at_the_same_moment_is_one_transaction(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = await open_books()
    claims = await sent(books, 20)
    batches: list[int] = []
    real = write_receipts

    async def counting(tx: AsyncConnection, acks: Mapping[Key, int]) -> Written:
        batches.append(len(acks))
        return await real(tx, acks)

    monkeypatch.setattr(receipts, "write_receipts", counting)
    async with running(books) as taker:
        for claim in claims:
            taker.note(ack_of(claim, 2))
        await taker.written()
    assert batches == [20]


@pytest.mark.virtual_time
async def test_who_waits_is_told_that_the_database_is_away_and_nothing_is_lost(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "write_receipts", failing(1))
    books = await open_books()
    (claim,) = await sent(books, 1)
    async with running(books) as taker:
        taker.note(ack_of(claim, 2))
        with pytest.raises(ConnectionError):
            await taker.written()
        taker.note(ack_of(claim, 2))  # WAHA tells it again
        await taker.written()
        assert (await books.message(claim.message_id)).state == "delivered"


@pytest.mark.virtual_time
async def test_who_brings_more_than_the_database_takes_has_to_wait(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "write_receipts", failing(3))
    monkeypatch.setattr(receipts, "KEEP_NOTED", 5)
    books = await open_books()
    claims = await sent(books, 5)
    async with running(books) as taker:
        started = books.clock.monotonic()
        for claim in claims:
            assert not taker.is_full
            taker.note(ack_of(claim, 2))
        assert taker.is_full
        while taker.is_full:
            await taker.room()
            await books.rest(0.01)
        assert books.clock.monotonic() - started >= 3.0  # three times it was refused
        await taker.written()
        assert {row.state for row in await books.messages(claims[0].campaign_id)} == {"delivered"}


@pytest.mark.virtual_time
async def test_receipts_of_strangers_cost_no_memory_without_bound(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "KEEP_UNKNOWN", 10)
    books = await open_books()
    await books.submit(1)
    (claim,) = (await books.turn()).claims
    async with running(books) as taker:
        for number in range(50):
            taker.note(ack_of(f"STRANGER{number}", 2))
        taker.note(ack_of("ENGINE", 2))
        await taker.written()
        assert len(taker._unknown) == 10
        await books.settle(claim, Result.SENT, wa_id="ENGINE")
        await books.rest(2.0)
        assert (await books.message(claim.message_id)).state == "delivered"


# --- what a person is told --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "minutes", "noted"),
    [
        ([], 4.9, False),
        ([], 5.1, True),
        ([0], 7.0, True),  # WAHA has shown it; WhatsApp has said nothing
        ([1], 7.0, False),
        ([3], 7.0, False),
        ([-1], 7.0, False),  # that is told as its error
    ],
)
@pytest.mark.virtual_time
async def test_a_message_without_any_receipt_says_so_after_some_minutes(
    open_books: OpenBooks, told: list[int], minutes: float, noted: bool
) -> None:
    books = await open_books()
    (claim,) = await sent(books, 1)
    for level in told:
        await books.receipts({claim.wa_id: level})
    await books.rest(minutes * 60)
    status = StatusReader(books.db, books.forecaster, lambda _engine: 0.0)
    shown = await status.message(await books.campaign(claim.campaign_id), claim.message_id)
    assert (shown["note"] is not None) == noted
    if noted:
        assert f"{int(minutes)} minutes" in shown["note"]


@pytest.mark.virtual_time
@pytest.mark.parametrize("case", ["all refused", "one arrived", "not asked for"])
async def test_a_campaign_whose_first_messages_are_all_refused_later_pauses_itself(
    open_books: OpenBooks, case: str
) -> None:
    books = await open_books()
    campaign_id = await books.submit(FIRST_FAILURES + 5, auto_pause=case != "not asked for")
    told: list[CampaignHalted] = []
    books.bus.subscribe(CampaignHalted, told.append)
    claims: list[Claim] = []
    while len(claims) < FIRST_FAILURES + 2:
        turn = await books.turn()
        claims += turn.claims
        await books.turn([(claim, books.outcome(Result.SENT)) for claim in turn.claims], claiming=False)
    acks = [2 if case == "one arrived" and index == 3 else -1 for index in range(FIRST_FAILURES)]
    async with running(books) as taker:
        for claim, ack in reversed(list(zip(claims, acks, strict=False))):  # they come in any order
            taker.note(ack_of(claim, ack))
            await taker.written()
    row = await books.campaign(campaign_id)
    paused = case == "all refused"
    assert row.state == (CampaignState.PAUSED if paused else CampaignState.RUNNING)
    assert ("WhatsApp refused it" in row.reason) is paused
    assert told == ([CampaignHalted(campaign_id)] if paused else [])
    if paused:
        await books.steering.resume(campaign_id, None)
        await books.receipts({claims[-1].wa_id: -1})
        assert (await books.campaign(campaign_id)).state == CampaignState.RUNNING  # a person has decided
    await books.check()
