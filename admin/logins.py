"""The operator's routes about the users who log in with email and password."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from admin.login_schemas import Account, UserChangeIn, UserIn, UserLoginOut
from gateway.auth.access import Access, Caller
from gateway.auth.users import UserChange, Users
from gateway.db import AnyRow
from gateway.errors import FieldError, ValidationFailed
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from sessions.schemas import as_time, in_utc

UserId = Annotated[UUID, Path(description="The `id` that the list shows")]


def build_router(users: Users, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/admin/logins`. (`/api/admin/users` are the sender numbers.)"""
    router = LateRouter(prefix="/api/admin/logins", tags=["admin"], dependencies=[Depends(access.admin)])

    @router.post("", status_code=201, summary="Make a user")
    async def create(
        body: UserIn,
        operator: Annotated[Caller, Depends(access.admin)],
        once: Annotated[Once, Depends(idempotency)],
    ) -> UserLoginOut:
        """Somebody who may log in at `POST /api/auth/login`, and acts for one account. 409 if the email is taken."""

        async def created() -> UserLoginOut:
            return _out(await users.create(body.email, body.password.get_secret_value(), body.account))

        return await once.step(UserLoginOut, operator, created)

    @router.get("", summary="Users")
    async def list_users(
        page: Annotated[PageRequest, Depends()],
        account: Annotated[Account | None, Query(description="Only this account's")] = None,
    ) -> Page[UserLoginOut]:
        """Everybody who may log in, by email; passwords are never shown."""
        rows, total = await users.page(account, page.offset, page.limit)
        return make_page([_out(row) for row in rows], total, page)

    @router.get("/{user_id}", summary="One user")
    async def get(user_id: UserId) -> UserLoginOut:
        """Who it is, and when they logged in last."""
        return _out(await users.get(str(user_id)))

    @router.patch("/{user_id}", summary="Change a user")
    async def change(user_id: UserId, body: UserChangeIn) -> UserLoginOut:
        """Another password, or may not log in any more, or may again. Their logins end at once."""
        if body.password is None and body.disabled is None:
            message = "name what to change: password or disabled"
            raise ValidationFailed(message, errors=[FieldError("disabled", message, "missing")])
        password = None if body.password is None else body.password.get_secret_value()
        return _out(await users.change(str(user_id), UserChange(password, body.disabled)))

    @router.delete("/{user_id}", status_code=204, summary="Remove a user")
    async def delete(user_id: UserId) -> None:
        """Their logins end at once; what belongs to their account stays."""
        await users.delete(str(user_id))

    return router


def _out(row: AnyRow) -> UserLoginOut:
    return UserLoginOut(
        id=row.id,
        email=row.email,
        account=row.account_id,
        disabled=row.disabled,
        created_at=in_utc(row.created_at),
        last_login_at=as_time(row.last_login_at),
    )
