"""The API holds what its OpenAPI document says, asked by thousands of requests that are made from it.

Each operation gets its examples, every edge of every field, what is just beyond it, and methods and types that it does
not have; then chains of requests as the answers lead to them, and what has ids is asked about things that are there. A
violation is printed with a curl line that shows it.
"""

import sys
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.processes import Command

pytestmark = pytest.mark.timeout(600)

ADMIN_TOKEN = "described-admin-token-4242"
WAHA_KEY = "described-waha-key-4242"
CONFIG = """
[server]
port = 0
[database]
url = "sqlite:///{folder}/gateway.db"
data_folder = "{folder}/data"
[auth]
admin_token = "{admin_token}"
[waha]
events = "webhook"
webhook_url = "http://127.0.0.1:9/api/webhook/waha"
webhook_secret = "described-webhook-secret"
[[waha.servers]]
name = "waha1"
url = "{waha_url}"
api_key = "{waha_key}"
[webhooks]
allow_private_addresses = true
[limits]
reads_per_minute = 0
writes_per_minute = 0
schedules_per_minute = 0
pairings_per_minute = 0
logins_per_minute = 0
logins_per_minute_per_address = 0
[logging]
level = "WARNING"
file = ""
"""
CHECKS = Path(__file__).with_name("schemathesis.toml")
CHAINS_SECONDS = "30"
EXHAUSTIVE = ("--phases", "examples,coverage")
CHAINED = ("--phases", "stateful", "--max-time", CHAINS_SECONDS)
OF_THESE = (
    "--include-path-regex",
    r"^/api/(schedules|webhooks|recipients/import/\{)",
    "--exclude-method",
    "DELETE",
)
OPERATOR = {"X-Admin-Token": ADMIN_TOKEN}


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What is ended after the test."""
    async with AsyncExitStack() as found:
        yield found


async def serve(stack: AsyncExitStack, folder: Path) -> Command:
    """A gateway and a simulated WAHA."""
    waha = await Command.start(folder, "simulate", "--port", "0", "--api-key", WAHA_KEY)
    stack.push_async_callback(waha.end)
    config = CONFIG.format(folder=folder, admin_token=ADMIN_TOKEN, waha_url=waha.url, waha_key=WAHA_KEY)
    (folder / "config.toml").write_text(config)
    gateway = await Command.start(folder, "serve")
    stack.push_async_callback(gateway.end)
    return gateway


async def walk(gateway: Command, folder: Path, *options: str, known: Mapping[str, str] | None = None) -> None:
    """Ask everything that the document describes, with all checks on; print what it does not hold.

    The parameters in `known` always have these values.
    """
    config = folder / "schemathesis.toml"
    values = "".join(f'"{name}" = "{value}"\n' for name, value in (known or {}).items())
    config.write_text(f"[parameters]\n{values}\n{CHECKS.read_text()}")
    process = await create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "--no-color",
        "--config-file",
        str(config),
        "run",
        f"{gateway.url}/openapi.json",
        "--checks=all",
        "--continue-on-failure",
        "--generation-deterministic",
        *options,
        cwd=folder,
        stdout=PIPE,
        stderr=STDOUT,
    )
    report, _ = await process.communicate()
    assert process.returncode == 0, report.decode()
    assert '"level": "error"' not in gateway.output.read_text()


async def make_things(gateway: Command) -> dict[str, str]:
    """One of each kind of thing that has an id, as parameters of the requests about it."""
    gateway.http.headers.update(OPERATOR)
    message = await gateway.post("/api/messages", {"title": "Hi", "content": "Hi {{name}}"})
    ada = await gateway.post("/api/recipients", {"name": "Ada", "phone_number": "+447700900100"})
    group = await gateway.post("/api/recipients/groups", {"name": "All", "recipient_ids": [ada["id"]]})
    body = {
        "message_id": message["id"],
        "group_id": group["id"],
        "scheduled_time": (datetime.now(UTC) + timedelta(days=3)).isoformat(),
    }
    schedule = await gateway.post("/api/schedules", body)
    webhook = await gateway.post("/api/webhooks", {"url": "http://127.0.0.1:9/", "events": ["*"]})
    delivery = await gateway.post(f"/api/webhooks/{webhook['id']}/test")
    rows = {"file": ("list.csv", b"name,phone\r\nBen,+447700900101\r\nNobody,none\r\n", "text/csv")}
    listed = await gateway.http.post("/api/recipients/import", params={"on_bad_row": "partial"}, files=rows)
    made = {
        "message_id": message,
        "recipient_id": ada,
        "group_id": group,
        "schedule_id": schedule,
        "webhook_id": webhook,
        "delivery_id": delivery,
        "import_id": listed.json(),
    }
    return {f"path.{name}": thing["id"] for name, thing in made.items()} | {
        f"body.{name}": value for name, value in body.items()
    }


async def test_an_operator_finds_every_operation_as_described(stack: AsyncExitStack, tmp_path: Path) -> None:
    gateway = await serve(stack, tmp_path)
    for phase in (EXHAUSTIVE, CHAINED):
        await walk(gateway, tmp_path, *phase, "--header", f"X-Admin-Token: {ADMIN_TOKEN}")


async def test_about_things_that_are_there_it_is_as_described(stack: AsyncExitStack, tmp_path: Path) -> None:
    gateway = await serve(stack, tmp_path)
    known = await make_things(gateway)
    await walk(gateway, tmp_path, *EXHAUSTIVE, *OF_THESE, "--header", f"X-Admin-Token: {ADMIN_TOKEN}", known=known)


async def test_without_a_credential_it_is_as_described_too(stack: AsyncExitStack, tmp_path: Path) -> None:
    await walk(await serve(stack, tmp_path), tmp_path, *EXHAUSTIVE)
