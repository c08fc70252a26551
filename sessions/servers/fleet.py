"""The fleet: every WAHA server that we know, with a client for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import structlog
from sqlalchemy import insert, select, update

from gateway.clock import Clock
from gateway.db import Database, read_now, table_of
from gateway.events import EventBus, ServerReachabilityChanged, ServerSuspected
from gateway.ids import make_id
from gateway.settings import WahaServerSettings
from gateway.vault import Vault
from gateway.waha.client import WahaClient
from sessions.models import Server

log = structlog.get_logger()
server = table_of(Server)

TransportFactory = Callable[[str], httpx.AsyncBaseTransport | None]
"""Gives the transport for a server's URL; None is the real network."""


@dataclass(slots=True)
class Member:
    """One server of the fleet, as this replica knows it."""

    id: str
    name: str
    url: str
    api_key: str
    client: WahaClient
    engine: str = ""
    up: bool = True

    def __repr__(self) -> str:
        return f"Member({self.name!r}, {self.url!r})"


class Fleet:
    """Which servers there are, and how to talk to each."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        bus: EventBus,
        clock: Clock,
        *,
        timeout_seconds: float,
        transports: TransportFactory | None = None,
    ) -> None:
        self._db = db
        self._vault = vault
        self._bus = bus
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._transports = transports or (lambda _url: None)
        self._members: dict[str, Member] = {}

    async def load(self, configured: Sequence[WahaServerSettings]) -> None:
        """Store the servers of the settings, and open a client for every server in the database."""
        async with self._db.write() as tx:
            now = await read_now(tx)
            known = {row.name for row in await tx.execute(select(server.c.name))}
            for item in configured:
                values = {
                    "url": item.url.rstrip("/"),
                    "api_key_encrypted": self._vault.encrypt(item.api_key.get_secret_value()),
                    "capacity": item.capacity,
                }
                if item.name in known:
                    await tx.execute(update(server).where(server.c.name == item.name).values(**values))
                else:
                    new = {"id": make_id(now), "name": item.name, "created_at": now, "draining": False, "up": True}
                    await tx.execute(insert(server).values(**new, **values, engine="", version=""))
            rows = (await tx.execute(select(server))).all()
        for row in rows:
            self._members[row.id] = self._open(
                row.id, row.name, row.url, self._vault.decrypt(row.api_key_encrypted), row.engine, up=row.up
            )

    def _open(self, id_: str, name: str, url: str, api_key: str, engine: str, *, up: bool) -> Member:
        client = WahaClient(url, api_key, timeout_seconds=self._timeout_seconds, transport=self._transports(url))
        return Member(id=id_, name=name, url=url, api_key=api_key, client=client, engine=engine, up=up)

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

    def note_unreachable(self, server_id: str) -> None:
        """A call found the server away: have it looked at now instead of at the next sweep."""
        member = self._members.get(server_id)
        if member is not None and member.up:
            self._bus.publish(ServerSuspected(member.id))

    async def set_reachable(self, member: Member, *, up: bool, version: str = "", engine: str = "") -> None:
        """Write whether a server answers; told on the bus when that has changed."""
        changed = member.up != up
        async with self._db.write() as tx:
            values: dict[str, object] = {"up": up}
            if up:
                values |= {"last_seen_at": await read_now(tx), "version": version, "engine": engine}
            await tx.execute(update(server).where(server.c.id == member.id).values(**values))
        member.up = up
        member.engine = engine or member.engine
        if changed:
            log.warning("waha_server_back" if up else "waha_server_down", server=member.name)
            self._bus.publish(ServerReachabilityChanged(member.id, member.name, up=up))

    async def touch(self, member: Member) -> None:
        """Note that a server has just answered."""
        async with self._db.write() as tx:
            await tx.execute(update(server).where(server.c.id == member.id).values(last_seen_at=await read_now(tx)))

    async def close(self) -> None:
        """Close all clients."""
        for member in self._members.values():
            await member.client.aclose()
