"""The journal of lifecycle calls."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from gateway.simulator.clock import SimClock
from gateway.simulator.journal import LifecycleJournal
from tests.simulator.conftest import SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time


async def calls(waha: Simulated, query: str = "") -> list[dict[str, Any]]:
    """What the journal has."""
    found: list[dict[str, Any]] = (await waha.call("GET", f"/sim/lifecycle{query}")).json()["calls"]
    return found


async def test_every_lifecycle_call_is_written_down_in_order(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.create()
    await waha.call("PUT", f"/api/sessions/{SENDER}", {"config": {}})
    for verb in ("stop", "start", "restart", "logout"):
        await waha.act(verb)
    await waha.call("DELETE", f"/api/sessions/{SENDER}")
    written = await calls(waha)
    assert [one["verb"] for one in written] == ["create", "update", "stop", "start", "restart", "logout", "delete"]
    assert {one["session"] for one in written} == {SENDER}
    assert all(one["error"] is None for one in written)
    assert all(before["ended_at"] <= after["started_at"] for before, after in pairwise(written))


async def test_a_call_takes_as_long_as_the_engine_does(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS")
    await waha.pair()
    await waha.act("stop")
    stop = (await calls(waha))[-1]
    assert stop["ended_at"] - stop["started_at"] == pytest.approx(3.0)
    assert stop["work_ended_at"] == stop["ended_at"]


async def test_two_calls_that_meet_can_be_seen_to(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.create()
    await waha.faults(lifecycle_slow=20)
    await asyncio.gather(waha.act("restart"), waha.act("stop"))
    first, second = (await calls(waha))[1:]
    assert first["started_at"] <= second["started_at"] < first["ended_at"]
    assert (second["error"], second["work_ended_at"]) == (f"async-lock timed out in queue {SENDER}", None)


async def test_a_call_that_was_given_up_is_over_when_its_work_is(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.create()
    await waha.faults(lifecycle_slow=40)
    await waha.act("stop")
    given_up = (await calls(waha))[-1]
    assert given_up["ended_at"] - given_up["started_at"] == pytest.approx(30.0)
    assert (given_up["error"], given_up["work_ended_at"]) == (f"Maximum execution time is exceeded {SENDER}", None)
    await waha.server.clock.sleep(20)
    over = (await calls(waha))[-1]
    assert over["work_ended_at"] - over["started_at"] == pytest.approx(40.01)


async def test_a_refused_call_is_written_down_with_its_error(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.act("start")
    assert [(one["verb"], "Session not found" in one["error"]) for one in await calls(waha)] == [("start", True)]


async def test_starts_at_boot_are_the_servers_own(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.tell("restart")
    await waha.server.clock.sleep(10)
    assert [one["verb"] for one in await calls(waha)] == ["create", "autostart"]


async def test_what_a_test_forces_is_nobodys_call(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.tell(f"sessions/{SENDER}/status", {"status": "STOPPED"})
    assert [one["verb"] for one in await calls(waha)] == ["create"]


async def test_the_journal_can_be_read_by_session_and_forgotten(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.create("one")
    await waha.create("two")
    assert [one["session"] for one in await calls(waha, "?session=two")] == ["two"]
    assert (await waha.call("DELETE", "/sim/lifecycle")).status_code == 204
    assert (await waha.call("GET", "/sim/lifecycle")).json() == {"calls": [], "dropped": 0}


def test_the_journal_keeps_the_last_calls_and_counts_the_others() -> None:
    journal = LifecycleJournal(SimClock(), limit=2)
    for name in ("one", "two", "three"):
        with journal.call(name, "start"):
            pass
    assert [call.session for call in journal.calls] == ["two", "three"]
    assert journal.dropped == 1
