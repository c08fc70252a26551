"""Live events: who may hear what, from when on, and how a socket ends. The real server and real sockets."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gateway.notifications import feed, sockets
from gateway.notifications.models import Event, EventListener
from gateway.notifications.outbox import Fact, tell
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, World, recipients
from tests.harness.live import listening, opened, serving

FACT_KIND = "message.sent"


@pytest.fixture
async def url(any_world: World) -> AsyncIterator[str]:
    """The address of the live events of `any_world`."""
    async with serving(any_world.gateway) as address:
        yield address


async def tell_facts(world: World, *indexes: int, account: str = "local", number: str = ALICE) -> None:
    """Something happens."""
    async with world.db.write() as tx:
        await tell(tx, [Fact(FACT_KIND, account, {"index": index}, sender_number=number[1:]) for index in indexes])


async def test_a_client_hears_the_whole_story_of_a_campaign_in_order(any_world: World, url: str) -> None:
    await any_world.pair(ALICE)
    saved = await any_world.post("/api/recipients", {"name": "Ada", "phone_number": recipients(1)[0]})
    async with listening(url) as client:
        campaign = await any_world.send()
        started = await client.event("message.processing")
        left = [await client.event("message.sent") for _ in range(3)]
        ended = await client.event("message.completed")
    assert started["data"] == {
        "schedule_id": campaign["campaign_id"],
        "started_at": started["data"]["started_at"],
    }
    assert {one["data"]["recipient"] for one in left} == set(recipients(3))
    by_number = {one["data"]["recipient"]: one["data"] for one in left}
    assert by_number[recipients(1)[0]]["recipient_id"] == saved["id"]
    assert by_number[recipients(2)[1]]["recipient_id"] is None
    assert {one["data"]["message_id"] for one in left} == {line["id"] for line in await any_world.waha.ledger()}
    assert ended["data"]["stats"] | {"total": 3, "sent": 3, "failed": 0, "state": "completed"} == ended["data"]["stats"]
    sequences = [one["sequence"] for one in (started, *left, ended)]
    assert sequences == sorted(sequences)
    assert ended["timestamp"].endswith("Z")


async def test_a_message_that_fails_is_told_with_its_reason(any_world: World, url: str) -> None:
    await any_world.pair(ALICE)
    await any_world.waha.tell("PUT", "/numbers", {"unregistered": recipients(1)})
    async with listening(url, events=["message.failed", "message.completed"]) as client:
        await any_world.send(recipients=recipients(2))
        failed, ended = await client.events(2)
    assert failed["event"] == "message.failed"
    assert failed["data"]["recipient"] == recipients(1)[0]
    assert failed["data"]["error"]
    assert ended["data"]["stats"]["state"] == "completed_with_errors"


async def test_a_cancelled_campaign_is_told_once(any_world: World, url: str) -> None:
    await any_world.pair(ALICE)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    campaign = await any_world.send(start_at=tomorrow.isoformat())
    async with listening(url, events=["message.completed"]) as client:
        await any_world.post(f"/api/campaigns/{campaign['campaign_id']}/cancel")
        [ended] = await client.events(1)
    assert ended["data"]["stats"]["state"] == "cancelled"
    assert ended["data"]["stats"]["cancelled"] == 3


async def schedule_of(world: World, *people: str, **options: object) -> dict[str, Any]:
    """A schedule that is tomorrow's, for these people."""
    message = await world.post("/api/messages", {"title": "Hi", "content": "Hello"})
    saved = [await world.post("/api/recipients", {"name": "Ada", "phone_number": number}) for number in people]
    group = await world.post("/api/recipients/groups", {"name": "All", "recipient_ids": [one["id"] for one in saved]})
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    parts = {"message_id": message["id"], "group_id": group["id"], "scheduled_time": tomorrow}
    made: dict[str, Any] = await world.post("/api/schedules", parts | options)
    return made


async def test_a_schedule_is_told_when_it_is_made_and_when_it_begins(any_world: World, url: str) -> None:
    await any_world.pair(ALICE)
    async with listening(url) as client:
        made = await schedule_of(any_world, *recipients(1))
        scheduled = await client.event("message.scheduled")
        await any_world.post(f"/api/schedules/{made['id']}/send-now")
        kinds = [(await client.event(f"message.{kind}"))["data"] for kind in ("processing", "sent", "completed")]
    assert scheduled["data"] == made | {"schedule_id": made["id"]}
    assert {one["schedule_id"] for one in kinds} == {made["id"]}


async def test_a_schedule_is_told_with_its_hours_as_it_was_answered(any_world: World, url: str) -> None:
    async with listening(url) as client:
        made = await schedule_of(any_world, quiet_hours={"from": "21:00", "to": "08:30"}, weekdays=["mon"])
        told = (await client.event("message.scheduled"))["data"]
    assert told == made | {"schedule_id": made["id"]}
    assert told["quiet_hours"] == {"from": "21:00", "to": "08:30"}


async def test_a_schedule_that_cannot_begin_is_told_with_its_reason(any_world: World, url: str) -> None:
    await any_world.pair(ALICE)
    async with listening(url, events=["message.failed", "message.completed"]) as client:
        made = await schedule_of(any_world)
        await any_world.post(f"/api/schedules/{made['id']}/send-now")
        failed, ended = await client.events(2)
    assert failed["data"] == {
        "schedule_id": made["id"],
        "recipient_id": None,
        "error": "there is nobody in its group",
    }
    assert ended["data"]["stats"]["state"] == "failed"


async def test_the_states_of_a_session_are_told(any_world: World, url: str) -> None:
    async with listening(url, events=["session.*"]) as client:
        await any_world.pair(ALICE)
        connected = await client.event("session.connected")
        await any_world.waha.phone_logs_out(ALICE)
        fallen = await client.event("session.disconnected")
    assert connected["data"]["sender_number"] == ALICE
    assert connected["data"]["state"] == "CONNECTED"
    assert fallen["data"] == {
        "sender_number": ALICE,
        "state": "FAILED",
        "reason": fallen["data"]["reason"],
        "at": fallen["timestamp"],
    }


# --- who may hear what ------------------------------------------------------------------------------------------------


async def test_each_hears_only_what_is_theirs(any_world: World, url: str) -> None:
    tokens = await any_world.pair(ALICE, BERT)
    async with (
        listening(url, token=ADMIN_TOKEN) as operator,
        listening(url) as local,
        listening(url, token=tokens[BERT]) as bert,
        listening(url, sender_number=BERT) as open_bert,
    ):
        await tell_facts(any_world, 1, number=ALICE)
        await tell_facts(any_world, 2, account="other", number="+447700900009")
        await tell_facts(any_world, 3, number=BERT)
        heard = {
            name: [one["data"]["index"] for one in await client.events(count)]
            for name, client, count in (
                ("operator", operator, 3),
                ("local", local, 2),
                ("bert", bert, 1),
                ("open_bert", open_bert, 1),
            )
        }
    assert heard == {"operator": [1, 2, 3], "local": [1, 3], "bert": [3], "open_bert": [3]}


async def test_only_the_events_that_were_asked_for_come(any_world: World, url: str) -> None:
    async with listening(url, events=["session.*", "message.failed"]) as client:
        async with any_world.db.write() as tx:
            kinds = ("message.sent", "session.connected", "message.failed")
            await tell(tx, [Fact(kind, "local", {}) for kind in kinds])
        assert [one["event"] for one in await client.events(2)] == ["session.connected", "message.failed"]


async def test_without_a_listener_nothing_is_written(any_world: World) -> None:
    await any_world.pair(ALICE)
    await any_world.finished(await any_world.send())
    assert await any_world.count(Event) == 0
    assert await any_world.count(EventListener) == 0


# --- coming again -----------------------------------------------------------------------------------------------------


async def test_who_comes_again_misses_nothing_and_hears_nothing_twice(any_world: World, url: str) -> None:
    async with listening(url) as client:
        await tell_facts(any_world, 1, 2, 3)
        last = (await client.events(2))[-1]["sequence"]
    await tell_facts(any_world, 4)
    async with listening(url, since=last) as client:
        assert client.ready == last
        await tell_facts(any_world, 5)
        assert [one["data"]["index"] for one in await client.events(3)] == [3, 4, 5]


async def test_many_missed_events_come_in_order(any_world: World, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "PAGE", 7)
    monkeypatch.setattr(feed, "PAGE", 5)
    async with listening(url) as client:
        begin = client.ready
    await tell_facts(any_world, *range(60))
    # the feed runs already, for the first
    async with listening(url, token=ADMIN_TOKEN), listening(url, since=begin) as client:
        await tell_facts(any_world, *range(60, 80))
        assert [one["data"]["index"] for one in await client.events(80)] == list(range(80))


@pytest.mark.parametrize("since", [0, 10**12])
async def test_who_asks_for_what_is_not_there_is_told(any_world: World, url: str, since: int) -> None:
    async with listening(url, token=ADMIN_TOKEN) as operator:
        await tell_facts(any_world, 1)
        await operator.events(1)
        async with opened(url) as client:  # nobody has listened to this account before
            await client.say(type="auth", since=since)
            assert await client.hear() == {"type": "gap", "since": since, "sequence": 1}
            assert await client.hear() == {"type": "ready", "sequence": 1}
            await tell_facts(any_world, 2)
            assert (await client.hear())["data"] == {"index": 2}


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["wrong", "wgs_wrong", "a.b.c"])
async def test_a_wrong_token_is_closed_with_4401(any_world: World, url: str, token: str) -> None:
    async with opened(url) as client:
        await client.say(type="auth", token=token)
        assert (await client.closed())[0] == 4401


async def test_without_a_token_nobody_is_let_in_in_token_mode(make_world: MakeWorld) -> None:
    world = await make_world(auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    async with serving(world.gateway) as url, opened(url) as client:
        await client.say(type="auth", sender_number=ALICE)
        assert (await client.closed())[0] == 4401


async def test_a_token_does_not_open_another_number(any_world: World, url: str) -> None:
    tokens = await any_world.pair(ALICE)
    async with opened(url) as client:
        await client.say(type="auth", token=tokens[ALICE], sender_number=BERT)
        assert (await client.closed())[0] == 4401


async def test_a_token_that_is_revoked_ends_its_socket(
    any_world: World, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "LOOK_AGAIN_SECONDS", 0.05)
    tokens = await any_world.pair(ALICE)
    async with listening(url, token=tokens[ALICE]) as client:
        await any_world.admin("DELETE", f"/api/sessions/{ALICE}", status=200)
        assert (await client.closed())[0] == 4401


async def test_who_says_nothing_is_closed(any_world: World, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "FIRST_SECONDS", 0.05)
    async with opened(url) as client:
        assert (await client.closed())[0] == 4408


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        '{"type": "subscribe"}',
        '{"type": "auth", "since": -1}',
        '{"type": "auth", "since": "5"}',
        '{"type": "auth", "events": ["everything"]}',
        '{"type": "auth", "sender_number": "nobody ' + "ü" * 50 + '"}',
        '{"type": "auth", "unknown": 1}',
        b"\x00",
    ],
)
async def test_a_first_message_that_is_none_is_closed_with_a_reason(
    any_world: World, url: str, text: str | bytes
) -> None:
    async with opened(url) as client:
        await client.connection.send(text)
        code, reason = await client.closed()
    assert code == 4400
    assert reason


async def test_a_message_that_is_too_long_is_refused(any_world: World, url: str) -> None:
    async with opened(url) as client:
        await client.say(type="auth", token="x" * 20_000)
        assert (await client.closed())[0] == 1009


async def test_a_foreign_page_is_refused(any_world: World, url: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(url, origin="https://evil.example"):
            raise AssertionError("let in")
    assert refused.value.response.status_code == 403


async def test_a_page_of_our_own_may_listen(any_world: World, url: str) -> None:
    own = url.replace("ws://", "http://").removesuffix("/ws")
    async with opened(url, origin=own) as client:
        await client.say(type="auth")
        assert (await client.hear())["type"] == "ready"


async def test_what_came_by_a_proxy_is_refused_in_open_mode(any_world: World, url: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(url, additional_headers={"Forwarded": "for=192.0.2.1"}):
            raise AssertionError("let in")
    assert refused.value.response.status_code == 403


async def test_more_sockets_than_allowed_are_told_to_try_later(make_world: MakeWorld) -> None:
    world = await make_world(limits={"sockets": 1})
    async with serving(world.gateway) as url, listening(url), opened(url) as second:
        assert (await second.closed())[0] == 1013


async def test_one_caller_has_a_share_of_the_sockets(
    any_world: World, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PER_CALLER", 1)
    async with listening(url), opened(url) as second, listening(url, token=ADMIN_TOKEN):
        await second.say(type="auth")
        assert (await second.closed())[0] == 1013


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_a_slow_reader_is_dropped_and_the_others_hear_everything(
    any_world: World, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BACKLOG", 50)
    monkeypatch.setattr(sockets, "SEND_SECONDS", 0.2)
    text = "x" * 20_000
    count = 400
    async with listening(url) as slow, listening(url) as quick:
        slow.connection.transport.pause_reading()
        for index in range(count):
            async with any_world.db.write() as tx:
                await tell(tx, [Fact("message.sent", "local", {"index": index, "text": text})])
            heard = await quick.hear()
            assert heard["data"]["index"] == index
        slow.connection.transport.resume_reading()
        code, _ = await slow.closed()
    assert code in (1013, 1006)


async def test_at_the_end_of_the_service_sockets_are_closed(any_world: World) -> None:
    async with serving(any_world.gateway) as url, listening(url) as client:
        any_world.gateway.notifications.feed.close()
        assert (await client.closed())[0] == 1012
        async with opened(url) as late:
            await late.say(type="auth")
            assert (await late.closed())[0] == 1012
