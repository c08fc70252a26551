"""Who may come in: by Host, Origin, fetch metadata, proxy headers and content type; and what every answer carries."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from starlette.responses import Response

from gateway.http.guard import Guard
from gateway.http.origins import OWN_EXTENSION
from gateway.http.problems import Problem, install_error_handlers
from tests.http.conftest import ClientOf, OpenWebSocket

EXTENSION = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
OTHER_EXTENSION = "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Guarded:
    """A small app behind a guard, and a list of what got through to it."""

    def __init__(self, **options: Any) -> None:
        self.reached: list[str] = []
        self.app = FastAPI(docs_url=None, redoc_url=None)
        install_error_handlers(self.app)
        settings: dict[str, Any] = {
            "allowed_hosts": ["gateway.example", "ported.example:8443"],
            "allowed_origins": ["https://app.example", "http://lan.example:3000", EXTENSION],
            "refuse_forwarded": True,
            "bound_host": "192.0.2.7",
            "pages": ["/", "/docs"],
            "other_content": {"/api/import": ["text/csv"], "/api/import/strict": []},
        }
        self.app.add_middleware(Guard, **(settings | options))

        @self.app.api_route("/{path:path}", methods=METHODS)
        async def anything(path: str) -> str:
            self.reached.append(path)
            if path == "api/bug":
                raise RuntimeError("a bug")
            return "reached"

        @self.app.websocket("/ws")
        async def ws(websocket: WebSocket) -> None:
            self.reached.append("ws")
            await websocket.accept()
            await websocket.close()


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


def error_code(response: httpx.Response) -> str:
    return Problem.model_validate(response.json()).error_code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.0.0.1:1",
        "localhost",
        "localhost:65535",
        "LocalHost:8000",
        "[::1]",
        "[::1]:8000",
        "192.0.2.7:8000",
        "gateway.example",
        "Gateway.Example:9000",
        "ported.example:8443",
    ],
)
async def test_our_own_hosts_are_let_in(guarded: Guarded, client_of: ClientOf, host: str) -> None:
    answer = await client_of(guarded.app).get("/api", headers={"Host": host})
    assert (answer.status_code, guarded.reached) == (200, ["api"])


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
        "evil.example:8000",
        "localhost.",
        "127.0.0.1.",
        "gateway.example.",
        "sub.gateway.example",
        "notgateway.example",
        "ported.example",
        "ported.example:443",
        "user@localhost",
        "user:password@localhost:8000",
        "localhost:8000@evil.example",
        "evil.example#localhost",
        "evil.example/localhost",
        "localhost, evil.example",
        "localhost evil.example",
        "localhost:",
        "localhost:port",
        "localhost:123456",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "[::]",
        "[::1",
        "::1",
        "[::ffff:127.0.0.1]",
        "192.0.2.8",
        "*",
        "xn--lcalhost-54a",
        "l\u00f6calhost",
    ],
)
async def test_an_unknown_host_is_400_and_says_what_to_set(guarded: Guarded, client_of: ClientOf, host: str) -> None:
    answer = await client_of(guarded.app).get("/api", headers={b"Host": host.encode("latin-1")})
    assert (answer.status_code, guarded.reached) == (400, [])
    assert error_code(answer) == "UNKNOWN_HOST"
    assert "server.allowed_hosts" in answer.json()["detail"]


async def test_two_hosts_are_none(guarded: Guarded, client_of: ClientOf) -> None:
    headers = [("Host", "localhost"), ("Host", "evil.example")]
    assert (await client_of(guarded.app).get("/api", headers=headers)).status_code == 400


async def test_a_star_lets_every_well_formed_host_in(client_of: ClientOf) -> None:
    guarded = Guarded(allowed_hosts=["*"])
    client = client_of(guarded.app)
    assert (await client.get("/api", headers={"Host": "any.example:99"})).status_code == 200
    assert (await client.get("/api", headers={"Host": "user@any.example"})).status_code == 400


async def test_an_ipv6_address_that_the_server_is_bound_to_is_its_host(client_of: ClientOf) -> None:
    guarded = Guarded(bound_host="2001:DB8::7")
    assert (await client_of(guarded.app).get("/api", headers={"Host": "[2001:db8::7]:8000"})).status_code == 200


FOREIGN_ORIGINS = [
    "null",
    "",
    "*",
    "https://evil.example",
    "http://127.0.0.1",
    "http://127.0.0.1:80",
    "http://127.0.0.1:8001",
    "https://127.0.0.1:8000",
    "http://localhost:8000",
    "http://127.0.0.1:8000.evil.example",
    "http://127.0.0.1:8000@evil.example",
    "http://user@127.0.0.1:8000",
    "http://127.0.0.1:8000/",
    "http://127.0.0.1:8000/path",
    "http://127.0.0.1.:8000",
    "http://127.0.0.1:8000, https://evil.example",
    "http://127.0.0.1:8000 https://evil.example",
    "file://",
    "file:///etc",
    "http:127.0.0.1:8000",
    "//127.0.0.1:8000",
    "127.0.0.1:8000",
    "ws://127.0.0.1:8000",
    "http://app.example",
    "https://app.example.",
    "https://app.example:444",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "https://evil.app.example",
    "https://user@app.example",
    "http://lan.example",
    "http://lan.example:30000",
    OTHER_EXTENSION,
    f"{EXTENSION}/",
    f"{EXTENSION}.evil.example",
    EXTENSION.replace("chrome-", "moz-"),
    "chrome-extension://",
    "chrome-extension://*",
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_foreign_origin_is_403_whatever_the_method(guarded: Guarded, client_of: ClientOf, origin: str) -> None:
    client = client_of(guarded.app)
    for method in METHODS:
        answer = await client.request(method, "/api", headers={"Origin": origin})
        assert answer.status_code == 403, method
        assert "access-control-allow-origin" not in answer.headers
    assert guarded.reached == []


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_foreign_origin_opens_no_websocket(
    guarded: Guarded, open_websocket: OpenWebSocket, origin: str
) -> None:
    sent = await open_websocket(guarded.app, "/ws", {"Host": "127.0.0.1:8000", "Origin": origin})
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "ORIGIN_NOT_ALLOWED"}]
    assert guarded.reached == []


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:8000",
        "HTTP://127.0.0.1:8000",
        "https://app.example",
        "https://app.example:443",
        EXTENSION,
        OWN_EXTENSION,
    ],
)
async def test_our_own_origin_our_extension_and_configured_ones_are_let_in(
    guarded: Guarded, client_of: ClientOf, open_websocket: OpenWebSocket, origin: str
) -> None:
    client = client_of(guarded.app)
    for method in METHODS:
        assert (await client.request(method, "/api", headers={"Origin": origin})).status_code == 200, method
    accepted, _ = await open_websocket(guarded.app, "/ws", {"Host": "127.0.0.1:8000", "Origin": origin})
    assert accepted["type"] == "websocket.accept"


async def test_our_own_origin_is_that_of_the_host_that_was_asked(guarded: Guarded, client_of: ClientOf) -> None:
    client = client_of(guarded.app)
    for host, origin, status in [
        ("localhost:8000", "http://localhost:8000", 200),
        ("localhost:80", "http://localhost", 200),
        ("[::1]:8000", "http://[::1]:8000", 200),
        ("localhost:8000", "http://127.0.0.1:8000", 403),
        ("evil.example:8000", "http://evil.example:8000", 400),
    ]:
        answer = await client.get("/api", headers={"Host": host, "Origin": origin})
        assert answer.status_code == status, (host, origin)


async def test_two_origins_are_foreign(guarded: Guarded, client_of: ClientOf) -> None:
    headers = [("Origin", "http://127.0.0.1:8000"), ("Origin", "http://127.0.0.1:8000")]
    assert (await client_of(guarded.app).get("/api", headers=headers)).status_code == 403


async def test_a_program_without_an_origin_is_let_in(
    guarded: Guarded, client_of: ClientOf, open_websocket: OpenWebSocket
) -> None:
    client = client_of(guarded.app)
    for method in METHODS:
        assert (await client.request(method, "/api")).status_code == 200
    accepted, _ = await open_websocket(guarded.app, "/ws", {"Host": "localhost:8000"})
    assert accepted["type"] == "websocket.accept"


VISIT = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/status", {}, 403),
        ("GET", "/api/status", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ("GET", "/api/status", VISIT, 403),
        ("POST", "/api/send", {}, 403),
        ("GET", "/docs", VISIT, 200),
        ("GET", "/docs/assets/a.js", VISIT, 200),
        ("GET", "/", VISIT, 200),
        ("GET", "/docsy", VISIT, 403),
        ("GET", "/elsewhere", VISIT, 403),
        ("POST", "/docs", VISIT, 403),
        ("GET", "/docs", VISIT | {"Sec-Fetch-Dest": "iframe"}, 403),
        ("GET", "/docs", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
        ("GET", "/docs", VISIT | {"Sec-Fetch-Mode": "cors"}, 403),
        ("GET", "/docs", {}, 403),
        ("GET", "/api/status", {"Origin": "https://app.example"}, 200),
        ("GET", "/api/status", {"Origin": "https://evil.example"}, 403),
        ("GET", "/docs", VISIT | {"Origin": "https://evil.example"}, 403),
    ],
)
async def test_another_site_without_an_origin_may_only_link_to_our_pages(
    guarded: Guarded, client_of: ClientOf, site: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await client_of(guarded.app).request(method, path, headers=headers | {"Sec-Fetch-Site": site})
    assert answer.status_code == status
    assert len(guarded.reached) == (status == 200)


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_our_own_pages_and_the_address_bar_are_let_in(guarded: Guarded, client_of: ClientOf, site: str) -> None:
    assert (await client_of(guarded.app).get("/api", headers={"Sec-Fetch-Site": site})).status_code == 200


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "x-forwarded-proto", "X-FORWARDED-HOST"])
async def test_open_mode_refuses_a_proxy_and_says_what_to_set(
    guarded: Guarded, client_of: ClientOf, open_websocket: OpenWebSocket, name: str
) -> None:
    answer = await client_of(guarded.app).get("/api", headers={name: "for=192.0.2.1"})
    assert (answer.status_code, error_code(answer)) == (403, "PROXY_NOT_ALLOWED")
    assert "auth.user_access" in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
    sent = await open_websocket(guarded.app, "/ws", {"Host": "localhost", name: "x"})
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "PROXY_NOT_ALLOWED"}]
    assert guarded.reached == []


async def test_with_tokens_a_proxy_may_be_in_front(client_of: ClientOf) -> None:
    guarded = Guarded(refuse_forwarded=False)
    assert (await client_of(guarded.app).get("/api", headers={"X-Forwarded-For": "192.0.2.1"})).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [
        ("/api/send", "application/json", 200),
        ("/api/send", "Application/JSON; charset=utf-8", 200),
        ("/api/send", None, 415),
        ("/api/send", "", 415),
        ("/api/send", "text/plain", 415),
        ("/api/send", "text/plain; application/json", 415),
        ("/api/send", "application/json-not", 415),
        ("/api/send", "application/x-www-form-urlencoded", 415),
        ("/api/send", "multipart/form-data; boundary=x", 415),
        ("/api/send", "text/csv", 415),
        ("/api/import", "text/csv", 200),
        ("/api/import", "application/json", 200),
        ("/api/import", "text/plain", 415),
        ("/api/import/strict", "text/csv", 415),
    ],
)
async def test_a_body_must_be_json(
    guarded: Guarded, client_of: ClientOf, method: str, path: str, content_type: str | None, status: int
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await client_of(guarded.app).request(method, path, headers=headers, content=b"{}")
    assert answer.status_code == status
    assert len(guarded.reached) == (status == 200)


async def test_a_chunked_body_must_be_json_too(guarded: Guarded, client_of: ClientOf) -> None:
    headers = {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"}
    answer = await client_of(guarded.app).post("/api/send", headers=headers)
    assert (answer.status_code, error_code(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_two_content_types_are_none(guarded: Guarded, client_of: ClientOf) -> None:
    headers = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    assert (await client_of(guarded.app).post("/api/send", headers=headers, content=b"{}")).status_code == 415


async def test_without_a_body_no_content_type_is_needed(guarded: Guarded, client_of: ClientOf) -> None:
    assert (await client_of(guarded.app).post("/api/send", headers={"Content-Length": "0"})).status_code == 200


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.mark.parametrize("origin", ["https://app.example", "http://lan.example:3000", EXTENSION])
async def test_cors_answers_a_configured_origin(guarded: Guarded, client_of: ClientOf, origin: str) -> None:
    client = client_of(guarded.app)
    preflight = await client.options("/api/send", headers={"Origin": origin} | PREFLIGHT)
    assert (preflight.status_code, guarded.reached) == (204, [])
    assert set(preflight.headers["access-control-allow-methods"].split(", ")) == {
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
    }
    assert set(preflight.headers["access-control-allow-headers"].split(", ")) == {
        "Authorization",
        "Content-Type",
        "X-Admin-Token",
        "X-Sender-Token",
        "Idempotency-Key",
    }
    answer = await client.post("/api/send", headers={"Origin": origin})
    wrong = await client.post("/api/send", headers={"Origin": origin}, content=b"x")
    for response in (preflight, answer, wrong):
        assert response.headers["access-control-allow-origin"] == origin
        assert "Origin" in response.headers["vary"]
        assert "access-control-allow-credentials" not in response.headers


async def test_cors_answers_nobody_else(guarded: Guarded, client_of: ClientOf) -> None:
    client = client_of(guarded.app)
    foreign = await client.options("/api/send", headers={"Origin": "https://evil.example"} | PREFLIGHT)
    assert foreign.status_code == 403
    own = await client.options("/api/send", headers={"Origin": "http://127.0.0.1:8000"} | PREFLIGHT)
    program = await client.get("/api/send")
    for response in (foreign, own, program):
        assert not [name for name in response.headers if name.startswith("access-control-")]
        assert "Origin" in response.headers["vary"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api", {}, 200),
        ("/api", {"Host": "evil.example"}, 400),
        ("/api", {"Origin": "https://evil.example"}, 403),
        ("/api/bug", {}, 500),
    ],
)
async def test_every_answer_carries_the_security_headers(
    guarded: Guarded, client_of: ClientOf, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await client_of(guarded.app).get(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


async def test_what_a_route_sets_itself_is_kept(guarded: Guarded, client_of: ClientOf) -> None:
    own = {"Cache-Control": "max-age=60", "Content-Security-Policy": "default-src 'none'", "Vary": "Accept"}

    @guarded.app.api_route("/api-own", methods=["GET"])
    async def unused() -> Response:
        return Response(headers=own)

    guarded.app.router.routes.insert(0, guarded.app.router.routes.pop())
    answer = await client_of(guarded.app).get("/api-own")
    assert answer.headers["cache-control"] == "max-age=60"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert answer.headers["vary"] == "Accept, Origin"


async def test_a_page_may_be_cached(guarded: Guarded, client_of: ClientOf) -> None:
    assert "cache-control" not in (await client_of(guarded.app).get("/docs")).headers


@pytest.mark.parametrize(
    ("option", "entry"),
    [
        ("allowed_origins", "*"),
        ("allowed_origins", "null"),
        ("allowed_origins", "app.example"),
        ("allowed_origins", "https://app.example/"),
        ("allowed_origins", "https://*.app.example"),
        ("allowed_origins", "chrome-extension://*"),
        ("allowed_origins", f"{EXTENSION}/"),
        ("allowed_hosts", "https://app.example"),
        ("allowed_hosts", "app.example/path"),
        ("allowed_hosts", "*.app.example"),
        ("allowed_hosts", ""),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_its_name(option: str, entry: str) -> None:
    settings: dict[str, Any] = {option: [entry]}
    with pytest.raises(ValueError, match=f"server.{option}: "):
        Guard(Response(), refuse_forwarded=True, **settings)
