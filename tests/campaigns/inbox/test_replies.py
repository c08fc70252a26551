"""Replies: which message of ours is answered, that it counts once, and what is not sent any more."""

import pytest
from sqlalchemy import select

from campaigns.inbox.tables import incoming_message
from campaigns.sending.models import CampaignState
from campaigns.sending.tables import campaign, message
from gateway.auth.models import Account
from gateway.db import AnyRow, table_of
from tests.campaigns.inbox.conftest import ADA, ADA_LID, BEN, BERT, DAY, Inbox


async def replied(inbox: Inbox, campaign_id: str) -> int:
    """How many messages of a campaign count as answered."""
    return next(int(row.n_replied) for row in await inbox.rows(campaign) if row.id == campaign_id)


async def row_of(inbox: Inbox, message_id: str) -> AnyRow:
    """A message of ours as it is now."""
    async with inbox.db.read() as connection:
        found: AnyRow = (await connection.execute(select(message).where(message.c.id == message_id))).one()
        return found


async def test_a_message_answers_the_last_one_that_was_sent_to_this_person(inbox: Inbox) -> None:
    await inbox.sent(ago=500)
    last = await inbox.sent(ago=100)
    await inbox.sent(BEN, ago=50)
    await inbox.sent(by=BERT, ago=40)
    taken = await inbox.take(inbox.said("yes"))
    assert taken.answered is not None
    assert (taken.answered.message_id, taken.answered.campaign_id) == (last.id, last.campaign_id)
    assert (await row_of(inbox, last.id)).replied_at == pytest.approx(inbox.now - 10, abs=0.001)
    assert await replied(inbox, last.campaign_id) == 1
    (stored,) = await inbox.rows(incoming_message)
    assert (stored.answers_id, stored.campaign_id) == (last.id, last.campaign_id)


async def test_a_quoted_message_is_the_one_that_is_answered(inbox: Inbox) -> None:
    quoted = await inbox.sent(ago=40 * DAY)
    await inbox.sent(ago=100)
    taken = await inbox.take(inbox.said("to this one", quoted_wa_id=quoted.wa_id))
    assert taken.answered is not None
    assert taken.answered.message_id == quoted.id


@pytest.mark.parametrize("quotes", ["another person's", "another sender's", "nobody's"])
async def test_a_quote_of_what_we_did_not_send_them_from_here_is_none(inbox: Inbox, quotes: str) -> None:
    others = {
        "another person's": await inbox.sent(BEN),
        "another sender's": await inbox.sent(by=BERT),
        "nobody's": None,
    }[quotes]
    last = await inbox.sent(ago=100)
    taken = await inbox.take(inbox.said(quoted_wa_id=others.wa_id if others else "3EB0FORGED"))
    assert taken.answered is not None
    assert taken.answered.message_id == last.id


@pytest.mark.parametrize(("ago", "answers"), [(6.9, True), (7.1, False)])
async def test_what_was_sent_too_long_ago_is_not_answered(inbox: Inbox, ago: float, answers: bool) -> None:
    await inbox.sent(ago=ago * DAY)
    taken = await inbox.take(inbox.said(), reply_days=7)
    assert (taken.answered is not None) is answers


async def test_what_was_sent_after_it_was_written_is_not_answered(inbox: Inbox) -> None:
    await inbox.sent(ago=1)
    assert (await inbox.take(inbox.said(at=inbox.now - 60))).answered is None


async def test_a_message_counts_as_answered_once_whatever_is_said(inbox: Inbox) -> None:
    last = await inbox.sent()
    first = inbox.said("one")
    await inbox.take_all([first, inbox.said("two")])
    await inbox.take_all([first, inbox.said("three")])
    assert await replied(inbox, last.campaign_id) == 1


async def test_a_notice_without_any_content_answers_nothing(inbox: Inbox) -> None:
    last = await inbox.sent()
    assert (await inbox.take(inbox.said("", kind="other"))).answered is None
    assert await replied(inbox, last.campaign_id) == 0


async def test_who_wrote_under_a_hidden_id_is_counted_when_their_number_is_told(inbox: Inbox) -> None:
    last = await inbox.sent()
    taken = await inbox.take(inbox.said(phone=None, contact_lid=ADA_LID))
    assert taken.answered is None
    await inbox.identify(ADA_LID, ADA)
    assert await replied(inbox, last.campaign_id) == 1
    (stored,) = await inbox.rows(incoming_message)
    assert stored.answers_id == last.id


async def test_a_brazilian_answers_with_the_other_spelling_of_the_number(inbox: Inbox) -> None:
    last = await inbox.sent("5511961234567")
    taken = await inbox.take(inbox.said(phone="551161234567"))
    assert taken.answered is not None
    assert taken.answered.message_id == last.id


async def states(inbox: Inbox, campaign_id: str) -> dict[str, tuple[str, str | None]]:
    """The state and the code of each message of a campaign, by its number."""
    return {
        row.phone: (row.state, row.error_code) for row in await inbox.rows(message) if row.campaign_id == campaign_id
    }


async def test_an_answer_stops_the_rest_of_a_sequence_for_that_person_alone(inbox: Inbox) -> None:
    first = await inbox.campaign(label="welcome")
    second = await inbox.campaign(label="welcome", stop_on_reply=True)
    goes_on = await inbox.campaign(label="welcome")
    another = await inbox.campaign(label="newsletter", stop_on_reply=True)
    await inbox.sent(campaign_id=first)
    for campaign_id, stoppable in ((second, True), (goes_on, False), (another, True)):
        await inbox.queued(campaign_id=campaign_id, stoppable=stoppable)
        await inbox.queued(BEN, campaign_id=campaign_id, stoppable=stoppable)
    await inbox.take(inbox.said("tell me more"))
    assert await states(inbox, second) == {ADA: ("skipped", "replied"), BEN: ("queued", None)}
    for untouched in (goes_on, another):
        assert await states(inbox, untouched) == {ADA: ("queued", None), BEN: ("queued", None)}
    row = next(row for row in await inbox.rows(campaign) if row.id == second)
    assert (row.n_queued, row.n_skipped, row.state) == (1, 1, CampaignState.RUNNING)


async def test_a_campaign_of_which_nothing_is_left_by_that_ends(inbox: Inbox) -> None:
    campaign_id = await inbox.campaign(stop_on_reply=True)
    await inbox.sent(campaign_id=campaign_id)
    await inbox.queued(campaign_id=campaign_id, stoppable=True)
    taken = await inbox.take(inbox.said("stop it"))
    assert taken.ended == ((campaign_id, CampaignState.COMPLETED),)
    row = next(row for row in await inbox.rows(campaign) if row.id == campaign_id)
    assert (row.state, row.n_skipped, row.n_queued) == (CampaignState.COMPLETED, 1, 0)


async def test_the_same_label_of_another_account_is_another_one(inbox: Inbox) -> None:
    async with inbox.db.write() as tx:
        await tx.execute(table_of(Account).insert().values(id="acme", name="Acme", created_at=inbox.now))
    first = await inbox.campaign(label="welcome")
    theirs = await inbox.campaign(label="welcome", stop_on_reply=True, account_id="acme")
    await inbox.sent(campaign_id=first)
    await inbox.queued(campaign_id=theirs, stoppable=True)
    await inbox.take(inbox.said())
    assert await states(inbox, theirs) == {ADA: ("queued", None)}
