"""Fault 7: a session gets nothing but errors. What each error means: `tests/campaigns/sending/test_retry.py`."""

import pytest

from campaigns.sending import retry, transmitter
from campaigns.sending.suspicion import Suspicions
from tests.conftest import MakeWorld, Record
from tests.harness.ledger import duplicated, gaps, lost, short_gaps
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time

DELAY = 1.0
STORM_SECONDS = 60.0
MESSAGES = 50
MOST_TRIES = 40
"""Without patience it would be one for each delay and answer: 54."""


async def weather(world: World, fault: str) -> int:
    """A minute of nothing but `fault` for one of three senders; gives how often it tried meanwhile."""
    struck = world.senders[0]
    world.faults(session=struck, **{fault: 1.0})
    campaigns = [
        await world.submit(recipient_numbers(MESSAGES, first=MESSAGES * index), senders=[number])
        for index, number in enumerate(world.senders)
    ]
    await world.clock.sleep(STORM_SECONDS)
    tried = sum(1 for one in world.ledger.refusals if one.session == struck)
    tried += sum(1 for one in world.ledger.transmissions if one.session == struck)
    world.faults(session=struck)
    for campaign_id in campaigns:
        await world.finish(campaign_id, within=7200.0)
    return tried


@pytest.mark.parametrize("fault", ["error_500", "error_500_after", "cut_before"])
async def test_a_storm_of_errors_costs_few_attempts_and_no_other_lane_anything(
    make_world: MakeWorld, record: Record, fault: str
) -> None:
    world = await make_world(3, message_delay=DELAY, hold_seconds=5, timeout_seconds=2, max_attempts=50)
    world.hears = False
    tried = await weather(world, fault)
    longest = max(max(gaps(world.ledger, number)) for number in world.senders[1:])
    record(fault=fault, tried=tried, longest_gap_elsewhere=longest)
    assert tried <= MOST_TRIES
    assert longest <= DELAY + 0.01
    assert lost(world.ledger, "hello", recipient_numbers(3 * MESSAGES)) == []
    assert duplicated(world.ledger) == []
    assert short_gaps(world.ledger, DELAY) == []
    await world.check_counters()


async def test_without_the_hold_a_storm_costs_an_attempt_for_every_delay(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what cannot be told is believed absent at once, and tried again at once."""
    monkeypatch.setattr(transmitter, "hold_seconds", lambda *_: 0.0)
    monkeypatch.setattr(retry, "FIRST_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(Suspicions, "judge", lambda _self, _claim, _error, outcome: outcome)
    world = await make_world(3, message_delay=DELAY, max_attempts=100)
    world.hears = False
    assert await weather(world, "error_500") > MOST_TRIES
