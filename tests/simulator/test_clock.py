"""The clock: told times are real, waited times are scaled."""

import asyncio
import time

import pytest

from gateway.simulator.clock import SimClock


async def test_a_sleep_lasts_its_seconds_divided_by_the_speed() -> None:
    clock = SimClock(speed=1000)
    before = time.monotonic()
    await clock.sleep(20)
    assert 0.02 <= time.monotonic() - before < 5


async def test_elapsed_counts_simulated_seconds() -> None:
    clock = SimClock(speed=1000)
    await clock.sleep(20)
    assert clock.elapsed() >= 20


async def test_now_is_the_real_time_at_any_speed() -> None:
    clock = SimClock(speed=1e6)
    await clock.sleep(1000)
    assert abs(clock.now() - time.time()) < 1
    assert abs(clock.now_ms() - time.time() * 1000) < 1000


async def test_a_new_speed_shortens_the_rest_of_a_sleep_that_has_begun() -> None:
    clock = SimClock(speed=1)
    sleeper = asyncio.create_task(clock.sleep(3600))
    awake = asyncio.Event()
    clock.call_later(3600, awake.set)
    clock.set_speed(1e6)
    await asyncio.wait_for(asyncio.gather(sleeper, awake.wait()), timeout=10)


async def test_elapsed_never_goes_back_when_the_clock_is_slowed_down() -> None:
    clock = SimClock(speed=1000)
    await clock.sleep(50)
    before = clock.elapsed()
    clock.set_speed(0.001)
    assert before <= clock.elapsed() < before + 100


async def test_a_cancelled_timer_does_not_fire() -> None:
    clock = SimClock(speed=1000)
    fired: list[str] = []
    timer = clock.call_later(1, lambda: fired.append("cancelled"))
    clock.call_later(2, lambda: fired.append("kept"))
    clock.cancel(timer)
    await clock.sleep(3)
    assert fired == ["kept"]


async def test_an_ended_clock_wakes_everybody_and_makes_nobody_wait() -> None:
    clock = SimClock()
    sleeper = asyncio.create_task(clock.sleep(1e9))
    started = asyncio.Event()
    asyncio.get_running_loop().call_soon(started.set)
    await started.wait()
    clock.end()
    await asyncio.wait_for(sleeper, timeout=10)
    await asyncio.wait_for(clock.sleep(1e9), timeout=10)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_must_be_a_finite_number_above_zero(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        SimClock(speed=speed)
