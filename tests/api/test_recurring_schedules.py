"""Schedules that come again, and those in local time, over the API: what is refused and why, and what is told."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from campaigns.schedules.models import Schedule
from campaigns.schedules.series_models import ScheduleSeries, SeriesOccurrence
from tests.api.conftest import MakeWorld
from tests.api.test_access import user_of
from tests.api.test_schedules import fields_of, parts, plan
from tests.api.world import ALICE, Body, World, until

pytestmark = pytest.mark.timeout(90)

PATH = "/api/schedules"
BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """The gateway's API in open mode, without any WAHA server."""
    return await make_world(database_url=database_url, capacities=())


def nine(zone: ZoneInfo, days: int = 2) -> datetime:
    """Nine in the morning there, some days ahead."""
    return (datetime.now(zone) + days * DAY).replace(hour=9, minute=0, second=0, microsecond=0)


def read(times: list[str], zone: ZoneInfo = BERLIN) -> list[datetime]:
    """Times of an answer, on the clock of a zone."""
    return [datetime.fromisoformat(time).astimezone(zone) for time in times]


async def newest(world: World) -> Body:
    """The schedule with the latest time."""
    found = (await world.get(PATH))["items"][0]
    shown: Body = await world.get(f"{PATH}/{found['id']}")
    return shown


async def test_a_series_tells_its_rule_and_its_next_times_by_the_clock_of_its_zone(world: World) -> None:
    time = nine(BERLIN)
    rule: Body = {"recurrence": "rrule:FREQ=DAILY;INTERVAL=90", "timezone": "Europe/Berlin"}
    made = await plan(world, await parts(world), scheduled_time=time.isoformat(), **rule)
    assert (made["recurrence"], made["timezone"], made["local_time"]) == (
        "FREQ=DAILY;INTERVAL=90",
        "Europe/Berlin",
        False,
    )
    assert (made["occurrence"], made["missed_occurrences"]) == (1, 0)
    following = read(made["next_occurrences"])
    assert [one.date() - time.date() for one in following] == [90 * DAY, 180 * DAY, 270 * DAY]
    assert {one.hour for one in following} == {9}
    assert len({one.utcoffset() for one in (time, *following)}) == 2  # the clock is changed in these nine months
    shown = await world.get(f"{PATH}/{made['id']}")
    names = ("recurrence", "timezone", "local_time", "series_id", "occurrence", "missed_occurrences")
    assert {name: shown[name] for name in (*names, "next_occurrences")} == {
        name: made[name] for name in (*names, "next_occurrences")
    }
    [listed] = (await world.get(PATH))["items"]
    assert {name: listed[name] for name in names} == {name: made[name] for name in names}


async def test_one_that_comes_once_says_so(world: World) -> None:
    made = await plan(world, await parts(world))
    told = (made["recurrence"], made["series_id"], made["occurrence"], made["next_occurrences"], made["local_time"])
    assert told == (None, None, None, [], False)


async def test_a_cancelled_occurrence_is_followed_and_a_cancelled_series_is_not(world: World) -> None:
    first = await plan(
        world, await parts(world), scheduled_time=nine(BERLIN).isoformat(), recurrence="FREQ=DAILY", sender_number=ALICE
    )
    await world.call("PUT", f"{PATH}/{first['id']}/cancel", status=200)
    second = await newest(world)
    assert (second["series_id"], second["occurrence"], second["status"]) == (first["series_id"], 2, "pending")
    assert (second["scheduled_time"], second["sender_numbers"]) == (first["next_occurrences"][0], [ALICE])
    assert second["next_occurrences"][:2] == first["next_occurrences"][1:]
    shown = await world.get(f"{PATH}/{first['id']}")
    assert shown["next_occurrences"] == first["next_occurrences"]
    await world.call("PUT", f"{PATH}/{second['id']}/cancel", params={"series": "true"}, status=200)
    assert (await world.get(PATH))["total"] == 2
    assert (await newest(world))["next_occurrences"] == []
    for one in (first, second):
        await world.call("DELETE", f"{PATH}/{one['id']}", status=204)
    assert (await world.count(Schedule), await world.count(SeriesOccurrence)) == (0, 0)


async def test_the_end_of_a_series_is_asked_of_an_occurrence_that_is_pending(world: World) -> None:
    made = await plan(world, await parts(world), recurrence="FREQ=DAILY")
    await world.call("PUT", f"{PATH}/{made['id']}/cancel", status=200)
    refused = (await world.call("PUT", f"{PATH}/{made['id']}/cancel", params={"series": "true"}, status=409)).json()
    assert refused["error_code"] == "WRONG_STATE"
    await world.call("PUT", f"{PATH}/{made['id']}/cancel", params={"series": "perhaps"}, status=422)
    assert (await newest(world))["status"] == "pending"


async def test_nobody_ends_a_series_of_others(world: World) -> None:
    acme, other = await user_of(world, "acme"), await user_of(world, "other")
    body = await parts(world, headers=acme) | {"scheduled_time": nine(BERLIN).isoformat(), "recurrence": "FREQ=DAILY"}
    made = (await world.call("POST", PATH, body, headers=acme, status=201)).json()
    path = f"{PATH}/{made['id']}/cancel"
    await world.call("PUT", path, params={"series": "true"}, headers=other, status=404)
    await world.call("PUT", path, headers=acme, status=200)
    told = (await world.call("GET", PATH, headers=acme, status=200)).json()
    assert [one["occurrence"] for one in told["items"]] == [2, 1]


async def test_the_first_occurrence_sent_now_is_followed_by_the_second_at_its_time(world: World) -> None:
    made = await plan(world, await parts(world), recurrence="FREQ=DAILY", sender_number=ALICE)
    await world.post(f"{PATH}/{made['id']}/send-now")

    async def followed() -> bool:
        return int((await world.get(PATH, status="pending"))["total"]) == 1

    await until(followed)
    second = await newest(world)
    assert (second["occurrence"], second["scheduled_time"]) == (2, made["next_occurrences"][0])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"recurrence": "every day"}, "recurrence"),
        ({"recurrence": "FREQ=MINUTELY"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;UNTIL=20200101T000000Z"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;BYHOUR=3", "scheduled_time": nine(BERLIN).isoformat()}, "scheduled_time"),
        ({"recurrence": 1}, "recurrence"),
        ({"recurrence": "FREQ=DAILY", "timezone": "Mars/Base"}, "timezone"),
        ({"local_time": "perhaps"}, "local_time"),
        ({"local_time": True, "scheduled_time": "0001-01-01T00:00:00Z"}, "scheduled_time"),
        ({"local_time": True, "scheduled_time": "9999-12-31T23:00:00Z"}, "scheduled_time"),
        ({"local_time": True, "scheduled_time": (datetime.now(UTC) + 400 * DAY).isoformat()}, "scheduled_time"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_stored(world: World, fields: Body, wrong: str) -> None:
    assert fields_of(await plan(world, await parts(world), status=422, **fields)) == [wrong]
    assert (await world.count(Schedule), await world.count(ScheduleSeries)) == (0, 0)


async def test_the_same_minute_is_taken_by_an_occurrence_too(world: World) -> None:
    body = await parts(world) | {"scheduled_time": nine(BERLIN).isoformat()}
    await plan(world, body, recurrence="FREQ=DAILY")
    for fields in ({}, {"recurrence": "FREQ=WEEKLY"}):
        assert (await plan(world, body, status=409, **fields))["error_code"] == "SCHEDULING_CONFLICT"
    assert await world.count(ScheduleSeries) == 1


async def test_local_time_is_what_the_request_says_whatever_its_offset(world: World) -> None:
    body = await parts(world)
    day = (datetime.now(UTC) + 3 * DAY).date()
    for offset, zone in (("-08:00", "Europe/Berlin"), ("", "UTC")):
        made = await plan(world, body, scheduled_time=f"{day}T09:00:00{offset}", local_time=True, timezone=zone)
        assert made["local_time"] is True
        wanted = datetime(day.year, day.month, day.day, 9, tzinfo=ZoneInfo(zone))
        assert datetime.fromisoformat(made["scheduled_time"]) == wanted
        await world.call("PUT", f"{PATH}/{made['id']}/cancel", status=200)


async def test_local_time_is_over_when_it_is_over_in_the_schedules_own_zone(world: World) -> None:
    """An hour ago in UTC is hours ahead in Honolulu."""
    wall = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None).isoformat()
    body = await parts(world)
    refused = await plan(world, body, status=422, scheduled_time=wall, local_time=True)
    assert fields_of(refused) == ["scheduled_time"]
    made = await plan(world, body, scheduled_time=wall, local_time=True, timezone="Pacific/Honolulu")
    assert datetime.fromisoformat(made["scheduled_time"]) > datetime.now(UTC) + timedelta(hours=8)


async def test_the_documentation_has_an_example_of_each(module_world: World) -> None:
    told: dict[str, Any] = (await module_world.get("/openapi.json"))["components"]["schemas"]
    asked = told["ScheduleIn"]["examples"]
    assert any("recurrence" in one for one in asked)
    assert any("local_time" in one for one in asked)
    assert all("next_occurrences" in told[name]["examples"][0] for name in ("ScheduleCreated", "ScheduleDetails"))
    assert "series_id" in told["ScheduleOut"]["examples"][0]
