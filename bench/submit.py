"""`submit`: POST /api/send with 100,000 recipients to `gateway serve`, and what others notice of it meanwhile.

A small campaign is being sent at a steady pace, and other clients ask for GET /health and for its status twenty times a
second each; an answer's time counts from when the question was due. Then one POST brings 100,000 recipients, for
senders of its own, which begin to send at once. Its time counts until the answer is read; the memory is the most that
the process ever held (VmHWM). The lateness is that of the small campaign's sends which were due in that time.
"""

import argparse
import asyncio
import http.client
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import uvloop

from bench import options
from bench.asking import Asked, asking
from bench.databases import database_url
from bench.numbers import RECIPIENTS, recipient_number, sender_number
from bench.processes import Command, ProcessFailed, cpu_seconds, peak_memory
from bench.report import Figure, Goal, Report, Sense, describe_machine, quantile
from bench.stage import TEXT
from bench.world import Wishes, World, open_world, request

NONE = Goal(Sense.EXACTLY, 0)
SECONDS = Goal(Sense.AT_MOST, 10)
MEMORY = Goal(Sense.AT_MOST, 400)
MESSAGE_DELAY = 1.0
SMALL_SENDERS, BIG_SENDERS = 20, 10
SMALL_MESSAGES = 4_000
RATE = 20.0


@dataclass(slots=True)
class Run:
    """What was done and seen: `began_at` and `ended_at` of the POST are epoch seconds, memory is bytes."""

    began_at: float = 0.0
    ended_at: float = 0.0
    calm: dict[str, list[float]] = field(default_factory=dict)
    busy: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0
    cpu: float = 0.0
    memory_before: int = 0
    memory: int = 0
    queued: int = 0
    transmissions: list[dict[str, Any]] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--recipients", type=int, default=100_000, help="how many are submitted at once")
    parser.add_argument("--variables", action="store_true", help="with a name for each, so that texts are rendered")
    parser.add_argument("--calm", type=float, default=3.0, help="seconds of looking before the POST, and after it")
    options.add_database(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--recipients", chosen.recipients, 1, RECIPIENTS)
    options.require("--calm", chosen.calm, 0)
    return uvloop.run(measure(chosen.recipients, chosen.database, chosen.calm, variables=chosen.variables))


async def measure(recipients: int, database: str, calm: float, *, variables: bool) -> Report:
    """Run the benchmark; takes about half a minute."""
    body = orjson.dumps(big_request(recipients, variables=variables))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="waha-gateway-bench-")))
        url = await stack.enter_async_context(database_url(database, folder))
        wishes = Wishes(message_delay=MESSAGE_DELAY, max_recipients=RECIPIENTS)
        world = await stack.enter_async_context(open_world(folder, url, wishes))
        done = await _submit(world, body, calm)
    each = "each with a name" if variables else "one text"
    return Report(
        name="submit",
        work=(
            f"{recipients:,} recipients in one POST of {len(body) / 1e6:.1f} MB, {each}, beside {SMALL_SENDERS} "
            f"senders that send every {MESSAGE_DELAY:g} s, {database}"
        ),
        machine=describe_machine(),
        figures=figures(done, recipients),
    )


def big_request(recipients: int, *, variables: bool) -> dict[str, Any]:
    """The body with so many recipients."""
    numbers = [f"+{recipient_number(index)}" for index in range(recipients)]
    senders = [sender_number(SMALL_SENDERS + index) for index in range(BIG_SENDERS)]
    if not variables:
        return request(senders, numbers, TEXT)
    named = [{"phone": number, "variables": {"name": f"N{index}"}} for index, number in enumerate(numbers)]
    return request(senders, named, "Dear {{name}}, " + TEXT)


def lateness(
    transmissions: Sequence[Mapping[str, Any]], sessions: Sequence[str], delay: float, first: float, last: float
) -> list[float]:
    """How many seconds late (negative: early) each send of these sessions was that was due from `first` to `last`."""
    lanes: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in sorted(transmissions, key=lambda one: float(one["received_at"])):
        lanes[str(one["session"])].append(one)
    pairs = [
        (float(before["answered_at"]) + delay, float(after["received_at"]))
        for session in sessions
        for before, after in pairwise(lanes[session])
        if before["answered_at"] is not None
    ]
    return [received_at - due for due, received_at in pairs if first <= due <= last]


def figures(done: Run, recipients: int) -> list[Figure]:
    """What was seen."""
    small = [sender_number(index) for index in range(SMALL_SENDERS)]
    late = lateness(done.transmissions, small, MESSAGE_DELAY, done.began_at, done.ended_at)
    found = [
        Figure("seconds to the answer", done.ended_at - done.began_at, "s", SECONDS),
        Figure("CPU of the service meanwhile", done.cpu, "s"),
        Figure("peak memory of the service", done.memory / 1e6, "MB", MEMORY),
        Figure("peak memory before", done.memory_before / 1e6, "MB"),
        Figure("recipients not queued", recipients - done.queued, goal=NONE),
        Figure("questions not answered well", done.failed, goal=NONE),
    ]
    for name, seconds in done.busy.items():
        found += [
            Figure(f"{name} meanwhile, p50", quantile(seconds, 0.5) * 1000, "ms"),
            Figure(f"{name} meanwhile, p99", quantile(seconds, 0.99) * 1000, "ms"),
            Figure(f"{name} meanwhile, max", max(seconds, default=0.0) * 1000, "ms"),
            Figure(f"{name} before, p99", quantile(done.calm[name], 0.99) * 1000, "ms"),
        ]
    return [
        *found,
        Figure("small campaign's sends meanwhile", len(late)),
        Figure("their lateness p50", quantile(late, 0.5) * 1000, "ms"),
        Figure("their lateness p99", quantile(late, 0.99) * 1000, "ms"),
        Figure("their lateness max", max(late, default=0.0) * 1000, "ms"),
        Figure("gaps shorter than told", sum(seconds < 0 for seconds in late), goal=NONE),
    ]


async def _submit(world: World, body: bytes, calm: float) -> Run:
    gateway = await world.serve()
    numbers = [sender_number(index) for index in range(SMALL_SENDERS + BIG_SENDERS)]
    await world.pair(gateway, numbers)
    recipients = [f"+{recipient_number(index)}" for index in range(SMALL_MESSAGES)]
    small = await gateway.post("/api/send", request(numbers[:SMALL_SENDERS], recipients, TEXT))
    await world.sent_at_least(2 * SMALL_SENDERS)
    done = Run(memory_before=peak_memory(gateway.process.pid))
    status = f"/api/status/{small['campaign_id']}"
    async with (
        aiohttp.ClientSession(gateway.url, connector=aiohttp.TCPConnector(limit=0)) as session,
        asking(session, "/health", RATE) as health,
        asking(session, status, RATE) as states,
    ):
        told = {"GET /health": health, "GET /api/status": states}
        await asyncio.sleep(calm)
        done.calm = _take(told)
        done.cpu = -cpu_seconds(gateway.process.pid)
        done.began_at = time.time()
        answer = await asyncio.to_thread(_post, gateway, body)
        done.ended_at = time.time()
        done.cpu += cpu_seconds(gateway.process.pid)
        done.busy = _take(told)
        await asyncio.sleep(calm)
    done.failed = health.failed + states.failed
    done.queued = answer["total"]
    done.memory = peak_memory(gateway.process.pid)
    done.transmissions = await world.transmissions()
    return done


def _take(told: Mapping[str, Asked]) -> dict[str, list[float]]:
    """What was measured since the last time."""
    found = {name: list(asked.seconds) for name, asked in told.items()}
    for asked in told.values():
        asked.seconds.clear()
    return found


def _post(gateway: Command, body: bytes) -> dict[str, Any]:
    """In a thread of its own, so that it takes no time from those who ask meanwhile."""
    place = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=300)
    try:
        connection.request("POST", "/api/send", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status != 201:
        raise ProcessFailed(f"POST /api/send answered {answer.status}: {content[:500]!r}")
    return dict(orjson.loads(content))
