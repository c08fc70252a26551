"""Routes of the suppression list, and of how often people may be written to."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request

from campaigns.audience.optouts.answers import step_out, suppression_out
from campaigns.audience.optouts.importing import SuppressionImport
from campaigns.audience.optouts.models import Source
from campaigns.audience.optouts.schemas import (
    AccountName,
    CapOut,
    ImportedOut,
    StepOut,
    SuppressionIn,
    SuppressionOut,
    Why,
    WhyItIsSo,
)
from campaigns.audience.optouts.service import COLUMNS, Filters, SuppressionService
from campaigns.sending.schemas import CapIn, PhoneText, PlainText
from gateway.auth.access import Access, Caller
from gateway.http.csv_stream import CsvResponse, csv_answer, stream_csv
from gateway.http.pages import Page, PageRequest, make_page
from gateway.http.receiving import FORM, receive_file
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter

PREFIX = "/api/suppressions"
IMPORT_PATH = f"{PREFIX}/import"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LIST_TYPES = ("text/csv", XLSX)
OTHER_CONTENT = {IMPORT_PATH: (FORM, *LIST_TYPES)}
"""What the door lets in beside JSON."""

Number = Annotated[PhoneText, Path(description="The number, written in any way")]
Search = Annotated[PlainText, Query(description="In number and reason, whatever the case")]
Sources = Annotated[list[Source] | None, Query(alias="source", description="Only what came this way")]
OfAccount = Annotated[AccountName | None, Query(description="Of this account's list; an operator's to say")]
ForAll = Annotated[bool, Query(description="What holds for all accounts; an operator's to say")]

EXPORTED = f"{','.join(COLUMNS)}\r\n447700900100,,keyword,STOP,447700900001,2026-11-21T09:00:00Z\r\n"
LISTED = "phone,reason\r\n+44 7700 900100,asked on the phone\r\n"
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def _body() -> dict[str, Any]:
    """What OpenAPI tells of an import's body: a form with the file, or the file alone."""
    form = {"type": "object", "properties": {"file": _BINARY}, "required": ["file"]}
    content: dict[str, Any] = {FORM: {"schema": form}, **{kind: {"schema": _BINARY} for kind in LIST_TYPES}}
    content["text/csv"]["example"] = LISTED
    return {"requestBody": {"required": True, "content": content}}


def build_router(
    service: SuppressionService, imports: SuppressionImport, access: Access, idempotency: Idempotency
) -> APIRouter:
    """The routes under `/api/suppressions`, and `/api/frequency-cap`."""
    router = LateRouter(prefix="/api", tags=["opt-out"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type
    Keyed = Annotated[Once, Depends(idempotency)]  # noqa: N806 - a type

    @router.post("/suppressions", status_code=201, summary="Stop writing to a number")
    async def add(body: SuppressionIn, caller: Who, once: Keyed) -> SuppressionOut:
        """Nothing is sent to the number any more, through no sender of the account; what is queued is skipped.

        409 `DUPLICATE_RESOURCE` if it is on the list.
        """
        return SuppressionOut.model_validate(await once.answer(caller, lambda key: service.add(caller, body, key)))

    @router.get("/suppressions", summary="List who is not written to")
    async def list_suppressions(
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        search: Search = "",
        source: Sources = None,
        account: OfAccount = None,
    ) -> Page[SuppressionOut]:
        """The account's list with what holds for all accounts, newest first; an operator sees everybody's."""
        rows, total = await service.page(caller, Filters(search, source or [], account), page.offset, page.limit)
        return make_page([suppression_out(row) for row in rows], total, page)

    @router.get(
        "/suppressions/export",
        summary="Who is not written to, as CSV",
        response_class=CsvResponse,
        responses=csv_answer("The list, oldest first", EXPORTED),
    )
    async def export(
        caller: Who, search: Search = "", source: Sources = None, account: OfAccount = None
    ) -> CsvResponse:
        """The same list in a file for spreadsheets: UTF-8, numbers as digits. It can be imported again."""
        rows = service.export(caller, Filters(search, source or [], account))
        return await stream_csv("suppressions.csv", COLUMNS, rows)

    @router.post("/suppressions/import", summary="Stop writing to a list of numbers", openapi_extra=_body())
    async def import_list(
        request: Request,
        caller: Who,
        once: Keyed,
        reason: Annotated[Why, Query(description="Of rows that have none in a column `reason`")] = "",
    ) -> ImportedOut:
        """A list as people have it, CSV or XLSX, in the field `file` of a form or alone as the body.

        Bad rows are told, and all others are stored. 422 if it is no list of numbers.
        """
        received = await receive_file(request, imports.folder, LIST_TYPES)
        answer = await once.answer(
            caller, lambda key: imports.store(caller, received, reason.strip(), key), digest=received.digest
        )
        received.file.close()
        return ImportedOut.model_validate(answer)

    @router.get("/suppressions/{phone_number}", summary="Whether a number is written to, and why not")
    async def get(phone_number: Number, caller: Who, account: OfAccount = None) -> SuppressionOut:
        """Why nothing is sent to a number. 404 where it may be written to."""
        return suppression_out(await service.get(caller, phone_number, account))

    @router.get("/suppressions/{phone_number}/history", summary="What became of somebody's wish")
    async def history(
        phone_number: Number, caller: Who, page: Annotated[PageRequest, Depends()], account: OfAccount = None
    ) -> Page[StepOut]:
        """When somebody opted out and in, why, and who asked for it; newest first."""
        rows, total = await service.history(caller, phone_number, account, page.offset, page.limit)
        return make_page([step_out(row) for row in rows], total, page)

    @router.delete("/suppressions/{phone_number}", status_code=204, summary="Write to a number again")
    async def remove(
        phone_number: Number,
        caller: Who,
        reason: Annotated[WhyItIsSo, Query(description="Why they may be written to again; it stays in the history")],
        all_accounts: ForAll = False,
        account: OfAccount = None,
        source: Annotated[
            Literal[Source.API, Source.CONSOLE], Query(description="Who says so, for the history")
        ] = Source.API,
    ) -> None:
        """Take a number off the list. What was skipped stays skipped."""
        await service.remove(caller, phone_number, reason, all_accounts=all_accounts, account=account, source=source)

    @router.get("/frequency-cap", summary="How often people may be written to")
    async def get_cap(caller: Who) -> CapOut:
        """At most so many messages of campaigns to one person in so many days; nulls: no limit."""
        row = await service.cap(caller)
        return CapOut(messages=None if row is None else row.messages, days=None if row is None else row.days)

    @router.put("/frequency-cap", summary="Limit how often people are written to")
    async def set_cap(body: CapIn, caller: Who) -> CapOut:
        """Holds for what is submitted from now on, unless a request has a `frequency_cap` of its own."""
        await service.set_cap(caller, body)
        return CapOut(messages=body.messages, days=body.days)

    @router.delete("/frequency-cap", status_code=204, summary="Take the limit away")
    async def drop_cap(caller: Who) -> None:
        """From now on there is no limit, but those of requests."""
        await service.set_cap(caller, None)

    return router
