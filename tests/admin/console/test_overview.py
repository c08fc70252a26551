"""The overview shows what is under way, as it is now."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.console.overview import queries
from admin.console.overview.figures import FigureParts, Figures
from admin.console.overview.live import Live, event, new_parts
from admin.console.overview.throughput import Sampler, read_curve
from gateway.clock import Clock
from gateway.db import read_now, table_of
from sessions.models import Session
from tests.admin.console.visitors import log_in, plain
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, World, recipients, until


@pytest.fixture
async def world(any_world: World) -> World:
    """The door and the overview have SQL of their own: on each kind of database."""
    return any_world


async def told(stream: AsyncIterator[str], name: str) -> str:
    """The next event of this name: its text."""
    async with asyncio.timeout(20):
        async for one in stream:
            if one.startswith(f"event: {name}\n"):
                return "\n".join(line.removeprefix("data: ") for line in one.splitlines()[1:] if line)
    raise AssertionError(f"the stream ended without {name}")


async def test_a_new_gateway_says_that_there_is_nothing_yet(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    text = plain((await visitor.get("/console")).text)
    assert "Nothing is being sent" in text
    assert "No senders yet" in text
    assert "waha1 Up 0 / 100" in text


async def test_it_shows_campaigns_senders_and_servers(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE, BERT)
    await world.admin("PATCH", f"/api/admin/senders/{ALICE}", {"daily_cap": 50}, status=200)
    await world.finished(await world.send(name="Done", recipients=recipients(3)))
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600}, status=200)
    await world.send(name="<b>Spring</b> sale", sender_numbers=[BERT], recipients=recipients(9))
    await log_in(visitor)

    async def shown() -> str:
        text = plain((await visitor.get("/console")).text)
        return text if "1 of 9 messages" in text and "Sent 4 " in text else ""

    text = await until(shown)
    assert "&lt;b&gt;Spring&lt;/b&gt; sale Running" in text
    assert re.search(r"Sent 4 \d+ per minute", text)
    assert "+44 7700 900001" in text
    assert re.search(r"[34] / 50", text)
    assert "waha1 Up 2 / 100" in text


async def test_what_changes_reaches_the_page(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    cookie = next(iter(visitor.cookies.values()))
    stream = world.gateway.console.live.stream(cookie)
    assert "Nothing is being sent" in await told(stream, "campaigns")
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600}, status=200)
    await world.send(name="Just now", recipients=recipients(5))
    text = ""
    while not ("Just now" in text and "1 of 5 messages" in text):
        text = plain(await told(stream, "campaigns"))
    await world.gateway.console.door.log_out(cookie)


async def test_a_stream_ends_with_the_login_and_with_the_gateway(world: World, visitor: httpx.AsyncClient) -> None:
    console = world.gateway.console
    await log_in(visitor)
    cookie = next(iter(visitor.cookies.values()))

    class Soon:
        """A clock for which it is always time to ask again."""

        seconds = 0.0

        def monotonic(self) -> float:
            self.seconds += 60.0
            return self.seconds

        async def wait(self, event: asyncio.Event, timeout: float) -> bool:
            return event.is_set()

    live = Live(console.pages, console.figures, console.door, Soon())  # type: ignore[arg-type]
    stream = live.stream(cookie)
    assert await told(stream, "tiles")
    await console.door.log_out(cookie)
    assert await told(stream, "over") == ""
    assert [one async for one in stream] == []

    await log_in(visitor)
    stream = console.live.stream(next(iter(visitor.cookies.values())))
    assert await told(stream, "tiles")
    console.live.close()
    async with asyncio.timeout(20):
        assert all("event: over" not in one for one in [one async for one in stream])


def test_only_what_differs_is_sent() -> None:
    shown: dict[str, str] = {}
    assert new_parts({"tiles": "1", "funnel": "2"}, shown) == [("tiles", "1"), ("funnel", "2")]
    assert new_parts({"tiles": "1", "funnel": "3"}, shown) == [("funnel", "3")]
    assert new_parts({"tiles": "1", "funnel": "3"}, shown) == []
    assert event("tiles", "a\nb") == "event: tiles\ndata: a\ndata: b\n\n"


async def test_senders_in_need_come_first_and_their_expiry_has_a_colour(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await world.pair(ALICE, BERT)
    await log_in(visitor)
    now, session = world.gateway.clock.now(), table_of(Session)
    for days, colour in ((13, "soon"), (15, "over")):
        async with world.db.write() as tx:
            times = {"paired_at": now - days * 86_400, "last_active": now - days * 86_400}
            await tx.execute(update(session).where(session.c.name == BERT[1:]).values(times))

        async def first_is_bert(colour: str = colour) -> bool:
            rows = re.findall(r"<tr>.*?</tr>", (await visitor.get("/console")).text, re.DOTALL)[1:]
            return "900002" in rows[0] and f'<td class="{colour}">' in rows[0] and '<td class="">' in rows[1]

        assert await until(first_is_bert)


async def test_the_curve_counts_what_left_in_each_minute_for_each_account(world: World) -> None:
    await world.pair(ALICE)
    sampler, other_replica = Sampler(world.db), Sampler(world.db)
    await world.finished(await world.send(recipients=recipients(2)))
    for one in (sampler, other_replica):
        await one.sample()  # what was before is not of this minute
    await world.finished(await world.send(recipients=recipients(5)))
    for one in (sampler, other_replica, sampler):
        await one.sample()
    async with world.db.read() as connection:
        now = await read_now(connection)
        everybody = await read_curve(connection, None, now)
        nobody = await read_curve(connection, "acme", now)
    assert sum(everybody.sent) == 5
    assert sum(everybody.sent[-2:]) == 5
    assert len(everybody.minutes) == 120
    assert sum(nobody.sent) == 0


async def test_files_are_kept_by_browsers_for_good_and_nothing_else_is_served(visitor: httpx.AsyncClient) -> None:
    page = (await visitor.get("/console/login")).text
    addresses = re.findall(r'(?:href|src)="(/console/static/[^"#]+)', page)
    assert len(addresses) >= 6
    for address in addresses:
        served = await visitor.get(address)
        assert served.status_code == 200, address
        assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert served.content
    old = await visitor.get("/console/static/console.css?v=old")
    assert old.headers["cache-control"] == "no-cache"
    headers = {"If-None-Match": old.headers["etag"]}
    assert (await visitor.get("/console/static/console.css", headers=headers)).status_code == 304
    for name in ("../pages.py", "vendor/LICENSES.md", "..%2fpages.py", "nothing.css"):
        assert (await visitor.get(f"/console/static/{name}")).status_code == 404


async def test_pages_ask_nobody_else_for_anything_and_run_no_inline_script(visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    rooms = ("inbox", "opt-outs", "clients", "clients/new", "webhooks")
    for path in ("/console", "/console/login", *(f"/console/{room}" for room in rooms)):
        page = await visitor.get(path)
        assert "script-src" not in page.headers["content-security-policy"]
        assert page.headers["content-security-policy"].startswith("default-src 'self';")
        assert page.headers["cache-control"] == "no-store"
        assert not re.findall(r"<script(?![^>]*src=)[^>]*>|\sstyle=|\son[a-z]+=|javascript:|https?://", page.text)
        assert ADMIN_TOKEN not in page.text


class SteppedClock(Clock):
    """A clock that moves when it is told to."""

    seconds = 100.0

    def monotonic(self) -> float:
        """As `Clock`'s."""
        return self.seconds


@pytest.mark.parametrize(("cost", "looks"), [(0.001, 20), (0.05, 4), (3.0, 2)], ids=["cheap", "dearer", "very dear"])
async def test_sums_that_take_longer_are_added_up_less_often(
    world: World, monkeypatch: pytest.MonkeyPatch, cost: float, looks: int
) -> None:
    """Whatever waits for its time is counted with them: with 100,000 schedules that is much to add up for each look."""
    clock, added_up, totals = SteppedClock(), [], queries.totals

    async def slow(connection: AsyncConnection, account_id: str | None, since: float) -> dict[str, int]:
        added_up.append(clock.seconds)
        clock.seconds += cost
        return await totals(connection, account_id, since)

    monkeypatch.setattr(queries, "totals", slow)
    parts = world.gateway
    figures = Figures(FigureParts(world.db, clock, parts.status, parts.keepalive.periods, 0))
    for step in range(20):
        clock.seconds = max(clock.seconds, 100.0 + step * 0.5)
        await figures.get(None)
    assert len(added_up) == looks
