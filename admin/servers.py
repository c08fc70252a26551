"""The operator's routes about WAHA servers, and about which of them a session lives on."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Depends, Path, Query

from gateway.auth.access import Access, Caller, PhoneReader
from gateway.errors import FieldError, ValidationFailed
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from sessions.schemas import as_time
from sessions.servers.moving import Moved, Mover
from sessions.servers.schemas import MoveIn, MoveOut, ServerChange, ServerCreate, ServerOut, ServerRemoved
from sessions.servers.service import ServerService, ServerView

Name = Annotated[str, Path(description="The server's name", max_length=64)]
PREFIXES = ("/api/admin/servers", "/api/admin/workers")
"""The second is the older name."""


def build_routers(
    service: ServerService, mover: Mover, phones: PhoneReader, access: Access, idempotency: Idempotency
) -> list[APIRouter]:
    """The routes under `/api/admin/servers`, the same under `/api/admin/workers`, and the one that moves a session."""
    servers = [_server_routes(prefix, service, access, idempotency) for prefix in PREFIXES]
    return [*servers, _move_route(mover, phones, access, idempotency)]


def _move_route(mover: Mover, phones: PhoneReader, access: Access, idempotency: Idempotency) -> APIRouter:
    router = LateRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(access.admin)])

    @router.post("/sessions/{phone_number}/move", summary="Move a session")
    async def move(
        phone_number: Annotated[str, Path(description="The sender's number, written in any way", max_length=40)],
        operator: Annotated[Caller, Depends(access.admin)],
        once: Annotated[Once, Depends(idempotency)],
        body: Annotated[MoveIn | None, Body()] = None,
    ) -> MoveOut:
        """Have a session live on another server; without one, on that with the most room.

        It is stopped on the old server first. `scan_again` tells whether its phone has to scan again: not if the two
        servers share a store. Its messages wait meanwhile. 503 and no change while one of the servers does not answer.
        """
        wanted = body or MoveIn()
        number = phones.digits(phone_number, "phone_number")

        async def moved() -> MoveOut:
            return _move_out(await mover.move(number, wanted.server, force=wanted.force))

        return await once.step(MoveOut, operator, moved)

    return router


def _server_routes(prefix: str, service: ServerService, access: Access, idempotency: Idempotency) -> APIRouter:
    router = LateRouter(prefix=prefix, tags=["admin"], dependencies=[Depends(access.admin)])
    Operator = Annotated[Caller, Depends(access.admin)]  # noqa: N806 - a type
    JustOnce = Annotated[Once, Depends(idempotency)]  # noqa: N806 - a type

    async def drain(name: str, operator: Caller, once: Once, *, draining: bool) -> ServerOut:
        async def drained() -> ServerOut:
            return _server_out(await service.drain(name, draining=draining))

        return await once.step(ServerOut, operator, drained)

    @router.get("", summary="The WAHA servers")
    async def list_servers(page: Annotated[PageRequest, Depends()]) -> Page[ServerOut]:
        """Every server by name: its sessions, its load, and whether it answers."""
        views, total = await service.page(page.offset, page.limit)
        return make_page([_server_out(view) for view in views], total, page)

    @router.post("", status_code=201, summary="Add a server")
    async def add_server(body: ServerCreate, operator: Operator, once: JustOnce) -> ServerOut:
        """Add a WAHA server; new sessions may go there at once.

        It is asked first: 502 if it does not answer as a WAHA that takes the key. 409 for a name or an address that is
        there already.
        """

        async def added() -> ServerOut:
            key = body.api_key.get_secret_value()
            return _server_out(await service.add(body.name, body.url, key, body.capacity, check=body.check))

        return await once.step(ServerOut, operator, added)

    @router.get("/{name}", summary="One server")
    async def get_server(name: Name) -> ServerOut:
        """Its sessions, its load, and whether it answers."""
        return _server_out(await service.get(name))

    @router.patch("/{name}", summary="Change a server")
    async def change_server(name: Name, body: ServerChange) -> ServerOut:
        """Change its address, key or capacity. Calls that are under way end as they began.

        Another address must have the sessions that live on this server (the same WAHA under another address, or one
        with its store): 409 otherwise, unless it is forced. A message of which nobody knows then whether it was sent is
        not looked for there: it becomes `unconfirmed`, and a person decides.
        """
        if body.url is None and body.api_key is None and body.capacity is None:
            message = "name what to change: url, api_key or capacity"
            raise ValidationFailed(message, errors=[FieldError("url", message, "missing")])
        key = body.api_key.get_secret_value() if body.api_key is not None else None
        changed = await service.change(
            name, url=body.url, api_key=key, capacity=body.capacity, check=body.check, force=body.force
        )
        return _server_out(changed)

    @router.post("/{name}/drain", summary="Give a server no new sessions")
    async def drain_server(name: Name, operator: Operator, once: JustOnce) -> ServerOut:
        """It gets no new sessions from now on; those that it has stay, and go on."""
        return await drain(name, operator, once, draining=True)

    @router.post("/{name}/undrain", summary="Give a server new sessions again")
    async def undrain_server(name: Name, operator: Operator, once: JustOnce) -> ServerOut:
        """It gets new sessions again."""
        return await drain(name, operator, once, draining=False)

    @router.delete("/{name}", summary="Remove a server")
    async def remove_server(
        name: Name,
        force: Annotated[bool, Query(description="Also with sessions, which are forgotten here")] = False,
    ) -> ServerRemoved:
        """Forget a server; nothing is done at WAHA.

        409 while it has sessions. With `force` these are forgotten too: their phones stay linked to that WAHA, and
        their messages wait until they are paired again. A server of config.toml comes back when its entry is changed.
        """
        forgotten = [f"+{number}" for number in await service.remove(name, force=force)]
        message = "the server was removed; WAHA was not asked to do anything"
        return ServerRemoved(name=name, status="removed", forgotten=forgotten, message=message)

    return router


def _server_out(view: ServerView) -> ServerOut:
    row, now = view.row, view.now
    placed = sum(view.states.values()) + view.arriving
    return ServerOut(
        name=row.name,
        url=row.url,
        capacity=row.capacity,
        sessions=placed,
        free=max(0, row.capacity - placed),
        sessions_by_state=dict(view.states),
        load=round(min(1.0, placed / row.capacity), 4),
        up=row.up,
        draining=row.draining,
        version=row.version,
        engine=row.engine,
        last_seen=as_time(row.last_seen_at),
        started_at=as_time(row.started_at),
        uptime_seconds=round(now - row.started_at, 1) if row.up and row.started_at is not None else None,
        failures=row.failures,
        next_ask_at=None if row.up else as_time(row.ask_at),
        last_error=row.last_error,
        ghosts=orjson.loads(row.ghosts),
        watched_by=row.listener if row.listener_until > now else None,
        created_at=as_time(row.created_at),
    )


def _move_out(moved: Moved) -> MoveOut:
    row = moved.row
    if moved.problem:
        message = moved.problem
    elif moved.scan_again:
        message = f"{row.server_name} has not its login: scan the code of GET /api/sessions/+{row.number}/qr"
    else:
        message = f"{row.server_name} has its login; the phone need not scan again"
    return MoveOut(
        phone_number=f"+{row.number}",
        from_server=moved.origin,
        server=row.server_name,
        status=row.state,
        scan_again=moved.scan_again,
        message=message,
    )
