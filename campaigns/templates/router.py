"""Routes of templates, which seed 002 calls messages."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from campaigns.sending.schemas import PlainText
from campaigns.templates.answers import template_out
from campaigns.templates.schemas import SortField, SortOrder, TemplateDetails, TemplateIn, TemplateOut
from campaigns.templates.service import TemplateService
from gateway.auth.access import Access, Caller
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter

MessageId = Annotated[UUID, Path(description="The template's `id`")]


def build_router(service: TemplateService, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/messages`."""
    router = LateRouter(prefix="/api/messages", tags=["templates"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type

    @router.post("", status_code=201, summary="Save a template")
    async def create(body: TemplateIn, caller: Who, once: Annotated[Once, Depends(idempotency)]) -> TemplateOut:
        """Save a text with `{{variables}}`. 422 if it cannot be read as a template, with the place."""
        answer = await once.answer(caller, lambda key: service.create(caller, body.title, body.content, key))
        return TemplateOut.model_validate(answer)

    @router.get("", summary="List templates")
    async def list_templates(
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        search: Annotated[PlainText, Query(description="In title and content, whatever the case")] = "",
        sort_by: Annotated[SortField, Query(description="Field to sort by")] = SortField.CREATED_AT,
        sort_order: Annotated[SortOrder, Query(description="asc or desc")] = SortOrder.DESC,
    ) -> Page[TemplateOut]:
        """The account's templates, newest first unless told otherwise; an operator sees all."""
        rows, total = await service.page(
            caller,
            search=search,
            sort_by=sort_by,
            descending=sort_order is SortOrder.DESC,
            offset=page.offset,
            limit=page.limit,
        )
        return make_page([template_out(row) for row in rows], total, page)

    @router.get("/{message_id}", summary="One template")
    async def get(message_id: MessageId, caller: Who) -> TemplateDetails:
        """The text, and how many schedules will send it and have sent it."""
        row, uses = await service.get(caller, str(message_id))
        return TemplateDetails(
            **template_out(row).model_dump(),
            scheduled_count=uses.scheduled,
            sent_count=uses.sent,
        )

    @router.put("/{message_id}", summary="Change a template")
    async def change(message_id: MessageId, body: TemplateIn, caller: Who) -> TemplateOut:
        """Replace title and content. What was sent stays as it was sent."""
        return template_out(await service.change(caller, str(message_id), body.title, body.content))

    @router.delete("/{message_id}", status_code=204, summary="Delete a template")
    async def delete(message_id: MessageId, caller: Who) -> None:
        """Remove the template. 409 `RESOURCE_IN_USE` naming what uses it."""
        await service.delete(caller, str(message_id))

    return router
