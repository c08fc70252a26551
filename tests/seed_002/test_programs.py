"""The document's programs as they are written, in processes of their own, against a gateway in a process of its own.

Python with `requests`, JavaScript by Node, `curl`, and HTTPie. What is put in: addresses and ids.
"""

import csv
import importlib.util
import json
import re
import shlex
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.processes import Command
from tests.clients.conftest import gateway
from tests.seed_002.seed import Seed, assert_like

__all__ = ["gateway"]

pytestmark = pytest.mark.timeout(90)

ADDRESS = "https://api.example.com"


def needs(program: str) -> pytest.MarkDecorator:
    """Skips where a program is missing."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"there is no {program}")


async def printed(folder: Path, *command: str) -> str:
    """What a command prints; it must end well."""
    process = await create_subprocess_exec(*command, cwd=folder, stdout=PIPE, stderr=STDOUT)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.skipif(importlib.util.find_spec("requests") is None, reason="requests is not installed")
async def test_the_bulk_import_runs_with_requests(gateway: Command, seed: Seed, tmp_path: Path) -> None:
    group = await gateway.post("/api/recipients/groups", {"name": "Imported"})
    rows = [("Ada", "+44 7700 900100"), ("Bert", "0044 7700 900101"), ("Ada again", "+447700900100")]
    with (tmp_path / "recipients.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "phone"), *rows])
    code = seed.blocks("Bulk Import Example", "python")[0].text
    assert ADDRESS in code
    (tmp_path / "bulk.py").write_text(code.replace(ADDRESS, gateway.url).replace("group-id-here", group["id"]))
    lines = (await printed(tmp_path, sys.executable, "bulk.py")).splitlines()
    assert lines[:2] == ["Created: Ada", "Created: Bert"]
    assert lines[2].startswith("Failed: Ada again - ")
    assert "DUPLICATE_RESOURCE" in lines[2]
    assert (await gateway.get("/api/recipients", group_id=group["id"]))["total"] == 2


@needs("node")
async def test_the_pagination_runs_by_node(gateway: Command, seed: Seed, tmp_path: Path) -> None:
    titles = [f"Message {number}" for number in range(5)]
    for title in titles:
        await gateway.post("/api/messages", {"title": title, "content": "Hello"})
    code = seed.blocks("Pagination Example", "javascript")[0].text
    for per_page in ("100", "2"):
        program = code.replace(ADDRESS, gateway.url).replace("per_page=100", f"per_page={per_page}")
        program += "\nconsole.log(JSON.stringify((await getAllMessages()).map(message => message.title)));\n"
        (tmp_path / "pages.mjs").write_text(program)
        assert json.loads(await printed(tmp_path, "node", "pages.mjs")) == titles[::-1]


@needs("curl")
@needs("bash")
async def test_the_lines_for_curl_run(gateway: Command, seed: Seed, tmp_path: Path) -> None:
    code = seed.blocks("Using cURL", "bash")[0].text
    assert code.count("curl ") == 2
    script = code.replace(ADDRESS, gateway.url).replace("curl ", "echo; curl --silent --show-error --fail-with-body ")
    (tmp_path / "lines.sh").write_text(f"set -e\n{script}")
    health, message = map(json.loads, (await printed(tmp_path, "bash", "lines.sh")).split("\n")[1:])
    assert_like(seed.answer("Basic Health Check"), health)
    assert_like(seed.answer("Create Message"), message)
    assert (message["title"], message["content"]) == ("Test", "Hello World")


async def test_the_requests_of_the_lines_for_httpie_are_answered(gateway: Command, seed: Seed) -> None:
    """What HTTPie sends for its lines: `name=value` are fields of a JSON object. So it need not be installed."""
    lines = re.findall(r"^http (.+)$", seed.blocks("Using HTTPie", "bash")[0].text, re.MULTILINE)
    answers: list[Any] = []
    for line in lines:
        method, address, *fields = shlex.split(line)
        body = dict(field.split("=", 1) for field in fields) or None
        answer = await gateway.http.request(method, address.removeprefix("api.example.com"), json=body)
        assert answer.is_success, answer.text
        answers.append(answer.json())
    health, message = answers
    assert_like(seed.answer("Basic Health Check"), health)
    assert_like(seed.answer("Create Message") | {"title": "Test"}, message)
    assert (message["title"], message["content"]) == ("Test", "Hello")
