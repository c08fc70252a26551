"""Lists of recipients from files: what would become of each row before it is stored, and how far an import is."""

from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Depends, Form, Request, UploadFile
from pydantic import BaseModel
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.downloads import pass_on
from admin.console.forms import Errors, errors_of
from admin.console.lists import PER_PAGE, PageNumber, Word, link_of
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from campaigns.audience.importing.models import RowFate

PATH = "/console/recipients/import"
API = "/api/recipients/import"
FIELDS = ("file", "group_name", "phone_column", "name_column")
OTHERS = {"columns": "phone_column"}
FATES = tuple(str(fate) for fate in RowFate if fate != RowFate.BLANK)
LAST_SHOWN = 5


class ImportForm(BaseModel):
    """What the form says beside the file; columns are named only where they are not found by themselves."""

    group_name: str = ""
    on_duplicate: str = "skip"
    phone_column: str = ""
    name_column: str = ""
    key: str = ""

    def fields(self, *, dry_run: bool) -> dict[str, Any]:
        """As the API takes it. Rows that cannot be stored are left out: a dry run has told which."""
        columns = {self.phone_column.strip(): "phone"} if self.phone_column.strip() else {}
        columns |= {self.name_column.strip(): "name"} if self.name_column.strip() else {}
        return {
            "dry_run": str(dry_run).lower(),
            "on_bad_row": "partial",
            "on_duplicate": self.on_duplicate,
            "group_name": self.group_name.strip() or None,
            "columns": orjson.dumps(columns).decode() if columns else None,
        }


Filled = Annotated[ImportForm, Form()]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/recipients/import`."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    _add_form(router, desk, door)
    _add_progress(router, desk, door)
    return router


def _add_form(router: APIRouter, desk: Desk, door: Door) -> None:
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    async def upload(visitor: Visitor, file: UploadFile, form: ImportForm, *, dry_run: bool) -> Any:
        content = (file.filename or "list", await file.read(), file.content_type or "text/csv")
        headers = {} if dry_run else {"Idempotency-Key": form.key}
        return await desk.api.upload(visitor, API, [("file", content)], form.fields(dry_run=dry_run), headers)

    def refuse(form: ImportForm, refused: Refused) -> Response:
        errors: Errors = errors_of(refused, FIELDS, OTHERS)
        return desk.pages.part("recipients/import_form.html", 422, form=form.model_dump(), errors=errors)

    @router.get("")
    async def form_page(request: Request, visitor: Who, group_name: Word = "") -> Response:
        last = await desk.api.get(visitor, API, {"per_page": LAST_SHOWN})
        form = ImportForm(group_name=group_name, key=uuid4().hex).model_dump()
        return desk.pages.page(request, visitor, "recipients/import.html", form=form, errors={}, last=last)

    @router.post("/look")
    async def look(visitor: Who, file: UploadFile, form: Filled) -> Response:
        try:
            found = await upload(visitor, file, form, dry_run=True)
        except Refused as refused:
            return refuse(form, refused)
        return desk.pages.part("recipients/looked.html", **await _shown(desk, visitor, found, "", 1))

    @router.post("")
    async def start(visitor: Who, file: UploadFile, form: Filled) -> Response:
        try:
            found = await upload(visitor, file, form, dry_run=False)
        except Refused as refused:
            return refuse(form.model_copy(update={"key": uuid4().hex}), refused)
        note = "The list is being imported." if found["state"] == "running" else "The list is imported."
        return desk.pages.done(note, to=f"{PATH}/{found['id']}")


def _add_progress(router: APIRouter, desk: Desk, door: Door) -> None:
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("/{import_id}")
    async def one(request: Request, visitor: Who, import_id: UUID, fate: Word = "", page: PageNumber = 1) -> Response:
        values = await _shown(desk, visitor, await desk.api.get(visitor, f"{API}/{import_id}"), fate, page)
        return desk.pages.page(request, visitor, "recipients/imported.html", **values)

    @router.get("/{import_id}/rows")
    async def rows(
        visitor: Annotated[Visitor, Depends(door.watcher)], import_id: UUID, fate: Word = "", page: PageNumber = 1
    ) -> Response:
        values = await _shown(desk, visitor, await desk.api.get(visitor, f"{API}/{import_id}"), fate, page)
        return desk.pages.part("recipients/fates.html", **values)

    @router.get("/{import_id}/export")
    async def export(visitor: Who, import_id: UUID, fate: Word = "") -> Response:
        return await pass_on(desk.api, visitor, f"{API}/{import_id}/rows/export", {"fate": fate})


async def _shown(desk: Desk, visitor: Visitor, it: Any, fate: str, page: int) -> dict[str, Any]:
    """An import (`it`) with a page of its rows."""
    known = fate if fate in FATES else ""
    query = {"fate": known, "page": page, "per_page": PER_PAGE}
    found = await desk.api.get(visitor, f"{API}/{it['id']}/rows", query)
    link = link_of(f"{PATH}/{it['id']}/rows", {"fate": known})
    return {"it": it, "found": found, "fate": known, "fates": FATES, "link": link}
