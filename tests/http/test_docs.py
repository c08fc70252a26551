"""The pages of the API's description work on a machine without the internet."""

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi import FastAPI

from gateway.http.docs import ASSETS, SERVED, install_docs
from gateway.http.guard import Guard
from gateway.http.problems import install_error_handlers
from tests.http.conftest import ClientOf


class Loads(HTMLParser):
    """Collects what a page loads, and whether it holds a script of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline_scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [
            given[name] or "" for name in ("src", "href", "srcset", "data", "data-openapi-url") if name in given
        ]
        self.inline_scripts += tag == "script" and "src" not in given


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(title="Small <app>", docs_url=None, redoc_url=None)
    install_error_handlers(app)
    app.add_middleware(Guard, refuse_forwarded=True)
    install_docs(app)
    return app


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_a_page_loads_only_what_we_serve(app: FastAPI, client_of: ClientOf, path: str) -> None:
    client = client_of(app)
    page = await client.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    loads = Loads()
    loads.feed(page.text)
    assert loads.inline_scripts == 0
    addresses = [urljoin(str(page.url), address) for address in loads.addresses if address != "data:,"]
    assert len(addresses) >= 3
    for address in addresses:
        assert urlsplit(address).netloc == "127.0.0.1:8000"
        answer = await client.get(address)
        assert answer.status_code == 200, address
        assert answer.content


@pytest.mark.parametrize("name", sorted(SERVED))
async def test_an_asset_is_served_as_what_it_is_and_only_once(app: FastAPI, client_of: ClientOf, name: str) -> None:
    client = client_of(app)
    answer = await client.get(f"/docs/assets/{name}")
    assert answer.content == (ASSETS / name).read_bytes()
    assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "application/javascript")
    again = await client.get(f"/docs/assets/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["__init__.py", "LICENSES.md", "..%2fdocs.py", "%2e%2e%2fdocs.py", "nothing.js"])
async def test_nothing_else_of_the_folder_is_served(app: FastAPI, client_of: ClientOf, name: str) -> None:
    answer = await client_of(app).get(f"/docs/assets/{name}")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_NOT_FOUND")


def test_the_vendored_files_come_with_their_licences() -> None:
    stated = (ASSETS / "LICENSES.md").read_text()
    for name in SERVED:
        assert name in stated
    for path in ASSETS.glob("*LICENSE.txt"):
        assert path.name in stated


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_policy_lets_a_page_run_our_scripts_only(app: FastAPI, client_of: ClientOf, path: str) -> None:
    policy = (await client_of(app).get(path)).headers["content-security-policy"]
    directives = dict(entry.strip().partition(" ")[::2] for entry in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert "script-src" not in directives, "scripts fall under default-src"
    assert directives["frame-ancestors"] == "'none'"
    assert ("'unsafe-inline'" in policy) == (path == "/redoc")


async def test_a_title_is_text(app: FastAPI, client_of: ClientOf) -> None:
    assert "<title>Small &lt;app&gt;</title>" in (await client_of(app).get("/docs")).text


def test_the_pages_are_not_in_the_schema(app: FastAPI) -> None:
    assert app.openapi()["paths"] == {}


def test_an_app_with_fastapis_own_pages_is_refused() -> None:
    with pytest.raises(ValueError, match="docs_url=None"):
        install_docs(FastAPI())
