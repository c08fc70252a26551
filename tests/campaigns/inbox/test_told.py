"""What other systems are told of the inbox: a registered webhook hears each message and each wish once, and signed."""

import pytest

from tests.api.test_clients import bearer, make_client
from tests.api.world import ALICE, BERT, Body, World
from tests.campaigns.inbox.conftest import MakeWorld
from tests.campaigns.inbox.test_hearing import ADA, say
from tests.harness.receiver import SECRET, Receiver

EVENTS = ["message.received", "contact.opted_out", "contact.opted_in"]


@pytest.fixture
async def world(database_url: str, make_api_world: MakeWorld) -> World:
    """A gateway that may call loopback, with a paired number, and a WAHA that tells all of it several times."""
    world = await make_api_world(database_url=database_url, webhooks={"allow_private_addresses": True})
    await world.pair(ALICE, BERT)
    return world


async def register(world: World, receiver: Receiver, *events: str, **options: Body) -> None:
    """Have a receiver hear of some events."""
    body = {"url": receiver.url, "events": list(events or EVENTS), "secret": SECRET}
    await world.call("POST", "/api/webhooks", body, status=201, **options)


async def heard(receiver: Receiver, count: int) -> list[tuple[str, str]]:
    """The kinds of events that a receiver took and what tells them apart, once they are so many, in their order."""
    taken = [request.event for request in await receiver.got(count, within=30)]
    return [(one["event"], one["data"].get("text") or one["data"]["recipient"]) for one in taken]


async def test_a_webhook_hears_each_message_and_wish_once_however_often_waha_tells_of_it(world: World) -> None:
    await world.waha.tell("PUT", "/events", {"repeat": 1, "lid_variant": 1})
    async with Receiver().listening() as receiver:
        await register(world, receiver)
        texts = ["hello", "STOP", "stop", "START", "the end"]
        for text in texts:
            await say(world, text, times=2, author="Ada")
        told = [("message.received", text) for text in texts]
        wishes = [("contact.opted_out", ADA), ("contact.opted_in", ADA)]
        found = await heard(receiver, 7)
        assert sorted(found) == sorted([*told, *wishes])
        lines: dict[
            str, list[str]
        ] = {}  # what answers our confirmation is that campaign's, and comes beside the others
        for request in receiver.taken:
            if request.event["event"] == "message.received":
                data = request.event["data"]
                lines.setdefault(data["schedule_id"] or "", []).append(data["text"])
        assert all(line == sorted(line, key=texts.index) for line in lines.values()), "each line is in order"
        assert len(receiver.requests) == 7, "nothing was sent twice, and all signatures are right"
        assert len({request.event["id"] for request in receiver.taken}) == 7


async def test_what_a_webhook_hears_of_a_message_and_of_a_wish_is_all_that_the_pages_promise(world: World) -> None:
    campaign = await world.send(recipients=[ADA])
    await world.finished(campaign)
    person = await world.post("/api/recipients", {"name": "Ada", "phone_number": ADA})
    async with Receiver().listening() as receiver:
        await register(world, receiver)
        said = await say(world, "STOP", author="Ada L")
        events = {request.event["event"]: request.event for request in await receiver.got(2, within=30)}
    (thread,) = (await world.get("/api/conversations", sender_number=ALICE))["items"]
    (message,) = [
        one
        for one in (await world.get(f"/api/conversations/{thread['id']}/messages", sender_number=ALICE))["items"]
        if one["direction"] == "in"
    ]
    received = events["message.received"]["data"]
    assert received["received_at"].endswith("Z")
    assert received == {
        "id": message["id"],
        "conversation_id": thread["id"],
        "sender_number": ALICE,
        "from": ADA,
        "name": "Ada L",
        "kind": "text",
        "text": "STOP",
        "message_id": said["id"],
        "received_at": received["received_at"],
        "schedule_id": campaign["campaign_id"],
        "answers_id": received["answers_id"],
    }
    assert received["answers_id"] is not None
    wish = events["contact.opted_out"]["data"]
    assert wish == {
        "recipient_id": person["id"],
        "recipient": ADA,
        "sender_number": ALICE,
        "source": "keyword",
        "reason": "",
        "at": wish["at"],
    }
    assert events["contact.opted_out"]["sequence"] != events["message.received"]["sequence"]


async def test_a_webhook_hears_only_of_the_numbers_of_its_account_and_of_what_it_asked_for(world: World) -> None:
    client = await make_client(world, senders=[BERT])
    async with Receiver().listening() as theirs, Receiver().listening() as wishes:
        await register(world, theirs, headers=bearer(client))
        await register(world, wishes, "contact.opted_out")
        await say(world, "STOP")
        await world.waha.tell("POST", f"/sessions/{BERT[1:]}/incoming", {"from": ADA[1:], "text": "to the client"})
        assert await heard(theirs, 1) == [("message.received", "to the client")]
        assert await heard(wishes, 1) == [("contact.opted_out", ADA)]
        assert (len(theirs.requests), len(wishes.requests)) == (1, 1)
