"""The overview left open for hours: it says whether it is live, and does not grow."""

import itertools
from collections.abc import Iterator

import pytest
from playwright.async_api import Route, expect

from admin.console.overview.live import draw, event
from tests.api.world import ALICE, BERT, recipients
from tests.browser.console.operator import Operator

pytestmark = pytest.mark.timeout(240)

LIVE = "/console/overview/live"
UPDATES = 10_000
STREAM_ENDED = "[object Event]"
"""What htmx tells of a stream that ended."""
BATCH = 1_000
"""So many updates come in one answer; then the browser asks again."""
MOST_GROWTH = 5 * 2**20
COUNT_UPDATES = """
window.updates = 0;
document.addEventListener("htmx:sseMessage", () => { window.updates += 1; });
"""


async def test_it_moves_by_itself_and_says_when_it_cannot(operator: Operator) -> None:
    page, pill = operator.page, operator.page.locator("#live-pill")
    operator.watch.expect("ERR_FAILED")
    operator.watch.expect(STREAM_ENDED)
    await operator.world.pair(ALICE)
    await operator.log_in()
    await expect(pill).to_contain_text("live")
    await operator.world.pair(BERT)
    await expect(page.locator("#senders").get_by_text("+44 7700 900002")).to_be_visible()

    await page.route(f"**{LIVE}", lambda route: route.abort())
    await page.reload(wait_until="commit")
    await expect(pill).to_contain_text("reconnecting")
    await page.unroute_all()
    await expect(pill).to_contain_text("live")


async def test_ten_thousand_updates_later_it_has_grown_by_less_than_five_megabytes(operator: Operator) -> None:
    world, page = operator.world, operator.page
    await world.pair(ALICE, BERT)
    await world.finished(await world.send(name="Spring news", recipients=recipients(5)))
    await operator.log_in()
    operator.watch.expect(STREAM_ENDED)
    updates = await made_up(operator)

    async def answer(route: Route) -> None:
        batch = list(itertools.islice(updates, BATCH))
        if batch:
            headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
            await route.fulfill(body="retry: 10\n\n" + "".join(batch), headers=headers)

    await page.route(f"**{LIVE}", answer)
    await page.add_init_script(COUNT_UPDATES)
    await page.goto(f"{operator.address}/console", wait_until="commit")
    devtools = await operator.context.new_cdp_session(page)

    async def heap_after(count: int) -> int:
        await page.wait_for_function("count => window.updates >= count", arg=count, timeout=150_000)
        await devtools.send("HeapProfiler.collectGarbage")
        return int((await devtools.send("Runtime.getHeapUsage"))["usedSize"])

    before = await heap_after(BATCH // 2)
    after = await heap_after(UPDATES - BATCH)
    assert after - before < MOST_GROWTH, f"from {before} to {after} bytes"


async def made_up(operator: Operator) -> Iterator[str]:
    """Updates as the gateway draws them, each another."""
    console = operator.world.gateway.console
    overview = await console.figures.get(None)
    parts = draw(console.pages, overview, operator=True)
    names = itertools.cycle(parts)
    return (event(name, _other(name, parts[name], n)) for n, name in zip(range(UPDATES), names, strict=False))


def _other(name: str, text: str, n: int) -> str:
    return text.replace("0", str(n % 10)) if name == "curve" else f"{text}<i hidden>{n}</i>"
