"""Chromium as the tests run it: no window, nothing of the outside world within reach."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

NOBODY = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
"""What keeps every other machine out of reach: the flags beside it do not stop all that a browser asks for."""
QUIET = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--host-resolver-rules={NOBODY}",
)


def find_chromium() -> str:
    """The browser's program; the test is skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium is installed here (Debian and Ubuntu: apt-get install chromium)")
    return program


@asynccontextmanager
async def chromium(names: str = "") -> AsyncIterator[Browser]:
    """A browser with nothing in it; `names` is a rule of its own for names, such as `MAP a.example 127.0.0.1`."""
    program = find_chromium()
    async with async_playwright() as playwright:
        flags = [*QUIET, f"--host-resolver-rules={names}, {NOBODY}"] if names else list(QUIET)
        browser = await playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def chromium_with_extension(extension: Path, profile: Path) -> AsyncIterator[BrowserContext]:
    """A browser with one unpacked extension; `profile` is the folder in which it remembers.

    Extensions run in a profile of their own only: what `Browser.new_context` gives does not have them.
    """
    program = find_chromium()
    flags = [*QUIET, f"--disable-extensions-except={extension}", f"--load-extension={extension}"]
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile, executable_path=program, args=flags, viewport={"width": 1280, "height": 900}
        )
        try:
            yield context
        finally:
            await context.close()
