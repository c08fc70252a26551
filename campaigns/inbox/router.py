"""Routes of the inbox."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from campaigns.inbox.schemas import ConversationOut, ReplyIn, ReplyOut, ThreadMessage
from campaigns.inbox.service import InboxService
from campaigns.sending.schemas import PlainText
from campaigns.sending.steering_router import scope_of_id
from gateway.auth.access import Access, Caller
from gateway.db import AnyRow
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, KeyHeader, Once
from gateway.late_routes import LateRouter
from sessions.schemas import as_time, in_utc

ConversationId = Annotated[UUID, Path(description="The conversation's `id`")]
SenderNumber = Annotated[str | None, Query(description="Whose; a conversation of another sender is 404", max_length=40)]


def build_router(service: InboxService, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/conversations`."""
    router = LateRouter(prefix="/api/conversations", tags=["inbox"])
    Who = Annotated[Caller, Depends(access.caller)]  # noqa: N806 - a type

    @router.get("", summary="List conversations")
    async def list_conversations(
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        sender_number: SenderNumber = None,
        unread: Annotated[bool | None, Query(description="Only those with unread messages, or only without")] = None,
        search: Annotated[
            PlainText, Query(description="In the name, the number and what they wrote, whatever the case")
        ] = "",
    ) -> Page[ConversationOut]:
        """The caller's conversations, the one that was written in last first; an operator sees all."""
        scope = caller.scope(service.phones.optional_digits(sender_number))
        rows, total = await service.page(scope, unread=unread, search=search, offset=page.offset, limit=page.limit)
        return make_page([conversation_out(row) for row in rows], total, page)

    @router.get("/{conversation_id}", summary="One conversation")
    async def get(conversation_id: ConversationId, caller: Who, sender_number: SenderNumber = None) -> ConversationOut:
        """Who writes to which number, and how much of it is unread."""
        scope = scope_of_id(service.phones, caller, sender_number)
        return conversation_out(await service.get(str(conversation_id), scope))

    @router.get("/{conversation_id}/messages", summary="Read a conversation")
    async def messages(
        conversation_id: ConversationId,
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        sender_number: SenderNumber = None,
    ) -> Page[ThreadMessage]:
        """What they wrote and what they were sent from this number, newest first.

        Of what we send it shows what has left, and answers that were given here whatever has become of them.
        """
        scope = scope_of_id(service.phones, caller, sender_number)
        rows, total = await service.messages(str(conversation_id), scope, page.offset, page.limit)
        return make_page([ThreadMessage.model_validate(message_values(row)) for row in rows], total, page)

    @router.post("/{conversation_id}/reply", status_code=201, summary="Answer")
    async def reply(
        conversation_id: ConversationId,
        body: ReplyIn,
        caller: Who,
        sender_number: SenderNumber = None,
        idempotency_key: KeyHeader = None,
    ) -> ReplyOut:
        """Send a text from the number that they wrote to, before all else that waits there.

        It waits while the number is not connected. 409 `WRONG_STATE` while WhatsApp tells no number of theirs.
        """
        scope = scope_of_id(service.phones, caller, sender_number)
        row = await service.reply(caller, str(conversation_id), scope, body.text, idempotency_key)
        return ReplyOut.model_validate(message_values(row))

    @router.post("/{conversation_id}/read", summary="Mark as read")
    async def read(
        conversation_id: ConversationId,
        caller: Who,
        once: Annotated[Once, Depends(idempotency)],
        sender_number: SenderNumber = None,
    ) -> ConversationOut:
        """Count what came in until now as read. It says nothing to WhatsApp."""
        scope = scope_of_id(service.phones, caller, sender_number)

        async def marked() -> ConversationOut:
            return conversation_out(await service.mark_read(str(conversation_id), scope))

        return await once.step(ConversationOut, caller, marked)

    return router


def conversation_out(row: AnyRow) -> ConversationOut:
    """A conversation's row as the API tells it."""
    return ConversationOut(
        id=row.id,
        account=row.account_id,
        sender_number=f"+{row.number}",
        phone_number=f"+{row.phone}" if row.phone else None,
        name=row.name,
        unread=row.unread,
        last_message_at=in_utc(row.last_message_at),
        last_text=row.last_text,
    )


def message_values(row: AnyRow) -> dict[str, Any]:
    """A message of either direction as the API tells it."""
    if row.came_in:
        return {
            "id": row.id,
            "direction": "in",
            "kind": row.kind,
            "text": row.text,
            "status": "received",
            "timestamp": in_utc(row.at),
            "message_id": row.wa_id,
            "campaign_id": row.campaign_id,
            "answers_id": row.answers_id if row.campaign_id else None,
            **dict.fromkeys(("receipt", "delivered_at", "read_at", "error", "error_code")),
        }
    return {
        "id": row.id,
        "direction": "out",
        "kind": "media" if row.media_id else "text",
        "text": row.full_text,
        "status": row.state,
        "timestamp": in_utc(row.sent_at if row.sent_at is not None else row.created_at),
        "message_id": row.wa_id,
        "campaign_id": row.campaign_id,
        "answers_id": None,
        "receipt": row.ack,
        "delivered_at": as_time(row.delivered_at),
        "read_at": as_time(row.read_at),
        "error": row.error,
        "error_code": row.error_code,
    }
