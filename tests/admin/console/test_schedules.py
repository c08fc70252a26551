"""The console's schedules: a template, a group and a time; what becomes of everybody, and what can be done about it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from campaigns.schedules.models import Schedule
from tests.admin.console.library import ADA, make_group, make_recipient, make_schedule, make_template
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import ALICE, World

PAGE, API = "/console/schedules", "/api/schedules"
PARIS = ZoneInfo("Europe/Paris")
NOON = (datetime.now(PARIS) + timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)


async def parts(world: World) -> tuple[str, str]:
    """A template and a group of one."""
    return await make_template(world), await make_group(world, members=(await make_recipient(world),))


async def test_a_schedule_is_made_once_by_the_clock_of_a_zone(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    assert "First a template and a group" in plain((await visitor.get(f"{PAGE}/new")).text)
    template, group = await parts(world)
    asked = {"message_id": template, "group_id": group}
    assert "Hello Ada!" in (await visitor.get(f"{PAGE}/new", params=asked)).text
    assert "Hello Ada!" in (await visitor.get(f"{PAGE}/look", params=asked)).text
    form = asked | {"start": f"{NOON:%Y-%m-%dT%H:%M}", "zone": "Europe/Paris", "repeat": "FREQ=WEEKLY", "key": "one"}
    form |= {"quiet_from": "21:00", "quiet_to": "08:00"}
    assert (await visitor.post(PAGE, data=form)).status_code == 403
    headers = await proof(visitor)
    for _ in range(2):
        made = await visitor.post(PAGE, data=form, headers=headers)
        assert made.status_code == 204, made.text
    assert await world.count(Schedule) == 1
    one = made.headers["hx-redirect"]
    known = (await world.admin("GET", f"{API}/{one.rpartition('/')[2]}")).json()
    assert datetime.fromisoformat(known["scheduled_time"]) == NOON.astimezone(UTC)
    assert (known["recurrence"], known["timezone"]) == ("FREQ=WEEKLY", "Europe/Paris")
    words = plain((await visitor.get(one)).text)
    assert "Every week, this is no. 1" in words
    assert "21:00 to 08:00" in words
    taken = await visitor.post(PAGE, data=form | {"key": "two"}, headers=headers)
    assert taken.status_code == 422
    assert 'id="error-start"' in taken.text


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("message_id", "", "message_id"),
        ("group_id", "", "group_id"),
        ("start", "", "start"),
        ("start", "tomorrow", "start"),
        ("start", "2020-01-01T12:00", "start"),
        ("zone", "Mars/Olympus", "zone"),
        ("rule", "every week", "rule"),
        ("quiet_from", "21:00", "quiet"),
        ("senders", "nobody", "senders"),
    ],
)
async def test_what_is_wrong_with_a_schedule_is_said_beside_its_field(
    world: World, visitor: httpx.AsyncClient, field: str, value: str, place: str
) -> None:
    template, group = await parts(world)
    await log_in(visitor)
    good = {"message_id": template, "group_id": group, "start": f"{NOON:%Y-%m-%dT%H:%M}", "repeat": "rule"}
    form = good | {"rule": "FREQ=DAILY", field: value}
    refused = await visitor.post(PAGE, data=form, headers=await proof(visitor))
    assert refused.status_code == 422
    assert f'id="error-{place}"' in refused.text, refused.text
    assert await world.count(Schedule) == 0


async def test_the_list_is_filtered_and_one_is_cancelled_archived_and_deleted(
    world: World, visitor: httpx.AsyncClient
) -> None:
    template, group = await parts(world)
    first = await make_schedule(world, template, group, NOON.isoformat(), recurrence="FREQ=DAILY")
    await log_in(visitor)
    headers = await proof(visitor)
    listed = plain((await visitor.get(PAGE, params={"status": "pending", "group_id": group})).text)
    assert "Every day" in listed
    assert "1 person" in listed
    assert "None like that" in plain((await visitor.get(PAGE, params={"status": "sent"})).text)
    late = {"from_date": f"{NOON + timedelta(days=1):%Y-%m-%d}", "zone": "Europe/Paris"}
    assert "None like that" in plain((await visitor.get(PAGE, params=late)).text)
    wrong = await visitor.get(PAGE, params={"from_date": "soon"})
    assert wrong.status_code == 422
    assert "Is no date" in wrong.text

    page = (await visitor.get(f"{PAGE}/{first}")).text
    assert "Cancel the series" in page
    assert ADA[-4:] in page
    assert (await visitor.post(f"{PAGE}/{first}/archive", headers=headers)).status_code == 409
    assert (await visitor.post(f"{PAGE}/{first}/cancel-series", headers=headers)).headers["hx-refresh"] == "true"
    assert await world.count(Schedule) == 1  # nothing follows it
    assert "Cancelled" in plain((await visitor.get(f"{PAGE}/{first}/state")).text)
    assert (await visitor.post(f"{PAGE}/{first}/archive", headers=headers)).status_code == 204
    other = await make_schedule(world, template, group, NOON.isoformat())
    assert (await visitor.post(f"{PAGE}/{other}/cancel", headers=headers)).status_code == 204
    assert (await visitor.delete(f"{PAGE}/{other}", headers=headers)).headers["hx-redirect"] == PAGE
    assert await world.count(Schedule) == 1


async def test_what_became_of_everybody_is_shown_when_it_is_sent(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    template, group = await parts(world)
    schedule = await make_schedule(world, template, group, NOON.isoformat())
    await log_in(visitor)
    headers = await proof(visitor)
    assert (await visitor.post(f"{PAGE}/{schedule}/send-now", headers=headers)).status_code == 204
    await world.finished({"campaign_id": schedule})
    words = plain((await visitor.get(f"{PAGE}/{schedule}")).text)
    assert "Sent 1 Not sent 0 Open 0" in words
    assert "To its campaign" in words
    assert "Ada +44 7700 900100 Sent" in plain((await visitor.get(f"{PAGE}/{schedule}/people")).text)


async def test_another_account_sees_none_of_them(world: World, visitor: httpx.AsyncClient) -> None:
    template, group = await parts(world)
    schedule = await make_schedule(world, template, group, NOON.isoformat())
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    assert "No schedules yet" in plain((await visitor.get(PAGE)).text)
    assert "First a template and a group" in plain((await visitor.get(f"{PAGE}/new")).text)
    one = f"{PAGE}/{schedule}"
    assert [(await visitor.get(f"{one}{part}")).status_code for part in ("", "/state", "/people")] == [404] * 3
    assert (await visitor.post(f"{one}/cancel", headers=headers)).status_code == 404
    assert (await visitor.delete(one, headers=headers)).status_code == 404
    form = {"message_id": template, "group_id": group, "start": f"{NOON:%Y-%m-%dT%H:%M}"}
    assert (await visitor.post(PAGE, data=form, headers=headers)).status_code in (404, 422)
    assert await world.count(Schedule) == 1
