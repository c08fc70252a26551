"""What a link opens: looking at one pairing, asking for its code again, and asking for a code to type."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.auth.access import Caller
from gateway.clock import Clock
from gateway.errors import Conflict, GatewayError, NotFound
from sessions.pairing.other_ways import OtherWays, TypedCode
from sessions.pairing.page.links import Link, LinkOver, LinkRefused, PairLinks
from sessions.pairing.page.views import AWAY, FAILED, OVER, Panel, View, view_of
from sessions.pairing.service import Pairing, Shown
from sessions.pairing.streams import REMOVED, QrStreams, Stream, Told


class Watching:
    """What the page does, for whoever has a link that was checked."""

    def __init__(
        self, links: PairLinks, pairing: Pairing, streams: QrStreams, other_ways: OtherWays, clock: Clock
    ) -> None:
        self._links = links
        self._pairing = pairing
        self._streams = streams
        self._other_ways = other_ways
        self._clock = clock

    async def begin(self, caller: Caller, number: str) -> View:
        """Ask for the code, as the QR route of the API does, and start what has to be started for it.

        Raises:
            LinkOver: the session was removed.
            ServiceUnavailable: its WAHA server does not answer.
        """
        try:
            return await self._view(await self._pairing.ask(caller, number))
        except NotFound:
            raise LinkOver from None

    async def code(self, caller: Caller, number: str) -> tuple[TypedCode, float | None]:
        """A code to type, and for how many seconds it holds. Raises as `OtherWays.request_code`, and `LinkOver`."""
        try:
            typed = await self._other_ways.request_code(caller, number)
        except NotFound:
            raise LinkOver from None
        return typed, None if typed.expires_at is None else max(0.0, typed.expires_at - self._clock.now())

    @asynccontextmanager
    async def follow(self, link: Link) -> AsyncIterator[AsyncIterator[View]]:
        """Every look at the pairing that shows something new, while the block runs; nothing is started by it.

        It ends with the pairing's success, with the session, or with the link.

        Raises:
            RateLimited, ServiceUnavailable: as `QrStreams.follow`.
        """
        async with self._streams.follow(link.number) as stream:
            yield self._views(link, stream)

    async def _views(self, link: Link, stream: Stream) -> AsyncIterator[View]:
        async for told in stream:
            try:
                caller = await self._links.check(link)
            except (LinkOver, LinkRefused):
                yield OVER
                return
            view = await self._told(told)
            if view.panel is Panel.CODE and not await self._pairing.may_see(caller, link.number):
                view = FAILED  # somebody else's pairing was opened: who asks anew here, as the owner, ends it
            yield view

    async def _told(self, told: Told) -> View:
        if told.shown is not None:
            return await self._view(told.shown)
        return OVER if told.body == REMOVED else AWAY

    async def _view(self, shown: Shown) -> View:
        """Drawing takes a while, so it is done beside; the code to compare is asked of WAHA."""
        view = await asyncio.to_thread(view_of, shown, self._clock.now())
        if view.panel is not Panel.CONFIRM:
            return view
        try:
            step = await self._other_ways.passkey(shown.row.number)
        except GatewayError as error:
            if not isinstance(error, Conflict):  # WAHA does not say it just now: the step is told without it
                return view
            return View(panel=Panel.SCANNED)  # it is done already
        return view.model_copy(update={"compare": step.code})
