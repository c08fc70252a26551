"""Fault 20: all at once, by a schedule that its seed alone decides."""

import pytest

from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.failpoints import believe_that_nothing_left
from tests.faults.harness.nemesis import Nemesis, plan
from tests.faults.harness.runner import Preparation
from tests.faults.harness.stage import Stage

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]

LEASE = 1.0
KINDS = ("kill", "freeze", "database", "waha", "waha", "answers", "delays", "delays", "steer", "cancel", "session")


async def strike(
    stage: Stage,
    seed: int,
    seconds: float,
    messages: int,
    kinds: tuple[str, ...] = KINDS,
    preparations: tuple[Preparation, ...] = (),
) -> str:
    """Set up two replicas, run the plan of `seed`, and let all end; gives the plan."""
    strikes = plan(seed, seconds, kinds)
    await stage.serve("one", preparations=preparations)
    await stage.serve("two", preparations=preparations)
    await stage.connect(6)
    for number in stage.senders[:4]:
        await stage.submit(messages // 8, [number])
    for _ in range(4):
        await stage.submit(messages // 8)
    await Nemesis(stage, LEASE).run(strikes)
    for replica in stage.replicas:
        if replica.alive:
            await replica.listening()
    await stage.finish(within=90.0 + seconds / 2)
    return f"seed {seed}: " + "; ".join(map(str, strikes))


async def run(make_stage: MakeStage, record: Record, seed: int, seconds: float, messages: int) -> None:
    stage = await make_stage(lease_seconds=LEASE, hold_seconds=3.0, max_attempts=30)
    told = await strike(stage, seed, seconds, messages)
    verdict = await stage.judge()
    record(seed=seed, seconds=seconds, **verdict.record)
    assert verdict.clean, f"{told}\n{verdict.report()}"
    assert not verdict.doubtful
    assert not verdict.given_up


async def test_a_quarter_of_a_minute_of_everything_at_once(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    await run(make_stage, record, seed=7, seconds=12.0, messages=320)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1])
async def test_thirty_minutes_of_everything_at_once(
    make_stage: MakeStage, record: Record, postgres_url: str, seed: int
) -> None:
    await run(make_stage, record, seed=seed, seconds=1800.0, messages=8000)


def test_a_plan_follows_from_its_seed_alone() -> None:
    assert plan(5, 60.0, KINDS) == plan(5, 60.0, KINDS) != plan(6, 60.0, KINDS)


async def test_without_the_look_up_the_same_storm_sends_twice(make_stage: MakeStage, postgres_url: str) -> None:
    """The control."""
    stage = await make_stage(lease_seconds=LEASE, hold_seconds=3.0, max_attempts=30)
    await strike(stage, 7, 5.0, 240, ("answers", "waha"), (believe_that_nothing_left,))
    assert (await stage.judge()).duplicated
