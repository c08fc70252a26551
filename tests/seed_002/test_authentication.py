"""The seed's section on authentication: its login, as it is written there, and the token used as it says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.api import conftest as api
from tests.api.world import ADMIN_TOKEN

empty_database, make_world = api.empty_database, api.make_world
SEEDS = Path(__file__).parents[3] / "shared" / "seeds"


def section() -> str:
    """The text of the seed about authentication."""
    found = sorted(SEEDS.glob("002_*.txt"))
    if not found:
        pytest.skip("the seed is not beside this project")
    return found[0].read_text(encoding="utf-8").split("\n## Authentication")[1].split("\n## ")[0]


def example(kind: str, text: str) -> str:
    """The first code block of a kind."""
    block = re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return block[1]


async def test_the_login_of_the_seed_gives_tokens_that_are_used_as_it_says(make_world: api.MakeWorld) -> None:
    text = section()
    world = await make_world(auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    head, body = example("http", text).split("\n\n", 1)
    request_line, content_type = head.splitlines()
    method, path = request_line.split()
    user: dict[str, Any] = json.loads(body)
    await world.admin("POST", "/api/admin/logins", user, status=201)

    name, value = content_type.split(": ")
    answer = await world.call(method, path, headers={name: value}, content=body, status=200)

    promised: dict[str, Any] = json.loads(example("json", text))
    given: dict[str, Any] = answer.json()
    assert {key: type(value) for key, value in given.items()} == {key: type(value) for key, value in promised.items()}
    assert list(given) == list(promised)
    assert (given["token_type"], given["expires_in"]) == (promised["token_type"], promised["expires_in"])
    assert given["access_token"].startswith(promised["access_token"].rstrip("."))

    use = text.split("### Using Authentication Token")[1]
    shown = re.search(r"^Authorization: Bearer (\S+)$", use, re.MULTILINE)
    assert shown is not None
    header = shown[0].replace(shown[1], given["access_token"]).split(": ")
    await world.call("GET", "/api/campaigns", headers={header[0]: header[1]}, status=200)
    await world.call("GET", "/api/campaigns", status=401)
