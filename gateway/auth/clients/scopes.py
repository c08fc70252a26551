"""What an API key may do: looking needs `read`, sending needs `send`, and every other change needs `manage`.

Which of them a request needs follows from its method and its route, here and nowhere else.
"""

from enum import StrEnum

from starlette.requests import Request


class ApiScope(StrEnum):
    """What a key is for."""

    SEND = "send"
    READ = "read"
    MANAGE = "manage"


ALL_SCOPES = frozenset(ApiScope)
SENDING = frozenset(
    {
        ("POST", "/api/send"),
        ("POST", "/api/schedules"),
        ("POST", "/api/upload"),
        ("POST", "/api/send-message"),
        ("POST", "/api/conversations/{conversation_id}/reply"),
        ("POST", "/api/schedules/{schedule_id}/send-now"),
        ("POST", "/api/messaging/send-message"),
        ("POST", "/api/messaging/send-bulk"),
        ("POST", "/api/messaging/create-campaign-send"),
    }
)
"""Routes that send; their paths as they were declared, without a slash at the end."""
LOOKING = frozenset(
    {("POST", "/api/send/preview"), ("POST", "/api/contacts/read"), ("POST", "/api/messaging/validate-phone")}
)
"""Routes that change nothing, though their method says otherwise."""


def scope_of(method: str, path: str) -> ApiScope:
    """What a request to a route needs; `path` is the route's own, with the names of its parameters."""
    route = (method, path.rstrip("/"))
    if method in ("GET", "HEAD") or route in LOOKING:
        return ApiScope.READ
    return ApiScope.SEND if route in SENDING else ApiScope.MANAGE


async def scope_of_request(request: Request) -> ApiScope:
    """What this request needs: FastAPI's dependency."""
    return scope_of(request.method, getattr(request.scope.get("route"), "path", request.url.path))
