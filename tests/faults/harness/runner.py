"""What runs in a replica's process: `gateway serve` as it is, and before it whatever a test breaks in it.

Replicas are forked from a server that has imported the product already (`multiprocessing`'s forkserver): so a restart
takes a fraction of a second. What a test breaks is a function of the tests that is called in the new process; the
product has no switch for it.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.__main__ import main
from gateway.waha.client import WahaClient
from gateway.waha.schemas import SentMessage

REPLICA = "X-Replica"
Preparation = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Order:
    """Which replica to run; its output goes to a file."""

    name: str
    folder: Path
    config: Path
    output: Path
    preparations: tuple[Preparation, ...] = ()


def run(order: Order) -> None:
    """Be the replica; ends with its exit status."""
    os.chdir(order.folder)
    with order.output.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sign_requests(order.name)
    note_sends(order.folder / f"{order.name}.sends")
    for prepare in order.preparations:
        prepare()
    sys.argv = ["gateway", "serve", "--config", str(order.config)]
    main()


def sign_requests(name: str) -> None:
    """Have every request to WAHA say from which replica it comes."""
    made = WahaClient.__init__

    def make(client: Any, *args: Any, **options: Any) -> None:
        made(client, *args, **options)
        for headers in (client._headers, client._json_headers):
            headers[REPLICA] = name

    swap(WahaClient, "__init__", make)


def note_sends(file: Path) -> None:
    """Have the process write down when it starts each send, and under which id: one line each."""
    send_text = WahaClient.send_text
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def send(client: WahaClient, session: str, chat_id: str, text: str, message_id: str) -> SentMessage:
        os.write(descriptor, f"{time.time()!r} {message_id}\n".encode())
        return await send_text(client, session, chat_id, text, message_id)

    swap(WahaClient, "send_text", send)


def swap(owner: Any, name: str, value: Any) -> None:
    """Replace what `owner` calls `name`; AssertionError where there is no such thing any more."""
    assert hasattr(owner, name), f"{owner} has no {name}: nothing is replaced"
    setattr(owner, name, value)


def nursery() -> Any:
    """The multiprocessing context whose children are forked from a process that is warm."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "gateway.app", "uvicorn.protocols.http.httptools_impl", "uvloop"])
    return context
