"""`delays`: how soon every lane keeps a delay that is changed while it waits, shorter and longer.

All lanes send their first message, and then would wait for a long time. The delay is made short: from the change, or
from when the lane may send by the new delay where that is later, counts how long it took until its second message was
at the sink's door. While half of the lanes have sent that, the delay is made long again: what the sink still gets after
the change is late to feel it. After a pause in which nothing may come, the delay is taken away, and the rest is sent.
"""

import argparse
import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import uvloop

from bench import options
from bench.report import Figure, Goal, Report, Sense, describe_machine, quantile
from bench.sink import Sent
from bench.stage import Load, Stage, set_stage

NONE = Goal(Sense.EXACTLY, 0)
FELT_SECONDS = Goal(Sense.AT_MOST, 1)
LONG = 3600.0
PAUSE_SECONDS = 2.0
"""Longer than the second in which a change must be felt."""
MESSAGES_EACH = 3


@dataclass(frozen=True, slots=True)
class Changes:
    """When delays were changed, on the clock of the sink: just before it was asked for."""

    shortened_at: float
    lengthened_at: float
    ended_at: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_senders(parser, 1000, "lanes")
    parser.add_argument("--message-delay", type=float, default=1.0, help="the short delay, in seconds")
    options.add_database(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--message-delay", chosen.message_delay, 0.1)
    load = options.checked(Load(MESSAGES_EACH * chosen.senders, chosen.senders, LONG, chosen.shape))
    return uvloop.run(measure(load, chosen.message_delay, chosen.database))


def felt_shorter(lanes: Iterable[Sequence[Sent]], delay: float, changes: Changes) -> list[float]:
    """How many seconds after it might, each lane sent its second message, or has not until the delay was made long."""
    due = [(sent, max(sent[0].answered_at + delay, changes.shortened_at)) for sent in lanes]
    return [
        min(sent[1].received_at if len(sent) > 1 else math.inf, changes.lengthened_at) - due_at
        for sent, due_at in due
        if due_at < changes.lengthened_at
    ]


def felt_longer(lanes: Iterable[Sequence[Sent]], changes: Changes) -> list[float]:
    """How many seconds after the delay was made long again messages came, before it was taken away."""
    return [
        one.received_at - changes.lengthened_at
        for sent in lanes
        for one in sent
        if changes.lengthened_at <= one.received_at < changes.ended_at
    ]


def too_short(lanes: Iterable[Sequence[Sent]], delay: float, changes: Changes) -> int:
    """How many second messages left sooner than the shorter delay, or before it was asked for."""
    return sum(
        sent[1].received_at < max(sent[0].answered_at + delay, changes.shortened_at)
        for sent in lanes
        if len(sent) > 1 and sent[1].received_at < changes.ended_at
    )


async def measure(load: Load, delay: float, database: str) -> Report:
    """Run the benchmark."""
    async with set_stage(load, database) as stage:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stage.run())
            changes = await _change(stage, load.senders, delay)
        lanes = list((await stage.sink.record()).values())
    shorter, longer = felt_shorter(lanes, delay, changes), felt_longer(lanes, changes)
    return Report(
        name="delays",
        work=(
            f"{load.senders} lanes that wait, {load.shape_in_words}, "
            f"MESSAGE_DELAY {LONG:g} s -> {delay:g} s -> {LONG:g} s, {database}"
        ),
        machine=describe_machine(),
        figures=[
            Figure(
                "lanes that were due by the shorter delay", len(shorter), goal=Goal(Sense.AT_LEAST, load.senders / 2)
            ),
            Figure("felt the shorter delay after, p50", quantile(shorter, 0.5), "s"),
            Figure("felt the shorter delay after, max", max(shorter, default=0.0), "s", FELT_SECONDS),
            Figure("messages after the longer delay was asked for", len(longer)),
            Figure("the last of them after", max(longer, default=0.0), "s", FELT_SECONDS),
            Figure("gaps shorter than told", too_short(lanes, delay, changes), goal=NONE),
            Figure("messages missing or repeated", abs(load.messages - sum(map(len, lanes))), goal=NONE),
        ],
    )


async def _change(stage: Stage, senders: int, delay: float) -> Changes:
    """Change the delays of a gateway that is being run."""
    delays = stage.gateway.delays
    await stage.until_settled(senders)
    shortened_at = time.monotonic()
    await delays.set(delay, None)
    await stage.until_settled(senders + (senders + 1) // 2)
    lengthened_at = time.monotonic()
    await delays.set(LONG, None)
    await stage.gateway.clock.sleep(PAUSE_SECONDS)
    ended_at = time.monotonic()
    await delays.set(0.0, None)
    return Changes(shortened_at, lengthened_at, ended_at)
