"""Single messages and bulks of them, in this API's words."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from campaigns.doors.messaging.ids import make_message_id, parse_message_id
from campaigns.doors.messaging.rates import Rate
from campaigns.doors.messaging.schemas import BulkIn, BulkOut, BulkResult, MessageStatusOut, SingleMessage, SingleSent
from campaigns.doors.messaging.words import MessageStatus, word_for
from campaigns.doors.renaming import renamed
from campaigns.doors.singles import Order, Queued, Singles
from campaigns.sending import queries
from campaigns.sending.models import MessageState, Priority
from campaigns.sending.schemas import Waiting
from campaigns.sending.status import StatusReader
from gateway.auth.access import Caller
from gateway.db import AnyRow, Database
from gateway.errors import FieldError, GatewayError, NotFound, ValidationFailed
from gateway.http.validation import field_error, fields_failed
from sessions.schemas import as_time, in_utc

_NAMES: Mapping[str, str] = {"template": "message", "media_url": "attachment_url"}
_UNSETTLED = (MessageState.QUEUED, MessageState.SENDING)
_PRIORITIES = list(Priority)


class Messages:
    """Sends single messages, and tells what has become of them. `most` is how many a bulk may hold."""

    def __init__(self, db: Database, singles: Singles, status: StatusReader, *, most: int) -> None:
        self._db = db
        self._singles = singles
        self._status = status
        self._most = most

    async def send(self, caller: Caller, body: SingleMessage, rate: Rate, key: str | None) -> SingleSent:
        """Queue a message; with an idempotency key the same message is queued once, and counted once.

        Raises:
            RateLimited: the caller has asked for too many in this minute.
            SessionNotConnected: the account has no number to send from.
            NotFound: the number named is not the caller's.
            ValidationFailed: a field is wrong, or the key was used for another message.
            InsufficientBalance, DailyLimitReached: the client may not send it now.
        """
        order = Order(
            phone=self._singles.phones.number(body.phone_number, "phone_number"),
            text=body.message,
            priority=body.priority,
            media_url=body.attachment_url,
            label=body.campaign_id or "",
            sender_number=body.sender_number,
        )
        try:
            queued = await self._singles.send(caller, order, key, admit=rate.hit)
        except ValidationFailed as error:
            raise renamed(error, _NAMES) from None
        return _sent(queued)

    async def send_many(self, caller: Caller, body: BulkIn, rate: Rate, key: str | None) -> BulkOut:
        """Queue messages one after another, so that they stand in the queue in their order.

        With an idempotency key each of them has one of its own: what was queued already is not queued again, and what
        was refused is tried anew.

        Raises:
            ValidationFailed: there are more than a bulk may hold.
        """
        if len(body.messages) > self._most:
            message = f"at most {self._most} messages, here are {len(body.messages)}"
            raise ValidationFailed(f"messages: {message}", errors=[FieldError("messages", message, "too_long")])
        results = []
        for place, given in enumerate(body.messages):
            try:
                one = _read(given)
                one.campaign_id = one.campaign_id or body.campaign_id
                sent = await self.send(caller, one, rate, _key_of(key, place))
                told = BulkResult(**sent.model_dump(exclude_unset=True), phone_number=one.phone_number)
            except GatewayError as error:
                if error.status_code == 500:
                    raise
                told = _refused(error, given)
            results.append(told)
        good = sum(one.success for one in results)
        bad = len(results) - good
        return BulkOut(success=not bad, total=len(results), successful=good, failed=bad, results=results)

    async def status(self, caller: Caller, message_id: str) -> MessageStatusOut:
        """What has become of a message, and why it waits.

        Raises:
            NotFound: there is no such message, or it is another's.
        """
        name = parse_message_id(message_id)
        if name is None:
            raise NotFound
        row = await self._singles.find(caller, name.id)
        if row.phone != name.digits:
            raise NotFound
        word = word_for(row.state)
        return MessageStatusOut(
            message_id=message_id,
            status=word,
            phone_number=f"+{row.phone}",
            sender_number=f"+{row.sender_number}" if row.sender_number else None,
            priority=_PRIORITIES[row.priority],
            campaign_id=row.label or None,
            queued_at=in_utc(row.created_at),
            sent_at=as_time(row.sent_at),
            delivered_at=as_time(row.delivered_at),
            read_at=as_time(row.read_at),
            failed_at=as_time(row.finished_at) if word is MessageStatus.FAILED else None,
            waiting=await self._waiting(row),
            personalization=row.personalization,
            **_problem(row),
        )

    async def _waiting(self, row: AnyRow) -> Waiting | None:
        if row.state not in _UNSETTLED:
            return None
        async with self._db.read() as connection:
            campaign = await queries.find_campaign(connection, row.campaign_id, None)
        assert campaign is not None, "the message was found through it"
        waiting = (await self._status.message(campaign, row.id))["waiting"]
        return None if waiting is None else Waiting.model_validate(waiting)


def _sent(queued: Queued) -> SingleSent:
    row, word = queued.row, word_for(queued.row.state)
    failed = word is MessageStatus.FAILED
    return SingleSent(
        success=not failed,
        message_id=make_message_id(row.phone, row.id),
        status=word,
        priority=_PRIORITIES[row.priority],
        estimated_delivery=None if failed else in_utc(queued.finish_at),
        **(_problem(row) if failed else {}),
    )


def _problem(row: AnyRow) -> dict[str, str | None]:
    """Why a message failed, or what nobody knows of it; of any other one nothing."""
    if row.state == MessageState.UNCONFIRMED:
        unknown = "nobody can tell whether WhatsApp has it; a person decides"
        return {"error": row.error or unknown, "error_code": row.error_code or "unconfirmed"}
    if word_for(row.state) is not MessageStatus.FAILED:
        return {"error": None, "error_code": None}
    return {"error": row.error or f"it was {row.state}", "error_code": row.error_code or str(row.state)}


def _read(given: Any) -> SingleMessage:
    """One message of a bulk; raises `ValidationFailed` that names what is wrong with it."""
    try:
        return SingleMessage.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise fields_failed([field_error({**one, "loc": ("body", *one["loc"])}, given) for one in found]) from None


def _key_of(key: str | None, place: int) -> str | None:
    """The key of one message of a bulk: of the same length, however long the bulk's own is."""
    return f"{hashlib.sha256(key.encode()).hexdigest()}:{place}" if key else None


def _refused(error: GatewayError, given: Any) -> BulkResult:
    phone = given.get("phone_number") if isinstance(given, dict) else getattr(given, "phone_number", None)
    told = BulkResult(
        success=False,
        error=error.detail,
        error_code=error.error_code,
        phone_number=phone if isinstance(phone, str) else None,
    )
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        told.retry_after = math.ceil(retry_after)
    return told
