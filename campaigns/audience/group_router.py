"""Routes of groups."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from campaigns.audience.answers import group_created, group_fields
from campaigns.audience.group_schemas import (
    GROUPS_WITH_MEMBERS,
    GroupChange,
    GroupCreated,
    GroupDetails,
    GroupIn,
    GroupOut,
    Member,
    MembersChanged,
    MembersIn,
)
from campaigns.audience.groups import Change, GroupFound, GroupService
from gateway.auth.access import Access, Caller
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from sessions.schemas import in_utc

GroupId = Annotated[UUID, Path(description="The group's `id`")]
MemberId = Annotated[UUID, Path(description="The `id` of a member")]


def build_router(service: GroupService, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/recipients/groups`."""
    router = LateRouter(prefix="/api/recipients/groups", tags=["recipients", "groups"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type

    @router.post("", status_code=201, summary="Create a group")
    async def create(body: GroupIn, caller: Who, once: Annotated[Once, Depends(idempotency)]) -> GroupCreated:
        """Make a group of recipients. 409 `DUPLICATE_RESOURCE` if there is one of this name, whatever its case.

        422 naming each recipient that is not there, and nothing is stored.
        """
        ids = _ids(body.recipient_ids)
        answer = await once.answer(caller, lambda key: service.create(caller, body.name, body.description, ids, key))
        return GroupCreated.model_validate(answer)

    @router.get("", summary="List groups")
    async def list_groups(
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        include_recipients: Annotated[
            bool, Query(description=f"With members, on a page of at most {GROUPS_WITH_MEMBERS} groups")
        ] = False,
    ) -> Page[GroupOut]:
        """The account's groups, newest first; an operator sees all."""
        found, total = await service.page(caller, with_members=include_recipients, offset=page.offset, limit=page.limit)
        return make_page([GroupOut.model_validate(_with_members(one)) for one in found], total, page)

    @router.get("/{group_id}", summary="One group")
    async def get(group_id: GroupId, caller: Who) -> GroupDetails:
        """The group with its members, and how many schedules will be and were sent to it."""
        found, uses = await service.get(caller, str(group_id))
        return GroupDetails.model_validate(
            {**_with_members(found), "scheduled_messages": uses.scheduled, "sent_messages": uses.sent}
        )

    @router.put("/{group_id}", summary="Change a group")
    async def change(group_id: GroupId, body: GroupChange, caller: Who) -> GroupCreated:
        """Replace name and description; the members stay. 409 `DUPLICATE_RESOURCE` as when creating."""
        found = await service.rename(caller, str(group_id), body.name, body.description)
        return group_created(found.row, found.count)

    @router.delete("/{group_id}", status_code=204, summary="Delete a group")
    async def delete(group_id: GroupId, caller: Who) -> None:
        """Remove the group; its members stay recipients. 409 `RESOURCE_IN_USE` naming what uses it."""
        await service.delete(caller, str(group_id))

    @router.put("/{group_id}/recipients", summary="Replace members")
    async def replace(group_id: GroupId, body: MembersIn, caller: Who) -> MembersChanged:
        """Have the named recipients be the group's only members. 422 naming each that is not there."""
        return _changed(await service.replace(caller, str(group_id), _ids(body.recipient_ids)))

    @router.post("/{group_id}/recipients", summary="Add members")
    async def add(
        group_id: GroupId, body: MembersIn, caller: Who, once: Annotated[Once, Depends(idempotency)]
    ) -> MembersChanged:
        """Add recipients; those that are members already stay so. 422 naming each that is not there."""

        async def added() -> MembersChanged:
            return _changed(await service.add(caller, str(group_id), _ids(body.recipient_ids)))

        return await once.step(MembersChanged, caller, added)

    @router.delete("/{group_id}/recipients", summary="Remove members")
    async def remove(group_id: GroupId, body: MembersIn, caller: Who) -> MembersChanged:
        """Take recipients out; they stay recipients. 422 naming each that is not there."""
        return _changed(await service.remove(caller, str(group_id), _ids(body.recipient_ids)))

    @router.delete("/{group_id}/recipients/{recipient_id}", status_code=204, summary="Remove one member")
    async def remove_one(group_id: GroupId, recipient_id: MemberId, caller: Who) -> None:
        """Take one recipient out of the group; it stays a recipient. 404 if it is not in the group."""
        await service.remove_one(caller, str(group_id), str(recipient_id))

    return router


def _ids(given: Sequence[UUID]) -> list[str]:
    return [str(one) for one in given]


def _with_members(found: GroupFound) -> dict[str, object]:
    members = [Member(id=row.id, name=row.name, phone_number=f"+{row.phone}") for row in found.members]
    return {**group_fields(found.row, found.count), "recipients": members}


def _changed(change: Change) -> MembersChanged:
    row = change.group.row
    return MembersChanged(
        id=row.id,
        name=row.name,
        recipient_count=change.group.count,
        added=change.added,
        removed=change.removed,
        updated_at=in_utc(row.updated_at),
    )
