"""A process that stands still past its lease: what it had armed by then may be another's to send. In virtual time."""

import pytest

from campaigns.sending.flights import Flight, Flights
from tests.conftest import MakeWorld
from tests.harness.ledger import duplicated, lost
from tests.harness.virtual_time import virtual_loop
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time

LEASE = 5.0


async def longest_way_to_the_door(make_world: MakeWorld) -> float:
    """Freeze while a message is armed; the longest time from the moment that a send was claimed for to its send."""
    world: World = await make_world(1, message_delay=0.2)
    campaign_id = await world.submit(6)
    await world.until_sent(2)
    virtual_loop().call_later(0.1, lambda: virtual_loop().jump(2 * LEASE))  # the next one is armed by then
    await world.finish(campaign_id)
    assert lost(world.ledger, "hello", recipient_numbers(6)) == []
    assert duplicated(world.ledger) == []
    arrived = {one.id: one.received_at for one in world.ledger.transmissions}
    ways: list[float] = [arrived[row.wa_id] - row.started_at for row in await world.messages(campaign_id)]
    return max(ways)


async def test_what_was_armed_before_a_freeze_is_claimed_anew_and_not_fired(make_world: MakeWorld) -> None:
    assert await longest_way_to_the_door(make_world) < LEASE


async def test_without_the_look_at_the_lease_it_is_fired_although_it_may_be_anothers(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""

    def holds(_: Flights, flight: Flight, now: float) -> bool:
        return now >= flight.born_at

    monkeypatch.setattr(Flights, "holds", holds)
    assert await longest_way_to_the_door(make_world) > LEASE
