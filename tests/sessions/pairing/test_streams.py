"""Following a pairing: every new code and state, one watch for all who follow a number, and how it ends."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.auth.access import Caller
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.errors import NotFound, RateLimited, ServiceUnavailable
from sessions.models import SessionState
from sessions.pairing.qr_codes import draw_png
from sessions.pairing.schemas import QrOut
from sessions.pairing.streams import BACKLOG, QrStreams, Stream, Told
from tests.sessions.pairing.conftest import MakePairingWorld
from tests.sessions.pairing.world import ALICE, BERT, OPERATOR, PATH, PairingWorld, Replica

pytestmark = pytest.mark.virtual_time

ANYBODY = Caller(account_id=LOCAL_ACCOUNT)


class Reader:
    """Reads a stream in the background, from the moment that it is made until it has ended."""

    def __init__(self, streams: QrStreams, number: str = ALICE) -> None:
        self.heard: list[Told] = []
        self.task = asyncio.create_task(self._read(streams, number))

    async def _read(self, streams: QrStreams, number: str) -> None:
        async with streams.open(ANYBODY, number) as stream:
            async for told in stream:
                self.heard.append(told)

    @property
    def statuses(self) -> list[str]:
        """The states that were told, in order."""
        return [told.body.status for told in self.heard if told.kind == "status"]

    @property
    def codes(self) -> list[str | None]:
        """The codes that were told, in order."""
        return [told.body.qr_code for told in self.heard if told.kind == "qr"]

    async def close(self) -> None:
        """The reader goes away."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_a_reader_hears_every_code_and_every_state_until_it_is_connected(world: PairingWorld) -> None:
    await world.api.create()
    reader = Reader(world.api.gateway.streams)
    codes = []
    for seconds in (3.0, 62.0, 20.0):
        await world.clock.sleep(seconds)
        codes.append(draw_png(world.session.qr or ""))
    assert reader.codes == codes
    world.scan()
    await asyncio.wait_for(reader.task, 2.0)
    assert reader.statuses[-2:] == ["WAITING_FOR_SCAN", "CONNECTED"]
    assert reader.heard[-1].body == QrOut(status="CONNECTED")
    assert world.api.gateway.streams.count == world.api.gateway.streams.watched == 0


async def test_a_code_is_told_within_a_second_also_when_events_are_lost(world: PairingWorld) -> None:
    await world.api.create()
    await world.shows_code()
    world.lose_events()
    reader = Reader(world.api.gateway.streams)
    await world.clock.sleep(62.0)
    assert reader.codes[-1] == draw_png(world.session.qr or "")
    await reader.close()


async def test_all_readers_of_a_number_share_one_watch(world: PairingWorld) -> None:
    await world.api.create()
    await world.shows_code()
    streams = world.api.gateway.streams
    world.eye.calls.clear()
    readers = [Reader(streams) for _ in range(20)]
    await world.clock.sleep(90.0)
    assert (streams.count, streams.watched) == (20, 1)
    assert world.eye.count(f"GET /api/{ALICE}/auth/qr") <= 4  # the first again after its news, and two new ones
    assert {tuple(reader.codes) for reader in readers} == {tuple(readers[0].codes)}
    assert len(readers[0].codes) == 3
    await asyncio.gather(*(reader.close() for reader in readers))
    assert (streams.count, streams.watched) == (0, 0)


async def test_who_comes_later_is_told_the_present_state_first(world: PairingWorld) -> None:
    await world.api.create()
    first = Reader(world.api.gateway.streams)
    await world.clock.sleep(5.0)
    later = Reader(world.api.gateway.streams)
    await world.clock.sleep(0.1)
    assert [told.kind for told in later.heard] == ["status", "qr"]
    assert later.codes == first.codes
    await asyncio.gather(first.close(), later.close())


async def test_a_pairing_that_runs_out_is_told_and_not_begun_anew_until_somebody_asks(world: PairingWorld) -> None:
    await world.api.create()
    reader = Reader(world.api.gateway.streams)
    await world.state(SessionState.FAILED, within=200.0)
    world.waha.lifecycle.journal.clear()
    await world.clock.sleep(30.0)
    assert world.verbs() == []
    assert reader.statuses[-1] == "FAILED"
    assert reader.heard[-1].body.reason == "the QR codes ran out; ask for a new one"
    before = len(reader.codes)
    await world.shows_code()
    await world.clock.sleep(1.1)
    assert len(reader.codes) == before + 1
    await reader.close()


async def test_opening_a_stream_asks_for_the_code_as_the_qr_route_does(world: PairingWorld) -> None:
    await world.api.create()
    await world.run_out()
    reader = Reader(world.api.gateway.streams)
    await world.clock.sleep(5.0)
    assert reader.codes == [draw_png(world.session.qr or "")]
    await reader.close()


async def test_a_session_that_is_removed_ends_its_streams(world: PairingWorld) -> None:
    await world.api.create()
    reader = Reader(world.api.gateway.streams)
    await world.clock.sleep(2.0)
    await world.api.call("DELETE", PATH, headers=OPERATOR, status=200)
    await asyncio.wait_for(reader.task, 2.0)
    assert reader.statuses[-1] == "NOT_FOUND"


async def test_the_end_of_the_gateway_ends_all_streams_at_once(world: PairingWorld) -> None:
    await world.api.create()
    readers = [Reader(world.api.gateway.streams) for _ in range(5)]
    await world.clock.sleep(5.0)
    before = world.clock.monotonic()
    world.api.gateway.streams.close()
    await asyncio.gather(*(reader.task for reader in readers))
    assert world.clock.monotonic() == before
    with pytest.raises(ServiceUnavailable):
        await Reader(world.api.gateway.streams).task


@pytest.mark.postgres
async def test_another_replica_tells_what_it_did_not_hear_itself(
    make_pairing_world: MakePairingWorld, postgres_url: str
) -> None:
    world = await make_pairing_world(replicas=2)
    hears, deaf = world.replicas
    await hears.create()
    reader = Reader(deaf.gateway.streams)
    await world.clock.sleep(65.0)
    assert reader.codes[-1] == draw_png(world.session.qr or "")
    world.scan()
    await world.state(SessionState.CONNECTED)
    await asyncio.wait_for(reader.task, 1.5)
    assert reader.statuses[-1] == "CONNECTED"


async def test_so_many_streams_of_a_number_and_no_more(world: PairingWorld) -> None:
    await world.api.create()
    api: Replica = world.api
    streams = QrStreams(api.gateway.pairing, api.gateway.bus, world.clock, per_number=3, in_all=4)
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(streams.open(ANYBODY, ALICE))
        with pytest.raises(RateLimited):
            await stack.enter_async_context(streams.open(ANYBODY, ALICE))
        await api.call("POST", "/api/sessions", {"phone_number": f"+{BERT}"}, status=201)
        await stack.enter_async_context(streams.open(ANYBODY, BERT))
        with pytest.raises(ServiceUnavailable):
            await stack.enter_async_context(streams.open(ANYBODY, BERT))
    assert (streams.count, streams.watched) == (0, 0)
    async with streams.open(ANYBODY, ALICE):
        assert streams.count == 1
    await streams.stop()


async def test_a_stream_of_a_session_that_is_not_there_takes_no_place(world: PairingWorld) -> None:
    with pytest.raises(NotFound):
        await Reader(world.api.gateway.streams).task
    assert world.api.gateway.streams.count == 0


async def test_a_reader_who_is_too_slow_is_cut_off() -> None:
    stream = Stream()
    told = Told("status", QrOut(status="STARTING"))
    taken = [stream.put(told) for _ in range(BACKLOG)]
    assert taken == [True] * (BACKLOG - 1) + [False]
    assert [one async for one in stream] == []
