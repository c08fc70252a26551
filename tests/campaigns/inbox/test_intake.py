"""Taking messages in: each once, in the thread of the person who wrote it, under whatever name."""

import random
from typing import Any

import pytest

from campaigns.inbox.tables import contact, conversation, identity, incoming_message
from tests.campaigns.inbox.conftest import ADA, ADA_LID, BEN, BEN_LID, BERT, Inbox


async def test_a_message_is_stored_in_the_thread_of_its_sender_and_contact(inbox: Inbox) -> None:
    taken = await inbox.take(inbox.said("hello", push_name="Ada"))
    assert taken.is_new
    (thread,) = await inbox.rows(conversation)
    assert (thread.id, thread.unread, thread.last_text) == (taken.conversation_id, 1, "hello")
    assert thread.last_message_at == pytest.approx(inbox.now - 10, abs=0.001)
    (person,) = await inbox.rows(contact)
    assert (person.phone, person.name) == (ADA, "Ada")


async def test_a_repeated_message_changes_nothing(inbox: Inbox) -> None:
    said = inbox.said()
    first, *again = [await inbox.take(said) for _ in range(3)]
    together = await inbox.take_all([said, said])
    assert [one.is_new for one in (first, *again, *together)] == [True, False, False, False, False]
    assert len({one.id for one in (first, *again, *together)}) == 1
    (thread,) = await inbox.rows(conversation)
    assert thread.unread == 1


async def test_repeats_in_one_batch_are_stored_once(inbox: Inbox) -> None:
    said = inbox.said()
    await inbox.take_all([said, inbox.said("more"), said])
    assert await inbox.threads() == {ADA: ["hello", "more"]}
    (thread,) = await inbox.rows(conversation)
    assert thread.unread == 2


async def test_the_same_id_at_another_sender_is_another_message(inbox: Inbox) -> None:
    await inbox.take_all([inbox.said("to alice", wa_id="3EB0A"), inbox.said("to bert", wa_id="3EB0A", to=BERT)])
    assert len(await inbox.rows(conversation)) == 2
    assert len(await inbox.rows(contact)) == 1, "who writes to two of our numbers is one person"


async def test_messages_out_of_order_are_shown_as_they_were_written(inbox: Inbox) -> None:
    await inbox.take(inbox.said("second", at=inbox.now - 5))
    await inbox.take(inbox.said("first", at=inbox.now - 9))
    assert await inbox.threads() == {ADA: ["first", "second"]}
    (thread,) = await inbox.rows(conversation)
    assert (thread.last_text, thread.unread) == ("second", 2)


async def test_a_time_to_come_is_taken_as_now(inbox: Inbox) -> None:
    await inbox.take(inbox.said(at=inbox.now + 9_000_000))
    (thread,) = await inbox.rows(conversation)
    assert thread.last_message_at < inbox.now + 60


async def test_a_nul_is_left_out_and_a_text_that_is_too_long_is_cut(inbox: Inbox) -> None:
    await inbox.take(inbox.said("a\x00b" + "c" * 70_000, push_name="N\x00"))
    (row,) = await inbox.rows(incoming_message)
    assert (row.text[:3], len(row.text)) == ("abc", 65_536)


async def test_a_hidden_id_and_a_number_in_one_message_are_one_person(inbox: Inbox) -> None:
    await inbox.take(inbox.said("one"))
    await inbox.take(inbox.said("two", phone=None, contact_lid=ADA_LID))
    assert await inbox.threads() == {ADA: ["one"], ADA_LID: ["two"]}
    await inbox.take(inbox.said("three", contact_lid=ADA_LID))
    assert await inbox.threads() == {ADA: ["one", "two", "three"]}
    (thread,) = await inbox.rows(conversation)
    assert (thread.unread, thread.last_text) == (3, "three")
    assert {row.name for row in await inbox.rows(identity)} == {f"{ADA}@c.us", ADA_LID}


async def test_a_message_that_comes_under_both_names_puts_them_together(inbox: Inbox) -> None:
    hidden = inbox.said("one", phone=None, contact_lid=ADA_LID, wa_id="3EB0A")
    await inbox.take(hidden)
    await inbox.take(inbox.said("one", wa_id="3EB0A"))
    assert await inbox.threads() == {ADA: ["one"]}
    await inbox.take(inbox.said("two", phone=None, contact_lid=ADA_LID))
    assert await inbox.threads() == {ADA: ["one", "two"]}


async def test_what_waha_tells_of_a_hidden_id_merges_all_its_threads(inbox: Inbox) -> None:
    await inbox.take_all([inbox.said("1", phone=None, contact_lid=ADA_LID), inbox.said("2")])
    await inbox.take(inbox.said("3", phone=None, contact_lid=ADA_LID, to=BERT))
    await inbox.identify(ADA_LID, ADA)
    assert await inbox.threads() == {ADA: ["1", "2", "3"]}
    assert len(await inbox.rows(conversation)) == 2, "one with each of our two numbers"
    assert len(await inbox.rows(contact)) == 1


async def test_a_hidden_id_of_nobody_who_wrote_is_no_contact(inbox: Inbox) -> None:
    await inbox.identify(ADA_LID, ADA)
    assert await inbox.rows(contact) == []


async def test_two_numbers_stay_two_people_whatever_their_messages_say(inbox: Inbox) -> None:
    await inbox.take(inbox.said("ada", wa_id="3EB0A", contact_lid=ADA_LID))
    await inbox.take(inbox.said("ben", wa_id="3EB0A", phone=BEN, contact_lid=BEN_LID))
    await inbox.take(inbox.said("ben too", phone=BEN))
    assert await inbox.threads() == {ADA: ["ada"], BEN: ["ben too"]}


@pytest.mark.parametrize("size", [1, 7, 500])
async def test_whatever_the_order_and_the_batches_each_is_stored_once_in_the_right_thread(
    inbox: Inbox, size: int
) -> None:
    rng = random.Random(size)
    people = [(f"4477009001{n:02d}", f"1000000000000{n:02d}@lid") for n in range(20)]
    heard = []
    for n in range(120):
        phone, lid = people[n % 20]
        names: list[dict[str, Any]] = [
            {"phone": phone},
            {"phone": None, "contact_lid": lid},
            {"phone": phone, "contact_lid": lid},
        ]
        usual: dict[str, Any] = {"text": str(n), "wa_id": f"3EB0{n:04X}", "at": inbox.now - 1000 + n}
        copies = [names[2], *rng.choices(names, k=rng.randint(0, 3))] if n < 20 else rng.choices(names, k=2)
        heard += [inbox.said(**usual | copy) for copy in copies]
    rng.shuffle(heard)
    for start in range(0, len(heard), size):
        await inbox.take_all(heard[start : start + size])
    assert await inbox.threads() == {
        phone: [str(n) for n in range(who, 120, 20)] for who, (phone, _) in enumerate(people)
    }
    assert {row.unread for row in await inbox.rows(conversation)} == {6}
