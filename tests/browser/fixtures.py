"""Fixtures for tests in a real browser, known to all tests by name (`pytest_plugins` in tests/conftest.py)."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.chromium import chromium
from tests.browser.watch import Watch


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A Chromium without a window; the test is skipped where none is installed."""
    async with chromium() as opened:
        yield opened


@pytest.fixture
async def browser_context(browser: Browser) -> BrowserContext:
    """A visitor at 1280 x 900; closed with the browser."""
    return await browser.new_context(viewport={"width": 1280, "height": 900})


@pytest.fixture
async def watch(browser_context: BrowserContext) -> AsyncIterator[Watch]:
    """Watches that visitor: tell it with `allow` where they may go. It checks at the end of the test."""
    watching = Watch(browser_context, [])
    yield watching
    watching.check()


@pytest.fixture
async def page(browser_context: BrowserContext, watch: Watch) -> Page:
    """A watched page: an error in its console fails the test, and so does a request that `watch` does not allow."""
    return await browser_context.new_page()
