"""Routes of recipients."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from campaigns.audience.answers import recipient_fields, recipient_out
from campaigns.audience.exporting import COLUMNS, RecipientExport
from campaigns.audience.findings import with_number
from campaigns.audience.schemas import GroupLabel, RecipientDetails, RecipientIn, RecipientOut
from campaigns.audience.service import RecipientService
from campaigns.sending.schemas import PlainText
from gateway.auth.access import Access, Caller
from gateway.http.csv_stream import CsvResponse, csv_answer, stream_csv
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from sessions.schemas import as_time

RecipientId = Annotated[UUID, Path(description="The recipient's `id`")]
Search = Annotated[PlainText, Query(description="In name and number, whatever the case; numbers written in any way")]
InGroup = Annotated[UUID | None, Query(description="Members of this group only")]

EXPORTED = """\
name,phone,groups,variables\r
Ada,447700900100,VIP Customers; New Customers,"{""company"":""Analytical Engines"",""visits"":3}"\r
"""


def build_router(
    service: RecipientService,
    export: RecipientExport,
    access: Access,
    idempotency: Idempotency,
) -> APIRouter:
    """The routes under `/api/recipients`; those of groups and imports come first: `groups` is no recipient's id."""
    router = LateRouter(prefix="/api/recipients", tags=["recipients"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type
    Body = Annotated[RecipientIn, with_number(service.misread)]  # noqa: N806

    @router.post("", status_code=201, summary="Create a recipient")
    async def create(body: Body, caller: Who, once: Annotated[Once, Depends(idempotency)]) -> RecipientOut:
        """Store somebody to write to. Fields beside the named ones are variables for templates.

        409 `DUPLICATE_RESOURCE` if there is a recipient with the number; 422 naming every wrong field.
        """
        return RecipientOut.model_validate(await once.answer(caller, lambda key: service.create(caller, body, key)))

    @router.get("", summary="List recipients")
    async def list_recipients(
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        search: Search = "",
        group_id: InGroup = None,
    ) -> Page[RecipientOut]:
        """The account's recipients, newest first; an operator sees all."""
        found, total = await service.page(
            caller,
            search=search,
            group_id=None if group_id is None else str(group_id),
            offset=page.offset,
            limit=page.limit,
        )
        return make_page([recipient_out(one.row, one.groups) for one in found], total, page)

    @router.get(
        "/export",
        summary="Recipients as CSV",
        response_class=CsvResponse,
        responses=csv_answer("The recipients, oldest first", EXPORTED),
    )
    async def export_recipients(caller: Who, search: Search = "", group_id: InGroup = None) -> CsvResponse:
        """The account's recipients in a file for spreadsheets: UTF-8, numbers as digits, variables as JSON.

        Groups are the names of the first 100, by name. A text that a spreadsheet would take for a formula begins
        with an apostrophe.
        """
        rows = export.rows(caller, search=search, group_id=None if group_id is None else str(group_id))
        return await stream_csv("recipients.csv", COLUMNS, rows)

    @router.get("/{recipient_id:uuid}", summary="One recipient")
    async def get(recipient_id: RecipientId, caller: Who) -> RecipientDetails:
        """Somebody with their groups, and what this account's campaigns have sent to the number."""
        found, written = await service.get(caller, str(recipient_id))
        return RecipientDetails(
            **recipient_fields(found.row),
            groups=[GroupLabel(id=row.id, name=row.name, description=row.description) for row in found.groups],
            message_count=written.count,
            last_message_date=as_time(written.last_at),
        )

    @router.put("/{recipient_id:uuid}", summary="Change a recipient")
    async def change(recipient_id: RecipientId, body: Body, caller: Who) -> RecipientOut:
        """Replace name, number and variables, and the groups where `group_ids` are named. Errors as when creating."""
        found = await service.change(caller, str(recipient_id), body)
        return recipient_out(found.row, found.groups)

    @router.delete("/{recipient_id:uuid}", status_code=204, summary="Delete a recipient")
    async def delete(recipient_id: RecipientId, caller: Who) -> None:
        """Remove the recipient, also from its groups. What was sent to the number stays in its campaigns."""
        await service.delete(caller, str(recipient_id))

    return router
