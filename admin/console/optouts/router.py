"""The pages of who is not written to."""

from typing import Annotated, Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from fastapi import APIRouter, Depends, Form, Query, Request, UploadFile
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.downloads import pass_on
from admin.console.forms import as_sentence, errors_of
from admin.console.lists import PER_PAGE, PageNumber
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route

PATH = "/console/opt-outs"
API = "/api/suppressions"
MOST_CLIENTS = 1000
EVERYBODY = "*"
"""What the form says where an operator means all accounts."""
SOURCES = (("", "All sources"), ("keyword", "By a word"), ("api", "API"), ("import", "Import"), ("console", "Console"))
FIELDS = ("phone_number", "reason", "account")

Text = Annotated[str, Form(max_length=2000)]
Account = Annotated[str, Query(max_length=36)]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes of the opt-outs."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    room = Room(desk)
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("")
    async def listed(
        request: Request,
        visitor: Who,
        search: Annotated[str, Query(max_length=200)] = "",
        source: Annotated[str, Query(max_length=8)] = "",
        page: PageNumber = 1,
    ) -> Response:
        filters = {name: value for name, value in (("search", search), ("source", source)) if value}
        found = await desk.api.get(visitor, API, filters | {"page": page, "per_page": PER_PAGE})
        values = {"found": found, "filters": filters, "sources": SOURCES, **room.new_form()}
        return desk.pages.page(
            request, visitor, "optouts/list.html", accounts=await room.accounts(visitor), result=None, **values
        )

    @router.get("/export")
    async def export(visitor: Who, search: str = "", source: str = "") -> Response:
        return await pass_on(desk.api, visitor, f"{API}/export", {"search": search, "source": source})

    @router.post("")
    async def add(
        visitor: Who, phone_number: Text = "", reason: Text = "", account: Text = "", key: Text = ""
    ) -> Response:
        form = {"phone_number": phone_number, "reason": reason, "account": account}
        body: dict[str, Any] = {"phone_number": phone_number, "reason": reason, "source": "console"} | whose(account)
        try:
            await desk.api.call(visitor, "POST", API, body, headers={"Idempotency-Key": key})
        except Refused as refused:
            errors = errors_of(refused, FIELDS, conflict="phone_number")
            values: dict[str, Any] = {"visitor": visitor, "form": form, "errors": errors, "key": uuid4().hex}
            accounts = await room.accounts(visitor)
            return desk.pages.part("optouts/add.html", 422, accounts=accounts, **values)
        return desk.pages.done("They are not written to any more.", reload=True)

    @router.post("/import")
    async def import_list(visitor: Who, file: UploadFile, reason: Text = "") -> Response:
        content = (file.filename or "list", await file.read(), file.content_type or "text/csv")
        try:
            path = f"{API}/import?{urlencode({'reason': reason})}"
            result = await desk.api.upload(visitor, path, [("file", content)], {})
        except Refused as refused:
            values: dict[str, Any] = {"visitor": visitor, "result": None, "form": {"reason": reason}}
            errors = {"file": as_sentence(refused.detail)}
            return desk.pages.part("optouts/import.html", 422, errors=errors, **values)
        return desk.pages.part("optouts/import.html", visitor=visitor, result=result, errors={}, form={})

    @router.get("/{phone_number}")
    async def one(request: Request, visitor: Who, phone_number: str, account: Account = "") -> Response:
        values = await room.person(visitor, phone_number, account)
        return desk.pages.page(request, visitor, "optouts/one.html", **values)

    @router.delete("/{phone_number}")
    async def remove(
        visitor: Who, phone_number: str, reason: Annotated[str, Query(max_length=2000)] = "", account: Account = ""
    ) -> Response:
        query = {"reason": reason, "source": "console"} | whose(account)
        path = f"{API}/{quote(phone_number)}"
        try:
            await desk.api.call(visitor, "DELETE", path, query=query)
        except Refused as refused:
            errors = {"reason": as_sentence(refused.detail)} if not reason.strip() else errors_of(refused, ("reason",))
            values: dict[str, Any] = {
                "phone_number": phone_number,
                "account": account,
                "form": {"reason": reason},
                "errors": errors,
            }
            return desk.pages.part("optouts/remove.html", 422, **values)
        return desk.pages.done("They may be written to again.", to=PATH)

    return router


def whose(account: str) -> dict[str, Any]:
    """Whose list is meant, as the API is told: nothing is the visitor's own."""
    if account == EVERYBODY:
        return {"all_accounts": True}
    return {"account": account} if account else {}


class Room:
    """What the pages of opt-outs are made of."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def new_form(self) -> dict[str, Any]:
        """The form to add somebody, empty."""
        return {"form": {}, "errors": {}, "key": uuid4().hex}

    async def accounts(self, visitor: Visitor) -> dict[str, str]:
        """The names of the accounts that an operator may choose between; a user has one and no choice."""
        if not visitor.is_operator:
            return {}
        clients = (await self._desk.api.get(visitor, "/api/admin/clients", {"per_page": MOST_CLIENTS}))["items"]
        return {"local": "local", **{one["account"]: one["name"] for one in clients}}

    async def person(self, visitor: Visitor, phone_number: str, account: str) -> dict[str, Any]:
        """One number on one list, with its history; `wish` is None where they are written to (again)."""
        path, query = f"{API}/{quote(phone_number)}", {} if account == EVERYBODY else whose(account)
        try:
            wish = await self._desk.api.get(visitor, path, query)
        except Refused as refused:
            if refused.status != 404:
                raise
            wish = None
        history = await self._desk.api.get(visitor, f"{path}/history", query | {"per_page": 100})
        values = {"phone_number": phone_number, "account": account, "wish": wish, "history": history}
        return values | {"form": {}, "errors": {}, "accounts": await self.accounts(visitor)}
