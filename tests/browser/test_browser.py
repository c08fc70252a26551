"""What the tests in a browser stand on: the watch sees what is wrong, and a code on the screen is read."""

import base64
import io

import pytest
import qrcode
from playwright.async_api import Browser, Page

from tests.browser.qr import decode_qr
from tests.browser.watch import Watch

QUIET_PAGE = "data:text/html,<title>a page</title><h1>Hello</h1>"


def png_of(text: str) -> bytes:
    """A QR code's picture."""
    file = io.BytesIO()
    qrcode.make(text).save(file)
    return file.getvalue()


async def test_a_quiet_page_is_no_complaint(page: Page, watch: Watch) -> None:
    await page.goto(QUIET_PAGE)
    assert await page.title() == "a page"
    watch.check()


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.error('it broke')", "it broke"),
        ("setTimeout(() => { throw new Error('uncaught here') })", "uncaught here"),
    ],
)
async def test_an_error_in_the_console_is_a_complaint(browser: Browser, script: str, complaint: str) -> None:
    context = await browser.new_context()
    watch = Watch(context, [])
    page = await context.new_page()
    await page.goto(QUIET_PAGE)
    async with page.expect_event("console" if "console" in script else "pageerror"):
        await page.evaluate(f"() => {{ {script} }}")
    assert any(complaint in one for one in watch.complaints)
    with pytest.raises(AssertionError, match=complaint):
        watch.check()
    watch.expect(complaint)
    watch.check()


async def test_a_request_to_a_stranger_is_seen_and_comes_nowhere(browser: Browser) -> None:
    context = await browser.new_context()
    watch = Watch(context, ["http://127.0.0.1:1/"])
    page = await context.new_page()
    await page.goto(QUIET_PAGE)
    async with page.expect_event("requestfailed") as failed:
        await page.evaluate("() => { new Image().src = 'https://stranger.example/picture.png' }")
    assert "ERR_NAME_NOT_RESOLVED" in ((await failed.value).failure or "")
    assert watch.strangers == ["https://stranger.example/picture.png"]


async def test_a_code_on_the_screen_is_read(page: Page) -> None:
    picture = base64.b64encode(png_of("2@abc,def==,1")).decode()
    await page.goto(QUIET_PAGE)
    assert decode_qr(await page.screenshot()) == ""
    await page.set_content(f"<p>Scan this</p><img alt='a code' src='data:image/png;base64,{picture}'>")
    assert decode_qr(await page.screenshot()) == "2@abc,def==,1"
