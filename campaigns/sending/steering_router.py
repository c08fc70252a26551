"""Routes that steer a campaign: pause, resume, cancel, and send again what was not sent."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from campaigns.sending.schemas import MessageOut, StatusOut
from campaigns.sending.status import StatusReader
from campaigns.sending.steering import Steering
from gateway.auth.access import Access, Caller, PhoneReader, Scope
from gateway.db import AnyRow
from gateway.http.problems import CLIENT_RESPONSES
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter

CampaignId = Annotated[UUID, Path(description="The `campaign_id` that /api/send answered")]
MessageId = Annotated[UUID, Path(description="The `id` of a message in the campaign's details")]
SenderNumber = Annotated[str | None, Query(description="Whose; a campaign of another sender is 404", max_length=40)]


def scope_of_id(phones: PhoneReader, caller: Caller, sender_number: str | None) -> Scope:
    """Whose campaigns a caller sees; in open mode a campaign's id is enough: it cannot be guessed."""
    number = phones.optional_digits(sender_number)
    return Scope() if number is None and caller.is_open else caller.scope(number)


def build_router(
    steering: Steering, status: StatusReader, access: Access, phones: PhoneReader, idempotency: Idempotency
) -> APIRouter:
    """The routes under `/api/campaigns/{campaign_id}` that change something."""
    router = LateRouter(prefix="/api/campaigns", tags=["campaigns"])
    Who = Annotated[Caller, Depends(access.caller)]  # noqa: N806 - a type
    JustOnce = Annotated[Once, Depends(idempotency)]  # noqa: N806 - a type

    async def campaign_after(act: Callable[[], Awaitable[AnyRow]], caller: Caller, once: Once) -> StatusOut:
        async def acted() -> StatusOut:
            return StatusOut.model_validate(await status.of(await act()))

        return await once.step(StatusOut, caller, acted)

    async def message_after(
        act: Callable[[], Awaitable[AnyRow]], message_id: UUID, caller: Caller, once: Once
    ) -> MessageOut:
        async def acted() -> MessageOut:
            return MessageOut.model_validate(await status.message(await act(), str(message_id)))

        return await once.step(MessageOut, caller, acted)

    @router.post("/{campaign_id}/pause", summary="Pause")
    async def pause(
        campaign_id: CampaignId, caller: Who, once: JustOnce, sender_number: SenderNumber = None
    ) -> StatusOut:
        """Send nothing more until it is resumed; what is in flight is finished."""
        scope = scope_of_id(phones, caller, sender_number)
        return await campaign_after(lambda: steering.pause(str(campaign_id), scope), caller, once)

    @router.post("/{campaign_id}/resume", summary="Resume")
    async def resume(
        campaign_id: CampaignId, caller: Who, once: JustOnce, sender_number: SenderNumber = None
    ) -> StatusOut:
        """Go on with a paused campaign."""
        scope = scope_of_id(phones, caller, sender_number)
        return await campaign_after(lambda: steering.resume(str(campaign_id), scope), caller, once)

    @router.post("/{campaign_id}/cancel", summary="Cancel")
    async def cancel(
        campaign_id: CampaignId, caller: Who, once: JustOnce, sender_number: SenderNumber = None
    ) -> StatusOut:
        """Send nothing more, ever. After the answer nothing starts; what was in flight is finished."""
        scope = scope_of_id(phones, caller, sender_number)
        return await campaign_after(lambda: steering.cancel(str(campaign_id), scope, by=caller.name), caller, once)

    @router.post("/{campaign_id}/retry", summary="Send again what has failed", responses=CLIENT_RESPONSES)
    async def retry(
        campaign_id: CampaignId, caller: Who, once: JustOnce, sender_number: SenderNumber = None
    ) -> StatusOut:
        """Queue the failed messages again, and nothing else; the campaign goes on, also one that was paused.

        409 if nothing has failed, or if the campaign was cancelled, has expired, or its file is not kept any longer.
        """
        scope = scope_of_id(phones, caller, sender_number)
        return await campaign_after(lambda: steering.retry(str(campaign_id), scope), caller, once)

    @router.post(
        "/{campaign_id}/messages/{message_id}/resend",
        summary="Send an unconfirmed message again",
        responses=CLIENT_RESPONSES,
    )
    async def resend(
        campaign_id: CampaignId,
        message_id: MessageId,
        caller: Who,
        once: JustOnce,
        sender_number: SenderNumber = None,
    ) -> MessageOut:
        """Nobody can tell whether it was sent; queue it again, under the same WhatsApp id. It may arrive twice.

        409 if the message is not `unconfirmed`, or its campaign was cancelled or has expired.
        """
        scope = scope_of_id(phones, caller, sender_number)
        return await message_after(
            lambda: steering.resend(str(campaign_id), str(message_id), scope), message_id, caller, once
        )

    @router.post("/{campaign_id}/messages/{message_id}/accept", summary="Take an unconfirmed message as sent")
    async def accept(
        campaign_id: CampaignId,
        message_id: MessageId,
        caller: Who,
        once: JustOnce,
        sender_number: SenderNumber = None,
    ) -> MessageOut:
        """Nobody can tell whether it was sent; say that it was. 409 if the message is not `unconfirmed`."""
        scope = scope_of_id(phones, caller, sender_number)
        return await message_after(
            lambda: steering.accept(str(campaign_id), str(message_id), scope), message_id, caller, once
        )

    @router.post("/{campaign_id}/unconfirmed/resend", summary="Send all unconfirmed again", responses=CLIENT_RESPONSES)
    async def resend_all(
        campaign_id: CampaignId, caller: Who, once: JustOnce, sender_number: SenderNumber = None
    ) -> StatusOut:
        """Queue all messages again of which nobody can tell whether they were sent. They may arrive twice.

        409 if there is none, or if the campaign was cancelled or has expired.
        """
        scope = scope_of_id(phones, caller, sender_number)
        return await campaign_after(lambda: steering.resend_all(str(campaign_id), scope), caller, once)

    @router.post("/{campaign_id}/unconfirmed/accept", summary="Take all unconfirmed as sent")
    async def accept_all(
        campaign_id: CampaignId, caller: Who, once: JustOnce, sender_number: SenderNumber = None
    ) -> StatusOut:
        """Say of all messages that they were sent of which nobody can tell. 409 if there is none."""
        scope = scope_of_id(phones, caller, sender_number)
        return await campaign_after(lambda: steering.accept_all(str(campaign_id), scope), caller, once)

    return router
