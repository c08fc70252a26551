"""The document's programs as they are written, in processes of their own, against a gateway in a process of its own.

Python with `requests`, JavaScript by Node. What is put in: the address, the key, and numbers of fiction.
"""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from gateway.vault import admin_token_file
from tests.acceptance.processes import Command
from tests.api.world import ALICE
from tests.clients.conftest import gateway
from tests.seed_002.seed import Seed, assert_like
from tests.seed_002.test_programs import needs, printed

__all__ = ["gateway"]

pytestmark = pytest.mark.timeout(90)

NUMBERS = {"+1234567890": "+447700900100", "+0987654321": "+447700900101"}


async def key_of(gateway: Command, folder: Path) -> str:
    """The key of a new client with a number, made by the operator, whose token lies in the data folder."""
    token = admin_token_file(folder / "data").read_text().strip()
    client = {"name": "infinity", "senders": [ALICE]}
    made = await gateway.http.post("/api/admin/clients", json=client, headers={"X-Admin-Token": token})
    assert made.is_success, made.text
    return str(made.json()["api_key"])


def filled(code: str, key: str) -> str:
    """The program with a key and numbers put in."""
    assert "your_api_key" in code
    for number, other in NUMBERS.items():
        code = code.replace(number, other)
    return code.replace("your_api_key", key)


@pytest.mark.skipif(importlib.util.find_spec("requests") is None, reason="requests is not installed")
async def test_the_single_message_runs_with_requests(gateway: Command, seed: Seed, tmp_path: Path) -> None:
    code = filled(seed.blocks("Python Example", "python")[0].text, await key_of(gateway, tmp_path))
    assert "http://localhost:8000" in code
    (tmp_path / "single.py").write_text(code.replace("http://localhost:8000", gateway.url))
    told = (await printed(tmp_path, sys.executable, "single.py")).strip().splitlines()[-1]
    shown = seed.answer("Send Single Message")
    answer = json.loads(told.replace("'", '"').replace("True", "true"))
    assert_like(shown, answer)
    assert set(answer) == set(shown)


@needs("node")
async def test_the_bulk_runs_by_node(gateway: Command, seed: Seed, tmp_path: Path) -> None:
    code = filled(seed.blocks("JavaScript Example", "javascript")[0].text, await key_of(gateway, tmp_path))
    assert "fetch('/api" in code
    told = "console.log(JSON.stringify(data))"
    program = code.replace("fetch('/api", f"fetch('{gateway.url}/api").replace("console.log(data)", told)
    (tmp_path / "bulk.mjs").write_text(program)
    answer = json.loads(await printed(tmp_path, "node", "bulk.mjs"))
    assert [one["success"] for one in answer["results"]] == [True, True]
    assert [one["phone_number"] for one in answer["results"]] == list(NUMBERS.values())
