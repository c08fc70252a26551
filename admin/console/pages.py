"""How a page is drawn, and what becomes of an error on its way: a person sees a page or a note, never JSON."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from admin.console import formatting
from admin.console.assets import Assets
from admin.console.door import NotLoggedIn, Visitor
from admin.console.lists import link_of
from admin.console.own_api import OwnApi, Refused
from gateway.db import DatabaseAway
from gateway.errors import GatewayError
from gateway.late_routes import LateRoute

log = structlog.get_logger()

TEMPLATES = Path(__file__).parent / "templates"
HOME = "/console"
LOGIN = "/console/login"
NO_STORE = {"Cache-Control": "no-store"}
# without a referrer at all a browser sends a form's `Origin` as null, and the guard could not tell ours from another's
PAGE_HEADERS = NO_STORE | {"Referrer-Policy": "same-origin"}


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation. `operators` have it to themselves; those of one `group` share a menu.

    `counts` shows beside it how many conversations are unread.
    """

    title: str
    path: str
    icon: str
    group: str = ""
    operators: bool = False
    counts: bool = False


PLACES = (
    Place("Overview", HOME, "layout-dashboard"),
    Place("Campaigns", "/console/campaigns", "speakerphone"),
    Place("Senders", "/console/senders", "device-mobile"),
    Place("Inbox", "/console/inbox", "inbox", counts=True),
    Place("Templates", "/console/templates", "template", "Library"),
    Place("Recipients", "/console/recipients", "users", "Library"),
    Place("Groups", "/console/groups", "users-group", "Library"),
    Place("Schedules", "/console/schedules", "calendar-event", "Library"),
    Place("Opt-outs", "/console/opt-outs", "hand-stop", "Library"),
    Place("Servers", "/console/servers", "server", "System", operators=True),
    Place("Clients", "/console/clients", "building", "System", operators=True),
    Place("Webhooks", "/console/webhooks", "webhook", "System"),
    Place("Settings", "/console/settings", "adjustments", "System", operators=True),
    Place("Data", "/console/data", "database", "System", operators=True),
)
"""All pages that there are to go to, in order."""


class Pages:
    """Draws pages. `places` are where the navigation leads to."""

    def __init__(self, assets: Assets, places: tuple[Place, ...] = PLACES) -> None:
        self._places = places
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(formatting.FILTERS)
        self._environment.globals.update(asset=assets.address, link_of=link_of)

    def text(self, template: str, **values: Any) -> str:
        """A template as HTML; `values` are escaped where they stand."""
        return self._environment.get_template(template).render(values)

    def page(
        self, request: Request, visitor: Visitor | None, template: str, status: int = 200, **values: Any
    ) -> Response:
        """A whole page."""
        places = [one for one in self._places if visitor is not None and (visitor.is_operator or not one.operators)]
        text = self.text(template, visitor=visitor, places=places, path=request.url.path, **values)
        return HTMLResponse(text, status, PAGE_HEADERS)

    def part(self, template: str, status: int = 200, *, note: str = "", **values: Any) -> Response:
        """A part of a page, to be put into it; with a `note` that appears for some seconds."""
        return HTMLResponse(self.text(template, **values), status, NO_STORE | _note(note))

    def done(self, note: str, *, to: str | None = None, reload: bool = False) -> Response:
        """The answer to something that was done: a note, and another page (`to`) or this one anew."""
        headers = NO_STORE | _note(note)
        if to is not None:
            headers["HX-Redirect"] = to
        elif reload:
            headers["HX-Refresh"] = "true"
        return Response(status_code=204, headers=headers)


def _note(text: str, kind: str = "done") -> dict[str, str]:
    """The header that makes the page show a note; JSON in ASCII, because a header holds nothing else."""
    return {"HX-Trigger": json.dumps({"note": {"kind": kind, "text": text}})} if text else {}


@dataclass(frozen=True, slots=True)
class Desk:
    """What every room of the console works with."""

    pages: Pages
    api: OwnApi


def console_route(pages: Pages) -> type[APIRoute]:
    """The kind of route that all of the console's are: it turns errors into what a person can read."""

    class ConsoleRoute(LateRoute):
        """A route of the console."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """The handler, with the errors taken care of."""
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await handler(request)
                except NotLoggedIn:
                    return _to_login(request)
                except Refused as refused:
                    return _failed(pages, request, refused.status, refused.detail)
                except GatewayError as error:
                    return _failed(pages, request, error.status_code, error.detail)
                except RequestValidationError:
                    return _failed(pages, request, 422, "Something in this form cannot be read. Load the page again.")
                except DatabaseAway:
                    return _failed(pages, request, 503, "The database does not answer. Nothing was changed.")

            return handle

    return ConsoleRoute


def is_part(request: Request) -> bool:
    """Whether a page of ours asks for a part of itself."""
    return request.headers.get("hx-request") == "true"


def _to_login(request: Request) -> Response:
    if is_part(request):
        return Response(status_code=401, headers=NO_STORE | {"HX-Redirect": LOGIN})
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    after = f"?next={quote(asked)}" if request.method == "GET" and asked != HOME else ""
    return RedirectResponse(LOGIN + after, 303, NO_STORE)


def _failed(pages: Pages, request: Request, status: int, detail: str) -> Response:
    sentence = detail[:1].upper() + detail[1:]
    if is_part(request):
        return Response(status_code=status, headers=NO_STORE | _note(sentence, "failed"))
    return pages.page(request, None, "error.html", status, sentence=sentence)
