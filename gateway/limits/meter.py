"""How many requests a caller may make in a minute, by kind of request; and the headers that say how many are left.

`RateLimitHeaders` notes what is asked for. Whoever finds out who is asking (`gateway/auth/access.py`) has it counted:
for the caller that a valid credential names, and for the address of everybody else. So a flood without a credential,
or with wrong ones, uses up nobody's share but that of its address. What is refused before that, such as a page of
another origin, is not counted; nor is what is not in the table: sending, which is paced, WAHA's webhook, /health and
files.

Where counting fails, the request goes on: a limit is no reason to refuse everybody.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.clock import Clock
from gateway.errors import RateLimited
from gateway.limits.windows import Window, Windows

log = structlog.get_logger()

READS, WRITES, SCHEDULES = "reads", "writes", "schedules"
PATIENCE_SECONDS = 0.5
"""So long a request waits to be counted."""
PAUSE_SECONDS = 5.0
"""So long nothing is counted after counting has failed: each request would have to wait for it."""
TOLD_EVERY_SECONDS = 60.0
MOST_SPENT = 10_000
_SITE_BITS = 64
"""Of an IPv6 address: whoever has one has all of its network."""


@dataclass(slots=True)
class Metered:
    """A request that is limited: what kind it is, where it comes from, and once it is counted what is left."""

    kind: str
    address: str
    limit: int = 0
    window: Window | None = None


_request: ContextVar[Metered | None] = ContextVar("metered_request", default=None)


class Meter:
    """Counts requests, and refuses what is too many. `per_minute` is by kind; 0 is without limit."""

    def __init__(self, windows: Windows, clock: Clock, per_minute: Mapping[str, int]) -> None:
        self._windows = windows
        self._clock = clock
        self._per_minute = dict(per_minute)
        self._away_until = self._tell_at = -math.inf
        self._spent: dict[str, float] = {}
        self._late: set[asyncio.Task[Window]] = set()

    def kind_of(self, method: str, path: str) -> str | None:
        """The kind of a request, if it is limited."""
        kind = None
        if method in ("GET", "HEAD"):
            kind = READS if path.startswith("/api/") else None
        elif method in ("PUT", "PATCH", "DELETE"):
            kind = WRITES
        elif method == "POST" and path.rstrip("/") == "/api/schedules":
            kind = SCHEDULES
        return kind if kind is not None and self._per_minute.get(kind) else None

    async def count(self, identity: str | None) -> None:
        """Count the request that is being answered, once, for whoever makes it; None is nobody but an address.

        Raises:
            RateLimited: they have made as many as they may; it says when to come again.
        """
        request = _request.get()
        if request is None or request.window is not None:
            return
        who = identity or f"address {request.address}"
        request.limit = self._per_minute[request.kind]
        request.window = await self._window(f"{request.kind} {who}", request.limit)
        if request.window is not None and request.window.count > request.limit:
            raise _too_many(request.kind, request.limit, request.window)

    async def hit(self, what: str, address: str, per_minute: int) -> None:
        """Count something else that an address does; 0 a minute is without limit.

        Raises:
            RateLimited: it has been done as often as it may in a minute.
        """
        if not per_minute:
            return
        window = await self._window(f"{what} {site_of(address)}", per_minute)
        if window is not None and window.count > per_minute:
            raise _too_many(what, per_minute, window)

    async def _window(self, key: str, limit: int) -> Window | None:
        """The window with this request in it; None where it could not be counted."""
        if not self._windows.shared:
            return await self._windows.count(key)
        now = self._clock.monotonic()
        if (over := self._spent.get(key, now)) > now:  # what is used up need not be asked for again
            return Window(limit + 1, over - now)
        if now < self._away_until:
            return None
        window = await self._ask(key)
        if window is not None and window.count >= limit:
            if len(self._spent) >= MOST_SPENT:
                self._spent.clear()
            self._spent[key] = now + window.seconds_left
        return window

    async def _ask(self, key: str) -> Window | None:
        """Ask elsewhere. What takes too long is not broken off, which would take as long, but not waited for."""
        task = asyncio.create_task(self._windows.count(key), name="count a request")
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not done:
            self._late.add(task)
            task.add_done_callback(self._came_late)
            self._note_failure("TimeoutError")
            return None
        try:
            return task.result()
        except self._windows.faults as error:
            self._note_failure(type(error).__name__)
            return None

    def _note_failure(self, error: str) -> None:
        now = self._clock.monotonic()
        self._away_until = now + PAUSE_SECONDS
        if now >= self._tell_at:
            self._tell_at = now + TOLD_EVERY_SECONDS
            log.warning("requests_not_counted", error=error, advice="see limits.storage_url")

    def _came_late(self, task: asyncio.Task[Window]) -> None:
        self._late.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("late_count_failed", error=type(error).__name__)

    async def close(self) -> None:
        """Let go of what counts, and of what is still being counted."""
        for task in (late := list(self._late)):
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._windows.close()


class RateLimitHeaders:
    """ASGI middleware: has requests counted, and tells with each counted one how many are left."""

    def __init__(self, app: ASGIApp, *, meter: Meter, clock: Clock) -> None:
        self.app = app
        self._meter = meter
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = self._meter.kind_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if kind is None:
            return await self.app(scope, receive, send)
        client = scope.get("client")
        request = Metered(kind, site_of(client[0] if client else ""))

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and request.window is not None:
                MutableHeaders(scope=message).update(self._headers(request.limit, request.window))
            await send(message)

        token = _request.set(request)
        try:
            await self.app(scope, receive, told)
        finally:
            _request.reset(token)

    def _headers(self, limit: int, window: Window) -> dict[str, Any]:
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - window.count)),
            "X-RateLimit-Reset": str(math.ceil(self._clock.now() + window.seconds_left)),
        }


def site_of(address: str) -> str:
    """What stands for an address: of IPv6 the network, because each of its hosts has any number of addresses."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or IPv6Network((found.packed, _SITE_BITS), strict=False))


def _too_many(what: str, limit: int, window: Window) -> RateLimited:
    return RateLimited(f"at most {limit} {what} a minute", again_at=time.time() + window.seconds_left)
