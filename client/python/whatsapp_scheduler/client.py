"""The two clients: one for programs without asyncio, one for those with it. Their methods are the same."""

import asyncio
import time
from typing import Self, TypeVar

import httpx

from whatsapp_scheduler import areas
from whatsapp_scheduler.calls import Call, request_of
from whatsapp_scheduler.errors import ApiError
from whatsapp_scheduler.retrying import headers_of, wait_after

T = TypeVar("T")
TIMEOUT_SECONDS = 30.0
RETRIES = 3


class Client:
    """The scheduler API.

    Args:
        base_url: Where the gateway is, such as `http://127.0.0.1:8000`.
        api_key: A key, or the access token of a login; a gateway in open mode on this machine needs none.
        retries: How often a request is asked again that was not answered, or with "not now".
        transport: What carries requests instead of the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=_root(base_url), headers=_headers(api_key), timeout=timeout, transport=transport
        )
        self._retries = retries
        self.messages = areas.Messages(self)
        self.recipients = areas.Recipients(self)
        self.groups = areas.Groups(self)
        self.schedules = areas.Schedules(self)
        self.campaigns = areas.Campaigns(self)
        self.webhooks = areas.Webhooks(self)

    def ask(self, call: Call[T]) -> T:
        """Send a request and read its answer.

        Raises:
            ApiError: the API refuses it.
            httpx.TransportError: nobody answers.
        """
        headers = headers_of(call.method)
        for attempt in range(self._retries + 1):
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.send(request_of(self._http, call, headers))
            except httpx.TransportError as error:
                outcome = error
            wait = wait_after(outcome, attempt)
            if wait is None or attempt == self._retries:
                break
            time.sleep(wait)
        return _read(call, outcome)

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """The scheduler API, for asyncio. As `Client`."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=_root(base_url), headers=_headers(api_key), timeout=timeout, transport=transport
        )
        self._retries = retries
        self.messages = areas.AsyncMessages(self)
        self.recipients = areas.AsyncRecipients(self)
        self.groups = areas.AsyncGroups(self)
        self.schedules = areas.AsyncSchedules(self)
        self.campaigns = areas.AsyncCampaigns(self)
        self.webhooks = areas.AsyncWebhooks(self)

    async def ask(self, call: Call[T]) -> T:
        """As `Client.ask`."""
        headers = headers_of(call.method)
        for attempt in range(self._retries + 1):
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.send(request_of(self._http, call, headers))
            except httpx.TransportError as error:
                outcome = error
            wait = wait_after(outcome, attempt)
            if wait is None or attempt == self._retries:
                break
            await asyncio.sleep(wait)
        return _read(call, outcome)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _root(base_url: str) -> str:
    """The gateway's address: its `/api` may be left out or not."""
    return base_url.rstrip("/").removesuffix("/api")


def _headers(api_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def _read(call: Call[T], outcome: httpx.Response | httpx.TransportError) -> T:
    if isinstance(outcome, httpx.TransportError):
        raise outcome
    if not outcome.is_success:
        raise ApiError.of(outcome)
    if call.is_file:
        return call.read(outcome.content)
    return call.read(outcome.json() if outcome.content else None)
