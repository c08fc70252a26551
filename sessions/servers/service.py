"""What the operator does with servers: look at them, add, change, drain and remove them.

The table is changed in one transaction; then this replica follows at once, and the others with their next sweep. A
server keeps its name: the settings, logs and histories refer to it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth import tokens
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, FieldError, NotFound, WahaFailed
from gateway.events import EventBus, SessionStateChanged
from gateway.ids import make_id
from gateway.vault import Vault
from gateway.waha.errors import WahaError, WahaTimeout, WahaUnauthorized
from gateway.waha.schemas import ServerVersion, SessionInfo
from sessions import queries as session_queries
from sessions.history import Diary, Kind
from sessions.models import SessionState
from sessions.servers import queries
from sessions.servers.circuit import describe_failure
from sessions.servers.fleet import Fleet

log = structlog.get_logger()

ASK_SECONDS = 20.0
"""How long a new address has to answer."""
NAMED = 5
"""How many sessions a refusal names."""


@dataclass(frozen=True, slots=True)
class ServerView:
    """A server's row, how many sessions it has by state, how many are moving to it, and the database's time."""

    row: AnyRow
    states: Mapping[str, int]
    arriving: int
    now: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address said when it was asked."""

    version: ServerVersion
    sessions: Sequence[SessionInfo]


class ServerService:
    """The operator's verbs on servers."""

    def __init__(self, db: Database, vault: Vault, fleet: Fleet, bus: EventBus) -> None:
        self._db = db
        self._vault = vault
        self._fleet = fleet
        self._bus = bus

    # --- looking ------------------------------------------------------------------------------------------------

    async def page(self, offset: int, limit: int) -> tuple[list[ServerView], int]:
        """Some servers by name, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.page(connection, offset, limit)
            return await _views(connection, rows), total

    async def get(self, name: str) -> ServerView:
        """One server; raises `NotFound`."""
        async with self._db.read() as connection:
            return (await _views(connection, [_found(await queries.find(connection, name), name)]))[0]

    # --- changing -----------------------------------------------------------------------------------------------

    async def add(self, name: str, url: str, api_key: str, capacity: int, *, check: bool = True) -> ServerView:
        """Add a server; `check`: only if it answers as a WAHA that takes the key.

        Raises:
            Conflict: there is one of this name, or at this address.
            WahaFailed: it does not answer so.
        """
        async with self._db.read() as connection:
            await _refuse_second(connection, name, url)
        told = _told(await self._ask(url, api_key)) if check else {}
        async with self._db.write() as tx:
            await queries.lock_all(tx)
            await _refuse_second(tx, name, url)
            now = await read_now(tx)
            values = {"name": name, "url": url, "api_key_encrypted": self._vault.encrypt(api_key)}
            await queries.add(tx, {"id": make_id(now), "created_at": now, "capacity": capacity, **values, **told})
        log.info("server_added", server=name)
        return await self._changed(name)

    async def change(
        self,
        name: str,
        *,
        url: str | None = None,
        api_key: str | None = None,
        capacity: int | None = None,
        check: bool = True,
        force: bool = False,
    ) -> ServerView:
        """Change what is given.

        Another address is taken only if the sessions of this server are found there, or if it is forced.

        Raises:
            NotFound: no such server.
            Conflict: its sessions are not at the new address, or another server is.
            WahaFailed: it does not answer as a WAHA that takes the key.
        """
        before = (await self.get(name)).row
        new_url = url if url != before.url else None
        new_key = api_key if api_key is None else self._vault.encrypt(api_key)
        answer = None
        if check and (new_url is not None or api_key is not None):
            key = self._vault.decrypt(before.api_key_encrypted) if api_key is None else api_key
            answer = await self._ask(new_url or before.url, key)
        values: dict[str, object] = {"url": new_url, "api_key_encrypted": new_key, "capacity": capacity}
        values = {column: value for column, value in values.items() if value is not None}
        if new_url is not None or api_key is not None:  # what was found out about it need not be so any more
            values |= {"up": True, "failures": 0, "ask_at": 0.0, "last_error": ""} | (_told(answer) if answer else {})
        if new_url is not None:
            values |= {"started_at": None, "ghosts": "[]"}
        async with self._db.write() as tx:
            await queries.lock_all(tx)
            row = _found(await queries.lock(tx, name=name), name)
            if new_url is not None:
                await _refuse_second(tx, None, new_url)
                if not force:
                    await _refuse_to_lose(tx, row, answer)
            if values:
                await queries.change(tx, row.id, **values)
            if new_url is not None:
                await queries.forget_stores(tx, row.id, await read_now(tx))
        log.info("server_changed", server=name, what=sorted(values))
        return await self._changed(name)

    async def drain(self, name: str, *, draining: bool) -> ServerView:
        """Give a server no new sessions (or, without `draining`, again); those that it has stay."""
        async with self._db.write() as tx:
            row = _found(await queries.lock(tx, name=name), name)
            await queries.change(tx, row.id, draining=draining)
        log.info("server_drained" if draining else "server_undrained", server=name)
        return await self._changed(name)

    async def remove(self, name: str, *, force: bool = False) -> list[str]:
        """Forget a server, and with `force` its sessions, whose numbers are returned; nothing is done at WAHA.

        Raises:
            NotFound: no such server.
            Conflict: it has sessions.
        """
        diary = Diary()
        async with self._db.write() as tx:
            row = _found(await queries.lock(tx, name=name), name)
            there = await queries.sessions_of(tx, row.id)
            if there and not force:
                raise Conflict(
                    f"{name} has {_count(len(there))}; move or remove them first, or forget them with ?force=true"
                )
            now = await read_now(tx)
            for one in there:
                await self._forget(tx, diary, one, row, now)
            await queries.remove(tx, row.id)
        diary.tell(self._bus)
        forgotten = [one for one in there if one.server_id == row.id]
        for one in forgotten:
            self._bus.publish(SessionStateChanged(one.sender_id, one.number, SessionState.STOPPED, connected=False))
        log.warning("server_removed", server=name, sessions_forgotten=len(forgotten))
        await self._fleet.refresh()
        self._fleet.announce_change()
        return [one.number for one in forgotten]

    async def _forget(self, tx: AsyncConnection, diary: Diary, one: AnyRow, row: AnyRow, now: float) -> None:
        """One session of a server that is being removed; one that was only on its way to it stays where it is."""
        if one.server_id != row.id:
            await session_queries.change(tx, one.sender_id, moving_to=None, reason="")
            given_up = f"its move to {row.name} was given up: that server was removed"
            await diary.note(tx, one.sender_id, one.number, Kind.MOVED, given_up, now)
            return
        reason = f"its server {row.name} was removed from the gateway; WAHA was not asked to do anything"
        await diary.note(tx, one.sender_id, one.number, Kind.FORGOTTEN, reason, now)
        await session_queries.delete_session(tx, one.sender_id)
        await tokens.revoke(tx, one.number)

    async def _changed(self, name: str) -> ServerView:
        await self._fleet.refresh()
        self._fleet.announce_change()
        return await self.get(name)

    async def _ask(self, url: str, api_key: str) -> Answer:
        """Ask an address whether it is a WAHA that lets us do what we need; raises `WahaFailed`."""
        try:
            async with asyncio.timeout(ASK_SECONDS), self._fleet.connect(url, api_key) as client:
                await client.ping()
                return Answer(await client.server_version(), await client.list_sessions(all=True))
        except (WahaError, TimeoutError) as error:
            wrong = error if isinstance(error, WahaError) else WahaTimeout("WAHA gave no answer in time")
            field = "api_key" if isinstance(wrong, WahaUnauthorized) else "url"
            text = describe_failure(wrong)
            raise WahaFailed(
                f'{url}: {text}; to take it as it is, send "check": false', errors=[FieldError(field, text, "no_waha")]
            ) from error


async def _views(connection: AsyncConnection, rows: Sequence[AnyRow]) -> list[ServerView]:
    now = await read_now(connection)
    states, arriving = await queries.count_sessions(connection), await queries.count_arriving(connection)
    return [ServerView(row, states.get(row.id, {}), arriving.get(row.id, 0), now) for row in rows]


def _found(row: AnyRow | None, name: str) -> AnyRow:
    if row is None:
        raise NotFound(f"there is no server {name}")
    return row


def _told(answer: Answer) -> dict[str, object]:
    return {"version": answer.version.version[:32], "engine": answer.version.engine[:16]}


def _count(sessions: int) -> str:
    return "1 session" if sessions == 1 else f"{sessions} sessions"


async def _refuse_second(connection: AsyncConnection, name: str | None, url: str) -> None:
    if name is not None and await queries.find(connection, name) is not None:
        message = f"there is a server {name} already; change it with PATCH"
        raise Conflict(message, errors=[FieldError("name", message, "duplicate")])
    other = await queries.find_by_url(connection, url)
    if other is not None:
        message = f"this is the address of the server {other.name} already"
        raise Conflict(message, errors=[FieldError("url", message, "duplicate")])


async def _refuse_to_lose(connection: AsyncConnection, row: AnyRow, answer: Answer | None) -> None:
    """Another address must have the sessions of the server, or each of them would have to be paired anew."""
    ours = [one.name for one in await queries.sessions_of(connection, row.id) if one.server_id == row.id]
    known = {info.name for info in answer.sessions} if answer is not None else set()
    missing = [name for name in ours if name not in known]
    if missing:
        named = ", ".join(f"+{name}" for name in missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
        why = "are not there" if answer is not None else "were not looked for there"
        raise Conflict(
            f"{len(missing)} of the {_count(len(ours))} of {row.name} {why} ({named}); "
            'if that is meant, send "force": true: they have to be paired anew',
            errors=[FieldError("url", f"{_count(len(missing))} {why}", "sessions_missing")],
        )
