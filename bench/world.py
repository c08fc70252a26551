"""A simulated WAHA and the gateway as its users run them: `gateway simulate` and `gateway serve`, over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from bench.processes import LOOK_SECONDS, Command, run_command, until
from bench.stage import UNLIMITED

SPEED = 4.0
"""How much faster than life the simulator's phones are, so that pairing takes a moment."""
PATIENCE_SECONDS = 60.0
PAIRED_AT_ONCE = 8
_CONFIG = """
[server]
port = 0
[database]
url = "{url}"
data_folder = "{folder}/data"
[[waha.servers]]
name = "{name}"
url = "{waha}"
capacity = 1000
[dispatch]
message_delay = {wishes.message_delay}
sender_switch_delay = 0
jitter = {wishes.jitter}
hold_seconds = {wishes.hold_seconds}
lease_seconds = {wishes.lease_seconds}
[limits]
recipients_per_campaign = {wishes.max_recipients}
{unlimited}
[logging]
level = "WARNING"
file = ""
"""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a benchmark wants to be otherwise than by default; all times in seconds."""

    message_delay: float = 0.0
    jitter: float = 0.0
    latency: float = 0.05
    hold_seconds: float = 3.0
    lease_seconds: float = 5.0
    max_recipients: int = 100_000


@dataclass(slots=True)
class World:
    """One simulator and one database; gateways come and go."""

    folder: Path
    waha: Command
    stack: AsyncExitStack

    async def serve(self) -> Command:
        """Start a gateway on what is there; it ends with the world, if not before."""
        gateway = await Command.start(self.folder, "serve", "--config", str(self.folder / "config.toml"))
        self.stack.push_async_callback(gateway.kill)
        return gateway

    async def pair(self, gateway: Command, numbers: Sequence[str]) -> None:
        """Connect these senders (digits), as people with phones do."""
        at_once = asyncio.Semaphore(PAIRED_AT_ONCE)

        async def pair(number: str) -> None:
            async with at_once:
                await gateway.post("/api/sessions", {"phone_number": number})
                await gateway.get(f"/api/sessions/{number}/qr")

        async def connected() -> bool:
            told = await asyncio.gather(*(gateway.get(f"/api/sessions/{number}") for number in numbers))
            return all(session["status"] == "CONNECTED" for session in told)

        await asyncio.gather(*(pair(number) for number in numbers))
        await until(connected, "all senders are connected", PATIENCE_SECONDS)

    async def transmissions(self, since: int = 0) -> list[dict[str, Any]]:
        """What WhatsApp took after transmission number `since`, oldest first."""
        return list((await self.waha.get("/sim/ledger", since=since))["transmissions"])

    async def sent_at_least(self, count: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until so many messages are out."""

        async def enough() -> bool:
            return bool(await self.transmissions(count - 1))

        await until(enough, f"{count} messages are out", seconds)


def write_config(folder: Path, url: str, name: str, waha: str, wishes: Wishes) -> Path:
    """The settings file of gateways on the database at `url` that send to one WAHA server; its path."""
    config = folder / "config.toml"
    unlimited = "\n".join(f"{limit} = {value}" for limit, value in UNLIMITED.items())
    config.write_text(_CONFIG.format(folder=folder, url=url, name=name, waha=waha, wishes=wishes, unlimited=unlimited))
    return config


@asynccontextmanager
async def open_world(folder: Path, url: str, wishes: Wishes) -> AsyncIterator[World]:
    """Start a simulator, and have the database at `url` ready for gateways; all of it ends with the block."""
    async with AsyncExitStack() as stack:
        arguments = ["--port", "0", "--speed", str(SPEED), "--auto-scan", "0.4"]
        waha = await Command.start(folder, "simulate", *arguments, "--latency", str(wishes.latency * SPEED))
        stack.push_async_callback(waha.kill)
        config = write_config(folder, url, "simulator", waha.url, wishes)
        if not url.startswith("sqlite"):  # which the gateway brings up to date by itself
            await run_command(folder, "migrate", "--config", str(config))
        yield World(folder, waha, stack)


def request(senders: Sequence[str], recipients: Sequence[Any], text: str) -> dict[str, Any]:
    """The body of POST /api/send; senders are digits, recipients as the API takes them."""
    return {
        "sender_number": f"+{senders[0]}",
        "sender_numbers": [f"+{number}" for number in senders[1:]],
        "recipients": list(recipients),
        "template": text,
    }


async def completed(gateway: Command, campaign_id: str, seconds: float, every: float = LOOK_SECONDS) -> dict[str, Any]:
    """The status of a campaign when it has ended, for which it gets so many seconds; the database may be away."""

    async def ended() -> dict[str, Any] | None:
        answer = await gateway.http.get(f"/api/status/{campaign_id}")
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return None
        status: dict[str, Any] = answer.raise_for_status().json()
        return status if status["end_time"] else None

    found = await until(ended, "the campaign has ended", seconds, every)
    assert found is not None
    return found
