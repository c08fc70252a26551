"""`schedules`: what 100,000 schedules that wait cost, and whether one that is due begins on time.

A `gateway serve` has one sender, and templates and groups; one schedule that it made is copied behind its back until
there are so many, the first of them due tomorrow, a minute apart (see `filling`). Then it is started again and its list
asked for over one connection, with each filter in turn: each page has 100 rows, and the exact count of all that match.
While they wait, some schedules are made that are due within seconds; when the first message of each was taken by
WhatsApp is read off the simulator's ledger.

`--templates 1 --groups 1` has all of them send one text to one group, which is the most that these filters can find.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import orjson
import uvloop

from bench import options
from bench.databases import database_url
from bench.filling import copy_schedule, vacuum
from bench.numbers import recipient_number, sender_number
from bench.processes import Command
from bench.report import Figure, Goal, Report, Sense, describe_machine, quantile
from bench.world import Wishes, World, open_world
from gateway.db import Database

START = Goal(Sense.AT_MOST, 3.0)
P95 = Goal(Sense.AT_MOST, 50.0)
LATE = Goal(Sense.AT_MOST, 1.0)
NONE = Goal(Sense.EXACTLY, 0)
AHEAD_SECONDS = 4.0
"""So long before its time is a schedule made that is waited for."""
APART_SECONDS = 0.7
DAY = 86_400
WARM_UP = 5
PAGE = 100
MOST = 500_000
"""A schedule waits for a year at the most, and a minute has one of each text to each group."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What the schedules are made of: the ids of templates and groups; and when the first is due, in epoch seconds."""

    templates: Sequence[str]
    groups: Sequence[str]
    first_at: int
    schedules: int

    @property
    def seconds(self) -> int:
        """From the first one's time to after the last one's."""
        return 60 * -(-self.schedules // (len(self.templates) * len(self.groups)))


@dataclass(frozen=True, slots=True)
class Begun:
    """One schedule that was waited for: when it was due, began, and had its first message taken; epoch seconds."""

    due_at: float
    began_at: float
    taken_at: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured; times in seconds. `totals` is how many each list says that it has, `load` the machine's."""

    start_empty: float
    start: float
    times: Mapping[str, Sequence[float]]
    totals: Mapping[str, tuple[int, int]]
    begun: Sequence[Begun]
    load: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--schedules", type=int, default=100_000, help="how many wait")
    parser.add_argument("--templates", type=int, default=50, help="how many texts they send")
    parser.add_argument("--groups", type=int, default=20, help="how many groups they go to")
    parser.add_argument("--requests", type=int, default=100, help="how often each list is asked for")
    parser.add_argument("--due", type=int, default=10, help="how many become due while the others wait")
    options.add_database(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--schedules", chosen.schedules, PAGE, MOST)
    options.require("--templates", chosen.templates, 1, 1000)
    options.require("--groups", chosen.groups, 1, 1000)
    options.require("--requests", chosen.requests, 1)
    options.require("--due", chosen.due, 1, 100)
    return uvloop.run(measure(chosen))


async def measure(chosen: argparse.Namespace) -> Report:
    """Run the benchmark; takes about a minute for 100,000."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="waha-gateway-bench-")))
        url = await stack.enter_async_context(database_url(chosen.database, folder))
        world = await stack.enter_async_context(open_world(folder, url, Wishes()))
        found = await _run(world, url, chosen)
    return Report(
        name="schedules",
        work=(
            f"{chosen.schedules:,} schedules wait, {chosen.templates} texts for {chosen.groups} groups, {chosen.due} "
            f"become due, each list {chosen.requests} times, {chosen.database}"
        ),
        machine=describe_machine(),
        figures=figures(found),
    )


def figures(found: Found) -> list[Figure]:
    """The goals' figures, and what else says something about them."""
    told = [
        Figure("start-up, nothing waits", found.start_empty, "s"),
        Figure("start-up", found.start, "s", START),
        Figure("lists that count otherwise", sum(said != true for said, true in found.totals.values()), goal=NONE),
    ]
    for name, seconds in found.times.items():
        told.append(Figure(f"{name}, p50", quantile(seconds, 0.5) * 1000, "ms"))
        told.append(Figure(f"{name}, p95", quantile(seconds, 0.95) * 1000, "ms", P95))
    late = [one.began_at - one.due_at for one in found.begun]
    taken = [one.taken_at - one.due_at for one in found.begun]
    return [
        *told,
        Figure("begun too early", sum(seconds < 0 for seconds in late), goal=NONE),
        Figure("begins after its time, median", quantile(late, 0.5), "s"),
        Figure("begins after its time, max", max(late), "s", LATE),
        Figure("first message after its time, median", quantile(taken, 0.5), "s"),
        Figure("first message after its time, max", max(taken), "s", LATE),
        Figure("load of the machine in the last minute", found.load),
    ]


async def _run(world: World, url: str, chosen: argparse.Namespace) -> Found:
    gateway = await world.serve()
    start_empty = gateway.listening_at - gateway.spawned_at
    await world.pair(gateway, [sender_number(0)])
    stock = await _stock_up(gateway, chosen)
    schedule_id = await _schedule(gateway, stock.templates[0], stock.groups[0], stock.first_at)
    await gateway.end()
    db = Database(url)
    try:
        await copy_schedule(db, schedule_id, stock.schedules, stock.templates, stock.groups)
        await vacuum(db)
    finally:
        await db.close()
    gateway = await world.serve()
    lists = _lists(stock)
    times, totals = await _ask(gateway, lists, chosen.requests)
    begun = await _wait_for(world, gateway, stock, chosen.due)
    return Found(
        start_empty,
        gateway.listening_at - gateway.spawned_at,
        times,
        {name: (totals[name], _matching(stock, lists[name])) for name in lists},
        begun,
        os.getloadavg()[0],
    )


async def _stock_up(gateway: Command, chosen: argparse.Namespace) -> Stock:
    """Templates, and groups of one member each."""
    templates, groups = [], []
    for index in range(chosen.templates):
        body = {"title": f"Reminder {index}", "content": "Hello {{name}}, this is a reminder."}
        templates.append((await gateway.post("/api/messages", body))["id"])
    for index in range(chosen.groups):
        person = {"name": f"Person {index}", "phone_number": f"+{recipient_number(index)}"}
        member = (await gateway.post("/api/recipients", person))["id"]
        group = {"name": f"Group {index}", "recipient_ids": [member]}
        groups.append((await gateway.post("/api/recipients/groups", group))["id"])
    return Stock(templates, groups, (int(time.time()) // 60 + DAY // 60) * 60, chosen.schedules)


async def _schedule(gateway: Command, template_id: str, group_id: str, at: float) -> str:
    body = {"message_id": template_id, "group_id": group_id, "scheduled_time": _iso(at)}
    return str((await gateway.post("/api/schedules", body))["id"])


def _lists(stock: Stock) -> dict[str, dict[str, Any]]:
    """What is asked for, by its name: the parameters of each list."""
    quarter = stock.seconds // 240 * 60
    early, late = _iso(stock.first_at + quarter), _iso(stock.first_at + stock.seconds - quarter)
    first, last = _iso(stock.first_at), _iso(stock.first_at + stock.seconds)
    template, group = stock.templates[0], stock.groups[0]
    everything = {"status": "pending", "from_date": first, "to_date": last, "message_id": template, "group_id": group}
    return {
        "all": {},
        "earliest first": {"sort_order": "asc"},
        "status, all": {"status": "pending"},
        "status, earliest first": {"status": "pending", "sort_order": "asc"},
        "status, none": {"status": "sent"},
        "from_date, all": {"from_date": first},
        "to_date, all": {"to_date": last},
        "from_date and to_date, half": {"from_date": early, "to_date": late},
        "from_date, to_date, status": {"from_date": first, "to_date": last, "status": "pending"},
        "message_id": {"message_id": template},
        "group_id": {"group_id": group},
        "group_id, earliest first": {"group_id": group, "sort_order": "asc"},
        "message_id and group_id": {"message_id": template, "group_id": group},
        "message_id, status": {"message_id": template, "status": "pending"},
        "group_id, status": {"group_id": group, "status": "pending"},
        "group_id, status, none": {"group_id": group, "status": "sent"},
        "all filters": everything,
        "all filters, earliest first": everything | {"sort_order": "asc"},
        "page in the middle": {"skip": stock.schedules // 2},
        "page at the end": {"skip": stock.schedules - PAGE - 1},
        "status, page at the end": {"status": "pending", "skip": stock.schedules - PAGE - 1},
        "from_date, page at the end": {"from_date": first, "skip": stock.schedules - PAGE - 1},
        "page after the end": {"skip": stock.schedules},
    }


def _matching(stock: Stock, asked: Mapping[str, Any]) -> int:
    """How many schedules a list has, by how they were laid out (`copy_schedule`), while all of them wait."""
    if asked.get("status") == "sent":
        return 0
    kinds = len(stock.templates) * len(stock.groups)
    first = datetime.fromisoformat(asked["from_date"]).timestamp() if "from_date" in asked else stock.first_at
    last = datetime.fromisoformat(asked["to_date"]).timestamp() if "to_date" in asked else 2 * stock.first_at
    minutes = [(stock.first_at + 60 * (index // kinds), index % kinds) for index in range(stock.schedules)]
    return sum(
        first <= at < last
        and ("message_id" not in asked or kind % len(stock.templates) == 0)
        and ("group_id" not in asked or kind // len(stock.templates) == 0)
        for at, kind in minutes
    )


async def _ask(
    gateway: Command, lists: Mapping[str, Mapping[str, Any]], requests: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Ask for all in turns, so that what else the machine does meets them alike."""
    times: dict[str, list[float]] = {name: [] for name in lists}
    totals: dict[str, int] = {}
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(gateway.url, connector=connector, raise_for_status=True) as http:
        for index in range(WARM_UP + requests):
            for name, asked in lists.items():
                began = time.perf_counter()
                async with http.get("/api/schedules", params=asked) as answer:
                    body = await answer.read()
                if index >= WARM_UP:
                    times[name].append(time.perf_counter() - began)
                else:
                    totals[name] = orjson.loads(body)["total"]
    return times, totals


async def _wait_for(world: World, gateway: Command, stock: Stock, count: int) -> list[Begun]:
    """Make schedules that are due soon, and wait until a message of each was taken."""
    due: dict[str, float] = {}
    first_at = time.time() + AHEAD_SECONDS
    before = len(await world.transmissions())
    for index in range(count):
        at = first_at + index * APART_SECONDS
        body = {"title": f"Due {index}", "content": f"Due {index}"}
        template = (await gateway.post("/api/messages", body))["id"]
        due[await _schedule(gateway, template, stock.groups[0], at)] = at
        await asyncio.sleep(APART_SECONDS)
    await world.sent_at_least(before + count)
    taken = {one["text"]: float(one["received_at"]) for one in await world.transmissions(before)}
    begun = []
    for schedule_id, at in due.items():
        told = await gateway.get(f"/api/schedules/{schedule_id}")
        began_at = datetime.fromisoformat(told["processing_started_at"]).timestamp()
        begun.append(Begun(at, began_at, taken[told["message"]["content"]]))
    return begun


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
