"""A gateway that WAHA tells its events by webhook: signed, repeated, recorded."""

import hashlib
import hmac
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from campaigns.sending.tables import message
from gateway.db import AnyRow, Database
from gateway.web import create_app
from tests.api.conftest import MakeWorld, empty_database, make_world
from tests.api.world import ALICE, World

__all__ = ["empty_database", "make_world"]

SECRET = "canary-webhook-secret-4242"
WEBHOOK = "/api/webhook/waha"
WEBHOOK_SETTINGS = {
    "events": "webhook",
    "webhook_url": f"http://gateway.internal:8000{WEBHOOK}",
    "webhook_secret": SECRET,
}
Tables = dict[str, list[tuple[Any, ...]]]
_numbers = itertools.count()


class Post(httpx.AsyncBaseTransport):
    """The way from a simulated WAHA to the gateway's door, which is opened once there is one; it keeps what passes."""

    def __init__(self) -> None:
        self.door: httpx.AsyncBaseTransport | None = None
        self.passed: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request."""
        if self.door is None:
            raise httpx.ConnectError("connection refused", request=request)
        self.passed.append(request)
        return await self.door.handle_async_request(request)


class Hooked:
    """A gateway's webhook, and how a WAHA server calls it."""

    def __init__(self, world: World, post: Post) -> None:
        self.world = world
        self.post = post

    @property
    def server_id(self) -> str:
        """The id of the only WAHA server."""
        return self.world.gateway.fleet.members[0].id

    async def tell(self, event: Any, *, status: int | None = 200, **options: Any) -> httpx.Response:
        """Post an event, signed; raw bytes go as they are."""
        body = event if isinstance(event, bytes) else orjson.dumps(event)
        headers = {"Content-Type": "application/json", **signed(body), **options.pop("headers", {})}
        params = options.pop("params", {"server": self.server_id})
        answer = await self.world.client.post(WEBHOOK, content=body, headers=headers, params=params)
        assert status is None or answer.status_code == status, answer.text
        return answer

    async def tables(self) -> Tables:
        """Everything that the database holds."""
        return await read_tables(self.world.db)


async def read_tables(db: Database) -> Tables:
    """Every row of every table."""
    async with db.read() as connection:
        return {
            name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for name, table in SQLModel.metadata.tables.items()
        }


def signed(body: bytes, key: str = SECRET) -> dict[str, str]:
    """The headers by which WAHA proves that a body is its own."""
    return {
        "X-Webhook-Hmac": hmac.new(key.encode(), body, hashlib.sha512).hexdigest(),
        "X-Webhook-Hmac-Algorithm": "sha512",
    }


def event(kind: str, session: str, payload: dict[str, Any], *, at: float = 0.0, **fields: Any) -> dict[str, Any]:
    """An event as WAHA tells it, `at` epoch seconds; each has an id of its own."""
    return {
        "id": f"evt_{next(_numbers):026d}",
        "timestamp": int(at * 1000),
        "event": kind,
        "session": session.removeprefix("+"),
        "payload": payload,
        "engine": "GOWS",
        **fields,
    }


def status(session: str, word: str, *, at: float, me: str = "") -> dict[str, Any]:
    """A session's status; `me` is the number that it is paired with."""
    fields = {"me": {"id": f"{me.removeprefix('+')}@c.us", "pushName": "me"}} if me else {}
    return event("session.status", session, {"name": session.removeprefix("+"), "status": word}, at=at, **fields)


def ack(session: str, wa_id: str, level: int, *, chat: str = "447700900100@c.us", at: float = 0.0) -> dict[str, Any]:
    """A receipt of a message."""
    return event("message.ack", session, {"id": f"true_{chat}_{wa_id}", "fromMe": True, "ack": level}, at=at)


MakeHooked = Callable[..., Awaitable[Hooked]]


@pytest.fixture
def make_hooked(make_world: MakeWorld) -> MakeHooked:
    """Make a gateway whose simulated WAHA tells it everything by webhook; `waha` are settings beside the usual."""

    async def make(simulator: dict[str, Any] | None = None, **waha: Any) -> Hooked:
        post = Post()
        world = await make_world(simulator={**(simulator or {}), "transport": post}, waha=WEBHOOK_SETTINGS | waha)
        post.door = httpx.ASGITransport(create_app(world.gateway))
        return Hooked(world, post)

    return make


@pytest.fixture
async def hooked(make_hooked: MakeHooked) -> Hooked:
    """A gateway with one WAHA server that tells it everything by webhook."""
    return await make_hooked()


async def sent(world: World, count: int = 1) -> list[AnyRow]:
    """A campaign of Alice's that has ended; its messages."""
    campaign = await world.send(recipients=[f"+4477009001{index:02d}" for index in range(count)])
    await world.finished(campaign)
    async with world.db.read() as connection:
        rows = await connection.execute(select(message).where(message.c.campaign_id == campaign["campaign_id"]))
        return list(rows.all())


@pytest.fixture
async def at_rest(make_hooked: MakeHooked) -> tuple[Hooked, AnyRow]:
    """A gateway with a connected session and a message that was sent, and nobody who changes anything by himself."""
    hooked = await make_hooked({"receipts": False})
    await hooked.world.pair(ALICE)
    (row,) = await sent(hooked.world)
    hooked.post.door = None
    await hooked.world.gateway.manager.stop()
    await hooked.world.gateway.dispatcher.stop()
    return hooked, row
