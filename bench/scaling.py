"""`scaling`: what one, two and three replicas make on one PostgreSQL, and what a message costs each of them and it.

The same campaign without delays is sent by more and more replicas, each a `gateway serve` of its own, to one sink. It
is paused until all of them are ready. On a machine with few cores all of it shares them: then not the messages in a
second tell how far one PostgreSQL goes, but the CPU time that a message costs it. Needs Linux.
"""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench import options
from bench.databases import running_postgres
from bench.processes import Command, cpu_seconds
from bench.report import Figure, Goal, Report, Sense, describe_machine
from bench.sink import Sent
from bench.sinks import running_sink
from bench.stage import SINK, Load, fill, settings_for
from bench.world import Wishes, completed, write_config

NONE = Goal(Sense.EXACTLY, 0)
MOST_REPLICAS = 4  # of whose connections PostgreSQL takes as many as it does by default
END_SECONDS = 600.0
LOOK_SECONDS = 0.5
"""How often it is asked whether all has been sent: seldom, as that costs time too."""


@dataclass(frozen=True, slots=True)
class Made:
    """What some replicas made: in a second, and the CPU seconds of all of them, and of PostgreSQL."""

    replicas: int
    messages: int
    missing_or_repeated: int
    seconds: float
    replicas_cpu: float
    postgres_cpu: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--messages", type=int, default=20_000, help="how many are sent each time")
    options.add_senders(parser, 300, "pool")
    parser.add_argument("--replicas", type=int, default=3, help="how many there are in the end")


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--replicas", chosen.replicas, 1, MOST_REPLICAS)
    load = options.checked(Load(chosen.messages, chosen.senders, 0.0, chosen.shape))
    return uvloop.run(measure(load, chosen.replicas))


async def measure(load: Load, replicas: int) -> Report:
    """Run the benchmark, each number of replicas on a database of its own."""
    made = [await _make(load, count) for count in range(1, replicas + 1)]
    return Report(
        name="scaling",
        work=(
            f"{load.messages:,} messages, {load.senders} senders, {load.shape_in_words}, no delays, "
            f"1 to {replicas} replicas on one PostgreSQL"
        ),
        machine=describe_machine(),
        figures=[figure for one in made for figure in figures(one)],
    )


def figures(made: Made) -> list[Figure]:
    """What one number of replicas made."""
    who = "1 replica" if made.replicas == 1 else f"{made.replicas} replicas"
    return [
        Figure(f"{who}: messages a second", made.messages / made.seconds),
        Figure(f"{who}: their CPU of a message", made.replicas_cpu / made.messages * 1000, "ms"),
        Figure(f"{who}: PostgreSQL's CPU of a message", made.postgres_cpu / made.messages * 1000, "ms"),
        Figure(f"{who}: missing or repeated", made.missing_or_repeated, goal=NONE),
    ]


def missing_or_repeated(record: Mapping[str, Sequence[Sent]], messages: int) -> int:
    """How many messages did not arrive, and how many arrived more than once."""
    ids = [one.message_id for sent in record.values() for one in sent]
    return messages - len(set(ids)) + len(ids) - len(set(ids))


async def _make(load: Load, replicas: int) -> Made:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="waha-gateway-bench-")))
        postgres = await stack.enter_async_context(running_postgres(folder))
        sink = await stack.enter_async_context(running_sink(load.senders))
        settings = settings_for(load, postgres.url, folder / "data", sink.url)
        campaigns = await fill(settings, load.campaigns(), load, paused=True)
        config = write_config(folder, postgres.url, SINK, sink.url, Wishes(max_recipients=load.messages))
        processes = []
        for _ in range(replicas):
            processes.append(await Command.start(folder, "serve", "--config", str(config)))
            stack.push_async_callback(processes[-1].kill)
        before = _cpu(processes), cpu_seconds(postgres.pid)
        await _send(processes[0], campaigns)
        replicas_cpu, postgres_cpu = _cpu(processes) - before[0], cpu_seconds(postgres.pid) - before[1]
        record = await sink.record()
    times = [one.received_at for sent in record.values() for one in sent]
    return Made(
        replicas=replicas,
        messages=len(times),
        missing_or_repeated=missing_or_repeated(record, load.messages),
        seconds=max(times) - min(times),
        replicas_cpu=replicas_cpu,
        postgres_cpu=postgres_cpu,
    )


async def _send(replica: Command, campaigns: Sequence[str]) -> None:
    """Have the campaigns go on, and wait until all have ended."""
    for campaign_id in campaigns:
        await replica.post(f"/api/campaigns/{campaign_id}/resume")
    for campaign_id in campaigns:
        await completed(replica, campaign_id, END_SECONDS, LOOK_SECONDS)


def _cpu(processes: Sequence[Command]) -> float:
    return sum(cpu_seconds(command.process.pid) for command in processes)
