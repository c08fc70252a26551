"""Two replicas on one PostgreSQL: people ask the one, the other sends, and feels at once what it was told.

At once by a hint, for which no virtual time passes; without hints by polling, a quarter of a second later at most.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

import gateway.hints
from campaigns.sending.models import CampaignState
from gateway.app import Gateway
from gateway.events import CampaignHalted, DelaysChanged, WorkAdded
from tests.conftest import MakeWorld
from tests.harness.virtual_time import virtual_loop
from tests.harness.world import HOURS, World

pytestmark = [pytest.mark.virtual_time, pytest.mark.postgres]

POLL_SECONDS = 0.3
INSTANT_SECONDS = 0.001


class Pair:
    """The replica that is asked (the world's own, which sends nothing), and the one that sends."""

    def __init__(self, world: World, sending: Gateway, hinted: bool) -> None:
        self.world = world
        self.sending = sending
        self.hinted = hinted
        self._heard = asyncio.Event()
        bus = sending.bus
        bus.subscribe(WorkAdded, lambda _: self._heard.set())
        bus.subscribe(DelaysChanged, lambda _: self._heard.set())
        bus.subscribe(CampaignHalted, lambda _: self._heard.set())

    async def ask(self, work: Awaitable[object]) -> float:
        """Have something done by the one, and let its hint arrive, if there are hints; the time of the answer."""
        self._heard.clear()
        await work
        if self.hinted:
            with virtual_loop().outside_work():
                await self._heard.wait()
        return self.world.clock.now()

    async def armed(self) -> None:
        """Let time pass until the next message waits for its moment at the replica that sends."""
        await self.world.until(lambda: self.sending.dispatcher.in_flight == 0)
        await self.world.until(lambda: self.sending.dispatcher.in_flight == 1)

    def started_after(self, at: float) -> list[float]:
        """How long after `at` each later send reached WAHA."""
        return [one.received_at - at for one in self.world.ledger.transmissions if one.received_at >= at]


MakePair = Callable[..., Awaitable[Pair]]


@pytest.fixture(params=[True, False], ids=["by a hint", "by polling"])
async def make_pair(
    make_world: MakeWorld, postgres_url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[MakePair]:
    """Make a `Pair` with one sender, with hints between the two and without."""
    monkeypatch.setattr(gateway.hints, "HEARTBEAT_SECONDS", 1000 * HOURS)  # of virtual time: an answer takes none
    async with AsyncExitStack() as stack:

        async def make(**dispatch: float) -> Pair:
            world = await make_world(1, url=postgres_url, **dispatch)
            sending = world.build()
            stack.push_async_callback(sending.stop)
            await sending.start()
            await world.gateway.dispatcher.stop()
            if request.param:
                for replica in (world.gateway, sending):
                    replica.hints.start()
                    with virtual_loop().outside_work():
                        await replica.hints.listening.wait()
            return Pair(world, sending, request.param)

        yield make


@pytest.mark.parametrize("verb", ["pause", "cancel"])
async def test_a_halt_is_felt(make_pair: MakePair, verb: str) -> None:
    pair = await make_pair(message_delay=1.0)
    campaign_id = await pair.world.submit(20)
    await pair.world.until_sent(2)
    await pair.armed()
    steer = getattr(pair.world.gateway.steering, verb)
    answered_at = await pair.ask(steer(campaign_id, None))
    await pair.world.clock.sleep(5.0)
    late = pair.started_after(answered_at)
    if pair.hinted:
        assert late == []
    else:
        assert len(late) == 1, "the control: one was armed, and nobody told"
        assert late[0] <= POLL_SECONDS


async def test_new_work_is_felt(make_pair: MakePair) -> None:
    pair = await make_pair(message_delay=1.0)
    asked_at = await pair.ask(pair.world.submit(2))
    await pair.world.until_sent(1)
    assert pair.started_after(asked_at)[0] <= (INSTANT_SECONDS if pair.hinted else POLL_SECONDS)


async def test_a_resume_is_felt(make_pair: MakePair) -> None:
    pair = await make_pair(message_delay=1.0)
    campaign_id = await pair.world.submit(3)
    await pair.ask(pair.world.gateway.steering.pause(campaign_id, None))
    await pair.world.clock.sleep(5.0)
    asked_at = await pair.ask(pair.world.gateway.steering.resume(campaign_id, None))
    row = await pair.world.finish(campaign_id)
    assert row.state == CampaignState.COMPLETED
    assert pair.started_after(asked_at)[0] <= (INSTANT_SECONDS if pair.hinted else POLL_SECONDS)


async def test_a_shorter_delay_is_felt(make_pair: MakePair) -> None:
    pair = await make_pair(message_delay=600.0)
    await pair.world.submit(3)
    await pair.world.until_sent(1)
    await pair.world.clock.sleep(30.0)
    asked_at = await pair.ask(pair.world.gateway.delays.set(5.0, None))
    await pair.world.until_sent(2)
    assert pair.started_after(asked_at)[0] <= (INSTANT_SECONDS if pair.hinted else POLL_SECONDS)
