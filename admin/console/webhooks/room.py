"""What the pages of webhooks are made of."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from admin.console.door import Visitor
from admin.console.lists import PER_PAGE, PageNumber
from admin.console.live_parts import answer_part, draw_part
from admin.console.pages import Desk
from gateway.notifications.webhooks.kinds import EventKind
from gateway.notifications.webhooks.models import DeliveryState

API = "/api/webhooks"
EVENTS = tuple((str(kind), "Everything" if kind == EventKind.ANY else str(kind)) for kind in EventKind)
STATES = tuple(str(state) for state in DeliveryState)
FIELDS = ("url", "events", "description", "secret")


class WebhookForm(BaseModel):
    """What the forms to make and to change a webhook ask for."""

    url: str = ""
    events: list[str] = []
    description: str = ""
    secret: str = ""
    all_accounts: bool = False
    key: str = ""

    def details(self) -> dict[str, Any]:
        """What may be changed of it."""
        return {"url": self.url.strip(), "events": self.events, "description": self.description.strip()}

    def new(self) -> dict[str, Any]:
        """A new webhook, as the API takes it."""
        secret = {"secret": self.secret} if self.secret else {}
        return self.details() | secret | ({"all_accounts": True} if self.all_accounts else {})


@dataclass(frozen=True, slots=True)
class DeliveryFilters:
    """Which deliveries are shown."""

    state: str = ""
    event: str = ""
    page: int = 1

    @property
    def query(self) -> dict[str, str]:
        """As it stands in an address, without the page."""
        return {name: value for name, value in (("state", self.state), ("event", self.event)) if value}


def delivery_filters(
    state: Annotated[str, Query(max_length=16)] = "",
    event: Annotated[str, Query(max_length=40)] = "",
    page: PageNumber = 1,
) -> DeliveryFilters:
    """The filters in a page's address."""
    return DeliveryFilters(state, event, page)


class Room:
    """Asks the API for what the pages show."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def new_form(self) -> dict[str, Any]:
        """The form to make a webhook, empty."""
        return {"form": {"events": ["*"], "all_accounts": False}, "errors": {}, "events": EVENTS, "key": uuid4().hex}

    async def page_values(self, visitor: Visitor, webhook_id: UUID, filters: DeliveryFilters) -> dict[str, Any]:
        """All that the page of one webhook shows."""
        webhook = await self._desk.api.get(visitor, f"{API}/{webhook_id}")
        shown = await self._shown(visitor, webhook_id, filters)
        return {
            "webhook": webhook,
            "form": webhook,
            "errors": {},
            "events": EVENTS,
            "states": STATES,
            "deliveries": draw_part(self._desk.pages, "webhooks/deliveries.html", **shown),
            "filters": filters,
            "key": uuid4().hex,
            "secret": None,
        }

    async def deliveries(self, visitor: Visitor, webhook_id: UUID, filters: DeliveryFilters, seen: str) -> Response:
        """The part with the deliveries, if they are not as they were `seen`."""
        shown = await self._shown(visitor, webhook_id, filters)
        return answer_part(self._desk.pages, "webhooks/deliveries.html", seen, **shown)

    async def actions(
        self, visitor: Visitor, webhook_id: UUID, note: str, secret: dict[str, Any] | None = None
    ) -> Response:
        """The part with the state and the buttons, after one of them did something."""
        webhook = await self._desk.api.get(visitor, f"{API}/{webhook_id}")
        values = {"webhook": webhook, "key": uuid4().hex, "secret": secret}
        answer = self._desk.pages.part("webhooks/actions.html", note=note, **values)
        answer.headers["HX-Trigger-After-Swap"] = "deliveries-changed"
        return answer

    async def _shown(self, visitor: Visitor, webhook_id: UUID, filters: DeliveryFilters) -> dict[str, Any]:
        query = filters.query | {"page": filters.page, "per_page": PER_PAGE}
        found = await self._desk.api.get(visitor, f"{API}/{webhook_id}/deliveries", query)
        return {"found": found, "filters": filters, "webhook_id": webhook_id}


def outcome(delivery: dict[str, Any]) -> str:
    """What came of a test, in one sentence."""
    answer = f" with {delivery['status']}" if delivery["status"] is not None else ""
    if delivery["state"] == DeliveryState.DELIVERED:
        return f"The test was answered{answer} after {delivery['duration_seconds']:.2f} s."
    return f"The test was not delivered: {delivery['error'] or f'answered{answer}'}."
