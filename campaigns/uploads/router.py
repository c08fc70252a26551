"""The routes of files that are sent to us to be sent on."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request

from campaigns.uploads.schemas import UploadOut
from campaigns.uploads.service import Uploads
from gateway.auth.access import Access, Caller
from gateway.http.pages import Page, PageRequest, make_page
from gateway.http.receiving import FORM, receive_file
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter

UPLOAD_PATH = "/api/upload"
OTHER_CONTENT: dict[str, tuple[str, ...]] = {UPLOAD_PATH: (FORM,)}
"""What the door lets in beside JSON."""

UploadId = Annotated[UUID, Path(description="The file's `id`")]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "description": "The file"}},
                }
            }
        },
    }
}


def build_router(uploads: Uploads, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/upload`."""
    router = LateRouter(prefix=UPLOAD_PATH, tags=["files"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type

    @router.post("", status_code=201, summary="Upload a file", openapi_extra=_BODY)
    async def upload(
        request: Request,
        caller: Annotated[Caller, Depends(access.caller)],
        once: Annotated[Once, Depends(idempotency)],
    ) -> UploadOut:
        """Keep a file to send it: give the answer's `media_url` to a campaign. It comes in the field `file` of a form.

        What it is, its content says. 422 if it says that it is something else, if its name carries a path, or if it is
        an image that is broken or unfolds to too many pixels; 413 if it is too large. Nothing is kept then. It is
        removed a day after it came, or after the last campaign that sends it has ended.
        """
        received = await receive_file(request, uploads.folder, max_bytes=uploads.max_bytes)
        with received.file:
            told = f"{received.digest} {received.filename} {received.content_type}"
            answer = await once.answer(caller, lambda key: uploads.store(caller, received, key), digest=told)
        return UploadOut.model_validate(answer)

    @router.get("", summary="List files")
    async def list_files(caller: Who, page: Annotated[PageRequest, Depends()]) -> Page[UploadOut]:
        """The account's files, newest first; an operator sees all."""
        found, total = await uploads.page(caller, page.offset, page.limit)
        return make_page([UploadOut.model_validate(one) for one in found], total, page)

    @router.get("/{file_id}", summary="One file")
    async def get(file_id: UploadId, caller: Who) -> UploadOut:
        """What is known of a file."""
        return UploadOut.model_validate(await uploads.get(caller, str(file_id)))

    @router.delete("/{file_id}", status_code=204, summary="Remove a file")
    async def delete(file_id: UploadId, caller: Who) -> None:
        """Remove a file. 409 while a campaign that has not ended sends it."""
        await uploads.delete(caller, str(file_id))

    return router
