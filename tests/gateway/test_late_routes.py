"""Routes that are built with the first request to them."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, ClassVar

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute

from gateway.http.problems import install_error_handlers
from gateway.late_routes import LateRoute, LateRouter


class Noted(LateRoute):
    """A route that notes when its handler is made."""

    made: ClassVar[list[str]] = []

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, noted."""
        self.made.append(f"{self.path} {sorted(self.methods or ())}")
        return super().get_route_handler()


def who() -> str:
    """A dependency of the route that is asked for."""
    return "somebody"


@pytest.fixture
def app() -> FastAPI:
    """A page and what may be done to it, beside another that is never asked for."""
    Noted.made.clear()
    router = LateRouter(prefix="/pages", route_class=Noted)

    @router.get("/{name}", status_code=203)
    async def read(name: str, by: Annotated[str, Depends(who)]) -> dict[str, str]:
        return {"name": name, "by": by}

    @router.put("/{name}")
    async def write(name: str, text: int) -> str:
        return name * text

    app = FastAPI()
    install_error_handlers(app)
    app.router.routes.extend(router.routes)
    return app


async def ask(app: FastAPI, method: str, url: str) -> httpx.Response:
    """One request to it."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return await client.request(method, url)


async def test_a_route_is_built_once_and_only_for_who_asks(app: FastAPI) -> None:
    assert (await ask(app, "GET", "/elsewhere")).status_code == 404
    assert Noted.made == []
    for name in ("one", "two"):
        answer = await ask(app, "GET", f"/pages/{name}")
        assert (answer.status_code, answer.json()) == (203, {"name": name, "by": "somebody"})
    assert Noted.made == ["/pages/{name} ['GET']"]
    assert (await ask(app, "PUT", "/pages/one?text=letters")).status_code == 422
    assert (await ask(app, "PUT", "/pages/one?text=2")).json() == "oneone"
    assert len(Noted.made) == 2


async def test_the_method_is_told_apart_before_anything_is_built(app: FastAPI) -> None:
    assert app.router.routes[-1].matches({"type": "http", "path": "/pages/one", "method": "PUT"})
    assert Noted.made == []
    assert (await ask(app, "DELETE", "/pages/one")).status_code == 405


def test_the_document_knows_every_route(app: FastAPI) -> None:
    assert set(app.openapi()["paths"]["/pages/{name}"]) == {"get", "put"}


def test_what_is_wrong_with_a_route_is_told_each_time() -> None:
    class Hollow:
        """What pydantic cannot read."""

    async def broken(one: Hollow) -> None:
        """Wants what cannot be read from a request."""

    route: APIRoute = LateRoute("/broken", broken, dependencies=None)
    for _ in range(2):
        with pytest.raises(Exception, match="Hollow"):
            assert route.dependant


def test_what_no_route_has_is_still_an_error(app: FastAPI) -> None:
    with pytest.raises(AttributeError, match="anything_else"):
        assert LateRoute("/one", who).anything_else
