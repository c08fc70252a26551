"""The fleet: every WAHA server that we know, with a client for each, and whether it answers.

The table of servers is the truth; `refresh` makes this replica follow it. A server that fails to answer is down: its
lanes wait, and it is asked again after a pause that doubles up to a minute, with jitter, until it answers.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import orjson
import structlog
from sqlalchemy import insert, or_, select, update

from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now, table_of
from gateway.events import EventBus, ServerReachabilityChanged, ServersChanged, ServerSuspected
from gateway.ids import make_id
from gateway.settings import WahaServerSettings
from gateway.vault import Vault
from gateway.waha.client import WahaClient
from gateway.waha.errors import WahaError
from sessions.models import Server, ServerSeed

log = structlog.get_logger()
server = table_of(Server)
server_seed = table_of(ServerSeed)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
RESTART_TOLERANCE_SECONDS = 5.0
"""WAHA computes its start time from its uptime: it moves by some milliseconds, and with our clock by some more."""
YOUNG_SECONDS = 120.0
"""How long after its start a server may still be bringing its sessions back."""

TransportFactory = Callable[[str], httpx.AsyncBaseTransport | None]
"""Gives the transport for a server's URL; None is the real network."""


@dataclass(slots=True)
class Member:
    """One server of the fleet, as this replica knows it. `started_at` is in epoch seconds by our clock."""

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

    # --- which there are ----------------------------------------------------------------------------------------

    async def load(self, configured: Sequence[WahaServerSettings]) -> None:
        """Take over what the settings say anew about a server, and open a client for every server in the database.

        What was changed by the API stays until the settings say something else than they did.
        """
        async with self._db.write() as tx:
            now = await read_now(tx)
            seeds = {
                row.name: self._vault.decrypt(row.values_encrypted) for row in await tx.execute(select(server_seed))
            }
            known = {row.name for row in await tx.execute(select(server.c.name))}
            for item in configured:
                key = item.api_key.get_secret_value()
                said = orjson.dumps([item.url.rstrip("/"), key, item.capacity]).decode()
                if seeds.get(item.name) == said:
                    continue
                values = {
                    "url": item.url.rstrip("/"),
                    "api_key_encrypted": self._vault.encrypt(key),
                    "capacity": item.capacity,
                }
                if item.name in known:
                    await tx.execute(update(server).where(server.c.name == item.name).values(**values))
                else:
                    await tx.execute(insert(server).values(id=make_id(now), name=item.name, created_at=now, **values))
                await tx.execute(server_seed.delete().where(server_seed.c.name == item.name))
                seed = {"name": item.name, "values_encrypted": self._vault.encrypt(said)}
                await tx.execute(insert(server_seed).values(**seed))
        await self.refresh()

    async def refresh(self) -> None:
        """Follow the table of servers: open clients for new ones, close those of removed and changed ones."""
        async with self._db.read() as connection:
            rows = {row.id: row for row in await connection.execute(select(server))}
        for id_ in set(self._members) - set(rows):
            await self._members.pop(id_).client.aclose()
        for id_, row in rows.items():
            member, api_key = self._members.get(id_), self._vault.decrypt(row.api_key_encrypted)
            if member is None or (member.url, member.api_key) != (row.url, api_key):
                if member is not None:
                    await member.client.aclose()
                member = self._members[id_] = self._open(row, api_key)
            member.name = row.name
            self._follow(member, row)

    def _open(self, row: AnyRow, api_key: str) -> Member:
        transport = self._transports(row.url)
        client = WahaClient(row.url, api_key, timeout_seconds=self._timeout_seconds, transport=transport)
        return Member(id=row.id, name=row.name, url=row.url, api_key=api_key, client=client, up=row.up)

    def _follow(self, member: Member, row: AnyRow) -> None:
        """What the row says about the server, which another replica may have found out."""
        member.engine = row.engine or member.engine
        member.started_at = row.started_at
        member.ghosts = row.ghosts
        if member.up != row.up:
            member.up = row.up
            self._bus.publish(ServerReachabilityChanged(member.id, member.name, up=member.up))

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
        values: dict[str, object] = {"listener": replica}
        if answered_at is not None:
            values["last_seen_at"] = answered_at
        async with self._db.write() as tx:
            now = await read_now(tx)
            free = or_(server.c.listener.is_(None), server.c.listener == replica, server.c.listener_until <= now)
            held = update(server).where(server.c.id == member.id, free)
            row = (await tx.execute(held.values(listener_until=now + seconds, **values).returning(server))).first()
        if row is None:
            return None
        self._follow(member, row)
        return Lease(now, row.ask_at)

    async def release(self, member: Member, replica: str) -> None:
        """Give the watch back."""
        mine = (server.c.id == member.id, server.c.listener == replica)
        async with self._db.write() as tx:
            await tx.execute(update(server).where(*mine).values(listener=None, listener_until=0.0))

    # --- whether it answers -------------------------------------------------------------------------------------

    def note_unreachable(self, server_id: str) -> None:
        """A call found the server away: have it looked at now instead of at the next sweep."""
        member = self._members.get(server_id)
        if member is not None and member.up:
            self._bus.publish(ServerSuspected(member.id))

    def note_answer(self, member: Member, at: float) -> None:
        """It has just answered, at `at` by the database's clock; written with the next renewal."""
        member.answered_at = at

    async def check_health(self, member: Member) -> None:
        """Ask a server how it is; what it says is stored, and a changed start time is a restart.

        Raises:
            WahaError: it does not answer, or it does not take our key.
        """
        await member.client.ping()
        status = await member.client.server_status()
        version = await member.client.server_version()
        values: dict[str, object] = {"up": True, "failures": 0, "ask_at": 0.0, "last_error": ""}
        values |= {"version": version.version, "engine": version.engine}
        async with self._db.write() as tx:
            now = await read_now(tx)
            started_at = now - status.uptime / 1000
            moved = member.started_at is None or abs(started_at - member.started_at) > RESTART_TOLERANCE_SECONDS
            if moved:
                values["started_at"] = started_at
            await tx.execute(update(server).where(server.c.id == member.id).values(last_seen_at=now, **values))
        if moved and member.started_at is not None:
            log.warning("waha_server_restarted", server=member.name)
        member.started_at = started_at if moved else member.started_at
        member.engine = version.engine
        self._set_up(member, up=True)

    async def note_failure(self, member: Member, error: WahaError) -> float:
        """It did not answer, or not as a WAHA that takes our key: it is down. Seconds until it is asked again."""
        async with self._db.write() as tx:
            now = await read_now(tx)
            failed = (
                update(server)
                .where(server.c.id == member.id)
                .values(up=False, failures=server.c.failures + 1, last_error=str(error))
            )
            failures = (await tx.execute(failed.returning(server.c.failures))).scalar_one_or_none() or 1
            pause = self._pause(failures)
            await tx.execute(update(server).where(server.c.id == member.id).values(ask_at=now + pause))
        if member.up:
            log.warning("waha_server_down", server=member.name, error=str(error))
        self._set_up(member, up=False)
        return pause

    def _pause(self, failures: int) -> float:
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 16))
        return float(longest * (0.5 + self._jitter() / 2))

    def _set_up(self, member: Member, *, up: bool) -> None:
        if member.up != up:
            member.up = up
            if up:
                log.warning("waha_server_back", server=member.name)
            self._bus.publish(ServerReachabilityChanged(member.id, member.name, up=up))

    async def note_ghosts(self, member: Member, names: Sequence[str]) -> None:
        """The sessions on a server that are not ours; they are told to the operator and left alone."""
        ghosts = orjson.dumps(names).decode()
        if ghosts == member.ghosts:
            return
        member.ghosts = ghosts
        async with self._db.write() as tx:
            await tx.execute(update(server).where(server.c.id == member.id).values(ghosts=ghosts))
        log.info("foreign_sessions", server=member.name, count=len(names))

    async def close(self) -> None:
        """Close all clients."""
        for member in self._members.values():
            await member.client.aclose()
