"""An operator who sits before the console in a real browser."""

import re

from playwright.async_api import BrowserContext, Page, expect

from tests.api.world import World
from tests.browser.screenshots import shoot
from tests.browser.watch import Watch

AREA = "console"
PATIENCE_MS = 20_000
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => one.outerHTML.slice(0, 80))"""
WIDTHS = (1280, 390)

expect.set_options(timeout=PATIENCE_MS)


class Operator:
    """The page that is open, and the gateway behind it at `address`."""

    def __init__(self, page: Page, world: World, address: str, watch: Watch) -> None:
        self.page = page
        self.world = world
        self.address = address
        self.watch = watch
        page.set_default_timeout(PATIENCE_MS)

    @property
    def context(self) -> BrowserContext:
        """The browser, with its cookies."""
        return self.page.context

    async def log_in(self) -> None:
        """By a one-time link, as the demo prints one."""
        link = (await self.world.admin("POST", "/api/admin/console-link", status=201)).json()["url"]
        await self.page.goto(re.sub("^https?://[^/]+", self.address, link))
        await self.page.get_by_role("button", name="Open the console").click()
        await self.page.wait_for_url(f"{self.address}/console")

    async def open(self, path: str) -> None:
        """Go to a page of the console; its heading is there."""
        answer = await self.page.goto(f"{self.address}{path}")
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"
        await expect(self.page.locator("h1").first).to_be_visible()

    async def shoot(self, name: str) -> list[str]:
        """Pictures at both widths, light and dark; gives what is too wide, because no page scrolls sideways."""
        found = []
        for width in WIDTHS:
            await self.page.set_viewport_size({"width": width, "height": 900})
            await self.page.evaluate("scrollTo(0, 0)")
            if await self.page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"at {width}: {await self.page.evaluate(TOO_WIDE)}")
            await shoot(self.page, AREA, f"{name}-{width}")
        await self.page.set_viewport_size({"width": 1280, "height": 900})
        return found
