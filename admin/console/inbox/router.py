"""The inbox: who has written to our numbers, and answering them."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.forms import errors_of
from admin.console.inbox.threads import (
    CONVERSATIONS,
    SUPPRESSIONS,
    ListFilters,
    account_query,
    count_unread,
    find_wish,
    list_senders,
    list_threads,
    read_older,
    read_thread,
)
from admin.console.lists import PageNumber
from admin.console.live_parts import answer_part, draw_part
from admin.console.own_api import Refused
from admin.console.pages import NO_STORE, Desk, console_route

PATH = "/console/inbox"
UNDONE = "undone in the inbox"
SentText = Annotated[str, Form(max_length=100_000)]
Start = Annotated[int, Query(ge=0, le=1_000_000_000)]


def list_filters(
    search: Annotated[str, Query(max_length=200)] = "",
    sender: Annotated[str, Query(max_length=40)] = "",
    unread: bool = False,
    page: PageNumber = 1,
) -> ListFilters:
    """The filters in a page's address."""
    return ListFilters(search.strip(), sender, unread, page)


Filters = Annotated[ListFilters, Depends(list_filters)]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes of the inbox."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    room = Room(desk)
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type
    Watcher = Annotated[Visitor, Depends(door.watcher)]  # noqa: N806 - a type

    @router.get("")
    async def inbox(request: Request, visitor: Who, filters: Filters) -> Response:
        return desk.pages.page(request, visitor, "inbox/page.html", **await room.list_values(visitor, filters))

    @router.get("/list")
    async def threads(visitor: Watcher, filters: Filters, here: str = "", seen: str = "") -> Response:
        found = await list_threads(desk.api, visitor, filters)
        return answer_part(desk.pages, "inbox/list.html", seen, found=found, filters=filters, here=here)

    @router.get("/unread")
    async def unread(visitor: Watcher) -> Response:
        return desk.pages.part("inbox/unread.html", count=await count_unread(desk.api, visitor))

    @router.get("/{conversation_id}")
    async def one(request: Request, visitor: Who, conversation_id: UUID, filters: Filters) -> Response:
        shown = await room.list_values(visitor, filters, str(conversation_id))
        shown |= await room.thread_values(visitor, conversation_id)
        return desk.pages.page(request, visitor, "inbox/page.html", **shown)

    @router.get("/{conversation_id}/latest")
    async def latest(visitor: Watcher, conversation_id: UUID, start: Start, seen: str = "") -> Response:
        conversation = await desk.api.get(visitor, f"{CONVERSATIONS}/{conversation_id}")
        thread = await read_thread(desk.api, visitor, conversation_id, start)
        return answer_part(desk.pages, "inbox/latest.html", seen, conversation=conversation, thread=thread)

    @router.get("/{conversation_id}/older")
    async def older(visitor: Who, conversation_id: UUID, start: Start) -> Response:
        thread = await read_older(desk.api, visitor, conversation_id, start)
        return desk.pages.part("inbox/older.html", conversation_id=conversation_id, thread=thread)

    @router.post("/{conversation_id}/read")
    async def read(visitor: Who, conversation_id: UUID) -> Response:
        await desk.api.call(visitor, "POST", f"{CONVERSATIONS}/{conversation_id}/read")
        return Response(status_code=204, headers=NO_STORE | {"HX-Trigger": "inbox-read"})

    @router.post("/{conversation_id}/reply")
    async def reply(
        visitor: Who, conversation_id: UUID, key: Annotated[str, Form(max_length=64)], text: SentText = ""
    ) -> Response:
        path, headers = f"{CONVERSATIONS}/{conversation_id}/reply", {"Idempotency-Key": key}
        body = {"text": text.replace("\r\n", "\n")}
        try:
            await desk.api.call(visitor, "POST", path, body, headers=headers)
        except Refused as refused:
            return room.answer_form(conversation_id, text, refused)
        return room.answer_form(conversation_id)

    @router.post("/{conversation_id}/opt-out")
    async def opt_out(visitor: Who, conversation_id: UUID) -> Response:
        conversation = await desk.api.get(visitor, f"{CONVERSATIONS}/{conversation_id}")
        wish = {"phone_number": conversation["phone_number"], "source": "console"}
        await desk.api.call(visitor, "POST", SUPPRESSIONS, wish | account_query(visitor, conversation))
        return await room.wish(visitor, conversation, "They are not written to any more.")

    @router.delete("/{conversation_id}/opt-out")
    async def undo(visitor: Who, conversation_id: UUID) -> Response:
        conversation = await desk.api.get(visitor, f"{CONVERSATIONS}/{conversation_id}")
        wish = await find_wish(desk.api, visitor, conversation)
        whose = account_query(visitor, conversation)
        if wish is not None and wish["all_accounts"]:
            whose = {"all_accounts": "true"}
        query = {"reason": UNDONE, "source": "console"} | whose
        await desk.api.call(visitor, "DELETE", f"{SUPPRESSIONS}/{conversation['phone_number']}", query=query)
        return await room.wish(visitor, conversation, "They may be written to again.")

    return router


class Room:
    """What the inbox's pages are made of."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list_values(self, visitor: Visitor, filters: ListFilters, here: str = "") -> dict[str, Any]:
        """The list beside the thread `here`, and what it can be filtered by."""
        found = await list_threads(self._desk.api, visitor, filters)
        return {
            "threads": draw_part(self._desk.pages, "inbox/list.html", found=found, filters=filters, here=here),
            "senders": await list_senders(self._desk.api, visitor),
            "filters": filters,
            "here": here,
            "conversation": None,
        }

    async def thread_values(self, visitor: Visitor, conversation_id: UUID) -> dict[str, Any]:
        """One thread with all that is around it."""
        api, pages = self._desk.api, self._desk.pages
        conversation = await api.get(visitor, f"{CONVERSATIONS}/{conversation_id}")
        thread = await read_thread(api, visitor, conversation_id)
        return {
            "conversation": conversation,
            "conversation_id": conversation_id,
            "start": thread.start,
            "latest": draw_part(pages, "inbox/latest.html", conversation=conversation, thread=thread),
            "wish": await find_wish(api, visitor, conversation),
            "key": uuid4().hex,
            "text": "",
            "error": "",
        }

    def answer_form(self, conversation_id: UUID, text: str = "", refused: Refused | None = None) -> Response:
        """The form to answer with: a new one, or as it was, with why it was refused."""
        values: dict[str, Any] = {"conversation_id": conversation_id, "key": uuid4().hex, "text": text, "error": ""}
        if refused is None:
            answer = self._desk.pages.part("inbox/answer.html", **values)
            answer.headers["HX-Trigger"] = "thread-changed"
            return answer
        values["error"] = next(iter(errors_of(refused, ("text",)).values()))
        return self._desk.pages.part("inbox/answer.html", 422, **values)

    async def wish(self, visitor: Visitor, conversation: Any, note: str) -> Response:
        """Whether the contact is written to, after that has changed."""
        wish = await find_wish(self._desk.api, visitor, conversation)
        values = {"visitor": visitor, "conversation": conversation, "wish": wish}
        return self._desk.pages.part("inbox/wish.html", note=note, **values)
