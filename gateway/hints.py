"""Hints between replicas: what one of them publishes of new work, halts, delays and events, the others hear at once.

PostgreSQL's NOTIFY carries them, and only what is rare: it takes a lock on the whole database when it commits, so never
one for each message; of events, which are numbered in batches, some each second. A hint is sent after the commit that
it tells of, and nobody relies on it: where it is lost, or a pooler stands in front that cannot listen, every replica
sees the same in the database a quarter of a second later, events a second later.

One connection for each replica, outside of the pool, both listens and tells. On SQLite there is nobody to tell.
"""

import asyncio
from contextlib import suppress
from typing import Any, TypeAlias

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.db import Database, DatabaseAway
from gateway.events import CampaignHalted, DelaysChanged, EventBus, EventsNumbered, WorkAdded

log = structlog.get_logger()

CHANNEL = "waha_gateway"
HEARTBEAT_SECONDS = 10.0
"""How often a connection on which nothing happens is asked whether it still is one."""
ANSWER_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0

Hint: TypeAlias = WorkAdded | DelaysChanged | CampaignHalted | EventsNumbered


class Hints:
    """Tells other replicas what this one publishes, and publishes what they tell."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock, replica: str) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._replica = replica
        self._untold: dict[Hint, None] = {}
        self._news = asyncio.Event()
        self._listening = asyncio.Event()
        self._retelling = False
        self._failures = 0
        self._loop: asyncio.Task[None] | None = None
        bus.subscribe(WorkAdded, self._note)
        bus.subscribe(DelaysChanged, self._note)
        bus.subscribe(CampaignHalted, self._note)
        bus.subscribe(EventsNumbered, self._note)

    @property
    def listening(self) -> asyncio.Event:
        """Set while this replica hears the others."""
        return self._listening

    def start(self) -> None:
        """Begin to listen and to tell, on the running event loop; on SQLite nothing happens."""
        if not self._db.is_sqlite:
            self._loop = asyncio.create_task(self._run(), name="hints")

    async def stop(self) -> None:
        """Say and hear nothing more."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    def _note(self, event: Hint) -> None:
        """It was published here: tell the others, unless one of them has told us, or nobody would hear."""
        if self._listening.is_set() and not self._retelling:
            self._untold[event] = None  # the same thing told twice at a time is told once
            self._news.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (SQLAlchemyError, OSError) as error:
                log.warning("hints_not_heard", error=str(error), advice="replicas find out by polling")
            except Exception:  # the driver's own, such as from a pooler that cannot listen
                log.exception("hints_failed", advice="replicas find out by polling")
            self._failures += 1
            self._untold.clear()
            await self._clock.sleep(min(0.5 * 2**self._failures, LONGEST_PAUSE_SECONDS))

    async def _listen(self) -> None:
        """Listen and tell until the connection ends."""
        async with self._db.dedicated() as connection:
            connection.add_termination_listener(lambda _: self._news.set())
            await connection.add_listener(CHANNEL, self._hear)
            self._listening.set()
            self._failures = 0
            try:
                while True:
                    await self._clock.wait(self._news, HEARTBEAT_SECONDS)
                    self._news.clear()
                    if connection.is_closed():
                        raise DatabaseAway("the connection was ended")
                    await self._tell(connection)
            finally:
                self._listening.clear()

    async def _tell(self, connection: Any) -> None:
        """Tell all that is new in one round trip; without news it is the heartbeat."""
        told, self._untold = list(self._untold), {}
        payloads = [write_hint(self._replica, event) for event in told]
        query = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"
        await connection.execute(query, CHANNEL, payloads, timeout=ANSWER_SECONDS)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        try:
            replica, event = read_hint(payload)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("hint_not_understood", error=str(error))
            return
        if event is None or replica == self._replica:
            return
        self._retelling = True
        try:
            self._bus.publish(event)
        finally:
            self._retelling = False


def write_hint(replica: str, event: Hint) -> str:
    """A hint as it travels."""
    told = {"replica": replica, "event": type(event).__name__}
    if isinstance(event, CampaignHalted):
        told["campaign_id"] = event.campaign_id
    return orjson.dumps(told).decode()


def read_hint(payload: str) -> tuple[str, Hint | None]:
    """Who told what; None is something that a newer version tells.

    Raises:
        ValueError, KeyError, TypeError: it is no hint.
    """
    told = orjson.loads(payload)
    replica = str(told["replica"])
    match told["event"]:
        case "WorkAdded":
            return replica, WorkAdded()
        case "DelaysChanged":
            return replica, DelaysChanged()
        case "CampaignHalted":
            return replica, CampaignHalted(str(told["campaign_id"]))
        case "EventsNumbered":
            return replica, EventsNumbered()
        case _:
            return replica, None
