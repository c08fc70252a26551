"""Fault 14: the wall clock of a SQLite host jumps by an hour, forward or back, while a campaign is sent.

In virtual time, where the gateway's clock jumps and WAHA's does not. On PostgreSQL rows obey the server's clock, and a
replica's own does not matter; a replica's deadlines are monotonic anyway.
"""

import asyncio
import math

import pytest

from tests.conftest import MakeWorld, Record
from tests.harness.ledger import duplicated, gaps, knocks, lost, short_gaps
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time

HOUR = 3600.0
DELAY = 2.0
STALL_SECONDS = 60.0


async def jump(world: World, seconds: float) -> tuple[int, float]:
    """Jump in the middle; gives the most sends of a lane within the delay after it, and the longest gap."""
    campaign_id = await world.submit(60)
    await world.until_sent(15)
    jumped_at = world.waha.clock.now()
    world.clock.ahead += seconds
    await world.finish(campaign_id, within=3 * HOUR)
    burst = max(
        sum(1 for one in knocks(world.ledger) if one.session == number and 0 <= one.received_at - jumped_at < DELAY)
        for number in world.senders
    )
    assert lost(world.ledger, "hello", recipient_numbers(60)) == []
    assert duplicated(world.ledger) == []
    await world.check_counters()
    return burst, max(max(gaps(world.ledger, number)) for number in world.senders)


async def test_an_hour_forward_lets_each_lane_send_one_message_early_at_most(
    make_world: MakeWorld, record: Record
) -> None:
    world = await make_world(3, message_delay=DELAY)
    burst, longest = await jump(world, HOUR)
    early = short_gaps(world.ledger, DELAY)
    record(burst=burst, longest_gap=longest, early=len(early))
    assert burst <= 2  # the one that was due by then, and the one that the jump made due
    assert len(early) <= len(world.senders)
    assert longest <= STALL_SECONDS


@pytest.mark.parametrize("mended", [True, False])
async def test_an_hour_back_stalls_no_lane_for_a_minute_because_its_times_are_mended(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, mended: bool
) -> None:
    """Where nobody notices that the clock was set back, it is the control: the lanes wait for the hour to pass."""
    if not mended:
        monkeypatch.setattr("campaigns.sending.steadiness.JUMP_SECONDS", math.inf)
    world = await make_world(3, message_delay=DELAY)
    await world.submit(60)
    await world.until_sent(15)
    await world.clock.sleep(DELAY / 2)  # what was answered is settled, and all lanes rest
    world.clock.ahead -= HOUR
    try:
        await world.until_sent(15 + 2 * 3, within=STALL_SECONDS)
        stalled = False
    except TimeoutError:
        stalled = True
    assert stalled is not mended
    assert short_gaps(world.ledger, DELAY) == []


async def test_a_server_that_was_down_while_the_clock_was_ahead_is_asked_within_a_minute(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=DELAY)
    await world.submit(10)
    await world.until_sent(2)
    world.clock.ahead += HOUR
    world.faults(down=True)
    await asyncio.sleep(10.0)
    world.clock.ahead -= HOUR
    world.faults()
    await world.until_sent(10, within=STALL_SECONDS + 10 * DELAY)
    assert short_gaps(world.ledger, DELAY) == []
