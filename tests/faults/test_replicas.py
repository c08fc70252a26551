"""Faults 2, 4 and 13: replicas on one PostgreSQL that are killed, frozen, and started at the same moment."""

import functools
import random
import signal
import time
from collections import Counter

import pytest

from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.failpoints import believe_that_nothing_left, stop_without_grace
from tests.faults.harness.replica import Replica
from tests.faults.harness.runner import Preparation
from tests.faults.harness.stage import Sight, Stage
from tests.faults.harness.waiting import last, until

pytestmark = pytest.mark.postgres

SEED = 20260202
LEASE = 1.0
NAMES = ("one", "two", "three")


async def start(stage: Stage, *names: str, preparations: tuple[Preparation, ...] = ()) -> None:
    """Start replicas at the same moment."""
    for name in names:
        await stage.launch(name, preparations=preparations)
    for replica in stage.replicas:
        await replica.listening()


@pytest.mark.alone
async def test_the_lanes_of_a_killed_replica_go_on_when_its_lease_is_over(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    rng = random.Random(SEED)
    stage = await make_stage(simulator={"latency_seconds": 0.4}, lease_seconds=LEASE, message_delay=0.1)
    await start(stage, *NAMES)
    await stage.connect(9)
    await stage.submit(72)
    await stage.until_sent(18)
    await last(rng.uniform(0.0, 0.5))
    victim = busiest(stage)
    await victim.end(signal.SIGKILL)
    died_at = time.time()
    held = held_by(victim.name, stage, died_at)
    await until(lambda: set(held) <= set(stage.first_signs(died_at)))
    recovery = max((seconds for name, seconds in stage.first_signs(died_at).items() if name in held), default=0.0)
    await stage.finish()
    verdict = await stage.judge()
    record(seed=SEED, killed=victim.name, lanes=len(held), recovery=recovery, **verdict.record)
    assert held, "it held no lane: nothing was tested"
    assert verdict.perfect, f"seed {SEED}: {verdict.report()}"
    assert recovery <= LEASE + 0.5


async def test_without_the_look_up_a_killed_replica_makes_the_others_send_twice(
    make_stage: MakeStage, postgres_url: str
) -> None:
    """The control."""
    stage = await make_stage(simulator={"latency_seconds": 0.3}, lease_seconds=LEASE, message_delay=0.0)
    await start(stage, "one", "two", preparations=(believe_that_nothing_left,))
    await stage.connect(4)
    await stage.submit(32)
    stage.wahas[0].tell_nothing()
    await stage.until_sent(4)
    await busiest(stage).end(signal.SIGKILL)
    await stage.finish()
    assert (await stage.judge()).duplicated


def busiest(stage: Stage) -> Replica:
    """The replica that made most of the last sends."""
    names = Counter(sight.replica for sight in stage.sends[-20:])
    return max(stage.replicas, key=lambda replica: names[replica.name] if replica.alive else -1)


def held_by(name: str, stage: Stage, at: float) -> list[str]:
    """The sessions whose last send before `at` came from this replica and was not answered yet."""
    latest: dict[str, Sight] = {}
    for sight in stage.sends:
        if sight.at <= at:
            latest[sight.session] = sight
    answered = {one.id for one in stage.ledger.transmissions if (one.answered_at or at) < at}
    return [session for session, sight in latest.items() if sight.replica == name and sight.id not in answered]


async def freeze(stage: Stage, rounds: int, seconds: float = 2 * LEASE) -> list[Sight]:
    """Fault 4: stop the busier one of two replicas for two leases, so many times; gives what it fired late."""
    await stage.connect(8)
    await stage.submit(max(160 * rounds, round(10 * seconds)))
    late: list[Sight] = []
    for _ in range(rounds):
        await stage.until_sent(stage.sent + 24)
        zombie = busiest(stage)
        stopped_at = time.time()
        zombie.tell(signal.SIGSTOP)
        await last(seconds)
        zombie.tell(signal.SIGCONT)
        woken_at = time.time()
        await until(functools.partial(all_sent_since, stage, woken_at))
        rows = await stage.rows()
        late += [
            sight
            for sight in stage.sends
            if sight.replica == zombie.name
            and sight.at > stopped_at + LEASE
            and rows[sight.id].started_at < stopped_at + LEASE  # whoever sends it anew by right writes a new time
        ]
        if late:
            break
    return late


def all_sent_since(stage: Stage, since: float) -> bool:
    """Whether every sender has sent after `since`."""
    return len(stage.first_sends(since)) == len(stage.senders)


async def test_a_replica_that_was_frozen_for_two_leases_starts_nothing_that_it_had_claimed(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    stage = await make_stage(lease_seconds=LEASE, message_delay=0.2, hold_seconds=3.0)
    await start(stage, "one", "two")
    late = await freeze(stage, rounds=1)
    await stage.finish()
    verdict = await stage.judge()
    record(seed=SEED, late=len(late), **verdict.record)
    assert verdict.perfect, verdict.report()
    assert late == []


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_replica_that_was_frozen_for_a_minute_starts_nothing_that_it_had_claimed(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    """Longer than TCP waits for it, and than the database keeps its transaction."""
    stage = await make_stage(lease_seconds=LEASE, message_delay=1.0, hold_seconds=3.0)
    await start(stage, "one", "two")
    late = await freeze(stage, rounds=1, seconds=60.0)
    await stage.finish()
    verdict = await stage.judge()
    record(seed=SEED, late=len(late), **verdict.record)
    assert verdict.perfect, verdict.report()
    assert late == []


async def test_replicas_that_start_at_once_and_are_replaced_one_by_one_claim_nothing_twice(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    stage = await make_stage(lease_seconds=LEASE, message_delay=0.05)
    await start(stage, *NAMES)
    await stage.connect(6)
    await stage.submit(240)
    await stage.until_sent(20)
    for again in NAMES:
        before = stage.sent
        assert await busiest(stage).end() == 0
        await stage.serve(f"{again}-again")
        await stage.until_sent(before + 20)
    await stage.finish()
    verdict = await stage.judge()
    record(seed=SEED, **verdict.record)
    assert verdict.perfect, verdict.report()
    assert len({sight.replica for sight in stage.sends}) >= 4
    assert verdict.transmissions == len(stage.sends) == 240


async def test_without_grace_and_look_up_replicas_that_are_replaced_would_send_twice(
    make_stage: MakeStage, postgres_url: str
) -> None:
    """The control. Sends take longer than the stop, so that they are under way when it is over."""
    stage = await make_stage(
        simulator={"latency_seconds": 3.0}, lease_seconds=LEASE, message_delay=0.0, timeout_seconds=10.0
    )
    await stage.serve("one", preparations=[stop_without_grace])
    await stage.connect(4)
    stage.wahas[0].tell_nothing()
    await stage.submit(4)
    await stage.until_started(4)
    await stage.gateway.end()
    await stage.serve("one-again", preparations=[believe_that_nothing_left])
    await stage.finish()
    assert (await stage.judge()).duplicated
