"""Somebody at the console, as their browser: it keeps the cookie, and sends what a page of ours would send."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from admin.console.door import CSRF_HEADER
from tests.api.world import ADMIN_TOKEN, World

ADDRESS = "http://127.0.0.1:8000"


@asynccontextmanager
async def open_visitor(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of its own."""
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers={"Origin": ADDRESS}) as client:
        yield client


async def log_in(visitor: httpx.AsyncClient) -> None:
    """Come in as an operator."""
    answer = await visitor.post("/console/login", data={"token": ADMIN_TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console"), answer.text


async def log_in_user(world: World, visitor: httpx.AsyncClient, account: str, name: str = "user") -> None:
    """Come in as a new user of an account."""
    email, password = f"{name}@{account}.example", "secure_password"
    await world.gateway.identity.users.create(email, password, account)
    answer = await visitor.post("/console/login", data={"email": email, "password": password})
    assert answer.status_code == 303, answer.text


async def proof(visitor: httpx.AsyncClient, path: str = "/console") -> dict[str, str]:
    """The header that a page of ours sends with every change."""
    page = await visitor.get(path)
    found = re.search(r'"X-CSRF-Token": "([0-9a-f]{64})"', page.text)
    assert found, page.text
    return {CSRF_HEADER: found[1]}


def plain(html: str) -> str:
    """The text of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
