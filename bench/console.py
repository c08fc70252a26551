"""`console`: how soon the overview is there, and how soon it shows what was sent, beside a million messages.

Campaigns, each through senders of its own, were short when they were submitted, and are made longer behind the
product's back (see `filling`). They are running in one `gateway serve` while the page is asked for over one connection:
the first byte, and the whole of it. At the same time a second one reads its live stream; an update is late by the time
from WhatsApp taking the n-th message to the page saying that so many are sent.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import aiohttp
import uvloop

from bench import options
from bench.databases import database_url
from bench.filling import lengthen
from bench.numbers import SENDERS, recipient_number, sender_number
from bench.processes import Command, until
from bench.report import Figure, Goal, Report, Sense, describe_machine, quantile
from bench.stage import TEXT
from bench.world import PATIENCE_SECONDS, Wishes, World, open_world, request
from gateway.vault import read_or_create_admin_token

FIRST_BYTE = Goal(Sense.AT_MOST, 150.0)
LATE = Goal(Sense.AT_MOST, 1.0)
SOME = Goal(Sense.AT_LEAST, 1)
NONE = Goal(Sense.EXACTLY, 0)
HOME = "/console"
SHORT = 20
WARM_UP = 5
SENT_TILE = re.compile(r'tile-name">Sent<.*?tile-value">([\d,]+)<', re.DOTALL)


@dataclass(slots=True)
class Seen:
    """What somebody saw who watches the overview: when it said how many are sent, oldest first; epoch seconds."""

    counts: list[tuple[int, float]] = field(default_factory=list)

    def shown_at(self, count: int) -> float | None:
        """When it first said so many, or more."""
        return next((at for said, at in self.counts if said >= count), None)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--messages", type=int, default=1_000_000, help="in all campaigns together")
    parser.add_argument("--campaigns", type=int, default=50, help="how many are running")
    parser.add_argument("--senders", type=int, default=200, help="how many send them")
    parser.add_argument("--delay", type=float, default=60.0, help="seconds between two messages of a sender")
    parser.add_argument("--requests", type=int, default=200, help="how often the page is asked for")
    options.add_database(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--campaigns", chosen.campaigns, 1)
    options.require("--senders", chosen.senders, chosen.campaigns, SENDERS)
    options.require("--messages", chosen.messages, chosen.campaigns * SHORT)
    options.require("--requests", chosen.requests, 1)
    return uvloop.run(measure(chosen))


async def measure(chosen: argparse.Namespace) -> Report:
    """Run the benchmark; takes two minutes for a million messages."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="waha-gateway-bench-")))
        url = await stack.enter_async_context(database_url(chosen.database, folder))
        world = await stack.enter_async_context(open_world(folder, url, Wishes(message_delay=chosen.delay)))
        await _submit(world, chosen.campaigns, chosen.senders)
        await lengthen(url, chosen.messages)
        gateway = await world.serve()
        cookie = await _log_in(gateway, folder)
        first, whole, lateness = await _look(world, gateway, cookie, chosen)
    return Report(
        name="console",
        work=(
            f"{chosen.messages:,} messages, {chosen.campaigns} campaigns, {chosen.senders} senders, "
            f"a message each {chosen.delay:g} s, {chosen.requests} times, {chosen.database}"
        ),
        machine=describe_machine(),
        figures=figures(first, whole, lateness),
    )


def figures(first: Sequence[float], whole: Sequence[float], lateness: Sequence[float | None]) -> list[Figure]:
    """The goals' figures. `lateness` is None for a message that was never shown."""
    shown = [one for one in lateness if one is not None]
    told = [
        Figure("first byte, p50", quantile(first, 0.5) * 1000, "ms"),
        Figure("first byte, p95", quantile(first, 0.95) * 1000, "ms", FIRST_BYTE),
        Figure("whole page, p95", quantile(whole, 0.95) * 1000, "ms"),
        Figure("updates", len(shown), goal=SOME),
        Figure("never shown", len(lateness) - len(shown), goal=NONE),
    ]
    if not shown:
        return told
    return [
        *told,
        Figure("shown after, median", quantile(shown, 0.5), "s"),
        Figure("shown after, p95", quantile(shown, 0.95), "s", LATE),
        Figure("shown after, max", max(shown), "s"),
    ]


async def _submit(world: World, campaigns: int, senders: int) -> None:
    """The campaigns, each with a message sent; the gateway has ended then."""
    gateway = await world.serve()
    numbers = [sender_number(index) for index in range(senders)]
    await world.pair(gateway, numbers)
    recipients = [f"+{recipient_number(index)}" for index in range(SHORT)]
    for index in range(campaigns):
        await gateway.post("/api/send", request(numbers[index::campaigns], recipients, TEXT))
    await world.sent_at_least(senders)
    await gateway.end()


async def _log_in(gateway: Command, folder: Path) -> str:
    """The cookie of an operator who came in by a one-time link."""
    headers = {"X-Admin-Token": read_or_create_admin_token(folder / "data")}
    link = (await gateway.http.post("/api/admin/console-link", headers=headers)).raise_for_status().json()["url"]
    code = parse_qs(urlsplit(link).query)["code"]
    answer = await gateway.http.post(f"{HOME}/enter", data={"code": code}, headers={"Origin": gateway.url})
    name, value = next(iter(answer.cookies.items()))
    return f"{name}={value}"


async def _look(
    world: World, gateway: Command, cookie: str, chosen: argparse.Namespace
) -> tuple[list[float], list[float], list[float | None]]:
    """Ask for the page while somebody watches it; gives seconds to the first byte, to the last, and of each update."""
    seen, before = Seen(), len(await world.transmissions())
    async with aiohttp.ClientSession(gateway.url, headers={"Cookie": cookie}, raise_for_status=True) as http:
        baseline = _sent(await (await http.get(HOME)).text())
        assert baseline is not None
        watching = asyncio.create_task(_watch(http, seen))
        first, whole = await _ask(http, chosen.requests)

        async def taken() -> list[float]:
            """When what must have been shown by now was taken; what came later may not have been shown yet."""
            latest = time.time() - 2 * LATE.limit
            times = sorted(float(one["received_at"]) for one in await world.transmissions(before))
            return [at for at in times if at < latest]

        found = await until(taken, "messages went out while somebody watched", chosen.delay + PATIENCE_SECONDS)
        watching.cancel()
    lateness: list[float | None] = []
    for index, at in enumerate(found):
        shown = seen.shown_at(baseline + index + 1)
        lateness.append(None if shown is None else shown - at)
    return first, whole, lateness


async def _ask(http: aiohttp.ClientSession, requests: int) -> tuple[list[float], list[float]]:
    first: list[float] = []
    whole: list[float] = []
    for index in range(WARM_UP + requests):
        began = time.perf_counter()
        async with http.get(HOME) as answer:
            await answer.content.readany()
            begun = time.perf_counter() - began
            await answer.read()
        if index >= WARM_UP:
            first.append(begun)
            whole.append(time.perf_counter() - began)
        await asyncio.sleep(0.1)
    return first, whole


async def _watch(http: aiohttp.ClientSession, seen: Seen) -> None:
    async with http.get(f"{HOME}/overview/live") as stream:
        told = b""
        async for chunk in stream.content.iter_any():
            told += chunk
            *events, told = told.split(b"\n\n")
            for event in events:
                if (sent := _sent(event.decode())) is not None:
                    seen.counts.append((sent, time.time()))


def _sent(html: str) -> int | None:
    found = SENT_TILE.search(html)
    return int(found[1].replace(",", "")) if found else None
