"""The list of senders, and how a new one is added."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.forms import Errors, errors_of
from admin.console.lists import PER_PAGE, PageNumber, link_of, wants_part
from admin.console.own_api import ADDRESS, Refused
from admin.console.pages import Desk, console_route
from sessions.models import SessionState

LIST = "/console/senders"
NOT_FOUND = 404
TAKEN = "This number belongs to somebody else here."
STATES = [str(state) for state in SessionState]
Text = Annotated[str, Form(max_length=200)]


class Filters:
    """What a list of senders is asked for; what is left out shows all."""

    def __init__(
        self,
        search: Annotated[str, Query(max_length=255)] = "",
        status: Annotated[str, Query(max_length=20)] = "",
        server: Annotated[str, Query(max_length=64)] = "",
        page: PageNumber = 1,
    ) -> None:
        self.search = search.strip()
        self.status = status if status in STATES else ""
        self.server = server
        self.page = page

    @property
    def any(self) -> bool:
        """Whether some are left out."""
        return bool(self.search or self.status or self.server)

    @property
    def query(self) -> str:
        """The filters as the address of the list says them, up to the number of the page."""
        return link_of("", {"search": self.search, "status": self.status, "server": self.server})


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes of the list, and those that add a sender."""
    router = APIRouter(prefix=LIST, include_in_schema=False, route_class=console_route(desk.pages))
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type
    Said = Annotated[Filters, Depends()]  # noqa: N806 - a type

    async def listed(visitor: Visitor, said: Filters) -> dict[str, Any]:
        query = {"search": said.search, "status": said.status, "server": said.server}
        found = await desk.api.get(visitor, "/api/senders", query | {"page": said.page, "per_page": PER_PAGE})
        return {"found": found, "said": said, "link": f"{LIST}{said.query}"}

    @router.get("")
    async def senders(request: Request, visitor: Who, said: Said) -> Response:
        values = await listed(visitor, said)
        if wants_part(request, "sender-list"):
            return desk.pages.part("senders/rows.html", **values)
        return desk.pages.page(request, visitor, "senders/list.html", states=STATES, **values)

    @router.get("/rows")
    async def rows(visitor: Annotated[Visitor, Depends(door.watcher)], said: Said) -> Response:
        return desk.pages.part("senders/rows.html", **await listed(visitor, said))

    @router.get("/add")
    async def add_page(request: Request, visitor: Who) -> Response:
        said = {"phone_number": ""}
        return desk.pages.page(request, visitor, "senders/add.html", said=said, errors={}, known="")

    @router.post("")
    async def add(request: Request, visitor: Who, phone_number: Text = "") -> Response:
        try:
            made = await desk.api.call(visitor, "POST", "/api/sessions", {"phone_number": phone_number.strip()})
        except Refused as refused:
            if refused.status == NOT_FOUND:  # somebody else has it: that is said beside the field, too
                return await refuse(visitor, phone_number, {"phone_number": TAKEN})
            return await refuse(visitor, phone_number, errors_of(refused, ["phone_number"]))
        link = await pair_link(desk, request, visitor, made["phone_number"])
        return desk.pages.part("senders/added.html", made=made, link=link)

    async def refuse(visitor: Visitor, phone_number: str, errors: Errors) -> Response:
        known = ""
        if "phone_number" not in errors:  # it could be read: perhaps it is here already
            found = await desk.api.get(visitor, "/api/senders", {"sender_number": phone_number.strip()})
            known = found["items"][0]["phone_number"] if found["items"] else ""
        said, shown = {"phone_number": phone_number}, {"phone_number": next(iter(errors.values()))}
        return desk.pages.part("senders/add_form.html", 422, said=said, errors=shown, known=known)

    return router


async def pair_link(desk: Desk, request: Request, visitor: Visitor, number: str) -> dict[str, Any]:
    """A link to a number's pairing page: `url` as others reach it, and `path` for whoever looks at this page."""
    link: dict[str, Any] = await desk.api.call(visitor, "POST", f"/api/sessions/{number}/pair-link")
    parts = urlsplit(link["url"])
    path = f"{parts.path}?{parts.query}"
    if link["url"].startswith(f"{ADDRESS}/"):  # no address of ours is set, so it is the one of this page
        return link | {"url": f"{str(request.base_url).rstrip('/')}{path}", "path": path}
    return link | {"path": path}
