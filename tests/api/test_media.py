"""Campaigns with a file: fetched by us from the address that a user gives, and handed to WAHA as data."""

import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from campaigns.sending.models import Campaign
from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, World, recipients

pytestmark = pytest.mark.timeout(60)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OGG = b"OggS" + bytes(60)
Serve = Callable[[bytes, str], Awaitable[str]]
LOCAL = {"allow_private_addresses": True}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve some bytes under an address of this machine, as that type."""
    async with AsyncExitStack() as stack:

        async def make(content: bytes, content_type: str) -> str:
            async def answer(_: web.Request) -> web.Response:
                return web.Response(body=content, content_type=content_type)

            app = web.Application()
            app.router.add_get("/file", answer)
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}/file"

        yield make


async def test_an_image_goes_out_as_data_with_the_text_as_its_caption(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world(media=LOCAL)
    await world.pair(ALICE)
    url = await serve(PNG, "text/plain")  # what it is is seen in its bytes
    done = await world.finished(await world.send(media_url=url, template="Look", recipients=recipients(2)))
    assert (done["sent"], done["media_url"]) == (2, url)
    for sent in await world.waha.ledger():
        assert (sent["kind"], sent["text"]) == ("image", "Look")
        assert sent["media"]["mimetype"] == "image/png"
        assert sent["media"]["size"] == len(PNG)
        assert sent["media"]["sha256"] == hashlib.sha256(PNG).hexdigest()


async def test_a_file_without_a_text_is_a_campaign(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world(media=LOCAL)
    await world.pair(ALICE)
    url = await serve(OGG, "audio/ogg")
    await world.finished(await world.send(media_url=url, template="", recipients=recipients(1)))
    assert [sent["kind"] for sent in await world.waha.ledger()] == ["voice"]


async def test_a_voice_message_with_a_text_is_refused(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world(media=LOCAL)
    refused = await world.send(media_url=await serve(OGG, "audio/ogg"), queue_if_offline=True, status=422)
    assert [(error["field"], error["code"]) for error in refused["errors"]] == [("media_url", "voice_with_text")]
    assert await world.count(Campaign) == 0


async def test_a_file_over_the_limit_is_refused(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world(media=LOCAL | {"max_bytes": 1000})
    url = await serve(PNG + bytes(1000), "image/png")
    refused = await world.send(media_url=url, queue_if_offline=True, status=422)
    assert [error["field"] for error in refused["errors"]] == ["media_url"]
    assert "1000" in refused["detail"]


async def test_an_address_without_a_file_is_refused(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world(media=LOCAL)
    url = await serve(PNG, "image/png")
    refused = await world.send(media_url=f"{url}/nothing", queue_if_offline=True, status=422)
    assert "404" in refused["detail"]
    refused = await world.send(media_url=await serve(b"", "image/png"), queue_if_offline=True, status=422)
    assert [error["code"] for error in refused["errors"]] == ["empty_file"]


async def test_addresses_of_this_machine_are_refused_unless_they_are_allowed(world: World, serve: Serve) -> None:
    url = await serve(PNG, "image/png")
    refused = await world.send(media_url=url, queue_if_offline=True, status=422)
    assert [error["field"] for error in refused["errors"]] == ["media_url"]
    assert await world.count(Campaign) == 0
