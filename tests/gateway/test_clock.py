"""The clock, and the virtual one that stands in for it in tests."""

import asyncio
import time

import pytest

from gateway.clock import Clock
from tests.harness.virtual_time import EPOCH, VirtualClock, virtual_loop


def test_the_clock_is_the_machines_own() -> None:
    before, clock = time.time(), Clock()
    assert before <= clock.now() <= time.time()
    assert clock.monotonic() <= clock.monotonic()


async def test_an_event_that_is_set_already_is_not_waited_for() -> None:
    event = asyncio.Event()
    event.set()
    assert await Clock().wait(event, 0.0) is True


async def test_waiting_ends_with_the_event_or_with_the_time() -> None:
    clock, event = Clock(), asyncio.Event()
    assert await clock.wait(event, 0.001) is False
    clock.call_later(0.001, event.set)
    assert await clock.wait(event, None) is True


@pytest.mark.virtual_time
async def test_virtual_days_pass_in_no_time_and_to_the_second() -> None:
    clock, began = VirtualClock(virtual_loop()), time.monotonic()
    await clock.sleep(86_400.0)
    assert clock.now() == EPOCH + 86_400.0
    assert time.monotonic() - began < 5.0


@pytest.mark.virtual_time
async def test_virtual_time_stands_still_while_a_thread_works() -> None:
    clock = VirtualClock(virtual_loop())
    ticking = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0)
    assert await asyncio.to_thread(sum, range(100_000)) == 4_999_950_000
    assert clock.monotonic() == 0.0
    await ticking
    assert clock.monotonic() == 1.0


@pytest.mark.virtual_time
async def test_virtual_timers_fire_in_their_order_at_their_moment() -> None:
    clock, fired = VirtualClock(virtual_loop()), list[float]()
    for delay in (3.0, 1.0, 2.0):
        clock.call_later(delay, lambda: fired.append(clock.monotonic()))
    clock.call_later(1.5, lambda: None).cancel()
    await clock.sleep(4.0)
    assert fired == [1.0, 2.0, 3.0]
