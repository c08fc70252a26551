"""The report of a campaign: every message in one place of it, hours of a clock, medians, and what to do."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import bindparam, update

from campaigns.reports.advice import ADVICE, OTHER
from campaigns.reports.queries import seconds_of
from campaigns.reports.service import median_of
from campaigns.sending.queries import senders_by_number
from campaigns.sending.tables import campaign, message
from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, BERT, World

NINE = datetime(2026, 11, 21, 9, 0, tzinfo=UTC).timestamp()
PEOPLE = [f"+33639{980_000 + index}" for index in range(12)]


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway without any WAHA server on each kind of database: nothing is sent."""
    return await make_world(database_url=database_url, capacities=())


async def begun(world: World, **fields: Any) -> str:
    """The path of a campaign that waits."""
    campaign = await world.send(queue_if_offline=True, recipients=PEOPLE, sender_numbers=[BERT], **fields)
    return f"/api/campaigns/{campaign['campaign_id']}"


async def became(world: World, person: int, **values: Any) -> None:
    """Change what is stored of the message to the person of this index; `through` is a number of ours."""
    if through := values.pop("through", None):
        async with world.db.read() as connection:
            values["sender_id"] = (await senders_by_number(connection, [through[1:]]))[through[1:]].id
    statement = update(message).where(message.c.phone == bindparam("b_phone")).values(**values)
    async with world.db.write() as tx:
        assert (await tx.execute(statement, {"b_phone": PEOPLE[person][1:]})).rowcount == 1


async def test_every_message_is_counted_at_each_step_that_it_has_passed(world: World) -> None:
    path = await begun(world)
    await became(world, 0, state="sent", through=ALICE, sent_at=NINE)
    await became(world, 1, state="delivered", through=ALICE, sent_at=NINE + 1, delivered_at=NINE + 3)
    await became(world, 2, state="read", through=BERT, sent_at=NINE + 2, delivered_at=NINE + 5, read_at=NINE + 7300)
    await became(world, 3, state="failed", through=BERT, error_code="not_on_whatsapp", error="it is not")
    await became(world, 4, state="skipped", error_code="opted_out", error="said STOP")
    await became(world, 5, state="skipped", error_code="expired", error="over")
    await became(world, 6, state="unconfirmed", through=BERT, error_code="unconfirmed", error="no word of it")
    await became(world, 7, state="cancelled")
    await became(world, 8, state="sending", through=ALICE)
    async with world.db.write() as tx:
        await tx.execute(update(campaign).values(n_replied=2))
    report = await world.get(f"{path}/report")
    assert report["funnel"] == {
        "queued": 12,
        "waiting": 4,
        "sent": 3,
        "delivered": 2,
        "read": 1,
        "replied": 2,
        "unconfirmed": 1,
        "failed": 1,
        "skipped": 2,
        "opted_out": 1,
        "cancelled": 1,
        "delivery_rate": 0.6667,
        "read_rate": 0.3333,
        "reply_rate": 0.6667,
    }
    usual = {"sent": 0, "delivered": 0, "read": 0, "failed": 0, "unconfirmed": 0}
    assert report["senders"] == [
        usual | {"sender_number": ALICE, "sent": 2, "delivered": 1},
        usual | {"sender_number": BERT, "sent": 1, "delivered": 1, "read": 1, "failed": 1, "unconfirmed": 1},
    ]
    assert report["hours"] == [
        {"hour": "2026-11-21T09:00:00Z", "sent": 3, "delivered": 2, "read": 0},
        {"hour": "2026-11-21T11:00:00Z", "sent": 0, "delivered": 0, "read": 1},
    ]
    assert (report["first_sent_at"], report["last_sent_at"]) == ("2026-11-21T09:00:00Z", "2026-11-21T09:00:02Z")
    assert report["median_seconds_to_delivered"] == 2.0
    assert report["median_seconds_to_read"] == 7260.0
    told = {one["code"]: one for one in report["failures"]}
    assert {code: one["count"] for code, one in told.items()} == dict.fromkeys(
        ("not_on_whatsapp", "opted_out", "expired", "unconfirmed"), 1
    )
    assert told["not_on_whatsapp"]["example"] == "it is not"
    assert told["not_on_whatsapp"]["advice"] == ADVICE["not_on_whatsapp"]


async def test_before_anything_was_sent_there_are_no_rates_and_no_times(world: World) -> None:
    report = await world.get(f"{await begun(world)}/report")
    assert report["funnel"]["waiting"] == 12
    assert (report["funnel"]["delivery_rate"], report["funnel"]["read_rate"]) == (None, None)
    assert (report["hours"], report["senders"], report["failures"]) == ([], [], [])
    assert (report["first_sent_at"], report["median_seconds_to_read"]) == (None, None)


async def test_hours_are_those_of_a_clock_also_where_it_is_half_an_hour_off(world: World) -> None:
    path = await begun(world, timezone="Asia/Kolkata")
    await became(world, 0, state="sent", sent_at=NINE + 29 * 60)  # 14:59 there
    await became(world, 1, state="sent", sent_at=NINE + 30 * 60)  # 15:00
    report = await world.get(f"{path}/report")
    assert report["timezone"] == "Asia/Kolkata"
    assert [one["hour"] for one in report["hours"]] == ["2026-11-21T08:30:00Z", "2026-11-21T09:30:00Z"]
    elsewhere = await world.get(f"{path}/report", timezone="Europe/London")
    assert [(one["hour"], one["sent"]) for one in elsewhere["hours"]] == [("2026-11-21T09:00:00Z", 2)]


async def test_a_time_zone_that_there_is_not_is_named(world: World) -> None:
    answer = await world.call("GET", f"{await begun(world)}/report", params={"timezone": "Mars/Olympus"}, status=422)
    assert answer.json()["errors"][0]["field"] == "timezone"


async def test_what_nobody_has_advice_for_is_told_as_it_is(world: World) -> None:
    path = await begun(world)
    await became(world, 0, state="failed", error_code="strange", error="one")
    await became(world, 1, state="failed", error_code=None, error="two")
    failures = (await world.get(f"{path}/report"))["failures"]
    assert {(one["code"], one["advice"]) for one in failures} == {("strange", OTHER), ("failed", OTHER)}


def test_the_median_is_that_of_the_one_in_the_middle() -> None:
    assert median_of({}) is None
    assert median_of({5: 1}) == 0.5
    assert median_of({0: 1, 10: 1, 99: 1}) == 1.0
    assert median_of({0: 1, 599: 3}) == 59.9
    assert (seconds_of(600), seconds_of(601), seconds_of(600 + 3539)) == (60.0, 61.0, 3599.0)
    assert (seconds_of(4140), seconds_of(4142)) == (3600.0, 3720.0)


@pytest.mark.parametrize(
    ("waited", "median"), [(-5.0, 0.0), (0.0, 0.0), (59.96, 59.9), (60.0, 60.0), (75.5, 75.0), (3599.9, 3599.0)]
)
async def test_waits_are_told_to_the_tenth_the_second_or_the_minute(world: World, waited: float, median: float) -> None:
    path = await begun(world)
    await became(world, 0, state="delivered", sent_at=NINE, delivered_at=NINE + waited)
    await became(world, 1, state="delivered", sent_at=None, delivered_at=NINE + 1)  # how long is not known of it
    report = await world.get(f"{path}/report")
    assert report["median_seconds_to_delivered"] == median
    assert sum(hour["delivered"] for hour in report["hours"]) == 2
