"""An opt-out holds at every door, at the claim, and at the moment of sending. On both databases; the ledger judges."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import insert, update

from campaigns.audience.optouts.listening import Effect, Listening, Reaction, Said
from campaigns.audience.optouts.models import EVERY_ACCOUNT, Source
from campaigns.audience.optouts.stops import KEEP_SECONDS, Stops
from campaigns.audience.optouts.storing import Change, opt_out
from campaigns.sending.last_look import LastLook
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.outcomes import Claim, Result
from campaigns.sending.tables import campaign, message
from gateway.app import Gateway
from gateway.auth.models import LOCAL_ACCOUNT, Account
from gateway.db import read_now, table_of
from gateway.waha.client import WahaClient
from gateway.waha.schemas import NumberCheck
from tests.campaigns.sending.conftest import OpenBooks
from tests.conftest import MakeWorld
from tests.harness.ledger import recipients_of
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time

GONE = {MessageState.SENT, MessageState.DELIVERED, MessageState.READ}
PERSON = recipient_numbers(1, first=700)[0]


def said(world: World, text: str = "STOP", phone: str = PERSON) -> Said:
    """What somebody writes to the first of the senders."""
    return Said(LOCAL_ACCOUNT, world.senders[0], phone, text, world.clock.now())


async def hear(world: World, text: str = "STOP", phone: str = PERSON, by: Gateway | None = None) -> Reaction:
    """Somebody writes, and it is stored."""
    replica = by or world.gateway
    async with replica.db.write() as tx:
        return await replica.opt_outs.listening.hear(tx, said(world, text, phone))


async def all_to(world: World, campaign_id: str, phone: str) -> None:
    """Have every message of a campaign go to one number, as a thousand single messages would."""
    async with world.gateway.db.write() as tx:
        await tx.execute(update(message).where(message.c.campaign_id == campaign_id).values(phone=phone))


def armed(replica: Gateway) -> int:
    """How many messages to the person wait for their moment in this replica's memory."""
    flights = replica.dispatcher._flights.all()
    return sum(flight.timer is not None and flight.claim.phone == PERSON for flight in flights)


def started_after(world: World, at: float) -> list[str]:
    """To whom sends that began after then went."""
    return recipients_of(one for one in world.ledger.transmissions if one.received_at > at)


async def queue_a_thousand(world: World) -> tuple[list[str], str]:
    """A thousand messages to one person, and a hundred to others beside them: their campaigns."""
    to_one = [await world.submit(500) for _ in range(2)]
    for campaign_id in to_one:
        await all_to(world, campaign_id, PERSON)
    return to_one, await world.submit(recipient_numbers(100))


async def stop_a_thousand(world: World, by: Gateway, sending: Gateway) -> tuple[list[str], list[str]]:
    """Opt out while a thousand messages wait and some are armed; to whom sends began after it, and what was skipped."""
    to_one, to_others = await queue_a_thousand(world)
    await world.until_sent(40)
    await world.until(lambda: armed(sending) >= 2, every=0.01)
    reaction = await hear(world, by=by)
    stored_at = world.clock.now()
    assert reaction.effect is Effect.OPTED_OUT
    for campaign_id in (*to_one, to_others):
        await world.finish(campaign_id)
    await world.check_counters()
    assert set(await world.states(to_others)) <= GONE
    codes = [row.error_code for one in to_one for row in await world.messages(one) if row.state == MessageState.SKIPPED]
    return started_after(world, stored_at), codes


async def test_of_a_thousand_messages_over_five_senders_none_starts_after_the_opt_out(
    make_world: MakeWorld, database_url: str
) -> None:
    world = await make_world(5, message_delay=1.0)
    late, codes = await stop_a_thousand(world, world.gateway, world.gateway)
    assert PERSON not in late
    assert set(late) <= set(recipient_numbers(100)), "and the others had theirs"
    assert len(late) > 50
    assert len(codes) > 900
    assert set(codes) == {"opted_out"}


async def test_without_the_look_at_the_moment_of_sending_some_would_start(
    make_world: MakeWorld, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    switch_off(monkeypatch)
    world = await make_world(5, message_delay=1.0)
    late, _ = await stop_a_thousand(world, world.gateway, world.gateway)
    assert 1 <= late.count(PERSON) <= 5, "those that were armed"


def switch_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing looked at when a message is fired."""

    async def may_leave(_: LastLook, claim: Claim, claimed_at: float) -> bool:
        return True

    monkeypatch.setattr(Stops, "holds", lambda *_: False)
    monkeypatch.setattr(LastLook, "may_leave", may_leave)


MakePair = Callable[..., Awaitable[tuple[World, Gateway]]]


@pytest.fixture
async def make_pair(make_world: MakeWorld, postgres_url: str) -> AsyncIterator[MakePair]:
    """A replica that hears what people write and sends nothing, and another one that sends; there are no hints."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> tuple[World, Gateway]:
            world = await make_world(5, url=postgres_url, message_delay=1.0, **settings)
            sending = world.build()
            stack.push_async_callback(sending.stop)
            await sending.start()
            await world.gateway.dispatcher.stop()
            return world, sending

        yield make


@pytest.mark.postgres
async def test_an_opt_out_that_another_replica_stores_stops_what_is_armed(make_pair: MakePair) -> None:
    world, sending = await make_pair()
    late, codes = await stop_a_thousand(world, world.gateway, sending)
    assert PERSON not in late
    assert set(codes) == {"opted_out"}


@pytest.mark.postgres
async def test_without_asking_the_database_another_replica_would_send_what_it_has_armed(
    make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    switch_off(monkeypatch)
    world, sending = await make_pair()
    late, _ = await stop_a_thousand(world, world.gateway, sending)
    assert 1 <= late.count(PERSON) <= 5


@pytest.mark.postgres
async def test_while_the_database_cannot_be_asked_nothing_leaves(
    make_world: MakeWorld, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> set[int]:
        raise OSError("gone")

    world = await make_world(1, url=postgres_url, message_delay=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(LastLook, "_look", away)
        campaign_id = await world.submit(2)
        await world.clock.sleep(2.0)
        assert world.sent == 0
    await world.finish(campaign_id)
    assert world.sent == 2


def check_slowly(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """WAHA takes so long to tell whether a number is on WhatsApp."""
    check = WahaClient.check_number

    async def check_late(client: WahaClient, session: str, phone: str) -> NumberCheck:
        await asyncio.sleep(seconds)
        return await check(client, session, phone)

    monkeypatch.setattr(WahaClient, "check_number", check_late)


async def test_an_opt_out_holds_for_what_waited_long_for_the_check_of_its_number(
    make_world: MakeWorld, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then it is told from the table: what this process remembers of opt-outs it forgets again."""
    check_slowly(monkeypatch, KEEP_SECONDS + 5.0)
    world = await make_world(1, check_numbers="all")
    campaign_id = await world.submit([PERSON, *recipient_numbers(1)])
    await world.clock.sleep(1.0)
    await hear(world)
    await world.clock.sleep(KEEP_SECONDS + 1.0)
    await hear(world, phone=recipient_numbers(1, first=750)[0])  # what is old is forgotten
    row = await world.finish(campaign_id)
    assert (row.n_sent + row.n_delivered + row.n_read, row.n_skipped) == (1, 1)
    assert recipients_of(world.ledger.transmissions) == recipient_numbers(1)


@pytest.mark.parametrize("action", ["cancel", "pause"])
@pytest.mark.postgres
async def test_what_another_replica_halts_does_not_leave_after_the_check_of_its_number(
    make_pair: MakePair, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """There are no hints: nobody tells the replica that sends."""
    check_slowly(monkeypatch, 3.0)
    world, sending = await make_pair(check_numbers="all")
    campaign_id = await world.submit([PERSON])
    await world.clock.sleep(1.0)
    assert sending.dispatcher.in_flight == 1
    await getattr(world.gateway.steering, action)(campaign_id, None)
    await world.clock.sleep(10.0)
    assert world.sent == 0


async def test_an_opt_out_that_is_rolled_back_stops_nothing(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(1, message_delay=1.0)
    campaign_id = await world.submit([PERSON])

    async def hear_in_vain() -> None:
        async with world.gateway.db.write() as tx:
            await world.gateway.opt_outs.listening.hear(tx, said(world))
            raise RuntimeError("not after all")

    with pytest.raises(RuntimeError, match="after all"):
        await hear_in_vain()
    row = await world.finish(campaign_id)
    assert row.state == CampaignState.COMPLETED


async def test_a_start_lets_what_is_submitted_after_it_go(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(1)
    assert await hear(world) == Reaction(Effect.OPTED_OUT, confirm=True)
    row = await world.finish(await world.submit([PERSON]))
    assert (row.state, row.n_skipped) == (CampaignState.FAILED, 1)
    assert await hear(world, "start") == Reaction(Effect.OPTED_IN)
    assert await hear(world, "start") == Reaction()
    row = await world.finish(await world.submit([PERSON]))
    assert row.state == CampaignState.COMPLETED


async def test_an_opt_out_counts_for_all_senders_of_the_account(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(3)
    await hear(world)
    for number in world.senders:
        row = await world.finish(await world.submit([PERSON, recipient_numbers(1)[0]], senders=[number]))
        assert (row.state, row.total, row.n_skipped) == (CampaignState.COMPLETED, 2, 1)
    assert PERSON not in recipients_of(world.ledger.transmissions)


async def test_the_confirmation_is_the_one_message_that_still_goes(
    make_world: MakeWorld, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaigns.audience.optouts.listening.CONFIRMED_ONCE_SECONDS", 60.0)  # a day
    world = await make_world(1)
    word = said(world)
    async with world.gateway.db.write() as tx:
        reaction = await world.gateway.opt_outs.listening.hear(tx, word)
    await world.gateway.opt_outs.confirmations.send(word, reaction)
    await world.until_sent(1)
    assert recipients_of(world.ledger.transmissions) == [PERSON]
    assert world.ledger.transmissions[0].text == world.settings.opt_out.confirmation
    again = await hear(world, "Stop!")
    assert again == Reaction(Effect.OPTED_OUT, confirm=False)
    await world.gateway.opt_outs.confirmations.send(word, again)
    await world.clock.sleep(30)
    assert world.sent == 1
    assert not (await hear(world)).confirm
    await world.clock.sleep(31)
    assert (await hear(world)).confirm, "a day later"


async def test_a_stop_after_a_start_within_the_day_is_not_confirmed_again(
    make_world: MakeWorld, database_url: str
) -> None:
    world = await make_world(1)
    found = [await hear(world, text) for text in ("stop", "start", "stop")]
    assert [one.effect for one in found] == [Effect.OPTED_OUT, Effect.OPTED_IN, Effect.OPTED_OUT]
    assert [one.confirm for one in found] == [True, False, False]


async def test_a_word_that_comes_late_changes_nothing(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(1)
    await world.clock.sleep(60)
    listening: Listening = world.gateway.opt_outs.listening
    earlier = Said(LOCAL_ACCOUNT, world.senders[0], PERSON, "start", world.clock.now() - 30)
    await hear(world)
    async with world.gateway.db.write() as tx:
        assert await listening.hear(tx, earlier) == Reaction()
    row = await world.finish(await world.submit([PERSON]))
    assert row.n_skipped == 1


async def test_both_spellings_of_a_brazilian_number_are_one_person(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(1)
    await hear(world, phone="551161555501")
    row = await world.finish(await world.submit(["5511961555501"]))
    assert row.n_skipped == 1


# --- the claim --------------------------------------------------------------------------------------------------------


async def test_what_is_queued_is_skipped_when_its_lane_comes_to_it(open_books: OpenBooks) -> None:
    books = await open_books(2)
    phones = recipient_numbers(6)
    campaign_id = await books.submit(phones)
    async with books.db.write() as tx:
        change = [Change(phone, Source.API, "somebody", "asked on the phone") for phone in phones[:5]]
        await opt_out(tx, Stops(books.clock), LOCAL_ACCOUNT, change, await read_now(tx))
    turn = await books.turn()
    claims = turn.claims or (await books.turn()).claims
    assert [claim.phone for claim in claims] == phones[5:]
    await books.check()
    rows = await books.messages(campaign_id)
    assert [row.state for row in rows] == ["skipped"] * 5 + ["sending"]
    assert {row.error_code for row in rows[:5]} == {"opted_out"}
    assert "asked on the phone" in rows[0].error


async def test_a_campaign_of_which_nobody_is_left_ends(open_books: OpenBooks) -> None:
    books = await open_books(1)
    phones = recipient_numbers(3)
    campaign_id = await books.submit(phones)
    async with books.db.write() as tx:
        change = [Change(phone, Source.API, "an operator") for phone in phones]
        await opt_out(tx, Stops(books.clock), EVERY_ACCOUNT, change, await read_now(tx))
    turn = await books.turn()
    assert turn.claims == []
    assert turn.finished == [(campaign_id, CampaignState.FAILED)]
    assert "all accounts" in (await books.messages(campaign_id))[0].error


async def test_another_account_may_write_to_the_same_person(open_books: OpenBooks) -> None:
    books = await open_books(1)
    await books.submit([PERSON])
    async with books.db.write() as tx:
        await opt_out(tx, Stops(books.clock), "acme", [Change(PERSON, Source.API, "acme")], await read_now(tx))
    assert [claim.phone for claim in (await books.turn()).claims] == [PERSON]


async def test_the_account_of_the_sender_counts_too_where_another_one_sends_through_it(open_books: OpenBooks) -> None:
    books = await open_books(1)
    campaign_id = await books.submit([PERSON])
    async with books.db.write() as tx:
        await tx.execute(insert(table_of(Account)).values(id="acme", name="Acme", created_at=0.0))
        await tx.execute(update(campaign).values(account_id="acme"))
        await opt_out(tx, Stops(books.clock), LOCAL_ACCOUNT, [Change(PERSON, Source.API, "x")], await read_now(tx))
    assert (await books.turn()).claims == []
    assert [row.state for row in await books.messages(campaign_id)] == ["skipped"]


# --- how often --------------------------------------------------------------------------------------------------------

TWICE_A_WEEK = {"messages": 2, "days": 7}


async def test_who_has_had_enough_is_skipped_and_told_why(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(2)
    other = recipient_numbers(1)[0]
    ids = [await world.submit([PERSON], frequency_cap=TWICE_A_WEEK) for _ in range(4)]
    ids.append(await world.submit([other, PERSON], frequency_cap=TWICE_A_WEEK))
    for campaign_id in ids:
        await world.finish(campaign_id)
    assert recipients_of(world.ledger.transmissions).count(PERSON) == 2
    assert recipients_of(world.ledger.transmissions).count(other) == 1
    rows = [row for one in ids for row in await world.messages(one) if row.state == MessageState.SKIPPED]
    assert [row.error_code for row in rows] == ["frequency_cap"] * 3
    assert "at most 2 campaign messages in 7 days" in rows[0].error
    await world.check_counters()


async def test_lanes_that_claim_at_the_same_moment_do_not_pass_the_cap_together(open_books: OpenBooks) -> None:
    books = await open_books(5)
    for index in range(5):
        await books.submit([PERSON], senders=[index], frequency_cap={"messages": 1, "days": 1})
    turn = await books.turn()
    assert len(turn.claims) == 1
    assert (await books.turn()).claims == [], "one is on its way"
    await books.check()


async def test_what_left_before_the_days_does_not_count(open_books: OpenBooks) -> None:
    books = await open_books(1)
    first = await books.submit([PERSON])
    claims = (await books.turn()).claims
    await books.turn([(claims[0], books.outcome(Result.SENT))])
    async with books.db.write() as tx:
        long_ago = books.clock.now() - 86_401
        await tx.execute(update(message).where(message.c.campaign_id == first).values(sent_at=long_ago))
    await books.submit([PERSON], frequency_cap={"messages": 1, "days": 1})
    assert len((await books.turn()).claims) == 1


async def test_what_somebody_may_have_got_counts_until_it_is_known(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit([PERSON], frequency_cap={"messages": 1, "days": 1})
    await books.settle(await books.claim_one(), Result.UNCERTAIN, wait_seconds=1.0)
    await books.rest(200.0)
    await books.settle(await books.claim_one(), Result.UNCONFIRMED, code="unconfirmed")
    second = await books.submit([PERSON], frequency_cap={"messages": 1, "days": 1})
    assert (await books.turn()).claims == []
    assert [row.error_code for row in await books.messages(second)] == ["frequency_cap"]
    await books.rest(86_400.0)
    await books.submit([PERSON], frequency_cap={"messages": 1, "days": 1})
    assert len((await books.turn()).claims) == 1


async def test_confirmations_replies_and_other_accounts_do_not_count(open_books: OpenBooks) -> None:
    books = await open_books(1)
    async with books.db.write() as tx:
        await tx.execute(insert(table_of(Account)).values(id="acme", name="Acme", created_at=0.0))
    for values in ({"purpose": "confirmation"}, {"purpose": "reply"}, {"account_id": "acme"}):
        campaign_id = await books.submit([PERSON])
        async with books.db.write() as tx:
            await tx.execute(update(campaign).where(campaign.c.id == campaign_id).values(**values))
        [claim] = (await books.turn()).claims
        await books.turn([(claim, books.outcome(Result.SENT))], claiming=False)
    await books.submit([PERSON], frequency_cap={"messages": 1, "days": 1})
    assert len((await books.turn()).claims) == 1


@pytest.mark.postgres
async def test_two_replicas_do_not_pass_the_cap_together(make_world: MakeWorld, postgres_url: str) -> None:
    world = await make_world(4, url=postgres_url)
    second = world.build()
    try:
        await second.start()
        ids = [
            await world.submit([PERSON], senders=[number], frequency_cap={"messages": 2, "days": 1})
            for number in world.senders * 3
        ]
        for campaign_id in ids:
            await world.finish(campaign_id)
    finally:
        await second.stop()
    assert recipients_of(world.ledger.transmissions).count(PERSON) == 2
