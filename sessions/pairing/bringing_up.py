"""Having WAHA run a session that is to be paired: the lifecycle calls of pairing, one flight for each session.

A call that takes long goes on when its caller's patience is over. Who holds the session looks again before it acts:
whatever another caller or replica has done meanwhile is not done twice.
"""

from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict
from gateway.events import EventBus
from gateway.waha.client import WahaClient
from gateway.waha.errors import SessionNotFound
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions.history import Diary, Kind
from sessions.lifecycle import Held, Lifecycle, client_of
from sessions.news.state_writer import StateWriter
from sessions.pairing.flights import Flights
from sessions.pairing.needs import is_open
from sessions.servers.fleet import Fleet

TURN_SECONDS = 60.0
"""How long a flight waits for its turn: longer than a lease, so also for that of a replica that has crashed."""
GRACE_SECONDS = 3.0

_AT_A_CODE = (WahaStatus.SCAN_QR_CODE, WahaStatus.PASSKEY_REQUIRED, WahaStatus.PASSKEY_CONFIRMATION_REQUIRED)


class Starter:
    """Starts, restarts and logs out sessions that are to be paired."""

    def __init__(
        self, db: Database, fleet: Fleet, lifecycle: Lifecycle, writer: StateWriter, bus: EventBus, clock: Clock
    ) -> None:
        self._db = db
        self._fleet = fleet
        self._lifecycle = lifecycle
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._starts: Flights[SessionInfo] = Flights("start for pairing")
        self._stops: Flights[None] = Flights("stop for pairing")

    async def stop(self) -> None:
        """Begin nothing more; what is under way gets some seconds, and is finished by the keeper."""
        await self._stops.stop(0.0)
        await self._starts.stop(GRACE_SECONDS)

    def client(self, row: AnyRow) -> WahaClient:
        """The client of a session's server; raises `ServiceUnavailable`."""
        return client_of(self._fleet, row)

    async def look(self, row: AnyRow) -> SessionInfo | None:
        """WAHA's present word on a session; None where it knows no such session."""
        try:
            return await self.client(row).get_session(row.name)
        except SessionNotFound:
            return None

    async def heard(self, row: AnyRow, info: SessionInfo) -> None:
        """Write what a call answered, unless something newer was heard; `row` was read before it."""
        member = self._fleet.member(row.server_id)
        if member is not None and info.status is not WahaStatus.STARTING:
            await self._writer.on_answer(member, row, info)

    async def bring_up(self, row: AnyRow, *, anew: bool, patience: float) -> SessionInfo:
        """Have WAHA run the session; `anew` ends a login that is of no use first.

        Raises:
            StillUnderWay: it is not done after `patience` seconds, and goes on.
            SessionBusy: another call on the session has not ended for a minute.
            WahaError: WAHA did not do it.
        """
        return await self._starts.join(row.sender_id, lambda: self._bring_up(row.sender_id, anew), patience)

    async def void_codes(self, row: AnyRow, *, patience: float) -> None:
        """Make worthless whatever code may have been shown until now, by stopping a session that shows one.

        Raises:
            Conflict: a pairing was opened meanwhile.
            StillUnderWay, SessionBusy, WahaError: as `bring_up`.
        """
        await self._stops.join(row.sender_id, lambda: self._void_codes(row.sender_id), patience)

    async def _bring_up(self, sender_id: int, anew: bool) -> SessionInfo:
        async with self._lifecycle.hold(sender_id, "pair", patience=TURN_SECONDS) as held:
            info = await self.look(held.row)
            if info is None:
                info = await held.bring_up()
            elif anew and held.row.paired_at is not None and info.status not in (*_AT_A_CODE, WahaStatus.STARTING):
                info = await self._log_out(held)
            else:
                info = await held.wake(info)
        await self.heard(held.row, info)
        return info

    async def _log_out(self, held: Held) -> SessionInfo:
        info = await held.wake(await held.logout())  # one that did not run stays stopped
        row, diary = held.row, Diary()
        async with self._db.write() as tx:
            reason = "its login was of no use any more: logged out to be paired anew"
            await diary.note(tx, row.sender_id, row.number, Kind.LOGGED_OUT, reason, await read_now(tx))
        diary.tell(self._bus)
        return info

    async def _void_codes(self, sender_id: int) -> None:
        async with self._lifecycle.hold(sender_id, "stop", patience=TURN_SECONDS) as held:
            async with self._db.read() as connection:
                now = await read_now(connection)
            if is_open(held.row, now):
                raise Conflict(f"a pairing of +{held.row.number} has just been opened by somebody else")
            info = await self.look(held.row)
            if info is not None and info.status in _AT_A_CODE:
                await held.stop()
