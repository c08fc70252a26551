"""How our sessions are run at WAHA: created with what we need later, started or restarted as each state wants it."""

from typing import Any

from gateway.db import AnyRow
from gateway.errors import ServiceUnavailable, WahaFailed
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
from sessions.servers.fleet import Fleet


def client_of(fleet: Fleet, row: AnyRow) -> WahaClient:
    """The client of a session's server.

    Raises:
        ServiceUnavailable: this replica does not know it.
    """
    client = fleet.client(row.server_id)
    if client is None:
        raise ServiceUnavailable("the session's WAHA server is not known here; restart the gateway")
    return client


async def create(client: WahaClient, row: AnyRow) -> SessionInfo:
    """Make the session at WAHA and start it, with everything that looking up a message later needs."""
    config: dict[str, Any] = {
        "metadata": {"managed_by": "waha-gateway", "number": row.number},
        "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
        "gows": {"storage": {"messages": True}},
        "webjs": {"tagsEventsOn": True},
    }
    return await client.create_session(row.name, config, start=True)


async def bring_up(client: WahaClient, row: AnyRow) -> SessionInfo:
    """Have WAHA run the session: create it, start it, or restart what has failed; one that runs is left alone."""
    try:
        return await create(client, row)
    except SessionAlreadyExists:
        return await wake(client, row, await client.get_session(row.name))


async def wake(client: WahaClient, row: AnyRow, info: SessionInfo) -> SessionInfo:
    """Start a stopped session, restart a failed one (`start` does nothing on it); another is left alone."""
    if info.status is WahaStatus.FAILED:
        return await client.restart_session(row.name)
    if info.status is not WahaStatus.STOPPED:
        return info
    try:
        return await client.start_session(row.name)
    except SessionAlreadyStarted:  # WAHA before 2026.6.1, also for a failed session
        return await client.restart_session(row.name)


def as_gateway_error(error: WahaError) -> ServiceUnavailable | WahaFailed:
    """What our caller is told when WAHA fails."""
    if isinstance(error, WahaUnreachable | WahaConnectionLost | WahaTimeout):
        return ServiceUnavailable("the WAHA server of this session does not answer; it is asked again by itself")
    return WahaFailed(f"WAHA answered: {error}")
