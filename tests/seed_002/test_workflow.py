"""The complete workflow: the document's own curl lines as one shell script, against `gateway demo`."""

import asyncio
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.seed_002.seed import Seed

pytestmark = [
    pytest.mark.timeout(110),
    pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="there is no bash or no curl"),
]

STEPS = {
    "1. Create a Message Template": "message_id",
    "2. Create a Recipient Group": "group_id",
    "3. Add Recipients": "recipient_id",
    "4. Schedule the Message": "schedule_id",
}
HEAD = """
set -euo pipefail
answer() { curl -sS --fail-with-body "$@" | tee /dev/stderr; }
soon() { python3 -c 'import datetime as d; print(d.datetime.now(d.UTC) + d.timedelta(seconds=3))'; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
"""
TAIL = """
until [ "$status" != pending ] && [ "$status" != processing ]; do
  sleep 0.2
  status=$(CHECK | field status)
done
echo "$status"
"""


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a demo that has played its own campaign, and goes on running."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "demo", "--messages", "3", cwd=tmp_path, stdout=PIPE, stderr=DEVNULL
    )
    yield await address_of(process)
    process.terminate()
    await process.communicate()


async def address_of(process: Process) -> str:
    """Where the demo's API is, when it says so."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if found := re.search(r"(http://[\d.:]+)/docs", line):
                return found[1]
    raise AssertionError("the demo has ended")


def script_of(seed: Seed, url: str) -> str:
    """The document's lines: the address, ids and the date put in, and each answer's id kept for the next ones."""
    put_in = {
        "https://api.example.com": url,
        "2024-12-25T09:00:00Z": "'\"$(soon)\"'",
        "message-id-here": "'\"$message_id\"'",
        "group-id-here": "'\"$group_id\"'",
        "schedule-id-here": '"$schedule_id"',
    }

    def lines(heading: str) -> str:
        text = seed.blocks(heading, "bash")[0].text
        for shown, real in put_in.items():
            text = text.replace(shown, real)
        assert text.startswith("curl ")
        return "answer " + text.removeprefix("curl ")

    steps = [f"{name}=$({lines(heading)} | field id)" for heading, name in STEPS.items()]
    return "\n".join([HEAD, *steps, "status=pending", TAIL.replace("CHECK", lines("5. Check Status"))])


async def test_the_workflow_ends_with_a_message_that_was_sent(seed: Seed, demo: str) -> None:
    process = await asyncio.create_subprocess_exec("bash", "-c", script_of(seed, demo), stdout=PIPE, stderr=PIPE)
    output, errors = await process.communicate()
    assert process.returncode == 0, output.decode() + errors.decode()
    assert output.decode().split()[-1] == "sent"
