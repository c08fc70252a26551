"""`replicas`: three gateways on one PostgreSQL; one is killed, one frozen, the database restarted; judged by WhatsApp.

In the middle of one campaign the first replica gets SIGKILL, later the second one SIGSTOP for two leases, and then all
processes of PostgreSQL are killed at once and started again. A simulated WAHA writes down what WhatsApp took. A lane's
silence counts from the event to its next send, less what it had to wait anyway: the rest of its delay, jitter and all,
or the whole delay where a send was in flight. Without an event it is next to nothing, so the longest silence of all
lanes is that of one which the dead replica held.
"""

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from bench import options
from bench.databases import Postgres, running_postgres
from bench.numbers import recipient_number, sender_number
from bench.report import Figure, Goal, Report, Sense, describe_machine
from bench.stage import TEXT
from bench.world import Wishes, World, completed, open_world, request
from gateway.demo.audit import Audit, audit

NONE = Goal(Sense.EXACTLY, 0)
SOME = Goal(Sense.AT_LEAST, 1, checked=False)
"""Else the run says nothing of takeovers: by chance the replica held no lane at that moment."""
REPLICAS = 3
MESSAGE_DELAY = 0.5
JITTER = 0.2
HOLD_SECONDS = 3.0
SLACK_SECONDS = 0.5
END_SECONDS = 300.0


@dataclass(slots=True)
class Run:
    """What was done and seen; times are epoch seconds."""

    killed_at: float = 0.0
    frozen_at: float = 0.0
    restarted_at: float = 0.0
    status: dict[str, Any] = field(default_factory=dict)
    transmissions: list[dict[str, Any]] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--senders", type=int, default=30, help="how many numbers send side by side")
    parser.add_argument("--lease-seconds", type=float, default=5.0, help="dispatch.lease_seconds of all replicas")


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--senders", chosen.senders, 3, 300)
    options.require("--lease-seconds", chosen.lease_seconds, 0.5, 60)
    return uvloop.run(measure(chosen.senders, chosen.lease_seconds))


async def measure(senders: int, lease_seconds: float) -> Report:
    """Run the benchmark; takes about ten leases and half a minute."""
    recipients = [recipient_number(index) for index in range(enough_messages(senders, lease_seconds))]
    wishes = Wishes(message_delay=MESSAGE_DELAY, jitter=JITTER, hold_seconds=HOLD_SECONDS, lease_seconds=lease_seconds)
    with TemporaryDirectory(prefix="waha-gateway-bench-") as name:
        folder = Path(name)
        async with running_postgres(folder) as postgres, open_world(folder, postgres.url, wishes) as world:
            done = await _through_all_of_it(world, postgres, senders, recipients, lease_seconds)
    return Report(
        name="replicas",
        work=(
            f"{len(recipients):,} messages, {senders} senders, {REPLICAS} replicas, lease {lease_seconds:g} s, "
            "one killed, one frozen for two leases, PostgreSQL killed and restarted"
        ),
        machine=describe_machine(),
        figures=figures(
            done,
            audit(done.transmissions, recipients, message_delay=MESSAGE_DELAY, switch_delay=0),
            lease_seconds,
        ),
    )


def calm_seconds(lease_seconds: float) -> float:
    """How long is waited after each event, beyond what it takes, so that it is over before the next one."""
    return min(4.0, lease_seconds)


def enough_messages(senders: int, lease_seconds: float) -> int:
    """As many as can be sent at the very most until the last event is over."""
    seconds = 3 * calm_seconds(lease_seconds) + 5 * lease_seconds
    return int(senders * seconds / MESSAGE_DELAY)


def silences(transmissions: Sequence[Mapping[str, Any]], event_at: float, delay: float) -> list[float]:
    """Of each lane that had sent before: seconds from the event to its next send, less what the delay explains.

    A lane that never sent again was silent until the last send of all.
    """
    lanes: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in sorted(transmissions, key=lambda one: float(one["received_at"])):
        lanes[str(one["session"])].append(one)
    end = max((float(one["received_at"]) for one in transmissions), default=event_at)
    found = []
    for lane in lanes.values():
        before = [one for one in lane if one["received_at"] <= event_at]
        after = [float(one["received_at"]) for one in lane if one["received_at"] > event_at]
        if before:
            found.append(min(after, default=end) - event_at - _explained(before[-1], event_at, delay))
    return found


def _explained(last: Mapping[str, Any], event_at: float, delay: float) -> float:
    """How long a lane would have waited after the event in any case."""
    answered_at = last["answered_at"]
    if answered_at is None or answered_at > event_at:
        return delay  # in flight: the delay counts from when it is found to have been sent
    return max(0.0, float(answered_at) + delay - event_at)


def figures(done: Run, verdict: Audit, lease_seconds: float) -> list[Figure]:
    """What the ledger says."""
    delay = MESSAGE_DELAY + JITTER
    dead = silences(done.transmissions, done.killed_at, delay)
    frozen = silences(done.transmissions, done.frozen_at, delay)
    restarted = silences(done.transmissions, done.restarted_at, delay)
    longest = max(dead, default=0.0)
    in_time = Goal(Sense.AT_MOST, lease_seconds + SLACK_SECONDS, checked=False)
    return [
        Figure("lost", verdict.lost, goal=NONE),
        Figure("transmitted twice", verdict.duplicated, goal=NONE),
        Figure("gaps shorter than told", verdict.early, goal=NONE),
        Figure("unasked", verdict.unasked, goal=NONE),
        Figure("a dead replica's lanes go on after", longest, "s", in_time),
        Figure("lanes that waited for its lease", sum(one > lease_seconds / 2 for one in dead), goal=SOME),
        Figure("a frozen replica's lanes go on after", max(frozen, default=0.0), "s"),
        Figure("lanes that waited for its lease, frozen", sum(one > lease_seconds / 2 for one in frozen), goal=SOME),
        Figure("all lanes go on after the restart", max(restarted, default=0.0), "s"),
        Figure("not told as sent in the end", done.status["total"] - done.status["sent"], goal=NONE),
    ]


async def _through_all_of_it(
    world: World, postgres: Postgres, senders: int, recipients: Sequence[str], lease_seconds: float
) -> Run:
    done, calm = Run(), calm_seconds(lease_seconds)
    third = await world.serve()  # which makes the key that all of them use
    first, second = await asyncio.gather(*(world.serve() for _ in range(REPLICAS - 1)))
    numbers = [sender_number(index) for index in range(senders)]
    await world.pair(third, numbers)
    body = request(numbers, [f"+{number}" for number in recipients], TEXT)
    campaign_id = (await third.post("/api/send", body))["campaign_id"]
    await world.sent_at_least(3 * senders)
    done.killed_at = await first.kill()
    await asyncio.sleep(lease_seconds + calm)
    done.frozen_at = second.freeze()
    await asyncio.sleep(2 * lease_seconds)
    second.thaw()
    await asyncio.sleep(calm)
    await postgres.restart()
    done.restarted_at = time.time()
    done.status = await completed(third, campaign_id, END_SECONDS)
    done.transmissions = await world.transmissions()
    return done
