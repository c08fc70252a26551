"""The schedules' routes: who may, what is refused and why, and what is told. On both databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns.schedules.models import Schedule
from campaigns.sending.models import Campaign, CampaignSender, Message
from tests.api.conftest import MakeWorld
from tests.api.test_access import user_of
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, Body, World

pytestmark = pytest.mark.timeout(90)

PATH = "/api/schedules"
OPERATOR = {"X-Admin-Token": ADMIN_TOKEN}


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """The gateway's API in open mode, without any WAHA server."""
    return await make_world(database_url=database_url, capacities=())


def at(**ahead: float) -> str:
    """A time from now, in UTC."""
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


async def parts(world: World, members: int = 2, **options: Any) -> Body:
    """A message and a group, as a schedule names them."""
    message = await world.post("/api/messages", {"title": "Welcome", "content": "Hello {{name}}"}, **options)
    people = [
        (await world.post("/api/recipients", {"name": f"P{n}", "phone_number": f"+4477009001{n:02d}"}, **options))["id"]
        for n in range(members)
    ]
    group = await world.post("/api/recipients/groups", {"name": "VIP", "recipient_ids": people}, **options)
    return {"message_id": message["id"], "group_id": group["id"]}


async def plan(world: World, body: Body, *, status: int = 201, **fields: Any) -> Body:
    """A schedule of these parts, tomorrow unless told."""
    answer = await world.call("POST", PATH, {"scheduled_time": at(days=1), **body, **fields}, status=status)
    made: Body = answer.json()
    return made


def fields_of(error: Body) -> list[str]:
    """The fields that an error names."""
    return [one["field"] for one in error["errors"]]


# --- making -------------------------------------------------------------------------------------------------------


async def test_of_the_same_schedules_at_the_same_moment_one_is_made(world: World) -> None:
    body = await parts(world) | {"scheduled_time": at(days=1)}
    answers = await asyncio.gather(*(world.call("POST", PATH, body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (refused["error_code"], fields_of(refused)) == ("SCHEDULING_CONFLICT", ["scheduled_time"])
    assert (await world.count(Schedule), await world.count(Campaign)) == (1, 1)


async def test_the_minute_is_free_again_when_it_was_cancelled_and_another_minute_always(world: World) -> None:
    body = await parts(world)
    time = datetime.now(UTC).replace(second=10, microsecond=0) + timedelta(days=1)
    made = await plan(world, body, scheduled_time=time.isoformat())
    await plan(world, body, scheduled_time=(time + timedelta(seconds=40)).isoformat(), status=409)
    await plan(world, body, scheduled_time=(time + timedelta(seconds=50)).isoformat())
    await world.call("PUT", f"{PATH}/{made['id']}/cancel", status=200)
    await plan(world, body, scheduled_time=time.isoformat())


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"scheduled_time": "2020-01-01T00:00:00Z"}, ["scheduled_time"]),
        ({"scheduled_time": at(seconds=-1)}, ["scheduled_time"]),
        ({"scheduled_time": at(days=400)}, ["scheduled_time"]),
        ({"scheduled_time": "tomorrow"}, ["scheduled_time"]),
        ({"expires_at": at(hours=1)}, ["expires_at"]),
        ({"max_lateness": 1}, ["max_lateness"]),
        ({"max_lateness": "600"}, ["max_lateness"]),
        ({"failover": 1, "auto_pause": "no"}, ["failover", "auto_pause"]),
        ({"scheduled_time": 4102444800}, ["scheduled_time"]),
        ({"timezone": "Mars/Base"}, ["timezone"]),
        ({"sender_number": "letters"}, ["sender_number"]),
        ({"surprise": 1}, ["surprise"]),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_stored(world: World, fields: Body, wrong: list[str]) -> None:
    assert fields_of(await plan(world, await parts(world), status=422, **fields)) == wrong
    assert await world.count(Campaign) == 0


async def test_a_time_without_an_offset_is_meant_in_utc_and_one_with_it_as_it_says(world: World) -> None:
    body = await parts(world)
    day = (datetime.now(UTC) + timedelta(days=2)).date()
    plain = await plan(world, body, scheduled_time=f"{day}T12:00:00")
    assert plain["scheduled_time"] == f"{day}T12:00:00Z"
    ahead = await plan(world, body, scheduled_time=f"{day}T12:00:00+02:00")
    assert ahead["scheduled_time"] == f"{day}T10:00:00Z"


async def test_every_option_is_answered_as_it_was_asked_and_again_for_the_same_key(world: World) -> None:
    soon = datetime.now(UTC) + timedelta(days=2)
    monday = soon + timedelta(days=-soon.weekday() % 7)  # at noon, so that neither hour nor day of this run matter
    time = monday.replace(hour=12, minute=0, second=0, microsecond=0)
    options: Body = {
        "timezone": "Europe/London",
        "recurrence": "FREQ=DAILY;COUNT=3",
        "local_time": False,
        "expires_at": f"{time + timedelta(hours=5):%Y-%m-%dT%H:%M:%SZ}",
        "quiet_hours": {"from": "21:00", "to": "08:30"},
        "weekdays": ["mon", "wed", "sun"],
        "max_lateness": 600.0,
        "priority": "high",
        "rotation": "fastest",
        "failover": False,
        "auto_pause": False,
    }
    body = await parts(world) | {"scheduled_time": time.isoformat(), "sender_number": ALICE, "sender_numbers": [BERT]}
    headers = {"Idempotency-Key": "all"}
    made = await world.post(PATH, body | options, headers=headers)
    assert {key: made[key] for key in options} == options
    assert await world.post(PATH, body | options, headers=headers) == made
    shown = await world.get(f"{PATH}/{made['id']}")
    assert {key: shown[key] for key in options} == options
    assert shown["sender_numbers"] == made["sender_numbers"] == [ALICE, BERT]
    await world.call("PUT", f"{PATH}/{made['id']}/cancel", status=200)
    following = (await world.get(PATH, status="pending"))["items"][0]
    shown = await world.get(f"{PATH}/{following['id']}")
    assert (shown["occurrence"], shown["quiet_hours"]) == (2, options["quiet_hours"])


async def test_what_is_not_there_is_404_with_its_field(world: World) -> None:
    body = await parts(world)
    nobody = "01890000-0000-7000-8000-000000000000"
    for field in ("message_id", "group_id"):
        assert fields_of(await plan(world, body | {field: nobody}, status=404)) == [field]
    neither = dict.fromkeys(("message_id", "group_id"), nobody)
    assert fields_of(await plan(world, body | neither, status=404)) == ["message_id", "group_id"]


async def test_the_same_key_makes_one_schedule(world: World) -> None:
    body = await parts(world) | {"scheduled_time": at(days=1)}
    headers = {"Idempotency-Key": "one"}
    answers = await asyncio.gather(*(world.call("POST", PATH, body, headers=headers) for _ in range(3)))
    assert {(answer.status_code, answer.json()["id"]) for answer in answers} == {(201, answers[0].json()["id"])}
    await world.call("POST", PATH, body | {"priority": "high"}, headers=headers, status=422)


async def test_named_senders_are_told_and_their_campaign_is_found_by_them(world: World) -> None:
    made = await plan(world, await parts(world), sender_number=ALICE, sender_numbers=[BERT, ALICE])
    assert made["sender_numbers"] == [ALICE, BERT]
    listed = await world.get("/api/campaigns", sender_number=BERT)
    assert [(one["campaign_id"], one["status"], one["progress"]) for one in listed["items"]] == [
        (made["id"], "scheduled", 0.0)
    ]
    status = await world.get(f"/api/status/{made['id']}")
    assert [wait["reason"] for wait in status["waiting"]] == ["scheduled"]


# --- accounts -----------------------------------------------------------------------------------------------------


async def test_an_account_meets_its_own_schedules_only(world: World) -> None:
    acme, other = await user_of(world, "acme"), await user_of(world, "other")
    body = await parts(world, headers=acme) | {"scheduled_time": at(days=1)}
    made = (await world.call("POST", PATH, body, headers=acme, status=201)).json()
    for verb, path in (("GET", ""), ("PUT", "/cancel"), ("POST", "/send-now"), ("PUT", "/archive"), ("DELETE", "")):
        await world.call(verb, f"{PATH}/{made['id']}{path}", headers=other, status=404)
    assert (await world.call("GET", PATH, headers=other, status=200)).json()["total"] == 0
    for name in ("message_id", "group_id"):
        listed = await world.call("GET", PATH, params={name: body[name]}, headers=other, status=200)
        assert listed.json()["total"] == 0
    await world.call("POST", PATH, body, headers=other, status=404)
    own = await parts(world, headers=other)
    mixed = own | {"group_id": body["group_id"], "scheduled_time": at(days=1)}
    assert fields_of((await world.call("POST", PATH, mixed, headers=other, status=404)).json()) == ["group_id"]
    assert (await world.call("GET", PATH, headers=OPERATOR, status=200)).json()["total"] == 1


async def test_an_account_cannot_send_from_a_number_of_others(world: World) -> None:
    acme = await user_of(world, "acme")
    body = await parts(world, headers=acme) | {"scheduled_time": at(days=1), "sender_number": ALICE}
    await world.call("POST", PATH, body, headers=acme, status=404)
    assert await world.count(Schedule) == 0


async def test_who_cancelled_it_is_told(world: World) -> None:
    acme = await user_of(world, "acme")
    body = await parts(world, headers=acme)
    told: list[tuple[str, str]] = []
    for hours, headers in ((1, acme), (2, OPERATOR)):
        later = body | {"scheduled_time": at(hours=hours)}
        made = (await world.call("POST", PATH, later, headers=acme, status=201)).json()
        await world.call("PUT", f"{PATH}/{made['id']}/cancel", headers=headers, status=200)
        shown = (await world.call("GET", f"{PATH}/{made['id']}", headers=acme, status=200)).json()
        told.append((shown["cancelled_by"], shown["created_by"]))
    assert told == [("user@acme.example", "user@acme.example"), ("operator", "user@acme.example")]


# --- its states ---------------------------------------------------------------------------------------------------


async def test_a_refusal_names_the_state(world: World) -> None:
    made = await plan(world, await parts(world))
    path = f"{PATH}/{made['id']}"
    for verb, step in (("PUT", "/archive"), ("DELETE", "")):
        refused = (await world.call(verb, path + step, status=409)).json()
        assert (refused["error_code"], "pending" in refused["detail"]) == ("WRONG_STATE", True)
    await world.call("PUT", f"{path}/cancel", status=200)
    for verb, step in (("PUT", "/cancel"), ("POST", "/send-now")):
        assert "cancelled" in (await world.call(verb, path + step, status=409)).json()["detail"]
    await world.call("PUT", f"{path}/archive", status=200)
    for verb, step in (("PUT", "/archive"), ("PUT", "/cancel"), ("DELETE", "")):
        assert "archived" in (await world.call(verb, path + step, status=409)).json()["detail"]
    assert [await total(world, status) for status in ("archived", "cancelled", "pending")] == [1, 0, 0]


async def total(world: World, status: str) -> int:
    """How many schedules of a status are listed."""
    return int((await world.get(PATH, status=status))["total"])


async def test_send_now_without_a_sender_changes_nothing(world: World) -> None:
    made = await plan(world, await parts(world))
    refused = (await world.call("POST", f"{PATH}/{made['id']}/send-now", status=409)).json()
    assert refused["error_code"] == "SESSION_NOT_CONNECTED"
    assert (await world.get(f"{PATH}/{made['id']}"))["status"] == "pending"


async def test_send_now_through_a_named_sender_begins_and_the_same_key_gives_the_same_answer(world: World) -> None:
    made = await plan(world, await parts(world), sender_number=ALICE)
    path, headers = f"{PATH}/{made['id']}", {"Idempotency-Key": "now"}
    first = await world.post(f"{path}/send-now", headers=headers)
    assert await world.post(f"{path}/send-now", headers=headers) == first
    await world.call("POST", f"{path}/send-now", status=409)
    assert (await world.get(path))["status"] == "processing"


async def test_a_cancel_of_its_campaign_cancels_it_and_it_can_be_deleted_without_a_trace(world: World) -> None:
    made = await plan(world, await parts(world), sender_number=ALICE)
    await world.post(f"/api/campaigns/{made['id']}/cancel", headers=OPERATOR)
    shown = await world.get(f"{PATH}/{made['id']}")
    assert (shown["status"], shown["cancelled_by"]) == ("cancelled", "operator")
    assert shown["cancelled_at"] is not None
    await world.call("POST", f"/api/campaigns/{made['id']}/cancel", status=409)
    assert await world.get(f"{PATH}/{made['id']}") == shown  # of the first who did it
    await world.call("DELETE", f"{PATH}/{made['id']}", status=204)
    for model in (Schedule, Campaign, CampaignSender, Message):
        assert await world.count(model) == 0
    await world.call("GET", f"/api/status/{made['id']}", status=404)


# --- what uses what -----------------------------------------------------------------------------------------------


async def test_what_a_schedule_needs_is_kept_and_what_it_had_is_still_told(world: World) -> None:
    body = await parts(world)
    made = await plan(world, body)
    paths = [f"/api/messages/{body['message_id']}", f"/api/recipients/groups/{body['group_id']}"]
    for path in paths:
        refused = (await world.call("DELETE", path, status=409)).json()
        assert refused["error_code"] == "RESOURCE_IN_USE"
        assert made["id"] in refused["detail"]
    assert (await world.get(paths[0]))["scheduled_count"] == (await world.get(paths[1]))["scheduled_messages"] == 1
    await world.call("PUT", f"{PATH}/{made['id']}/cancel", status=200)
    for path in paths:
        await world.call("DELETE", path, status=204)
    shown = await world.get(f"{PATH}/{made['id']}")
    assert shown["message"] == {"id": None, "title": "Welcome", "content": "Hello {{name}}"}
    assert (shown["group"]["id"], shown["group"]["name"]) == (None, "VIP")


async def test_until_it_begins_it_shows_message_and_group_as_they_are(world: World) -> None:
    body = await parts(world, members=3)
    made = await plan(world, body)
    await world.call("PUT", f"/api/messages/{body['message_id']}", {"title": "Anew", "content": "Another"}, status=200)
    shown = await world.get(f"{PATH}/{made['id']}", recipients_skip=1, recipients_limit=1)
    assert (shown["message"]["title"], shown["message"]["content"]) == ("Anew", "Another")
    assert (shown["content_read_at"], shown["recipient_count"]) == (None, 3)
    assert [(one["name"], one["status"]) for one in shown["group"]["recipients"]] == [("P1", "pending")]


async def test_a_list_is_filtered_and_sorted_by_time(world: World) -> None:
    body = await parts(world)
    times = [at(days=days) for days in (3, 1, 2)]
    ids = [(await plan(world, body, scheduled_time=time))["id"] for time in times]
    newest = [item["id"] for item in (await world.get(PATH))["items"]]
    assert newest == [ids[0], ids[2], ids[1]]
    assert [item["id"] for item in (await world.get(PATH, sort_order="asc"))["items"]] == newest[::-1]
    between = await world.get(PATH, from_date=times[2], to_date=times[0])
    assert [item["id"] for item in between["items"]] == [ids[2]]
    page = await world.get(PATH, page=2, per_page=2)
    assert ([item["id"] for item in page["items"]], page["total"], page["pages"]) == ([ids[1]], 3, 2)
