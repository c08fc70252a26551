"""`growth`: what a message costs with a million queued, against what it costs with ten thousand.

The same number of messages is dispatched out of a long queue and out of a short one, in turns: the short one is new in
each round, the long one is filled once, behind the product's back (see `filling`). The cost is the gateway's own CPU
time for each message, and the time by the clock; the ratios are of the medians. On PostgreSQL the database works
in processes of its own: there the time says more. The first round is for warming up and does not count.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import uvloop

from bench import options
from bench.dispatch import count_faults
from bench.report import Figure, Goal, Report, Sense, describe_machine
from bench.stage import Load, Prepared, Spent, prepared

RATIO = Goal(Sense.AT_MOST, 1.2)
TIME_RATIO = Goal(Sense.AT_MOST, 1.2, checked=False)
NONE = Goal(Sense.EXACTLY, 0)


@dataclass(frozen=True, slots=True)
class Round:
    """So many messages, and what they took."""

    messages: int
    spent: Spent

    @property
    def cpu_ms(self) -> float:
        """CPU of the gateway's process for one message, in milliseconds."""
        return self.spent.cpu_seconds / self.messages * 1000

    @property
    def ms(self) -> float:
        """Time for one message, in milliseconds: all lanes work side by side."""
        return self.spent.seconds / self.messages * 1000


@dataclass(frozen=True, slots=True)
class Faults:
    """What one queue's rounds did wrong, by the sink's record and the database."""

    doubled: int
    unaccounted: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--queued", type=int, default=1_000_000, help="length of the long queue")
    parser.add_argument("--few", type=int, default=10_000, help="length of the short queue")
    parser.add_argument("--messages", type=int, default=5_000, help="how many are sent in a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each queue")
    options.add_senders(parser, 200, "pool")
    options.add_database(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--rounds", chosen.rounds, 1)
    options.require("--messages", chosen.messages, 1)
    options.require("--few", chosen.few, chosen.messages + chosen.senders)
    options.require("--queued", chosen.queued, (chosen.rounds + 1) * (chosen.messages + chosen.senders))
    load = options.checked(Load(chosen.senders, chosen.senders, 0.0, chosen.shape))
    return uvloop.run(measure(load, chosen))


async def measure(load: Load, chosen: argparse.Namespace) -> Report:
    """Run the benchmark; takes about two minutes for a million."""
    short, long, faults = [], [], []
    async with prepared(load, chosen.database, queued=chosen.queued) as many:
        for number in range(chosen.rounds + 1):
            async with prepared(load, chosen.database, queued=chosen.few) as few:
                one = await _round(few, chosen.messages)
                faults.append(await _faults(few))
            other = await _round(many, chosen.messages)
            if number:
                short.append(one)
                long.append(other)
        faults.append(await _faults(many))
    return Report(
        name="growth",
        work=(
            f"{chosen.messages:,} messages out of {chosen.queued:,} and out of {chosen.few:,}, {chosen.rounds} rounds, "
            f"{load.senders} senders, {load.shape_in_words}, {chosen.database}"
        ),
        machine=describe_machine(),
        figures=figures(short, long, faults),
    )


def figures(short: Sequence[Round], long: Sequence[Round], faults: Sequence[Faults]) -> list[Figure]:
    """What the rounds say."""
    cpu, cpu_long = median(one.cpu_ms for one in short), median(one.cpu_ms for one in long)
    time, time_long = median(one.ms for one in short), median(one.ms for one in long)
    return [
        Figure("CPU ratio", cpu_long / cpu, goal=RATIO),
        Figure("time ratio", time_long / time, goal=TIME_RATIO),
        Figure("CPU of a message, long queue", cpu_long, "ms"),
        Figure("CPU of a message, short queue", cpu, "ms"),
        Figure("time of a message, long queue", time_long, "ms"),
        Figure("time of a message, short queue", time, "ms"),
        Figure("doubled", sum(one.doubled for one in faults), goal=NONE),
        Figure("sent and stored otherwise", sum(one.unaccounted for one in faults), goal=NONE),
    ]


async def _round(queue: Prepared, messages: int) -> Round:
    async with queue.stage() as stage:
        return Round(*await stage.run_for(messages))


async def _faults(queue: Prepared) -> Faults:
    """Hold the record of the sink against what the database calls sent."""
    arrived = [sent for entries in (await queue.sink.record()).values() for sent in entries]
    async with queue.stage() as stage:
        stored = await stage.stored_ids()
    _, doubled = count_faults(arrived, len(stored))
    return Faults(doubled, len(stored ^ {sent.message_id for sent in arrived}))
