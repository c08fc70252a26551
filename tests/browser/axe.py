"""What axe-core finds wrong with a page for people who cannot see or use it as others do."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

SOURCE = Path(__file__).parent / "vendor" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SERIOUS = ("serious", "critical")
SETTLED = """async () => {
    const frame = () => new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 100); });
    const moving = () => document.getAnimations()
        .filter((one) => one.effect.getComputedTiming().iterations !== Infinity);
    for (let calm = 0; calm < 3; calm = moving().length ? 0 : calm + 1) {
        await Promise.allSettled(moving().map((one) => one.finished));
        await frame();
    }
}"""
"""Waits until nothing moves: a colour on its way from light to dark has the contrast of neither."""


async def serious_violations(page: Page) -> list[str]:
    """Each serious or critical violation of WCAG 2.2 AA or of good practice: its rule, and where."""
    await page.evaluate(SETTLED)
    await page.evaluate(_source())  # past the page's own policy, which a script element could not be
    found: dict[str, Any] = await page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", list(RULES)
    )
    return [
        f"{one['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@cache
def _source() -> str:
    return SOURCE.read_text(encoding="utf-8")
