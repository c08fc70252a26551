"""A whole gateway sends to each recipient when it is time where they are. In virtual time, on both databases."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from campaigns.audience.schemas import RecipientIn
from campaigns.schedules.schemas import ScheduleIn
from campaigns.sending.models import CampaignState
from tests.conftest import MakeWorld
from tests.harness.virtual_time import virtual_loop
from tests.harness.world import OPEN_CALLER, World

pytestmark = pytest.mark.virtual_time

PEOPLE = {"12125550142": "America/New_York", "447700900142": "Europe/London", "33639980142": "Europe/Paris"}


async def plan(world: World, wall: str, **fields: object) -> str:
    """Schedule a text for one in each of three zones; the schedule's id."""
    gateway = world.gateway
    template = await gateway.templates.create(OPEN_CALLER, "Welcome", "Hello {{name}}")
    ids = []
    for phone in PEOPLE:
        person = RecipientIn.model_validate({"name": f"P{phone[-3:]}", "phone_number": f"+{phone}"})
        ids.append((await gateway.recipients.create(OPEN_CALLER, person))["id"])
    group = await gateway.groups.create(OPEN_CALLER, "VIP", None, ids)
    body = {"message_id": template["id"], "group_id": group["id"], "scheduled_time": wall, **fields}
    return str((await gateway.schedules.create(OPEN_CALLER, ScheduleIn.model_validate(body)))["id"])


async def test_each_gets_it_when_their_own_clock_shows_the_time(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(message_delay=0)
    schedule_id = await plan(world, "2027-01-16T09:00:00", local_time=True)
    begins = (await world.campaign(schedule_id)).starts_at
    moments = [datetime(2027, 1, 16, 9, tzinfo=ZoneInfo(zone)).timestamp() for zone in reversed(PEOPLE.values())]
    for sent, moment in enumerate((begins, *moments)):
        virtual_loop().jump(moment - 20.0 - world.clock.now())
        await asyncio.sleep(15.0)
        assert world.sent == max(0, sent - 1)
        await asyncio.sleep(10.0)
        assert world.sent == sent
    assert (await world.finish(schedule_id)).state == CampaignState.COMPLETED
    messages = await world.messages(schedule_id)
    assert [one.phone for one in messages] == list(reversed(PEOPLE))
    assert [one.sent_at for one in messages] == pytest.approx(moments, abs=2.0)
