"""The overview as it changes: a stream of server-sent events with the parts of the page that are new."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import orjson
from sqlalchemy.exc import SQLAlchemyError

from admin.console.door import Door, NotLoggedIn
from admin.console.overview.figures import Figures, Overview
from admin.console.pages import Pages
from gateway.clock import Clock

TICK_SECONDS = 0.5
ASK_AGAIN_SECONDS = 20.0
"""How often a stream makes sure that its viewer is still logged in; something is said that often, too."""
PARTS = ("campaigns", "tiles", "funnel", "senders", "servers")


def draw(pages: Pages, overview: Overview, *, operator: bool) -> dict[str, str]:
    """The parts of the page as HTML, by name, and the curve as JSON."""
    names = PARTS if operator else PARTS[:-1]
    parts = {name: pages.text(f"overview/{name}.html", overview=overview, operator=operator) for name in names}
    return parts | {"curve": curve_of(overview)}


def curve_of(overview: Overview) -> str:
    """The curve as the chart takes it: minutes, sent, delivered, failed."""
    curve = overview.curve
    return orjson.dumps([curve.minutes, curve.sent, curve.delivered, curve.failed]).decode()


class Live:
    """All streams of this replica; `close` ends them."""

    def __init__(self, pages: Pages, figures: Figures, door: Door, clock: Clock) -> None:
        self._pages = pages
        self._figures = figures
        self._door = door
        self._clock = clock
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End all streams."""
        self._closing.set()

    async def stream(self, cookie: str) -> AsyncIterator[str]:
        """Events for whoever has this cookie, until they leave, are logged out, or the gateway ends."""
        shown: dict[str, str] = {}
        asked_at = -ASK_AGAIN_SECONDS
        visitor = await self._door.look(cookie)
        while True:
            now = self._clock.monotonic()
            try:
                if now - asked_at >= ASK_AGAIN_SECONDS:
                    visitor, asked_at = await self._door.look(cookie), now
                    yield ": still here\n\n"
                overview = await self._figures.get(visitor.account_id)
            except NotLoggedIn:
                yield event("over", "")
                return
            except SQLAlchemyError:
                return  # the page says that it is reconnecting, and comes again
            parts = draw(self._pages, overview, operator=visitor.is_operator)
            for name, text in new_parts(parts, shown):
                yield event(name, text)
            if await self._clock.wait(self._closing, TICK_SECONDS):
                return


def new_parts(parts: Mapping[str, str], shown: dict[str, str]) -> list[tuple[str, str]]:
    """The parts that differ from what was `shown`, which they are from now on."""
    changed = [(name, text) for name, text in parts.items() if shown.get(name) != text]
    shown.update(changed)
    return changed


def event(name: str, text: str) -> str:
    """One event; each line of the text on a line of its own."""
    data = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{data}\n"
