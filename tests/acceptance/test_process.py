"""The main job with real processes: pair, send, be stopped or killed in the middle, start again, lose nothing."""

import re
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.acceptance.processes import Command

pytestmark = pytest.mark.timeout(110)

ADMIN_TOKEN = "canary-admin-token-4242"
WAHA_KEY = "canary-waha-key-4242"
CANARY_TEXT = "canary words for"
SENDERS = ["+447700900001", "+447700900002", "+447700900003"]
RECIPIENTS = [f"+44770090{index:04d}" for index in range(100, 130)]
MESSAGE_DELAY = 0.1
CONFIG = """
[server]
port = 0
[database]
url = "{database_url}"
data_folder = "{folder}/data"
[auth]
admin_token = "{admin_token}"
[[waha.servers]]
name = "waha1"
url = "{waha_url}"
api_key = "{waha_key}"
[dispatch]
message_delay = {message_delay}
sender_switch_delay = 0
hold_seconds = 1.5
lease_seconds = 2
[logging]
level = "DEBUG"
file = "{folder}/logs/gateway.log"
"""


class Stage:
    """A simulated WAHA and a gateway, each a process; the gateway can be ended and started again."""

    def __init__(self, stack: AsyncExitStack, folder: Path, database_url: str) -> None:
        self._stack = stack
        self.folder = folder
        self.database_url = database_url
        self.tokens: list[str] = []

    async def begin(self) -> None:
        """Start both."""
        arguments = ["--port", "0", "--speed", "5", "--latency", "0.2", "--api-key", WAHA_KEY]
        self.waha = await Command.start(self.folder, "simulate", *arguments)
        self._stack.push_async_callback(self.waha.end)
        (self.folder / "config.toml").write_text(
            CONFIG.format(
                database_url=self.database_url,
                folder=self.folder,
                admin_token=ADMIN_TOKEN,
                waha_url=self.waha.url,
                waha_key=WAHA_KEY,
                message_delay=MESSAGE_DELAY,
            )
        )
        await self.start_gateway()

    async def start_gateway(self) -> None:
        """Start the gateway on what it left behind."""
        self.gateway = await Command.start(self.folder, "serve", "--config", str(self.folder / "config.toml"))
        self._stack.push_async_callback(self.gateway.end, signal.SIGKILL)

    async def pair(self, number: str) -> None:
        """Connect a number, as a person with a phone does."""
        self.tokens.append((await self.gateway.post("/api/sessions", {"phone_number": number}))["sender_token"])

        async def shows_a_code() -> bool:
            return "qr_code" in await self.gateway.get(f"/api/sessions/{number}/qr")

        await self.gateway.until(shows_a_code)
        await self.waha.post(f"/sim/sessions/{number[1:]}/scan", {"phone": number[1:]})

        async def is_connected() -> bool:
            return bool((await self.gateway.get(f"/api/sessions/{number}"))["status"] == "CONNECTED")

        await self.gateway.until(is_connected)

    async def send(self, senders: list[str], recipients: list[str]) -> str:
        """Submit a campaign, a text of its own for each recipient; its id."""
        body = {
            "sender_number": senders[0],
            "sender_numbers": senders[1:],
            "template": CANARY_TEXT + " {{name}}",
            "recipients": [{"phone": phone, "variables": {"name": f"N{n}"}} for n, phone in enumerate(recipients)],
        }
        return str((await self.gateway.post("/api/send", body))["campaign_id"])

    async def transmissions(self) -> list[dict[str, Any]]:
        """What WhatsApp took."""
        return list((await self.waha.get("/sim/ledger"))["transmissions"])

    async def sent_at_least(self, count: int) -> None:
        """Wait until so many messages are out."""

        async def enough() -> bool:
            return len(await self.transmissions()) >= count

        await self.waha.until(enough)

    async def completed(self, campaign_id: str) -> dict[str, Any]:
        """Wait until the campaign has ended; its status."""

        async def status() -> dict[str, Any] | None:
            found: dict[str, Any] = await self.gateway.get(f"/api/status/{campaign_id}")
            return found if found["end_time"] else None

        found = await self.gateway.until(status)
        assert found is not None
        return found


@pytest.fixture
async def stage(tmp_path: Path, database_url: str) -> AsyncIterator[Stage]:
    """A stage on each kind of database, begun."""
    async with AsyncExitStack() as stack:
        stage = Stage(stack, tmp_path, database_url)
        await stage.begin()
        yield stage


def shortest_gap(transmissions: list[dict[str, Any]]) -> float:
    """The shortest time in seconds from an answer to the next send of the same sender."""
    by_sender: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in transmissions:
        by_sender[one["session"]].append(one)
    gaps: list[float] = [
        after["received_at"] - before["answered_at"]
        for sent in by_sender.values()
        for before, after in pairwise(sent)
        if before["answered_at"] is not None
    ]
    return min(gaps)


def canaries(stage: Stage) -> dict[str, str]:
    """What must be nowhere in a log, by what it is."""
    numbers = {f"number {number}": number[1:] for number in (*SENDERS, *RECIPIENTS)}
    tokens = {f"sender token {n}": token for n, token in enumerate(stage.tokens)}
    return {"admin token": ADMIN_TOKEN, "WAHA's key": WAHA_KEY, "text": CANARY_TEXT} | numbers | tokens


@pytest.mark.parametrize(
    ("database_url", "how"),
    [
        pytest.param("sqlite", signal.SIGTERM, id="stopped on SQLite"),
        pytest.param("postgresql", signal.SIGKILL, id="killed on PostgreSQL", marks=pytest.mark.postgres),
    ],
    indirect=["database_url"],
)
async def test_a_campaign_survives_the_end_of_the_process_in_its_middle(stage: Stage, how: signal.Signals) -> None:
    for number in SENDERS:
        await stage.pair(number)
    campaign_id = await stage.send(SENDERS, RECIPIENTS)
    await stage.sent_at_least(8)
    begun = time.monotonic()
    status = await stage.gateway.end(how)
    assert time.monotonic() - begun < 10
    assert status == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    assert 8 <= len(await stage.transmissions()) < len(RECIPIENTS)

    await stage.start_gateway()
    done = await stage.completed(campaign_id)
    assert (done["status"], done["sent"], done["failed"], done["unconfirmed"]) == ("completed", len(RECIPIENTS), 0, 0)
    transmissions = await stage.transmissions()
    shown = Counter(one["chat_id"] for one in transmissions if one["shown"])
    assert shown == Counter({f"{phone[1:]}@c.us": 1 for phone in RECIPIENTS}), "lost, or sent twice"
    if how is signal.SIGTERM:
        assert not [one for one in transmissions if one["repeat"]]
    assert {one["text"] for one in transmissions} == {f"{CANARY_TEXT} N{n}" for n in range(len(RECIPIENTS))}
    assert shortest_gap(transmissions) >= MESSAGE_DELAY


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_neither_logs_nor_the_database_tell_a_secret_a_text_or_a_whole_number(stage: Stage) -> None:
    await stage.pair(SENDERS[0])
    campaign_id = await stage.send(SENDERS[:1], RECIPIENTS[:10])
    await stage.waha.http.put("/sim/faults", json={"error_500": 0.3, "cut_after": 0.2})
    await stage.sent_at_least(5)
    await stage.waha.http.put("/sim/faults", json={})
    number, foreign = SENDERS[0], {"Origin": "https://elsewhere.example.org"}
    assert (await stage.gateway.http.get(f"/api/sessions/{number}/qr", headers=foreign)).status_code == 403
    await stage.waha.http.put("/sim/faults", json={"down": True})
    assert (await stage.gateway.http.get(f"/api/sessions/{number}/me")).status_code == 503
    wrong = {"X-Admin-Token": f"{ADMIN_TOKEN}x"}
    assert (await stage.gateway.http.get("/api/admin/metrics", headers=wrong)).status_code == 401
    await stage.waha.http.put("/sim/faults", json={})
    await stage.completed(campaign_id)
    assert await stage.gateway.end() == 0

    log = (stage.folder / "logs" / "gateway.log").read_text()
    for event in ("campaign_submitted", "session_state", "request_refused", "request_failed", "campaign_finished"):
        assert event in log
    for name, canary in canaries(stage).items():
        assert canary not in log, name
        assert canary not in stage.gateway.output.read_text(), name
    database = Path(make_url(stage.database_url).database or "")
    stored = b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*"))
    assert stored
    for secret in (WAHA_KEY, ADMIN_TOKEN, *stage.tokens):
        assert secret.encode() not in stored
    private = [*(stage.folder / "data").iterdir(), stage.folder / "logs" / "gateway.log"]
    assert {path.name for path in private} >= {"secret.key"}
    assert {path.stat().st_mode & 0o077 for path in private} == {0}
    assert not re.search(r"Traceback|\"level\": ?\"(error|critical)\"", log)
