"""Watches a browser during a test: nothing may go wrong in its console, and no stranger may be asked."""

from collections.abc import Collection

from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Request

INNER = ("data:", "blob:", "about:", "chrome-error:")
"""Addresses that are no network."""


class Watch:
    """All pages of a context, those that are opened later too.

    Args:
        context: What is watched.
        allowed: The beginnings of the addresses that may be asked, such as `http://127.0.0.1:8000/`.

    A test that makes something fail says so before with `expect`, by a piece of what the console will say.
    """

    def __init__(self, context: BrowserContext, allowed: Collection[str]) -> None:
        self.allowed = [*INNER, *allowed]
        self.asked: list[str] = []
        self._complaints: list[str] = []
        self._expected: list[str] = []
        context.on("request", self._note_request)
        context.on("page", self._watch_page)
        for page in context.pages:
            self._watch_page(page)

    def allow(self, beginning: str) -> None:
        """One more beginning of addresses that may be asked."""
        self.allowed.append(beginning)

    def expect(self, complaint: str) -> None:
        """From now on a console error that has this in it is right."""
        self._expected.append(complaint)

    @property
    def complaints(self) -> list[str]:
        """What went wrong and was not expected."""
        return [one for one in self._complaints if not any(expected in one for expected in self._expected)]

    @property
    def strangers(self) -> list[str]:
        """The addresses that were asked and must not be."""
        return [url for url in self.asked if not url.startswith(tuple(self.allowed))]

    def check(self) -> None:
        """Nothing went wrong, and nobody else was asked."""
        assert not self.complaints, self.complaints
        assert not self.strangers, self.strangers

    def _note_request(self, request: Request) -> None:
        self.asked.append(request.url)

    def _watch_page(self, page: Page) -> None:
        page.on("console", self._note_console)
        page.on("pageerror", self._note_error)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _note_error(self, error: Error) -> None:
        self._complaints.append(f"uncaught: {error}")
