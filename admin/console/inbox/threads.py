"""What the inbox shows, asked of the API: the list of threads, and one thread from some message on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from admin.console.door import Visitor
from admin.console.own_api import OwnApi, Refused

PER_PAGE = 25
MOST_AT_ONCE = 1000
MOST_SENDERS = 200
CONVERSATIONS = "/api/conversations"
SUPPRESSIONS = "/api/suppressions"


@dataclass(frozen=True, slots=True)
class ListFilters:
    """Which threads are shown. `sender` is one of our numbers; empty: all of them."""

    search: str = ""
    sender: str = ""
    unread: bool = False
    page: int = 1

    @property
    def query(self) -> dict[str, str]:
        """As it stands in an address, without the page."""
        told = {"search": self.search, "sender": self.sender, "unread": "true" if self.unread else ""}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class Thread:
    """The newest messages of a thread, oldest first; before them there are `start` more."""

    messages: Sequence[Mapping[str, Any]]
    start: int


async def list_threads(api: OwnApi, visitor: Visitor, filters: ListFilters) -> Any:
    """A page of conversations."""
    query = {
        "search": filters.search,
        "sender_number": filters.sender,
        "unread": True if filters.unread else None,
        "page": filters.page,
        "per_page": PER_PAGE,
    }
    return await api.get(visitor, CONVERSATIONS, query)


async def count_unread(api: OwnApi, visitor: Visitor) -> int:
    """How many conversations have something unread."""
    told = await api.get(visitor, CONVERSATIONS, {"unread": True, "per_page": 1})
    return int(told["total"])


async def list_senders(api: OwnApi, visitor: Visitor) -> Any:
    """The visitor's numbers, to choose one."""
    return (await api.get(visitor, "/api/sessions", {"per_page": MOST_SENDERS}))["items"]


async def read_thread(api: OwnApi, visitor: Visitor, conversation_id: UUID, start: int | None = None) -> Thread:
    """The thread from its message number `start` (0 is the oldest) to the newest; None: the newest page of it."""
    path = f"{CONVERSATIONS}/{conversation_id}/messages"
    told = await api.get(visitor, path, {"limit": PER_PAGE})
    if start is None:
        start = max(0, told["total"] - PER_PAGE)
    wanted = min(max(1, told["total"] - start), MOST_AT_ONCE)
    if wanted > PER_PAGE:
        told = await api.get(visitor, path, {"limit": wanted})
    return Thread(told["items"][:wanted][::-1], start)


async def read_older(api: OwnApi, visitor: Visitor, conversation_id: UUID, start: int) -> Thread:
    """The page of messages before message number `start`."""
    path = f"{CONVERSATIONS}/{conversation_id}/messages"
    total = (await api.get(visitor, path, {"limit": 1}))["total"]
    count = min(PER_PAGE, start, total)
    if count == 0:
        return Thread([], 0)
    told = await api.get(visitor, path, {"skip": max(0, total - start), "limit": count})
    return Thread(told["items"][::-1], start - count)


def account_query(visitor: Visitor, conversation: Mapping[str, Any]) -> dict[str, str]:
    """Whose list of opt-outs is meant: an operator says it, a user has one."""
    return {"account": conversation["account"]} if visitor.is_operator else {}


async def find_wish(api: OwnApi, visitor: Visitor, conversation: Mapping[str, Any]) -> Any:
    """Why the contact of a conversation is not written to; None where they are, or have no number yet."""
    if conversation["phone_number"] is None:
        return None
    try:
        path = f"{SUPPRESSIONS}/{conversation['phone_number']}"
        return await api.get(visitor, path, account_query(visitor, conversation))
    except Refused as refused:
        if refused.status != 404:
            raise
        return None
