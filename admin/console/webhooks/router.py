"""The pages of webhooks: who is told what happens, and what became of each event."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.forms import errors_of
from admin.console.lists import PER_PAGE, PageNumber
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.webhooks.room import (
    API,
    EVENTS,
    FIELDS,
    DeliveryFilters,
    Room,
    WebhookForm,
    delivery_filters,
    outcome,
)

PATH = "/console/webhooks"
Key = Annotated[str, Form(max_length=200)]
Filled = Annotated[WebhookForm, Form()]
Filters = Annotated[DeliveryFilters, Depends(delivery_filters)]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes of webhooks."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    room = Room(desk)
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type
    Watcher = Annotated[Visitor, Depends(door.watcher)]  # noqa: N806 - a type

    @router.get("")
    async def listed(request: Request, visitor: Who, page: PageNumber = 1) -> Response:
        found = await desk.api.get(visitor, API, {"page": page, "per_page": PER_PAGE})
        return desk.pages.page(request, visitor, "webhooks/list.html", found=found)

    @router.get("/new")
    async def form_page(request: Request, visitor: Who) -> Response:
        return desk.pages.page(request, visitor, "webhooks/new.html", **room.new_form())

    @router.post("")
    async def make(visitor: Who, form: Filled) -> Response:
        try:
            made = await desk.api.call(visitor, "POST", API, form.new(), headers={"Idempotency-Key": form.key})
        except Refused as refused:
            values = room.new_form() | {"form": form.model_dump(), "errors": errors_of(refused, FIELDS)}
            return desk.pages.part("webhooks/new_form.html", 422, visitor=visitor, **values)
        return desk.pages.part("webhooks/made.html", webhook=made, note="It is told from now on.")

    @router.get("/{webhook_id}")
    async def one(request: Request, visitor: Who, webhook_id: UUID, filters: Filters) -> Response:
        values = await room.page_values(visitor, webhook_id, filters)
        return desk.pages.page(request, visitor, "webhooks/one.html", **values)

    @router.post("/{webhook_id}")
    async def change(visitor: Who, webhook_id: UUID, form: Filled) -> Response:
        try:
            await desk.api.call(visitor, "PATCH", f"{API}/{webhook_id}", form.details())
        except Refused as refused:
            values: dict[str, Any] = {"webhook": {"id": webhook_id}, "form": form.model_dump(), "events": EVENTS}
            errors = errors_of(refused, FIELDS)
            return desk.pages.part("webhooks/change_form.html", 422, errors=errors, **values)
        return desk.pages.done("Changed.", reload=True)

    @router.delete("/{webhook_id}")
    async def remove(visitor: Who, webhook_id: UUID) -> Response:
        await desk.api.call(visitor, "DELETE", f"{API}/{webhook_id}")
        return desk.pages.done("The webhook is gone.", to=PATH)

    @router.post("/{webhook_id}/switch")
    async def switch(visitor: Who, webhook_id: UUID, enabled: Annotated[bool, Form()]) -> Response:
        await desk.api.call(visitor, "PATCH", f"{API}/{webhook_id}", {"enabled": enabled})
        return await room.actions(visitor, webhook_id, "It is told again." if enabled else "It is told nothing.")

    @router.post("/{webhook_id}/test")
    async def test(visitor: Who, webhook_id: UUID, key: Key) -> Response:
        path = f"{API}/{webhook_id}/test"
        delivery = await desk.api.call(visitor, "POST", path, headers={"Idempotency-Key": key})
        return await room.actions(visitor, webhook_id, outcome(delivery))

    @router.post("/{webhook_id}/rotate-secret")
    async def rotate(visitor: Who, webhook_id: UUID, key: Key) -> Response:
        path = f"{API}/{webhook_id}/rotate-secret"
        made = await desk.api.call(visitor, "POST", path, headers={"Idempotency-Key": key})
        return await room.actions(visitor, webhook_id, "The new secret counts at once.", made)

    @router.get("/{webhook_id}/deliveries")
    async def deliveries(visitor: Watcher, webhook_id: UUID, filters: Filters, seen: str = "") -> Response:
        return await room.deliveries(visitor, webhook_id, filters, seen)

    @router.post("/{webhook_id}/deliveries/{delivery_id}/replay")
    async def replay(visitor: Who, webhook_id: UUID, delivery_id: UUID, key: Key, filters: Filters) -> Response:
        path = f"{API}/{webhook_id}/deliveries/{delivery_id}/replay"
        await desk.api.call(visitor, "POST", path, headers={"Idempotency-Key": key})
        return await room.deliveries(visitor, webhook_id, filters, "")

    return router
