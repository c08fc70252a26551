"""Fault 16: SIGTERM at full load. What it answers over HTTP meanwhile is in `tests/cli/test_serve.py` too."""

import signal
import time

import pytest

from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.failpoints import stop_without_grace
from tests.faults.harness.runner import Preparation
from tests.faults.harness.stage import Stage

END_SECONDS = 10.0


async def drain(stage: Stage, *preparations: Preparation) -> tuple[float, int]:
    """SIGTERM in the middle; gives the seconds until it ended, and how many messages it left in doubt."""
    await stage.serve(preparations=preparations)
    await stage.connect(8)
    await stage.submit(120)
    await stage.until_started(16)
    told_at = time.time()
    assert await stage.gateway.end(signal.SIGTERM) == 0
    took = time.time() - told_at
    rows = await stage.rows()
    # one that was claimed already may be on its way to the door
    assert not [at for at, _ in stage.starts if at > told_at + 0.25]
    return took, sum(row.state == "sending" for row in rows.values())


@pytest.mark.alone
async def test_a_stop_at_full_load_leaves_nothing_in_doubt(make_stage: MakeStage, record: Record) -> None:
    stage = await make_stage(simulator={"latency_seconds": 0.4}, message_delay=0.0)
    took, doubtful = await drain(stage)
    await stage.stopped_listening(stage.gateway)
    await stage.serve("again")
    await stage.finish()
    verdict = await stage.judge()
    record(ended=took, in_doubt=doubtful, **verdict.record)
    assert took <= END_SECONDS
    assert doubtful == 0
    assert verdict.perfect, verdict.report()
    assert len(stage.starts) == 120


async def test_without_its_grace_a_stop_leaves_what_was_in_flight_in_doubt(make_stage: MakeStage) -> None:
    """The control. Sends take longer than the stop, so that no receipt tells of them before it is over."""
    stage = await make_stage(simulator={"latency_seconds": 3.0}, message_delay=0.0, timeout_seconds=10.0)
    _, doubtful = await drain(stage, stop_without_grace)
    assert doubtful > 0


@pytest.mark.alone
@pytest.mark.postgres
async def test_a_stop_ends_in_time_also_while_the_database_stands_still(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    """Its sends take longer than the stop may, and nothing that it knows can be stored."""
    stage = await make_stage(servers=3, lease_seconds=2.0, simulator={"latency_seconds": 20.0}, timeout_seconds=30.0)
    proxy, url = await stage.postgres_proxy()
    gateway = await stage.serve(database_url=url)
    await stage.connect(4)
    await stage.submit(100)
    await stage.until_started(4)
    proxy.freeze()
    told_at = time.time()
    gateway.tell(signal.SIGTERM)
    await gateway.ended()
    took = time.time() - told_at
    proxy.reset()
    proxy.thaw()
    record(ended=took)
    assert took <= END_SECONDS


@pytest.mark.alone
async def test_the_second_signal_ends_it_at_once_and_the_next_start_finds_out(
    make_stage: MakeStage, record: Record
) -> None:
    stage = await make_stage(message_delay=0.0, timeout_seconds=6.0)
    await stage.serve()
    await stage.connect(2)
    stage.wahas[0].faults(next=["hang_then_deliver"] * 2, hang_seconds=3.0)
    await stage.submit(6)
    await stage.until_started(2)
    begun = time.monotonic()
    stage.gateway.tell(signal.SIGTERM)
    await stage.stopped_listening(stage.gateway)
    assert await stage.gateway.end(signal.SIGTERM) == 128 + signal.SIGTERM
    took = time.monotonic() - begun
    stage.dispatch["hold_seconds"] = 5.0
    await stage.serve("again")
    await stage.finish()
    verdict = await stage.judge()
    record(ended=took, **verdict.record)
    assert took < 3.0
    assert verdict.perfect, verdict.report()
