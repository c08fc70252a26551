"""Campaigns over the API: the messaging endpoints with their fields, on SQLite and on PostgreSQL."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns.sending.models import Campaign, Message
from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, BERT, CARA, World, recipients, until

pytestmark = pytest.mark.timeout(60)

API_EXAMPLE = {
    "sender_number": "42108077",
    "recipients": ["21642108101"],
    "template": "Hello, this is a test message from FastAPI backend after the fix!",
    "media_url": None,
}


async def later(world: World, **fields: Any) -> dict[str, Any]:
    """A campaign of a sender that nobody has paired: it stays where it is."""
    return await world.send(queue_if_offline=True, **fields)


# --- sending


async def test_the_documented_example_is_accepted_as_it_stands_and_sent(any_world: World) -> None:
    world = any_world
    await world.pair("+42108077")
    campaign = await world.post("/api/send", API_EXAMPLE)
    assert campaign["sender_number"] == "+42108077"
    assert (campaign["status"], campaign["total"], campaign["pending"]) == ("queued", 1, 1)
    await world.finished(campaign)
    [sent] = await world.waha.ledger()
    assert (sent["session"], sent["chat_id"], sent["text"]) == (
        "42108077",
        "21642108101@c.us",
        API_EXAMPLE["template"],
    )


async def test_status_tells_the_totals_the_times_and_the_progress(world: World) -> None:
    await world.pair(ALICE)
    done = await world.finished(await world.send(name="Orders"))
    assert {key: done[key] for key in ("total", "pending", "failed", "status", "progress")} == {
        "total": 3,
        "pending": 0,
        "failed": 0,
        "status": "completed",
        "progress": 100.0,
    }
    assert (done["sent"], done["waiting"], done["estimated_finish"]) == (3, [], None)
    created, start, end = (datetime.fromisoformat(done[name]) for name in ("created_at", "start_time", "end_time"))
    assert created <= start <= end
    assert done["end_time"].endswith("Z")


async def test_details_tell_each_recipients_status_text_time_error_and_sender(world: World) -> None:
    await world.pair(ALICE)
    to = recipients(2)
    campaign = await world.send(
        template="Hello {{name}}",
        variables={"name": "friend"},
        recipients=[to[0], {"phone": to[1], "variables": {"name": "Ada"}}],
    )
    details = (await world.finished(campaign))["messages"]
    assert [(m["recipient"], m["text"], m["sender_number"], m["error"]) for m in details["items"]] == [
        (to[0], "Hello friend", ALICE, None),
        (to[1], "Hello Ada", ALICE, None),
    ]
    assert all(m["status"] in ("sent", "delivered", "read") for m in details["items"])
    assert all(m["timestamp"].endswith("Z") for m in details["items"])
    assert (await world.get(f"/api/status/{campaign['campaign_id']}"))["messages"] is None


async def test_receipts_move_messages_on_until_they_are_read(world: World) -> None:
    await world.pair(ALICE)
    campaign = await world.send(recipients=recipients(1))
    await world.finished(campaign)

    async def was_read() -> bool:
        return bool((await world.get(f"/api/status/{campaign['campaign_id']}"))["read"] == 1)

    [sent] = await world.waha.ledger()
    await world.waha.tell(
        "POST", f"/sessions/{ALICE[1:]}/ack", {"chat_id": sent["chat_id"], "id": sent["id"], "ack": 3}
    )
    await until(was_read)
    [message] = (await world.get(f"/api/status/{campaign['campaign_id']}", details=True))["messages"]["items"]
    assert (message["status"], message["receipt"]) == ("read", 3)


async def test_a_pool_deals_in_turn_over_its_senders(world: World) -> None:
    await world.pair(ALICE, BERT, CARA)
    campaign = await world.send(sender_numbers=[BERT, CARA], recipients=recipients(9))
    assert campaign["sender_numbers"] == [ALICE, BERT, CARA]
    done = await world.finished(campaign)
    senders = [message["sender_number"] for message in done["messages"]["items"]]
    assert sorted(senders) == sorted([ALICE, BERT, CARA] * 3)


async def test_a_number_is_written_to_once_however_often_and_however_it_is_listed(world: World) -> None:
    await world.pair(ALICE)
    campaign = await world.send(recipients=["+44 7700 900100", "00447700900100", "447700900100", *recipients(2)])
    assert (campaign["total"], campaign["duplicates"]) == (2, 3)
    await world.finished(campaign)
    assert len(await world.waha.ledger()) == 2


async def test_the_grade_of_each_number_is_told(world: World) -> None:
    campaign = await later(world, recipients=["+1 212 555 0123", "+447700900100", "21642108101", "9990001112223"])
    assert campaign["grades"] == {"valid": 2, "possible": 1, "invalid": 1}
    details = await world.get(f"/api/status/{campaign['campaign_id']}", details=True)
    grades = [message["grade"] for message in details["messages"]["items"]]
    assert {grade: grades.count(grade) for grade in set(grades)} == campaign["grades"]


# --- once only


async def test_the_same_idempotency_key_gives_the_same_answer_and_sends_nothing_again(any_world: World) -> None:
    world, key = any_world, {"Idempotency-Key": "order-1"}
    first = await later(world, headers=key)
    assert await later(world, headers=key) == first
    assert await world.count(Campaign) == 1
    refused = await later(world, headers=key, template="Another text", status=422)
    assert [error["field"] for error in refused["errors"]] == ["Idempotency-Key"]
    assert (await later(world, headers={"Idempotency-Key": "order-2"}))["campaign_id"] != first["campaign_id"]
    await later(world, headers=key, sender_number=BERT)
    assert await world.count(Campaign) == 3


# --- senders that cannot send


async def test_a_sender_that_is_not_connected_is_refused_with_what_to_do(world: World) -> None:
    await world.post("/api/sessions", {"phone_number": ALICE})
    refused = await world.send(sender_numbers=[BERT], status=409)
    assert refused["error_code"] == "SESSION_NOT_CONNECTED"
    for word in (ALICE, BERT, "POST /api/sessions", "/qr", "queue_if_offline"):
        assert word in refused["detail"]
    assert await world.count(Campaign) == 0


async def test_a_campaign_may_wait_for_its_sender_and_says_so(any_world: World) -> None:
    world = any_world
    campaign = await later(world)
    status = await world.get(f"/api/status/{campaign['campaign_id']}", details=True)
    [wait] = status["waiting"]
    assert (wait["reason"], wait["sender_number"], wait["until"]) == ("session_not_connected", ALICE, None)
    assert "scan its QR code" in wait["message"]
    assert status["estimated_finish"] is None
    for message in status["messages"]["items"]:
        assert (message["status"], message["waiting"]["reason"]) == ("queued", "session_not_connected")
    await world.pair(ALICE)
    assert (await world.finished(campaign))["status"] == "completed"


async def test_a_waha_that_is_down_at_submit_is_waited_for_and_named(make_world: MakeWorld) -> None:
    world = await make_world(waha={"sweep_seconds": 0.05})
    await world.pair(ALICE)
    await world.waha.faults(down=True)

    async def is_down() -> bool:
        return not (await world.get(f"/api/sessions/{ALICE}"))["server_up"]

    await until(is_down)
    campaign = await world.send()
    status = await world.get(f"/api/status/{campaign['campaign_id']}", details=True)
    assert [wait["reason"] for wait in status["waiting"]] == ["server_down"]
    assert status["messages"]["items"][0]["waiting"]["reason"] == "server_down"
    await world.waha.faults()
    assert (await world.finished(campaign))["sent"] == 3


async def test_what_was_not_sent_is_listed_with_its_reason(world: World) -> None:
    await world.pair(ALICE)
    to = recipients(3)
    await world.waha.tell("PUT", "/numbers", {"unregistered": [to[1]]})
    campaign = await world.send(recipients=to)
    done = await world.finished(campaign)
    assert (done["status"], done["sent"]) == ("completed_with_errors", 2)
    failed = await world.get(f"/api/campaigns/{campaign['campaign_id']}/failed")
    assert [(m["recipient"], m["status"]) for m in failed["items"]] == [(to[1], "failed")]
    assert failed["items"][0]["error"]
    assert failed["items"][0]["error_code"]
    assert failed["total"] == 1


# --- bad rows


async def test_missing_variables_are_named_by_recipient_and_nothing_is_queued(world: World) -> None:
    to = recipients(3)
    rows = [to[0], {"phone": to[1], "variables": {"name": "Ada"}}, {"phone": to[2], "variables": {"name": " "}}]
    refused = await later(world, template="Hi {{name}}, {{ order | none }}", recipients=rows, status=422)
    assert refused["error_code"] == "VALIDATION_ERROR"
    assert [(e["field"], e["code"]) for e in refused["errors"]] == [
        ("recipients.0.variables", "missing_variable"),
        ("recipients.2.variables", "missing_variable"),
    ]
    assert to[0] in refused["errors"][0]["message"]
    assert "name" in refused["errors"][0]["message"]
    assert await world.count(Campaign) == 0


async def test_partial_sends_the_good_rows_and_names_the_bad_ones(world: World) -> None:
    to = recipients(2)
    await world.pair(ALICE)
    campaign = await world.send(
        template="Hi {{name}}",
        recipients=["letters", {"phone": to[0], "variables": {"name": "Ada"}}, to[1]],
        on_bad_row="partial",
    )
    assert campaign["total"] == 1
    assert [(row["index"], row["recipient"], row["code"]) for row in campaign["invalid"]] == [
        (0, "letters", "invalid_format"),
        (2, to[1], "missing_variable"),
    ]
    assert (await world.finished(campaign))["sent"] == 1


async def test_partial_without_one_good_row_is_refused(world: World) -> None:
    refused = await later(world, recipients=["letters"], on_bad_row="partial", status=422)
    assert refused["error_code"] == "INVALID_PHONE_NUMBER"
    assert await world.count(Campaign) == 0


# --- what nobody knows


@pytest.mark.parametrize(("verb", "times"), [("resend", 2), ("accept", 1)])
async def test_a_person_decides_what_becomes_of_an_unconfirmed_message(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, verb: str, times: int
) -> None:
    """WEBJS cannot be asked whether a message has left. It had; whoever resends it takes that risk."""
    world = await make_world(simulator={"engine": "WEBJS"}, dispatch={"hold_seconds": 0.1})
    await world.pair(ALICE)
    world.waha.lose_events(monkeypatch)
    await world.waha.faults(next=["cut_after"])
    campaign = await world.send(recipients=[BERT])
    path = f"/api/campaigns/{campaign['campaign_id']}"
    done = await world.finished(campaign)
    assert done["unconfirmed"] == 1
    [row] = done["messages"]["items"]
    assert (row["status"], row["error_code"]) == ("unconfirmed", "unconfirmed")

    told = await world.post(f"{path}/messages/{row['id']}/{verb}")
    assert told["id"] == row["id"]

    async def is_over() -> bool:
        status = await world.get(f"/api/status/{campaign['campaign_id']}")
        return (status["status"], status["sent"], status["unconfirmed"]) == ("completed", 1, 0)

    await until(is_over)
    status = (await world.get(f"{path}/messages/{row['id']}"))["status"]
    assert status in ("sent", "delivered", "read"), "its receipts may have come already"
    assert [sent["chat_id"] for sent in await world.waha.ledger()] == [f"{BERT[1:]}@c.us"] * times


# --- preview


async def test_a_preview_tells_what_would_happen_and_stores_nothing(database_url: str, make_world: MakeWorld) -> None:
    delays = {"message_delay": 4, "sender_switch_delay": 1}
    world = await make_world(database_url=database_url, dispatch=delays)
    await world.pair(ALICE, BERT)
    to = recipients(7)
    body = {
        "sender_number": ALICE,
        "sender_numbers": [BERT],
        "template": "Hi {{name}}",
        "variables": {},
        "recipients": [
            *[{"phone": phone, "variables": {"name": f"N{n}"}} for n, phone in enumerate(to)],
            {"phone": to[0], "variables": {"name": "again"}},
            "letters",
            "+447700900999",
        ],
    }
    told = await world.post("/api/send/preview", body)
    assert (told["valid"], told["duplicates"]) == (7, 1)
    assert (told["invalid_count"], told["missing_variables_count"]) == (1, 1)
    assert [(row["index"], row["recipient"]) for row in told["invalid"]] == [(7 + 1, "letters")]
    assert [(row["index"], row["recipient"]) for row in told["missing_variables"]] == [(9, "+447700900999")]
    assert [(s["recipient"], s["text"]) for s in told["samples"]] == [(to[n], f"Hi N{n}") for n in range(3)]
    assert told["shares"] == {ALICE: 4, BERT: 3}
    assert told["not_connected"] == []
    latency = world.gateway.transmitter.latency_seconds
    q, r = divmod(7 - 1, 2)
    right = q * max(latency + 4, 2 * (latency + 1)) + r * (latency + 1) + latency
    assert told["duration_seconds"] == pytest.approx(right, abs=0.001)
    assert await world.count(Campaign) == await world.count(Message) == 0
    assert await world.waha.ledger() == []


async def test_a_preview_says_which_senders_are_not_connected_and_when_more_are_slower(make_world: MakeWorld) -> None:
    world = await make_world(dispatch={"message_delay": 0, "sender_switch_delay": 60})
    await world.pair(ALICE, BERT)
    body = {"sender_number": ALICE, "sender_numbers": [BERT], "template": "Hi", "recipients": recipients(4)}
    assert "one sender alone would be faster" in (await world.post("/api/send/preview", body))["note"]
    told = await world.post("/api/send/preview", body | {"sender_numbers": [CARA]})
    assert told["not_connected"] == [CARA]
    assert told["shares"] == {ALICE: 4}


# --- lists


async def test_details_come_in_pages_and_by_status(any_world: World) -> None:
    world, to = any_world, recipients(5)
    campaign = await later(world, recipients=to)
    path = f"/api/status/{campaign['campaign_id']}"
    second = (await world.get(path, details=True, page=2, per_page=2))["messages"]
    assert [m["recipient"] for m in second["items"]] == to[2:4]
    assert (second["total"], second["page"], second["pages"], second["per_page"]) == (5, 2, 3, 2)
    skipped = (await world.get(path, details=True, skip=4, limit=10))["messages"]
    assert [m["recipient"] for m in skipped["items"]] == to[4:]
    assert (await world.get(path, details=True, status="sent"))["messages"]["total"] == 0
    assert (await world.get(path, details=True, status=["queued", "sent"]))["messages"]["total"] == 5
    await world.call("GET", f"{path}?details=true&status=lost", status=422)
    await world.call("GET", f"{path}?details=true&skip=1&page=1", status=422)


async def test_one_message_can_be_asked_for(world: World) -> None:
    campaign, other = await later(world), await later(world)
    path = f"/api/campaigns/{campaign['campaign_id']}/messages"
    details = await world.get(f"/api/status/{campaign['campaign_id']}", details=True)
    first = details["messages"]["items"][0]
    assert await world.get(f"{path}/{first['id']}") == first
    await world.call("GET", f"/api/campaigns/{other['campaign_id']}/messages/{first['id']}", status=404)
    await world.call("GET", f"{path}/not-an-id", status=422)


async def test_campaigns_are_listed_newest_first_by_status_name_and_time(any_world: World) -> None:
    world = any_world
    first = await later(world, name="Orders 100% ready")
    second = await later(world, name="Reminders")
    await later(world, name="Berts", sender_number=BERT)
    await world.post(f"/api/campaigns/{second['campaign_id']}/cancel")

    async def names(**params: Any) -> list[str]:
        return [item["name"] for item in (await world.get("/api/campaigns", sender_number=ALICE, **params))["items"]]

    assert await names() == ["Reminders", "Orders 100% ready"]
    assert await names(status="cancelled") == ["Reminders"]
    assert await names(status=["queued", "cancelled"]) == ["Reminders", "Orders 100% ready"]
    assert await names(search="orders") == ["Orders 100% ready"]
    assert await names(search="0% r") == ["Orders 100% ready"]
    assert await names(search="_") == []
    moment = datetime.fromisoformat(first["created_at"])
    assert await names(created_to=(moment + timedelta(days=1)).isoformat()) == ["Reminders", "Orders 100% ready"]
    assert await names(created_from=(moment + timedelta(days=1)).isoformat()) == []
    plain = moment.replace(tzinfo=None)  # a time without a zone is UTC
    assert await names(created_from=(plain - timedelta(seconds=1)).isoformat()) == ["Reminders", "Orders 100% ready"]
    assert await names(created_to=plain.isoformat()) == []
    assert await names(limit=1, skip=1) == ["Orders 100% ready"]
    listed = (await world.get("/api/campaigns", sender_number=ALICE))["items"][0]
    assert {"campaign_id", "status", "total", "pending", "sent", "failed", "progress"} <= set(listed)


async def test_a_sender_of_a_pool_sees_the_campaign_too(world: World) -> None:
    campaign = await later(world, sender_numbers=[BERT])
    for number in (ALICE, BERT):
        found = await world.get("/api/campaigns", sender_number=number)
        assert [item["campaign_id"] for item in found["items"]] == [campaign["campaign_id"]]
    assert (await world.get("/api/campaigns", sender_number=CARA))["items"] == []


# --- steering


async def test_pause_resume_and_cancel_answer_the_new_status(any_world: World) -> None:
    world = any_world
    path = f"/api/campaigns/{(await later(world))['campaign_id']}"
    paused = await world.post(f"{path}/pause")
    assert paused["status"] == "paused"
    assert [wait["reason"] for wait in paused["waiting"]] == ["paused"]
    assert (await world.post(f"{path}/resume"))["status"] in ("queued", "running")
    cancelled = await world.post(f"{path}/cancel")
    assert (cancelled["status"], cancelled["cancelled"], cancelled["pending"]) == ("cancelled", 3, 0)
    assert cancelled["end_time"] is not None


async def test_a_paused_campaign_sends_nothing_more_until_it_is_resumed(make_world: MakeWorld) -> None:
    world = await make_world(dispatch={"message_delay": 3600})
    await world.pair(ALICE)
    campaign = await world.send(recipients=recipients(2))

    async def first_is_out() -> bool:
        return bool((await world.get(f"/api/status/{campaign['campaign_id']}"))["sent"] == 1)

    await until(first_is_out)
    await world.post(f"/api/campaigns/{campaign['campaign_id']}/pause")
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 0}, status=200)
    await world.finished(await world.send(recipients=["+447700900555"]))
    assert len(await world.waha.ledger()) == 2
    await world.post(f"/api/campaigns/{campaign['campaign_id']}/resume")
    assert (await world.finished(campaign))["sent"] == 2


async def test_what_cannot_be_done_now_is_409_and_names_the_state(world: World) -> None:
    cases = [
        ("cancel", "pause", "cancelled"),
        ("cancel", "resume", "cancelled"),
        ("cancel", "cancel", "cancelled"),
        ("pause", "pause", "paused"),
        (None, "resume", "queued"),
    ]
    for done, then, state in cases:
        path = f"/api/campaigns/{(await later(world))['campaign_id']}"
        if done:
            await world.post(f"{path}/{done}")
        refused = (await world.call("POST", f"{path}/{then}", status=409)).json()
        assert refused["error_code"] == "WRONG_STATE"
        assert state in refused["detail"], (done, then)


async def test_a_finished_campaign_cannot_be_steered(world: World) -> None:
    await world.pair(ALICE)
    campaign = await world.send()
    await world.finished(campaign)
    for verb in ("pause", "resume", "cancel"):
        refused = (await world.call("POST", f"/api/campaigns/{campaign['campaign_id']}/{verb}", status=409)).json()
        assert "completed" in refused["detail"]


async def test_a_campaign_that_does_not_exist_is_404_everywhere(world: World) -> None:
    nobody = "01890000-0000-7000-8000-000000000000"
    for method, path in (
        ("GET", f"/api/status/{nobody}"),
        ("GET", f"/api/campaigns/{nobody}/failed"),
        ("POST", f"/api/campaigns/{nobody}/pause"),
        ("POST", f"/api/campaigns/{nobody}/resume"),
        ("POST", f"/api/campaigns/{nobody}/cancel"),
    ):
        assert (await world.call(method, path, status=404)).json()["error_code"] == "RESOURCE_NOT_FOUND"
