"""Simulated WAHA servers in this process, a gateway of one or more replicas in others, and proxies between them.

A test starts what it needs, connects senders, submits, breaks things, and has the judge look at the end.
"""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import make_url, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from campaigns.sending.tables import campaign, message
from gateway.db import AnyRow, Database
from gateway.listening import listen
from gateway.simulator.app import create_app
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.event_faults import EventFaults
from gateway.simulator.faults import parse_faults
from gateway.simulator.fleet import open_fleet
from gateway.simulator.ledger import Ledger
from gateway.simulator.server import WahaServer
from tests.faults.harness.checker import Pace, Submitted, Verdict, judge, merge
from tests.faults.harness.proxy import Proxy, Streams, proxy_to
from tests.faults.harness.replica import Replica
from tests.faults.harness.runner import REPLICA, Preparation
from tests.faults.harness.waiting import until

ADMIN = {"X-Admin-Token": "canary-admin-token-4242"}
JSON = {"Content-Type": "application/json"}
LOOK_UP = re.compile(r"/api/([^/]+)/chats/[^/]+/messages/(?:true_[^/]*_)?([0-9A-F]+)")
ENDED = ("completed", "completed_with_errors", "failed", "cancelled")
CONFIG = """
[server]
port = 0
[database]
url = "{database_url}"
data_folder = "{folder}/data"
[auth]
admin_token = "canary-admin-token-4242"
[waha]
timeout_seconds = {timeout_seconds}
sweep_seconds = 1
{servers}
[dispatch]
message_delay = {message_delay}
sender_switch_delay = {switch_delay}
hold_seconds = {hold_seconds}
lease_seconds = {lease_seconds}
max_attempts = {max_attempts}
check_numbers = "off"
[limits]
pairings_per_minute = 0
sends_per_hour = 0
reads_per_minute = 0
writes_per_minute = 0
recipients_per_campaign = 1000000
[webhooks]
allow_private_addresses = true
[logging]
level = "INFO"
file = "{folder}/logs/{name}.log"
"""


def sender_number(index: int) -> str:
    """The digits of one of our numbers; there are 100."""
    assert index < 100
    return f"4477009000{index:02d}"


def recipient_number(index: int) -> str:
    """The digits of a recipient; after 10,000 the first ones come again, in campaigns with another text."""
    return f"3363998{index % 10_000:04d}"


@dataclass(frozen=True, slots=True)
class Sight:
    """A send, or the look-up of one, as it came to WAHA's door; `at` is in epoch seconds, `id` the message's."""

    at: float
    replica: str
    session: str
    id: str
    is_send: bool = True


class Doorman:
    """Writes down which replica each send comes from, before the simulator sees it."""

    def __init__(self, app: ASGIApp, sights: list[Sight]) -> None:
        self._app = app
        self._sights = sights

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass; a send is noted when it is here whole."""
        if scope["type"] == "http" and (look := LOOK_UP.fullmatch(scope["path"])):
            self._sights.append(Sight(time.time(), _replica(scope), look[1], look[2], is_send=False))
        if scope["type"] != "http" or not scope["path"].startswith("/api/send"):
            await self._app(scope, receive, send)
            return
        at, parts = time.time(), bytearray()

        async def note(more: Receive = receive) -> Message:
            part = await more()
            if part["type"] == "http.request":
                parts.extend(part.get("body", b""))
                if not part.get("more_body"):
                    self._note(scope, at, bytes(parts))
            return part

        await self._app(scope, note, send)

    def _note(self, scope: Scope, at: float, body: bytes) -> None:
        told = orjson.loads(body)
        self._sights.append(Sight(at, _replica(scope), told["session"], told.get("id", "")))


def _replica(scope: Scope) -> str:
    headers = {name.lower(): value.decode() for name, value in scope["headers"]}
    return str(headers.get(REPLICA.lower().encode(), ""))


@dataclass(slots=True)
class Waha:
    """One simulated server, and the proxy in front of it."""

    name: str
    server: WahaServer
    proxy: Proxy
    sights: list[Sight]

    def faults(self, *, session: str | None = None, **faults: object) -> None:
        """Put faults in force, of all sends or of one session's; without any all is well again."""
        if session is None:
            self.server.sender.faults = parse_faults(dict(faults))
        else:
            self.server.sender.session_faults[session] = parse_faults(dict(faults))

    def tell_nothing(self) -> None:
        """No event leaves it from now on: what was sent has to be looked up."""
        self.server.events.faults = EventFaults(lose=1.0)


class Stage:
    """Everything that one test plays with."""

    def __init__(self, stack: AsyncExitStack, folder: Path, database_url: str, **dispatch: float) -> None:
        self._stack = stack
        self.folder = folder
        self.database_url = database_url
        self.db = Database(database_url)
        stack.push_async_callback(self.db.close)
        self.dispatch: dict[str, float] = {
            "message_delay": 0.1,
            "switch_delay": 0.0,
            "hold_seconds": 1.5,
            "lease_seconds": 1.0,
            "timeout_seconds": 1.0,
            "max_attempts": 5,
            **dispatch,
        }
        self.pace = Pace.of(self.dispatch["message_delay"], self.dispatch["switch_delay"])
        self.wahas: list[Waha] = []
        self.replicas: list[Replica] = []
        self.senders: list[str] = []
        self.submitted: list[Submitted] = []
        self._recipients = itertools.count()
        self._campaigns = itertools.count()
        self._unanswered: dict[str, Any] | None = None

    def read_from(self, database_url: str) -> None:
        """From now on the judge looks into this database."""
        self.db = Database(database_url)
        self._stack.push_async_callback(self.db.close)

    # --- life ---------------------------------------------------------------------------------------------------

    async def simulate(self, count: int = 1, **config: Any) -> None:
        """Start so many simulated servers, each behind a proxy."""
        usual: dict[str, Any] = {
            "latency_seconds": 0.05,
            "latency_jitter": False,
            "start_seconds": 0.02,
            "auto_scan_seconds": 0.02,
            **config,
        }
        apps, listeners = [], []
        for index in range(count):
            app = create_app(SimulatorConfig(**{"worker_id": f"waha{index + 1}", **usual}))
            sights: list[Sight] = []
            app.add_middleware(Doorman, sights=sights)
            listener = listen("127.0.0.1", 0)
            address = listener.getsockname()
            apps.append(app)
            listeners.append(listener)
            proxy = await self._stack.enter_async_context(proxy_to(_opener(*address)))
            self.wahas.append(Waha(f"waha{index + 1}", app.state.waha, proxy, sights))
        await self._stack.enter_async_context(open_fleet(apps, listeners))

    async def postgres_proxy(self) -> tuple[Proxy, str]:
        """A proxy in front of PostgreSQL, and the address of our database through it."""
        url = make_url(self.database_url)
        place = f"{url.query['host']}/.s.PGSQL.5432"

        async def connect() -> Streams:
            return await asyncio.open_unix_connection(place)

        proxy = await self._stack.enter_async_context(proxy_to(connect))
        return proxy, f"postgresql://postgres@127.0.0.1:{proxy.port}/{url.database}"

    async def serve(
        self, name: str = "one", *, database_url: str = "", preparations: Sequence[Preparation] = ()
    ) -> Replica:
        """Start a replica and wait until it listens."""
        replica = await self.launch(name, database_url=database_url, preparations=preparations)
        await replica.listening()
        return replica

    async def launch(
        self, name: str = "one", *, database_url: str = "", preparations: Sequence[Preparation] = ()
    ) -> Replica:
        """Start a replica without waiting for it."""
        blocks = [
            f'[[waha.servers]]\nname = "{waha.name}"\nurl = "http://127.0.0.1:{waha.proxy.port}"' for waha in self.wahas
        ]
        config = self.folder / f"{name}.toml"
        config.write_text(
            CONFIG.format(
                database_url=database_url or self.database_url,
                folder=self.folder,
                name=name,
                servers="\n".join(blocks),
                **self.dispatch,
            )
        )
        replica = Replica.launch(name, self.folder, config, tuple(preparations))
        self._stack.push_async_callback(replica.destroy)
        self.replicas = [one for one in self.replicas if one.alive] + [replica]
        return replica

    @property
    def gateway(self) -> Replica:
        """The replica that was started last."""
        return self.replicas[-1]

    async def connect(self, count: int) -> None:
        """Pair so many more senders."""
        fresh = [sender_number(len(self.senders) + index) for index in range(count)]
        await asyncio.gather(*(self.gateway.post("/api/sessions", {"phone_number": f"+{number}"}) for number in fresh))

        async def connected() -> bool:
            found = await asyncio.gather(*(self.gateway.get(f"/api/sessions/+{number}") for number in fresh))
            return all(one["status"] == "CONNECTED" for one in found)

        await until(connected, every=0.1)
        self.senders += fresh

    # --- what people do -----------------------------------------------------------------------------------------

    async def submit(self, count: int, senders: Sequence[str] | None = None, **fields: Any) -> Submitted:
        """Submit a campaign for so many new recipients, through `senders` (all of them unless told)."""
        answer = await self.try_to_submit(count, senders, **fields)
        assert answer.is_success, answer.text
        return self.submitted[-1]

    async def try_to_submit(self, count: int, senders: Sequence[str] | None = None, **fields: Any) -> httpx.Response:
        """As `submit`, where it may be refused; what is accepted has to be sent."""
        body = self._request(count, tuple(self.senders if senders is None else senders)) | fields
        answer = await self.gateway.http.post("/api/send", json=body)
        if answer.is_success:
            self._accepted(answer, body)
        return answer

    async def submit_anyhow(self, count: int) -> None:
        """Submit one through whichever replica answers: by the same key until one does, with every call of this."""
        if self._unanswered is None:
            self._unanswered = self._request(count, tuple(self.senders))
        key = {"Idempotency-Key": str(self._unanswered["template"])}
        for replica in [one for one in self.replicas if one.alive and one.listens]:
            try:
                answer = await replica.http.post("/api/send", json=self._unanswered, headers=ADMIN | key, timeout=1.0)
            except httpx.TransportError:
                continue
            if answer.is_success:
                self._accepted(answer, self._unanswered)
                self._unanswered = None
                return

    @property
    def owes_a_campaign(self) -> bool:
        """Whether one was submitted of which nobody has said that it was accepted."""
        return self._unanswered is not None

    def _request(self, count: int, numbers: tuple[str, ...]) -> dict[str, Any]:
        return {
            "sender_number": f"+{numbers[0]}",
            "sender_numbers": [f"+{number}" for number in numbers[1:]],
            "template": f"campaign {next(self._campaigns)}",
            "recipients": [f"+{recipient_number(next(self._recipients))}" for _ in range(count)],
            "queue_if_offline": True,
        }

    def _accepted(self, answer: httpx.Response, body: dict[str, Any]) -> None:
        numbers, recipients = [body["sender_number"], *body["sender_numbers"]], body["recipients"]
        digits = [tuple(one.removeprefix("+") for one in some) for some in (numbers, recipients)]
        self.submitted.append(Submitted(answer.json()["campaign_id"], str(body["template"]), *digits))

    async def delays(self, message: float, switch: float = 0.0) -> None:
        """Change the delays, and let the judge know."""
        asked = time.time()
        body = {"MESSAGE_DELAY": message, "SENDER_SWITCH_DELAY": switch}
        answer = await self.gateway.http.post("/api/admin/delays", content=json.dumps(body), headers=ADMIN | JSON)
        assert answer.is_success, answer.text
        for history, value in ((self.pace.message, message), (self.pace.switch, switch)):
            # a longer one counts from when everybody must have felt it, a shorter one from when it was asked for
            history.append((asked if value < history[-1][1] else time.time() + 1.0, value))

    async def call_anyhow(self, method: str, path: str, body: Any = None) -> bool:
        """One call through the first replica that answers in time; whether one did, with success."""
        for replica in [one for one in self.replicas if one.alive and one.listens]:
            try:
                answer = await replica.http.request(method, path, json=body, headers=ADMIN, timeout=1.0)
            except httpx.TransportError:
                continue
            if answer.status_code < 500:
                return answer.is_success
        return False

    async def delays_anyhow(self, message: float) -> None:
        """Change the message delay through whichever replica answers; it may have been changed even if none does."""
        asked = time.time()
        path, body = "/api/admin/delays", {"MESSAGE_DELAY": message}
        sure = await self.call_anyhow("POST", path, body)
        history = self.pace.message
        if message < history[-1][1]:
            history.append((asked, message))
        elif sure:
            history.append((time.time() + 1.0, message))

    # --- looking ------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """What WhatsApp took, over all servers."""
        return merge(waha.server.ledger for waha in self.wahas)

    @property
    def sent(self) -> int:
        """How many messages WhatsApp took."""
        return sum(len(waha.server.ledger.transmissions) for waha in self.wahas)

    @property
    def sights(self) -> list[Sight]:
        """All sends and look-ups as they came to the doors."""
        return sorted((sight for waha in self.wahas for sight in waha.sights), key=lambda sight: sight.at)

    @property
    def sends(self) -> list[Sight]:
        """The sends alone."""
        return [sight for sight in self.sights if sight.is_send]

    @property
    def starts(self) -> list[tuple[float, str]]:
        """When each send was started inside its replica (epoch seconds), and under which id."""
        lines = [line.split() for file in self.folder.glob("*.sends") for line in file.read_text().splitlines()]
        return sorted((float(at), key) for at, key in lines)

    async def rows(self) -> dict[str, AnyRow]:
        """All messages that have a WhatsApp id, by that."""
        async with self.db.read() as connection:
            rows = (await connection.execute(select(message).where(message.c.wa_id.is_not(None)))).all()
        return {row.wa_id: row for row in rows}

    async def until_sent(self, count: int, within: float = 40.0) -> None:
        """Wait until WhatsApp has taken so many."""
        await until(lambda: self.sent >= count, within)

    async def until_started(self, count: int, within: float = 40.0) -> None:
        """Wait until so many sends were started."""
        await until(lambda: len(self.starts) >= count, within)

    async def stopped_listening(self, replica: Replica) -> None:
        """Wait until a replica takes no connection any more."""
        url = httpx.URL(replica.url)

        async def refused() -> bool:
            try:
                _, writer = await asyncio.open_connection(url.host, url.port)
            except ConnectionError:
                return True
            writer.close()
            return False

        await until(refused)

    async def state(self, told: Submitted) -> str:
        """A campaign's state, in the database."""
        async with self.db.read() as connection:
            query = select(campaign.c.state).where(campaign.c.id == told.campaign_id)
            return str((await connection.execute(query)).scalar_one())

    async def finish(self, *campaigns: Submitted, within: float = 40.0) -> None:
        """Wait until these (all of them unless told) have ended, by the database."""

        async def over() -> bool:
            return all([await self.state(told) in ENDED for told in campaigns or self.submitted])

        await until(over, within, every=0.1)

    async def finished_or_dead(self, replica: Replica) -> bool:
        """Wait until all campaigns have ended or the replica has; True if it is dead."""

        async def over() -> bool:
            return not replica.alive or all([await self.state(told) in ENDED for told in self.submitted])

        await until(over, every=0.1)
        return not replica.alive

    async def judge(self) -> Verdict:
        """The verdict, when all is over."""
        return await judge(self.db, self.ledger, self.submitted, self.pace)

    def first_sends(self, since: float) -> dict[str, float]:
        """For each session the seconds from `since` (epoch) to its first send after it."""
        return self._firsts(self.sends, since)

    def first_signs(self, since: float) -> dict[str, float]:
        """As `first_sends`; the look-up of a message that was left behind counts too."""
        return self._firsts(self.sights, since)

    def _firsts(self, sights: Sequence[Sight], since: float) -> dict[str, float]:
        firsts: dict[str, float] = {}
        for sight in sights:
            if sight.at >= since:
                firsts.setdefault(sight.session, sight.at - since)
        return firsts


def _opener(host: str, port: int) -> Callable[[], Awaitable[Streams]]:
    async def connect() -> Streams:
        return await asyncio.open_connection(host, port)

    return connect
