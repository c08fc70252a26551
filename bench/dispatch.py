"""`dispatch`: how many messages a second go out and are on disk as sent, against bare calls of the same client.

Bare calls are what is left when everything that makes a gateway is taken away: one loop for each sender that posts
again and again, through an `httpx.AsyncClient` over the transport that ours uses, with requests built from ready
parts. They are measured before and after, in the same process and against the same sink, so the ratio says what our
own work costs on whatever machine this is.

`WahaClient` leaves out what a client of httpx adds to its transport. So its own calls, `send_text` in as many loops,
are told as well: no dispatcher that makes them can be faster than these.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import httpx
import orjson
import uvloop

from bench import options
from bench.numbers import recipient_number, sender_number
from bench.report import Figure, Goal, Report, Sense, describe_machine
from bench.sink import Sent
from bench.stage import TEXT, Load, Spent, Stopwatch, set_stage
from gateway.waha.client import WahaClient, make_transport
from gateway.waha.ids import make_chat_id, make_message_id

RATIO = Goal(Sense.AT_LEAST, 0.8)
NONE = Goal(Sense.EXACTLY, 0)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_load(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    return uvloop.run(measure(options.read_load(chosen), chosen.database))


async def measure(load: Load, database: str) -> Report:
    """Run the benchmark; takes some ten seconds for 20,000 messages."""
    async with set_stage(load, database) as stage:
        before = await bare_calls(stage.sink.url, load)
        lean = await waha_calls(stage.sink.url, load)
        await stage.sink.forget()
        spent = await stage.run()
        record = await stage.sink.record()
        states = await stage.states()
        stored = await stage.stored_ids()
        after = await bare_calls(stage.sink.url, load)
    durable = load.messages / spent.seconds
    bare = load.messages * (1 / before.seconds + 1 / after.seconds) / 2
    arrived = [sent for entries in record.values() for sent in entries]
    lost, doubled = count_faults(arrived, load.messages)
    return Report(
        name="dispatch",
        work=f"{load.messages:,} messages, {load.senders} senders, {load.shape_in_words}, no delays, {database}",
        machine=describe_machine(),
        figures=[
            Figure("ratio", durable / bare, goal=RATIO),
            Figure("durable messages", durable, "/s"),
            Figure("bare calls", bare, "/s"),
            Figure("bare calls before", load.messages / before.seconds, "/s"),
            Figure("bare calls after", load.messages / after.seconds, "/s"),
            Figure("ratio to WahaClient's calls", durable * lean.seconds / load.messages),
            Figure("WahaClient's calls", load.messages / lean.seconds, "/s"),
            Figure("CPU of a durable message", spent.cpu_seconds / load.messages * 1000, "ms"),
            Figure("CPU of a bare call", (before.cpu_seconds + after.cpu_seconds) / 2 / load.messages * 1000, "ms"),
            Figure("CPU of a call of WahaClient", lean.cpu_seconds / load.messages * 1000, "ms"),
            Figure("lost", lost, goal=NONE),
            Figure("doubled", doubled, goal=NONE),
            Figure("not settled as sent", load.messages - states.get("sent", 0), goal=NONE),
            Figure("stored under another id", len(stored ^ {sent.message_id for sent in arrived}), goal=NONE),
        ],
    )


def count_faults(arrived: Sequence[Sent], submitted: int) -> tuple[int, int]:
    """How many of the submitted messages never arrived, and how many arrivals were repeats."""
    distinct = len({sent.message_id for sent in arrived})
    return submitted - distinct, len(arrived) - distinct


async def bare_calls(url: str, load: Load) -> Spent:
    """What httpx takes for as many posts as there are messages."""
    headers = httpx.Headers({"Content-Type": "application/json", "Accept-Encoding": "identity"})
    address = httpx.URL(f"{url}/api/sendText")

    async def post(client: httpx.AsyncClient, name: str, recipient: str) -> None:
        body = {"session": name, "chatId": make_chat_id(recipient), "text": TEXT, "id": make_message_id()}
        request = httpx.Request("POST", address, headers=headers, content=orjson.dumps(body))
        answer = await client.send(request)
        orjson.loads(answer.raise_for_status().content)

    async with httpx.AsyncClient(transport=make_transport(load.senders), trust_env=False) as client:
        return await _in_loops(load, partial(post, client))


async def waha_calls(url: str, load: Load) -> Spent:
    """What our own client takes for them."""

    async def send(client: WahaClient, name: str, recipient: str) -> None:
        await client.send_text(name, make_chat_id(recipient), TEXT, make_message_id())

    async with WahaClient(url, "") as client:
        return await _in_loops(load, partial(send, client))


async def _in_loops(load: Load, call: Callable[[str, str], Awaitable[None]]) -> Spent:
    """Call for every message, in one loop for each sender."""
    calls = iter(range(load.messages))

    async def repeat(name: str) -> None:
        for index in calls:
            await call(name, recipient_number(index))

    watch = Stopwatch()
    await asyncio.gather(*(repeat(sender_number(index)) for index in range(load.senders)))
    return watch.read()
