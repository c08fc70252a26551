"""`crash`: `kill -9` of `gateway serve` again and again in the middle of a campaign, on SQLite, judged by WhatsApp.

A simulated WAHA stays up and writes down what WhatsApp took. The gateway is killed at a random moment after each start
and started again at once; after the last kill the campaign is sent to its end. The hold is 3 s: so long a send that was
cut off may still be carried out. After each kill a copy of the database files is checked for damage. The first send of
a start counts from when its process was spawned; one that was killed too soon to judge is left out.
"""

import argparse
import asyncio
import random
import shutil
import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from bench import options
from bench.numbers import recipient_number, sender_number
from bench.report import Figure, Goal, Report, Sense, describe_machine, quantile
from bench.stage import TEXT
from bench.world import Wishes, World, completed, open_world, request
from gateway.demo.audit import Audit, audit

NONE = Goal(Sense.EXACTLY, 0)
FIRST_SEND_SECONDS = 3.0
FIRST_SEND = Goal(Sense.AT_MOST, FIRST_SEND_SECONDS, checked=False)
LONGEST_LIFE = 2.5
"""Seconds after it began to listen within which a gateway is killed."""
EARLY_SECONDS = 0.5
"""It may send so long before it says that it listens."""
MESSAGE_DELAY = 0.8
JITTER = 0.4
"""Seconds: without it all lanes would beat in time, and be cut off in the same moment."""
END_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Life:
    """One run of the gateway, from its spawning to its kill (epoch seconds)."""

    spawned_at: float
    killed_at: float


@dataclass(slots=True)
class Run:
    """What was done and seen."""

    lives: list[Life] = field(default_factory=list)
    damaged: int = 0
    status: dict[str, Any] = field(default_factory=dict)
    transmissions: list[dict[str, Any]] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--kills", type=int, default=50, help="how often it is killed")
    parser.add_argument("--senders", type=int, default=20, help="how many numbers send side by side")
    parser.add_argument("--seed", type=int, help="repeats the moments of another run; random if not given")


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--kills", chosen.kills, 1, 1000)
    options.require("--senders", chosen.senders, 1, 100)
    seed = random.SystemRandom().randrange(10**6) if chosen.seed is None else chosen.seed
    return uvloop.run(measure(chosen.kills, chosen.senders, seed))


async def measure(kills: int, senders: int, seed: int) -> Report:
    """Run the benchmark; takes some four seconds for each kill."""
    chance = random.Random(seed)
    waits = [chance.uniform(0, LONGEST_LIFE) for _ in range(kills)]
    recipients = [recipient_number(index) for index in range(enough_messages(waits, senders))]
    with TemporaryDirectory(prefix="waha-gateway-bench-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/gateway.db"
        async with open_world(folder, url, Wishes(message_delay=MESSAGE_DELAY, jitter=JITTER)) as world:
            done = await _kill_again_and_again(world, senders, recipients, waits)
    verdict = audit(done.transmissions, recipients, message_delay=MESSAGE_DELAY, switch_delay=0)
    return Report(
        name="crash",
        work=(
            f"{kills} kills of the gateway within {LONGEST_LIFE:g} s of its start, {len(recipients):,} messages, "
            f"{senders} senders, hold 3 s, SQLite, seed {seed}"
        ),
        machine=describe_machine(),
        figures=figures(done, verdict),
    )


def enough_messages(waits: Sequence[float], senders: int) -> int:
    """As many messages as can be sent in all these lives at the very most, and a few more for the end."""
    alive = sum(waits) + EARLY_SECONDS * len(waits)
    return int(senders * (alive / MESSAGE_DELAY + 3))


def first_sends(lives: Sequence[Life], sent_at: Sequence[float], limit: float) -> list[float]:
    """Seconds from each spawning to the first send of that life; `sent_at` is in order.

    Of a life without any: nothing if it was shorter than `limit`, else its whole length, for it was longer still.
    """
    found = []
    for life in lives:
        index = bisect_left(sent_at, life.spawned_at)
        if index < len(sent_at) and sent_at[index] <= life.killed_at:
            found.append(sent_at[index] - life.spawned_at)
        elif life.killed_at - life.spawned_at > limit:
            found.append(life.killed_at - life.spawned_at)
    return found


def figures(done: Run, verdict: Audit) -> list[Figure]:
    """What the ledger and the lives say."""
    sent_at = sorted(one["received_at"] for one in done.transmissions)
    waits = first_sends(done.lives[1:], sent_at, FIRST_SEND_SECONDS)  # the first one had nothing to send
    return [
        Figure("lost", verdict.lost, goal=NONE),
        Figure("duplicated", verdict.duplicated, goal=NONE),
        Figure("gaps shorter than told", verdict.early, goal=NONE),
        Figure("unasked", verdict.unasked, goal=NONE),
        Figure("first send after a restart, median", quantile(waits, 0.5), "s"),
        Figure("first send after a restart, max", max(waits, default=0.0), "s", FIRST_SEND),
        Figure("restarts too short to judge", len(done.lives) - 1 - len(waits)),
        Figure("damaged databases", done.damaged, goal=NONE),
        Figure("not told as sent in the end", done.status["total"] - done.status["sent"], goal=NONE),
    ]


async def _kill_again_and_again(world: World, senders: int, recipients: Sequence[str], waits: Sequence[float]) -> Run:
    done = Run()
    numbers = [sender_number(index) for index in range(senders)]
    gateway = await world.serve()
    await world.pair(gateway, numbers)
    body = request(numbers, [f"+{number}" for number in recipients], TEXT)
    campaign_id = (await gateway.post("/api/send", body))["campaign_id"]
    await world.sent_at_least(1)
    for wait in waits:
        await asyncio.sleep(wait)
        done.lives.append(Life(gateway.spawned_at, await gateway.kill()))
        done.damaged += is_damaged(world.folder / "gateway.db")
        gateway = await world.serve()
    done.status = await completed(gateway, campaign_id, END_SECONDS)
    await gateway.end()
    done.lives.append(Life(gateway.spawned_at, float("inf")))
    done.transmissions = await world.transmissions()
    return done


def is_damaged(database: Path) -> bool:
    """Whether SQLite finds anything wrong in a copy of these files, as they were left behind."""
    with TemporaryDirectory(prefix="waha-gateway-bench-") as folder:
        for path in (database, database.with_name(f"{database.name}-wal")):
            if path.exists():
                shutil.copy(path, folder)
        try:
            with closing(sqlite3.connect(Path(folder) / database.name)) as connection:
                return bool(connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)])
        except sqlite3.DatabaseError:
            return True
