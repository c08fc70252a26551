"""WAHA servers: which there are and how they are, and how they are added, changed, drained and removed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.forms import Errors, NotANumber, errors_of, optional_number
from admin.console.lists import PER_PAGE, PageNumber, link_of, wants_part
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from gateway.errors import Forbidden
from sessions.servers.schemas import NAME_PATTERN

SERVERS = "/console/servers"
API = "/api/admin/servers"
FIELDS = ("name", "url", "api_key", "capacity")
EMPTY = {"name": "", "url": "", "api_key": "", "capacity": "100"}
Name = Annotated[str, Path(pattern=NAME_PATTERN, max_length=64)]
Text = Annotated[str, Form(max_length=3000)]
Tick = Annotated[str, Form(max_length=10)]


class ServerForm:
    """What was typed about a server, apart from its name."""

    def __init__(
        self,
        url: Text = "",
        api_key: Text = "",
        capacity: Text = "",
        no_key: Tick = "",
        unchecked: Tick = "",
        force: Tick = "",
    ) -> None:
        self.said = {"url": url, "api_key": "", "capacity": capacity}
        self.unchecked, self.forced = bool(unchecked), bool(force)
        self._key, self._no_key = api_key, bool(no_key)

    def added(self, name: str) -> dict[str, Any]:
        """The API's words for a new server; raises `NotANumber`."""
        return self._told() | {"name": name.strip(), "api_key": self._key}

    def changed(self) -> dict[str, Any]:
        """The API's words for a changed one; an empty key is the old one. Raises `NotANumber`."""
        key = {"api_key": self._key} if self._key else {"api_key": ""} if self._no_key else {}
        return self._told() | key | {"force": self.forced}

    def _told(self) -> dict[str, Any]:
        capacity = optional_number("capacity", self.said["capacity"])
        return {"url": self.said["url"], "capacity": capacity, "check": not self.unchecked}


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/servers`, for operators only."""
    router = APIRouter(prefix=SERVERS, include_in_schema=False, route_class=console_route(desk.pages))

    async def watcher(visitor: Annotated[Visitor, Depends(door.watcher)]) -> Visitor:
        if not visitor.is_operator:
            raise Forbidden("this page is for operators")
        return visitor

    _add_pages(router, desk, door, Depends(watcher))
    _add_changes(router, desk, door)
    return router


def _add_pages(router: APIRouter, desk: Desk, door: Door, watcher: Any) -> None:
    Operator = Annotated[Visitor, Depends(door.operator)]  # noqa: N806 - a type
    Onlooker = Annotated[Visitor, watcher]  # noqa: N806 - a type

    async def listed(visitor: Visitor, page: int) -> dict[str, Any]:
        found = await desk.api.get(visitor, API, {"page": page, "per_page": PER_PAGE})
        return {"found": found, "link": link_of(SERVERS)}

    @router.get("")
    async def servers(request: Request, visitor: Operator, page: PageNumber = 1) -> Response:
        values = await listed(visitor, page)
        if wants_part(request, "server-list"):
            return desk.pages.part("servers/rows.html", **values)
        return desk.pages.page(request, visitor, "servers/list.html", **values)

    @router.get("/-/rows")  # no server has a name like that
    async def rows(visitor: Onlooker, page: PageNumber = 1) -> Response:
        return desk.pages.part("servers/rows.html", **await listed(visitor, page))

    @router.get("/-/add")
    async def add_page(request: Request, visitor: Operator) -> Response:
        return desk.pages.page(request, visitor, "servers/add.html", said=EMPTY, errors={}, unchecked=False)

    @router.get("/{name}")
    async def page(request: Request, name: Name, visitor: Operator) -> Response:
        one = await desk.api.get(visitor, f"{API}/{name}")
        said = {"url": one["url"], "api_key": "", "capacity": one["capacity"]}
        return desk.pages.page(request, visitor, "servers/one.html", one=one, said=said, errors={})

    @router.get("/{name}/state")
    async def state(name: Name, visitor: Onlooker) -> Response:
        return desk.pages.part("servers/state.html", one=await desk.api.get(visitor, f"{API}/{name}"))


def _add_changes(router: APIRouter, desk: Desk, door: Door) -> None:
    Operator = Annotated[Visitor, Depends(door.operator)]  # noqa: N806 - a type
    Said = Annotated[ServerForm, Depends()]  # noqa: N806 - a type

    @router.post("")
    async def add(visitor: Operator, form: Said, name: Text = "") -> Response:
        try:
            made = await desk.api.call(visitor, "POST", API, form.added(name))
        except NotANumber as error:
            return refuse_new(name, form, error.errors)
        except Refused as refused:
            return refuse_new(name, form, errors_of(refused, FIELDS))
        return desk.pages.done(f"{made['name']} was added. New senders may live there.", to=SERVERS)

    def refuse_new(name: str, form: ServerForm, errors: Errors) -> Response:
        said = form.said | {"name": name}
        return desk.pages.part("servers/add_form.html", 422, said=said, errors=errors, unchecked=form.unchecked)

    @router.post("/{name}/change")
    async def change(name: Name, visitor: Operator, form: Said) -> Response:
        try:
            await desk.api.call(visitor, "PATCH", f"{API}/{name}", form.changed())
        except NotANumber as error:
            return await refuse(visitor, name, form, error.errors)
        except Refused as refused:
            return await refuse(visitor, name, form, errors_of(refused, FIELDS))
        return desk.pages.done(f"{name} was changed.", reload=True)

    async def refuse(visitor: Visitor, name: str, form: ServerForm, errors: Errors) -> Response:
        one = await desk.api.get(visitor, f"{API}/{name}")
        return desk.pages.part("servers/change_form.html", 422, one=one, said=form.said, errors=errors)

    @router.post("/{name}/drain")
    async def drain(name: Name, visitor: Operator) -> Response:
        one = await desk.api.call(visitor, "POST", f"{API}/{name}/drain")
        return desk.pages.part("servers/state.html", note=f"{name} gets no new senders from now on.", one=one)

    @router.post("/{name}/undrain")
    async def undrain(name: Name, visitor: Operator) -> Response:
        one = await desk.api.call(visitor, "POST", f"{API}/{name}/undrain")
        return desk.pages.part("servers/state.html", note=f"{name} gets new senders again.", one=one)

    @router.post("/{name}/remove")
    async def remove(name: Name, visitor: Operator, force: Tick = "") -> Response:
        gone = await desk.api.call(visitor, "DELETE", f"{API}/{name}", query={"force": bool(force)})
        forgotten = f" {len(gone['forgotten'])} of its senders were forgotten." if gone["forgotten"] else ""
        return desk.pages.done(f"{name} was removed.{forgotten}", to=SERVERS)
