"""Live events with a thousand listeners on one replica, in a process of its own: all hear all, and it stays small."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.acceptance.processes import Command

pytestmark = [pytest.mark.timeout(110), pytest.mark.slow]

SOCKETS = 1000
AT_ONCE = 50
SCHEDULES = 10
ADMIN_TOKEN = "a-thousand-sockets-token"
MOST_GROWTH_MB = 110
CONFIG = """
[server]
port = 0
[database]
url = "sqlite:///{folder}/gateway.db"
data_folder = "{folder}/data"
[auth]
admin_token = "{admin_token}"
"""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Command]:
    """A gateway that listens, without WAHA."""
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(folder=tmp_path, admin_token=ADMIN_TOKEN))
    command = await Command.start(tmp_path, "serve", "--config", str(config))
    command.http.headers["X-Admin-Token"] = ADMIN_TOKEN
    yield command
    await command.end()


async def listen_to(stack: AsyncExitStack, gateway: Command) -> ClientConnection:
    """One more listener, let in."""
    address = gateway.url.replace("http://", "ws://") + "/ws"
    client = await stack.enter_async_context(connect(address, proxy=None, compression=None, ping_interval=None))
    await client.send(orjson.dumps({"type": "auth", "token": ADMIN_TOKEN}).decode())
    assert orjson.loads(await client.recv())["type"] == "ready"
    return client


async def hear(client: ClientConnection, count: int) -> list[tuple[int, str]]:
    """The next events of one listener: sequence and id of what was made."""
    told = [orjson.loads(await client.recv()) for _ in range(count)]
    return [(one["sequence"], one["data"]["id"]) for one in told]


async def make_schedules(gateway: Command) -> list[str]:
    """Make some; their ids in order."""
    text = await gateway.post("/api/messages", {"title": "Hi", "content": "Hello"})
    person = await gateway.post("/api/recipients", {"name": "Ada", "phone_number": "+12125550100"})
    group = await gateway.post("/api/recipients/groups", {"name": "All", "recipient_ids": [person["id"]]})
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    async def make(index: int) -> str:
        at = (tomorrow + timedelta(hours=index)).isoformat()
        body: dict[str, Any] = {"message_id": text["id"], "group_id": group["id"], "scheduled_time": at}
        return str((await gateway.post("/api/schedules", body))["id"])

    return [await make(index) for index in range(SCHEDULES)]


def resident_mb(gateway: Command) -> float:
    """The memory that the process holds."""
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def test_a_thousand_listeners_on_one_replica_all_hear_everything_in_order(gateway: Command) -> None:
    before = resident_mb(gateway)
    async with AsyncExitStack() as stack:
        clients: list[ClientConnection] = []
        while len(clients) < SOCKETS:
            clients += await asyncio.gather(*(listen_to(stack, gateway) for _ in range(AT_ONCE)))
        hearing = asyncio.gather(*(hear(client, SCHEDULES) for client in clients))
        made = await make_schedules(gateway)
        heard = await hearing
        health = await gateway.get("/health/detailed")
        grown = resident_mb(gateway) - before
    assert [schedule_id for _, schedule_id in heard[0]] == made
    assert all(one == heard[0] for one in heard)
    assert health["status"] == "healthy"
    assert grown < MOST_GROWTH_MB
