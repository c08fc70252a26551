"""Sessions of ours that run on a server where they do not live: two engines with one login throw each other out.

A stray is stopped, where it strays. It is never deleted: that would log the phone out of both.
"""

import structlog

from gateway.db import Database, read_now
from gateway.errors import GatewayError
from gateway.events import EventBus
from gateway.waha.errors import SessionNotFound, WahaError
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions import queries
from sessions.history import Diary, Kind
from sessions.lifecycle import MANAGED_BY, Lifecycle
from sessions.news.watch import Swept
from sessions.servers.fleet import Fleet

log = structlog.get_logger()


def suspects(swept: Swept) -> list[SessionInfo]:
    """Sessions that run on a server, say that they are ours, and are not stored as living there."""
    at_home = {row.name for row in swept.rows}
    return [
        info
        for name, info in swept.infos.items()
        if name not in at_home
        and info.status is not WahaStatus.STOPPED
        and info.metadata.get("managed_by") == MANAGED_BY
        and info.metadata.get("number")
    ]


class Strays:
    """Stops strays."""

    def __init__(self, db: Database, bus: EventBus, fleet: Fleet, lifecycle: Lifecycle) -> None:
        self._db = db
        self._bus = bus
        self._fleet = fleet
        self._lifecycle = lifecycle

    async def stop(self, server_id: str, number: str) -> bool:
        """Stop the session of `number` on a server if it lives on another one; whether it did."""
        member = self._fleet.member(server_id)
        async with self._db.read() as connection:
            row = await queries.find_session(connection, number)
        if member is None or row is None or server_id in (row.server_id, row.moving_to):
            return False  # a session that nobody here knows is told as a ghost, and left alone
        try:
            async with self._lifecycle.hold(row.sender_id, "stop") as held:
                if server_id in (held.row.server_id, held.row.moving_to):
                    return False
                info = await member.client.get_session(held.row.name)
                if info.status is WahaStatus.STOPPED:
                    return False
                await held.stop_stray(member.client)
        except SessionNotFound:
            return False
        except (WahaError, GatewayError) as error:
            log.warning("stray_not_stopped", number=number, server=member.name, error=str(error))
            return True
        diary = Diary()
        reason = f"it ran on {member.name} too, and lives on {row.server_name}"
        log.warning("stray_stopped", number=number, server=member.name)
        async with self._db.write() as tx:
            now = await read_now(tx)
            await diary.note(tx, row.sender_id, row.number, Kind.KEPT_STOPPED, reason, now)
        diary.tell(self._bus)
        return True
