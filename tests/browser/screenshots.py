"""Pictures of what the tests see, to be looked at by people; they are not kept in the repository."""

from pathlib import Path
from typing import Literal

from playwright.async_api import Page

FOLDER = Path(__file__).parent.parent / "screenshots"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def shoot(page: Page, area: str, name: str, *, full_page: bool = True) -> None:
    """Two pictures of the page as it is, `<area>/<name>-light.png` and `-dark.png`."""
    folder = FOLDER / area
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=full_page, animations="disabled")
    await page.emulate_media(color_scheme="null", reduced_motion="null")
