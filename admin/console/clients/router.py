"""The pages of clients, which are other systems with API keys: for operators."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from admin.console.clients.reading import ClientForm, KeyForm, Text, as_form, changed_client, new_client, new_key
from admin.console.door import Door, Visitor
from admin.console.forms import errors_of
from admin.console.lists import PER_PAGE, PageNumber
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route

PATH = "/console/clients"
API = "/api/admin/clients"
MOST_KEYS = 200
FIELDS = tuple(ClientForm.model_fields)
KEY_FIELDS = tuple(KeyForm.model_fields)
SCOPES = (("read", "Read: look at everything"), ("send", "Send messages"), ("manage", "Manage: all other changes"))

Filled = Annotated[ClientForm, Form()]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes of clients."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    room = Room(desk)
    Operator = Annotated[Visitor, Depends(door.operator)]  # noqa: N806 - a type

    @router.get("")
    async def listed(request: Request, operator: Operator, page: PageNumber = 1) -> Response:
        found = await desk.api.get(operator, API, {"page": page, "per_page": PER_PAGE})
        return desk.pages.page(request, operator, "clients/list.html", found=found)

    @router.get("/new")
    async def form_page(request: Request, operator: Operator) -> Response:
        return desk.pages.page(request, operator, "clients/new.html", form={"currency": "USD"}, errors={})

    @router.post("")
    async def make(operator: Operator, form: Filled) -> Response:
        try:
            made = await desk.api.call(operator, "POST", API, new_client(form))
        except Refused as refused:
            errors = room.errors(refused)
            return desk.pages.part("clients/new_form.html", 422, form=form.model_dump(), errors=errors)
        return desk.pages.part("clients/made.html", client=made, note=f"{made['name']} can send now.")

    @router.get("/{client_id}")
    async def one(request: Request, operator: Operator, client_id: UUID) -> Response:
        client = await desk.api.get(operator, f"{API}/{client_id}")
        keys = await room.keys_values(operator, client_id)
        values = {"client": client, "form": as_form(client), "errors": {}, "credit": room.new_credit(), **keys}
        return desk.pages.page(request, operator, "clients/one.html", **values)

    @router.post("/{client_id}")
    async def change(operator: Operator, client_id: UUID, form: Filled) -> Response:
        try:
            await desk.api.call(operator, "PATCH", f"{API}/{client_id}", changed_client(form))
        except Refused as refused:
            values: dict[str, Any] = {
                "client": {"id": client_id},
                "form": form.model_dump(),
                "errors": room.errors(refused),
            }
            return desk.pages.part("clients/change_form.html", 422, **values)
        return desk.pages.done("Changed.", reload=True)

    @router.delete("/{client_id}")
    async def remove(operator: Operator, client_id: UUID, cancel_campaigns: bool = False) -> Response:
        query = {"cancel_campaigns": cancel_campaigns}
        await desk.api.call(operator, "DELETE", f"{API}/{client_id}", query=query)
        return desk.pages.done("The client is gone; its numbers are back in the account local.", to=PATH)

    @router.post("/{client_id}/credit")
    async def top_up(operator: Operator, client_id: UUID, key: Text, amount: Text = "") -> Response:
        headers = {"Idempotency-Key": key}
        path = f"{API}/{client_id}/credit"
        try:
            told = await desk.api.call(operator, "POST", path, {"amount": amount.strip()}, headers=headers)
        except Refused as refused:
            credit: dict[str, Any] = {
                "key": uuid4().hex,
                "form": {"amount": amount},
                "errors": errors_of(refused, ("amount",)),
            }
            return desk.pages.part("clients/credit.html", 422, client={"id": client_id}, credit=credit)
        return desk.pages.done(f"The balance is {told['balance']} {told['currency']}.", reload=True)

    @router.post("/{client_id}/keys")
    async def add_key(operator: Operator, client_id: UUID, form: Annotated[KeyForm, Form()]) -> Response:
        try:
            made = await desk.api.call(operator, "POST", f"{API}/{client_id}/keys", new_key(form))
        except Refused as refused:
            errors = errors_of(refused, KEY_FIELDS)
            return await room.keys(operator, client_id, 422, key_form=form.model_dump(), key_errors=errors)
        return await room.keys(operator, client_id, secret=made["api_key"], note="The key counts at once.")

    @router.post("/{client_id}/keys/{key_id}/rotate")
    async def rotate(operator: Operator, client_id: UUID, key_id: UUID) -> Response:
        made = await desk.api.call(operator, "POST", f"{API}/{client_id}/keys/{key_id}/rotate")
        note = "The old key opens nothing any more."
        return await room.keys(operator, client_id, secret=made["api_key"], note=note)

    @router.delete("/{client_id}/keys/{key_id}")
    async def revoke(operator: Operator, client_id: UUID, key_id: UUID) -> Response:
        await desk.api.call(operator, "DELETE", f"{API}/{client_id}/keys/{key_id}")
        return await room.keys(operator, client_id, note="The key opens nothing any more.")

    return router


class Room:
    """What the pages of clients are made of."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def errors(self, refused: Refused) -> dict[str, str]:
        """What is wrong with a client's form, by field."""
        return errors_of(refused, FIELDS, conflict="name")

    def new_credit(self) -> dict[str, Any]:
        """The form to top up a balance, empty."""
        return {"key": uuid4().hex, "form": {}, "errors": {}}

    async def keys_values(self, operator: Visitor, client_id: UUID) -> dict[str, Any]:
        """A client's keys, and the form to make one."""
        keys = await self._desk.api.get(operator, f"{API}/{client_id}/keys", {"per_page": MOST_KEYS})
        form = {"scopes": [name for name, _ in SCOPES]}
        return {"keys": keys, "scopes": SCOPES, "key_form": form, "key_errors": {}, "secret": "", "id": client_id}

    async def keys(
        self, operator: Visitor, client_id: UUID, status: int = 200, note: str = "", **values: Any
    ) -> Response:
        """The part of a client's page with its keys."""
        shown = await self.keys_values(operator, client_id) | values
        return self._desk.pages.part("clients/keys.html", status, note=note, **shown)
