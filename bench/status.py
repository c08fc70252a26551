"""`status`: what it takes to look at a campaign of a million messages, against one of a hundred.

Both campaigns are running, through the same senders, in one `gateway serve`; each sender has sent one message and rests
for a day. The long one was short when it was submitted, and was made longer behind the product's back (see `filling`).
The two are asked for in turns over one connection: the status, the status with details (the first page), one message
from the middle, and, only to be told, the last page of the details, which the database has to count its way to.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import uvloop

from bench import options
from bench.databases import database_url
from bench.filling import lengthen_one, vacuum
from bench.numbers import recipient_number, sender_number
from bench.processes import Command, until
from bench.report import Figure, Goal, Report, Sense, describe_machine, quantile
from bench.stage import TEXT
from bench.world import Wishes, World, open_world, request
from gateway.db import Database

P50 = Goal(Sense.AT_MOST, 1.5)
P95 = Goal(Sense.AT_MOST, 2.0, checked=False)
SHORT = 100
SENDERS = 10
REST_SECONDS = 86_400.0
WARM_UP = 20
Times = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""By what was asked for: the seconds of each answer, of the long campaign and of the short one."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--messages", type=int, default=1_000_000, help="length of the long campaign")
    parser.add_argument("--requests", type=int, default=400, help="how often each is asked for")
    options.add_database(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--messages", chosen.messages, SHORT)
    options.require("--requests", chosen.requests, 1)
    return uvloop.run(measure(chosen.messages, chosen.requests, chosen.database))


async def measure(messages: int, requests: int, database: str) -> Report:
    """Run the benchmark; takes about a minute for a million."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="waha-gateway-bench-")))
        url = await stack.enter_async_context(database_url(database, folder))
        world = await stack.enter_async_context(open_world(folder, url, Wishes(message_delay=REST_SECONDS)))
        long, short = await _submit_both(world)
        await _lengthen(url, long, messages)
        gateway = await world.serve()
        times = await _ask(gateway, long, short, messages, requests)
    return Report(
        name="status",
        work=f"a campaign of {messages:,} messages and one of {SHORT}, {requests} times each, {database}",
        machine=describe_machine(),
        figures=figures(times),
    )


def figures(times: Times) -> list[Figure]:
    """The ratios, and what they are made of."""
    found = []
    for name, (long, short) in times.items():
        judged = name != "last page"
        for share, goal in ((0.5, P50), (0.95, P95)):
            ratio = quantile(long, share) / quantile(short, share)
            found.append(Figure(f"{name}, p{share * 100:.0f} ratio", ratio, goal=goal if judged else None))
        found += [
            Figure(f"{name}, p50 long", quantile(long, 0.5) * 1000, "ms"),
            Figure(f"{name}, p50 short", quantile(short, 0.5) * 1000, "ms"),
        ]
    return found


async def _submit_both(world: World) -> tuple[str, str]:
    """Two campaigns through the same senders, each with a message sent; the gateway has ended then."""
    gateway = await world.serve()
    numbers = [sender_number(index) for index in range(SENDERS)]
    await world.pair(gateway, numbers)
    recipients = [f"+{recipient_number(index)}" for index in range(SHORT)]
    half = SENDERS // 2  # the lanes of each half serve one campaign first
    long = await gateway.post("/api/send", request(numbers, recipients, TEXT))
    short = await gateway.post("/api/send", request(numbers[half:] + numbers[:half], recipients, TEXT))
    await world.sent_at_least(SENDERS)

    async def all_is_settled() -> bool:
        told = [await gateway.get(f"/api/status/{one['campaign_id']}") for one in (long, short)]
        return bool(sum(one["sent"] for one in told) == SENDERS)

    await until(all_is_settled, "the first messages are settled", 30)
    await gateway.end()
    return long["campaign_id"], short["campaign_id"]


async def _lengthen(url: str, campaign_id: str, messages: int) -> None:
    db = Database(url)
    try:
        await lengthen_one(db, campaign_id, messages)
        await vacuum(db)
    finally:
        await db.close()


async def _ask(gateway: Command, long: str, short: str, messages: int, requests: int) -> Times:
    """Ask for both in turns, so that what else the machine does meets both."""
    paths = [await _paths(gateway, long, messages), await _paths(gateway, short, SHORT)]
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in paths[0]}
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(gateway.url, connector=connector, raise_for_status=True) as http:
        for index in range(WARM_UP + requests):
            for name, both in times.items():
                for seconds, mine in zip(both, paths, strict=True):
                    began = time.perf_counter()
                    async with http.get(mine[name]) as answer:
                        await answer.read()
                    if index >= WARM_UP:
                        seconds.append(time.perf_counter() - began)
    return times


async def _paths(gateway: Command, campaign_id: str, messages: int) -> dict[str, str]:
    status = f"/api/status/{campaign_id}"
    page = await gateway.get(status, details="true", skip=messages // 2, limit=1)
    message_id = page["messages"]["items"][0]["id"]
    return {
        "status": status,
        "with details": f"{status}?details=true",
        "one message": f"/api/campaigns/{campaign_id}/messages/{message_id}",
        "last page": f"{status}?details=true&skip={messages - 20}",
    }
