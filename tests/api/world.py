"""A whole gateway for a test: its API, simulated WAHA servers on real sockets, and the news of its bus.

A test waits for facts: for news, or by asking again until the answer is the one it waits for. Nothing sleeps.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from gateway.app import Gateway
from gateway.db import Database, table_of
from gateway.events import CampaignFinished, SessionStateChanged
from gateway.simulator.server import WahaServer
from sessions.models import SessionState

T = TypeVar("T")
Body = dict[str, Any]

ADMIN_TOKEN = "canary-admin-token-4242"
WAHA_KEY = "canary-waha-key-4242"
ALICE, BERT, CARA = "+447700900001", "+447700900002", "+447700900003"
PATIENCE_SECONDS = 20.0


def recipients(count: int) -> list[str]:
    """So many different numbers of fiction."""
    return [f"+44770090{index:04d}" for index in range(100, 100 + count)]


async def until(look: Callable[[], Awaitable[T]]) -> T:
    """The first answer of `look` that is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if answer := await look():
                return answer
            await asyncio.sleep(0)  # `look` itself may not have waited for anything


class News:
    """What the gateway's bus has told so far, to be waited for."""

    def __init__(self, gateway: Gateway) -> None:
        self._told: list[object] = []
        self._more = asyncio.Event()
        for kind in (SessionStateChanged, CampaignFinished):
            gateway.bus.subscribe(kind, self._note)

    def _note(self, event: object) -> None:
        self._told.append(event)
        self._more.set()

    async def wait(self, wanted: Callable[[Any], bool]) -> Any:
        """The next news (from those that nobody waited for yet) that is wanted; those before it are passed over."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                while self._told:
                    if wanted(event := self._told.pop(0)):
                        return event
                self._more.clear()
                await self._more.wait()

    def states_of(self, number: str) -> list[str]:
        """The states of a session that were told and not read yet, in order."""
        told = [event for event in self._told if isinstance(event, SessionStateChanged)]
        return [event.state for event in told if f"+{event.number}" == number]


class Waha:
    """One simulated WAHA server: what it is told, and what WhatsApp took from it."""

    def __init__(
        self, name: str, url: str, server: WahaServer, client: httpx.AsyncClient, close: Callable[[], Awaitable[None]]
    ) -> None:
        self.name = name
        self.url = url
        self.server = server
        self.close = close
        self._client = client

    async def tell(self, method: str, path: str, body: Body | None = None) -> Any:
        """A call under `/sim`, which must succeed."""
        answer = await self._client.request(method, f"/sim{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def scan(self, number: str, phone: str | None = None) -> None:
        """A phone (the right one unless told) scans the code that the session of `number` shows."""
        await self.tell("POST", f"/sessions/{number[1:]}/scan", {"phone": (phone or number)[1:]})

    async def phone_logs_out(self, number: str) -> None:
        """The phone removes the linked device."""
        await self.tell("POST", f"/sessions/{number[1:]}/logout")

    async def faults(self, **faults: Any) -> None:
        """Put faults in force."""
        await self.tell("PUT", "/faults", faults)

    async def ledger(self) -> list[Body]:
        """All transmissions."""
        told = await self.tell("GET", "/ledger")
        return list(told["transmissions"])

    def lose_events(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on nobody hears of what happens here."""
        monkeypatch.setattr(self.server.events, "emit", lambda *_: None)

    def qr_value(self, number: str) -> str:
        """The raw value behind the code that a session shows."""
        value = self.server.lifecycle.running[number[1:]].qr
        assert value is not None
        return value

    def sessions(self) -> list[str]:
        """The sessions that this server keeps."""
        return [f"+{name}" for name in self.server.lifecycle.stored]


class World:
    """The gateway's API as a caller sees it, and all that is around it."""

    def __init__(self, gateway: Gateway, app: FastAPI, client: httpx.AsyncClient, wahas: list[Waha]) -> None:
        self.gateway = gateway
        self.app = app
        self.client = client
        self.wahas = wahas
        self.news = News(gateway)

    @property
    def waha(self) -> Waha:
        """The only, or the first, WAHA server."""
        return self.wahas[0]

    @property
    def db(self) -> Database:
        """The gateway's database."""
        return self.gateway.db

    # --- calling ------------------------------------------------------------------------------------------------

    async def call(
        self, method: str, path: str, body: Any = None, *, status: int | None = None, **options: Any
    ) -> httpx.Response:
        """One request; `status` is what must come back."""
        if body is not None:
            options["json"] = body
        answer = await self.client.request(method, path, **options)
        assert status is None or answer.status_code == status, f"{answer.status_code}: {answer.text}"
        return answer

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        return (await self.call("GET", path, params=params, status=200)).json()

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a POST that must succeed."""
        answer = await self.call("POST", path, body, **options)
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json()

    async def admin(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """One request with the operator's token."""
        return await self.call(method, path, body, headers={"X-Admin-Token": ADMIN_TOKEN}, **options)

    # --- sessions -----------------------------------------------------------------------------------------------

    async def show_qr(self, number: str) -> Body:
        """Create a session and show its code; gives the answer to the creation."""
        created: Body = await self.post("/api/sessions", {"phone_number": number})
        shown = await self.get(f"/api/sessions/{number}/qr")
        assert shown["status"] == "WAITING_FOR_SCAN"
        return created

    async def pair(self, *numbers: str, waha: Waha | None = None) -> dict[str, str]:
        """Connect numbers, without drawing their codes; gives their tokens."""
        tokens = {}
        for number in numbers:
            created = await self.post("/api/sessions", {"phone_number": number})
            tokens[number] = created["sender_token"]
            path = f"/api/sessions/{number}"

            async def waits_for_a_scan(path: str = path) -> bool:
                return bool((await self.get(path))["status"] == "WAITING_FOR_SCAN")

            await until(waits_for_a_scan)
            await (waha or self.waha).scan(number)
            await self.state(number, SessionState.CONNECTED)
        return tokens

    async def state(self, number: str, state: SessionState) -> None:
        """Wait until a session's state is told."""
        await self.news.wait(
            lambda event: (
                isinstance(event, SessionStateChanged) and f"+{event.number}" == number and event.state == state
            )
        )

    # --- campaigns ----------------------------------------------------------------------------------------------

    async def send(self, *, status: int = 201, headers: dict[str, str] | None = None, **fields: Any) -> Body:
        """Submit a campaign of Alice's, unless told otherwise."""
        body = {"sender_number": ALICE, "template": "Hello", "recipients": recipients(3), **fields}
        answer: Body = (await self.call("POST", "/api/send", body, status=status, headers=headers)).json()
        return answer

    async def finished(self, campaign: Body) -> Body:
        """Wait until a campaign has ended; gives its status with details."""
        await self.news.wait(
            lambda event: isinstance(event, CampaignFinished) and event.campaign_id == campaign["campaign_id"]
        )
        status: Body = await self.get(f"/api/status/{campaign['campaign_id']}", details=True)
        return status

    async def finished_for(self, headers: dict[str, str], campaign: Body) -> Body:
        """As `finished`, for whoever has this credential."""
        await self.news.wait(
            lambda event: isinstance(event, CampaignFinished) and event.campaign_id == campaign["campaign_id"]
        )
        path = f"/api/status/{campaign['campaign_id']}"
        status: Body = (await self.call("GET", path, headers=headers, status=200)).json()
        return status

    async def count(self, model: Any) -> int:
        """How many rows a table has."""
        async with self.db.read() as connection:
            return int((await connection.execute(select(func.count()).select_from(table_of(model)))).scalar_one())


def png_bytes(qr: Body) -> bytes:
    """The picture of a QR answer."""
    return base64.b64decode(qr["qr_code"], validate=True)
