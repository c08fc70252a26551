"""The door of clients that bring their name and key in the body: a message for a contact, and what became of it.

Translation only: a contact is a recipient of the client's account, an entry of the queue a campaign of one message.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path

from campaigns.audience.schemas import RecipientIn
from campaigns.audience.service import RecipientService
from campaigns.doors.client_queue_schemas import QueueContact, QueueEntry, QueueIn, QueueStatus
from campaigns.doors.renaming import renamed
from campaigns.doors.singles import Order, Singles, text_of
from campaigns.sending.models import MessageState
from gateway.auth.access import Access, Caller
from gateway.auth.clients.scopes import ApiScope
from gateway.db import AnyRow
from gateway.errors import FieldError, InvalidNumber, ValidationFailed
from gateway.idempotency.header import KeyHeader
from gateway.late_routes import LateRouter
from gateway.phone import InvalidPhoneNumber, PhoneNumber
from sessions.schemas import as_time, in_utc

PATH = "/send-message"
_NAMES = {"template": "text", "start_at": "scheduled_time"}
_SENT = (MessageState.SENT, MessageState.DELIVERED, MessageState.READ)
_WAITS = (MessageState.QUEUED, MessageState.SENDING, MessageState.UNCONFIRMED)

EntryId = Annotated[UUID, Path(description="The entry's `id`")]


def build_router(singles: Singles, recipients: RecipientService, access: Access) -> APIRouter:
    """The routes under `/send-message/`."""
    router = LateRouter(tags=["clients"])

    async def send(body: QueueIn, idempotency_key: KeyHeader = None) -> QueueEntry:
        """Queue a message of a client's to one of its contacts, who is made if the client has none with that number.

        401 if the key is not the named client's; 402 or 429 if its balance or its day do not allow it; 409 if it has no
        number to send from.
        """
        caller = await access.of_named_key(body.client_name, body.api_key, ApiScope.SEND)
        phone = _phone(singles, body.phone)
        order = Order(phone, body.text, start_at=body.scheduled_time)
        try:
            queued = await singles.send(caller, order, idempotency_key)
        except ValidationFailed as error:
            raise renamed(error, _NAMES) from None
        # only now: what is refused leaves nothing behind
        contact = await recipients.make_or_find(caller, RecipientIn(name=body.name, phone_number=body.phone))
        return _entry(caller, queued.row, contact)

    async def get(entry_id: EntryId, caller: Annotated[Caller, Depends(access.account)]) -> QueueEntry:
        """What became of a message; with the client's key as Bearer token."""
        row = await singles.find(caller, str(entry_id))
        return _entry(caller, row, await recipients.with_number(row.account_id, row.phone))

    for slash in ("/", ""):
        shown = slash == "/"
        router.post(PATH + slash, status_code=201, summary="Queue a message", include_in_schema=shown)(send)
        router.get(f"{PATH}/{{entry_id}}{slash}", summary="One message", include_in_schema=not shown)(get)
    return router


def _phone(singles: Singles, text: str) -> PhoneNumber:
    try:
        return singles.phones.read(text)
    except InvalidPhoneNumber as error:
        message = str(error)
        raise InvalidNumber(f"phone: {message}", errors=[FieldError("phone", message, "invalid_format")]) from None


def _entry(caller: Caller, row: AnyRow, contact: AnyRow | None) -> QueueEntry:
    return QueueEntry(
        id=row.id,
        client=caller.client.name if caller.client else caller.name,
        contact=QueueContact(
            id=contact.id if contact else None, name=contact.name if contact else "", phone=f"+{row.phone}"
        ),
        text=text_of(row),
        status=_status(row.state),
        error_reason=row.error,
        scheduled_time=as_time(row.starts_at),
        created_at=in_utc(row.created_at),
        sent_at=as_time(row.sent_at),
    )


def _status(state: str) -> QueueStatus:
    if state in _SENT:
        return "sent"
    return "pending" if state in _WAITS else "failed"
