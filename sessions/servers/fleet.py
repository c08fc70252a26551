"""The fleet: every WAHA server that we know, with a client for each, and whether it answers.

The table of servers is the truth; `refresh` makes this replica follow it. A server that fails to answer is down: its
lanes wait, and it is asked again after a pause that doubles up to a minute, with jitter, until it answers.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.events import EventBus, ServerReachabilityChanged, ServersChanged, ServerSuspected
from gateway.patience import write_patiently
from gateway.settings import WahaServerSettings
from gateway.vault import Vault, VaultError
from gateway.waha.client import LIFECYCLE_SECONDS, WahaClient
from gateway.waha.errors import WahaError
from sessions.servers import queries
from sessions.servers.circuit import LONGEST_PAUSE_SECONDS, describe_failure, pause_after, start_time
from sessions.servers.seeds import take_over

log = structlog.get_logger()

YOUNG_SECONDS = 120.0
"""How long after its start a server may still be bringing its sessions back."""
NEGLIGIBLE_SECONDS = 1.0
"""Clocks jitter: a start time that moves by less is not written anew."""
RETIRED_SECONDS = 5.0
"""How much longer than the longest call the client of a server that was changed or removed stays open."""

TransportFactory = Callable[[str], httpx.AsyncBaseTransport | None]
"""Gives the transport for a server's URL; None is the real network."""


@dataclass(slots=True)
class Member:
    """One server of the fleet, as this replica knows it. `started_at` is in epoch seconds by our clock.

    `changes` counts what this replica has found out itself: a row that was read before that is not news.
    """

    id: str
    name: str
    url: str
    api_key: str = field(repr=False)
    client: WahaClient = field(repr=False)
    engine: str = ""
    up: bool = True
    started_at: float | None = None
    answered_at: float | None = None
    ghosts: str = "[]"
    changes: int = 0

    def is_young(self, now: float) -> bool:
        """Whether it has started so lately that it may still be bringing its sessions back."""
        return self.started_at is not None and now - self.started_at < YOUNG_SECONDS


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to watch a server; `now` and `ask_at` (not to be asked before) are the database's time."""

    now: float
    ask_at: float


class Fleet:
    """Which servers there are, how to talk to each, and whether it answers."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        bus: EventBus,
        clock: Clock,
        *,
        timeout_seconds: float,
        transports: TransportFactory | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._db = db
        self._vault = vault
        self._bus = bus
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._transports = transports or (lambda _url: None)
        self._jitter = jitter
        self._members: dict[str, Member] = {}
        self._retired: list[tuple[float, WahaClient]] = []
        self._unreadable: set[str] = set()
        self._refreshing = asyncio.Lock()

    # --- which there are ----------------------------------------------------------------------------------------

    async def load(self, configured: Sequence[WahaServerSettings]) -> None:
        """Take over what the settings say anew about a server, and open a client for every server in the database.

        Raises:
            VaultError: the key file is not the one with which the servers' keys were stored.
        """
        await write_patiently(self._db, lambda tx: take_over(tx, self._vault, configured), "taking over servers")
        await self.refresh()

    async def refresh(self) -> None:
        """Follow the table of servers: open clients for new ones, retire those of removed and changed ones."""
        async with self._refreshing:
            seen = {member.id: member.changes for member in self._members.values()}
            async with self._db.read() as connection:
                rows = {row.id: row for row in await queries.all_servers(connection)}
            for id_ in set(self._members) - set(rows):
                self._retire(self._members.pop(id_))
            for id_, row in rows.items():
                api_key = self._read_key(row)
                if api_key is None:
                    continue
                member = self._members.get(id_)
                if member is None or (member.url, member.api_key) != (row.url, api_key):
                    if member is not None:
                        self._retire(member)
                    member = self._members[id_] = self._open(row, api_key)
                self._follow(member, row, seen.get(id_, 0))
            await self._close_retired(self._clock.monotonic())

    def _read_key(self, row: AnyRow) -> str | None:
        """The key of a server; None if another replica has stored it with another key file."""
        try:
            api_key = self._vault.decrypt(row.api_key_encrypted)
        except VaultError as error:
            if row.id not in self._unreadable:
                log.error("server_key_unreadable", server=row.name, error=str(error))
            self._unreadable.add(row.id)
            return None
        self._unreadable.discard(row.id)
        return api_key

    def connect(self, url: str, api_key: str) -> WahaClient:
        """A client for an address, which may not be in the fleet; whoever asks closes it.

        Raises:
            ValueError: it is no address of a server.
        """
        return WahaClient(url, api_key, timeout_seconds=self._timeout_seconds, transport=self._transports(url))

    def _open(self, row: AnyRow, api_key: str) -> Member:
        client = self.connect(row.url, api_key)
        return Member(id=row.id, name=row.name, url=row.url, api_key=api_key, client=client, up=row.up)

    def _follow(self, member: Member, row: AnyRow, seen: int) -> None:
        """What the row says about the server, which another replica may have found out.

        `seen` is the count of our own findings when the row was asked for; if there are more by now, they are newer.
        """
        if member.changes != seen:
            return
        member.engine = row.engine or member.engine
        member.started_at = row.started_at
        member.ghosts = row.ghosts
        if member.up != row.up:
            member.up = row.up
            self._bus.publish(ServerReachabilityChanged(member.id, member.name, up=member.up))

    def _retire(self, member: Member) -> None:
        """Calls may be under way through this client: it is closed when the longest of them must be over."""
        until = self._clock.monotonic() + max(self._timeout_seconds, LIFECYCLE_SECONDS) + RETIRED_SECONDS
        self._retired.append((until, member.client))

    async def _close_retired(self, now: float) -> None:
        over = [client for until, client in self._retired if until <= now]
        self._retired = [(until, client) for until, client in self._retired if until > now]
        for client in over:
            await client.aclose()

    @property
    def members(self) -> list[Member]:
        """All servers, in the order of their names."""
        return sorted(self._members.values(), key=lambda member: member.name)

    def member(self, server_id: str) -> Member | None:
        """One server, or None if this replica does not know it."""
        return self._members.get(server_id)

    def client(self, server_id: str) -> WahaClient | None:
        """The client of one server, or None if this replica does not know it."""
        member = self._members.get(server_id)
        return member.client if member else None

    def engine(self, server_id: str) -> str:
        """GOWS, NOWEB, WEBJS or WPP; empty before the server was ever asked."""
        member = self._members.get(server_id)
        return member.engine if member else ""

    def announce_change(self) -> None:
        """The table of servers has been changed on this replica: have everybody here follow."""
        self._bus.publish(ServersChanged())

    # --- who watches --------------------------------------------------------------------------------------------

    async def hold(self, member: Member, replica: str, seconds: float) -> Lease | None:
        """Take or renew the watch over a server; None while another replica has it, or if the server is gone."""
        answered_at, member.answered_at = member.answered_at, None
        seen = member.changes
        async with self._db.write() as tx:
            row = await queries.hold(tx, member.id, replica, seconds, answered_at)
        if row is None:
            return None
        self._follow(member, row, seen)
        # no pause is as long: it began before the database's clock was set back, and is over
        set_back = row.ask_at > row.now + LONGEST_PAUSE_SECONDS
        return Lease(row.now, row.now if set_back else row.ask_at)

    @asynccontextmanager
    async def holding(self, member: Member, replica: str, seconds: float) -> AsyncIterator[None]:
        """Renew the watch in the background while the block runs, however long the server lets it wait."""
        over = asyncio.Event()
        renewing = asyncio.create_task(self._renew(member, replica, seconds, over), name=f"hold {member.name}")
        try:
            yield
        finally:
            over.set()
            await renewing

    async def _renew(self, member: Member, replica: str, seconds: float, over: asyncio.Event) -> None:
        while not await self._clock.wait(over, seconds / 3):
            try:
                if await self.hold(member, replica, seconds) is None:
                    return
            except (SQLAlchemyError, OSError) as error:
                log.error("watch_not_renewed", server=member.name, error=str(error))

    async def release(self, member: Member, replica: str) -> None:
        """Give the watch back."""
        async with self._db.write() as tx:
            await queries.release(tx, member.id, replica)

    # --- whether it answers -------------------------------------------------------------------------------------

    def note_unreachable(self, server_id: str) -> None:
        """A call found the server away: have it looked at now instead of at the next sweep."""
        member = self._members.get(server_id)
        if member is not None and member.up:
            self._bus.publish(ServerSuspected(member.id))

    def note_answer(self, member: Member, at: float) -> None:
        """It has just answered, at `at` by the database's clock; written with the next renewal."""
        member.answered_at = at

    async def check_health(self, member: Member, ahead: float) -> None:
        """Ask a server how it is; what it says is stored, and a changed start time is a restart.

        `ahead` is how far the database's time is ahead of our own seconds.

        Raises:
            WahaError: it does not answer, or it does not take our key.
        """
        if not member.up or member.started_at is None:
            await member.client.ping()
        asked_at = self._clock.monotonic()
        status = await member.client.server_status()
        answered_at = self._clock.monotonic()
        began = ahead - status.uptime / 1000
        known = member.started_at
        started_at, restarted = start_time(known, began + asked_at, began + answered_at)
        if member.up and member.engine and known is not None and abs(started_at - known) < NEGLIGIBLE_SECONDS:
            return  # all is as it is stored; that it has answered is written with the next renewal
        version = await member.client.server_version()
        well = {"up": True, "failures": 0, "ask_at": 0.0, "last_error": "", "last_seen_at": ahead + answered_at}
        told = {"version": version.version[:32], "engine": version.engine[:16], "started_at": started_at}
        async with self._db.write() as tx:
            await queries.change(tx, member.id, **well, **told)
        if restarted:
            log.warning("waha_server_restarted", server=member.name)
        member.started_at, member.engine = started_at, version.engine
        self._set_up(member, up=True)

    async def note_failure(self, member: Member, error: WahaError) -> float:
        """It did not answer, or not as a WAHA that takes our key: it is down. Seconds until it is asked again.

        A failure that somebody else has noticed already, on whatever replica, does not count twice.
        """
        async with self._db.write() as tx:
            now = await read_now(tx)
            failures = await queries.note_failure(tx, member.id, describe_failure(error), now)
            if failures is None:
                pause = max(0.0, (await queries.ask_at(tx, member.id) or now) - now)
                pause = min(pause, LONGEST_PAUSE_SECONDS)
            else:
                pause = pause_after(failures, self._jitter())
                await queries.change(tx, member.id, ask_at=now + pause)
        if member.up:
            log.warning("waha_server_down", server=member.name, error=str(error))
        self._set_up(member, up=False)
        return pause

    def _set_up(self, member: Member, *, up: bool) -> None:
        member.changes += 1
        if member.up != up:
            member.up = up
            if up:
                log.warning("waha_server_back", server=member.name)
            self._bus.publish(ServerReachabilityChanged(member.id, member.name, up=up))

    async def note_ghosts(self, member: Member, names: Sequence[str]) -> None:
        """The sessions on a server that are not ours; they are told to the operator and left alone.

        A session of ours that lives on another server is none: servers that share a store show each other's.
        """
        if names:
            async with self._db.read() as connection:
                ours = await queries.names_of_ours(connection, names)
            names = [name for name in names if name not in ours]
        ghosts = orjson.dumps(names).decode()
        if ghosts == member.ghosts:
            return
        async with self._db.write() as tx:
            await queries.change(tx, member.id, ghosts=ghosts)
        member.ghosts = ghosts
        log.info("foreign_sessions", server=member.name, count=len(names))

    async def close(self) -> None:
        """Close all clients."""
        for client in [client for _, client in self._retired] + [one.client for one in self._members.values()]:
            await client.aclose()
        self._retired = []
