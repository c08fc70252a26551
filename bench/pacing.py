"""`pacing`: how well each lane keeps its delay, judged by what the sink saw at its door.

A gap is counted from the moment at which the sink began to answer to the moment at which the lane's next request
had arrived whole. No gap may be shorter than the delay; how much longer it was is the lateness, which counts from
each lane's second message, because all first ones are due at once. How long the disk made a file of nobody's wait is
told beside it.
"""

import argparse
from collections.abc import Iterable, Sequence
from itertools import pairwise

import uvloop

from bench import options
from bench.disk import DiskWatch
from bench.report import Figure, Goal, Report, Sense, describe_machine, quantile
from bench.sink import Sent
from bench.stage import Load, set_stage

NONE = Goal(Sense.EXACTLY, 0)
LATENESS_MS = Goal(Sense.AT_MOST, 20, checked=False)
MAKESPAN = Goal(Sense.AT_MOST, 1.02, checked=False)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_senders(parser, 1000, "lanes")
    parser.add_argument("--message-delay", type=float, default=1.0, help="seconds between a sender's messages")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, about")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until the sink answers")
    options.add_database(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--message-delay", chosen.message_delay, 0.001)
    options.require("--seconds", chosen.seconds, 0.001)
    rounds = 1 + int(chosen.seconds / (chosen.message_delay + chosen.latency))
    load = Load(rounds * chosen.senders, chosen.senders, chosen.message_delay, chosen.shape)
    return uvloop.run(measure(options.checked(load), chosen.database, chosen.latency))


def lateness(lanes: Iterable[Sequence[Sent]], delay: float) -> list[float]:
    """Of each gap of each lane: how many seconds it was longer than `delay` (negative: shorter than told)."""
    return [after.received_at - (before.answered_at + delay) for sent in lanes for before, after in pairwise(sent)]


def makespan_ratio(lanes: Sequence[Sequence[Sent]], delay: float, started_at: float) -> float:
    """From the start to the last answer, over what the longest lane needs with these delays and its own answers."""
    ideal = max((len(sent) - 1) * delay + sum(s.answered_at - s.received_at for s in sent) for sent in lanes)
    last = max(sent[-1].answered_at for sent in lanes)
    return (last - started_at) / ideal


async def measure(load: Load, database: str, latency: float) -> Report:
    """Run the benchmark; takes as long as the load is."""
    async with set_stage(load, database, latency) as stage:
        with DiskWatch() as disk:
            spent = await stage.run()
        record = await stage.sink.record()
    lanes = list(record.values())
    late = lateness(lanes, load.message_delay)
    arrived = sum(len(sent) for sent in lanes)
    return Report(
        name="pacing",
        work=(
            f"{load.messages:,} messages, {load.senders} senders, {load.shape_in_words}, "
            f"MESSAGE_DELAY {load.message_delay:g} s, answers after {latency * 1000:g} ms, {database}"
        ),
        machine=describe_machine(),
        figures=[
            Figure("gaps shorter than told", sum(seconds < 0 for seconds in late), goal=NONE),
            Figure("lateness p50", quantile(late, 0.5) * 1000, "ms"),
            Figure("lateness p99", quantile(late, 0.99) * 1000, "ms", LATENESS_MS),
            Figure("lateness max", max(late, default=0.0) * 1000, "ms"),
            Figure("makespan / ideal", makespan_ratio(lanes, load.message_delay, spent.started_at), goal=MAKESPAN),
            Figure("the disk's own fsync p99", quantile(disk.seconds, 0.99) * 1000, "ms"),
            Figure("the disk's own fsync max", max(disk.seconds, default=0.0) * 1000, "ms"),
            Figure("CPU in use", spent.cpu_seconds / spent.seconds * 100, "% of a core"),
            Figure("messages missing or repeated", abs(load.messages - arrived), goal=NONE),
        ],
    )
