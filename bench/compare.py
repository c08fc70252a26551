"""`compare`: the same campaign through Celery and Redis with one task for each recipient, against our own queue.

Both send to the same kind of sink, and both must survive a crash at any moment: Celery acknowledges late, takes back
what a lost worker had, has Redis write each command to disk (`appendfsync always`), and commits a row for each message
to a SQLite file with `synchronous = FULL`. All messages are queued before the time begins. Celery is paced in no way,
and counts from its first message at the sink to its last commit, so that the start of its workers is not held against
it; ours counts from the start of the dispatcher. Needs the extra `compare` and a `redis-server`; skipped, and said so,
where they are missing.
"""

import argparse
import asyncio
import os
import shutil
import sqlite3
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench import options
from bench.celery_tasks import TASK, Places, make_app, make_results
from bench.dispatch import count_faults
from bench.numbers import recipient_number, sender_number
from bench.processes import ProcessFailed, cpu_seconds, until
from bench.report import Figure, Goal, Report, Sense, describe_machine
from bench.sink import Sent
from bench.sinks import running_sink
from bench.stage import TEXT, Load, Spent, set_stage
from gateway.waha.ids import make_chat_id, make_message_id

NONE = Goal(Sense.EXACTLY, 0)
POOLS = ("prefork", "gevent")
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one pool did: the messages' rate, its CPU for each, and what it did wrong."""

    rate: float
    cpu_ms: float
    enqueue_ms: float
    lost: int
    doubled: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("with_what", choices=["celery"], help="what our queue is compared with")
    parser.add_argument("--messages", type=int, default=20_000, help="how many are sent")
    options.add_senders(parser, 200, "pool")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 2, help="of the pool prefork")
    parser.add_argument("--greenlets", type=int, default=200, help="of the pool gevent, in one process")
    parser.add_argument("--pool", choices=POOLS, action="append", help="only this one; both if not given")


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    load = options.read_load(chosen)
    if missing := missing_parts():
        return Report("compare celery", f"{load.messages:,} messages", [], describe_machine(), skipped=missing)
    pools = [pool for pool in chosen.pool or POOLS if pool != "gevent" or find_spec("gevent")]
    sizes = {"prefork": chosen.processes, "gevent": chosen.greenlets}
    return uvloop.run(measure(load, {pool: sizes[pool] for pool in pools}))


def missing_parts() -> str:
    """What is not installed here, in words; empty if all is there."""
    missing = [name for name in ("celery", "redis") if find_spec(name) is None]
    told = [f"the Python package {name} is not installed (pip install 'waha-gateway[compare]')" for name in missing]
    if shutil.which("redis-server") is None:
        told.append("no redis-server is found")
    return "; ".join(told)


async def measure(load: Load, pools: dict[str, int]) -> Report:
    """Run the benchmark; takes about a minute for 20,000 messages."""
    async with set_stage(load, "sqlite") as stage:
        ours = await stage.run()
        arrived = [sent for entries in (await stage.sink.record()).values() for sent in entries]
    outcomes = {f"{pool} {size}": await _celery(load, pool, size) for pool, size in pools.items()}
    return Report(
        name="compare celery",
        work=f"{load.messages:,} messages, {load.senders} senders, no delays, Celery {version('celery')}, SQLite",
        machine=describe_machine(),
        figures=figures(load, ours, count_faults(arrived, load.messages), outcomes),
    )


def figures(load: Load, ours: Spent, our_faults: tuple[int, int], outcomes: dict[str, Outcome]) -> list[Figure]:
    """Ours against each of theirs."""
    rate = load.messages / ours.seconds
    found = [
        Figure("our durable messages", rate, "/s"),
        Figure("our CPU of a message", ours.cpu_seconds / load.messages * 1000, "ms"),
        Figure("we lost or doubled", sum(our_faults), goal=NONE),
    ]
    for name, theirs in outcomes.items():
        found += [
            Figure(f"ours / Celery's, {name}", rate / theirs.rate),
            Figure(f"Celery's durable messages, {name}", theirs.rate, "/s"),
            Figure(f"Celery's CPU of a message, {name}", theirs.cpu_ms, "ms"),
            Figure(f"Celery's queueing of a message, {name}", theirs.enqueue_ms, "ms"),
            Figure(f"Celery lost or doubled, {name}", theirs.lost + theirs.doubled, goal=NONE),
        ]
    return found


def judge(arrived: Sequence[Sent], committed: Sequence[float], load: Load, cpu: float, enqueued: float) -> Outcome:
    """What one run comes to: times on the machine's monotonic clock, CPU and the queueing of all in seconds."""
    lost, doubled = count_faults(arrived, load.messages)
    seconds = max(committed) - min(sent.received_at for sent in arrived)
    each = 1000 / load.messages
    return Outcome(
        len(committed) / seconds, cpu * each, enqueued * each, lost + load.messages - len(committed), doubled
    )


async def _celery(load: Load, pool: str, size: int) -> Outcome:
    with TemporaryDirectory(prefix="waha-gateway-bench-") as name:
        folder = Path(name)
        make_results(folder / "results.db")
        async with running_sink(load.senders) as sink, _running_redis(folder) as broker:
            places = Places(broker, sink.url, str(folder / "results.db"))
            enqueued = await asyncio.to_thread(_enqueue, broker, load)
            async with _running_workers(folder, places, pool, size) as worker:
                await _until_done(worker, folder, load.messages)
                cpu = cpu_seconds(worker.pid)
            record = await sink.record()
        return judge([sent for one in record.values() for sent in one], _committed(folder), load, cpu, enqueued)


async def _until_done(worker: Process, folder: Path, messages: int) -> None:
    """Until all messages are committed, or nothing has been for a while: what is missing then, is lost for the run."""
    count, moved_at = 0, time.monotonic()
    while count < messages and time.monotonic() - moved_at < PATIENCE_SECONDS:
        if worker.returncode is not None:
            raise ProcessFailed(f"Celery ended: {(folder / 'celery.output').read_text()[-2000:]}")
        await asyncio.sleep(LOOK_SECONDS)
        before, count = count, _count(folder)
        if count > before:
            moved_at = time.monotonic()


def _count(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "results.db", timeout=60)) as connection:
        return int(connection.execute("SELECT count(*) FROM result").fetchone()[0])


def _committed(folder: Path) -> list[float]:
    with closing(sqlite3.connect(folder / "results.db", timeout=60)) as connection:
        return [row[0] for row in connection.execute("SELECT committed_at FROM result")]


def _messages(load: Load) -> Iterator[tuple[str, str, str, str]]:
    for index in range(load.messages):
        chat_id = make_chat_id(recipient_number(index))
        yield sender_number(index % load.senders), chat_id, TEXT, make_message_id()


def _enqueue(broker: str, load: Load) -> float:
    """Queue everything, over one connection; the seconds that it took."""
    app = make_app(broker)
    began = time.monotonic()
    with app.connection_for_write() as connection, connection.Producer() as producer:
        for arguments in _messages(load):
            app.send_task(TASK, arguments, producer=producer)
    seconds = time.monotonic() - began
    app.close()
    return seconds


@asynccontextmanager
async def _running_redis(folder: Path) -> AsyncIterator[str]:
    """A Redis of its own that forgets nothing, reached by a Unix socket; gives the broker's URL."""
    path = folder / "redis.sock"
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    process = await asyncio.create_subprocess_exec(
        "redis-server", "--port", "0", "--unixsocket", str(path), "--dir", str(folder), *durable, stdout=DEVNULL
    )
    try:

        async def listens() -> bool:
            return path.exists()

        await until(listens, "redis-server listens", 30)
        yield f"redis+socket://{path}"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _running_workers(folder: Path, places: Places, pool: str, size: int) -> AsyncIterator[Process]:
    """Celery's workers, without anything that is not needed."""
    lean = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    with (folder / "celery.output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "celery", "-A", "bench.celery_tasks", "worker", "--pool", pool, "--concurrency", str(size), *lean),
            env={**os.environ, **places.environment()},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
