"""Processes that die, freeze or work side by side: every event arrives, and in quiet times once."""

import asyncio
from collections import Counter

import pytest

from gateway.notifications.webhooks.serving import LEASE_SECONDS
from tests.gateway.notifications.webhooks.conftest import MakeStage, Stage
from tests.harness.receiver import OK

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(60)]

COUNT = 30


async def test_a_process_that_dies_after_the_request_and_before_it_is_written_down_sends_it_again(stage: Stage) -> None:
    receiver = await stage.receiver(lambda _: 1.0)
    await stage.endpoint(receiver.url)
    await stage.tell(3)
    await receiver.asked(1)
    killed = stage.first
    await killed.kill()
    await stage.replica()
    stage.replicas.remove(killed)
    await receiver.has(range(3), within=LEASE_SECONDS + 400)
    ids = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert len(ids) == 3


async def test_whenever_a_process_dies_nothing_is_lost(make_stage: MakeStage) -> None:
    stage = await make_stage()
    await stage.replica()
    receiver = await stage.receiver(lambda asked: 0.05 if asked % 3 else None)
    await stage.endpoint(receiver.url)
    await stage.tell(COUNT)
    for after in (2, 7, 11):
        await receiver.asked(after)
        await stage.first.kill()
        stage.replicas.clear()
        await stage.replica()
    await receiver.has(range(COUNT))


async def test_a_process_that_stops_gives_its_endpoints_back_at_once(stage: Stage) -> None:
    receiver = await stage.receiver(lambda _: 0.5)
    hook = await stage.endpoint(receiver.url)
    await stage.tell(3)
    await receiver.asked(1)
    await stage.replica(running=False)
    stopped = stage.replicas.pop(0)
    await stopped.deliverer.stop()
    row = await stage.row(hook)
    assert row.owner is None
    stage.first.start()
    await receiver.got(3)
    assert receiver.numbers == [0, 1, 2], "what was answered in time is not sent again"


@pytest.mark.postgres
async def test_two_replicas_do_not_send_the_same_twice(make_stage: MakeStage, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one process owns a SQLite file")
    stage = await make_stage()
    for _ in range(2):
        await stage.replica()
    receivers = [await stage.receiver(lambda _: 0.02) for _ in range(4)]
    for receiver in receivers:
        await stage.endpoint(receiver.url)
    for _ in range(5):
        await stage.tell(COUNT // 5)
        for replica in stage.replicas:
            replica.deliverer.wake()
    for receiver in receivers:
        await receiver.got(COUNT)
        assert receiver.numbers == list(range(COUNT))
    await asyncio.sleep(600)
    assert [len(receiver.requests) for receiver in receivers] == [COUNT] * 4


@pytest.mark.postgres
async def test_a_dead_replicas_endpoints_go_on_with_another_one(make_stage: MakeStage, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one process owns a SQLite file")
    stage = await make_stage()
    await stage.replica()
    receiver = await stage.receiver(lambda _: 1.0)
    await stage.endpoint(receiver.url)
    await stage.tell(5)
    await receiver.asked(2)
    await stage.replica()
    await stage.first.kill()
    stage.replicas.pop(0)
    receiver.says = lambda _: OK
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(LEASE_SECONDS)
    stage.first.deliverer.wake()
    await receiver.has(range(5), within=60)
    assert asyncio.get_running_loop().time() - began < LEASE_SECONDS + 5
