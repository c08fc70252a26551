"""The operator's routes that change the state of a row for a reason, and tell what was changed so."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from admin.actions.schemas import ActionIn, ActionOut
from admin.actions.service import ActionService
from admin.actions.verbs import Subject
from gateway.auth.access import Access, Caller
from gateway.db import AnyRow
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from sessions.schemas import in_utc

PATH = "/api/admin/actions"


def build_router(service: ActionService, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/admin/actions`."""
    router = LateRouter(prefix=PATH, tags=["admin"], dependencies=[Depends(access.admin)])

    @router.post("", summary="Change a row's state, for a reason")
    async def act(
        body: ActionIn,
        operator: Annotated[Caller, Depends(access.admin)],
        once: Annotated[Once, Depends(idempotency)],
    ) -> ActionOut:
        """Do to a campaign, a message or a session what its own routes do, and keep who did it and why.

        It is done only from the `state` that is named: 409 if the row is in another one by now. What was refused is
        kept, too.
        """

        async def acted() -> ActionOut:
            return _out(await service.act(body, operator.name))

        return await once.step(ActionOut, operator, acted)

    @router.get("", summary="What operators have changed, and why")
    async def list_actions(
        page: Annotated[PageRequest, Depends()],
        table: Annotated[Subject | None, Query(description="Of rows of this table only")] = None,
        row: Annotated[str | None, Query(description="Of the row with this key only", max_length=40)] = None,
    ) -> Page[ActionOut]:
        """Newest first. These lines are kept for good."""
        rows, total = await service.page(table, row, page.offset, page.limit)
        return make_page([_out(one) for one in rows], total, page)

    return router


def _out(row: AnyRow) -> ActionOut:
    return ActionOut(
        id=row.id,
        at=in_utc(row.at),
        by=row.by,
        table=row.table_name,
        row=row.row_id,
        action=row.action,
        before=row.before,
        after=row.after,
        reason=row.reason,
        outcome=row.outcome,
        detail=row.detail,
    )
