"""When a campaign may send, over the API: its fields, what is refused, and what is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns.sending.hours import WEEKDAYS
from campaigns.sending.models import Campaign
from tests.api.world import ALICE, World, recipients

pytestmark = pytest.mark.timeout(60)

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
NEXT_WEEK = TOMORROW + timedelta(days=7)


def as_told(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


async def test_the_hours_of_a_campaign_are_stored_and_told_by_the_names_of_the_request(any_world: World) -> None:
    world = any_world
    hours: dict[str, Any] = {
        "start_at": as_told(TOMORROW),
        "expires_at": as_told(NEXT_WEEK),
        "timezone": "Europe/Berlin",
        "quiet_hours": {"from": "21:00", "to": "08:30"},
        "weekdays": ["mon", "tue", "fri"],
        "auto_pause": False,
    }
    campaign = await world.send(queue_if_offline=True, **hours)
    assert campaign["status"] == "scheduled"
    for told in (campaign, await world.get(f"/api/status/{campaign['campaign_id']}")):
        assert {name: told[name] for name in hours} == hours
    [listed] = (await world.get("/api/campaigns", sender_number=ALICE, status="scheduled"))["items"]
    assert {name: listed[name] for name in hours} == hours


async def test_a_campaign_that_names_no_hours_says_that_it_may_send_always(world: World) -> None:
    campaign = await world.send(queue_if_offline=True)
    assert (campaign["status"], campaign["timezone"], campaign["quiet_hours"]) == ("queued", "UTC", None)
    assert (campaign["start_at"], campaign["expires_at"], len(campaign["weekdays"])) == (None, None, 7)
    assert campaign["auto_pause"] is True


async def test_an_account_s_hours_hold_where_a_request_names_none(any_world: World) -> None:
    world = any_world
    usual = {
        "timezone": "Europe/London",
        "quiet_hours": {"from": "21:00", "to": "08:00"},
        "weekdays": ["mon", "tue", "wed", "thu", "fri"],
    }
    before = await world.send(queue_if_offline=True)
    assert (await world.admin("PUT", "/api/quiet-hours", usual, status=200)).json() == usual
    assert before["quiet_hours"] is None
    always = {"timezone": "UTC", "quiet_hours": None, "weekdays": list(WEEKDAYS)}
    own_quiet, own_days = {"quiet_hours": {"from": "12:00", "to": "13:00"}}, {"weekdays": ["sun"]}
    for said, holds in (
        ({}, usual),
        ({"start_at": as_told(TOMORROW)}, usual),
        ({"timezone": "Europe/Paris"}, usual | {"timezone": "Europe/Paris"}),
        (own_quiet, always | own_quiet),
        (own_days, always | own_days),
        ({"quiet_hours": None}, always),
    ):
        campaign = await world.send(queue_if_offline=True, **said)
        assert {name: campaign[name] for name in usual} == holds, said
        told = await world.get(f"/api/status/{campaign['campaign_id']}")
        assert {name: told[name] for name in usual} == holds, said
    await world.admin("DELETE", "/api/quiet-hours", status=204)
    assert (await world.send(queue_if_offline=True))["quiet_hours"] is None


async def test_schedules_keep_to_the_account_s_hours_too(any_world: World) -> None:
    world = any_world
    usual = {"timezone": "Europe/London", "quiet_hours": {"from": "21:00", "to": "08:00"}, "weekdays": ["mon"]}
    await world.admin("PUT", "/api/quiet-hours", usual, status=200)
    template = await world.post("/api/messages", {"title": "Greeting", "content": "Hello"})
    person = await world.post("/api/recipients", {"name": "Ada", "phone_number": "+447700900110"})
    group = await world.post("/api/recipients/groups", {"name": "Friends", "recipient_ids": [person["id"]]})
    parts = {"message_id": template["id"], "group_id": group["id"], "scheduled_time": as_told(TOMORROW)}
    later = {"scheduled_time": as_told(NEXT_WEEK), "quiet_hours": None}
    told = [await world.post("/api/schedules", body) for body in (parts, parts | later)]
    held = [await world.get(f"/api/schedules/{one['id']}") for one in told]
    assert [{name: one[name] for name in usual} for one in held] == [
        usual,
        {"timezone": "UTC", "quiet_hours": None, "weekdays": list(WEEKDAYS)},
    ]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"timezone": "Europe/Atlantis"}, "timezone"),
        ({"quiet_hours": {"from": "08:00", "to": "08:00"}}, "quiet_hours"),
        ({"quiet_hours": {"from": "8", "to": "09:00"}}, "quiet_hours.from"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": ["mon", "someday"]}, "weekdays.1"),
        ({"start_at": "2020-01-01T00:00:00Z"}, "start_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"start_at": as_told(NEXT_WEEK), "expires_at": as_told(TOMORROW)}, "expires_at"),
        ({"start_at": "9999-12-31T23:59:59Z"}, "start_at"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),  # year 10000 in UTC
        ({"timezone": "localtime"}, "timezone"),
    ],
)
async def test_a_wrong_time_is_refused_by_its_name_and_nothing_is_stored(
    module_world: World, fields: dict[str, Any], wrong: str
) -> None:
    refused = await module_world.send(queue_if_offline=True, status=422, **fields)
    assert [error["field"] for error in refused["errors"]] == [wrong]
    assert await module_world.count(Campaign) == 0


async def test_a_time_without_a_zone_is_utc(world: World) -> None:
    campaign = await world.send(queue_if_offline=True, start_at=TOMORROW.replace(tzinfo=None).isoformat())
    assert campaign["start_at"] == as_told(TOMORROW)


async def test_a_preview_tells_an_end_after_the_start_and_what_would_be_skipped(world: World) -> None:
    await world.pair(ALICE)
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600}, status=200)
    body = {"sender_number": ALICE, "template": "Hi", "recipients": recipients(100)}
    told = await world.post("/api/send/preview", body | {"start_at": as_told(TOMORROW)})
    assert datetime.fromisoformat(told["finish_time"]) > TOMORROW + timedelta(hours=98)
    assert told["note"] == ""
    short = await world.post("/api/send/preview", body | {"expires_at": as_told(TOMORROW)})
    assert short["finish_time"] == as_told(TOMORROW)
    assert "it expires before it is done" in short["note"]


async def test_a_scheduled_campaign_tells_when_it_will_be_done_and_can_be_cancelled_only(world: World) -> None:
    await world.pair(ALICE)
    campaign = await world.send(start_at=as_told(TOMORROW))
    assert datetime.fromisoformat(campaign["estimated_finish"]) > TOMORROW
    path = f"/api/campaigns/{campaign['campaign_id']}"
    for verb in ("pause", "resume", "retry"):
        await world.call("POST", f"{path}/{verb}", status=409)
    assert (await world.post(f"{path}/cancel"))["status"] == "cancelled"


async def test_what_has_to_wait_for_its_time_says_why_and_until_when(world: World) -> None:
    await world.pair(ALICE)
    today = datetime.now(UTC)
    other_day = (today + timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"start_at": as_told(TOMORROW)}, "scheduled", as_told(TOMORROW)),
        ({"weekdays": [f"{other_day:%a}".lower()]}, "quiet_hours", as_told(other_day)),
    ]
    for fields, reason, until in cases:
        campaign = await world.send(**fields)
        status = await world.get(f"/api/status/{campaign['campaign_id']}", details=True)
        assert [(wait["reason"], wait["until"]) for wait in status["waiting"]] == [(reason, until)]
        for message in status["messages"]["items"]:
            assert (message["waiting"]["reason"], message["waiting"]["until"]) == (reason, until)
            path = f"/api/campaigns/{campaign['campaign_id']}/messages/{message['id']}"
            assert (await world.get(path))["waiting"] == message["waiting"]
    assert await world.waha.ledger() == []


async def test_what_has_failed_is_sent_by_a_retry_and_only_that(any_world: World) -> None:
    world = any_world
    await world.pair(ALICE)
    to = recipients(3)
    await world.waha.tell("PUT", "/numbers", {"unregistered": [to[1]]})
    campaign = await world.send(recipients=to)
    assert (await world.finished(campaign))["failed"] == 1
    await world.waha.tell("PUT", "/numbers", {"unregistered": []})
    path = f"/api/campaigns/{campaign['campaign_id']}"
    assert (await world.post(f"{path}/retry"))["status"] in ("running", "completed")
    done = await world.finished(campaign)
    assert (done["status"], done["sent"], done["failed"]) == ("completed", 3, 0)
    assert sorted(sent["chat_id"] for sent in await world.waha.ledger()) == sorted(
        f"{number[1:]}@c.us" for number in to
    )
    refused = (await world.call("POST", f"{path}/retry", status=409)).json()
    assert refused["error_code"] == "WRONG_STATE"
    message_id = done["messages"]["items"][0]["id"]
    for verb in ("resend", "accept"):
        refused = (await world.call("POST", f"{path}/messages/{message_id}/{verb}", status=409)).json()
        assert "only an unconfirmed message" in refused["detail"]
        await world.call("POST", f"{path}/messages/{campaign['campaign_id']}/{verb}", status=404)
