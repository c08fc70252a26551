"""Ways to break a replica from inside its own process: death between two steps, and guards that are switched off.

Each is a function that a test hands to `Stage.serve(preparations=...)`; it changes the imported product in that
process only, before it starts.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import claiming, dispatcher
from campaigns.sending.claim_statements import DUE_LANES
from campaigns.sending.models import MessageState
from campaigns.sending.outcomes import Claim, Outcome, Result
from campaigns.sending.tables import lane, message
from campaigns.sending.transmitter import StillOurs, Transmitter
from gateway.db import Database, waits
from gateway.waha import client
from gateway.waha.client import WahaClient
from gateway.waha.schemas import SentMessage
from tests.faults.harness.runner import swap

T = TypeVar("T")
Step = Literal["claim committed", "request written", "answer read", "settlement written", "settlement committed"]
STEPS: tuple[Step, ...] = (
    "claim committed",
    "request written",
    "answer read",
    "settlement written",
    "settlement committed",
)
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x00020000, 0x4000, 0x40000
WRITTEN_SECONDS = 0.1


def die_at(step: Step, send: int, how: signal.Signals = signal.SIGKILL) -> None:
    """From now on the process dies (or is stopped) at `step` of the send number `send` (from 1) that it makes."""

    def die() -> None:
        os.kill(os.getpid(), how)

    watch = _Watch(step, send)
    sent, written = WahaClient.send_text, Database.write

    async def send_text(client: WahaClient, session: str, chat_id: str, text: str, message_id: str) -> SentMessage:
        chosen = watch.counts_now()
        if chosen and step == "claim committed":
            die()
        if chosen and step == "request written":
            asyncio.get_running_loop().call_later(WRITTEN_SECONDS, die)
        answer = await sent(client, session, chat_id, text, message_id)
        if chosen and step == "answer read":
            die()
        if chosen:
            watch.message_id = message_id
        return answer

    @asynccontextmanager
    async def write(db: Database, **how: bool) -> AsyncIterator[AsyncConnection]:
        async with written(db, **how) as tx:
            yield tx
            settled = watch.message_id is not None and await _is_settled(tx, watch.message_id)
            if settled and step == "settlement written":
                die()
        if settled and step == "settlement committed":
            die()

    swap(WahaClient, "send_text", send_text)
    swap(Database, "write", write)


class _Watch:
    def __init__(self, step: Step, send: int) -> None:
        self.step = step
        self._left = send
        self.message_id: str | None = None

    def counts_now(self) -> bool:
        self._left -= 1
        return self._left == 0


async def _is_settled(tx: AsyncConnection, message_id: str) -> bool:
    query = select(message.c.state).where(message.c.wa_id == message_id)
    return str((await tx.execute(query)).scalar_one()) != MessageState.SENDING


def believe_that_nothing_left() -> None:
    """Guard off: what a dead process left behind, and what is uncertain, goes again without a look-up."""

    async def absent(_: Transmitter, claim: Claim, age_seconds: float) -> Outcome:
        return Outcome(Result.ABSENT, "absent", f"nobody looked, after {age_seconds} s, for {claim.message_id}")

    swap(Transmitter, "_reconcile", absent)


def keep_leases_for_ever() -> None:
    """Guard off: a lane whose lease is over stays with the replica that had it."""
    swap(claiming, "DUE_LANES", DUE_LANES.where(lane.c.owner.is_(None)))


def share_the_file() -> None:
    """Guard off: a second process is let onto a SQLite file."""

    def take(_: Database) -> None:
        return

    swap(Database, "claim_file", take)


def send_one_at_a_time() -> None:
    """Guard off: lanes do not work side by side, so that one server that hangs holds up the others."""
    carry_out, door = Transmitter.carry_out, asyncio.Lock()

    async def queue_up(transmitter: Transmitter, claim: Claim, age_seconds: float, still_ours: StillOurs) -> Outcome:
        async with door:
            return await carry_out(transmitter, claim, age_seconds, still_ours)

    swap(Transmitter, "carry_out", queue_up)


def wait_for_ever() -> None:
    """Guard off: a request to WAHA has no end."""
    swap(client, "_timeout", lambda _seconds: dict.fromkeys(("connect", "read", "write", "pool")))


def await_the_database() -> None:
    """Guard off: neither a connection nor a transaction has an end."""
    swap(waits, "ACQUIRE_SECONDS", None)
    swap(waits, "ANSWER_SECONDS", None)


def take_nothing_back() -> None:
    """Guard off: what is armed stays so, whatever is paused or cancelled."""
    swap(dispatcher.Dispatcher, "_take_back", lambda self, _chosen: self.wake())


def stop_without_grace() -> None:
    """Guard off: an orderly end does not wait for what is in flight."""
    stop = dispatcher.Dispatcher.stop

    async def stop_now(self: Any, grace_seconds: float = 0.0) -> None:
        await stop(self, 0.0 * grace_seconds)

    swap(dispatcher.Dispatcher, "stop", stop_now)


def die_of(word: str) -> None:
    """The process dies of every text that has this word in it."""
    send_text = WahaClient.send_text

    async def send(client: WahaClient, session: str, chat_id: str, text: str, message_id: str) -> SentMessage:
        if word in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return await send_text(client, session, chat_id, text, message_id)

    swap(WahaClient, "send_text", send)


def live_on_a_small_disk(folder: str, kilobytes: int) -> None:
    """Give this process a file system of its own at `folder`, so small; others see it under /proc/PID/root."""
    libc = ctypes.CDLL(None, use_errno=True)
    for done in (
        libc.unshare(CLONE_NEWNS),
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
        libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, f"size={kilobytes}k".encode()),
    ):
        if done != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def take_failures_for_commits() -> None:
    """Guard off: a commit that failed counts as one."""
    written = Database.write

    @asynccontextmanager
    async def write(db: Database, **how: bool) -> AsyncIterator[AsyncConnection]:
        with contextlib.suppress(SQLAlchemyError):
            async with written(db, **how) as tx:
                yield tx

    swap(Database, "write", write)
