"""The one way to WAHA's lifecycle calls: one at a time for each session, whoever asks and on whichever replica.

Who wants to start, stop, restart, log out, delete or configure a session holds it first (`Lifecycle.hold`). That
is a lease in the session's row, renewed before each call. It is given back at the end, but for a call of which nobody
knows how it ended (no answer, or a lock of WAHA that ran out): WAHA may still be at it, so that lease runs out by
itself.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import or_, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, NotFound, ServiceUnavailable, WahaFailed
from gateway.ids import make_id
from gateway.waha.client import WahaClient
from gateway.waha.errors import (
    SessionAlreadyExists,
    SessionAlreadyStarted,
    WahaConnectionLost,
    WahaError,
    WahaTimeout,
    WahaUnreachable,
)
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions import queries
from sessions.queries import session
from sessions.servers.fleet import Fleet

log = structlog.get_logger()

LEASE_SECONDS = 45.0
"""Longer than the longest single call (40 s); after a crash the session is free again so much later."""
UNKNOWN_SECONDS = 30.0
"""WAHA works at a call for at most so long, whatever it has answered."""
LOOK_SECONDS = 0.25
LOGIN_IS_GONE = 2
"""So many attempts in a row that failed at once: WhatsApp does not take the login."""
MANAGED_BY = "waha-gateway"
WEBHOOK_EVENTS = ("session.status", "message.ack", "message.any")


class SessionBusy(Conflict):
    """Another lifecycle call on this session is under way."""

    error_code = "SESSION_BUSY"


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where WAHA posts its events, and the key that it signs them with."""

    url: str
    secret: str


@dataclass(slots=True)
class Held:
    """A session that is held: `row` as it was read then, and the calls."""

    lifecycle: "Lifecycle"
    token: str
    row: AnyRow
    client: WahaClient

    async def create(self) -> SessionInfo:
        """Make the session at WAHA and start it; raises `SessionAlreadyExists`."""
        await self._renew("create")
        return await self.client.create_session(self.row.name, self.lifecycle.wanted_config(self.row), start=True)

    async def start(self) -> SessionInfo:
        """Start a stopped session; does nothing to one that has failed."""
        await self._renew("start")
        return await self.client.start_session(self.row.name)

    async def restart(self) -> SessionInfo:
        """Stop and start, whatever the status."""
        await self._renew("restart")
        return await self.client.restart_session(self.row.name)

    async def stop(self) -> None:
        """Stop; the login is kept."""
        await self._renew("stop")
        await self.client.stop_session(self.row.name)

    async def logout(self) -> SessionInfo:
        """Unpair; one that ran starts again, at a QR."""
        await self._renew("logout")
        return await self.client.logout_session(self.row.name)

    async def delete(self) -> None:
        """Unpair and forget at WAHA. It is stopped first: deleting a session that runs has crashed older versions."""
        await self.stop()
        await self._renew("delete")
        await self.client.delete_session(self.row.name)

    async def configure(self, present: Mapping[str, Any]) -> SessionInfo:
        """Put our configuration over the present one; a running session is restarted by this."""
        await self._renew("update")
        return await self.client.update_session(self.row.name, overlay(present, self.lifecycle.wanted_config(self.row)))

    async def bring_up(self) -> SessionInfo:
        """Have WAHA run the session: create it, start it, or restart what has failed; one that runs is left alone."""
        try:
            return await self.create()
        except SessionAlreadyExists:
            return await self.wake(await self.client.get_session(self.row.name))

    async def wake(self, info: SessionInfo) -> SessionInfo:
        """Start a stopped session, restart a failed one (`start` does nothing on it); another is left alone.

        A login that WhatsApp does not take any more is logged out: NOWEB shows no code before that.
        """
        if info.status is WahaStatus.FAILED:
            return await self._forget_login() if self.row.rejections >= LOGIN_IS_GONE else await self.restart()
        if info.status is not WahaStatus.STOPPED:
            return info
        try:
            return await self.start()
        except SessionAlreadyStarted:  # WAHA before 2026.6.1, also for a failed session
            return await self.restart()

    async def stop_stray(self, client: WahaClient) -> None:
        """Stop a session of this name that runs on another server, too: a login has one owner."""
        await self._renew("stop")
        await client.stop_session(self.row.name)

    async def _forget_login(self) -> SessionInfo:
        info = await self.logout()
        await self.lifecycle.note_unpaired(self.row.sender_id)
        return info

    async def follow(self) -> None:
        """Go on with the session as it is stored now, on the server where it lives now.

        Raises:
            NotFound: it is not there any more.
            ServiceUnavailable: this replica does not know its server.
        """
        self.row, self.client = await self.lifecycle.find(self.row.sender_id)

    async def _renew(self, verb: str) -> None:
        if not await self.lifecycle.renew(self.row.sender_id, self.token, verb):
            raise SessionBusy("another call on this session has taken over")


class Lifecycle:
    """Holds sessions for lifecycle calls, and knows the configuration that ours have."""

    def __init__(self, db: Database, fleet: Fleet, clock: Clock, webhook: WebhookTarget | None = None) -> None:
        self._db = db
        self._fleet = fleet
        self._clock = clock
        self._webhook = webhook

    @asynccontextmanager
    async def hold(self, sender_id: int, verb: str, *, patience: float = 0.0) -> AsyncIterator[Held]:
        """Hold a session, waiting up to `patience` seconds for another's call to end.

        Raises:
            SessionBusy: somebody else holds it.
            NotFound: there is no such session any more.
            ServiceUnavailable: this replica does not know its server.
        """
        token = make_id(self._clock.now())
        row = await self._take(sender_id, token, verb)
        waited = 0.0
        while row is None and waited < patience:
            await self._clock.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
            row = await self._take(sender_id, token, verb)
        if row is None:
            raise SessionBusy("another call on this session is under way; ask again in some seconds")
        keep = False
        try:
            yield Held(self, token, row, await self._client_of(row))
        except BaseException as error:
            keep = ends_unknown(error)
            raise
        finally:
            await self._give_back(sender_id, token, UNKNOWN_SECONDS if keep else 0.0)

    async def _take(self, sender_id: int, token: str, verb: str) -> AnyRow | None:
        async with self._db.write() as tx:
            now = await read_now(tx)
            taken = await tx.execute(
                update(session)
                .where(session.c.sender_id == sender_id, or_(session.c.busy_by.is_(None), session.c.busy_until <= now))
                .values(busy_by=token, busy_with=verb, busy_until=now + LEASE_SECONDS)
            )
            row = await queries.find_by_sender(tx, sender_id)
        if row is None:
            raise NotFound("there is no session for this number; create it with POST /api/sessions")
        return row if taken.rowcount == 1 else None

    async def find(self, sender_id: int) -> tuple[AnyRow, WahaClient]:
        """A session as it is stored now, and the client of its server; the errors of `Held.follow`."""
        async with self._db.read() as connection:
            row = await queries.find_by_sender(connection, sender_id)
        if row is None:
            raise NotFound("there is no session for this number; create it with POST /api/sessions")
        return row, await self._client_of(row)

    async def _client_of(self, row: AnyRow) -> WahaClient:
        """Another replica may have added the server a moment ago."""
        if self._fleet.client(row.server_id) is None:
            await self._fleet.refresh()
        return client_of(self._fleet, row)

    async def renew(self, sender_id: int, token: str, verb: str) -> bool:
        """Hold on for another call; False if the lease has run out and somebody else holds the session."""
        async with self._db.write() as tx:
            now = await read_now(tx)
            mine = await tx.execute(
                update(session)
                .where(session.c.sender_id == sender_id, session.c.busy_by == token)
                .values(busy_with=verb, busy_until=now + LEASE_SECONDS)
            )
        return mine.rowcount == 1

    async def note_unpaired(self, sender_id: int) -> None:
        """A login has been wiped: the next phone that scans makes a new pairing."""
        async with self._db.write() as tx:
            await queries.change(tx, sender_id, paired_at=None, requires_auth=True, rejections=0)

    async def _give_back(self, sender_id: int, token: str, after: float) -> None:
        mine = (session.c.sender_id == sender_id, session.c.busy_by == token)
        try:
            async with self._db.write() as tx:
                now = await read_now(tx)
                values = {"busy_until": now + after} if after else {"busy_by": None, "busy_with": "", "busy_until": 0.0}
                await tx.execute(update(session).where(*mine).values(**values))
        except (SQLAlchemyError, OSError) as error:
            log.error("hold_not_given_back", error=str(error))  # it runs out by itself

    def wanted_config(self, row: AnyRow) -> dict[str, Any]:
        """What a session of ours has in its configuration at WAHA: all that looking up a message later needs."""
        config: dict[str, Any] = {
            "metadata": {"managed_by": MANAGED_BY, "number": row.number},
            "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
            "gows": {"storage": {"messages": True}},
            "webjs": {"tagsEventsOn": True},
        }
        if self._webhook is not None:
            config["webhooks"] = [
                {
                    "url": f"{self._webhook.url}?server={row.server_id}",
                    "events": list(WEBHOOK_EVENTS),
                    "hmac": {"key": self._webhook.secret},
                    # half an hour of our absence is bridged; the sweep finds what is lost after that
                    "retries": {"policy": "constant", "delaySeconds": 2, "attempts": 900},
                }
            ]
        return config


def client_of(fleet: Fleet, row: AnyRow) -> WahaClient:
    """The client of a session's server.

    Raises:
        ServiceUnavailable: this replica does not know it.
    """
    client = fleet.client(row.server_id)
    if client is None:
        raise ServiceUnavailable("the session's WAHA server is not known here yet; ask again in some seconds")
    return client


def has_drifted(present: object, wanted: object) -> bool:
    """Whether a configuration lacks something of ours; what others have added to it is no drift."""
    if isinstance(wanted, Mapping):
        return not isinstance(present, Mapping) or any(has_drifted(present.get(key), wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return not isinstance(present, list) or any(
            all(has_drifted(there, item) for there in present) for item in wanted
        )
    return present != wanted


def overlay(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`present` with everything of `wanted` put over it; lists of ours replace theirs."""
    merged = dict(present)
    for key, value in wanted.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = overlay(below, value) if both and isinstance(below, Mapping) else value
    return merged


def ends_unknown(error: BaseException) -> bool:
    """Whether WAHA may still be carrying a call out that ended in `error`."""
    if isinstance(error, WahaError):
        return not error.surely_not_sent
    return not isinstance(error, Exception)  # cancelled in the middle of a call


def as_gateway_error(error: WahaError) -> ServiceUnavailable | WahaFailed:
    """What our caller is told when WAHA fails."""
    if isinstance(error, WahaUnreachable | WahaConnectionLost | WahaTimeout):
        return ServiceUnavailable("the WAHA server of this session does not answer; it is asked again by itself")
    return WahaFailed(f"WAHA answered: {error}")
