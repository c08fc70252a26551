"""The HTTP service around a gateway: its routers, its description, and the layers that every request passes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version as package_version

from fastapi import FastAPI

import admin.console.tables.router
import campaigns.audience.contact_reading.router
import campaigns.audience.importing.router
import campaigns.audience.optouts.router
import campaigns.doors.messaging.router
import campaigns.doors.support
import campaigns.sending.router
import campaigns.uploads.router
from campaigns.doors.support_schemas import ArrivedMessage, SupportMessage
from campaigns.sending.schemas import SendRequest
from gateway.app import PACKAGE, Gateway
from gateway.http.body_limit import BodyLimit
from gateway.http.docs import install_docs
from gateway.http.guard import Guard
from gateway.http.openapi import describe_errors
from gateway.http.problems import install_error_handlers
from gateway.http.strict_json import StrictJson
from gateway.http.traffic import CountRequests
from gateway.limits.meter import RateLimitHeaders
from gateway.notifications.sockets import PATH
from gateway.routers import build_console_routes, build_routers
from sessions.news.webhook import OPERATION, WEBHOOK_PATH, WebhookDoor

RAW_PATHS = (
    *campaigns.sending.router.SLICED_PATHS,
    *campaigns.doors.support.RAW_PATHS,
    *campaigns.doors.messaging.router.RAW_PATHS,
)
"""Where a route reads the bytes of a body by itself."""

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
"""What the console's pages send."""

DESCRIPTION = """
A gateway to many WhatsApp numbers over many WAHA servers: pair a number by QR, send a campaign through one or more
numbers at the pace you set, and see what became of every recipient. A message goes out never twice and is never
lost; never faster than told; and can always say why it waits.

Reads, changes and new schedules are limited per caller and minute: `X-RateLimit-Limit`, `X-RateLimit-Remaining` and
`X-RateLimit-Reset` (epoch seconds) tell what is left, and a 429 comes with `Retry-After`.

Numbers may be written in any way. Times are ISO 8601 in UTC. Every error has the same shape.
"""


def create_app(gateway: Gateway) -> FastAPI:
    """The HTTP service around `gateway`: it starts and stops with the application."""
    settings = gateway.settings

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(gateway.stop)
            await gateway.start()
            yield

    app = FastAPI(
        title="waha-gateway",
        version=package_version(PACKAGE),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    install_error_handlers(app)
    for router in build_routers(gateway, app.version):
        app.router.routes.extend(router.routes)  # to include a router builds each of its routes a second time
    app.router.routes.extend(build_console_routes(gateway, app))
    app.router.routes.extend(admin.console.tables.router.build_old_address())
    app.add_api_websocket_route(PATH, gateway.notifications.live.serve)
    describe_errors(app, {WEBHOOK_PATH: {"post": OPERATION}}, bodies=[SendRequest, SupportMessage, ArrivedMessage])
    install_docs(app)
    app.add_middleware(StrictJson, raw_paths=RAW_PATHS)
    app.add_middleware(RateLimitHeaders, meter=gateway.meter, clock=gateway.clock)
    app.add_middleware(BodyLimit, max_bytes=settings.server.max_body_bytes)
    app.add_middleware(
        Guard,
        allowed_hosts=settings.server.allowed_hosts,
        allowed_origins=settings.server.allowed_origins,
        refuse_forwarded=settings.auth.user_access == "open",
        bound_host=settings.server.host,
        other_content={"/console": FORMS}
        | campaigns.audience.importing.router.OTHER_CONTENT
        | campaigns.audience.contact_reading.router.OTHER_CONTENT
        | campaigns.audience.optouts.router.OTHER_CONTENT
        | campaigns.uploads.router.OTHER_CONTENT,
    )
    app.add_middleware(
        WebhookDoor,
        intake=gateway.intake,
        fleet=gateway.fleet,
        secret=settings.waha.webhook_secret.get_secret_value(),
        look=gateway.manager.look,
    )
    app.add_middleware(CountRequests, traffic=gateway.traffic)
    return app
