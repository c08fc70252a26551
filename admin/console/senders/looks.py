"""What the page of one sender shows, each part by the API's own words."""

import asyncio
from dataclasses import dataclass
from typing import Any

from admin.console.door import Visitor
from admin.console.own_api import OwnApi
from gateway.errors import NotFound

HISTORY_PER_PAGE = 10
CAMPAIGNS_SHOWN = 5
MOST_SERVERS = 1000
LIMITS = ("MESSAGE_DELAY", "daily_cap", "timezone")


@dataclass(frozen=True, slots=True)
class SenderLooks:
    """Looks at one sender for a visitor. Numbers are digits."""

    api: OwnApi

    async def sender(self, visitor: Visitor, number: str) -> Any:
        """It, with its session and what it has sent today; raises `NotFound` where it is not the visitor's."""
        found = await self.api.get(visitor, "/api/senders", {"sender_number": f"+{number}"})
        if not found["items"]:
            raise NotFound("there is no sender of this number")
        return found["items"][0]

    async def history(self, visitor: Visitor, number: str, page: int) -> dict[str, Any]:
        """A page of what happened to its session, as its part of the page takes it."""
        query = {"page": page, "per_page": HISTORY_PER_PAGE}
        found = await self.api.get(visitor, f"/api/sessions/+{number}/history", query)
        return {"history": found, "history_link": f"/console/senders/{number}/history?page="}

    async def limits(self, visitor: Visitor, number: str) -> Any:
        """Its own limits and those that hold; None for who may not set them."""
        return await self.api.get(visitor, f"/api/admin/senders/+{number}") if visitor.is_operator else None

    async def all(self, visitor: Visitor, number: str) -> dict[str, Any]:
        """Everything that the page shows."""
        one = await self.sender(visitor, number)
        history, limits, campaigns, servers = await asyncio.gather(
            self.history(visitor, number, 1),
            self.limits(visitor, number),
            self.api.get(visitor, "/api/campaigns", {"sender_number": f"+{number}", "per_page": CAMPAIGNS_SHOWN}),
            self._other_servers(visitor, one["server"]),
        )
        return {"one": one, "limits": limits, "campaigns": campaigns, "servers": servers, **history}

    async def _other_servers(self, visitor: Visitor, home: str) -> list[Any]:
        if not visitor.is_operator:
            return []
        found = await self.api.get(visitor, "/api/admin/servers", {"per_page": MOST_SERVERS})
        return [one for one in found["items"] if one["name"] != home]
