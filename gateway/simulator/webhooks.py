"""Webhooks as WAHA sends them: signed, retried, each in its own task, lost when the server dies."""

import dataclasses
import hashlib
import hmac
import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import structlog
from httpx_aiohttp import AiohttpTransport

from gateway.simulator.clock import SimClock
from gateway.simulator.errors import JsonObject
from gateway.simulator.event_faults import check_fields
from gateway.simulator.ids import make_ulid
from gateway.simulator.tasks import TaskGroup

log = structlog.get_logger()

USUAL: dict[str, Any] = {"attempts": 15, "delaySeconds": 2.0, "policy": "constant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFaults:
    """What goes wrong with webhooks beside what goes wrong with all events."""

    lose: float = 0.0
    """The probability that an event is never posted to an endpoint."""
    delay_seconds: float = 0.0
    """How long each event waits before it is posted for the first time."""

    def to_json(self) -> dict[str, Any]:
        """All fields by name."""
        return dataclasses.asdict(self)


def parse_webhook_faults(values: dict[str, Any]) -> WebhookFaults:
    """Webhook faults with the given fields, the others at rest; ValueError names a wrong one."""
    return WebhookFaults(**check_fields(WebhookFaults, values))


class WebhookSender:
    """Posts events to the endpoints of a session's configuration, in memory and in no order.

    Every answer but 2xx is tried again, 4xx too: 15 attempts, 2 s of the simulated clock apart, unless the
    endpoint's `retries` or a Retry-After say otherwise.
    """

    def __init__(
        self,
        clock: SimClock,
        rng: random.Random,
        version: str,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.faults = WebhookFaults()
        self._clock = clock
        self._rng = rng
        self._version = version
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._tasks = TaskGroup()

    def send(self, hook: JsonObject, envelope: JsonObject, body: bytes) -> None:
        """Start delivering one event to one endpoint; returns at once."""
        if self.faults.lose > 0 and self._rng.random() < self.faults.lose:
            return
        self._tasks.spawn(self._deliver(hook, self._headers(hook, envelope, body), body))

    async def drained(self) -> None:
        """Wait until every delivery that is under way has ended, well or not."""
        await self._tasks.join()

    async def lose_all(self) -> None:
        """Forget what is not delivered yet."""
        await self._tasks.cancel_all()

    async def aclose(self) -> None:
        """Forget what is not delivered yet, and close the connections."""
        await self.lose_all()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _deliver(self, hook: JsonObject, headers: dict[str, str], body: bytes) -> None:
        await self._clock.sleep(self.faults.delay_seconds)
        retries = USUAL | {name: value for name, value in (hook.get("retries") or {}).items() if value is not None}
        attempts = int(retries["attempts"])
        for attempt in range(1, attempts + 1):
            wait = self._delay(retries, attempt)
            try:
                answer = await self._http().post(str(hook["url"]), content=body, headers=headers)
            except httpx.HTTPError as error:
                log.debug("webhook_failed", url=hook["url"], attempt=attempt, error=repr(error))
            else:
                if answer.is_success:
                    return
                log.debug("webhook_refused", url=hook["url"], attempt=attempt, status=answer.status_code)
                wait = self._retry_after(answer, wait)
            if attempt < attempts:
                await self._clock.sleep(wait)
        log.warning("webhook_given_up", url=hook["url"], attempts=attempts)

    def _headers(self, hook: JsonObject, envelope: JsonObject, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"WAHA/{self._version}",
            "X-Webhook-Request-Id": make_ulid(envelope["timestamp"], self._rng),
            "X-Webhook-Timestamp": str(envelope["timestamp"]),
        }
        key = (hook.get("hmac") or {}).get("key")
        if key:
            headers["X-Webhook-Hmac"] = hmac.new(str(key).encode(), body, hashlib.sha512).hexdigest()
            headers["X-Webhook-Hmac-Algorithm"] = "sha512"
        custom = hook.get("customHeaders") or []
        return headers | {str(header["name"]): str(header["value"]) for header in custom}

    def _delay(self, retries: dict[str, Any], attempt: int) -> float:
        delay = float(retries["delaySeconds"])
        if retries["policy"] == "linear":
            return delay * attempt
        if retries["policy"] == "exponential":
            return delay * 2.0 ** (attempt - 1) * self._rng.uniform(1.0, 1.2)
        return delay

    def _retry_after(self, answer: httpx.Response, otherwise: float) -> float:
        """How long the endpoint asks to be left alone: so many seconds, or until an HTTP date."""
        value = answer.headers.get("Retry-After", "")
        if value.isdigit():
            return float(value)
        try:
            return (parsedate_to_datetime(value).timestamp() - self._clock.now()) * self._clock.speed
        except ValueError:
            return otherwise

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            transport = self._transport or AiohttpTransport(limits=httpx.Limits(max_connections=100))
            self._client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None), trust_env=False)
        return self._client
