"""A whole gateway sends a schedule at its time, once, in virtual time: also with replicas, and after a `kill -9`."""

from datetime import UTC, datetime

import pytest

from campaigns.audience.schemas import RecipientIn
from campaigns.schedules.schemas import ScheduleIn
from campaigns.sending.models import CampaignState
from tests.conftest import MakeWorld
from tests.harness.virtual_time import virtual_loop
from tests.harness.world import OPEN_CALLER, World, recipient_numbers

pytestmark = pytest.mark.virtual_time


async def plan(world: World, after: float, members: int) -> str:
    """Schedule a text for a group of so many; the schedule's id."""
    gateway = world.gateway
    template = await gateway.templates.create(OPEN_CALLER, "Welcome", "Hello {{name}}")
    people = []
    for phone in recipient_numbers(members):
        person = RecipientIn.model_validate({"name": f"P{phone[-3:]}", "phone_number": f"+{phone}"})
        people.append((await gateway.recipients.create(OPEN_CALLER, person))["id"])
    group = await gateway.groups.create(OPEN_CALLER, "VIP", None, people)
    body = ScheduleIn.model_validate(
        {
            "message_id": template["id"],
            "group_id": group["id"],
            "scheduled_time": datetime.fromtimestamp(world.clock.now() + after, UTC),
        }
    )
    return str((await gateway.schedules.create(OPEN_CALLER, body))["id"])


async def finished(world: World, schedule_id: str, members: int) -> None:
    """It is sent, to each of its recipients once."""
    assert (await world.finish(schedule_id)).state == CampaignState.COMPLETED
    chats = [one.chat_id for one in world.ledger.transmissions]
    assert (len(chats), len(set(chats))) == (members, members)


async def test_it_begins_within_a_second_of_its_time(make_world: MakeWorld) -> None:
    world = await make_world(message_delay=0)
    schedule_id = await plan(world, 600.0, 5)
    starts_at = (await world.campaign(schedule_id)).starts_at
    await finished(world, schedule_id, 5)
    row = await world.campaign(schedule_id)
    assert starts_at <= row.started_at <= starts_at + 1.0


@pytest.mark.postgres
async def test_several_replicas_begin_it_once(make_world: MakeWorld, postgres_url: str) -> None:
    world = await make_world(url=postgres_url, message_delay=0)
    other = world.build()
    await other.start()
    try:
        schedule_id = await plan(world, 60.0, 12)
        await finished(world, schedule_id, 12)
    finally:
        await other.stop()


async def test_a_time_that_was_slept_through_is_made_up_for_after_a_kill(make_world: MakeWorld) -> None:
    world = await make_world(message_delay=0)
    schedule_id = await plan(world, 60.0, 5)
    await world.kill()
    virtual_loop().jump(1800.0)
    await world.start()
    await finished(world, schedule_id, 5)
