"""Routes of imports."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import ValidationError

from campaigns.audience.importing.models import ImportProblem, ImportState, RowFate
from campaigns.audience.importing.running import ImportRuns
from campaigns.audience.importing.schemas import ImportOptions, ImportOut, ImportRowOut
from campaigns.audience.importing.service import CSV_COLUMNS, ImportService
from gateway.auth.access import Access, Caller
from gateway.db import AnyRow
from gateway.errors import Conflict, FieldError, GatewayError, ServiceUnavailable, ValidationFailed
from gateway.http.csv_stream import CsvResponse, csv_answer, stream_csv
from gateway.http.pages import Page, PageRequest, make_page
from gateway.http.receiving import FORM, Received, receive_file
from gateway.http.validation import field_error, fields_failed
from gateway.idempotency.header import KeyHeader
from gateway.late_routes import LateRouter
from sessions.schemas import as_time, in_utc

IMPORT_PATH = "/api/recipients/import"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LIST_TYPES = ("text/csv", XLSX)
OTHER_CONTENT: dict[str, tuple[str, ...]] = {IMPORT_PATH: (FORM, *LIST_TYPES)}
"""What the door lets in beside JSON."""

ImportId = Annotated[UUID, Path(description="The import's `id`")]
Fates = Annotated[list[RowFate] | None, Query(alias="fate", description="Rows of these fates only")]

IMPORTED = """\
name,phone,company\r
Ada,+44 7700 900100,Analytical Engines\r
"""
REPORTED = """\
line,fate,phone,name,reason\r
7,invalid,ask Bert,Ada,there are letters in it\r
"""
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_REFUSALS: dict[ImportProblem, type[GatewayError]] = {
    ImportProblem.STOPPED: Conflict,
    ImportProblem.INTERRUPTED: ServiceUnavailable,
    ImportProblem.UNAVAILABLE: ServiceUnavailable,
    ImportProblem.INTERNAL: GatewayError,
}


def _body() -> dict[str, Any]:
    """What OpenAPI tells of the request's body: a form with the options in it, or the file alone."""
    form = ImportOptions.model_json_schema()
    form["properties"] = {"file": {**_BINARY, "description": "The list, as CSV or XLSX"}, **form["properties"]}
    form["required"] = ["file"]
    content: dict[str, Any] = {FORM: {"schema": form}}
    content |= {kind: {"schema": _BINARY} for kind in LIST_TYPES}
    content["text/csv"]["example"] = IMPORTED
    return {"requestBody": {"required": True, "content": content}}


def build_router(service: ImportService, runs: ImportRuns, access: Access) -> APIRouter:
    """The routes under `/api/recipients/import`."""
    router = LateRouter(prefix="/api/recipients/import", tags=["recipients"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type

    @router.post(
        "",
        status_code=201,
        summary="Import recipients",
        openapi_extra=_body(),
        responses={
            200: {"model": ImportOut, "description": "A dry run that has ended"},
            202: {
                "model": ImportOut,
                "description": "It goes on; `GET /api/recipients/import/{id}` tells how far it is",
            },
        },
    )
    async def start(
        request: Request,
        response: Response,
        caller: Who,
        options: Annotated[ImportOptions, Query()],
        idempotency_key: KeyHeader = None,
    ) -> ImportOut:
        """Make recipients of a list as people have it: CSV or XLSX, with a column of numbers and any others.

        The file comes in the field `file` of a form, with the options as other fields; or alone as the body, with the
        options in the query. Names of columns say which one is the number and which one the name; all others become
        variables. A short list is answered when it is stored, a long one goes on after the answer (202).

        422 if it is no list of people, or (with `on_bad_row` = `strict`) naming the bad rows, and nothing is stored.
        """
        received = await receive_file(request, runs.folder, LIST_TYPES)
        try:
            options = _with_fields(options, received)
        except ValidationFailed:
            received.file.close()
            raise
        row = await service.start(caller, received, options, idempotency_key)
        if row.state == ImportState.FAILED:
            raise await _refusal(service, row)
        if row.state == ImportState.RUNNING:
            response.status_code = 202
        elif row.dry_run:
            response.status_code = 200
        return _import_out(row)

    @router.get("", summary="List imports")
    async def list_imports(caller: Who, page: Annotated[PageRequest, Depends()]) -> Page[ImportOut]:
        """The account's imports of the last week, newest first; an operator sees all."""
        rows, total = await service.page(caller, page.offset, page.limit)
        return make_page([_import_out(row) for row in rows], total, page)

    @router.get("/{import_id}", summary="One import")
    async def get(import_id: ImportId, caller: Who) -> ImportOut:
        """How far an import is, and what became of the rows so far."""
        return _import_out(await service.get(caller, str(import_id)))

    @router.get("/{import_id}/rows", summary="What became of each row")
    async def rows(
        import_id: ImportId, caller: Who, page: Annotated[PageRequest, Depends()], fate: Fates = None
    ) -> Page[ImportRowOut]:
        """The rows of the file with their fates, by line; kept for a week. Rows without any content are not listed."""
        found, total = await service.rows(caller, str(import_id), _names(fate), page.offset, page.limit)
        return make_page([_row_out(row) for row in found], total, page)

    @router.get(
        "/{import_id}/rows/export",
        summary="What became of each row, as CSV",
        response_class=CsvResponse,
        responses=csv_answer("The rows, by line", REPORTED),
    )
    async def export_rows(import_id: ImportId, caller: Who, fate: Fates = None) -> CsvResponse:
        """The same rows in a file for spreadsheets: with `fate=invalid` the ones to be mended."""
        return await stream_csv("import.csv", CSV_COLUMNS, service.export(caller, str(import_id), _names(fate)))

    return router


def _with_fields(options: ImportOptions, received: Received) -> ImportOptions:
    """The options of the query with those of the form put over them.

    Raises:
        ValidationFailed: naming each field that is wrong, unknown, or there twice.
    """
    given: dict[str, Any] = options.model_dump(exclude_unset=True)
    for name, values in received.fields.items():
        if name == "group_ids":
            given[name] = values
        elif len(values) > 1:
            message = "is there more than once"
            raise ValidationFailed(f"{name[:100]}: {message}", errors=[FieldError(name[:100], message, "repeated")])
        else:
            given[name] = values[0]
    try:
        return ImportOptions.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise fields_failed([field_error({**one, "loc": ("body", *one["loc"])}, None) for one in found]) from None


async def _refusal(service: ImportService, row: AnyRow) -> GatewayError:
    """The error about an import that failed at once."""
    if row.error_code == ImportProblem.BAD_ROWS:
        bad, _ = await service.bad_rows(row.id)
        errors = [FieldError(f"rows.{one.line}", one.reason, "invalid_row") for one in bad]
        return ValidationFailed(f"{row.error}: GET {IMPORT_PATH}/{row.id}/rows?fate=invalid", errors=errors)
    if row.error_code == ImportProblem.NOT_A_LIST:
        return ValidationFailed(f"file: {row.error}", errors=[FieldError("file", row.error, "not_a_list")])
    return _REFUSALS[ImportProblem(row.error_code)](row.error)


def _names(fates: Sequence[RowFate] | None) -> list[str]:
    return [str(fate) for fate in fates or []]


def _import_out(row: AnyRow) -> ImportOut:
    return ImportOut.model_validate(
        {
            **row._mapping,
            "group_ids": orjson.loads(row.group_ids),
            "created_at": in_utc(row.created_at),
            "finished_at": as_time(row.finished_at),
        }
    )


def _row_out(row: AnyRow) -> ImportRowOut:
    return ImportRowOut(line=row.line, fate=RowFate(row.fate), phone_number=row.phone, name=row.name, reason=row.reason)
