"""The door: which requests may come in at all, before anything of ours runs.

Open mode trusts whoever reaches the loopback address, and every web page that the user opens can reach it. So a page
must not be able to drive the API, with any method and any content type, by its own name or by one that it made
resolve to 127.0.0.1. Programs send neither `Origin` nor `Sec-Fetch-Site` and are not concerned.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import Forbidden, GatewayError, UnsupportedMediaType
from gateway.http.origins import HostList, OriginList, normal_origin, own_origin
from gateway.http.problems import problem_response

log = structlog.get_logger()

JSON = "application/json"
SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
}
PREFLIGHT_HEADERS: Mapping[str, str] = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Admin-Token, X-Sender-Token, Idempotency-Key",
    "Access-Control-Max-Age": "600",
}
EXPOSED_HEADERS = "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"


class UnknownHost(GatewayError):
    """The Host header names none of this service's hosts."""

    status_code = 400
    error_code = "UNKNOWN_HOST"


class OriginRefused(Forbidden):
    """Other web pages may not use this API. To allow one, add its origin to server.allowed_origins."""

    error_code = "ORIGIN_NOT_ALLOWED"


class ProxyRefused(Forbidden):
    """A proxy is in front, and auth.user_access is "open": whoever reaches the proxy could send as anyone. Set
    auth.user_access = "token"."""

    error_code = "PROXY_NOT_ALLOWED"


class Guard:
    """ASGI middleware, the outermost one: refuses foreign requests, answers CORS, adds the security headers.

    Args:
        app: What is guarded.
        allowed_hosts: Names beside loopback and `bound_host`; `*` for every name.
        allowed_origins: Foreign origins that may call, beside our own extension's.
        refuse_forwarded: Refuse what came through a proxy (open mode).
        bound_host: The address that the server is bound to.
        pages: Paths that another site may link to, each with all that is below it.
        other_content: Path prefix to the content types that are taken there besides JSON.

    Raises:
        ValueError: an entry of `allowed_hosts` or `allowed_origins` cannot be one.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str] = (),
        allowed_origins: Collection[str] = (),
        refuse_forwarded: bool,
        bound_host: str = "127.0.0.1",
        pages: Collection[str] = ("/", "/docs", "/redoc", "/pair", "/console", "/admin"),
        other_content: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        self.app = app
        self._hosts = HostList(allowed_hosts, bound_host)
        self._origins = OriginList(allowed_origins)
        self._refuse_forwarded = refuse_forwarded
        self._pages = tuple(pages)
        self._other_content = dict(other_content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        send = _with_headers(send, scope, self._cors_origin(headers))
        try:
            self._check(scope, headers)
        except GatewayError as refusal:
            log.info("request_refused", reason=refusal.error_code, path=scope["path"])
            if scope["type"] == "websocket":  # before it is accepted, this is a 403 of the handshake
                return await send({"type": "websocket.close", "code": 1008, "reason": refusal.error_code})
            return await problem_response(refusal, headers)(scope, receive, send)
        if self._is_preflight(scope, headers):
            return await Response(status_code=204, headers=PREFLIGHT_HEADERS)(scope, receive, send)
        return await self.app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = _only(headers.getlist("host"))
        if host is None or not self._hosts.allows(host):
            raise UnknownHost(f"The Host {(host or '')[:100]!r} is not known here. Add it to server.allowed_hosts.")
        if self._refuse_forwarded and any(_says_proxy(name) for name in headers):
            raise ProxyRefused
        self._check_origin(scope, headers, host)
        if scope["type"] == "http" and scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
            self._check_content(scope["path"], headers)

    def _check_origin(self, scope: Scope, headers: Headers, host: str) -> None:
        if "origin" in headers:
            origin = _only(headers.getlist("origin")) or ""
            own = own_origin(scope["scheme"], host)
            if not self._origins.allows(origin) and (own is None or normal_origin(origin) != own):
                raise OriginRefused
        elif headers.get("sec-fetch-site") in ("cross-site", "same-site") and not self._is_visit(scope, headers):
            raise OriginRefused

    def _is_visit(self, scope: Scope, headers: Headers) -> bool:
        """Whether the user follows another site's link to one of our pages: it has no effect, and no reader there."""
        return (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
            and any(_is_at_or_below(scope["path"], page) for page in self._pages)
        )

    def _check_content(self, path: str, headers: Headers) -> None:
        has_body = "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""
        if not has_body:
            return
        content_type = _only(headers.getlist("content-type")) or ""
        media_type = content_type.partition(";")[0].strip().lower()
        others = self._taken_besides_json(path)
        if media_type != JSON and media_type not in others:
            raise UnsupportedMediaType(f"The body must be sent as {', '.join(others)}." if others else None)

    def _taken_besides_json(self, path: str) -> Collection[str]:
        prefixes = [prefix for prefix in self._other_content if path.startswith(prefix)]
        return self._other_content[max(prefixes, key=len)] if prefixes else ()

    def _cors_origin(self, headers: Headers) -> str | None:
        origin = _only(headers.getlist("origin"))
        return origin if origin is not None and self._origins.allows(origin) else None

    def _is_preflight(self, scope: Scope, headers: Headers) -> bool:
        return (
            scope["type"] == "http"
            and scope["method"] == "OPTIONS"
            and "access-control-request-method" in headers
            and self._cors_origin(headers) is not None
        )


def _only(values: list[str]) -> str | None:
    """The value of a header that must come once."""
    return values[0] if len(values) == 1 else None


def _says_proxy(name: str) -> bool:
    return name == "forwarded" or name.startswith("x-forwarded-")


def _is_at_or_below(path: str, page: str) -> bool:
    return path == page or (page != "/" and path.startswith(f"{page}/"))


def _with_headers(send: Send, scope: Scope, cors_origin: str | None) -> Send:
    """Add our headers to every answer, also where the app refuses a WebSocket. What the app set itself is kept."""
    is_api = scope["path"].startswith("/api")

    async def send_with_headers(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if is_api:
                headers.setdefault("Cache-Control", "no-store")
            headers.add_vary_header("Origin")
            if cors_origin is not None:
                headers["Access-Control-Allow-Origin"] = cors_origin
                headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        await send(message)

    return send_with_headers
