"""`receipts`: how many of WAHA's events are taken in and on disk in a second, against the dispatch rate of this run.

First the messages are sent, as `dispatch` does. Then a process of its own tells what a WAHA would tell of each (that it
went out, that it was delivered, that it was read): once over a WebSocket, once by webhooks through the whole HTTP
service. Time is taken until the last receipt is committed.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import uvloop
from sqlalchemy import func, select, update

from bench import options
from bench.report import Figure, Goal, Report, Sense, describe_machine
from bench.stage import Load, Spent, Stage, set_stage
from bench.telling import by_stream, by_webhook
from campaigns.sending.models import MessageState
from campaigns.sending.tables import campaign, message
from gateway.app import Gateway

STREAM_RATIO = Goal(Sense.AT_LEAST, 3.0)
WEBHOOK_RATIO = Goal(Sense.AT_LEAST, 1.0)
NONE = Goal(Sense.EXACTLY, 0)


@dataclass(frozen=True, slots=True)
class Told:
    """How one way of telling went: what it took, and what was left undone."""

    events: int
    refused: int
    spent: Spent
    not_read: int

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.spent.seconds


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_load(parser)
    parser.add_argument("--connections", type=int, default=64, help="webhooks that are under way at once")


def run(chosen: argparse.Namespace) -> Report:
    """Run it as it was chosen."""
    return uvloop.run(measure(options.read_load(chosen), chosen.database, chosen.connections))


async def measure(load: Load, database: str, connections: int) -> Report:
    """Run the benchmark; takes about a minute for 20,000 messages."""
    async with set_stage(load, database) as stage:
        sent = await stage.run()
        await stage.gateway.dispatcher.stop()
        with TemporaryDirectory(prefix="waha-gateway-bench-") as folder:
            messages = Path(folder) / "messages.json"
            record = await stage.sink.record()
            told = [(name, one.chat_id, one.message_id) for name, sent_by in record.items() for one in sent_by]
            messages.write_bytes(orjson.dumps(told))
            streamed = await _by_stream(stage, messages)
            await _forget_receipts(stage.gateway)
            posted = await _by_webhook(stage, messages, connections)
    rate = load.messages / sent.seconds
    return Report(
        name="receipts",
        work=(
            f"{load.messages:,} messages with 3 events each, {load.senders} senders, {load.shape_in_words}, {database}"
        ),
        machine=describe_machine(),
        figures=[
            Figure("WebSocket ratio", streamed.rate / rate, goal=STREAM_RATIO),
            Figure("webhook ratio", posted.rate / rate, goal=WEBHOOK_RATIO),
            Figure("dispatched messages", rate, "/s"),
            Figure("events over a WebSocket", streamed.rate, "/s"),
            Figure("events by webhook", posted.rate, "/s"),
            Figure("CPU of an event, WebSocket", streamed.spent.cpu_seconds / streamed.events * 1000, "ms"),
            Figure("CPU of an event, webhook", posted.spent.cpu_seconds / posted.events * 1000, "ms"),
            Figure("webhooks refused", posted.refused, goal=NONE),
            Figure("not read after the WebSocket", streamed.not_read, goal=NONE),
            Figure("not read after the webhooks", posted.not_read, goal=NONE),
        ],
    )


async def _by_stream(stage: Stage, messages: Path) -> Told:
    total = 3 * sum(len(sent) for sent in (await stage.sink.record()).values())
    done, spent = await by_stream(stage, [str(messages)], total, stage.gateway.receipts.written)
    return Told(done["events"], done["refused"], spent, await _not_read(stage.gateway))


async def _by_webhook(stage: Stage, messages: Path, connections: int) -> Told:
    done, spent = await by_webhook(stage, [str(messages), "--first", "1000000"], connections)
    return Told(done["events"], done["refused"], spent, await _not_read(stage.gateway))


async def _not_read(gateway: Gateway) -> int:
    async with gateway.db.read() as connection:
        others = select(func.count()).select_from(message).where(message.c.state != MessageState.READ)
        counted = select(func.sum(campaign.c.total - campaign.c.n_read))
        rows = int((await connection.execute(others)).scalar_one())
        return max(rows, int((await connection.execute(counted)).scalar_one()))


async def _forget_receipts(gateway: Gateway) -> None:
    """Have all messages as they were before any receipt came."""
    async with gateway.db.write() as tx:
        await tx.execute(update(message).values(state=MessageState.SENT, ack=1, delivered_at=None, read_at=None))
        await tx.execute(update(campaign).values(n_sent=campaign.c.n_sent + campaign.c.n_read, n_read=0))
