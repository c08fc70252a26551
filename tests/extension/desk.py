"""A person at a browser that has the extension, and a gateway that can be cut off from it.

The extension comes out of the zip that users get. Chrome's question whether it may speak to the gateway cannot be
answered without a window, so the manifest of the tests has 127.0.0.1 allowed from the beginning.
"""

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Locator, Page, Worker, expect

from extension.pack import pack
from gateway.http.origins import OWN_EXTENSION
from tests.api.world import World, until
from tests.browser.axe import serious_violations
from tests.browser.chromium import chromium_with_extension
from tests.browser.qr import decode_qr
from tests.browser.screenshots import SCHEMES, shoot
from tests.browser.watch import Watch
from tests.faults.harness.proxy import Proxy, proxy_to
from tests.harness.live import serving

POPUP = {"width": 380, "height": 600}
TAB = {"width": 1280, "height": 900}
AWAY = "net::ERR_"
"""What the console says of a connection that fails: right in a test that cuts it."""

PATIENCE_MS = 15_000

expect.set_options(timeout=PATIENCE_MS)


class Desk:
    """The browser, the gateway's world, and the wire between the two."""

    def __init__(self, context: BrowserContext, world: World, wire: Proxy) -> None:
        self.context = context
        self.world = world
        self.wire = wire
        self.address = f"http://127.0.0.1:{wire.port}"
        context.set_default_timeout(PATIENCE_MS)
        self.watch = Watch(context, [f"{OWN_EXTENSION}/", f"{self.address}/"])

    async def is_installed(self) -> bool:
        """Whether the tab is there that opens when the extension is installed."""
        return any(page.url.endswith("/app.html") for page in self.context.pages)

    async def open(self, page: str = "popup.html") -> Page:
        """One of the extension's pages: the popup in its own size, or another in a tab."""
        opened = await self.context.new_page()
        await opened.set_viewport_size(POPUP if page.startswith("popup") else TAB)  # type: ignore[arg-type]
        await opened.goto(f"{OWN_EXTENSION}/{page}")
        await opened.bring_to_front()
        return opened

    async def worker(self) -> Worker:
        """The service worker."""
        workers = self.context.service_workers
        return workers[0] if workers else await self.context.wait_for_event("serviceworker")

    async def run(self, script: str, argument: Any = None) -> Any:
        """What a piece of JavaScript in the worker gives."""
        return await (await self.worker()).evaluate(script, argument)

    async def stored(self, name: str, area: str = "local") -> Any:
        """What the extension has stored under a name."""
        return await self.run("async ([area, name]) => (await chrome.storage[area].get(name))[name]", [area, name])

    async def badge(self) -> str:
        """What stands on the extension's button."""
        return str(await self.run("() => chrome.action.getBadgeText({})"))

    async def notifications(self) -> list[str]:
        """The notifications that are shown now."""
        return sorted(await self.run("async () => Object.keys(await chrome.notifications.getAll())"))

    async def until(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Wait until that is so."""
        await until(look)

    async def shoot(self, page: Page, name: str) -> None:
        """Pictures of it, light and dark; nothing keeps anybody from using it."""
        await page.evaluate("() => scrollTo(0, 0)")
        await shoot(page, "extension", name)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if found := await serious_violations(page):
                pytest.fail(f"{name}, {scheme}: {found}")

    # --- the first run ------------------------------------------------------------------------------------------

    async def set_up(self, page: Page, number: str) -> Locator:
        """The first two steps by clicks; gives the picture of the code."""
        await page.get_by_label("Gateway address").fill(self.address)
        await page.get_by_role("button", name="Connect").click()
        await page.get_by_label("Your WhatsApp number").fill(number)
        await page.get_by_role("button", name="Show the QR code").click()
        picture = page.get_by_alt_text("QR code to link the phone")
        await expect(picture).to_be_visible()
        return picture

    async def shows_the_code(self, page: Page, number: str) -> None:
        """Wait until the code on the screen is the one that WAHA shows now: it changes every few seconds here."""

        async def is_shown() -> bool:
            read = decode_qr(await page.screenshot(full_page=True))
            session = self.world.waha.server.lifecycle.running.get(number[1:])
            return read != "" and session is not None and session.qr == read

        await until(is_shown)

    async def link(self, page: Page, number: str) -> None:
        """The whole first run; the page shows that it is connected."""
        await self.set_up(page, number)
        await self.world.waha.scan(number)
        await expect(page.get_by_role("heading", name="Connected")).to_be_visible()

    async def log_out(self, number: str) -> None:
        """WAHA shows a code that nobody asked for: the phone has removed the device."""
        await self.world.waha.tell("POST", f"/sessions/{number[1:]}/status", {"status": "SCAN_QR_CODE"})

    async def write(self, page: Page, text: str, numbers: list[str]) -> None:
        """A campaign to pasted numbers, up to its forecast."""
        await page.get_by_role("link", name="New campaign").first.click()
        await page.get_by_label("Numbers, or rows from a spreadsheet").fill("\n".join(numbers))
        await page.get_by_label("Text", exact=True).fill(text)
        await page.get_by_role("button", name="Check before sending").click()


def unpack(folder: Path) -> Path:
    """The extension out of its zip, allowed to speak to 127.0.0.1."""
    pack(folder / "extension.zip")
    with zipfile.ZipFile(folder / "extension.zip") as archive:
        archive.extractall(folder / "extension")
    manifest = folder / "extension" / "manifest.json"
    told = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(told | {"host_permissions": ["http://127.0.0.1/*"]}), encoding="utf-8")
    return folder / "extension"


@asynccontextmanager
async def open_desk(world: World, folder: Path) -> AsyncIterator[Desk]:
    """Serve the gateway, put the wire before it, and open a browser with the extension."""
    async with chromium_with_extension(unpack(folder), folder / "profile") as context, serving(world.gateway) as url:
        port = urlsplit(url).port

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection("127.0.0.1", port)

        async with proxy_to(connect) as wire:
            desk = Desk(context, world, wire)
            await until(desk.is_installed)  # its first tab comes to the front: what lies behind is hardly drawn
            yield desk
            desk.watch.check()
            await context.close()
