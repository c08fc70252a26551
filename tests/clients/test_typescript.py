"""The TypeScript client: its types are generated from the API's own document, and it compiles and runs."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, STDOUT
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.processes import Command
from tests.seed_002.seed import read_seed
from whatsapp_scheduler import AsyncClient

CLIENT = Path(__file__).parents[2] / "client" / "typescript"
BUILT_BY = "npm install --no-package-lock --prefix client/typescript"

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node"),
    pytest.mark.skipif(not (CLIENT / "node_modules").exists(), reason=f"not installed: {BUILT_BY}"),
]

USES = """
import { ApiError, WhatsAppScheduler, verifyWebhook } from '@whatsapp-scheduler/sdk';

const client = new WhatsAppScheduler({ baseURL: 'ADDRESS' });
const ada = await client.recipients.create({
  name: 'Ada', phoneNumber: '+44 7700 900100', variables: { last_order: 7 },
});
const message = await client.messages.create({ title: 'Hi', content: 'Hi {{name}}' });
const group = await client.groups.create({ name: 'All', recipientIds: [ada.id] });
const schedule = await client.schedules.create({
  messageId: message.id, groupId: group.id, scheduledTime: new Date('LATER'),
});
const found = await client.schedules.get(schedule.id);
for await (const one of client.schedules.all({ status: 'pending' })) console.log(one.scheduledTime, one.recipientCount);
console.log(found.status, found.group.recipients[0]?.phoneNumber, (await client.recipients.get(ada.id)).variables);
try {
  await client.groups.delete(group.id);
} catch (error) {
  if (error instanceof ApiError) console.log(error.status, error.errorCode);
}
console.log((await client.schedules.cancel(schedule.id)).cancelledAt !== null);
console.log(await verifyWebhook('{}', 'SIGNATURE', 'secret'), await verifyWebhook('{} ', 'SIGNATURE', 'secret'));
"""
SIGNATURE = "77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"
"""HMAC-SHA256 of `{}` with the key `secret`."""


async def run(folder: Path, *command: str) -> str:
    """What a command prints; it must end well."""
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=PIPE, stderr=STDOUT)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def build(gateway: Command, folder: Path) -> Path:
    """A copy of the client, generated from the document of this gateway, with a project beside it that uses it."""
    client = folder / "client"
    shutil.copytree(CLIENT, client, ignore=shutil.ignore_patterns("node_modules", "dist", "schema.d.ts"))
    (client / "node_modules").symlink_to(CLIENT / "node_modules")
    (client / "openapi.json").write_text((await gateway.http.get("/openapi.json")).text)
    await run(client, "npm", "run", "--silent", "generate", "openapi.json")
    await run(client, "npm", "run", "--silent", "build")
    project = folder / "project"
    scope = project / "node_modules" / "@whatsapp-scheduler"
    scope.mkdir(parents=True)
    (scope / "sdk").symlink_to(client)
    (project / "node_modules" / "@types").symlink_to(CLIENT / "node_modules" / "@types")
    (project / "package.json").write_text('{"type": "module"}')
    return project


async def compile_and_run(project: Path, code: str) -> str:
    """What a program prints, after the compiler has found nothing wrong with it."""
    (project / "main.ts").write_text(code)
    compiler = str(CLIENT / "node_modules" / ".bin" / "tsc")
    options = ("--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom", "--skipLibCheck")
    await run(project, compiler, *options, "main.ts")
    return await run(project, "node", "main.js")


async def test_it_is_generated_compiles_and_does_its_work(gateway: Command, tmp_path: Path) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    code = USES.replace("ADDRESS", gateway.url).replace("LATER", later).replace("SIGNATURE", SIGNATURE)
    printed = await compile_and_run(await build(gateway, tmp_path), code)
    assert printed.splitlines() == [
        f"{later} 1",
        "pending +447700900100 { last_order: 7 }",
        "409 RESOURCE_IN_USE",
        "true",
        "true false",
    ]


async def test_the_promised_example_compiles_and_runs_as_it_stands(gateway: Command, tmp_path: Path) -> None:
    code = read_seed().blocks("JavaScript/TypeScript SDK", "typescript")[0].text
    async with AsyncClient(base_url=gateway.url) as client:
        people = [await client.recipients.create(name=f"P{n}", phone_number=f"+44770090010{n}") for n in (1, 2)]
    for shown, real in {
        "https://api.example.com": gateway.url,
        "your-api-key": "",
        "recipient-1": people[0].id,
        "recipient-2": people[1].id,
        "2024-01-01T10:00:00Z": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }.items():
        assert f"'{shown}'" in code
        code = code.replace(f"'{shown}'", f"'{real}'")
    printed = await compile_and_run(await build(gateway, tmp_path), f"{code}\nawait scheduleMessage();\n")
    assert printed.startswith("Scheduled with ID: ")
