"""The pairing page at `/pair/{number}`, what its script asks for, and the route that makes links to it.

The signature in the address is the page's only credential, and it opens the routes of this file alone. To open the page
changes nothing and starts nothing, because programs that preview links do that too: the pairing is begun by the page's
script, with a POST.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from gateway.auth.access import Access, Caller, PhoneReader
from gateway.errors import NotFound, RateLimited
from gateway.late_routes import LateRouter
from gateway.limits.meter import Meter
from sessions.pairing.page import languages
from sessions.pairing.page.links import NO_STORE, PAGE, Link, LinkOver, LinkRefused, PairLinks
from sessions.pairing.page.rendering import SERVED, STATIC, render_page, render_refusal
from sessions.pairing.page.schemas import PairLinkCreate, PairLinkOut, TypedOut
from sessions.pairing.page.views import View
from sessions.pairing.page.watching import Watching
from sessions.pairing.service import Pairing
from sessions.schemas import in_utc

RETRY_MILLISECONDS = 2000
Number = Annotated[str, Path(description="The sender's number, written in any way", max_length=40)]


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the page is made of. `public_url` is the address that links name; empty is that of the request."""

    links: PairLinks
    watching: Watching
    pairing: Pairing
    phones: PhoneReader
    access: Access
    meter: Meter
    per_minute: int
    public_url: str


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody with a link that holds."""

    link: Link
    caller: Caller


def build_router(parts: PageParts) -> APIRouter:
    """The page and its routes under `/pair`, and `POST /api/sessions/{number}/pair-link`."""
    router = LateRouter()
    _add_link_route(router, parts)
    _add_files(router)
    _add_page(router, parts)
    return router


def _add_link_route(router: APIRouter, parts: PageParts) -> None:
    @router.post(
        "/api/sessions/{phone_number}/pair-link",
        status_code=201,
        summary="A link to the pairing page",
        tags=["sessions"],
    )
    async def pair_link(
        request: Request,
        phone_number: Number,
        caller: Annotated[Caller, Depends(parts.access.caller)],
        body: PairLinkCreate | None = None,
    ) -> PairLinkOut:
        """A link for whoever has the phone: a page with the QR code, in their language, until the link ends.

        It needs no login. Whoever has it may watch this pairing, ask for a new QR code and for a code to type, and
        nothing else. It ends early when the number is given to another account. 404 where there is no session: create
        it with `POST /api/sessions`.
        """
        number = parts.phones.digits(phone_number, "phone_number")
        await parts.pairing.require(caller, number)
        row = await parts.pairing.get(number)
        link = await parts.links.make(number, row.account_id, body.hours if body else None)
        base = (parts.public_url or str(request.base_url)).rstrip("/")
        url = f"{base}{PAGE}/{number}?{link.query}"
        return PairLinkOut(phone_number=f"+{number}", url=url, expires_at=in_utc(int(link.expires)))


def _add_files(router: APIRouter) -> None:
    files = StaticFiles(directory=STATIC)

    @router.api_route(f"{PAGE}/static/{{name}}", methods=["GET", "HEAD"], include_in_schema=False)
    async def static(request: Request, name: str) -> Response:
        if name not in SERVED:
            raise NotFound
        response = await files.get_response(name, request.scope)
        response.headers["Cache-Control"] = "no-cache"  # kept, and asked for by its ETag
        return response


def _add_page(router: APIRouter, parts: PageParts) -> None:
    watching = parts.watching

    async def counted(request: Request) -> None:
        address = request.client.host if request.client else ""
        await parts.meter.hit("requests of the pairing page", address, parts.per_minute)

    def link_of(number: str, expires: str = "", signature: str = "") -> Link:
        return Link(number, expires, signature)

    Linked = Annotated[Link, Depends(link_of)]  # noqa: N806 - a type

    async def visiting(request: Request, link: Linked) -> Visit:
        await counted(request)
        return Visit(link, await parts.links.check(link))

    Visiting = Annotated[Visit, Depends(visiting)]  # noqa: N806 - a type

    async def following(visit: Visiting) -> AsyncIterator[AsyncIterator[View]]:
        async with watching.follow(visit.link) as views:
            yield views

    @router.api_route(f"{PAGE}/{{number}}", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request, link: Linked, lang: str = "") -> Response:
        language = languages.choose(lang, request.headers.get("accept-language", ""))
        try:
            await visiting(request, link)
        except (LinkRefused, LinkOver, RateLimited) as refusal:
            return render_refusal(language, link, refusal)
        return render_page(language, link)

    @router.post(f"{PAGE}/{{number}}/begin", include_in_schema=False, response_model_exclude_none=True)
    async def begin(visit: Visiting, response: Response) -> View:
        response.headers.update(NO_STORE)
        return await watching.begin(visit.caller, visit.link.number)

    @router.post(f"{PAGE}/{{number}}/code", include_in_schema=False)
    async def code(visit: Visiting, response: Response) -> TypedOut:
        response.headers.update(NO_STORE)
        typed, seconds_left = await watching.code(visit.caller, visit.link.number)
        return TypedOut(code=typed.code, seconds_left=seconds_left)

    @router.get(f"{PAGE}/{{number}}/events", include_in_schema=False, response_class=EventSourceResponse)
    async def events(
        views: Annotated[AsyncIterator[View], Depends(following)],
    ) -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(retry=RETRY_MILLISECONDS)
        async for view in views:
            yield ServerSentEvent(event="view", raw_data=view.model_dump_json(exclude_none=True))
