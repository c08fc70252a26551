"""Routes of webhooks."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from gateway.auth.access import Access, Caller
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from gateway.notifications.webhooks.answers import delivery_out, webhook_out
from gateway.notifications.webhooks.kinds import EventKind
from gateway.notifications.webhooks.models import DeliveryState
from gateway.notifications.webhooks.schemas import (
    DeliveryOut,
    NewSecret,
    WebhookIn,
    WebhookOut,
    WebhookPatch,
    WebhookReplace,
    WebhookWithSecret,
)
from gateway.notifications.webhooks.service import WebhookService

WebhookId = Annotated[UUID, Path(description="The webhook's `id`")]
DeliveryId = Annotated[UUID, Path(description="The delivery's `id`")]


def build_router(service: WebhookService, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/webhooks`."""
    router = LateRouter(prefix="/api/webhooks", tags=["webhooks"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type
    JustOnce = Annotated[Once, Depends(idempotency)]  # noqa: N806 - a type

    @router.post("", status_code=201, summary="Make a webhook")
    async def create(body: WebhookIn, caller: Who, once: JustOnce) -> WebhookWithSecret:
        """Have events sent to an address from now on, signed with the secret, which is shown this once."""
        answer = await once.answer(caller, lambda key: service.create(caller, body, key))
        return WebhookWithSecret.model_validate(service.unseal(answer))

    @router.get("", summary="List webhooks")
    async def list_webhooks(caller: Who, page: Annotated[PageRequest, Depends()]) -> Page[WebhookOut]:
        """The account's webhooks, oldest first; an operator sees all."""
        rows, total = await service.page(caller, page.offset, page.limit)
        return make_page([webhook_out(row) for row in rows], total, page)

    @router.get("/{webhook_id}", summary="One webhook")
    async def get(webhook_id: WebhookId, caller: Who) -> WebhookOut:
        """What it is told, and how it does."""
        return webhook_out(await service.get(caller, str(webhook_id)))

    @router.put("/{webhook_id}", summary="Replace a webhook's details")
    async def replace(webhook_id: WebhookId, body: WebhookReplace, caller: Who) -> WebhookOut:
        """Set address, events and description; it is enabled unless told otherwise. The secret stays."""
        return webhook_out(await service.change(caller, str(webhook_id), body))

    @router.patch("/{webhook_id}", summary="Change a webhook")
    async def change(webhook_id: WebhookId, body: WebhookPatch, caller: Who) -> WebhookOut:
        """Change what is given. One that is enabled again is sent at once what was not delivered."""
        return webhook_out(await service.change(caller, str(webhook_id), body))

    @router.delete("/{webhook_id}", status_code=204, summary="Delete a webhook")
    async def delete(webhook_id: WebhookId, caller: Who) -> None:
        """Remove it, with what was not delivered yet."""
        await service.delete(caller, str(webhook_id))

    @router.post("/{webhook_id}/rotate-secret", summary="Sign with another secret")
    async def rotate_secret(
        webhook_id: WebhookId, caller: Who, once: JustOnce, body: NewSecret | None = None
    ) -> WebhookWithSecret:
        """A new secret counts at once; for a day `webhook-signature` has a signature by the old one beside it."""
        secret = body.secret if body is not None else None
        answer = await once.answer(caller, lambda key: service.rotate_secret(caller, str(webhook_id), secret, key))
        return WebhookWithSecret.model_validate(service.unseal(answer))

    @router.post("/{webhook_id}/test", summary="Send a test")
    async def test(webhook_id: WebhookId, caller: Who, once: JustOnce) -> DeliveryOut:
        """Send a `webhook.test` now and once, and tell what came of it."""
        answer = await once.answer(caller, lambda key: service.test(caller, str(webhook_id), key))
        return DeliveryOut.model_validate(answer)

    @router.get("/{webhook_id}/deliveries", summary="What a webhook was told")
    async def deliveries(
        webhook_id: WebhookId,
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        state: Annotated[DeliveryState | None, Query(description="Only those in this state")] = None,
        event: Annotated[EventKind | None, Query(description="Only events of this kind")] = None,
    ) -> Page[DeliveryOut]:
        """Every event of this webhook with what became of it, newest first."""
        rows, total = await service.deliveries(
            caller, str(webhook_id), state=state, kind=event, offset=page.offset, limit=page.limit
        )
        return make_page([delivery_out(row) for row in rows], total, page)

    @router.post("/{webhook_id}/deliveries/{delivery_id}/replay", summary="Send an event again")
    async def replay(webhook_id: WebhookId, delivery_id: DeliveryId, caller: Who, once: JustOnce) -> DeliveryOut:
        """Send it now, and again if it fails, as if it were new. 409 `WRONG_STATE` while the webhook is not enabled."""
        answer = await once.answer(caller, lambda key: service.replay(caller, str(webhook_id), str(delivery_id), key))
        return DeliveryOut.model_validate(answer)

    return router
