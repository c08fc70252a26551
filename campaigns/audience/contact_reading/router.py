"""The route that reads a contact list."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError

from campaigns.audience.contact_reading.schemas import ContactsOut, ReadOptions
from campaigns.audience.contact_reading.service import ContactReading
from campaigns.audience.importing.router import LIST_TYPES
from gateway.auth.access import Access, Caller
from gateway.http.receiving import FORM, receive_file
from gateway.http.validation import field_error, fields_failed
from gateway.late_routes import LateRouter

READ_PATH = "/api/contacts/read"
OTHER_CONTENT: dict[str, tuple[str, ...]] = {READ_PATH: (FORM, *LIST_TYPES)}
"""What the door lets in beside JSON."""

_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def _body() -> dict[str, Any]:
    """What OpenAPI tells of the request's body: a form with the options in it, or the file alone."""
    form = ReadOptions.model_json_schema()
    form["properties"] = {"file": {**_BINARY, "description": "The list, as CSV or XLSX"}, **form["properties"]}
    form["required"] = ["file"]
    content: dict[str, Any] = {FORM: {"schema": form}}
    content |= {kind: {"schema": _BINARY} for kind in LIST_TYPES}
    content["text/csv"]["example"] = "name,phone\r\nAda,+44 7700 900100\r\n"
    return {"requestBody": {"required": True, "content": content}}


def build_router(reading: ContactReading, access: Access) -> APIRouter:
    """The route under `/api/contacts`."""
    router = LateRouter(prefix="/api/contacts", tags=["campaigns"])

    @router.post("/read", summary="Read a contact list", openapi_extra=_body())
    async def read(
        request: Request,
        _: Annotated[Caller, Depends(access.caller)],
        options: Annotated[ReadOptions, Query()],
    ) -> ContactsOut:
        """What stands in a list as people have it, CSV or XLSX: its columns, whose numbers, and why rows are refused.

        The file comes in the field `file` of a form, with the options as other fields; or alone as the body, with the
        options in the query. Nothing is stored: `phone_number` and `variables` of the rows are what `/api/send` takes.
        422 if it is no list of people.
        """
        received = await receive_file(request, reading.folder, LIST_TYPES)
        try:
            given = {name: values[-1] for name, values in received.fields.items()}
            options = ReadOptions.model_validate(options.model_dump(exclude_unset=True) | given)
        except ValidationError as error:
            received.file.close()
            found = error.errors(include_url=False, include_input=False)
            raise fields_failed([field_error({**one, "loc": ("body", *one["loc"])}, None) for one in found]) from None
        return await reading.read(received, options)

    return router
