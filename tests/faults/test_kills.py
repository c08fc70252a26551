"""Faults 1 and 3: `kill -9` at random moments, and exactly between two steps, on SQLite."""

import functools
import random
import signal
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.failpoints import STEPS, Step, believe_that_nothing_left, die_at
from tests.faults.harness.runner import Preparation
from tests.faults.harness.stage import Stage
from tests.faults.harness.waiting import last, until

SEED = 20260101
FIRST_SEND_SECONDS = 3.0


async def fill(stage: Stage, senders: int, pool: int, each: int) -> None:
    """Start, and submit one campaign through all senders and one through each."""
    await stage.serve()
    await stage.connect(senders)
    await stage.submit(pool)
    for number in stage.senders:
        await stage.submit(each, [number])


async def kill_again_and_again(
    stage: Stage, kills: int, rng: random.Random, longest: float, preparations: Sequence[Preparation] = ()
) -> list[float]:
    """Let the gateway live for up to `longest` seconds so many times; gives the seconds from start to first send."""
    recoveries = []
    for _ in range(kills):
        await last(rng.uniform(0.0, longest))
        await stage.gateway.end(signal.SIGKILL)
        replica = await stage.serve(preparations=preparations)
        firsts = await until(functools.partial(stage.first_sends, replica.started_at))
        recoveries.append(min(firsts.values()))
    return recoveries


async def check_integrity(stage: Stage) -> None:
    """SQLite finds nothing wrong with its file."""
    async with stage.db.read() as connection:
        assert (await connection.execute(text("PRAGMA integrity_check"))).scalar_one() == "ok"


async def run_kills(stage: Stage, record: Record, *, kills: int, longest: float, messages: int) -> None:
    """Fault 1 whole: fill, kill, finish, judge."""
    await fill(stage, 4, messages, messages // 4)
    recoveries = await kill_again_and_again(stage, kills, random.Random(SEED), longest)
    await stage.finish(within=240.0)
    verdict = await stage.judge()
    record(seed=SEED, kills=kills, slowest_first_send=max(recoveries), **verdict.record)
    assert verdict.perfect, f"seed {SEED}: {verdict.report()}"
    assert max(recoveries) <= FIRST_SEND_SECONDS
    await check_integrity(stage)


@pytest.mark.alone
async def test_ten_kills_lose_nothing_and_send_nothing_twice(make_stage: MakeStage, record: Record) -> None:
    await run_kills(await make_stage(hold_seconds=1.2), record, kills=10, longest=0.4, messages=80)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_fifty_kills_lose_nothing_and_send_nothing_twice(make_stage: MakeStage, record: Record) -> None:
    await run_kills(await make_stage(hold_seconds=2.0), record, kills=50, longest=3.0, messages=2000)


async def test_without_the_look_up_kills_send_twice(make_stage: MakeStage) -> None:
    """The control: the judge sees what the look-up prevents."""
    stage = await make_stage(message_delay=0.0)
    await fill(stage, 4, 40, 10)
    await kill_again_and_again(stage, 3, random.Random(SEED), 0.2, [believe_that_nothing_left])
    await stage.finish()
    assert (await stage.judge()).duplicated


@pytest.mark.parametrize("step", STEPS)
async def test_a_process_that_dies_between_two_steps_loses_nothing(
    make_stage: MakeStage, record: Record, step: Step
) -> None:
    send = random.Random(f"{SEED} {step}").randint(2, 8)
    stage = await make_stage(simulator={"latency_seconds": 0.2}, message_delay=0.0, hold_seconds=1.2)
    dying = await stage.serve(preparations=[functools.partial(die_at, step, send)])
    await stage.connect(2)
    await stage.submit(12)
    assert await dying.ended() == -signal.SIGKILL
    await stage.serve()
    await stage.finish()
    verdict = await stage.judge()
    record(seed=SEED, step=step, send=send, **verdict.record)
    assert verdict.perfect, f"seed {SEED}, send {send}: {verdict.report()}"


@pytest.mark.parametrize("step", ["request written", "answer read"])
async def test_without_the_look_up_a_death_after_the_request_sends_twice(make_stage: MakeStage, step: Step) -> None:
    """The control."""
    stage = await make_stage(simulator={"latency_seconds": 0.2}, message_delay=0.0)
    dying = await stage.serve(preparations=[functools.partial(die_at, step, 2)])
    await stage.connect(1)
    await stage.submit(4)
    await dying.ended()
    await stage.serve(preparations=[believe_that_nothing_left])
    await stage.finish()
    assert (await stage.judge()).duplicated
