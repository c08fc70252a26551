"""What sessions cost while nothing happens: months of virtual time must pass at once."""

from collections.abc import Callable

import pytest

from gateway.simulator.clock import Timer
from gateway.simulator.phones import DAY
from tests.simulator.conftest import SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time


def watch_timers(waha: Simulated, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of every timer that the server sets from now on."""
    call_later = waha.server.clock.call_later
    set_timers: list[float] = []

    def counting(seconds: float, callback: Callable[[], object]) -> Timer:
        set_timers.append(seconds)
        return call_later(seconds, callback)

    monkeypatch.setattr(waha.server.clock, "call_later", counting)
    return set_timers


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_sessions_that_work_and_do_nothing_set_no_timers(
    simulate: Simulate, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waha = await simulate(engine=engine)
    for number in range(447700900100, 447700900105):
        await waha.pair(str(number), str(number))
    set_timers = watch_timers(waha, monkeypatch)
    await waha.server.clock.sleep(30 * DAY)
    await waha.listed()
    assert set_timers == [30 * DAY]


async def test_a_session_whose_phone_may_expire_sets_one_timer_per_look(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    waha = await simulate(phone_expiry_days=14)
    await waha.pair()
    set_timers = watch_timers(waha, monkeypatch)
    for _ in range(24 * 13):
        waha.server.phones.seen(waha.server.lifecycle.known(SENDER))
    await waha.server.clock.sleep(1)
    assert set_timers == [1]
