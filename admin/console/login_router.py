"""Coming in and going out: the login page, one-time links, logging out."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import RedirectResponse, Response

from admin.console.door import COOKIE, COOKIE_PATH, ConsoleCookie, Door, Visitor
from admin.console.pages import HOME, LOGIN, NO_STORE, Pages, console_route
from gateway.auth.access import Access
from gateway.errors import RateLimited, Unauthorized
from gateway.late_routes import LateRouter
from sessions.schemas import in_utc

Text = Annotated[str, Form(max_length=2000)]


class ConsoleLinkOut(BaseModel):
    """A link that lets an operator in once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"url": "http://127.0.0.1:8000/console/enter?code=wgl_...", "expires_at": "2026-11-21T09:15:00Z"}
            ]
        }
    )

    url: str = Field(description="To be opened in a browser; it works once")
    expires_at: datetime = Field(description="When it is over, used or not")


def build_router(pages: Pages, door: Door) -> APIRouter:
    """The pages that are open to everybody, and the way out."""
    router = APIRouter(prefix="/console", include_in_schema=False, route_class=console_route(pages))

    def login_page(request: Request, after: str, sentence: str = "", email: str = "", status: int = 200) -> Response:
        values = {"next": after, "sentence": sentence, "email": email}
        return pages.page(request, None, "login.html", status, **values)

    @router.get("/login")
    async def login(request: Request, next: str = HOME) -> Response:
        return login_page(request, _own_page(next))

    @router.post("/login")
    async def log_in(
        request: Request, token: Text = "", email: Text = "", password: Text = "", next: Text = HOME
    ) -> Response:
        address = request.client.host if request.client else ""
        try:
            if token:
                cookie = await door.log_in_operator(token, address)
            else:
                cookie = await door.log_in_user(email, password, address)
        except (Unauthorized, RateLimited) as error:
            sentence = f"{error.detail[:1].upper()}{error.detail[1:]}."
            return login_page(request, _own_page(next), sentence, email, error.status_code)
        return _with_cookie(RedirectResponse(_own_page(next), 303, NO_STORE), request, cookie)

    @router.get("/enter")
    async def enter_page(request: Request, code: str = "") -> Response:
        return pages.page(request, None, "enter.html", code=code)

    @router.post("/enter")
    async def enter(request: Request, code: Text) -> Response:
        address = request.client.host if request.client else ""
        try:
            cookie = await door.use_link(code, address)
        except (Unauthorized, RateLimited) as error:
            sentence = f"{error.detail[:1].upper()}{error.detail[1:]}."
            return login_page(request, HOME, sentence, status=error.status_code)
        return _with_cookie(RedirectResponse(HOME, 303, NO_STORE), request, cookie)

    @router.post("/logout")
    async def log_out(_: Annotated[Visitor, Depends(door.visitor)], cookie: ConsoleCookie = None) -> Response:
        if cookie is not None:
            await door.log_out(cookie)
        response = Response(status_code=204, headers=NO_STORE | {"HX-Redirect": LOGIN})
        response.delete_cookie(COOKIE, path=COOKIE_PATH, httponly=True, samesite="lax")
        return response

    return router


def build_link_router(door: Door, access: Access, public_url: str) -> APIRouter:
    """The route that makes a one-time link, for an operator's own tools; `public_url` is where others find us."""
    router = LateRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(access.admin)])

    @router.post("/console-link", status_code=201, summary="A link into the console")
    async def make_link(request: Request) -> ConsoleLinkOut:
        """A link that logs an operator in at the console, once and within a quarter of an hour."""
        code, expires_at = await door.make_link()
        base = public_url or str(request.base_url)
        url = f"{base.rstrip('/')}/console/enter?code={code}"
        return ConsoleLinkOut(url=url, expires_at=in_utc(expires_at))

    return router


def _own_page(asked: str) -> str:
    """Where to go after the login: a page of ours, whatever the address says."""
    good = asked == HOME or asked.startswith((f"{HOME}/", f"{HOME}?"))
    return asked if good and "\\" not in asked and asked.isprintable() else HOME


def _with_cookie(response: Response, request: Request, cookie: str) -> Response:
    # a proxy that ends TLS says so; whoever lies about it only keeps their own cookie from coming back
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    response.set_cookie(COOKIE, cookie, path=COOKIE_PATH, httponly=True, samesite="lax", secure=secure)
    return response
