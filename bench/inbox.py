"""`inbox`: how many messages that come in are stored in a second, each once and in its thread.

A process of its own plays WAHA and tells of what many people write, as fast as it is taken: once over a WebSocket, once
by webhooks through the whole HTTP service. People go by their numbers and by their hidden ids, in turns; some messages
are told twice, some under both names, and all are out of order. Time is taken until the last one is committed; then
every thread is compared with what was written.
"""

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import uvloop
from sqlalchemy import func, select

from bench import options
from bench.numbers import RECIPIENTS, hidden_id, recipient_number, sender_number
from bench.report import Figure, Goal, Report, Sense, describe_machine
from bench.stage import Load, Spent, Stage, set_stage
from bench.teller import Incoming
from bench.telling import by_stream, by_webhook
from campaigns.inbox.tables import contact, conversation, incoming_message
from gateway.db import Database
from sessions.queries import sender

RATE = Goal(Sense.AT_LEAST, 1000)
NONE = Goal(Sense.EXACTLY, 0)
HIDDEN, REPEATED, BOTH = 0.3, 0.1, 0.05
"""How many of the messages come under a hidden id, are told twice, and are told under both names."""
OUT_OF_ORDER = 200
"""So many places a message is at most from where it belongs."""
AN_HOUR = 3600.0
NAMES_SECONDS = 60.0
Thread = tuple[str, str]
"""A sender and a person, by their digits."""


@dataclass(frozen=True, slots=True)
class Flood:
    """Messages as they were written, by thread in their order, and the events that tell of them as they come."""

    threads: dict[Thread, list[str]]
    events: list[Incoming]


@dataclass(frozen=True, slots=True)
class Taken:
    """How one way went: what it took, what was refused, and which threads are not as they were written."""

    messages: int
    events: int
    refused: int
    spent: Spent
    wrong: int

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.spent.seconds


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--messages", type=int, default=30_000, help="how many come in each way")
    parser.add_argument("--people", type=int, default=2000, help="how many write them")
    parser.add_argument("--senders", type=int, default=50, help="how many numbers of ours they write to")
    parser.add_argument("--connections", type=int, default=64, help="webhooks that are under way at once")
    options.add_database(parser)


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    options.require("--messages", chosen.messages, 1)
    options.require("--people", chosen.people, 1, RECIPIENTS)
    return uvloop.run(measure(chosen))


async def measure(chosen: argparse.Namespace) -> Report:
    """Run the benchmark; takes about a minute."""
    load = options.checked(Load(chosen.senders, chosen.senders, 0.0, "pool"))  # one message each, and they are free
    rng = random.Random(1)
    async with set_stage(load, chosen.database) as stage:
        await stage.run()
        streamed = await _take(stage, make_flood(rng, chosen, 0))
        posted = await _take(stage, make_flood(rng, chosen, chosen.messages), chosen.connections)
    return Report(
        name="inbox",
        work=f"{chosen.messages:,} messages each way of {chosen.people:,} people to {chosen.senders} senders, told by "
        f"{streamed.events:,} events, {chosen.database}",
        machine=describe_machine(),
        figures=[
            Figure("messages over a WebSocket", streamed.rate, "/s", RATE),
            Figure("messages by webhook", posted.rate, "/s", RATE),
            Figure("events by webhook", posted.events / posted.spent.seconds, "/s"),
            Figure("seconds over a WebSocket", streamed.spent.seconds, "s"),
            Figure("seconds by webhook", posted.spent.seconds, "s"),
            Figure("CPU of a message, WebSocket", streamed.spent.cpu_seconds / streamed.messages * 1000, "ms"),
            Figure("CPU of a message, webhook", posted.spent.cpu_seconds / posted.messages * 1000, "ms"),
            Figure("webhooks refused", posted.refused, goal=NONE),
            Figure("wrong threads after the WebSocket", streamed.wrong, goal=NONE),
            Figure("wrong threads after the webhooks", posted.wrong, goal=NONE),
        ],
    )


def make_flood(rng: random.Random, chosen: argparse.Namespace, first: int) -> Flood:
    """What people wrote within the last hour; the messages count up from `first`."""
    threads: dict[Thread, list[str]] = defaultdict(list)
    told: list[tuple[float, Incoming]] = []
    began = time.time() - AN_HOUR
    for number in range(first, first + chosen.messages):
        person, to = rng.randrange(chosen.people), sender_number(rng.randrange(chosen.senders))
        names = [f"{recipient_number(person)}@c.us", hidden_id(person)]
        text, message_id, at = f"message {number}", f"3EB0{number:018X}", began + number / 1000
        threads[to, recipient_number(person)].append(text)
        name = names[rng.random() < HIDDEN]
        copies = [name] * (2 if rng.random() < REPEATED else 1) if rng.random() >= BOTH else names
        for copy, chat in enumerate(copies):
            event = (2 * number + copy, to, chat, message_id, text, at)
            told.append((number + rng.uniform(0, OUT_OF_ORDER), event))
    return Flood(dict(threads), [event for _, event in sorted(told)])


async def _take(stage: Stage, flood: Flood, connections: int = 0) -> Taken:
    """Have a flood told, over a WebSocket or (over so many connections) by webhook; the first one is nothing else."""
    with TemporaryDirectory(prefix="waha-gateway-bench-") as folder:
        path = Path(folder) / "messages.json"
        path.write_bytes(orjson.dumps(flood.events))
        arguments = [str(path), "--incoming"]
        if connections:
            done, spent = await by_webhook(stage, arguments, connections)
        else:
            done, spent = await by_stream(stage, arguments, len(flood.events), stage.gateway.hearing.written)
    await _until_named(stage)
    messages = sum(len(thread) for thread in flood.threads.values())
    wrong = wrong_threads(flood, await stored_threads(stage.gateway.db, flood))
    return Taken(messages, len(flood.events), done["refused"], spent, wrong)


async def _until_named(stage: Stage) -> None:
    """Wait until WAHA has told whose each hidden id is; what is wrong after a while is told as wrong."""
    clock = stage.gateway.clock
    give_up_at = clock.monotonic() + NAMES_SECONDS
    nameless = select(func.count()).select_from(contact).where(contact.c.phone.is_(None))
    while clock.monotonic() < give_up_at:
        async with stage.gateway.db.read() as connection:
            if not (await connection.execute(nameless)).scalar_one():
                return
        await clock.sleep(0.1)


async def stored_threads(db: Database, flood: Flood) -> dict[Thread, list[str]]:
    """What is stored of a flood, in the order of each thread; a person without a number is nobody."""
    query = (
        select(sender.c.number, contact.c.phone, incoming_message.c.text)
        .select_from(incoming_message)
        .join(conversation, conversation.c.id == incoming_message.c.conversation_id)
        .join(contact, contact.c.id == conversation.c.contact_id)
        .join(sender, sender.c.id == conversation.c.sender_id)
        .order_by(incoming_message.c.at, incoming_message.c.id)
    )
    wanted = {text for thread in flood.threads.values() for text in thread}
    found: dict[Thread, list[str]] = defaultdict(list)
    async with db.read() as connection:
        for row in (await connection.execute(query)).all():
            if row.text in wanted:
                found[row.number, row.phone or "nobody"].append(row.text)
    return dict(found)


def wrong_threads(flood: Flood, stored: Mapping[Thread, Sequence[str]]) -> int:
    """How many threads are not exactly as they were written: something is missing, twice, elsewhere or out of order."""
    return sum(flood.threads.get(key) != stored.get(key) for key in flood.threads.keys() | stored.keys())
